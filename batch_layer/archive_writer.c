/* What is where. index.db names the files of each stream; the active one with the highest number is appended to. Older
 * active ones wait to be sealed: seal.c rewrites one at a time into a new file beside, and only when that is complete
 * and synced is the index switched to it, in one transaction, and the old file deleted after. So at any moment the
 * index names each event exactly once.
 *
 * A kill can leave: *.tmp (an unfinished copy: deleted), a sealed copy that the index does not name yet (its meta row
 * `replaces` names a file that the index still has: deleted, the work is done again), an empty new active file
 * (replaced), and a replaced file that is not deleted yet (deleted). Any other file that the index does not name is
 * reported and left alone: damage never leads to deletion.
 *
 * A failed sync leaves the marker <number>.db.failed. The next start then gives the stream a new active file; the
 * spoilt one is read, block by block verified, into a sealed copy like any other, and the archiver takes no events
 * before that is done.
 *
 * INVARIANTS (check_invariants)
 *   (1) `broken` is never cleared: after a failed sync the way back is a new process.
 *   (2) A partition's end never moves back, but for a rollback to where the last commit left it.
 *   (3) generation = 1 + the last cut's number. */
#include "batch_layer/archive_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch_layer/archive_index.h"
#include "batch_layer/pending_block.h"
#include "batch_layer/stream_record.h"
#include "batch_layer/write_failure.h"
#include "common/archive/checksum.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"

extern const char tly_schema_archive[];

enum { DIRECT_EVENTS_MIN = 4096 /* a batch of so many is a block of its own, not copied */ };

struct end {
  int64_t next_offset;
  tly_chain chain;
};

struct partition_state {
  uint32_t number;
  struct end committed, pending;
};

struct stream_state {
  const struct tly_stream *stream;
  struct tly_active_file *active;
  struct tly_index_segment *segments; /* as in the index */
  uint32_t segment_count;
  struct partition_state *partitions;
  uint32_t partition_count;
};

struct tly_archive_writer {
  char *directory;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_archive_index *index;
  struct stream_state *streams; /* one a stream of the project */
  struct stream_state *group;   /* the stream of the open group, or NULL */
  struct tly_pending_block pending;
  int64_t group_time_us;
  int64_t generation;
  bool broken;
};

static void check_invariants(const struct tly_archive_writer *writer) {
  TLY_ASSERT(writer->generation > 0);
  if (writer->group == NULL)
    return;
  for (uint32_t i = 0; i < writer->group->partition_count; i++) {
    const struct partition_state *partition = &writer->group->partitions[i];
    TLY_ASSERT(partition->pending.next_offset >= partition->committed.next_offset);
  }
}

static enum tly_status refuse_broken(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_IO, "the archive could not be written; the archiver is restarting");
}

static struct stream_state *state_of(const struct tly_archive_writer *writer, const struct tly_stream *stream) {
  for (uint32_t s = 0; s < writer->project->stream_count; s++)
    if (writer->streams[s].stream == stream)
      return &writer->streams[s];
  TLY_UNREACHABLE();
}

static struct partition_state *partition_state(struct stream_state *state, uint32_t number) {
  for (uint32_t i = 0; i < state->partition_count; i++)
    if (state->partitions[i].number == number)
      return &state->partitions[i];
  state->partitions = tly_realloc_array(state->partitions, state->partition_count + 1, sizeof *state->partitions);
  struct partition_state *partition = &state->partitions[state->partition_count++];
  memset(partition, 0, sizeof *partition);
  partition->number = number;
  return partition;
}

static void break_active(struct tly_archive_writer *writer, const struct stream_state *state) {
  char *marker = tly_archive_file_path(writer->directory, state->stream->name, state->active->number, ".failed");
  tly_failure_leave_marker(marker);
  tly_failure_forbid_writing(state->active->database);
  tly_free(marker);
  writer->broken = true;
}

static void break_index(struct tly_archive_writer *writer) {
  tly_archive_index_condemn(writer->index);
  writer->broken = true;
}

/* ---- the index, in one transaction ------------------------------------------------------------------------------- */

static enum tly_status end_index(struct tly_archive_writer *writer, enum tly_status status, struct tly_error *error) {
  bool may_go_on;
  if (status == TLY_OK)
    status = tly_archive_index_commit(writer->index, &may_go_on, error);
  else
    tly_archive_index_rollback(writer->index, &may_go_on);
  if (!may_go_on)
    break_index(writer);
  return status;
}

static enum tly_status reload_segments(struct tly_archive_writer *writer, struct stream_state *state,
                                       struct tly_error *error) {
  tly_free(state->segments);
  state->segments = NULL;
  state->segment_count = 0;
  return tly_archive_index_segments(writer->index, state->stream->name, &state->segments, &state->segment_count, error);
}

static enum tly_status put_segment(struct tly_archive_writer *writer, struct stream_state *state,
                                   struct tly_index_segment segment, struct tly_error *error) {
  TLY_TRY(tly_archive_index_begin(writer->index, error));
  enum tly_status status = tly_archive_index_put_segment(writer->index, state->stream->name, segment, error);
  TLY_TRY(end_index(writer, status, error));
  return reload_segments(writer, state, error);
}

static int64_t highest_number(const struct stream_state *state) {
  return state->segment_count == 0 ? 0 : state->segments[state->segment_count - 1].number;
}

/* ---- files that a kill has left ---------------------------------------------------------------------------------- */

static enum tly_status delete_file(const struct tly_archive_writer *writer, const struct tly_stream *stream,
                                   int64_t number, struct tly_error *error) {
  /* The database goes first: who then looks for it finds nothing, and asks the index again. A database without its log
   * would pass for a whole one. */
  static const char *const suffixes[] = {"", "-wal", "-shm", ".failed"};
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    char *path = tly_archive_file_path(writer->directory, stream->name, number, suffixes[i]);
    int result = unlink(path);
    enum tly_status status =
        result == 0 || errno == ENOENT ? TLY_OK : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", path);
    tly_free(path);
    TLY_TRY(status);
  }
  return TLY_OK;
}

static enum tly_status delete_replaced(struct tly_archive_writer *writer, struct stream_state *state,
                                       struct tly_error *error) {
  for (uint32_t i = 0; i < state->segment_count; i++) {
    if (state->segments[i].state != 'r')
      continue;
    int64_t number = state->segments[i].number;
    TLY_TRY(delete_file(writer, state->stream, number, error));
    TLY_TRY(tly_archive_index_begin(writer->index, error));
    enum tly_status status = tly_archive_index_drop_segment(writer->index, state->stream->name, number, error);
    TLY_TRY(end_index(writer, status, error));
    TLY_TRY(reload_segments(writer, state, error));
    i = UINT32_MAX; /* the list has changed: from the start */
  }
  return TLY_OK;
}

static const struct tly_index_segment *segment_numbered(const struct stream_state *state, int64_t number) {
  for (uint32_t i = 0; i < state->segment_count; i++)
    if (state->segments[i].number == number)
      return &state->segments[i];
  return NULL;
}

/* Whether the file is a sealed copy of one that the index still has. */
static bool is_unfinished_copy(const struct stream_state *state, const char *path) {
  sqlite3 *database;
  struct tly_buffer value = {0};
  bool found = false;
  if (tly_sqlite_open(path, TLY_SQLITE_READER_SEALED, NULL, &database, NULL) != TLY_OK)
    return false;
  if (tly_sqlite_meta_get(database, "replaces", &value, &found, NULL) != TLY_OK)
    found = false;
  bool is_copy = found && segment_numbered(state, atoll(tly_buffer_text(&value))) != NULL;
  tly_buffer_free(&value);
  tly_sqlite_close(database);
  return is_copy;
}

static enum tly_status tidy_file(struct tly_archive_writer *writer, struct stream_state *state, const char *name,
                                 struct tly_error *error) {
  int64_t number = atoll(name);
  char *path = tly_archive_file_path(writer->directory, state->stream->name, number, "");
  enum tly_status status = TLY_OK;
  if (number <= 0 || segment_numbered(state, number) != NULL) {
    tly_free(path);
    return TLY_OK;
  }
  if (is_unfinished_copy(state, path)) {
    status = delete_file(writer, state->stream, number, error);
  } else if (number != highest_number(state) + 1) { /* that one is for tly_active_file_create to judge */
    tly_log(TLY_LOG_WARN, "the archive's index does not know a file; it is left alone", "file=\"%s\"", path);
  }
  tly_free(path);
  return status;
}

static enum tly_status tidy_folder(struct tly_archive_writer *writer, struct stream_state *state,
                                   struct tly_error *error) {
  char *folder = tly_archive_stream_folder(writer->directory, state->stream->name);
  char **names = NULL;
  size_t count = 0;
  enum tly_status status = tly_file_make_folder(folder, error);
  if (status == TLY_OK)
    status = tly_file_list(folder, ".tmp", &names, &count, error);
  for (size_t i = 0; i < count && status == TLY_OK; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    if (unlink(path) != 0)
      status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", path);
  }
  tly_file_list_free(names, count);
  names = NULL;
  count = 0;
  if (status == TLY_OK)
    status = tly_file_list(folder, ".db", &names, &count, error);
  for (size_t i = 0; i < count && status == TLY_OK; i++)
    status = tidy_file(writer, state, names[i], error);
  tly_file_list_free(names, count);
  tly_free(folder);
  return status;
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

static enum tly_status record_stream(struct tly_archive_writer *writer, struct stream_state *state,
                                     struct tly_error *error) {
  struct tly_buffer recorded = {0}, now = {0};
  bool found, added = false;
  enum tly_status status = tly_archive_index_definition(writer->index, state->stream->name, &recorded, &found, error);
  if (status == TLY_OK && found)
    status = tly_stream_record_compare(state->stream, tly_buffer_text(&recorded), &added, error);
  if (status == TLY_OK && (!found || added)) {
    tly_stream_record_write(state->stream, &now);
    status = tly_archive_index_begin(writer->index, error);
    if (status == TLY_OK)
      status = end_index(
          writer, tly_archive_index_put_stream(writer->index, state->stream, tly_buffer_text(&now), error), error);
  }
  tly_buffer_free(&recorded);
  tly_buffer_free(&now);
  return status;
}

static enum tly_status new_active(struct tly_archive_writer *writer, struct stream_state *state,
                                  struct tly_error *error) {
  struct tly_active_file *file;
  int64_t number = highest_number(state) + 1;
  TLY_TRY(tly_active_file_create(writer->directory, state->stream, number, tly_clock_now_us(writer->clock),
                                 state->active, &file, error));
  enum tly_status status =
      put_segment(writer, state, (struct tly_index_segment){.number = number, .state = 'a'}, error);
  if (status != TLY_OK) {
    tly_active_file_close(file);
    return status;
  }
  tly_active_file_retire(state->active);
  state->active = file;
  return TLY_OK;
}

static bool is_spoilt(const struct tly_archive_writer *writer, const struct tly_stream *stream, int64_t number) {
  char *marker = tly_archive_file_path(writer->directory, stream->name, number, ".failed");
  bool exists = tly_file_exists(marker);
  tly_free(marker);
  return exists;
}

/* Whether events can go on into the file: it is not spoilt, and has the stream's columns in their order. */
static enum tly_status may_append_to(const struct tly_archive_writer *writer, const struct stream_state *state,
                                     int64_t number, bool *may, struct tly_error *error) {
  struct tly_segment *segment;
  char *path = tly_archive_file_path(writer->directory, state->stream->name, number, "");
  *may = !is_spoilt(writer, state->stream, number);
  enum tly_status status = tly_segment_open(path, number, false, state->stream, &segment, error);
  tly_free(path);
  if (status != TLY_OK)
    return status;
  if (segment->file_stream.column_count != state->stream->column_count)
    *may = false;
  for (uint32_t c = 0; c < state->stream->column_count; c++)
    if (segment->file_column[c] != (int32_t)c)
      *may = false;
  tly_segment_close(segment);
  return TLY_OK;
}

/* A file that gets no more events, opened only for the replies its producers were given: as a writer, so that what a
 * kill left is synced before anybody builds on it, but for one that must not be written to. */
static enum tly_status open_for_replies(struct tly_archive_writer *writer, struct stream_state *state, int64_t number,
                                        struct tly_error *error) {
  struct tly_active_file *file = tly_calloc(1, sizeof *file);
  file->stream = state->stream;
  file->number = number;
  file->path = tly_archive_file_path(writer->directory, state->stream->name, number, "");
  enum tly_sqlite_role role = is_spoilt(writer, state->stream, number) ? TLY_SQLITE_READER : TLY_SQLITE_WRITER_FULL;
  enum tly_status status = tly_sqlite_open(file->path, role, tly_schema_archive, &file->database, error);
  if (status != TLY_OK) {
    tly_active_file_close(file);
    return status;
  }
  state->active = file;
  return TLY_OK;
}

static enum tly_status open_active(struct tly_archive_writer *writer, struct stream_state *state,
                                   struct tly_error *error) {
  int64_t number = 0;
  bool may_append;
  for (uint32_t i = 0; i < state->segment_count; i++)
    if (state->segments[i].state == 'a')
      number = state->segments[i].number;
  if (number == 0)
    return new_active(writer, state, error);
  TLY_TRY(may_append_to(writer, state, number, &may_append, error));
  if (may_append)
    return tly_active_file_open(writer->directory, state->stream, number, &state->active, error);
  TLY_TRY(open_for_replies(writer, state, number, error));
  return new_active(writer, state, error);
}

static enum tly_status ends_of_file(const struct tly_archive_writer *writer, struct stream_state *state,
                                    const struct tly_index_segment *named, struct tly_error *error) {
  struct tly_segment *segment;
  char *path = tly_archive_file_path(writer->directory, state->stream->name, named->number, "");
  enum tly_status status = tly_segment_open(path, named->number, named->state == 's', state->stream, &segment, error);
  tly_free(path);
  int64_t after = -1;
  bool found = true;
  while (status == TLY_OK && found) {
    uint32_t number;
    struct end end;
    status = tly_segment_next_partition(segment, after, &number, &found, error);
    if (status != TLY_OK || !found)
      break;
    status = tly_segment_end(segment, number, &end.next_offset, &end.chain, &found, error);
    struct partition_state *partition = partition_state(state, number);
    if (status == TLY_OK && end.next_offset > partition->committed.next_offset)
      partition->committed = partition->pending = end;
    after = number;
  }
  tly_segment_close(segment);
  return status;
}

static enum tly_status check_position(const struct stream_state *state, const struct tly_position *at_cut, int64_t cut,
                                      const struct end *end, struct tly_error *error) {
  if (end->next_offset > at_cut->next_offset ||
      (end->next_offset == at_cut->next_offset && tly_hash_equal(end->chain, at_cut->chain)))
    return TLY_OK;
  enum tly_status status = TLY_FAIL(
      error, TLY_E_CORRUPT, "the archive of stream \"%s\" ends at offset %lld of partition %u, but cut %lld is at %lld",
      state->stream->name, (long long)end->next_offset, at_cut->partition, (long long)cut,
      (long long)at_cut->next_offset);
  tly_error_hint(error, "Events that were acknowledged are missing. Restore the folder archive/ from a copy.");
  return status;
}

/* An archive that ends before its last cut has lost events: it is never appended to, lest their offsets be used again.
 */
static enum tly_status check_against_cut(const struct tly_archive_writer *writer, struct stream_state *state,
                                         struct tly_error *error) {
  struct tly_position *positions;
  uint32_t count;
  int64_t cut = writer->generation - 1;
  enum tly_status status =
      tly_archive_index_cut_positions(writer->index, cut, state->stream->name, &positions, &count, error);
  for (uint32_t i = 0; i < count && status == TLY_OK; i++)
    status =
        check_position(state, &positions[i], cut, &partition_state(state, positions[i].partition)->committed, error);
  tly_free(positions);
  return status;
}

static enum tly_status open_stream(struct tly_archive_writer *writer, struct stream_state *state,
                                   struct tly_error *error) {
  TLY_TRY(record_stream(writer, state, error));
  TLY_TRY(reload_segments(writer, state, error));
  TLY_TRY(delete_replaced(writer, state, error));
  TLY_TRY(tidy_folder(writer, state, error));
  TLY_TRY(open_active(writer, state, error));
  for (uint32_t i = 0; i < state->segment_count; i++)
    TLY_TRY(ends_of_file(writer, state, &state->segments[i], error));
  return check_against_cut(writer, state, error);
}

enum tly_status tly_archive_writer_open(const char *directory, const struct tly_project *project,
                                        const struct tly_clock *clock, tly_archive_writer **out,
                                        struct tly_error *error) {
  struct tly_archive_writer *writer = tly_calloc(1, sizeof *writer);
  *out = NULL;
  writer->directory = tly_strdup(directory);
  writer->project = project;
  writer->clock = clock;
  writer->streams = tly_calloc(project->stream_count + 1, sizeof *writer->streams);
  for (uint32_t s = 0; s < project->stream_count; s++)
    writer->streams[s].stream = &project->streams[s];
  enum tly_status status = tly_archive_index_open(directory, &writer->index, error);
  if (status == TLY_OK)
    status = tly_archive_index_last_cut(writer->index, &writer->generation, error);
  writer->generation++;
  for (uint32_t s = 0; s < project->stream_count && status == TLY_OK; s++)
    status = open_stream(writer, &writer->streams[s], error);
  if (status != TLY_OK) {
    tly_archive_writer_close(writer);
    return status;
  }
  check_invariants(writer);
  *out = writer;
  return TLY_OK;
}

void tly_archive_writer_close(tly_archive_writer *writer) {
  if (writer == NULL)
    return;
  tly_archive_writer_rollback(writer);
  for (uint32_t s = 0; s < writer->project->stream_count; s++) {
    tly_active_file_close(writer->streams[s].active);
    tly_free(writer->streams[s].segments);
    tly_free(writer->streams[s].partitions);
  }
  tly_pending_block_free(&writer->pending);
  tly_archive_index_close(writer->index);
  tly_free(writer->streams);
  tly_free(writer->directory);
  tly_free(writer);
}

bool tly_archive_writer_is_broken(const tly_archive_writer *writer) {
  return writer->broken;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

enum tly_status tly_archive_writer_begin(tly_archive_writer *writer, const struct tly_stream *stream,
                                         struct tly_error *error) {
  TLY_ASSERT(writer->group == NULL);
  if (writer->broken)
    return refuse_broken(error);
  struct stream_state *state = state_of(writer, stream);
  enum tly_status status = tly_active_file_begin(state->active, error);
  if (status != TLY_OK) {
    if (!tly_failure_is_harmless(state->active->database))
      break_active(writer, state);
    return status;
  }
  writer->group = state;
  writer->group_time_us = tly_clock_now_us(writer->clock);
  if (writer->pending.stream != stream) {
    tly_pending_block_free(&writer->pending);
    tly_pending_block_init(&writer->pending, stream);
  }
  tly_pending_block_clear(&writer->pending);
  return TLY_OK;
}

enum tly_status tly_archive_writer_check_sequence(tly_archive_writer *writer, const char *producer, int64_t sequence,
                                                  enum tly_sequence *verdict, struct tly_buffer *reply,
                                                  int64_t *expected, struct tly_error *error) {
  TLY_ASSERT(writer->group != NULL);
  return tly_active_file_check_sequence(writer->group->active, producer, sequence, verdict, reply, expected, error);
}

static enum tly_status add_block(struct tly_archive_writer *writer, uint32_t partition, struct tly_raw_source source,
                                 struct tly_error *error) {
  struct partition_state *state = partition_state(writer->group, partition);
  struct tly_new_block block = {.partition = partition,
                                .generation = writer->generation,
                                .first_offset = state->pending.next_offset,
                                .appended_at_us = writer->group_time_us,
                                .chain_before = state->pending.chain,
                                .source = source};
  TLY_TRY(tly_block_writer_add(&writer->group->active->blocks, &block, &state->pending.chain, error));
  state->pending.next_offset += source.count;
  return TLY_OK;
}

static enum tly_status flush_pending(struct tly_archive_writer *writer, struct tly_error *error) {
  if (writer->pending.count == 0)
    return TLY_OK;
  TLY_TRY(add_block(writer, writer->pending.partition, tly_pending_block_source(&writer->pending), error));
  tly_pending_block_clear(&writer->pending);
  return TLY_OK;
}

enum tly_status tly_archive_writer_append(tly_archive_writer *writer, uint32_t partition,
                                          const struct tly_event_batch *batch, enum tly_format format,
                                          struct tly_text header, struct tly_error *error) {
  TLY_ASSERT(writer->group != NULL && batch->stream == writer->group->stream && partition < TLY_PARTITIONS_MAX);
  if (batch->count == 0)
    return TLY_OK;
  if (!tly_pending_block_takes(&writer->pending, partition, batch->count, format, header) ||
      batch->count >= DIRECT_EVENTS_MIN)
    TLY_TRY(flush_pending(writer, error));
  if (batch->count < DIRECT_EVENTS_MIN) {
    tly_pending_block_add(&writer->pending, partition, batch, format, header);
    return TLY_OK;
  }
  struct tly_raw_source source = {.stream = batch->stream,
                                  .format = format,
                                  .header = header,
                                  .payloads = batch->raw,
                                  .columns = batch->columns,
                                  .count = batch->count,
                                  .shapes = batch->shapes,
                                  .shape_of = batch->shape_of};
  return add_block(writer, partition, source, error);
}

enum tly_status tly_archive_writer_remember(tly_archive_writer *writer, const char *producer, int64_t sequence,
                                            const char *reply, struct tly_error *error) {
  TLY_ASSERT(writer->group != NULL);
  return tly_active_file_put_reply(writer->group->active, producer, sequence, reply, writer->group_time_us, error);
}

struct tly_import_memory *tly_archive_writer_imports(tly_archive_writer *writer, const struct tly_stream *stream) {
  return &state_of(writer, stream)->active->imports;
}

static void end_group(struct tly_archive_writer *writer, bool is_committed) {
  for (uint32_t i = 0; i < writer->group->partition_count; i++) {
    struct partition_state *partition = &writer->group->partitions[i];
    if (is_committed)
      partition->committed = partition->pending;
    else
      partition->pending = partition->committed;
  }
  tly_pending_block_clear(&writer->pending);
  writer->group = NULL;
}

void tly_archive_writer_rollback(tly_archive_writer *writer) {
  bool may_go_on = true;
  struct stream_state *state = writer->group;
  if (state == NULL)
    return;
  /* The connection's last error says whether a failure that led here is harmless; without one nothing has failed. */
  bool has_failed = sqlite3_errcode(state->active->database) != SQLITE_OK &&
                    sqlite3_errcode(state->active->database) != SQLITE_DONE &&
                    sqlite3_errcode(state->active->database) != SQLITE_ROW;
  tly_active_file_rollback(state->active, &may_go_on);
  if (has_failed && !may_go_on)
    break_active(writer, state);
  end_group(writer, false);
}

enum tly_status tly_archive_writer_commit(tly_archive_writer *writer, struct tly_error *error) {
  bool may_go_on;
  struct stream_state *state = writer->group;
  TLY_ASSERT(state != NULL);
  check_invariants(writer);
  enum tly_status status = flush_pending(writer, error);
  if (status != TLY_OK) {
    tly_archive_writer_rollback(writer);
    return status;
  }
  tly_crash_point("append.before_commit");
  status = tly_active_file_commit(state->active, &may_go_on, error);
  tly_crash_point("append.after_commit");
  if (!may_go_on)
    break_active(writer, state);
  end_group(writer, status == TLY_OK);
  return status;
}

/* ---- cuts and positions ------------------------------------------------------------------------------------------ */

void tly_archive_writer_positions(const tly_archive_writer *writer, struct tly_arena *arena, struct tly_position **out,
                                  uint32_t *count) {
  uint32_t room = 0;
  for (uint32_t s = 0; s < writer->project->stream_count; s++)
    room += writer->streams[s].partition_count;
  *out = TLY_ARENA_ARRAY(arena, struct tly_position, room);
  *count = 0;
  for (uint32_t s = 0; s < writer->project->stream_count; s++) {
    const struct stream_state *state = &writer->streams[s];
    for (uint32_t i = 0; i < state->partition_count; i++)
      if (state->partitions[i].committed.next_offset > 0)
        (*out)[(*count)++] = (struct tly_position){.stream = state->stream->name,
                                                   .partition = state->partitions[i].number,
                                                   .next_offset = state->partitions[i].committed.next_offset,
                                                   .chain = state->partitions[i].committed.chain};
  }
}

int64_t tly_archive_writer_last_cut(const tly_archive_writer *writer) {
  return writer->generation - 1;
}

enum tly_status tly_archive_writer_cut(tly_archive_writer *writer, const char *const *views, uint32_t view_count,
                                       struct tly_arena *arena, struct tly_cut *out, struct tly_error *error) {
  TLY_ASSERT(writer->group == NULL);
  if (writer->broken)
    return refuse_broken(error);
  *out = (struct tly_cut){.number = writer->generation,
                          .made_at_us = tly_clock_now_us(writer->clock),
                          .views = TLY_ARENA_ARRAY(arena, const char *, view_count),
                          .view_count = view_count};
  for (uint32_t i = 0; i < view_count; i++)
    out->views[i] = views[i];
  tly_archive_writer_positions(writer, arena, &out->positions, &out->position_count);
  TLY_TRY(tly_archive_index_begin(writer->index, error));
  tly_crash_point("cut.before_commit");
  TLY_TRY(end_index(writer, tly_archive_index_put_cut(writer->index, out, error), error));
  tly_crash_point("cut.after_commit");
  writer->generation++;
  check_invariants(writer);
  return TLY_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

struct tly_active_state tly_archive_writer_active(const tly_archive_writer *writer, const struct tly_stream *stream) {
  const struct tly_active_file *active = state_of(writer, stream)->active;
  return (struct tly_active_state){.number = active->number,
                                   .size_bytes = tly_active_file_size(active),
                                   .age_s = (tly_clock_now_us(writer->clock) - active->created_at_us) / 1000000,
                                   .events = active->blocks.committed_rows};
}

enum tly_status tly_archive_writer_rotate(tly_archive_writer *writer, const struct tly_stream *stream,
                                          struct tly_error *error) {
  TLY_ASSERT(writer->group == NULL);
  if (writer->broken)
    return refuse_broken(error);
  struct stream_state *state = state_of(writer, stream);
  enum tly_status status = new_active(writer, state, error);
  if (status != TLY_OK && status != TLY_E_DISK_FULL)
    break_active(writer, state);
  return status;
}

static const struct tly_index_segment *first_waiting(const struct tly_archive_writer *writer,
                                                     const struct stream_state *state, bool spoilt) {
  for (uint32_t i = 0; i < state->segment_count; i++) {
    const struct tly_index_segment *segment = &state->segments[i];
    if (segment->state == 'a' && segment->number != state->active->number &&
        (!spoilt || is_spoilt(writer, state->stream, segment->number)))
      return segment;
  }
  return NULL;
}

bool tly_archive_writer_next_to_seal(tly_archive_writer *writer, const struct tly_stream **stream, int64_t *number,
                                     int64_t *sealed_number, bool *spoilt) {
  for (int pass = 0; pass < 2; pass++) { /* the spoilt ones first */
    *spoilt = pass == 0;
    for (uint32_t s = 0; s < writer->project->stream_count; s++) {
      const struct stream_state *state = &writer->streams[s];
      const struct tly_index_segment *waiting = first_waiting(writer, state, *spoilt);
      if (waiting == NULL)
        continue;
      *stream = state->stream;
      *number = waiting->number;
      *sealed_number = highest_number(state) + 1;
      return true;
    }
  }
  return false;
}

enum tly_status tly_archive_writer_sealed(tly_archive_writer *writer, const struct tly_stream *stream, int64_t number,
                                          int64_t sealed_number, struct tly_error *error) {
  struct stream_state *state = state_of(writer, stream);
  struct tly_index_segment old = {.number = number, .state = 'r', .replaced_by = sealed_number};
  struct tly_index_segment new = {.number = sealed_number, .state = 's'};
  TLY_ASSERT(number != state->active->number && segment_numbered(state, sealed_number) == NULL);
  TLY_TRY(tly_archive_index_begin(writer->index, error));
  enum tly_status status = tly_archive_index_put_segment(writer->index, stream->name, old, error);
  if (status == TLY_OK && sealed_number > 0)
    status = tly_archive_index_put_segment(writer->index, stream->name, new, error);
  tly_crash_point("seal.before_switch");
  TLY_TRY(end_index(writer, status, error));
  tly_crash_point("seal.after_switch");
  TLY_TRY(reload_segments(writer, state, error));
  return delete_replaced(writer, state, error);
}
