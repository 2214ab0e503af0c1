/* Why a run may stand on an earlier one. Groups are commutative sums of events with one canonical form, so the groups
 * of the events up to cut j, plus those of the events between cut j and cut k, are the groups up to cut k, byte for
 * byte. That they are the same events is said by the archive's running hash: the base recorded it at cut j, and the
 * list of blocks goes on from there. That they were folded alike is said by the definition's hash, TLY_FOLD_VERSION and
 * the hash of all other inputs. So a night costs one day's events, and reading and writing the groups there are.
 *
 * The newest run is all that is needed for that: it is the merge of everything below its cut, so no partial result
 * below it is of any use. Partial results are for what no run covers yet: a recompute that is killed has folded for
 * nothing otherwise. They are made of ranges of the log, with the running hash at both ends; a range counts if blocks
 * of the plan tile it exactly. (Those of sealed files always do. Blocks of a file that was sealed since may have grown
 * over the ends of a range; it is folded again then.)
 *
 * What is not trusted. Each file is compared with the hash in its manifest, and the manifest with its own, in batch.db
 * or in the folder's name, before anything is taken over. An error in the fold would go on from base to base, and the
 * drift check, which compares with the same base, could not see it: so after TLY_RUN_BASES_MAX runs one is folded from
 * the archive alone, as every --full one is.
 *
 * INVARIANT: a block is covered for a view by the base, by one partial result, or not at all. */
#include "batch_layer/recompute_reuse.h"

#include <inttypes.h>
#include <string.h>

#include "batch_layer/partial.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

/* ---- what views have --------------------------------------------------------------------------------------------- */

void tly_recompute_keep(struct tly_view_work *view, char *folder, int64_t run,
                        const struct tly_run_view_result *result) {
  view->kept = tly_realloc_array(view->kept, view->kept_count + 1, sizeof *view->kept);
  view->kept[view->kept_count++] = (struct tly_kept_groups){.folder = folder, .run = run};
  view->counts.folded += result->folded;
  view->counts.filtered += result->filtered;
  view->counts.set_aside += result->set_aside;
  view->set_aside = tly_realloc_array(view->set_aside, view->set_aside_count + result->set_aside_listed_count + 1,
                                      sizeof *view->set_aside);
  for (uint32_t i = 0; i < result->set_aside_listed_count; i++)
    view->set_aside[view->set_aside_count++] = result->set_aside_listed[i];
}

static void note(struct tly_recompute_work *work, const char *text) {
  tly_buffer_print(&work->note, "%s%s", work->note.size > 0 ? "; " : "", text);
}

static bool has_same_inputs(const struct tly_recompute_work *work, const struct tly_run_result *result) {
  return result->fold_version == TLY_FOLD_VERSION &&
         memcmp(&result->inputs, &work->job->inputs, sizeof result->inputs) == 0;
}

static uint64_t events_of(const struct tly_run_view_result *view) {
  return view->folded + view->filtered + view->set_aside;
}

/* ---- the base ---------------------------------------------------------------------------------------------------- */

/* What a view could be taken over from. */
struct base {
  const struct tly_run_result *run; /* NULL: nothing */
  const struct tly_run_view_result *view;
};

struct bases {
  struct base of[TLY_VIEWS_MAX];
  struct tly_run_result *runs; /* that were read, good or not */
  bool *is_sound;
  uint32_t run_count;
};

static void refuse_base(struct tly_recompute_work *work, int64_t run, const struct tly_error *why) {
  tly_log(TLY_LOG_WARN, "run not taken over", "run=%" PRId64 " error=\"%s\"", run, why->message);
  note(work, tly_arena_print(&work->arena, "run %" PRId64 " was not taken over: %s", run, why->message));
}

/* The run as its manifest has it, read and verified once; NULL when it is damaged. */
static const struct tly_run_result *read_base(struct tly_recompute_work *work, struct bases *bases,
                                              const struct tly_run_base *wanted) {
  struct tly_error error;
  for (uint32_t i = 0; i < bases->run_count; i++)
    if (bases->runs[i].run == wanted->run)
      return bases->is_sound[i] ? &bases->runs[i] : NULL;
  struct tly_run_result *run = &bases->runs[bases->run_count];
  const char *folder = tly_arena_print(&work->arena, "%s/runs/%" PRId64, work->job->directory, wanted->run);
  bool is_sound = tly_manifest_read(folder, &wanted->manifest, &work->arena, run, &error) == TLY_OK;
  if (!is_sound)
    refuse_base(work, wanted->run, &error);
  run->run = wanted->run;
  bases->is_sound[bases->run_count++] = is_sound;
  return is_sound ? run : NULL;
}

static struct base find_base(struct tly_recompute_work *work, struct bases *bases, uint32_t view) {
  const struct tly_recompute_job *job = work->job;
  if (job->bases[view].run == 0)
    return (struct base){.run = NULL};
  const struct tly_run_result *run = read_base(work, bases, &job->bases[view]);
  if (run == NULL || !has_same_inputs(work, run))
    return (struct base){.run = NULL};
  for (uint32_t i = 0; i < run->view_count; i++) {
    const struct tly_run_view_result *found = &run->views[i];
    if (strcmp(found->view, job->views[view]->name) == 0 && found->base_count < TLY_RUN_BASES_MAX &&
        memcmp(&found->definition_hash, &job->views[view]->hash, sizeof found->definition_hash) == 0)
      return (struct base){.run = run, .view = found};
  }
  return (struct base){.run = NULL};
}

static void find_bases(struct tly_recompute_work *work, struct bases *bases) {
  const struct tly_recompute_job *job = work->job;
  memset(bases, 0, sizeof *bases);
  if (job->is_full || job->bases == NULL)
    return;
  bases->runs = TLY_ARENA_ARRAY(&work->arena, struct tly_run_result, job->view_count);
  bases->is_sound = TLY_ARENA_ARRAY(&work->arena, bool, job->view_count);
  for (uint32_t v = 0; v < job->view_count; v++)
    bases->of[v] = find_base(work, bases, v);
}

/* ---- the list of blocks ------------------------------------------------------------------------------------------ */

/* Where the list of a stream begins: at the oldest base of its views, which is below the others on every partition;
 * at the archive's beginning when a view has none. */
static void find_start(struct tly_recompute_work *work, const struct bases *bases, uint32_t stream,
                       struct tly_plan_start *start) {
  const struct base *oldest = NULL;
  *start = (struct tly_plan_start){0};
  work->events_before[stream] = 0;
  for (uint32_t v = 0; v < work->job->view_count; v++) {
    const struct base *base = &bases->of[v];
    if (work->views[v].stream != stream)
      continue;
    if (base->run == NULL)
      return;
    if (oldest == NULL || base->run->run < oldest->run->run)
      oldest = base;
  }
  if (oldest == NULL)
    return;
  *start = (struct tly_plan_start){.positions = oldest->run->positions, .position_count = oldest->run->position_count};
  work->events_before[stream] = events_of(oldest->view);
}

static enum tly_status list_blocks(struct tly_recompute_work *work, const struct bases *bases,
                                   tly_archive_reader *reader, struct tly_error *error) {
  const struct tly_recompute_job *job = work->job;
  uint32_t streams = job->project->stream_count;
  bool *wanted = tly_calloc(streams, sizeof *wanted);
  struct tly_plan_start *starts = tly_calloc(streams, sizeof *starts);
  for (uint32_t s = 0; s < streams; s++) {
    wanted[s] = work->wanted[s] != NULL;
    find_start(work, bases, s, &starts[s]);
  }
  enum tly_status status = tly_recompute_plan_init(&work->plan, reader, job->project, job->cut, wanted, starts, error);
  tly_free(wanted);
  tly_free(starts);
  return status;
}

/* Whether the archive has this running hash before the event at position->next_offset. */
static bool has_chain(const struct tly_recompute_work *work, uint32_t stream, const struct tly_position *position) {
  const struct tly_recompute_plan *plan = &work->plan;
  const struct tly_cut *cut = work->job->cut;
  uint32_t i = tly_recompute_plan_find(plan, stream, position->partition, position->next_offset);
  const struct tly_planned_block *block = i < plan->block_count ? &plan->blocks[i] : NULL;
  if (block != NULL && block->stream == stream && block->ref.partition == position->partition)
    return block->ref.first_offset == position->next_offset &&
           memcmp(&block->ref.chain_before, &position->chain, sizeof position->chain) == 0;
  for (uint32_t p = 0; p < cut->position_count; p++)
    if (cut->positions[p].partition == position->partition && strcmp(cut->positions[p].stream, position->stream) == 0)
      return cut->positions[p].next_offset == position->next_offset &&
             memcmp(&cut->positions[p].chain, &position->chain, sizeof position->chain) == 0;
  return position->next_offset == 0;
}

static enum tly_status check_bases(const struct tly_recompute_work *work, const struct bases *bases,
                                   struct tly_error *error) {
  for (uint32_t v = 0; v < work->job->view_count; v++) {
    const struct tly_run_result *run = bases->of[v].run;
    const char *stream = work->views[v].view->stream->name;
    for (uint32_t p = 0; run != NULL && p < run->position_count; p++)
      if (strcmp(run->positions[p].stream, stream) == 0 && !has_chain(work, work->views[v].stream, &run->positions[p]))
        return TLY_FAIL(error, TLY_E_CORRUPT,
                        "the archive of stream %s, partition %" PRIu32 " is another one than run %" PRId64
                        " was computed from",
                        stream, run->positions[p].partition, run->run);
  }
  return TLY_OK;
}

/* The list, beginning at the bases; at the archive's beginning when they do not fit it. */
static enum tly_status list_from_bases(struct tly_recompute_work *work, struct bases *bases, tly_archive_reader *reader,
                                       struct tly_error *error) {
  struct tly_error why;
  enum tly_status status = list_blocks(work, bases, reader, &why);
  if (status == TLY_OK && (status = check_bases(work, bases, &why)) == TLY_OK)
    return TLY_OK;
  if (work->plan.stream_events != NULL)
    tly_recompute_plan_free(&work->plan);
  for (uint32_t v = 0; status == TLY_E_CORRUPT && v < work->job->view_count; v++)
    if (bases->of[v].run != NULL) {
      refuse_base(work, bases->of[v].run->run, &why);
      memset(bases->of, 0, sizeof bases->of);
      return list_blocks(work, bases, reader, error);
    }
  if (error != NULL)
    *error = why;
  return status;
}

static int64_t end_at(const struct tly_run_result *run, const char *stream, uint32_t partition) {
  for (uint32_t p = 0; p < run->position_count; p++)
    if (run->positions[p].partition == partition && strcmp(run->positions[p].stream, stream) == 0)
      return run->positions[p].next_offset;
  return 0;
}

static void take_base(struct tly_recompute_work *work, const struct base *base, uint32_t number) {
  struct tly_view_work *view = &work->views[number];
  struct tly_buffer folder = {0};
  for (uint32_t i = 0; i < work->plan.block_count; i++) {
    struct tly_planned_block *block = &work->plan.blocks[i];
    if (block->stream == view->stream &&
        block->ref.first_offset < end_at(base->run, view->view->stream->name, block->ref.partition))
      tly_planned_block_cover(block, number);
  }
  view->base = base->run->run;
  view->base_count = base->view->base_count + 1;
  tly_buffer_print(&folder, "%s/runs/%" PRId64, work->job->directory, base->run->run);
  tly_recompute_keep(view, tly_strdup(tly_buffer_text(&folder)), base->run->run, base->view);
  tly_buffer_free(&folder);
}

/* ---- partial results --------------------------------------------------------------------------------------------- */

/* The blocks that tile a range, none of them covered for the view: *first .. *end - 1. */
static bool find_range(const struct tly_recompute_work *work, uint32_t number, const struct tly_log_range *range,
                       uint32_t *first, uint32_t *end) {
  const struct tly_recompute_plan *plan = &work->plan;
  uint32_t stream = work->views[number].stream;
  int64_t offset = range->first_offset;
  tly_chain chain = range->chain_before;
  *first = *end = tly_recompute_plan_find(plan, stream, range->partition, offset);
  while (offset < range->next_offset) {
    const struct tly_planned_block *block = &plan->blocks[*end];
    if (*end == plan->block_count || block->stream != stream || block->ref.partition != range->partition ||
        block->ref.first_offset != offset || memcmp(&block->ref.chain_before, &chain, sizeof chain) != 0 ||
        tly_planned_block_is_covered(block, number))
      return false;
    offset += block->ref.event_count;
    chain = block->ref.chain_after;
    ++*end;
  }
  return offset == range->next_offset && memcmp(&chain, &range->chain_after, sizeof chain) == 0;
}

/* The number of the view that a partial result is of; view_count when the run does not have it. */
static uint32_t view_of(const struct tly_recompute_work *work, const struct tly_run_result *partial) {
  const struct tly_recompute_job *job = work->job;
  for (uint32_t v = 0; v < job->view_count; v++)
    if (strcmp(job->views[v]->name, partial->views[0].view) == 0)
      return v;
  return job->view_count;
}

static bool fits(const struct tly_recompute_work *work, const struct tly_run_result *partial, uint32_t view) {
  const struct tly_run_view_result *result = &partial->views[0];
  uint64_t events = 0;
  uint32_t first, end;
  if (!has_same_inputs(work, partial) ||
      memcmp(&result->definition_hash, &work->job->views[view]->hash, sizeof result->definition_hash) != 0)
    return false;
  for (uint32_t r = 0; r < partial->range_count; r++) {
    if (!find_range(work, view, &partial->ranges[r], &first, &end))
      return false;
    events += (uint64_t)(partial->ranges[r].next_offset - partial->ranges[r].first_offset);
  }
  return events == events_of(result);
}

static void remove_or_warn(const char *directory, const char *name) {
  struct tly_error error;
  if (tly_partial_remove(directory, name, &error) != TLY_OK)
    tly_log(TLY_LOG_WARN, "folder not removed", "error=\"%s\"", error.message);
}

static void take_partial(struct tly_recompute_work *work, const char *name, uint64_t *events) {
  const char *directory = work->job->directory, *folder;
  struct tly_run_result partial;
  struct tly_error error;
  uint32_t first, end;
  enum tly_status status = tly_partial_read(directory, name, &work->arena, &partial, &error);
  uint32_t view = status == TLY_OK ? view_of(work, &partial) : 0;
  if (status == TLY_OK && (view == work->job->view_count || !fits(work, &partial, view)))
    return;
  if (status == TLY_OK)
    status = tly_partial_verify(directory, name, &work->arena, &partial, &folder, &error);
  if (status != TLY_OK) {
    tly_log(TLY_LOG_WARN, "partial result of no use", "error=\"%s\"", error.message);
    remove_or_warn(directory, name);
    return;
  }
  for (uint32_t r = 0; r < partial.range_count; r++) {
    bool is_tiled = find_range(work, view, &partial.ranges[r], &first, &end);
    TLY_ASSERT(is_tiled);
    for (uint32_t i = first; i < end; i++)
      tly_planned_block_cover(&work->plan.blocks[i], view);
  }
  *events += events_of(&partial.views[0]);
  tly_recompute_keep(&work->views[view], tly_strdup(folder), partial.run, &partial.views[0]);
}

/* A full run makes its own: those of its views that there are would only be in the way of the next one. */
static void drop_partial(struct tly_recompute_work *work, const char *name) {
  struct tly_run_result partial;
  if (tly_partial_read(work->job->directory, name, &work->arena, &partial, NULL) != TLY_OK ||
      view_of(work, &partial) < work->job->view_count)
    remove_or_warn(work->job->directory, name);
}

static enum tly_status take_partials(struct tly_recompute_work *work, struct tly_error *error) {
  char **names;
  size_t count;
  uint64_t events = 0;
  TLY_TRY(tly_partial_list(work->job->directory, &names, &count, error));
  for (size_t i = 0; i < count; i++)
    if (work->job->is_full)
      drop_partial(work, names[i]);
    else
      take_partial(work, names[i], &events);
  tly_file_list_free(names, count);
  if (events > 0) {
    note(work, tly_arena_print(&work->arena, "%" PRIu64 " events were taken over from a run that did not end", events));
    tly_log(TLY_LOG_INFO, "partial results taken over", "run=%" PRId64 " events=%" PRIu64, work->job->cut->number,
            events);
  }
  return TLY_OK;
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

/* A block is read if some view of its stream has to fold it. */
static void find_needed(struct tly_recompute_work *work) {
  for (uint32_t i = 0; i < work->plan.block_count; i++) {
    struct tly_planned_block *block = &work->plan.blocks[i];
    block->is_needed = false;
    for (uint32_t v = 0; v < work->job->view_count && !block->is_needed; v++)
      block->is_needed = work->views[v].stream == block->stream && !tly_planned_block_is_covered(block, v);
  }
}

static enum tly_status make_plan(struct tly_recompute_work *work, tly_archive_reader *reader, struct tly_error *error) {
  struct bases bases;
  find_bases(work, &bases);
  TLY_TRY(list_from_bases(work, &bases, reader, error));
  for (uint32_t v = 0; v < work->job->view_count; v++)
    if (bases.of[v].run != NULL)
      take_base(work, &bases.of[v], v);
  enum tly_status status = take_partials(work, error);
  if (status != TLY_OK) {
    tly_recompute_plan_free(&work->plan);
    return status;
  }
  find_needed(work);
  tly_recompute_plan_share_out(&work->plan, work->job->threads);
  return TLY_OK;
}

enum tly_status tly_recompute_make_plan(struct tly_recompute_work *work, struct tly_error *error) {
  const struct tly_recompute_job *job = work->job;
  tly_archive_reader *own = NULL;
  if (job->archive == NULL)
    TLY_TRY(tly_archive_reader_open(job->directory, job->project, &own, error));
  enum tly_status status = make_plan(work, own != NULL ? own : job->archive, error);
  tly_archive_reader_close(own);
  return status;
}

/* ---- between runs ------------------------------------------------------------------------------------------------ */

/* The newest ready run of the view under this definition; NULL when there is none. `runs` ascend. */
static const struct tly_run *newest_run(const struct tly_run *runs, uint32_t count, const char *view,
                                        const struct tly_hash *definition) {
  for (uint32_t r = count; r-- > 0;)
    for (uint32_t v = 0; v < runs[r].view_count; v++)
      if (strcmp(runs[r].views[v].view, view) == 0 &&
          memcmp(&runs[r].views[v].definition_hash, definition, sizeof *definition) == 0)
        return &runs[r];
  return NULL;
}

enum tly_status tly_recompute_find_bases(tly_batch_reader *reader, const struct tly_view *const *views,
                                         uint32_t view_count, struct tly_run_base *bases, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_run *runs;
  uint32_t count;
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_ready(reader, 0, &arena, &runs, &count, error);
  for (uint32_t v = 0; status == TLY_OK && v < view_count; v++) {
    const struct tly_run *run = newest_run(runs, count, views[v]->name, &views[v]->hash);
    bases[v] = (struct tly_run_base){.run = 0};
    if (run != NULL)
      bases[v] = (struct tly_run_base){.run = run->id, .manifest = run->manifest};
  }
  tly_arena_free(&arena);
  return status;
}

static bool is_of_use(const char *directory, const char *name, const struct tly_project *project,
                      const struct tly_run *runs, uint32_t run_count, struct tly_arena *arena) {
  struct tly_run_result partial;
  if (tly_partial_read(directory, name, arena, &partial, NULL) != TLY_OK)
    return false;
  const struct tly_run_view_result *result = &partial.views[0];
  const struct tly_view *view = tly_project_view(project, result->view);
  if (view == NULL || memcmp(&view->hash, &result->definition_hash, sizeof view->hash) != 0)
    return false;
  const struct tly_run *newest = newest_run(runs, run_count, view->name, &view->hash);
  return newest == NULL || newest->id < partial.run; /* what it was made for may still come */
}

enum tly_status tly_recompute_tidy_partials(const char *directory, const struct tly_project *project,
                                            tly_batch_reader *reader, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_run *runs;
  uint32_t run_count;
  char **names;
  size_t count;
  TLY_TRY(tly_partial_list(directory, &names, &count, error));
  tly_arena_init(&arena);
  enum tly_status status = count > 0 ? tly_batch_reader_ready(reader, 0, &arena, &runs, &run_count, error) : TLY_OK;
  for (size_t i = 0; status == TLY_OK && i < count; i++)
    if (!is_of_use(directory, names[i], project, runs, run_count, &arena))
      remove_or_warn(directory, names[i]);
  tly_arena_free(&arena);
  tly_file_list_free(names, count);
  return status;
}
