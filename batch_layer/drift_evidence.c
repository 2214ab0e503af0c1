/* Live increments lie in generations, between cuts that name the view. So the first step narrows without reading an
 * event twice: the archive's events of a generation are folded and compared, for the keys in question, with the live
 * increments of that generation. Within the first that differs the key's events are known one by one, and drift_search
 * tells which of them explain the difference.
 *
 * A key's events are found by bisection over offsets: a block is folded as a whole; when a key is in the result, its
 * halves are, and so on down to single events, whose folds are their shares. What has none of the keys is folded once.
 *
 * Where the increments of all generations are right, the difference must lie in what they stand on: the published run.
 *
 * Bounds: keys, events of a key, and time (limits.h); what is beyond them is said to be. */
#include "batch_layer/drift_evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "batch_layer/drift_search.h"
#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/fold.h"
#include "common/store/slice.h"
#include "common/value/ordered_key.h"
#include "common/value/text.h"

enum { BLOCKS_AT_ONCE = 1024, FOLD_LEVELS = 33, DRAIN_GROUPS = 4096 };

_Static_assert(TLY_DRIFT_EXPLAINED_MAX <= 32, "keys are a set of bits");

struct place {
  uint32_t partition;
  int64_t offset;
};

/* A key that drifted, in the generation that is looked at. */
struct target {
  struct tly_run_drift *drift;
  tly_drift_search *search;
  struct place *places; /* of the events in `search` */
  uint32_t place_capacity;
  bool is_full; /* there are more events than are taken */
};

struct evidence {
  const struct tly_drift_evidence_job *job;
  const struct tly_view_program *program;
  const struct tly_stream *stream;
  struct tly_arena *arena; /* for what is handed out */
  struct tly_arena scratch;
  tly_archive_reader *archive;
  struct tly_event_batch batch;
  struct tly_vector *columns;   /* of a part of the batch */
  tly_fold *folds[FOLD_LEVELS]; /* by the size of what they fold: clearing a table costs what it once held */
  struct target *targets;
  uint32_t target_count;
  uint32_t open; /* a bit a target: not explained yet */
  int64_t ends_at_us;
};

/* A generation of the view: events above one cut, up to the next that names the view. */
struct generation {
  const struct tly_cut *after; /* NULL: from the archive's beginning */
  const struct tly_cut *up_to;
};

static bool has_bit(uint32_t set, uint32_t number) {
  return (set >> number & 1) != 0;
}

/* ---- the events of the keys -------------------------------------------------------------------------------------- */

static struct tly_vector part_of(const struct tly_vector *vector, uint32_t first, uint32_t count) {
  struct tly_vector part = *vector;
  if (vector->count == 0) /* not read */
    return part;
  TLY_ASSERT(!vector->is_constant && first + count <= vector->count);
  part.count = count;
  if (part.null != NULL)
    part.null += first;
  if (part.codes != NULL)
    part.codes += first;
  else
    part.i64 = (int64_t *)(void *)((char *)vector->i64 + first * tly_form_size(tly_type_form(vector->type)));
  return part;
}

static tly_fold *fold_for(struct evidence *evidence, uint32_t count) {
  uint32_t level = 0;
  while (count >> level > 1)
    level++;
  if (evidence->folds[level] == NULL)
    evidence->folds[level] = tly_fold_new(evidence->program);
  return evidence->folds[level];
}

/* Which of the keys `wanted` are among some groups; of a single event they are taken. */
struct meeting {
  struct evidence *evidence;
  uint32_t wanted, met;
  const struct place *single; /* NULL: of more than one event */
};

static void take_event(struct target *target, const struct tly_group_slice *slice, uint32_t row,
                       const struct place *place) {
  uint32_t count = tly_drift_search_count(target->search);
  if (!tly_drift_search_add(target->search, slice, row)) {
    target->is_full = true;
    return;
  }
  if (count == target->place_capacity) {
    target->place_capacity = count == 0 ? 64 : 2 * count;
    target->places = tly_realloc_array(target->places, target->place_capacity, sizeof *target->places);
  }
  target->places[count] = *place;
}

static enum tly_status meet(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct meeting *meeting = context;
  (void)error;
  for (uint32_t t = 0; t < meeting->evidence->target_count; t++) {
    struct target *target = &meeting->evidence->targets[t];
    struct tly_text key = target->drift->group;
    if (!has_bit(meeting->wanted, t) || target->drift->part != slice->part)
      continue;
    uint32_t row = tly_slice_lower_bound(slice, key);
    if (row == slice->count || tly_key_compare(slice->keys[row].data, slice->keys[row].size, key.data, key.size) != 0)
      continue;
    meeting->met |= 1U << t;
    if (meeting->single != NULL)
      take_event(target, slice, row, meeting->single);
  }
  return TLY_OK;
}

/* Fold events first .. first + count - 1 of the batch; *met is which of `wanted` have an event there. */
static enum tly_status fold_part(struct evidence *evidence, const struct tly_block_ref *ref, uint32_t first,
                                 uint32_t count, uint32_t wanted, uint32_t *met, struct tly_error *error) {
  struct tly_event_batch part = {.stream = evidence->stream, .count = count, .columns = evidence->columns};
  struct place place = {.partition = ref->partition, .offset = ref->first_offset + first};
  struct meeting meeting = {.evidence = evidence, .wanted = wanted, .single = count == 1 ? &place : NULL};
  tly_fold *fold = fold_for(evidence, count);
  enum tly_status status = TLY_OK;
  for (uint32_t c = 0; c < evidence->stream->column_count; c++)
    evidence->columns[c] = part_of(&evidence->batch.columns[c], first, count);
  tly_fold_batch(fold, &part, NULL, NULL);
  for (uint32_t p = 0; status == TLY_OK && p < evidence->program->part_count; p++)
    status = tly_group_table_drain(tly_fold_part(fold, p), DRAIN_GROUPS, meet, &meeting, error);
  tly_fold_clear(fold);
  *met = meeting.met;
  return status;
}

static enum tly_status narrow(struct evidence *evidence, const struct tly_block_ref *ref, uint32_t first,
                              uint32_t count, uint32_t wanted, struct tly_error *error) {
  uint32_t met;
  tly_give_way();
  if (tly_clock_monotonic_us(&tly_clock_real) > evidence->ends_at_us)
    return TLY_FAIL(error, TLY_E_CANCELLED, "the search was ended after %d s", TLY_DRIFT_SEARCH_MS / 1000);
  TLY_TRY(fold_part(evidence, ref, first, count, wanted, &met, error));
  if (met == 0 || count == 1)
    return TLY_OK;
  TLY_TRY(narrow(evidence, ref, first, count / 2, met, error)); /* as deep as a block's count has bits */
  return narrow(evidence, ref, first + count / 2, count - count / 2, met, error);
}

static int64_t offset_at(const struct tly_cut *cut, const char *stream, uint32_t partition) {
  for (uint32_t i = 0; cut != NULL && i < cut->position_count; i++)
    if (cut->positions[i].partition == partition && strcmp(cut->positions[i].stream, stream) == 0)
      return cut->positions[i].next_offset;
  return 0;
}

static enum tly_status read_partition(struct evidence *evidence, uint32_t partition, int64_t from, int64_t to,
                                      struct tly_error *error) {
  while (from < to) {
    struct tly_block_ref *refs;
    uint32_t count;
    tly_arena_reset(&evidence->scratch);
    TLY_TRY(tly_archive_reader_blocks(evidence->archive, evidence->stream, partition, from, INT64_MAX, BLOCKS_AT_ONCE,
                                      &evidence->scratch, &refs, &count, error));
    if (count == 0)
      return TLY_FAIL(error, TLY_E_CORRUPT, "the archive ends at offset %" PRId64 " of partition %" PRIu32, from,
                      partition);
    for (uint32_t i = 0; i < count && from < to; i++) {
      TLY_TRY(tly_archive_reader_read(evidence->archive, evidence->stream, &refs[i], evidence->program->column_used,
                                      false, &evidence->batch, error));
      TLY_ASSERT(refs[i].first_offset <= from &&
                 refs[i].first_offset + refs[i].event_count <= to); /* cuts end blocks */
      TLY_TRY(narrow(evidence, &refs[i], 0, refs[i].event_count, evidence->open, error));
      from = refs[i].first_offset + refs[i].event_count;
    }
  }
  return TLY_OK;
}

static enum tly_status read_events(struct evidence *evidence, const struct generation *generation,
                                   struct tly_error *error) {
  const char *stream = evidence->stream->name;
  for (uint32_t t = 0; t < evidence->target_count; t++) {
    struct target *target = &evidence->targets[t];
    tly_drift_search_free(target->search);
    target->search = tly_drift_search_new(evidence->program, target->drift->part, TLY_DRIFT_EVENTS_MAX);
    target->is_full = false;
  }
  for (uint32_t i = 0; i < generation->up_to->position_count; i++) {
    const struct tly_position *position = &generation->up_to->positions[i];
    if (strcmp(position->stream, stream) == 0)
      TLY_TRY(read_partition(evidence, position->partition, offset_at(generation->after, stream, position->partition),
                             position->next_offset, error));
  }
  return TLY_OK;
}

/* ---- the live side ----------------------------------------------------------------------------------------------- */

static enum tly_status keep_row(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  tly_slice_copy_whole(context, slice);
  return TLY_OK;
}

/* The key's live increments of the generation: one row in *live, or none. */
static enum tly_status read_live(const struct evidence *evidence, const struct target *target,
                                 const struct generation *generation, struct tly_slice_copy *live,
                                 struct tly_error *error) {
  const struct tly_published *published = evidence->job->published;
  struct tly_text key = target->drift->group;
  struct tly_buffer next = {0}; /* the least key above it */
  struct tly_published now;
  tly_speed_reader *speed = evidence->job->speed;
  tly_group_table *table = tly_group_table_new(evidence->program, target->drift->part);
  tly_buffer_append(&next, key.data, key.size);
  tly_buffer_append_byte(&next, 0);
  struct tly_text high = {.data = (const char *)next.data, .size = (uint32_t)next.size};
  enum tly_status status = tly_speed_snapshot_begin(speed, error);
  if (status != TLY_OK)
    goto free_table;
  status = tly_speed_snapshot_view(speed, evidence->program->view, &now, error);
  if (status == TLY_OK && (now.run != published->run || now.view_id != published->view_id))
    status = TLY_FAIL(error, TLY_E_NOT_READY, "another run was published meanwhile");
  if (status == TLY_OK)
    status = tly_speed_snapshot_groups(speed, evidence->program, now.view_id, target->drift->part,
                                       generation->after != NULL ? generation->after->number : 0,
                                       generation->up_to->number, key, high, table, error);
  tly_speed_snapshot_end(speed);
  if (status == TLY_OK)
    status = tly_group_table_drain(table, 1, keep_row, live, error);
free_table:
  tly_group_table_free(table);
  tly_buffer_free(&next);
  return status;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* The event's bytes as they were received, cut to TLY_DRIFT_RAW_BYTES; left out where they are no text. */
static enum tly_status print_event(struct evidence *evidence, const struct place *place, struct tly_buffer *out,
                                   struct tly_error *error) {
  struct tly_block_ref *refs;
  uint32_t count;
  TLY_TRY(tly_archive_reader_blocks(evidence->archive, evidence->stream, place->partition, place->offset, INT64_MAX, 1,
                                    &evidence->scratch, &refs, &count, error));
  TLY_ASSERT(count == 1 && refs[0].first_offset <= place->offset);
  TLY_TRY(tly_archive_reader_read(evidence->archive, evidence->stream, &refs[0], NULL, true, &evidence->batch, error));
  struct tly_text raw = evidence->batch.raw[place->offset - refs[0].first_offset];
  size_t size = raw.size;
  if (size > TLY_DRIFT_RAW_BYTES)
    for (size = TLY_DRIFT_RAW_BYTES; size > 0 && ((uint8_t)raw.data[size] & 0xC0) == 0x80; size--)
      ; /* not in the midst of a character */
  tly_buffer_print(out, "{\"partition\":%" PRIu32 ",\"offset\":%" PRId64, place->partition, place->offset);
  if (tly_text_is_valid(raw.data, size)) {
    tly_buffer_append_text(out, ",\"raw\":");
    tly_json_print_text(raw.data, size, out);
  }
  tly_buffer_append_byte(out, '}');
  return TLY_OK;
}

static void print_place(const struct place *place, struct tly_buffer *words) {
  tly_buffer_print(words, "partition %" PRIu32 " offset %" PRId64, place->partition, place->offset);
}

/* What was found, as a sentence. */
static void print_words(const struct evidence *evidence, const struct target *target,
                        const struct tly_drift_found *found, struct tly_buffer *words) {
  uint32_t count = found->verdict == TLY_DRIFT_UNKNOWN ? tly_drift_search_count(target->search) : found->count;
  const struct place *places = target->places + found->first;
  const char *stream = evidence->stream->name;
  if (count == 0) {
    tly_buffer_print(words, "live has this key, of which %s has no event there", stream);
    return;
  }
  if (found->verdict == TLY_DRIFT_LACKS)
    tly_buffer_append_text(words, "live lacks ");
  else if (found->verdict == TLY_DRIFT_TWICE)
    tly_buffer_append_text(words, "live has once too often ");
  tly_buffer_print(words, "%" PRIu32 " event%s of %s, ", count, count == 1 ? "" : "s", stream);
  print_place(&places[0], words);
  if (count > 1) {
    tly_buffer_append_text(words, " to ");
    print_place(&places[count - 1], words);
  }
  if (found->verdict == TLY_DRIFT_UNKNOWN)
    tly_buffer_append_text(words, ": the key's, and no run of neighbours among them explains it");
  if (found->alternatives > 0)
    tly_buffer_print(words, "; %s%" PRIu32 " other choice%s would explain it as well",
                     found->has_more ? "at least " : "", found->alternatives, found->alternatives == 1 ? "" : "s");
}

static void print_head(const char *verdict, const char *words, struct tly_buffer *out) {
  tly_buffer_print(out, "{\"verdict\":\"%s\",\"words\":", verdict);
  tly_json_print_text(words, strlen(words), out);
}

static enum tly_status print_found(struct evidence *evidence, const struct target *target,
                                   const struct generation *generation, const struct tly_drift_found *found,
                                   struct tly_buffer *out, struct tly_error *error) {
  static const char *const verdicts[] = {
      [TLY_DRIFT_LACKS] = "lacks", [TLY_DRIFT_TWICE] = "twice", [TLY_DRIFT_UNKNOWN] = "unknown"};
  struct tly_buffer words = {0};
  enum tly_status status = TLY_OK;
  print_words(evidence, target, found, &words);
  print_head(verdicts[found->verdict], tly_buffer_text(&words), out);
  tly_buffer_free(&words);
  tly_buffer_print(out, ",\"after_cut\":%" PRId64 ",\"up_to_cut\":%" PRId64 ",\"key_events\":%" PRIu32,
                   generation->after != NULL ? generation->after->number : 0, generation->up_to->number,
                   tly_drift_search_count(target->search));
  if (found->verdict != TLY_DRIFT_UNKNOWN) {
    tly_buffer_print(out, ",\"count\":%" PRIu32 ",\"alternatives\":%" PRIu32 ",\"events\":[", found->count,
                     found->alternatives);
    for (uint32_t i = 0; status == TLY_OK && i < found->count && i < TLY_DRIFT_EVENTS_LISTED; i++) {
      if (i > 0)
        tly_buffer_append_byte(out, ',');
      status = print_event(evidence, &target->places[found->first + i], out, error);
    }
    tly_buffer_append_byte(out, ']');
  }
  tly_buffer_append_byte(out, '}');
  return status;
}

static void set_words(const struct evidence *evidence, struct target *target, const char *verdict, const char *words) {
  struct tly_buffer text = {0};
  print_head(verdict, words, &text);
  tly_buffer_append_byte(&text, '}');
  target->drift->explanation = tly_arena_copy(evidence->arena, text.data, text.size);
  tly_buffer_free(&text);
}

/* ---- generation by generation ------------------------------------------------------------------------------------ */

/* Explain the target if it is here that it differs. */
static enum tly_status look_at(struct evidence *evidence, struct target *target, const struct generation *generation,
                               struct tly_error *error) {
  struct tly_slice_copy live;
  struct tly_drift_found found;
  struct tly_buffer text = {0};
  tly_slice_copy_init(&live, evidence->program, target->drift->part);
  enum tly_status status = read_live(evidence, target, generation, &live, error);
  if (status == TLY_OK)
    status = tly_drift_search_run(target->search, live.slice.count > 0 ? &live.slice : NULL, 0, &found, error);
  if (status == TLY_OK && found.verdict != TLY_DRIFT_EQUAL) {
    status = print_found(evidence, target, generation, &found, &text, error);
    if (status == TLY_OK)
      target->drift->explanation = tly_arena_copy(evidence->arena, text.data, text.size);
  }
  tly_buffer_free(&text);
  tly_slice_copy_free(&live);
  return status;
}

static enum tly_status look_into(struct evidence *evidence, const struct generation *generation,
                                 struct tly_error *error) {
  TLY_TRY(read_events(evidence, generation, error));
  for (uint32_t t = 0; t < evidence->target_count; t++) {
    struct target *target = &evidence->targets[t];
    if (!has_bit(evidence->open, t))
      continue;
    if (target->is_full)
      set_words(evidence, target, "not searched", "there are too many events of this key to search among");
    else
      TLY_TRY(look_at(evidence, target, generation, error));
    if (target->drift->explanation != NULL)
      evidence->open &= ~(1U << t);
  }
  return TLY_OK;
}

static bool names_view(const struct tly_cut *cut, const struct tly_view *view) {
  for (uint32_t v = 0; v < cut->view_count; v++)
    if (strcmp(cut->views[v], view->name) == 0)
      return true;
  return false;
}

static enum tly_status search(struct evidence *evidence, struct tly_arena *cuts, struct tly_error *error) {
  const struct tly_drift_evidence_job *job = evidence->job;
  struct tly_cut first, *later;
  struct generation generation = {.after = NULL};
  uint32_t count;
  TLY_TRY(tly_archive_reader_open(job->directory, job->project, &evidence->archive, error));
  TLY_TRY(tly_archive_reader_hold(evidence->archive, error));
  if (job->published->cut > 0) {
    TLY_TRY(tly_archive_reader_cut(evidence->archive, job->published->cut, cuts, &first, error));
    generation.after = &first;
  }
  TLY_TRY(tly_archive_reader_cuts(evidence->archive, job->published->cut, cuts, &later, &count, error));
  for (uint32_t i = 0; evidence->open != 0 && i < count && later[i].number <= job->cut->number; i++) {
    if (!names_view(&later[i], evidence->program->view))
      continue;
    generation.up_to = &later[i];
    TLY_TRY(look_into(evidence, &generation, error));
    generation.after = generation.up_to;
  }
  return TLY_OK;
}

/* What is still open after the search. */
static void close_open(struct evidence *evidence, const struct tly_error *why) {
  char words[sizeof why->message + 64];
  bool is_searched = why->status == TLY_OK;
  snprintf(words, sizeof words, "%s", why->message);
  if (is_searched)
    snprintf(words, sizeof words,
             "live has what the events make since cut %" PRId64 ": it is run %" PRId64 " that differs",
             evidence->job->published->cut, evidence->job->published->run);
  for (size_t size = strlen(words); !tly_text_is_valid(words, size); size--) /* a message is cut anywhere */
    words[size - 1] = '\0';
  for (uint32_t t = 0; t < evidence->target_count; t++)
    if (has_bit(evidence->open, t))
      set_words(evidence, &evidence->targets[t], is_searched ? "run" : "not searched", words);
}

static void free_evidence(struct evidence *evidence) {
  for (uint32_t t = 0; t < evidence->target_count; t++) {
    tly_drift_search_free(evidence->targets[t].search);
    tly_free(evidence->targets[t].places);
  }
  for (uint32_t f = 0; f < FOLD_LEVELS; f++)
    if (evidence->folds[f] != NULL)
      tly_fold_free(evidence->folds[f]);
  tly_event_batch_free(&evidence->batch);
  tly_archive_reader_close(evidence->archive); /* after the batch, whose texts it holds */
  tly_arena_free(&evidence->scratch);
  tly_free(evidence->columns);
  tly_free(evidence->targets);
}

void tly_drift_evidence(const struct tly_drift_evidence_job *job, struct tly_run_drift *drift, uint32_t count,
                        struct tly_arena *arena) {
  struct tly_error why = TLY_ERROR_NONE;
  struct tly_arena cuts;
  struct evidence evidence = {.job = job,
                              .program = job->program,
                              .stream = job->program->view->stream,
                              .arena = arena,
                              .target_count = count < TLY_DRIFT_EXPLAINED_MAX ? count : TLY_DRIFT_EXPLAINED_MAX,
                              .ends_at_us =
                                  tly_clock_monotonic_us(&tly_clock_real) + (int64_t)TLY_DRIFT_SEARCH_MS * 1000};
  tly_arena_init(&cuts);
  tly_arena_init(&evidence.scratch);
  tly_event_batch_init(&evidence.batch, evidence.stream);
  evidence.columns = tly_calloc(evidence.stream->column_count, sizeof *evidence.columns);
  evidence.targets = tly_calloc(evidence.target_count, sizeof *evidence.targets);
  for (uint32_t t = 0; t < evidence.target_count; t++) {
    evidence.targets[t].drift = &drift[t];
    evidence.open |= 1U << t;
  }
  enum tly_status status = search(&evidence, &cuts, &why);
  if (status == TLY_OK)
    why = TLY_ERROR_NONE;
  close_open(&evidence, &why);
  free_evidence(&evidence);
  tly_arena_free(&cuts);
}
