/* A file's columns are named in its meta row `columns`; blocks know them by number. A stream that gets a column gets a
 * new file, so within one file the numbers stay what they are.
 *
 * Dictionaries are read when a block first needs more entries than are there, in the order of codes; in the active file
 * later commits add pieces, never change one. */
#include "common/archive/segment.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/archive/checksum.h"
#include "common/archive/raw.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void append_escaped(struct tly_buffer *out, const char *name) {
  for (const char *c = name; *c != '\0'; c++)
    if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-')
      tly_buffer_append_byte(out, (uint8_t)*c);
    else
      tly_buffer_print(out, "%%%02X", (unsigned)(uint8_t)*c);
}

char *tly_archive_stream_folder(const char *directory, const char *stream) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/archive/", directory);
  append_escaped(&path, stream);
  char *result = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return result;
}

char *tly_archive_file_path(const char *directory, const char *stream, int64_t number, const char *suffix) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/archive/", directory);
  append_escaped(&path, stream);
  tly_buffer_print(&path, "/%lld.db%s", (long long)number, suffix);
  char *result = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return result;
}

char *tly_archive_index_path(const char *directory, const char *suffix) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/archive/index.db%s", directory, suffix);
  char *result = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return result;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static int32_t stream_column(const struct tly_stream *stream, const char *name) {
  for (uint32_t c = 0; c < stream->column_count; c++)
    if (strcmp(stream->columns[c].name, name) == 0)
      return (int32_t)c;
  return -1;
}

/* file_stream and file_column from the array of names. */
static enum tly_status map_columns(struct tly_segment *segment, const json_t *names, struct tly_error *error) {
  const struct tly_stream *stream = segment->stream;
  size_t count = json_array_size(names);
  segment->file_stream = *stream;
  segment->file_stream.event_time = -1;
  segment->file_stream.columns = tly_calloc(count + 1, sizeof *segment->file_stream.columns);
  segment->file_stream.column_count = (uint32_t)count;
  segment->file_column = tly_calloc(stream->column_count + 1, sizeof *segment->file_column);
  for (uint32_t c = 0; c < stream->column_count; c++)
    segment->file_column[c] = -1;
  if (count == 0 || count > TLY_COLUMNS_MAX)
    return TLY_FAIL(error, TLY_E_CORRUPT, "%s does not name its columns", segment->path);
  for (uint32_t f = 0; f < count; f++) {
    const char *name = json_string_value(json_array_get(names, f));
    int32_t c = name == NULL ? -1 : stream_column(stream, name);
    if (c < 0)
      return TLY_FAIL(error, TLY_E_CONFIG, "%s has a column \"%s\" that stream \"%s\" no longer has", segment->path,
                      name == NULL ? "" : name, stream->name);
    segment->file_stream.columns[f] = stream->columns[c];
    segment->file_column[c] = (int32_t)f;
    if (c == stream->event_time)
      segment->file_stream.event_time = (int32_t)f;
  }
  return TLY_OK;
}

static enum tly_status read_columns_meta(struct tly_segment *segment, struct tly_error *error) {
  struct tly_buffer text = {0};
  bool found;
  enum tly_status status = tly_sqlite_meta_get(segment->database, "columns", &text, &found, error);
  if (status == TLY_OK && !found)
    status = TLY_FAIL(error, TLY_E_CORRUPT, "%s does not name its columns", segment->path);
  if (status == TLY_OK) {
    json_t *names = json_loads(tly_buffer_text(&text), 0, NULL);
    status = map_columns(segment, names, error);
    json_decref(names);
  }
  tly_buffer_free(&text);
  return status;
}

#define BLOCK_PLACE                                                                                                    \
  "id, partition, generation, first_offset, event_count, appended_at, time_min, time_max, payload_bytes, "             \
  "chain_before, chain_after, checksum, raw_checksum"
/* The block that holds an offset is the last one that starts at or below it. */
#define BLOCK_OF_OFFSET " FROM block WHERE partition = ?1 AND first_offset <= ?2 ORDER BY first_offset DESC LIMIT 1"

static enum tly_status prepare_all(struct tly_segment *segment, struct tly_error *error) {
  const struct {
    sqlite3_stmt **statement;
    const char *sql;
  } all[] = {
      {&segment->read_columns, "SELECT " BLOCK_PLACE ", columns" BLOCK_OF_OFFSET},
      {&segment->read_all, "SELECT " BLOCK_PLACE ", columns, raw" BLOCK_OF_OFFSET},
      {&segment->start, "SELECT first_offset, event_count" BLOCK_OF_OFFSET},
      {&segment->list, "SELECT " BLOCK_PLACE " FROM block WHERE partition = ?1 AND first_offset >= ?2 "
                       "ORDER BY first_offset LIMIT ?3"},
      {&segment->last_block, "SELECT first_offset + event_count, chain_after FROM block WHERE partition = ?1 "
                             "ORDER BY first_offset DESC LIMIT 1"},
      {&segment->next_partition, "SELECT min(partition) FROM block WHERE partition > ?1"},
      {&segment->pieces,
       "SELECT first_code, entry_count, entries, checksum FROM dictionary WHERE column_index = ?1 AND "
       "first_code >= ?2 ORDER BY first_code"},
  };
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    TLY_TRY(tly_sqlite_prepare(segment->database, all[i].sql, all[i].statement, error));
  return TLY_OK;
}

enum tly_status tly_segment_open(const char *path, int64_t number, bool is_sealed, const struct tly_stream *stream,
                                 struct tly_segment **out, struct tly_error *error) {
  struct tly_segment *segment = tly_calloc(1, sizeof *segment);
  *out = NULL;
  segment->number = number;
  segment->is_sealed = is_sealed;
  segment->stream = stream;
  segment->path = tly_strdup(path);
  enum tly_status status =
      tly_sqlite_open(path, is_sealed ? TLY_SQLITE_READER_SEALED : TLY_SQLITE_READER, NULL, &segment->database, error);
  if (status == TLY_OK)
    status = read_columns_meta(segment, error);
  if (status == TLY_OK)
    status = prepare_all(segment, error);
  if (status != TLY_OK) {
    tly_segment_close(segment);
    return status;
  }
  segment->dictionaries = tly_calloc(segment->file_stream.column_count, sizeof *segment->dictionaries);
  for (uint32_t c = 0; c < segment->file_stream.column_count; c++)
    tly_text_dictionary_init(&segment->dictionaries[c]);
  *out = segment;
  return TLY_OK;
}

struct tly_text_dictionary *tly_segment_take_dictionaries(struct tly_segment *segment) {
  struct tly_text_dictionary *dictionaries = segment->dictionaries;
  for (uint32_t c = 0; c < segment->file_stream.column_count && dictionaries != NULL; c++)
    tly_text_dictionary_free(&dictionaries[c]);
  segment->dictionaries = NULL;
  return dictionaries;
}

void tly_segment_close(struct tly_segment *segment) {
  if (segment == NULL)
    return;
  sqlite3_finalize(segment->read_columns);
  sqlite3_finalize(segment->read_all);
  sqlite3_finalize(segment->list);
  sqlite3_finalize(segment->start);
  sqlite3_finalize(segment->last_block);
  sqlite3_finalize(segment->next_partition);
  sqlite3_finalize(segment->pieces);
  tly_sqlite_close(segment->database);
  tly_free(tly_segment_take_dictionaries(segment));
  tly_free(segment->file_stream.columns);
  tly_free(segment->file_column);
  tly_free(segment->path);
  tly_free(segment);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static enum tly_status damaged(const struct tly_segment *segment, int64_t block, const char *what,
                               struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s is damaged: %s", (long long)block, segment->path, what);
}

static bool column_hash(sqlite3_stmt *statement, int column, struct tly_hash *out) {
  const void *bytes = sqlite3_column_blob(statement, column);
  if (bytes == NULL || sqlite3_column_bytes(statement, column) != (int)sizeof out->bytes)
    return false;
  memcpy(out->bytes, bytes, sizeof out->bytes);
  return true;
}

/* The columns of BLOCK_PLACE; false when one is not what it can be. */
static bool read_place(sqlite3_stmt *row, struct tly_block *block) {
  int64_t partition = sqlite3_column_int64(row, 1), count = sqlite3_column_int64(row, 4);
  memset(block, 0, sizeof *block);
  block->id = sqlite3_column_int64(row, 0);
  block->partition = (uint32_t)partition;
  block->generation = sqlite3_column_int64(row, 2);
  block->first_offset = sqlite3_column_int64(row, 3);
  block->event_count = (uint32_t)count;
  block->appended_at_us = sqlite3_column_int64(row, 5);
  block->has_time = sqlite3_column_type(row, 6) != SQLITE_NULL;
  block->time_min_us = sqlite3_column_int64(row, 6);
  block->time_max_us = sqlite3_column_int64(row, 7);
  block->payload_bytes = sqlite3_column_int64(row, 8);
  return partition >= 0 && partition < TLY_PARTITIONS_MAX && count > 0 && count <= TLY_BATCH_EVENTS_MAX &&
         block->first_offset >= 0 && block->first_offset <= INT64_MAX - count &&
         column_hash(row, 9, &block->chain_before) && column_hash(row, 10, &block->chain_after) &&
         column_hash(row, 11, &block->checksum) && column_hash(row, 12, &block->raw_checksum);
}

static struct tly_block_ref ref_of(const struct tly_segment *segment, const struct tly_block *block) {
  return (struct tly_block_ref){.segment = segment->number,
                                .id = block->id,
                                .partition = block->partition,
                                .generation = block->generation,
                                .first_offset = block->first_offset,
                                .event_count = block->event_count,
                                .appended_at_us = block->appended_at_us,
                                .has_time = block->has_time,
                                .time_min_us = block->time_min_us,
                                .time_max_us = block->time_max_us,
                                .chain_before = block->chain_before,
                                .chain_after = block->chain_after};
}

static void list_add(struct tly_block_list *list, struct tly_block_ref ref, struct tly_arena *arena) {
  if (list->count == list->capacity) {
    uint32_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
    struct tly_block_ref *items = TLY_ARENA_ARRAY(arena, struct tly_block_ref, capacity);
    if (list->count > 0)
      memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->capacity = capacity;
  }
  list->items[list->count++] = ref;
}

/* Where the block that holds `from_offset` starts; from_offset itself when none does. */
static enum tly_status list_start(struct tly_segment *segment, uint32_t partition, int64_t from_offset, int64_t *start,
                                  struct tly_error *error) {
  bool has_row;
  *start = from_offset;
  sqlite3_bind_int64(segment->start, 1, partition);
  sqlite3_bind_int64(segment->start, 2, from_offset);
  TLY_TRY(tly_sqlite_step(segment->start, &has_row, error));
  if (has_row && sqlite3_column_int64(segment->start, 0) + sqlite3_column_int64(segment->start, 1) > from_offset)
    *start = sqlite3_column_int64(segment->start, 0);
  sqlite3_reset(segment->start);
  return TLY_OK;
}

enum tly_status tly_segment_list(struct tly_segment *segment, uint32_t partition, int64_t from_offset, uint32_t max,
                                 struct tly_arena *arena, struct tly_block_list *list, struct tly_error *error) {
  int64_t start;
  bool has_row;
  TLY_TRY(list_start(segment, partition, from_offset, &start, error));
  sqlite3_bind_int64(segment->list, 1, partition);
  sqlite3_bind_int64(segment->list, 2, start);
  sqlite3_bind_int64(segment->list, 3, max);
  for (;;) {
    struct tly_block block;
    TLY_TRY(tly_sqlite_step(segment->list, &has_row, error));
    if (!has_row)
      return TLY_OK;
    if (!read_place(segment->list, &block)) {
      sqlite3_reset(segment->list);
      return damaged(segment, block.id, "its place is unreadable", error);
    }
    list_add(list, ref_of(segment, &block), arena);
  }
}

enum tly_status tly_segment_next_partition(struct tly_segment *segment, int64_t after, uint32_t *partition, bool *found,
                                           struct tly_error *error) {
  *found = false;
  sqlite3_bind_int64(segment->next_partition, 1, after);
  TLY_TRY(tly_sqlite_step(segment->next_partition, found, error));
  if (*found && sqlite3_column_type(segment->next_partition, 0) == SQLITE_NULL)
    *found = false;
  int64_t value = sqlite3_column_int64(segment->next_partition, 0);
  sqlite3_reset(segment->next_partition);
  if (*found && value >= TLY_PARTITIONS_MAX)
    return damaged(segment, 0, "a partition number is out of range", error);
  *partition = (uint32_t)value;
  return TLY_OK;
}

enum tly_status tly_segment_end(struct tly_segment *segment, uint32_t partition, int64_t *next_offset, tly_chain *chain,
                                bool *found, struct tly_error *error) {
  sqlite3_bind_int64(segment->last_block, 1, partition);
  TLY_TRY(tly_sqlite_step(segment->last_block, found, error));
  if (!*found)
    return TLY_OK;
  *next_offset = sqlite3_column_int64(segment->last_block, 0);
  bool good = column_hash(segment->last_block, 1, chain);
  sqlite3_reset(segment->last_block);
  return good ? TLY_OK : damaged(segment, 0, "the end of a partition is unreadable", error);
}

void tly_segment_release(struct tly_segment *segment) {
  sqlite3_reset(segment->read_columns);
  sqlite3_reset(segment->read_all);
}

static enum tly_status check_found(struct tly_segment *segment, sqlite3_stmt *row, bool with_raw,
                                   struct tly_block *block, struct tly_error *error) {
  if (!read_place(row, block))
    return damaged(segment, block->id, "its place is unreadable", error);
  block->columns = sqlite3_column_blob(row, 13);
  block->columns_size = (size_t)sqlite3_column_bytes(row, 13);
  if (!tly_hash_equal(tly_block_checksum(segment->stream->name, block), block->checksum))
    return damaged(segment, block->id, "its checksum does not match", error);
  if (!with_raw)
    return TLY_OK;
  block->raw = sqlite3_column_blob(row, 14);
  block->raw_size = (size_t)sqlite3_column_bytes(row, 14);
  if (!tly_hash_equal(tly_block_raw_checksum(segment->stream->name, block), block->raw_checksum))
    return damaged(segment, block->id, "the checksum of its raw bytes does not match", error);
  return TLY_OK;
}

enum tly_status tly_segment_find(struct tly_segment *segment, uint32_t partition, int64_t offset, bool with_raw,
                                 struct tly_block *block, bool *found, struct tly_error *error) {
  sqlite3_stmt *row = with_raw ? segment->read_all : segment->read_columns;
  tly_segment_release(segment);
  sqlite3_bind_int64(row, 1, partition);
  sqlite3_bind_int64(row, 2, offset);
  TLY_TRY(tly_sqlite_step(row, found, error));
  if (!*found)
    return TLY_OK;
  enum tly_status status = check_found(segment, row, with_raw, block, error);
  if (status == TLY_OK && offset >= block->first_offset + block->event_count)
    *found = false;
  if (status != TLY_OK || !*found)
    tly_segment_release(segment);
  return status;
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

static enum tly_status read_piece(struct tly_segment *segment, uint32_t column, struct tly_error *error) {
  struct tly_text_dictionary *dictionary = &segment->dictionaries[column];
  int64_t first = sqlite3_column_int64(segment->pieces, 0), count = sqlite3_column_int64(segment->pieces, 1);
  const void *entries = sqlite3_column_blob(segment->pieces, 2);
  size_t size = (size_t)sqlite3_column_bytes(segment->pieces, 2);
  struct tly_hash checksum;
  if (first != dictionary->view.count || count <= 0 || count > INT32_MAX - first ||
      !column_hash(segment->pieces, 3, &checksum) ||
      !tly_hash_equal(checksum, tly_text_dictionary_checksum(segment->stream->name, column, (uint32_t)first,
                                                             (uint32_t)count, entries, size)) ||
      !tly_text_dictionary_read(dictionary, entries, size, (uint32_t)count))
    return TLY_FAIL(error, TLY_E_CORRUPT, "the dictionary of column \"%s\" in %s is damaged at entry %lld",
                    segment->file_stream.columns[column].name, segment->path, (long long)first);
  return TLY_OK;
}

enum tly_status tly_segment_load_dictionary(struct tly_segment *segment, uint32_t column, uint32_t entries,
                                            struct tly_error *error) {
  struct tly_text_dictionary *dictionary = &segment->dictionaries[column];
  bool has_row = true;
  enum tly_status status = TLY_OK;
  if (dictionary->view.count >= entries)
    return TLY_OK;
  sqlite3_bind_int64(segment->pieces, 1, column);
  sqlite3_bind_int64(segment->pieces, 2, dictionary->view.count);
  while (status == TLY_OK && has_row) {
    status = tly_sqlite_step(segment->pieces, &has_row, error);
    if (status == TLY_OK && has_row)
      status = read_piece(segment, column, error);
  }
  sqlite3_reset(segment->pieces);
  if (status == TLY_OK && dictionary->view.count < entries && entries != UINT32_MAX)
    return TLY_FAIL(error, TLY_E_CORRUPT, "the dictionary of column \"%s\" in %s ends at entry %u of %u",
                    segment->file_stream.columns[column].name, segment->path, dictionary->view.count, entries);
  return status;
}

enum tly_status tly_segment_columns(struct tly_segment *segment, const struct tly_block *block, const bool *wanted,
                                    struct tly_arena *arena, struct tly_vector *out, struct tly_error *error) {
  uint32_t count = segment->file_stream.column_count, stored;
  uint32_t limits[TLY_COLUMNS_MAX] = {0};
  const struct tly_dictionary *dictionaries[TLY_COLUMNS_MAX];
  if (!tly_block_read_limits(block->columns, block->columns_size, limits, count, &stored) || stored != count)
    return damaged(segment, block->id, "its columns are unreadable", error);
  for (uint32_t c = 0; c < count; c++) {
    dictionaries[c] = &segment->dictionaries[c].view;
    if (wanted == NULL || wanted[c])
      TLY_TRY(tly_segment_load_dictionary(segment, c, limits[c], error));
  }
  if (!tly_block_read_columns(block->columns, block->columns_size, block->event_count, wanted, dictionaries, count,
                              arena, out))
    return damaged(segment, block->id, "its columns are unreadable", error);
  return TLY_OK;
}

static enum tly_status check_chain(const struct tly_segment *segment, const struct tly_block *block,
                                   const struct tly_text *payloads, struct tly_error *error) {
  tly_chain chain = block->chain_before;
  for (uint32_t i = 0; i < block->event_count; i++)
    chain = tly_chain_next(chain, payloads[i].data, payloads[i].size);
  return tly_hash_equal(chain, block->chain_after)
             ? TLY_OK
             : damaged(segment, block->id, "its events do not give the hash they were stored under", error);
}

enum tly_status tly_segment_payloads(struct tly_segment *segment, const struct tly_block *block,
                                     struct tly_arena *arena, struct tly_text *out, enum tly_format *format,
                                     struct tly_text *header, struct tly_error *error) {
  struct tly_raw_header head;
  struct tly_vector *columns = NULL;
  uint32_t column_count = segment->file_stream.column_count;
  TLY_ASSERT(block->raw != NULL);
  if (!tly_raw_read_header(block->raw, block->raw_size, &head))
    return damaged(segment, block->id, "its raw bytes are unreadable", error);
  if (head.needs_columns) {
    columns = TLY_ARENA_ARRAY(arena, struct tly_vector, column_count);
    TLY_TRY(tly_segment_columns(segment, block, NULL, arena, columns, error));
  }
  if (!tly_raw_read(block->raw, block->raw_size, block->event_count, columns, column_count, arena, out))
    return damaged(segment, block->id, "its raw bytes are unreadable", error);
  if (format != NULL)
    *format = head.format;
  if (header != NULL)
    *header =
        (struct tly_text){.data = tly_arena_copy(arena, head.header.data, head.header.size), .size = head.header.size};
  return check_chain(segment, block, out, error);
}
