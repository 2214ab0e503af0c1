/* An export plans first, then reads. The plan is a range of offsets for each partition, with the archive's running hash
 * at both its ends; it ends at the heads of that moment or at a cut. Reading goes through the blocks of a partition in
 * offset order, a list of some hundred at a time: between two lists the archiver may seal files and thereby cut the
 * same events into other blocks, so a list may begin inside one.
 *
 * INVARIANTS
 *   (1) Offsets tile: the events written of a partition are first_offset, first_offset + 1, ... next_offset - 1, less
 *       those outside the time range. A list tiles by the reader's own check; where a list begins, the hash of the
 * events before is compared with the one that was held there; at the end with the planned one. So a block that is gone,
 *       or another one in its place, is an error and never fewer or other events.
 *   (2) Nothing is decided by bytes that no checksum covers: also a block that its time range leaves out is read,
 * without decoding, and its range compared (archive_reader.h). (3) The file gets its name after the last check. */
#include "common/archive/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive/checksum.h"
#include "common/archive/export_manifest.h"
#include "common/archive/export_output.h"
#include "common/archive/export_spelling.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

struct export {
  const struct tly_export_request *request;
  struct tly_export_summary *summary;
  struct tly_arena *arena; /* the caller's */
  struct tly_arena list_arena;
  tly_archive_reader *reader;
  struct tly_event_batch batch;
  bool wanted[TLY_COLUMNS_MAX];
  struct tly_export_spelling spelling;
  tly_export_output *output;
  uint64_t done, all; /* events */
};

/* ---- chains ------------------------------------------------------------------------------------------------------ */

/* The hash over all events before `offset`, which lies in the block or at its end. */
static enum tly_status chain_inside(struct export *export, const struct tly_block_ref *ref, int64_t offset,
                                    tly_chain *out, struct tly_error *error) {
  static const bool none[TLY_COLUMNS_MAX];
  TLY_ASSERT(offset >= ref->first_offset && offset <= ref->first_offset + ref->event_count);
  *out = offset == ref->first_offset ? ref->chain_before : ref->chain_after;
  if (offset == ref->first_offset || offset == ref->first_offset + ref->event_count)
    return TLY_OK;
  TLY_TRY(tly_archive_reader_read(export->reader, export->request->stream, ref, none, true, &export->batch, error));
  *out = ref->chain_before;
  for (uint32_t row = 0; row < (uint32_t)(offset - ref->first_offset); row++)
    *out = tly_chain_next(*out, export->batch.raw[row].data, export->batch.raw[row].size);
  return TLY_OK;
}

static enum tly_status missing(const struct export *export, uint32_t partition, int64_t offset,
                               struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT,
                  "the events of stream \"%s\" in %s do not continue at offset %" PRId64 " of partition %u",
                  export->request->stream->name, export->request->directory, offset, partition);
}

/* The same for any offset up to the head. */
static enum tly_status chain_at(struct export *export, const struct tly_position *head, int64_t offset, tly_chain *out,
                                struct tly_error *error) {
  struct tly_block_ref *refs;
  uint32_t count;
  memset(out, 0, sizeof *out);
  if (offset == head->next_offset)
    *out = head->chain;
  if (offset == 0 || offset == head->next_offset)
    return TLY_OK;
  tly_arena_reset(&export->list_arena);
  TLY_TRY(tly_archive_reader_blocks(export->reader, export->request->stream, head->partition, offset, INT64_MAX, 1,
                                    &export->list_arena, &refs, &count, error));
  if (count == 0)
    return missing(export, head->partition, offset, error);
  return chain_inside(export, &refs[0], offset, out, error);
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static const struct tly_position *cut_position(const struct export *export, const struct tly_cut *cut,
                                               uint32_t partition) {
  for (uint32_t i = 0; i < cut->position_count; i++)
    if (cut->positions[i].partition == partition &&
        strcmp(cut->positions[i].stream, export->request->stream->name) == 0)
      return &cut->positions[i];
  return NULL;
}

/* Where a partition ends: at its head, at the cut, or at to_offset. */
static enum tly_status find_end(struct export *export, const struct tly_position *head, const struct tly_cut *cut,
                                struct tly_export_partition *out, struct tly_error *error) {
  const struct tly_position *position = cut == NULL ? NULL : cut_position(export, cut, head->partition);
  out->next_offset = head->next_offset;
  if (export->request->to_offset < out->next_offset)
    out->next_offset = export->request->to_offset;
  if (cut != NULL)
    out->next_offset = position == NULL ? 0 : position->next_offset;
  if (out->next_offset > head->next_offset)
    return TLY_FAIL(error, TLY_E_CORRUPT, "events of stream \"%s\" before cut %" PRId64 " are missing at its end",
                    head->stream, cut->number);
  TLY_TRY(chain_at(export, head, out->next_offset, &out->chain_next, error));
  if (position != NULL && !tly_hash_equal(out->chain_next, position->chain))
    return TLY_FAIL(error, TLY_E_CORRUPT,
                    "the events of stream \"%s\" before cut %" PRId64 " are not those it was made of (partition %u)",
                    head->stream, cut->number, head->partition);
  return TLY_OK;
}

static enum tly_status plan_partition(struct export *export, const struct tly_position *head, const struct tly_cut *cut,
                                      struct tly_error *error) {
  struct tly_export_partition *out = &export->summary->partitions[export->summary->partition_count++];
  *out = (struct tly_export_partition){.partition = head->partition};
  TLY_TRY(find_end(export, head, cut, out, error));
  out->first_offset = export->request->from_offset;
  if (out->first_offset > out->next_offset)
    out->first_offset = out->next_offset;
  export->all += (uint64_t)(out->next_offset - out->first_offset);
  return chain_at(export, head, out->first_offset, &out->chain_first, error);
}

static int compare_partitions(const void *a, const void *b) {
  const struct tly_position *left = a, *right = b;
  return left->partition < right->partition ? -1 : left->partition > right->partition;
}

/* The heads of the stream's partitions that are wanted, moved to the front, ascending. */
static uint32_t keep_wanted(const struct export *export, struct tly_position *heads, uint32_t count) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(heads[i].stream, export->request->stream->name) == 0 &&
        (export->request->partition < 0 || heads[i].partition == export->request->partition))
      heads[kept++] = heads[i];
  if (kept > 1)
    qsort(heads, kept, sizeof *heads, compare_partitions);
  return kept;
}

/* A range that no partition reaches is a slip, not an empty export. (Behind the last event is where the next export of
 * a series begins.) */
static enum tly_status check_range(const struct export *export, const struct tly_position *heads, uint32_t count,
                                   struct tly_error *error) {
  const struct tly_export_request *request = export->request;
  int64_t end = 0;
  if (request->partition >= 0 && count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "stream \"%s\" has no events in partition %" PRId64,
                    request->stream->name, request->partition);
  for (uint32_t i = 0; i < count; i++)
    end = heads[i].next_offset > end ? heads[i].next_offset : end;
  int64_t asked = request->to_offset < INT64_MAX ? request->to_offset : request->from_offset;
  if (asked > end)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                    "stream \"%s\" ends at offset %" PRId64 ", before the offset %" PRId64 " that was asked for",
                    request->stream->name, end, asked);
  return TLY_OK;
}

static enum tly_status check_request(const struct tly_export_request *request, struct tly_error *error) {
  TLY_ASSERT(request->cut == 0 || request->to_offset == INT64_MAX);
  TLY_ASSERT(request->from_offset >= 0 && request->to_offset >= 0);
  if (request->from_offset > request->to_offset)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "offsets from %" PRId64 " to %" PRId64 " are no range",
                    request->from_offset, request->to_offset);
  if ((request->has_from || request->has_to) && request->stream->event_time < 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "stream \"%s\" has no event time to choose by",
                    request->stream->name);
  if (request->has_from && request->has_to && request->from_us > request->to_us)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the time range ends before it begins");
  return TLY_OK;
}

static enum tly_status plan(struct export *export, struct tly_error *error) {
  struct tly_position *heads;
  struct tly_cut cut;
  uint32_t count;
  if (export->request->cut > 0)
    TLY_TRY(tly_archive_reader_cut(export->reader, export->request->cut, export->arena, &cut, error));
  TLY_TRY(tly_archive_reader_heads(export->reader, export->arena, &heads, &count, error));
  count = keep_wanted(export, heads, count);
  TLY_TRY(check_range(export, heads, count, error));
  export->summary->partitions = TLY_ARENA_ARRAY(export->arena, struct tly_export_partition, count + 1);
  for (uint32_t i = 0; i < count; i++)
    TLY_TRY(plan_partition(export, &heads[i], export->request->cut > 0 ? &cut : NULL, error));
  return TLY_OK;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* Whether no event of the block can be in the time range. */
static bool is_left_out(const struct tly_export_request *request, const struct tly_block_ref *ref) {
  if (!request->has_from && !request->has_to)
    return false;
  return !ref->has_time || (request->has_from && ref->time_max_us < request->from_us) ||
         (request->has_to && ref->time_min_us >= request->to_us);
}

/* Whether the event is in the time range; its time goes into the summary then. */
static bool takes(struct export *export, uint32_t row) {
  const struct tly_export_request *request = export->request;
  struct tly_export_summary *summary = export->summary;
  bool is_ranged = request->has_from || request->has_to;
  if (request->stream->event_time < 0)
    return true;
  const struct tly_vector *times = &export->batch.columns[request->stream->event_time];
  if (tly_vector_is_null(times, row))
    return !is_ranged;
  int64_t time_us = times->i64[row] * (times->type.id == TLY_TYPE_DATE ? TLY_US_PER_DAY : 1);
  if ((request->has_from && time_us < request->from_us) || (request->has_to && time_us >= request->to_us))
    return false;
  if (!summary->has_time || time_us < summary->time_min_us)
    summary->time_min_us = time_us;
  if (!summary->has_time || time_us > summary->time_max_us)
    summary->time_max_us = time_us;
  summary->has_time = true;
  return true;
}

/* The events `first` .. `last` - 1 of the batch that was read. */
static enum tly_status export_rows(struct export *export, struct tly_export_partition *partition, int64_t batch_offset,
                                   uint32_t first, uint32_t last, struct tly_error *error) {
  struct tly_buffer *out = tly_export_output_pending(export->output);
  bool is_begun = false;
  for (uint32_t row = first; row < last; row++) {
    int64_t offset = batch_offset + row;
    if (!takes(export, row))
      continue;
    if (!is_begun)
      TLY_TRY(tly_export_spelling_batch(&export->spelling, &export->batch, partition->partition, offset, out, error));
    is_begun = true;
    tly_export_spelling_event(&export->spelling, &export->batch, row, partition->partition, offset, out);
    partition->events++;
    if (out->size >= TLY_EXPORT_CHUNK_BYTES)
      TLY_TRY(tly_export_output_drain(export->output, error));
  }
  return TLY_OK;
}

/* The events of a block from `next` to the partition's end. */
static enum tly_status export_block(struct export *export, struct tly_export_partition *partition,
                                    const struct tly_block_ref *ref, int64_t next, struct tly_error *error) {
  static const bool none[TLY_COLUMNS_MAX];
  const struct tly_export_request *request = export->request;
  bool left_out = is_left_out(request, ref);
  int64_t end = ref->first_offset + ref->event_count;
  if (end > partition->next_offset)
    end = partition->next_offset;
  TLY_TRY(tly_archive_reader_read(export->reader, request->stream, ref, left_out ? none : export->wanted,
                                  !left_out && request->form == TLY_EXPORT_RAW, &export->batch, error));
  if (!left_out)
    TLY_TRY(export_rows(export, partition, ref->first_offset, (uint32_t)(next - ref->first_offset),
                        (uint32_t)(end - ref->first_offset), error));
  export->done += (uint64_t)(end - next);
  if (request->progress != NULL)
    request->progress(request->context, export->done, export->all);
  return TLY_OK;
}

/* One list of blocks, from *next on; *chain is the hash there, before and after. */
static enum tly_status export_list(struct export *export, struct tly_export_partition *partition, int64_t *next,
                                   tly_chain *chain, struct tly_error *error) {
  struct tly_block_ref *refs;
  tly_chain found;
  uint32_t count;
  tly_arena_reset(&export->list_arena);
  TLY_TRY(tly_archive_reader_blocks(export->reader, export->request->stream, partition->partition, *next, INT64_MAX,
                                    TLY_EXPORT_BLOCKS_LISTED, &export->list_arena, &refs, &count, error));
  if (count == 0)
    return missing(export, partition->partition, *next, error);
  TLY_TRY(chain_inside(export, &refs[0], *next, &found, error));
  if (!tly_hash_equal(found, *chain))
    return missing(export, partition->partition, *next, error);
  for (uint32_t i = 0; i < count && *next < partition->next_offset; i++) {
    int64_t end = refs[i].first_offset + refs[i].event_count;
    TLY_TRY(export_block(export, partition, &refs[i], *next, error));
    *chain = refs[i].chain_after;
    if (end > partition->next_offset)
      TLY_TRY(chain_inside(export, &refs[i], partition->next_offset, chain, error));
    *next = end < partition->next_offset ? end : partition->next_offset;
  }
  return TLY_OK;
}

static enum tly_status export_partition(struct export *export, struct tly_export_partition *partition,
                                        struct tly_error *error) {
  int64_t next = partition->first_offset;
  tly_chain chain = partition->chain_first;
  while (next < partition->next_offset)
    TLY_TRY(export_list(export, partition, &next, &chain, error));
  if (!tly_hash_equal(chain, partition->chain_next))
    return missing(export, partition->partition, next, error);
  export->summary->events += partition->events;
  return TLY_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static enum tly_status write_events(struct export *export, const char *path, struct tly_error *error) {
  TLY_TRY(tly_export_output_open(path, export->request->is_compressed, &export->output, error));
  tly_export_spelling_begin(&export->spelling, tly_export_output_pending(export->output));
  for (uint32_t i = 0; i < export->summary->partition_count; i++)
    TLY_TRY(export_partition(export, &export->summary->partitions[i], error));
  return tly_export_output_finish(export->output, &export->summary->content, &export->summary->file, error);
}

/* The manifest of an older export must not stand beside a newer file, not even between two calls. The folder's sync
 * after the manifest makes both names durable. */
static enum tly_status publish(struct export *export, const char *path, struct tly_error *error) {
  struct tly_buffer text = {0};
  char *manifest = tly_export_manifest_path(path);
  enum tly_status status = TLY_OK;
  if (unlink(manifest) != 0 && errno != ENOENT)
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", manifest);
  if (status == TLY_OK)
    status = tly_export_output_publish(export->output, error);
  if (status == TLY_OK) {
    tly_export_manifest_print(export->request, export->summary, &text);
    status = tly_file_replace(manifest, text.data, text.size, error);
  }
  tly_buffer_free(&text);
  tly_free(manifest);
  return status;
}

static enum tly_status run(struct export *export, const char *path, struct tly_error *error) {
  const struct tly_export_request *request = export->request;
  TLY_TRY(tly_archive_reader_open(request->directory, request->project, &export->reader, error));
  TLY_TRY(tly_export_spelling_init(&export->spelling, request, export->arena, error));
  tly_export_spelling_want(&export->spelling, export->wanted);
  if (request->stream->event_time >= 0)
    export->wanted[request->stream->event_time] = true;
  TLY_TRY(plan(export, error));
  TLY_TRY(write_events(export, path, error));
  return path == NULL ? TLY_OK : publish(export, path, error);
}

enum tly_status tly_archive_export(const struct tly_export_request *request, const char *path, struct tly_arena *arena,
                                   struct tly_export_summary *summary, struct tly_error *error) {
  struct export export = {.request = request, .summary = summary, .arena = arena};
  *summary = (struct tly_export_summary){0};
  TLY_TRY(check_request(request, error));
  tly_arena_init(&export.list_arena);
  tly_event_batch_init(&export.batch, request->stream);
  enum tly_status status = run(&export, path, error);
  tly_export_output_close(export.output);
  tly_export_spelling_free(&export.spelling);
  tly_archive_reader_close(export.reader);
  tly_event_batch_free(&export.batch);
  tly_arena_free(&export.list_arena);
  return status;
}
