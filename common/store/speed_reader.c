/* What a snapshot says about views, positions and deltas is read once and held until the store has changed: SQLite's
 * data_version, asked inside the read transaction, names the state the snapshot sees. A point query of a quiet store
 * thus costs a begin, an end and look-ups in memory.
 *
 * INVARIANTS
 *   (1) Everything held under `state_version` was read in a snapshot of that very data_version, of this connection.
 *   (2) Deltas never change and their ids are never reused within a store, so the cache of blocks needs no version;
 *       it is cleared when another store (another epoch) is opened.
 *   (3) No snapshot is given out unless the store was checked against the archive since this boot: before, a power
 *       cut may have taken from the archive what the store has folded. */
#include "common/store/speed_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/store/delta_block.h"
#include "common/store/delta_cache.h"
#include "common/store/slice.h"

enum statement {
  BEGIN,
  END,
  DATA_VERSION,
  CHECKED,
  VIEWS,
  GOING_BACK,
  POSITIONS,
  SET_ASIDE,
  DELTAS,
  DIRECTORY,
  BLOCK,
  ALL_BLOCKS,
  STATEMENT_COUNT
};

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN",
    [END] = "COMMIT",
    [DATA_VERSION] = "PRAGMA data_version",
    [CHECKED] = "SELECT value FROM meta WHERE name = 'checked'",
    [VIEWS] = "SELECT v.id, v.name, v.definition_hash, v.state = 'ready',"
              " iif(v.state = 'ready', v.run, 0), iif(v.state = 'ready', v.cut, 0), coalesce(sum(g.folded), 0),"
              " coalesce(sum(g.filtered), 0), coalesce(sum(g.set_aside), 0) FROM view AS v LEFT JOIN generation AS g"
              " ON g.view = v.id AND g.number > v.cut WHERE v.state = 'ready' OR NOT EXISTS"
              " (SELECT 1 FROM view AS shown WHERE shown.name = v.name AND shown.state = 'ready') GROUP BY v.id",
    [GOING_BACK] = "SELECT run, (SELECT coalesce(sum(next_offset), 0) FROM catch_up WHERE view = id),"
                   " (SELECT coalesce(sum(next_offset), 0) FROM position WHERE stream = ?2)"
                   " FROM view WHERE name = ?1 AND state = 'building'",
    [POSITIONS] = "SELECT stream, partition, next_offset, chain FROM position ORDER BY stream, partition",
    [SET_ASIDE] = "SELECT partition, \"offset\", sqlstate, message FROM set_aside WHERE view = ?1 AND generation > ?2"
                  " ORDER BY partition, \"offset\" LIMIT ?3",
    [DELTAS] = "SELECT id, generation FROM delta WHERE view = ?1 AND part = ?2 AND level >= 0 ORDER BY id",
    [DIRECTORY] = "SELECT first_key FROM delta_block WHERE delta = ?1 ORDER BY number",
    [BLOCK] = "SELECT " TLY_DELTA_BLOCK_COLUMNS " FROM delta_block WHERE delta = ?1 AND number = ?2",
    [ALL_BLOCKS] = "SELECT " TLY_DELTA_BLOCK_COLUMNS " FROM delta_block WHERE delta = ?1 ORDER BY number",
};

/* A range that touches no more blocks of a delta than this goes through the cache, as look-ups of one key do. */
enum { CACHED_BLOCKS_MAX = 4, BOOT_ID_SIZE = 36 };

struct known_view {
  const char *name; /* in state_arena */
  struct tly_published published;
};

struct live_delta {
  int64_t id, generation;
  struct tly_known_delta *known; /* NULL: not looked up since the list was read */
};

/* The deltas of one part of one view. */
struct delta_list {
  int64_t view_id;
  uint32_t part;
  uint64_t state_version;    /* of its content; 0: none */
  struct live_delta *deltas; /* by id */
  uint32_t count;
};

struct tly_speed_reader {
  const char *directory;
  const struct tly_project *project;
  char boot_id[BOOT_ID_SIZE + 1];
  struct timespec epoch_written; /* of speed.epoch when the store was opened: another time or file, another epoch */
  ino_t epoch_inode;
  uint32_t open_count;
  sqlite3 *database; /* NULL: to be opened */
  sqlite3_stmt *statements[STATEMENT_COUNT];
  bool in_snapshot;
  uint64_t version;         /* of the snapshot: open count and data_version */
  uint64_t checked_version; /* the last one found checked */
  uint64_t views_version;   /* of `views` */
  struct tly_arena state_arena;
  struct known_view *views;
  uint32_t view_count;
  struct delta_list *lists;
  uint32_t list_count;
  tly_delta_cache *cache;
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void close_store(tly_speed_reader *reader) {
  TLY_ASSERT(!reader->in_snapshot);
  for (int s = 0; s < STATEMENT_COUNT; s++) {
    sqlite3_finalize(reader->statements[s]);
    reader->statements[s] = NULL;
  }
  tly_sqlite_close(reader->database);
  reader->database = NULL;
  tly_delta_cache_clear(reader->cache);
}

static enum tly_status read_epoch(const char *path, int64_t *epoch, struct tly_error *error) {
  struct tly_buffer text = {0};
  enum tly_status status = tly_file_read(path, 64, &text, error);
  if (status == TLY_OK) {
    char *end;
    *epoch = strtoll(tly_buffer_text(&text), &end, 10);
    if (end == (char *)text.data || *epoch < 1 || (*end != '\n' && *end != 0))
      status = TLY_FAIL(error, TLY_E_CORRUPT, "%s does not hold a number", path);
  }
  tly_buffer_free(&text);
  return status;
}

static enum tly_status open_store(tly_speed_reader *reader, const char *epoch_path, const struct stat *found,
                                  struct tly_error *error) {
  char path[4096];
  int64_t epoch;
  TLY_TRY(read_epoch(epoch_path, &epoch, error));
  if (snprintf(path, sizeof path, "%s/speed-%lld.db", reader->directory, (long long)epoch) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", reader->directory);
  TLY_TRY(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &reader->database, error));
  reader->open_count++;
  reader->epoch_inode = found->st_ino;
  reader->epoch_written = found->st_mtim;
  for (int s = 0; s < STATEMENT_COUNT; s++) {
    enum tly_status status = tly_sqlite_prepare(reader->database, statement_sql[s], &reader->statements[s], error);
    if (status != TLY_OK) {
      close_store(reader);
      return status;
    }
  }
  return TLY_OK;
}

/* One stat a snapshot tells whether the store was rebuilt: speed.epoch is then another file. */
static enum tly_status follow_epoch(tly_speed_reader *reader, struct tly_error *error) {
  char path[4096];
  struct stat found;
  if (snprintf(path, sizeof path, "%s/speed.epoch", reader->directory) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", reader->directory);
  if (stat(path, &found) != 0)
    return TLY_FAIL(error, TLY_E_NOT_READY, "the speed layer has not started yet (%s is not there)", path);
  if (reader->database != NULL && found.st_ino == reader->epoch_inode &&
      found.st_mtim.tv_sec == reader->epoch_written.tv_sec && found.st_mtim.tv_nsec == reader->epoch_written.tv_nsec)
    return TLY_OK;
  if (reader->database != NULL)
    close_store(reader);
  return open_store(reader, path, &found, error);
}

static enum tly_status read_boot_id(char *out, struct tly_error *error) {
  struct tly_buffer text = {0};
  enum tly_status status = tly_file_read("/proc/sys/kernel/random/boot_id", 4096, &text, error);
  if (status == TLY_OK && text.size < BOOT_ID_SIZE)
    status = TLY_FAIL(error, TLY_E_IO, "the kernel's boot id is too short");
  if (status == TLY_OK) {
    memcpy(out, text.data, BOOT_ID_SIZE);
    out[BOOT_ID_SIZE] = 0;
  }
  tly_buffer_free(&text);
  return status;
}

enum tly_status tly_speed_reader_open(const char *directory, const struct tly_project *project, tly_speed_reader **out,
                                      struct tly_error *error) {
  *out = NULL;
  tly_speed_reader *reader = tly_calloc(1, sizeof *reader);
  reader->directory = tly_strdup(directory);
  reader->project = project;
  reader->cache = tly_delta_cache_new(TLY_DELTA_CACHE_BYTES);
  tly_arena_init(&reader->state_arena);
  enum tly_status status = read_boot_id(reader->boot_id, error);
  if (status == TLY_OK)
    status = follow_epoch(reader, error);
  if (status != TLY_OK) {
    tly_speed_reader_close(reader);
    return status;
  }
  *out = reader;
  return TLY_OK;
}

void tly_speed_reader_close(tly_speed_reader *reader) {
  if (reader == NULL)
    return;
  if (reader->in_snapshot)
    tly_speed_snapshot_end(reader);
  close_store(reader);
  for (uint32_t l = 0; l < reader->list_count; l++)
    tly_free(reader->lists[l].deltas);
  tly_free(reader->lists);
  tly_delta_cache_free(reader->cache);
  tly_arena_free(&reader->state_arena);
  tly_free((char *)(uintptr_t)reader->directory);
  tly_free(reader);
}

/* ---- snapshots --------------------------------------------------------------------------------------------------- */

static enum tly_status read_version(tly_speed_reader *reader, uint64_t *out, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[DATA_VERSION];
  bool has_row;
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  TLY_ASSERT(has_row);
  *out = (uint64_t)reader->open_count << 32 | (uint32_t)sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return TLY_OK;
}

enum tly_status tly_speed_reader_version(tly_speed_reader *reader, uint64_t *out, struct tly_error *error) {
  *out = 0;
  if (reader->in_snapshot) {
    *out = reader->version;
    return TLY_OK;
  }
  TLY_TRY(follow_epoch(reader, error));
  return read_version(reader, out, error);
}

static enum tly_status require_checked(tly_speed_reader *reader, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[CHECKED];
  bool has_row, matches = false;
  if (reader->version == reader->checked_version)
    return TLY_OK;
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  if (has_row) {
    struct tly_text value = tly_column_text(statement, 0);
    matches = value.size >= BOOT_ID_SIZE && memcmp(value.data, reader->boot_id, BOOT_ID_SIZE) == 0;
  }
  sqlite3_reset(statement);
  if (!matches)
    return TLY_FAIL(error, TLY_E_NOT_READY,
                    "the speed layer is catching up with the archive and has not yet confirmed its state");
  reader->checked_version = reader->version;
  return TLY_OK;
}

enum tly_status tly_speed_snapshot_begin(tly_speed_reader *reader, struct tly_error *error) {
  TLY_ASSERT(!reader->in_snapshot);
  TLY_TRY(follow_epoch(reader, error));
  TLY_TRY(tly_sqlite_run(reader->statements[BEGIN], error));
  reader->in_snapshot = true;
  enum tly_status status = read_version(reader, &reader->version, error); /* the read that fixes the snapshot */
  if (status == TLY_OK)
    status = require_checked(reader, error);
  if (status != TLY_OK)
    tly_speed_snapshot_end(reader);
  return status;
}

void tly_speed_snapshot_end(tly_speed_reader *reader) {
  TLY_ASSERT(reader->in_snapshot);
  reader->in_snapshot = false;
  enum tly_status ignored = tly_sqlite_run(reader->statements[END], NULL); /* a read transaction has nothing to lose */
  (void)ignored;
}

/* ---- what is published ------------------------------------------------------------------------------------------- */

static void read_view_row(sqlite3_stmt *statement, struct tly_arena *arena, struct known_view *view) {
  struct tly_text name = tly_column_text(statement, 1);
  view->name = tly_arena_copy(arena, name.data, name.size);
  view->published = (struct tly_published){
      .view_id = sqlite3_column_int64(statement, 0),
      .definition_hash = tly_column_hash(statement, 2),
      .is_ready = sqlite3_column_int(statement, 3) != 0,
      .run = sqlite3_column_int64(statement, 4),
      .cut = sqlite3_column_int64(statement, 5),
      .live_folded = (uint64_t)sqlite3_column_int64(statement, 6),
      .live_filtered = (uint64_t)sqlite3_column_int64(statement, 7),
      .live_set_aside = (uint64_t)sqlite3_column_int64(statement, 8),
  };
}

static enum tly_status load_views(tly_speed_reader *reader, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[VIEWS];
  bool has_row;
  if (reader->views_version == reader->version)
    return TLY_OK;
  reader->views_version = 0;
  tly_arena_reset(&reader->state_arena);
  reader->view_count = 0;
  reader->views = TLY_ARENA_ARRAY(&reader->state_arena, struct known_view, TLY_VIEWS_MAX);
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      break;
    TLY_ASSERT(reader->view_count < TLY_VIEWS_MAX);
    read_view_row(statement, &reader->state_arena, &reader->views[reader->view_count++]);
  }
  reader->views_version = reader->version;
  return TLY_OK;
}

enum tly_status tly_speed_snapshot_view(tly_speed_reader *reader, const struct tly_view *view,
                                        struct tly_published *out, struct tly_error *error) {
  TLY_ASSERT(reader->in_snapshot);
  TLY_TRY(load_views(reader, error));
  for (uint32_t v = 0; v < reader->view_count; v++) {
    const struct known_view *known = &reader->views[v];
    if (strcmp(known->name, view->name) != 0)
      continue;
    if (memcmp(&known->published.definition_hash, &view->hash, sizeof view->hash) != 0)
      return TLY_FAIL(error, TLY_E_NOT_READY,
                      "view \"%s\" has another definition in the speed layer; restart it with"
                      " this project",
                      view->name);
    *out = known->published;
    return TLY_OK;
  }
  return TLY_FAIL(error, TLY_E_NOT_READY, "view \"%s\" is not known to the speed layer yet", view->name);
}

enum tly_status tly_speed_snapshot_going_back(tly_speed_reader *reader, const struct tly_view *view,
                                              struct tly_going_back *out, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[GOING_BACK];
  bool has_row;
  *out = (struct tly_going_back){.run = 0};
  TLY_ASSERT(reader->in_snapshot);
  sqlite3_bind_text(statement, 1, view->name, -1, SQLITE_STATIC);
  sqlite3_bind_text(statement, 2, view->stream->name, -1, SQLITE_STATIC);
  enum tly_status status = tly_sqlite_step(statement, &has_row, error);
  if (status == TLY_OK && has_row)
    *out = (struct tly_going_back){.run = sqlite3_column_int64(statement, 0),
                                   .reached = sqlite3_column_int64(statement, 1),
                                   .goal = sqlite3_column_int64(statement, 2)};
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

enum tly_status tly_speed_snapshot_positions(tly_speed_reader *reader, const struct tly_stream *stream,
                                             struct tly_arena *arena, struct tly_position **out, uint32_t *count,
                                             struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[POSITIONS];
  struct tly_buffer rows = {0};
  enum tly_status status;
  bool has_row;
  TLY_ASSERT(reader->in_snapshot);
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const struct tly_stream *known = tly_project_stream(reader->project, name);
    if (known == NULL || (stream != NULL && strcmp(stream->name, name) != 0))
      continue; /* a stream that has left the project keeps its row until the store is rebuilt */
    struct tly_position position = {.stream = known->name,
                                    .partition = (uint32_t)sqlite3_column_int64(statement, 1),
                                    .next_offset = sqlite3_column_int64(statement, 2),
                                    .chain = tly_column_hash(statement, 3)};
    tly_buffer_append(&rows, &position, sizeof position);
  }
  *count = (uint32_t)(rows.size / sizeof(struct tly_position));
  *out = TLY_ARENA_ARRAY(arena, struct tly_position, *count);
  if (rows.size > 0)
    memcpy(*out, rows.data, rows.size);
  tly_buffer_free(&rows);
  return status;
}

enum tly_status tly_speed_snapshot_set_aside(tly_speed_reader *reader, const struct tly_view *view,
                                             const struct tly_published *published, struct tly_arena *arena,
                                             struct tly_set_aside_row **out, uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[SET_ASIDE];
  enum tly_status status;
  bool has_row;
  TLY_ASSERT(reader->in_snapshot);
  *out = TLY_ARENA_ARRAY(arena, struct tly_set_aside_row, TLY_SET_ASIDE_LISTED_MAX);
  *count = 0;
  sqlite3_bind_int64(statement, 1, published->view_id);
  sqlite3_bind_int64(statement, 2, published->cut);
  sqlite3_bind_int64(statement, 3, TLY_SET_ASIDE_LISTED_MAX);
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    struct tly_text sqlstate = tly_column_text(statement, 2), message = tly_column_text(statement, 3);
    (*out)[(*count)++] = (struct tly_set_aside_row){.view = view->name,
                                                    .partition = (uint32_t)sqlite3_column_int64(statement, 0),
                                                    .offset = sqlite3_column_int64(statement, 1),
                                                    .sqlstate = tly_arena_copy(arena, sqlstate.data, sqlstate.size),
                                                    .message = tly_arena_copy(arena, message.data, message.size)};
  }
  return status;
}

/* ---- live groups ------------------------------------------------------------------------------------------------- */

static struct delta_list *list_of(tly_speed_reader *reader, int64_t view_id, uint32_t part) {
  for (uint32_t l = 0; l < reader->list_count; l++)
    if (reader->lists[l].view_id == view_id && reader->lists[l].part == part)
      return &reader->lists[l];
  reader->lists = tly_realloc_array(reader->lists, reader->list_count + 1, sizeof *reader->lists);
  reader->lists[reader->list_count] = (struct delta_list){.view_id = view_id, .part = part};
  return &reader->lists[reader->list_count++];
}

/* Deltas that were listed and are no longer need not be held. Both lists are sorted by id. */
static void forget_gone(tly_speed_reader *reader, const struct delta_list *before, const struct delta_list *now) {
  uint32_t at = 0;
  for (uint32_t d = 0; d < before->count; d++) {
    while (at < now->count && now->deltas[at].id < before->deltas[d].id)
      at++;
    if (at == now->count || now->deltas[at].id != before->deltas[d].id)
      tly_delta_cache_drop(reader->cache, before->deltas[d].id);
  }
}

static enum tly_status read_deltas(tly_speed_reader *reader, struct delta_list *list, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[DELTAS];
  uint32_t capacity = 0;
  bool has_row;
  sqlite3_bind_int64(statement, 1, list->view_id);
  sqlite3_bind_int64(statement, 2, list->part);
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    if (list->count == capacity) {
      capacity = capacity == 0 ? 16 : 2 * capacity;
      list->deltas = tly_realloc_array(list->deltas, capacity, sizeof *list->deltas);
    }
    list->deltas[list->count++] =
        (struct live_delta){.id = sqlite3_column_int64(statement, 0), .generation = sqlite3_column_int64(statement, 1)};
  }
}

static enum tly_status load_deltas(tly_speed_reader *reader, int64_t view_id, uint32_t part, struct delta_list **out,
                                   struct tly_error *error) {
  struct delta_list *list = list_of(reader, view_id, part);
  struct delta_list now = {.view_id = view_id, .part = part, .state_version = reader->version};
  *out = list;
  if (list->state_version == reader->version)
    return TLY_OK;
  list->state_version = 0;
  enum tly_status status = read_deltas(reader, &now, error);
  if (status != TLY_OK) {
    tly_free(now.deltas);
    return status;
  }
  forget_gone(reader, list, &now);
  tly_free(list->deltas);
  *list = now;
  return TLY_OK;
}

/* The delta with the first keys of its blocks, read when it is first asked for. */
static enum tly_status know_delta(tly_speed_reader *reader, struct live_delta *delta, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[DIRECTORY];
  struct tly_arena arena;
  struct tly_buffer keys = {0};
  enum tly_status status;
  bool has_row;
  delta->known = tly_delta_cache_find(reader->cache, delta->id);
  if (delta->known != NULL)
    return TLY_OK;
  tly_arena_init(&arena);
  sqlite3_bind_int64(statement, 1, delta->id);
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    struct tly_text key = tly_column_text(statement, 0);
    key.data = tly_arena_copy(&arena, key.data, key.size);
    tly_buffer_append(&keys, &key, sizeof key);
  }
  if (status == TLY_OK)
    delta->known = tly_delta_cache_add(reader->cache, delta->id, (const struct tly_text *)(const void *)keys.data,
                                       (uint32_t)(keys.size / sizeof(struct tly_text)));
  tly_buffer_free(&keys);
  tly_arena_free(&arena);
  return status;
}

static enum tly_status read_block(tly_speed_reader *reader, int64_t delta, uint32_t number,
                                  struct tly_group_slice *slice, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[BLOCK];
  bool has_row;
  sqlite3_bind_int64(statement, 1, delta);
  sqlite3_bind_int64(statement, 2, number);
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  if (!has_row)
    return TLY_FAIL(error, TLY_E_CORRUPT, "block %u of delta %lld is missing in the speed layer's store", number,
                    (long long)delta);
  enum tly_status status = tly_delta_block_read(statement, slice, error);
  sqlite3_reset(statement);
  return status;
}

/* Block `number` of the delta, valid until another one is asked for. */
static enum tly_status held_block(tly_speed_reader *reader, const struct tly_view_program *program, uint32_t part,
                                  struct tly_known_delta *delta, uint32_t number, struct tly_held_block **out,
                                  struct tly_error *error) {
  if (delta->blocks[number] == NULL) {
    struct tly_group_slice slice;
    tly_group_slice_init(&slice, program, part);
    enum tly_status status = read_block(reader, delta->id, number, &slice, error);
    if (status == TLY_OK)
      tly_delta_cache_add_block(reader->cache, delta, number, &slice);
    tly_group_slice_free(&slice);
    if (status != TLY_OK)
      return status;
  }
  *out = delta->blocks[number];
  return TLY_OK;
}

enum tly_status tly_speed_snapshot_look_up(tly_speed_reader *reader, const struct tly_view_program *program,
                                           int64_t view_id, int64_t above, struct tly_block_lookup *lookup,
                                           struct tly_error *error) {
  struct delta_list *list;
  TLY_ASSERT(reader->in_snapshot);
  TLY_TRY(load_deltas(reader, view_id, 0, &list, error));
  for (uint32_t d = 0; d < list->count; d++) {
    struct live_delta *delta = &list->deltas[d];
    struct tly_held_block *block;
    if (delta->generation <= above)
      continue;
    if (delta->known == NULL)
      TLY_TRY(know_delta(reader, delta, error));
    uint32_t not_above = tly_key_directory_not_above(&delta->known->first_keys, lookup->row->key);
    if (not_above == 0)
      continue;
    if (delta->known->blocks[not_above - 1] == NULL) /* holding it may drop the others */
      tly_block_lookup_finish(lookup);
    TLY_TRY(held_block(reader, program, 0, delta->known, not_above - 1, &block, error));
    tly_block_lookup_add(lookup, block);
  }
  return TLY_OK;
}

/* What a call to tly_speed_snapshot_groups works with. */
struct range_merge {
  tly_speed_reader *reader;
  struct tly_text low, high;
  tly_group_table *table;
  const struct tly_view_program *program;
  uint32_t part;
  struct tly_group_slice scratch;
  struct tly_slice_window window;
};

static void add_rows(struct range_merge *merge, const struct tly_group_slice *slice) {
  uint32_t first = merge->low.data != NULL ? tly_slice_lower_bound(slice, merge->low) : 0;
  uint32_t end = merge->high.data != NULL ? tly_slice_lower_bound(slice, merge->high) : slice->count;
  if (first < end)
    tly_group_table_add_slice(merge->table, tly_slice_window_set(&merge->window, slice, first, end));
}

static enum tly_status add_whole_delta(struct range_merge *merge, int64_t delta, struct tly_error *error) {
  sqlite3_stmt *statement = merge->reader->statements[ALL_BLOCKS];
  enum tly_status status;
  bool has_row;
  sqlite3_bind_int64(statement, 1, delta);
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    status = tly_delta_block_read(statement, &merge->scratch, error);
    if (status != TLY_OK)
      break;
    tly_group_table_add_slice(merge->table, &merge->scratch);
  }
  sqlite3_reset(statement);
  return status;
}

static enum tly_status add_delta(struct range_merge *merge, struct live_delta *delta, struct tly_error *error) {
  tly_speed_reader *reader = merge->reader;
  if (merge->low.data == NULL && merge->high.data == NULL)
    return add_whole_delta(merge, delta->id, error);
  TLY_TRY(know_delta(reader, delta, error));
  const struct tly_key_directory *first_keys = &delta->known->first_keys;
  uint32_t first = merge->low.data != NULL ? tly_key_directory_not_above(first_keys, merge->low) : 0;
  uint32_t end = merge->high.data != NULL ? tly_key_directory_below(first_keys, merge->high) : first_keys->count;
  first -= first > 0; /* the block before may reach into the range */
  bool is_narrow = end <= first || end - first <= CACHED_BLOCKS_MAX;
  for (uint32_t number = first; number < end; number++)
    if (is_narrow) {
      struct tly_held_block *block;
      TLY_TRY(held_block(reader, merge->program, merge->part, delta->known, number, &block, error));
      block->was_used = true;
      add_rows(merge, &block->copy.slice);
    } else {
      TLY_TRY(read_block(reader, delta->id, number, &merge->scratch, error));
      add_rows(merge, &merge->scratch);
    }
  return TLY_OK;
}

enum tly_status tly_speed_snapshot_groups(tly_speed_reader *reader, const struct tly_view_program *program,
                                          int64_t view_id, uint32_t part, int64_t above, int64_t up_to,
                                          struct tly_text low, struct tly_text high, tly_group_table *table,
                                          struct tly_error *error) {
  struct delta_list *list;
  TLY_ASSERT(reader->in_snapshot && part < program->part_count);
  TLY_TRY(load_deltas(reader, view_id, part, &list, error));
  struct range_merge merge = {
      .reader = reader, .low = low, .high = high, .table = table, .program = program, .part = part};
  tly_group_slice_init(&merge.scratch, program, part);
  tly_slice_window_init(&merge.window, program, part);
  enum tly_status status = TLY_OK;
  for (uint32_t d = 0; d < list->count && status == TLY_OK; d++)
    if (list->deltas[d].generation > above && list->deltas[d].generation <= up_to)
      status = add_delta(&merge, &list->deltas[d], error);
  tly_slice_window_free(&merge.window);
  tly_group_slice_free(&merge.scratch);
  return status;
}
