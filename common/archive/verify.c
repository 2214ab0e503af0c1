/* Verify reads the archive as a stranger would: files from the index, then each file by itself, block after block in
 * offset order, comparing what every block says of its neighbours; then what the cuts say against the blocks that stand
 * there. One damage does not end it: it is noted, and the walk goes on behind it where it can. */
#include "common/archive/verify.h"

#include <stdlib.h>
#include <string.h>

#include "common/archive/checksum.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

struct listed_file {
  int64_t number;
  bool is_sealed;
};

/* What is known of a partition from all files of its stream. */
struct extent {
  uint32_t partition;
  int64_t first_offset, next_offset;
  tly_chain chain_before, chain_after;
  const char *file;
};

struct verify {
  const char *directory;
  const struct tly_project *project;
  void (*progress)(void *context, uint64_t done, uint64_t all);
  void *context;
  struct tly_arena *arena;
  struct tly_verify_report *report;
  uint32_t damage_capacity;
  uint64_t blocks_all;
  struct tly_arena scratch;
  struct extent *extents; /* of the stream under work */
  uint32_t extent_count;
  tly_archive_reader *reader;
};

/* ---- notes ------------------------------------------------------------------------------------------------------- */

static void note(struct verify *verify, const char *file, int64_t block, const char *message) {
  struct tly_verify_report *report = verify->report;
  if (report->damage_count == verify->damage_capacity) {
    uint32_t capacity = verify->damage_capacity == 0 ? 16 : 2 * verify->damage_capacity;
    struct tly_damage *damages = TLY_ARENA_ARRAY(verify->arena, struct tly_damage, capacity);
    if (report->damage_count > 0)
      memcpy(damages, report->damages, report->damage_count * sizeof *damages);
    report->damages = damages;
    verify->damage_capacity = capacity;
  }
  report->damages[report->damage_count++] =
      (struct tly_damage){.file = tly_arena_copy(verify->arena, file, strlen(file)),
                          .block = block,
                          .message = tly_arena_copy(verify->arena, message, strlen(message))};
}

/* Damage is a finding; any other failure ends the verification. */
static enum tly_status note_if_damaged(struct verify *verify, enum tly_status status, const char *file, int64_t block,
                                       const struct tly_error *error) {
  if (status != TLY_E_CORRUPT)
    return status;
  note(verify, file, block, error->message);
  return TLY_OK;
}

/* ---- files of a stream ------------------------------------------------------------------------------------------- */

static enum tly_status list_files(const char *directory, const char *stream, struct listed_file **out, uint32_t *count,
                                  struct tly_error *error) {
  sqlite3 *index;
  sqlite3_stmt *rows = NULL;
  bool has_row = true;
  char *path = tly_archive_index_path(directory, "");
  *out = NULL;
  *count = 0;
  enum tly_status status = tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &index, error);
  tly_free(path);
  if (status != TLY_OK)
    return status;
  status = tly_sqlite_prepare(
      index, "SELECT number, state = 'sealed' FROM segment WHERE stream = ?1 AND state <> 'replaced' ORDER BY number",
      &rows, error);
  if (status == TLY_OK)
    sqlite3_bind_text(rows, 1, stream, -1, SQLITE_STATIC);
  while (status == TLY_OK && (status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    *out = tly_realloc_array(*out, *count + 1, sizeof **out);
    (*out)[(*count)++] =
        (struct listed_file){.number = sqlite3_column_int64(rows, 0), .is_sealed = sqlite3_column_int(rows, 1) != 0};
  }
  sqlite3_finalize(rows);
  tly_sqlite_close(index);
  return status;
}

static enum tly_status query_number(struct tly_segment *segment, const char *sql, uint64_t *out,
                                    struct tly_error *error) {
  sqlite3_stmt *row;
  bool has_row;
  TLY_TRY(tly_sqlite_prepare(segment->database, sql, &row, error));
  enum tly_status status = tly_sqlite_step(row, &has_row, error);
  *out = status == TLY_OK && has_row ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
  sqlite3_finalize(row);
  return status;
}

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static enum tly_status verify_content(struct verify *verify, struct tly_segment *segment, const struct tly_block *block,
                                      struct tly_error *error) {
  tly_arena_reset(&verify->scratch);
  struct tly_vector *columns = TLY_ARENA_ARRAY(&verify->scratch, struct tly_vector, segment->file_stream.column_count);
  struct tly_text *payloads = TLY_ARENA_ARRAY(&verify->scratch, struct tly_text, block->event_count);
  TLY_TRY(tly_segment_columns(segment, block, NULL, &verify->scratch, columns, error));
  return tly_segment_payloads(segment, block, &verify->scratch, payloads, NULL, NULL, error);
}

static void count_block(struct verify *verify, const struct tly_block *block) {
  struct tly_verify_report *report = verify->report;
  report->events += block->event_count;
  report->raw_bytes += (uint64_t)block->payload_bytes;
  report->stored_bytes += block->columns_size + block->raw_size;
}

static void tell_progress(struct verify *verify) {
  verify->report->blocks++;
  if (verify->progress != NULL)
    verify->progress(verify->context, verify->report->blocks, verify->blocks_all);
}

/* The blocks of a partition in a file must follow each other without a gap. */
static enum tly_status verify_block(struct verify *verify, struct tly_segment *segment, const struct tly_block_ref *ref,
                                    const struct tly_block_ref *before, struct tly_error *error) {
  struct tly_block block;
  bool found;
  if (before != NULL && (ref->first_offset != before->first_offset + before->event_count ||
                         !tly_hash_equal(ref->chain_before, before->chain_after)))
    note(verify, segment->path, ref->id, "it does not continue the block before it");
  enum tly_status status = tly_segment_find(segment, ref->partition, ref->first_offset, true, &block, &found, error);
  if (status == TLY_OK && found && block.id == ref->id) {
    count_block(verify, &block);
    status = verify_content(verify, segment, &block, error);
  }
  tly_segment_release(segment);
  tell_progress(verify);
  return note_if_damaged(verify, status, segment->path, ref->id, error);
}

static void add_extent(struct verify *verify, const struct tly_segment *segment, const struct tly_block_ref *first,
                       const struct tly_block_ref *last) {
  verify->extents = tly_realloc_array(verify->extents, verify->extent_count + 1, sizeof *verify->extents);
  verify->extents[verify->extent_count++] =
      (struct extent){.partition = first->partition,
                      .first_offset = first->first_offset,
                      .next_offset = last->first_offset + last->event_count,
                      .chain_before = first->chain_before,
                      .chain_after = last->chain_after,
                      .file = tly_arena_copy(verify->arena, segment->path, strlen(segment->path))};
}

static enum tly_status verify_partition(struct verify *verify, struct tly_segment *segment, uint32_t partition,
                                        struct tly_error *error) {
  struct tly_arena arena;
  struct tly_block_list list = {0};
  tly_arena_init(&arena);
  enum tly_status status = tly_segment_list(segment, partition, 0, UINT32_MAX, &arena, &list, error);
  for (uint32_t i = 0; i < list.count && status == TLY_OK; i++)
    status = verify_block(verify, segment, &list.items[i], i == 0 ? NULL : &list.items[i - 1], error);
  if (list.count > 0)
    add_extent(verify, segment, &list.items[0], &list.items[list.count - 1]);
  tly_arena_free(&arena);
  return status;
}

static enum tly_status verify_dictionaries(struct verify *verify, struct tly_segment *segment,
                                           struct tly_error *error) {
  for (uint32_t c = 0; c < segment->file_stream.column_count; c++)
    TLY_TRY(
        note_if_damaged(verify, tly_segment_load_dictionary(segment, c, UINT32_MAX, error), segment->path, 0, error));
  return TLY_OK;
}

/* SQLite's own structure: a page that is nobody's, an index that disagrees with its table. */
static enum tly_status verify_structure(struct verify *verify, struct tly_segment *segment, struct tly_error *error) {
  sqlite3_stmt *row;
  bool has_row;
  TLY_TRY(tly_sqlite_prepare(segment->database, "PRAGMA integrity_check(1)", &row, error));
  enum tly_status status = tly_sqlite_step(row, &has_row, error);
  if (status == TLY_OK && has_row && strcmp((const char *)sqlite3_column_text(row, 0), "ok") != 0)
    note(verify, segment->path, 0, (const char *)sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  return status;
}

static enum tly_status verify_open_file(struct verify *verify, struct tly_segment *segment, struct tly_error *error) {
  int64_t after = -1;
  uint32_t partition;
  bool found;
  TLY_TRY(note_if_damaged(verify, verify_structure(verify, segment, error), segment->path, 0, error));
  TLY_TRY(verify_dictionaries(verify, segment, error));
  for (;;) {
    TLY_TRY(tly_segment_next_partition(segment, after, &partition, &found, error));
    if (!found)
      return TLY_OK;
    TLY_TRY(note_if_damaged(verify, verify_partition(verify, segment, partition, error), segment->path, 0, error));
    after = partition;
  }
}

/* A file that cannot be found is missing, unless the archiver has sealed it since the list was read: *replaced then. */
static enum tly_status judge_missing(struct verify *verify, const struct tly_stream *stream, int64_t number,
                                     const char *path, bool *replaced, struct tly_error *error) {
  struct listed_file *files;
  uint32_t count;
  TLY_TRY(list_files(verify->directory, stream->name, &files, &count, error));
  *replaced = true;
  for (uint32_t i = 0; i < count; i++)
    if (files[i].number == number)
      *replaced = false;
  tly_free(files);
  if (!*replaced)
    note(verify, path, 0, "the file is missing");
  return TLY_OK;
}

static enum tly_status verify_file(struct verify *verify, const struct tly_stream *stream,
                                   const struct listed_file *file, bool *replaced, struct tly_error *error) {
  struct tly_segment *segment;
  char *path = tly_archive_file_path(verify->directory, stream->name, file->number, "");
  verify->report->files++;
  enum tly_status status = tly_segment_open(path, file->number, file->is_sealed, stream, &segment, error);
  *replaced = false;
  if (status == TLY_E_NOT_READY) {
    status = judge_missing(verify, stream, file->number, path, replaced, error);
  } else if (status == TLY_OK) {
    status = verify_open_file(verify, segment, error);
    status = note_if_damaged(verify, status, path, 0, error);
    tly_segment_close(segment);
  } else {
    status = note_if_damaged(verify, status, path, 0, error);
  }
  tly_free(path);
  return status;
}

/* ---- a stream's files against each other, and against the cuts --------------------------------------------------- */

static int compare_extents(const void *a, const void *b) {
  const struct extent *left = a, *right = b;
  if (left->partition != right->partition)
    return left->partition < right->partition ? -1 : 1;
  return left->first_offset < right->first_offset ? -1 : left->first_offset > right->first_offset;
}

static void verify_extents(struct verify *verify) {
  if (verify->extent_count == 0)
    return;
  qsort(verify->extents, verify->extent_count, sizeof *verify->extents, compare_extents);
  for (uint32_t i = 0; i < verify->extent_count; i++) {
    const struct extent *extent = &verify->extents[i], *before = extent - 1;
    bool is_first = i == 0 || before->partition != extent->partition;
    if (is_first
            ? extent->first_offset != 0
            : extent->first_offset != before->next_offset || !tly_hash_equal(extent->chain_before, before->chain_after))
      note(verify, extent->file, 0,
           is_first ? "events before its first one are missing" : "it does not continue the file before it");
  }
}

static const struct extent *last_extent(const struct verify *verify, uint32_t partition) {
  const struct extent *last = NULL;
  for (uint32_t i = 0; i < verify->extent_count; i++)
    if (verify->extents[i].partition == partition)
      last = &verify->extents[i];
  return last;
}

/* At a cut a block ends, in every file that holds it: the hash there must be the one the cut was recorded with. */
static enum tly_status verify_position(struct verify *verify, const struct tly_stream *stream, int64_t cut,
                                       const struct tly_position *position, struct tly_error *error) {
  struct tly_block_ref *refs;
  uint32_t count;
  const struct extent *last = last_extent(verify, position->partition);
  if (last == NULL || last->next_offset < position->next_offset) {
    note(verify, last == NULL ? stream->name : last->file, 0,
         tly_arena_print(verify->arena, "events before cut %lld are missing at its end", (long long)cut));
    return TLY_OK;
  }
  tly_arena_reset(&verify->scratch);
  enum tly_status status =
      tly_archive_reader_blocks(verify->reader, stream, position->partition, position->next_offset - 1, INT64_MAX, 1,
                                &verify->scratch, &refs, &count, error);
  if (status == TLY_OK && count == 1 &&
      (refs[0].first_offset + refs[0].event_count != position->next_offset ||
       !tly_hash_equal(refs[0].chain_after, position->chain)))
    note(verify, last->file, refs[0].id,
         tly_arena_print(verify->arena, "its end is not what cut %lld was recorded with", (long long)cut));
  return note_if_damaged(verify, status, stream->name, 0, error);
}

static enum tly_status verify_cuts(struct verify *verify, const struct tly_stream *stream, struct tly_error *error) {
  struct tly_cut *cuts;
  uint32_t count;
  struct tly_arena arena;
  tly_arena_init(&arena);
  enum tly_status status = tly_archive_reader_cuts(verify->reader, 0, &arena, &cuts, &count, error);
  for (uint32_t i = 0; i < count && status == TLY_OK; i++)
    for (uint32_t p = 0; p < cuts[i].position_count && status == TLY_OK; p++)
      if (strcmp(cuts[i].positions[p].stream, stream->name) == 0)
        status = verify_position(verify, stream, cuts[i].number, &cuts[i].positions[p], error);
  tly_arena_free(&arena);
  return status;
}

/* One pass over the files of a stream; *replaced when one of them was sealed meanwhile. */
static enum tly_status verify_files(struct verify *verify, const struct tly_stream *stream, bool *replaced,
                                    struct tly_error *error) {
  struct listed_file *files;
  uint32_t count;
  verify->extent_count = 0;
  *replaced = false;
  enum tly_status status = list_files(verify->directory, stream->name, &files, &count, error);
  for (uint32_t i = 0; i < count && status == TLY_OK && !*replaced; i++)
    status = verify_file(verify, stream, &files[i], replaced, error);
  tly_free(files);
  return status;
}

static enum tly_status verify_stream(struct verify *verify, const struct tly_stream *stream, struct tly_error *error) {
  struct tly_verify_report before = *verify->report;
  bool replaced = true;
  while (replaced) {
    uint32_t damages = verify->report->damage_count;
    TLY_TRY(verify_files(verify, stream, &replaced, error));
    if (replaced) { /* once more, with what the index names now */
      struct tly_damage *listed = verify->report->damages;
      *verify->report = before;
      verify->report->damages = listed;
      verify->report->damage_count = damages;
    }
  }
  verify_extents(verify);
  return verify_cuts(verify, stream, error);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static enum tly_status count_blocks(struct verify *verify, struct tly_error *error) {
  for (uint32_t s = 0; s < verify->project->stream_count; s++) {
    const struct tly_stream *stream = &verify->project->streams[s];
    struct listed_file *files;
    uint32_t count;
    enum tly_status status = list_files(verify->directory, stream->name, &files, &count, error);
    for (uint32_t i = 0; i < count && status == TLY_OK; i++) {
      struct tly_segment *segment;
      uint64_t blocks;
      char *path = tly_archive_file_path(verify->directory, stream->name, files[i].number, "");
      if (tly_segment_open(path, files[i].number, files[i].is_sealed, stream, &segment, NULL) == TLY_OK) {
        if (query_number(segment, "SELECT count(*) FROM block", &blocks, NULL) == TLY_OK)
          verify->blocks_all += blocks;
        tly_segment_close(segment);
      }
      tly_free(path);
    }
    tly_free(files);
    TLY_TRY(status);
  }
  return TLY_OK;
}

enum tly_status tly_archive_verify(const char *directory, const struct tly_project *project,
                                   void (*progress)(void *context, uint64_t done, uint64_t all), void *context,
                                   struct tly_arena *arena, struct tly_verify_report *report, struct tly_error *error) {
  struct verify verify = {.directory = directory,
                          .project = project,
                          .progress = progress,
                          .context = context,
                          .arena = arena,
                          .report = report};
  memset(report, 0, sizeof *report);
  tly_arena_init(&verify.scratch);
  enum tly_status status = tly_archive_reader_open(directory, project, &verify.reader, error);
  if (status == TLY_OK && progress != NULL)
    status = count_blocks(&verify, error);
  for (uint32_t s = 0; s < project->stream_count && status == TLY_OK; s++)
    status = verify_stream(&verify, &project->streams[s], error);
  tly_archive_reader_close(verify.reader);
  tly_arena_free(&verify.scratch);
  tly_free(verify.extents);
  return status;
}

/* ---- stat -------------------------------------------------------------------------------------------------------- */

static enum tly_status stat_file(const char *directory, const struct tly_stream *stream, const struct listed_file *file,
                                 struct tly_archive_stat *out, struct tly_error *error) {
  struct tly_segment *segment;
  sqlite3_stmt *row;
  bool has_row;
  char *path = tly_archive_file_path(directory, stream->name, file->number, "");
  char *log = tly_archive_file_path(directory, stream->name, file->number, "-wal");
  int64_t log_bytes = tly_file_size(log);
  *out = (struct tly_archive_stat){.stream = stream->name,
                                   .segment = file->number,
                                   .state = file->is_sealed ? "sealed" : "active",
                                   .file_bytes = (uint64_t)(tly_file_size(path) + (log_bytes > 0 ? log_bytes : 0))};
  enum tly_status status = tly_segment_open(path, file->number, file->is_sealed, stream, &segment, error);
  tly_free(path);
  tly_free(log);
  if (status != TLY_OK)
    return status;
  status = tly_sqlite_prepare(segment->database,
                              "SELECT count(*), total(event_count), total(payload_bytes), total(length(raw)), "
                              "total(length(columns)), min(generation), max(generation) FROM block",
                              &row, error);
  if (status == TLY_OK) {
    status = tly_sqlite_step(row, &has_row, error);
    out->blocks = (uint64_t)sqlite3_column_int64(row, 0);
    out->events = (uint64_t)sqlite3_column_int64(row, 1);
    out->raw_bytes = (uint64_t)sqlite3_column_int64(row, 2);
    out->stored_raw_bytes = (uint64_t)sqlite3_column_int64(row, 3);
    out->stored_column_bytes = (uint64_t)sqlite3_column_int64(row, 4);
    out->generation_first = sqlite3_column_int64(row, 5);
    out->generation_last = sqlite3_column_int64(row, 6);
    sqlite3_finalize(row);
  }
  tly_segment_close(segment);
  return status;
}

/* Sealing may take a file away between the list and the look: then the list is read again, a few times; a file that is
 * gone for good is an error. */
enum { STAT_TRIES = 10 };

static bool is_gone(const char *directory, const struct tly_stream *stream, const struct listed_file *file) {
  char *path = tly_archive_file_path(directory, stream->name, file->number, "");
  bool gone = !tly_file_exists(path);
  tly_free(path);
  return gone;
}

static enum tly_status stat_stream(const char *directory, const struct tly_stream *stream, int tries,
                                   struct tly_arena *arena, struct tly_archive_stat **out, uint32_t *count,
                                   struct tly_error *error) {
  struct listed_file *files;
  uint32_t file_count, before = *count;
  bool again = false;
  enum tly_status status = list_files(directory, stream->name, &files, &file_count, error);
  if (status == TLY_OK && file_count > 0) {
    struct tly_archive_stat *stats = TLY_ARENA_ARRAY(arena, struct tly_archive_stat, *count + file_count);
    if (*count > 0)
      memcpy(stats, *out, *count * sizeof *stats);
    *out = stats;
    for (uint32_t i = 0; i < file_count && status == TLY_OK; i++) {
      status = stat_file(directory, stream, &files[i], &stats[(*count)++], error);
      again = status != TLY_OK && is_gone(directory, stream, &files[i]);
    }
  }
  tly_free(files);
  if (!again || tries == 1)
    return status;
  *count = before;
  return stat_stream(directory, stream, tries - 1, arena, out, count, error);
}

enum tly_status tly_archive_stat_read(const char *directory, const struct tly_project *project, struct tly_arena *arena,
                                      struct tly_archive_stat **out, uint32_t *count, struct tly_error *error) {
  *out = NULL;
  *count = 0;
  for (uint32_t s = 0; s < project->stream_count; s++)
    TLY_TRY(stat_stream(directory, &project->streams[s], STAT_TRIES, arena, out, count, error));
  return TLY_OK;
}
