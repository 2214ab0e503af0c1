#include "batch_layer/block_writer.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum {
  PIECE_ENTRIES_MAX = 65536,
  STRIP_ROWS = 1024 /* whose payloads stay in a processor's own cache from one step to the next */
};

enum tly_status tly_block_writer_open(sqlite3 *database, const struct tly_stream *stream, enum tly_effort effort,
                                      struct tly_block_writer *writer, struct tly_error *error) {
  memset(writer, 0, sizeof *writer);
  writer->stream = stream;
  writer->database = database;
  writer->effort = effort;
  writer->columns = tly_calloc(stream->column_count, sizeof *writer->columns);
  for (uint32_t c = 0; c < stream->column_count; c++) {
    tly_text_dictionary_init(&writer->columns[c].dictionary);
    writer->columns[c].is_coded = tly_type_is_text(stream->columns[c].type.id);
  }
  enum tly_status status = tly_sqlite_prepare(
      database,
      "INSERT INTO block (partition, generation, first_offset, event_count, appended_at, time_min, time_max, "
      "payload_bytes, chain_before, chain_after, checksum, raw_checksum, columns, raw) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
      &writer->insert_block, error);
  if (status == TLY_OK)
    status = tly_sqlite_prepare(database,
                                "INSERT INTO dictionary (column_index, first_code, entry_count, entries, checksum) "
                                "VALUES (?1, ?2, ?3, ?4, ?5)",
                                &writer->insert_piece, error);
  if (status == TLY_OK)
    status = tly_sqlite_prepare(database, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, '1')",
                                &writer->insert_meta, error);
  if (status != TLY_OK)
    tly_block_writer_close(writer);
  return status;
}

void tly_block_writer_close(struct tly_block_writer *writer) {
  sqlite3_finalize(writer->insert_block);
  sqlite3_finalize(writer->insert_piece);
  sqlite3_finalize(writer->insert_meta);
  for (uint32_t c = 0; writer->columns != NULL && c < writer->stream->column_count; c++) {
    tly_text_dictionary_free(&writer->columns[c].dictionary);
    tly_free(writer->columns[c].codes_of_source);
  }
  tly_free(writer->columns);
  tly_buffer_free(&writer->columns_bytes);
  tly_buffer_free(&writer->raw_bytes);
  memset(writer, 0, sizeof *writer);
}

void tly_block_writer_committed(struct tly_block_writer *writer) {
  writer->committed_rows = writer->rows;
  for (uint32_t c = 0; c < writer->stream->column_count; c++)
    writer->columns[c].committed = writer->columns[c].stored;
}

void tly_block_writer_rolled_back(struct tly_block_writer *writer) {
  writer->rows = writer->committed_rows;
  for (uint32_t c = 0; c < writer->stream->column_count; c++) {
    struct tly_coded_column *column = &writer->columns[c];
    if (column->is_coded)
      tly_text_dictionary_truncate(&column->dictionary, column->committed);
    column->stored = column->committed;
    column->source = NULL; /* codes that were remembered may be gone */
  }
}

enum tly_status tly_block_writer_stop_coding(struct tly_block_writer *writer, uint32_t column,
                                             struct tly_error *error) {
  char name[32];
  snprintf(name, sizeof name, "uncoded.%u", column);
  sqlite3_bind_text(writer->insert_meta, 1, name, -1, SQLITE_TRANSIENT);
  TLY_TRY(tly_sqlite_run(writer->insert_meta, error));
  tly_text_dictionary_free(&writer->columns[column].dictionary);
  writer->columns[column].is_coded = false;
  return TLY_OK;
}

/* ---- codes ------------------------------------------------------------------------------------------------------- */

static bool has_outgrown(const struct tly_coded_column *column, uint64_t rows) {
  uint32_t entries = column->dictionary.view.count;
  return entries > TLY_DICTIONARY_ENTRIES_MAX - TLY_BATCH_EVENTS_MAX ||
         column->dictionary.arena.allocated_bytes > TLY_DICTIONARY_BYTES_MAX ||
         (entries >= TLY_DICTIONARY_DOUBT_ENTRIES && entries > rows / 2);
}

/* Rows that come coded (from another file) are looked up once a code. */
static void translate_codes(struct tly_coded_column *column, const struct tly_vector *vector, uint32_t first,
                            uint32_t count, uint32_t *codes) {
  if (column->source != vector->dictionary || column->codes_of_source_count < vector->dictionary->count) {
    tly_free(column->codes_of_source);
    column->source = vector->dictionary;
    column->codes_of_source_count = vector->dictionary->count;
    column->codes_of_source = tly_calloc(vector->dictionary->count, sizeof *column->codes_of_source);
  }
  for (uint32_t row = first; row < first + count; row++) {
    uint32_t *known = &column->codes_of_source[vector->codes[row]];
    if (*known == 0 && !tly_vector_is_null(vector, row))
      *known = 1 + tly_text_dictionary_intern(&column->dictionary, tly_vector_text(vector, row));
    codes[row] = tly_vector_is_null(vector, row) ? 0 : *known - 1;
  }
}

static enum tly_status store_pieces(struct tly_block_writer *writer, uint32_t c, struct tly_error *error) {
  struct tly_coded_column *column = &writer->columns[c];
  while (column->stored < column->dictionary.view.count) {
    struct tly_buffer piece = {0};
    uint32_t count = column->dictionary.view.count - column->stored;
    count = count > PIECE_ENTRIES_MAX ? PIECE_ENTRIES_MAX : count;
    tly_text_dictionary_write(&column->dictionary, column->stored, count, writer->effort, &piece);
    struct tly_hash checksum =
        tly_text_dictionary_checksum(writer->stream->name, c, column->stored, count, piece.data, piece.size);
    sqlite3_bind_int64(writer->insert_piece, 1, c);
    sqlite3_bind_int64(writer->insert_piece, 2, column->stored);
    sqlite3_bind_int64(writer->insert_piece, 3, count);
    sqlite3_bind_blob64(writer->insert_piece, 4, piece.data, piece.size, SQLITE_STATIC);
    sqlite3_bind_blob(writer->insert_piece, 5, checksum.bytes, sizeof checksum.bytes, SQLITE_STATIC);
    enum tly_status status = tly_sqlite_run(writer->insert_piece, error);
    tly_buffer_free(&piece);
    if (status != TLY_OK)
      return status;
    column->stored += count;
  }
  return TLY_OK;
}

/* Room for the codes of one column; none when the column is stored without. */
static enum tly_status begin_codes(struct tly_block_writer *writer, uint32_t c, uint32_t count, struct tly_arena *arena,
                                   uint32_t **codes, struct tly_error *error) {
  struct tly_coded_column *column = &writer->columns[c];
  *codes = NULL;
  if (column->is_coded && has_outgrown(column, writer->rows))
    TLY_TRY(tly_block_writer_stop_coding(writer, c, error));
  if (column->is_coded)
    *codes = tly_arena_alloc(arena, count * sizeof **codes);
  return TLY_OK;
}

static void code_rows(struct tly_coded_column *column, const struct tly_vector *vector, uint32_t first, uint32_t count,
                      uint32_t *codes) {
  if (vector->codes != NULL)
    translate_codes(column, vector, first, count, codes);
  else
    tly_text_dictionary_intern_rows(&column->dictionary, vector->text + first,
                                    vector->null == NULL ? NULL : vector->null + first, count, codes + first);
}

static enum tly_status finish_codes(struct tly_block_writer *writer, uint32_t c, const uint32_t *rows,
                                    struct tly_column_codes *codes, struct tly_error *error) {
  uint32_t entries = writer->columns[c].dictionary.view.count;
  *codes = (struct tly_column_codes){.codes = NULL, .limit = 0};
  if (rows == NULL || entries == 0) /* all NULL: there is no entry that code 0 could name */
    return TLY_OK;
  *codes = (struct tly_column_codes){.codes = rows, .limit = entries};
  return store_pieces(writer, c, error);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void time_range(const struct tly_stream *stream, const struct tly_vector *columns, uint32_t count,
                       struct tly_block *block) {
  if (stream->event_time < 0)
    return;
  const struct tly_vector *column = &columns[stream->event_time];
  int64_t scale = column->type.id == TLY_TYPE_DATE ? TLY_US_PER_DAY : 1;
  if (tly_type_form(column->type) != TLY_FORM_I64)
    return;
  for (uint32_t row = 0; row < count; row++) {
    if (tly_vector_is_null(column, row))
      continue;
    int64_t time = column->i64[row] * scale;
    block->time_min_us = !block->has_time || time < block->time_min_us ? time : block->time_min_us;
    block->time_max_us = !block->has_time || time > block->time_max_us ? time : block->time_max_us;
    block->has_time = true;
  }
}

static void bind_hash(sqlite3_stmt *statement, int parameter, const struct tly_hash *hash) {
  sqlite3_bind_blob(statement, parameter, hash->bytes, sizeof hash->bytes, SQLITE_STATIC);
}

static enum tly_status insert(struct tly_block_writer *writer, const struct tly_block *block, struct tly_error *error) {
  sqlite3_stmt *row = writer->insert_block;
  sqlite3_bind_int64(row, 1, block->partition);
  sqlite3_bind_int64(row, 2, block->generation);
  sqlite3_bind_int64(row, 3, block->first_offset);
  sqlite3_bind_int64(row, 4, block->event_count);
  sqlite3_bind_int64(row, 5, block->appended_at_us);
  if (block->has_time) {
    sqlite3_bind_int64(row, 6, block->time_min_us);
    sqlite3_bind_int64(row, 7, block->time_max_us);
  }
  sqlite3_bind_int64(row, 8, block->payload_bytes);
  bind_hash(row, 9, &block->chain_before);
  bind_hash(row, 10, &block->chain_after);
  bind_hash(row, 11, &block->checksum);
  bind_hash(row, 12, &block->raw_checksum);
  sqlite3_bind_blob64(row, 13, block->columns, block->columns_size, SQLITE_STATIC);
  sqlite3_bind_blob64(row, 14, block->raw, block->raw_size, SQLITE_STATIC);
  return tly_sqlite_run(row, error);
}

static void hash_rows(const struct tly_raw_source *source, uint32_t first, uint32_t count, struct tly_block *block) {
  for (uint32_t row = first; row < first + count; row++) {
    block->chain_after = tly_chain_next(block->chain_after, source->payloads[row].data, source->payloads[row].size);
    block->payload_bytes += source->payloads[row].size;
  }
}

/* The chain over the events and the codes of their texts, which are parts of the payloads mostly: strip by strip, so
 * that the payloads, which another thread has received and decoded, are fetched once and in their order. */
static enum tly_status hash_and_code(struct tly_block_writer *writer, const struct tly_raw_source *source,
                                     struct tly_arena *arena, struct tly_block *block, struct tly_column_codes *codes,
                                     struct tly_error *error) {
  uint32_t *rows[TLY_COLUMNS_MAX];
  uint32_t column_count = writer->stream->column_count;
  for (uint32_t c = 0; c < column_count; c++)
    TLY_TRY(begin_codes(writer, c, source->count, arena, &rows[c], error));
  for (uint32_t done = 0; done < source->count; done += STRIP_ROWS) {
    uint32_t strip = source->count - done < STRIP_ROWS ? source->count - done : STRIP_ROWS;
    hash_rows(source, done, strip, block);
    for (uint32_t c = 0; c < column_count; c++)
      if (rows[c] != NULL)
        code_rows(&writer->columns[c], &source->columns[c], done, strip, rows[c]);
  }
  for (uint32_t c = 0; c < column_count; c++)
    TLY_TRY(finish_codes(writer, c, rows[c], &codes[c], error));
  return TLY_OK;
}

static enum tly_status encode(struct tly_block_writer *writer, const struct tly_raw_source *source,
                              struct tly_block *block, struct tly_error *error) {
  struct tly_column_codes codes[TLY_COLUMNS_MAX];
  struct tly_arena arena;
  tly_arena_init(&arena);
  tly_buffer_clear(&writer->columns_bytes);
  tly_buffer_clear(&writer->raw_bytes);
  enum tly_status status = hash_and_code(writer, source, &arena, block, codes, error);
  if (status == TLY_OK) {
    tly_block_write_columns(source->columns, codes, writer->stream->column_count, writer->effort,
                            &writer->columns_bytes);
    tly_raw_write(source, &writer->templates, writer->effort, &writer->raw_bytes);
  }
  tly_arena_free(&arena);
  return status;
}

enum tly_status tly_block_writer_add(struct tly_block_writer *writer, const struct tly_new_block *new,
                                     tly_chain *chain_after, struct tly_error *error) {
  const struct tly_raw_source *source = &new->source;
  struct tly_block block = {.partition = new->partition,
                            .generation = new->generation,
                            .first_offset = new->first_offset,
                            .event_count = source->count,
                            .appended_at_us = new->appended_at_us,
                            .chain_before = new->chain_before,
                            .chain_after = new->chain_before};
  TLY_ASSERT(source->count > 0 && source->count <= TLY_BATCH_EVENTS_MAX);
  TLY_TRY(encode(writer, source, &block, error));
  time_range(writer->stream, source->columns, source->count, &block);
  block.columns = writer->columns_bytes.data;
  block.columns_size = writer->columns_bytes.size;
  block.raw = writer->raw_bytes.data;
  block.raw_size = writer->raw_bytes.size;
  block.raw_checksum = tly_block_raw_checksum(writer->stream->name, &block);
  block.checksum = tly_block_checksum(writer->stream->name, &block);
  TLY_TRY(insert(writer, &block, error));
  writer->rows += source->count;
  *chain_after = block.chain_after;
  return TLY_OK;
}
