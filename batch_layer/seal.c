/* A sealed file has the events of one active file in blocks of up to TLY_BATCH_EVENTS_MAX events of one partition, one
 * generation and one format. Blocks are merged whole, never split, so a reference to an old block always lies within
 * one new block.
 *
 * What proves that nothing changed: each old block is verified when it is read (checksum, and its events hash from
 * chain_before to chain_after); when the new file is finished and synced it is opened again as any reader would, and
 * each of its blocks is verified the same way, and must start and end where the old ones did, with the same hashes. The
 * chain is over the events' original bytes, so equal hashes at both ends are equal bytes. The typed columns are
 * compared by decoding: every value of the new block against the old one's.
 *
 * The steps, in an order that a kill at any point leaves whole: write <sealed>.db.tmp, sync it, verify it, make it
 * read-only, rename, sync the folder; then the caller switches the index and deletes the old file. */
#include "batch_layer/seal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_layer/block_writer.h"
#include "batch_layer/pending_block.h"
#include "common/archive/checksum.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

extern const char tly_schema_archive[];

enum {
  LARGE_PAGE = 65536, /* a column of a large block is one or a few pages ... */
  SMALL_PAGE = 4096,  /* ... but a table of a small file should not take that much */
  LARGE_FILE_BYTES = 8 << 20,
  BLOCK_BYTES_MAX = 32 << 20, /* payloads of one block: what a reader holds at once */
  SYNC_EVERY_BYTES = 4 << 20  /* small steps, so that nobody else's sync waits behind a large one */
};

struct seal {
  const struct tly_seal_job *job;
  struct tly_segment *old;
  char *path, *temporary;
  sqlite3 *database;
  struct tly_block_writer writer;
  bool has_writer;
  struct tly_pending_block pending;
  struct tly_arena arena;     /* what the pending events point to */
  struct tly_block_ref first; /* of the pending events */
  int64_t pending_bytes;      /* of their payloads */
  tly_chain chain;            /* behind the last pending event, by the old blocks */
  size_t unsynced_bytes;
  uint64_t events;
};

/* Between two blocks. */
static enum tly_status check_stop(const struct seal *seal, struct tly_error *error) {
  tly_give_way();
  if (seal->job->stop != NULL && atomic_load(seal->job->stop))
    return TLY_FAIL(error, TLY_E_CANCELLED, "sealing was stopped");
  return TLY_OK;
}

/* ---- the new file ------------------------------------------------------------------------------------------------ */

static enum tly_status remove_file(const char *path, struct tly_error *error) {
  if (unlink(path) != 0 && tly_file_exists(path))
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", path);
  return TLY_OK;
}

/* The page size is fixed by the first write to a file, which is therefore made here. */
static enum tly_status set_page_size(const char *path, int page_size, struct tly_error *error) {
  sqlite3 *database;
  char sql[96];
  snprintf(sql, sizeof sql, "PRAGMA page_size = %d; PRAGMA application_id = %d", page_size, TLY_SQLITE_APPLICATION_ID);
  if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE, NULL) !=
      SQLITE_OK) {
    sqlite3_close(database);
    return TLY_FAIL(error, TLY_E_IO, "could not create \"%s\"", path);
  }
  enum tly_status status = tly_sqlite_execute(database, sql, error);
  sqlite3_close(database);
  return status;
}

static enum tly_status copy_meta(struct seal *seal, const char *name, struct tly_error *error) {
  struct tly_buffer value = {0};
  bool found;
  enum tly_status status = tly_sqlite_meta_get(seal->old->database, name, &value, &found, error);
  if (status == TLY_OK && found)
    status = tly_sqlite_meta_set(seal->database, name, tly_buffer_text(&value), error);
  tly_buffer_free(&value);
  return status;
}

static enum tly_status put_facts(struct seal *seal, struct tly_error *error) {
  char number[32], replaces[32];
  snprintf(number, sizeof number, "%lld", (long long)seal->job->sealed_number);
  snprintf(replaces, sizeof replaces, "%lld", (long long)seal->job->number);
  TLY_TRY(copy_meta(seal, "stream", error));
  TLY_TRY(copy_meta(seal, "columns", error));
  TLY_TRY(copy_meta(seal, "created_at", error));
  TLY_TRY(tly_sqlite_meta_set(seal->database, "segment", number, error));
  TLY_TRY(tly_sqlite_meta_set(seal->database, "replaces", replaces, error));
  return tly_sqlite_meta_set(seal->database, "sealed", "1", error);
}

/* A dictionary pays when texts repeat: the old file's has shown whether they do. */
static enum tly_status choose_coding(struct seal *seal, struct tly_error *error) {
  sqlite3_stmt *row;
  bool has_row;
  for (uint32_t c = 0; c < seal->writer.stream->column_count; c++) {
    if (!seal->writer.columns[c].is_coded)
      continue;
    TLY_TRY(tly_sqlite_prepare(seal->old->database,
                               "SELECT (SELECT count(*) FROM meta WHERE name = 'uncoded.' || ?1) > 0 OR (SELECT "
                               "coalesce(sum(entry_count), 0) FROM dictionary WHERE column_index = ?1) > "
                               "(SELECT sum(event_count) / 2 FROM block)",
                               &row, error));
    sqlite3_bind_int64(row, 1, c);
    enum tly_status status = tly_sqlite_step(row, &has_row, error);
    bool stop = status == TLY_OK && has_row && sqlite3_column_int(row, 0) != 0;
    sqlite3_finalize(row);
    if (status == TLY_OK && stop)
      status = tly_block_writer_stop_coding(&seal->writer, c, error);
    TLY_TRY(status);
  }
  return TLY_OK;
}

static enum tly_status create_file(struct seal *seal, struct tly_error *error) {
  TLY_TRY(remove_file(seal->temporary, error));
  bool is_large = tly_file_size(seal->old->path) >= LARGE_FILE_BYTES;
  TLY_TRY(set_page_size(seal->temporary, is_large ? LARGE_PAGE : SMALL_PAGE, error));
  TLY_TRY(tly_sqlite_open(seal->temporary, TLY_SQLITE_WRITER_BULK, tly_schema_archive, &seal->database, error));
  TLY_TRY(tly_sqlite_execute(seal->database, "BEGIN", error));
  TLY_TRY(put_facts(seal, error));
  TLY_TRY(tly_block_writer_open(seal->database, &seal->old->file_stream, TLY_EFFORT_SEALED, &seal->writer, error));
  seal->has_writer = true;
  return choose_coding(seal, error);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static enum tly_status sync_in_steps(struct seal *seal, struct tly_error *error) {
  seal->unsynced_bytes += seal->writer.columns_bytes.size + seal->writer.raw_bytes.size;
  if (seal->unsynced_bytes < SYNC_EVERY_BYTES)
    return TLY_OK;
  seal->unsynced_bytes = 0;
  TLY_TRY(tly_sqlite_execute(seal->database, "COMMIT; BEGIN", error)); /* to the file, from SQLite's cache */
  return tly_file_sync(seal->temporary, error); /* a lock lost by opening it twice is of no use to anybody */
}

static enum tly_status write_pending(struct seal *seal, struct tly_error *error) {
  tly_chain chain;
  if (seal->pending.count == 0)
    return TLY_OK;
  struct tly_new_block block = {.partition = seal->first.partition,
                                .generation = seal->first.generation,
                                .first_offset = seal->first.first_offset,
                                .appended_at_us = seal->first.appended_at_us,
                                .chain_before = seal->first.chain_before,
                                .source = tly_pending_block_source(&seal->pending)};
  TLY_TRY(tly_block_writer_add(&seal->writer, &block, &chain, error));
  if (!tly_hash_equal(chain, seal->chain))
    return TLY_FAIL(error, TLY_E_CORRUPT, "the events of %s at offset %lld do not give their hash again",
                    seal->old->path, (long long)seal->first.first_offset);
  seal->events += seal->pending.count;
  tly_pending_block_clear(&seal->pending);
  seal->pending_bytes = 0;
  tly_arena_reset(&seal->arena);
  return sync_in_steps(seal, error);
}

/* Read one old block behind the pending ones, which are written first when it cannot join them. */
static enum tly_status take_block(struct seal *seal, const struct tly_block *block, struct tly_error *error) {
  struct tly_segment *old = seal->old;
  struct tly_event_batch batch = {.stream = &old->file_stream, .count = block->event_count};
  struct tly_raw_header head;
  if (!tly_raw_read_header(block->raw, block->raw_size, &head))
    return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s is damaged", (long long)block->id, old->path);
  if (seal->pending.count > 0 &&
      (seal->first.generation != block->generation || seal->pending_bytes + block->payload_bytes > BLOCK_BYTES_MAX ||
       !tly_pending_block_takes(&seal->pending, block->partition, block->event_count, head.format, head.header)))
    TLY_TRY(write_pending(seal, error));
  batch.columns = TLY_ARENA_ARRAY(&seal->arena, struct tly_vector, old->file_stream.column_count);
  batch.raw = TLY_ARENA_ARRAY(&seal->arena, struct tly_text, block->event_count);
  enum tly_format format;
  struct tly_text header;
  TLY_TRY(tly_segment_columns(old, block, NULL, &seal->arena, batch.columns, error));
  TLY_TRY(tly_segment_payloads(old, block, &seal->arena, batch.raw, &format, &header, error));
  if (seal->pending.count == 0)
    seal->first = (struct tly_block_ref){.partition = block->partition,
                                         .generation = block->generation,
                                         .first_offset = block->first_offset,
                                         .appended_at_us = block->appended_at_us,
                                         .chain_before = block->chain_before};
  else if (!tly_hash_equal(block->chain_before, seal->chain))
    return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s does not continue the one before it", (long long)block->id,
                    old->path);
  tly_pending_block_add(&seal->pending, block->partition, &batch, format, header);
  seal->pending_bytes += block->payload_bytes;
  seal->chain = block->chain_after;
  return TLY_OK;
}

static enum tly_status first_offset(struct seal *seal, uint32_t partition, int64_t *offset, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_block_list list = {0};
  tly_arena_init(&arena);
  enum tly_status status = tly_segment_list(seal->old, partition, 0, 1, &arena, &list, error);
  *offset = list.count == 0 ? 0 : list.items[0].first_offset;
  tly_arena_free(&arena);
  return status;
}

static enum tly_status take_partition(struct seal *seal, uint32_t partition, struct tly_error *error) {
  int64_t offset;
  TLY_TRY(first_offset(seal, partition, &offset, error));
  for (;;) {
    struct tly_block block;
    bool found;
    TLY_TRY(check_stop(seal, error));
    TLY_TRY(tly_segment_find(seal->old, partition, offset, true, &block, &found, error));
    if (!found)
      return write_pending(seal, error);
    enum tly_status status = take_block(seal, &block, error);
    tly_segment_release(seal->old);
    TLY_TRY(status);
    offset = block.first_offset + block.event_count;
  }
}

/* Whoever lists the blocks needs their places alone. With these together in an index it reads a page or two of the file
 * instead of one a block. */
static enum tly_status put_places_together(struct seal *seal, struct tly_error *error) {
  return tly_sqlite_execute(seal->database,
                            "CREATE INDEX block_place ON block (partition, first_offset, generation, event_count, "
                            "appended_at, time_min, time_max, payload_bytes, chain_before, chain_after, checksum, "
                            "raw_checksum)",
                            error);
}

static enum tly_status take_all(struct seal *seal, struct tly_error *error) {
  uint32_t partition;
  int64_t after = -1;
  bool found;
  for (;;) {
    TLY_TRY(tly_segment_next_partition(seal->old, after, &partition, &found, error));
    if (!found)
      break;
    TLY_TRY(take_partition(seal, partition, error));
    after = partition;
  }
  TLY_TRY(put_places_together(seal, error));
  return tly_sqlite_execute(seal->database, "COMMIT", error);
}

/* ---- proof ------------------------------------------------------------------------------------------------------- */

static bool values_equal(const struct tly_vector *a, const struct tly_vector *b, uint32_t row_a, uint32_t row_b) {
  if (tly_vector_is_null(a, row_a) || tly_vector_is_null(b, row_b))
    return tly_vector_is_null(a, row_a) == tly_vector_is_null(b, row_b);
  enum tly_form form = tly_type_form(a->type);
  if (form == TLY_FORM_TEXT)
    return tly_text_equal(tly_vector_text(a, row_a), tly_vector_text(b, row_b));
  if (form == TLY_FORM_DECIMAL)
    return a->decimal[row_a].scale == b->decimal[row_b].scale &&
           tly_decimal_compare(a->decimal[row_a], b->decimal[row_b]) == 0;
  size_t size = tly_form_size(form);
  return memcmp((const char *)a->i64 + row_a * size, (const char *)b->i64 + row_b * size, size) == 0;
}

/* The old blocks that a new one was made of: they tile it, and their columns are its columns. */
static enum tly_status compare_block(struct seal *seal, const struct tly_block *new, const struct tly_vector *columns,
                                     struct tly_error *error) {
  uint32_t column_count = seal->old->file_stream.column_count;
  tly_chain chain = new->chain_before;
  for (uint32_t done = 0; done < new->event_count;) {
    struct tly_block block;
    bool found, same = true;
    TLY_TRY(tly_segment_find(seal->old, new->partition, new->first_offset + done, false, &block, &found, error));
    if (!found || block.first_offset != new->first_offset + done || block.generation != new->generation ||
        block.event_count > new->event_count - done || !tly_hash_equal(block.chain_before, chain)) {
      tly_segment_release(seal->old);
      return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s is not made of whole blocks of %s", (long long)new->id,
                      seal->temporary, seal->old->path);
    }
    struct tly_vector *old_columns = TLY_ARENA_ARRAY(&seal->arena, struct tly_vector, column_count);
    enum tly_status status = tly_segment_columns(seal->old, &block, NULL, &seal->arena, old_columns, error);
    tly_segment_release(seal->old);
    TLY_TRY(status);
    for (uint32_t c = 0; c < column_count && same; c++)
      for (uint32_t row = 0; row < block.event_count && same; row++)
        same = values_equal(&old_columns[c], &columns[c], row, done + row);
    if (!same)
      return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s has other values than %s", (long long)new->id,
                      seal->temporary, seal->old->path);
    done += block.event_count;
    chain = block.chain_after;
  }
  if (!tly_hash_equal(chain, new->chain_after))
    return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s has another hash than %s", (long long)new->id,
                    seal->temporary, seal->old->path);
  return TLY_OK;
}

static enum tly_status verify_block(struct seal *seal, struct tly_segment *new, const struct tly_block *block,
                                    struct tly_error *error) {
  tly_arena_reset(&seal->arena);
  struct tly_vector *columns = TLY_ARENA_ARRAY(&seal->arena, struct tly_vector, new->file_stream.column_count);
  struct tly_text *payloads = TLY_ARENA_ARRAY(&seal->arena, struct tly_text, block->event_count);
  TLY_TRY(tly_segment_columns(new, block, NULL, &seal->arena, columns, error));
  TLY_TRY(tly_segment_payloads(new, block, &seal->arena, payloads, NULL, NULL, error));
  return compare_block(seal, block, columns, error);
}

static enum tly_status verify_partition(struct seal *seal, struct tly_segment *new, uint32_t partition,
                                        uint64_t *events, struct tly_error *error) {
  int64_t offset;
  TLY_TRY(first_offset(seal, partition, &offset, error));
  for (;;) {
    struct tly_block block;
    bool found;
    TLY_TRY(check_stop(seal, error));
    TLY_TRY(tly_segment_find(new, partition, offset, true, &block, &found, error));
    if (!found)
      return TLY_OK;
    enum tly_status status = verify_block(seal, new, &block, error);
    tly_segment_release(new);
    TLY_TRY(status);
    offset = block.first_offset + block.event_count;
    *events += block.event_count;
  }
}

/* All of the old file's events are in the new one, and nothing else. */
static enum tly_status verify(struct seal *seal, struct tly_error *error) {
  struct tly_segment *new;
  uint32_t partition = 0;
  int64_t after = -1;
  uint64_t events = 0;
  bool found = true;
  TLY_TRY(tly_segment_open(seal->temporary, seal->job->sealed_number, true, seal->job->stream, &new, error));
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && found) {
    status = tly_segment_next_partition(seal->old, after, &partition, &found, error);
    if (status == TLY_OK && found)
      status = verify_partition(seal, new, partition, &events, error);
    after = partition;
  }
  tly_segment_close(new);
  if (status == TLY_OK && events != seal->events)
    status = TLY_FAIL(error, TLY_E_CORRUPT, "%s has %llu events of %llu", seal->temporary, (unsigned long long)events,
                      (unsigned long long)seal->events);
  return status;
}

static enum tly_status put_in_place(const struct seal *seal, struct tly_error *error) {
  if (chmod(seal->temporary, 0444) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make \"%s\" read-only", seal->temporary);
  TLY_TRY(tly_file_sync(seal->temporary, error));
  tly_crash_point("seal.before_rename");
  if (rename(seal->temporary, seal->path) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not rename \"%s\" to \"%s\"", seal->temporary, seal->path);
  char *folder = tly_archive_stream_folder(seal->job->directory, seal->job->stream->name);
  enum tly_status status = tly_file_sync_folder(folder, error);
  tly_free(folder);
  return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void close_new(struct seal *seal) {
  if (seal->has_writer)
    tly_block_writer_close(&seal->writer);
  seal->has_writer = false;
  tly_sqlite_close(seal->database);
  seal->database = NULL;
}

static enum tly_status run(struct seal *seal, struct tly_error *error) {
  uint32_t partition;
  bool found;
  TLY_TRY(tly_segment_next_partition(seal->old, -1, &partition, &found, error));
  if (!found)
    return TLY_OK;
  tly_pending_block_init(&seal->pending, &seal->old->file_stream);
  TLY_TRY(create_file(seal, error));
  TLY_TRY(take_all(seal, error));
  close_new(seal);
  TLY_TRY(tly_file_sync(seal->temporary, error));
  TLY_TRY(verify(seal, error));
  return put_in_place(seal, error);
}

enum tly_status tly_seal_run(const struct tly_seal_job *job, bool *has_events, struct tly_error *error) {
  struct seal seal = {.job = job};
  char *old_path = tly_archive_file_path(job->directory, job->stream->name, job->number, "");
  seal.path = tly_archive_file_path(job->directory, job->stream->name, job->sealed_number, "");
  seal.temporary = tly_archive_file_path(job->directory, job->stream->name, job->sealed_number, ".tmp");
  tly_arena_init(&seal.arena);
  enum tly_status status = tly_segment_open(old_path, job->number, false, job->stream, &seal.old, error);
  if (status == TLY_OK)
    status = run(&seal, error);
  close_new(&seal);
  *has_events = seal.events > 0;
  tly_pending_block_free(&seal.pending);
  tly_segment_close(seal.old);
  tly_arena_free(&seal.arena);
  tly_free(seal.path);
  tly_free(seal.temporary);
  tly_free(old_path);
  return status;
}
