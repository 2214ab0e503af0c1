/* Groups come in slices of any length and leave in blocks. Rows that make a whole block are encoded where they lie;
 * only those of a block that straddles two slices are copied into `pending`.
 *
 * A piece is one SQLite file without journal, since an unfinished piece is never looked at: the run's row in batch.db,
 * which follows the sync of all pieces and of the folder, is what makes a run exist. Every STEP_BYTES the file's pages
 * are given to the disk, once it has taken those of the step before: while the next ones are computed it writes, the
 * sync at the end finds little left, and the syncs of the speed layer and the archiver never wait behind more than two
 * steps.
 *
 * INVARIANT: the rows in `pending` are the beginning of one block, of one chapter, and fewer than TLY_GROUPS_PER_BLOCK.
 */
#include "batch_layer/run_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_block.h"
#include "common/sqlite/sqlite.h"
#include "common/store/run_reader.h"
#include "common/store/slice.h"

enum { STEP_BYTES = 1 << 20, HASH_CHUNK_BYTES = 64 << 10 };

extern const char tly_schema_run[];

struct tly_run_writer {
  const struct tly_view_program *program;
  struct tly_run_meta meta;
  char *path, *file;
  int fd; /* for syncs */
  sqlite3 *database;
  sqlite3_stmt *insert_entry, *insert_body;
  int64_t next_id;
  size_t step_bytes;  /* of bodies, since the step began */
  off_t given_bytes;  /* of the file, to the disk */
  size_t block_bytes; /* of the keys and texts of the block that has begun */
  struct tly_slice_copy pending;
  struct tly_slice_window window;
  struct tly_buffer body, checksums;
  struct tly_run_checksum checksum;
};

static struct tly_hash canonical_hash(XXH128_hash_t hash) {
  struct tly_hash out;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  memcpy(out.bytes, canonical.digest, sizeof out.bytes);
  return out;
}

void tly_run_piece_free(struct tly_run_piece *piece) {
  tly_free(piece->file);
  tly_buffer_free(&piece->checksums);
  memset(piece, 0, sizeof *piece);
}

static enum tly_status open_file(tly_run_writer *writer, struct tly_error *error) {
  TLY_TRY(tly_sqlite_open(writer->path, TLY_SQLITE_WRITER_BULK, tly_schema_run, &writer->database, error));
  writer->fd = open(writer->path, O_RDONLY | O_CLOEXEC);
  if (writer->fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\"", writer->path);
  TLY_TRY(tly_sqlite_prepare(writer->database,
                             "INSERT INTO directory (id, first_key, last_key, group_count, checksum)"
                             " VALUES (?1, ?2, ?3, ?4, ?5)",
                             &writer->insert_entry, error));
  TLY_TRY(tly_sqlite_prepare(writer->database, "INSERT INTO block (id, body) VALUES (?1, ?2)", &writer->insert_body,
                             error));
  return tly_sqlite_execute(writer->database, "BEGIN", error);
}

enum tly_status tly_run_writer_open(const char *folder, int64_t run, const struct tly_view_program *program,
                                    uint32_t part, uint32_t piece, uint32_t pieces, tly_run_writer **out,
                                    struct tly_error *error) {
  TLY_ASSERT(part < program->part_count && piece < pieces && pieces <= TLY_RUN_PIECES_MAX);
  struct tly_buffer name = {0};
  tly_run_writer *writer = tly_calloc(1, sizeof *writer);
  writer->program = program;
  writer->fd = -1;
  writer->next_id = 1;
  writer->meta = (struct tly_run_meta){.run = run,
                                       .view = program->view->name,
                                       .definition_hash = program->view->hash,
                                       .part = part,
                                       .piece = piece,
                                       .pieces = pieces};
  tly_run_file_name(program->view->name, part, piece, &name);
  writer->file = tly_strdup(tly_buffer_text(&name));
  tly_buffer_clear(&name);
  tly_buffer_print(&name, "%s/%s", folder, writer->file);
  writer->path = tly_strdup(tly_buffer_text(&name));
  tly_buffer_free(&name);
  tly_slice_copy_init(&writer->pending, program, part);
  tly_slice_copy_reset(&writer->pending, TLY_GROUPS_PER_BLOCK);
  tly_slice_window_init(&writer->window, program, part);
  tly_run_checksum_begin(&writer->checksum, &writer->meta);
  enum tly_status status = open_file(writer, error);
  *out = writer;
  if (status != TLY_OK) {
    tly_run_writer_close(writer);
    *out = NULL;
  }
  return status;
}

static void close_statements(tly_run_writer *writer) {
  sqlite3_finalize(writer->insert_entry);
  sqlite3_finalize(writer->insert_body);
  writer->insert_entry = writer->insert_body = NULL;
}

void tly_run_writer_close(tly_run_writer *writer) {
  if (writer == NULL)
    return;
  close_statements(writer);
  tly_sqlite_close(writer->database);
  if (writer->fd >= 0)
    close(writer->fd);
  tly_slice_copy_free(&writer->pending);
  tly_slice_window_free(&writer->window);
  tly_buffer_free(&writer->body);
  tly_buffer_free(&writer->checksums);
  tly_buffer_free(&writer->checksum.bytes);
  tly_free(writer->path);
  tly_free(writer->file);
  tly_free(writer);
}

static enum tly_status sync_file(tly_run_writer *writer, struct tly_error *error) {
  if (fdatasync(writer->fd) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not sync \"%s\"", writer->path);
  return TLY_OK;
}

/* Nothing is promised by this, and a file system that cannot do it loses nothing but time. */
static enum tly_status end_step(tly_run_writer *writer, struct tly_error *error) {
  struct stat file;
  off_t given = writer->given_bytes;
  writer->step_bytes = 0;
  TLY_TRY(tly_sqlite_execute(writer->database, "COMMIT; BEGIN", error)); /* to the file, from SQLite's cache */
  if (fstat(writer->fd, &file) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not look at \"%s\"", writer->path);
  writer->given_bytes = file.st_size;
  if ((given > 0 && sync_file_range(writer->fd, 0, given, SYNC_FILE_RANGE_WAIT_BEFORE) != 0 && errno != ENOSYS) ||
      (sync_file_range(writer->fd, given, 0, SYNC_FILE_RANGE_WRITE) != 0 && errno != ENOSYS))
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not write \"%s\"", writer->path);
  return TLY_OK;
}

static enum tly_status insert_block(tly_run_writer *writer, const struct tly_run_block *block,
                                    const struct tly_buffer *body, struct tly_error *error) {
  int64_t id = writer->next_id++;
  sqlite3_bind_int64(writer->insert_entry, 1, id);
  sqlite3_bind_blob(writer->insert_entry, 2, block->first_key.data, (int)block->first_key.size, SQLITE_STATIC);
  sqlite3_bind_blob(writer->insert_entry, 3, block->last_key.data, (int)block->last_key.size, SQLITE_STATIC);
  sqlite3_bind_int64(writer->insert_entry, 4, block->group_count);
  sqlite3_bind_blob(writer->insert_entry, 5, block->checksum.bytes, TLY_HASH_BYTES, SQLITE_STATIC);
  TLY_TRY(tly_sqlite_run(writer->insert_entry, error));
  sqlite3_bind_int64(writer->insert_body, 1, id);
  sqlite3_bind_blob(writer->insert_body, 2, body->data, (int)body->size, SQLITE_STATIC);
  return tly_sqlite_run(writer->insert_body, error);
}

static enum tly_status write_block(tly_run_writer *writer, const struct tly_group_slice *slice,
                                   struct tly_error *error) {
  TLY_ASSERT(slice->count > 0 && slice->count <= TLY_GROUPS_PER_BLOCK);
  struct tly_run_block block = {
      .first_key = slice->keys[0], .last_key = slice->keys[slice->count - 1], .group_count = slice->count};
  struct tly_buffer *body = &writer->body;
  tly_buffer_clear(body);
  tly_group_block_encode(slice, body);
  block.checksum = tly_group_block_checksum(block.first_key, block.last_key, block.group_count, body->data, body->size);
  TLY_TRY(insert_block(writer, &block, body, error));
  tly_run_checksum_add(&writer->checksum, &block);
  tly_buffer_append(&writer->checksums, block.checksum.bytes, TLY_HASH_BYTES);
  writer->meta.groups += slice->count;
  writer->block_bytes = 0;
  writer->step_bytes += body->size;
  return writer->step_bytes < STEP_BYTES ? TLY_OK : end_step(writer, error);
}

static enum tly_status flush_pending(tly_run_writer *writer, struct tly_error *error) {
  if (writer->pending.slice.count == 0)
    return TLY_OK;
  TLY_TRY(write_block(writer, &writer->pending.slice, error));
  tly_slice_copy_reset(&writer->pending, TLY_GROUPS_PER_BLOCK);
  return TLY_OK;
}

/* How far rows from `first` on go into the block that `pending` begins: up to TLY_GROUPS_PER_BLOCK groups, or fewer
 * when keys and texts reach TLY_SLICE_BYTES_MAX. *is_full says that the block ends there. */
static uint32_t rows_that_fit(tly_run_writer *writer, const struct tly_group_slice *slice, uint32_t first, uint32_t end,
                              bool *is_full) {
  uint32_t row = first, count = writer->pending.slice.count;
  *is_full = false;
  for (; row < end && count < TLY_GROUPS_PER_BLOCK; row++, count++) {
    size_t bytes = tly_slice_row_bytes(slice, row);
    *is_full = count > 0 && writer->block_bytes + bytes > TLY_SLICE_BYTES_MAX;
    if (*is_full)
      return row;
    writer->block_bytes += bytes;
  }
  *is_full = count == TLY_GROUPS_PER_BLOCK;
  return row;
}

/* Rows first .. end - 1, all of one chapter, of which `pending` has the beginning of the last block. */
static enum tly_status append_rows(tly_run_writer *writer, const struct tly_group_slice *slice, uint32_t first,
                                   uint32_t end, struct tly_error *error) {
  while (first < end) {
    bool is_full;
    uint32_t next = rows_that_fit(writer, slice, first, end, &is_full);
    if (is_full && writer->pending.slice.count == 0) {
      TLY_TRY(write_block(writer, tly_slice_window_set(&writer->window, slice, first, next), error));
    } else {
      tly_slice_copy_append(&writer->pending, slice, first, next);
      if (is_full)
        TLY_TRY(flush_pending(writer, error));
    }
    first = next;
  }
  return TLY_OK;
}

enum tly_status tly_run_writer_append(tly_run_writer *writer, const struct tly_group_slice *slice,
                                      struct tly_error *error) {
  TLY_ASSERT(slice->part == writer->meta.part);
  uint32_t first = 0;
  for (uint32_t row = 0; row < slice->count; row++) {
    if (!tly_run_chapter_begins(slice->keys[row]))
      continue;
    TLY_TRY(append_rows(writer, slice, first, row, error));
    TLY_TRY(flush_pending(writer, error));
    first = row;
  }
  return append_rows(writer, slice, first, slice->count, error);
}

static enum tly_status write_meta(tly_run_writer *writer, struct tly_error *error) {
  char checksum[33], definition[33], number[24];
  tly_run_checksum_end(&writer->checksum, checksum);
  tly_run_hash_print(&writer->meta.definition_hash, definition);
  const struct {
    const char *name;
    uint64_t value;
  } numbers[] = {{"run", (uint64_t)writer->meta.run},
                 {"part", writer->meta.part},
                 {"piece", writer->meta.piece},
                 {"pieces", writer->meta.pieces},
                 {"groups", writer->meta.groups}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    snprintf(number, sizeof number, "%" PRIu64, numbers[i].value);
    TLY_TRY(tly_sqlite_meta_set(writer->database, numbers[i].name, number, error));
  }
  TLY_TRY(tly_sqlite_meta_set(writer->database, "view", writer->meta.view, error));
  TLY_TRY(tly_sqlite_meta_set(writer->database, "definition", definition, error));
  return tly_sqlite_meta_set(writer->database, "checksum", checksum, error);
}

enum tly_status tly_run_writer_finish(tly_run_writer *writer, struct tly_run_piece *out, struct tly_error *error) {
  memset(out, 0, sizeof *out);
  TLY_TRY(flush_pending(writer, error));
  TLY_TRY(write_meta(writer, error));
  TLY_TRY(tly_sqlite_execute(writer->database, "COMMIT", error));
  close_statements(writer);
  tly_sqlite_close(writer->database);
  writer->database = NULL;
  TLY_TRY(sync_file(writer, error));
  out->file = tly_strdup(writer->file);
  out->part = writer->meta.part;
  out->piece = writer->meta.piece;
  out->groups = writer->meta.groups;
  out->checksums = writer->checksums;
  memset(&writer->checksums, 0, sizeof writer->checksums);
  if (fchmod(writer->fd, 0440) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make \"%s\" read-only", writer->path);
  return tly_run_hash_file(writer->path, &out->file_hash, &out->bytes, error);
}

struct tly_hash tly_run_content_hash(const struct tly_run_piece *const *pieces, uint32_t count) {
  struct tly_buffer all = {0};
  for (uint32_t i = 0; i < count; i++) {
    TLY_ASSERT(i == 0 || pieces[i - 1]->part < pieces[i]->part ||
               (pieces[i - 1]->part == pieces[i]->part && pieces[i - 1]->piece < pieces[i]->piece));
    if (i == 0 || pieces[i - 1]->part != pieces[i]->part)
      tly_buffer_append_varint(&all, pieces[i]->part);
    tly_buffer_append(&all, pieces[i]->checksums.data, pieces[i]->checksums.size);
  }
  struct tly_hash hash = canonical_hash(XXH3_128bits(all.data, all.size));
  tly_buffer_free(&all);
  return hash;
}

enum tly_status tly_run_hash_file(const char *path, struct tly_hash *hash, uint64_t *bytes, struct tly_error *error) {
  enum tly_status status = TLY_OK;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\"", path);
  uint8_t *chunk = tly_malloc(HASH_CHUNK_BYTES);
  XXH3_state_t *state = XXH3_createState();
  TLY_ASSERT(state != NULL);
  XXH3_128bits_reset(state);
  *bytes = 0;
  for (;;) {
    ssize_t count = read(fd, chunk, HASH_CHUNK_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not read \"%s\"", path);
    if (count <= 0)
      break;
    XXH3_128bits_update(state, chunk, (size_t)count);
    *bytes += (uint64_t)count;
  }
  *hash = canonical_hash(XXH3_128bits_digest(state));
  XXH3_freeState(state);
  tly_free(chunk);
  close(fd);
  return status;
}
