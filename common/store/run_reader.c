/* A view of a run is, for each of its parts, one directory of blocks over all pieces: first key, last key, count and
 * checksum, read and checked when the run is opened. A lookup is a binary search in the directory, one row read by its
 * id, the checksum, a decode, and a binary search in the slice.
 *
 * Why the directory is checked as a whole. A flipped bit in a key would lead lookups to the neighbouring block, where
 * they find nothing: a group would vanish without a word, though every block that is read is sound. The same goes for a
 * row that a damaged B-tree page no longer shows. So the checksum of a piece covers its meta and every block's keys,
 * count and checksum, in order; bodies are covered by their own.
 *
 * The cache. A point lookup decodes 512 groups to get one; so lookups and narrow scans (at most SCAN_CACHED_BLOCKS_MAX
 * blocks) keep what they decoded, up to a bound (block_cache.h). Wide scans go through a slice of their own, so that
 * one report does not throw out what a thousand lookups use.
 *
 * INVARIANTS
 *   (1) blocks of a part ascend: last_key of one < first_key of the next (check_order).
 *   (2) a held block is pinned by each scan that stands on it. */
#include "common/store/run_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_block.h"
#include "common/sqlite/sqlite.h"
#include "common/store/key_directory.h"
#include "common/value/ordered_key.h"

enum { SCAN_CACHED_BLOCKS_MAX = 4 };

struct piece {
  sqlite3 *database;
  sqlite3_stmt *read_body;
  char *path;
};

struct directory_entry {
  struct tly_run_block block;
  int64_t id;
  uint32_t piece;
};

struct part {
  struct piece *pieces;
  uint32_t piece_count;
  struct directory_entry *entries;
  uint32_t entry_count, entry_capacity;
  struct tly_key_directory first_keys; /* of the entries */
  struct tly_held_block **held;        /* one an entry, or NULL */
  uint64_t groups;
};

struct scan {
  tly_run_reader *reader;
  uint32_t part, next, end; /* blocks still to give */
  bool is_open, is_wide;
  bool has_low, has_high;
  struct tly_buffer low, high;
  struct tly_held_block *pinned;
  struct tly_group_slice *own; /* of a wide scan */
  struct tly_slice_window window;
};

struct tly_run_reader {
  const struct tly_view_program *program;
  int64_t run;
  int lock;
  struct part *parts;
  struct tly_arena arena; /* keys of the directory */
  tly_block_cache *cache; /* its own, or one that is shared */
  bool owns_cache;
  struct tly_group_slice *decoded; /* one a part, made when first needed: what is held is a copy without slack */
  bool *has_decoded;
  struct scan *scans[TLY_RUN_SCANS_MAX];
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* A file that never changes cannot fail but by damage or by the machine. */
static enum tly_status damaged(const struct piece *piece, struct tly_error *error, const char *what) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "run file %s is damaged: %s", piece->path, what);
}

static enum tly_status sealed_failure(const struct piece *piece, enum tly_status status, struct tly_error *error) {
  int code = piece->database != NULL ? sqlite3_errcode(piece->database) & 0xff : SQLITE_OK;
  if (status != TLY_E_CORRUPT && (code == SQLITE_ERROR || code == SQLITE_NOTADB))
    return damaged(piece, error, sqlite3_errmsg(piece->database));
  return status;
}

/* The values of meta, by name. */
enum meta_name { META_RUN, META_VIEW, META_DEFINITION, META_PIECES, META_GROUPS, META_CHECKSUM, META_COUNT };

static const char *const meta_names[META_COUNT] = {"run", "view", "definition", "pieces", "groups", "checksum"};

struct meta_texts {
  char *texts[META_COUNT]; /* all there once read_meta has succeeded */
};

static void free_meta(struct meta_texts *meta) {
  for (int i = 0; i < META_COUNT; i++)
    tly_free(meta->texts[i]);
}

static enum tly_status read_meta(const struct piece *piece, struct meta_texts *meta, struct tly_error *error) {
  sqlite3_stmt *statement;
  bool has_row = false;
  TLY_TRY(tly_sqlite_prepare(piece->database, "SELECT value FROM meta WHERE name = ?1", &statement, error));
  enum tly_status status = TLY_OK;
  for (int i = 0; status == TLY_OK && i < META_COUNT; i++) {
    sqlite3_bind_text(statement, 1, meta_names[i], -1, SQLITE_STATIC);
    status = tly_sqlite_step(statement, &has_row, error);
    const char *text = status == TLY_OK && has_row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (text != NULL)
      meta->texts[i] = tly_strdup(text);
    else if (status == TLY_OK)
      status = damaged(piece, error, "meta is not complete");
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
  return status;
}

static struct tly_text column_blob(sqlite3_stmt *statement, int column, struct tly_arena *arena) {
  const void *data = sqlite3_column_blob(statement, column);
  int size = sqlite3_column_bytes(statement, column);
  return (struct tly_text){.data = tly_arena_copy(arena, size > 0 ? data : "", (size_t)size), .size = (uint32_t)size};
}

static struct directory_entry *add_entry(struct part *part) {
  if (part->entry_count == part->entry_capacity) {
    part->entry_capacity = part->entry_capacity == 0 ? 64 : 2 * part->entry_capacity;
    part->entries = tly_realloc_array(part->entries, part->entry_capacity, sizeof *part->entries);
  }
  struct directory_entry *entry = &part->entries[part->entry_count++];
  memset(entry, 0, sizeof *entry);
  return entry;
}

static enum tly_status read_directory(tly_run_reader *reader, struct part *part, uint32_t number,
                                      struct tly_run_checksum *checksum, struct tly_error *error) {
  struct piece *piece = &part->pieces[number];
  sqlite3_stmt *statement;
  bool has_row = false;
  TLY_TRY(tly_sqlite_prepare(piece->database,
                             "SELECT id, first_key, last_key, group_count, checksum FROM directory ORDER BY id",
                             &statement, error));
  enum tly_status status;
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    struct directory_entry *entry = add_entry(part);
    entry->id = sqlite3_column_int64(statement, 0);
    entry->piece = number;
    entry->block.first_key = column_blob(statement, 1, &reader->arena);
    entry->block.last_key = column_blob(statement, 2, &reader->arena);
    entry->block.group_count = (uint32_t)sqlite3_column_int64(statement, 3);
    if (sqlite3_column_bytes(statement, 4) == TLY_HASH_BYTES)
      memcpy(entry->block.checksum.bytes, sqlite3_column_blob(statement, 4), TLY_HASH_BYTES);
    tly_run_checksum_add(checksum, &entry->block);
    part->groups += entry->block.group_count;
  }
  sqlite3_finalize(statement);
  return status;
}

static enum tly_status check_definition(const tly_run_reader *reader, const struct piece *piece,
                                        const struct meta_texts *meta, struct tly_error *error) {
  char expected[33];
  tly_run_hash_print(&reader->program->view->hash, expected);
  if (strcmp(meta->texts[META_VIEW], reader->program->view->name) != 0 ||
      strtoll(meta->texts[META_RUN], NULL, 10) != reader->run)
    return damaged(piece, error, "it belongs to another run or view");
  if (strcmp(meta->texts[META_DEFINITION], expected) != 0)
    return TLY_FAIL(error, TLY_E_CORRUPT, "run file %s was computed by another definition of view %s (%s, now %s)",
                    piece->path, reader->program->view->name, meta->texts[META_DEFINITION], expected);
  return TLY_OK;
}

/* Read and check meta and directory of one piece; *pieces is what it says of their number. */
static enum tly_status load_piece(tly_run_reader *reader, uint32_t part_number, uint32_t number, uint32_t *pieces,
                                  struct tly_error *error) {
  struct part *part = &reader->parts[part_number];
  struct piece *piece = &part->pieces[number];
  struct meta_texts found = {{NULL}};
  struct tly_run_checksum checksum;
  char text[33];
  uint64_t groups_before = part->groups;
  enum tly_status status = read_meta(piece, &found, error);
  if (status == TLY_OK)
    status = check_definition(reader, piece, &found, error);
  if (status != TLY_OK)
    goto free_meta;
  *pieces = (uint32_t)strtoul(found.texts[META_PIECES], NULL, 10);
  struct tly_run_meta meta = {.run = reader->run,
                              .view = reader->program->view->name,
                              .definition_hash = reader->program->view->hash,
                              .part = part_number,
                              .piece = number,
                              .pieces = *pieces};
  tly_run_checksum_begin(&checksum, &meta);
  status = read_directory(reader, part, number, &checksum, error);
  tly_run_checksum_end(&checksum, text);
  if (status == TLY_OK && (strcmp(text, found.texts[META_CHECKSUM]) != 0 ||
                           strtoull(found.texts[META_GROUPS], NULL, 10) != part->groups - groups_before))
    status = damaged(piece, error, "the directory of its blocks does not have its checksum");
free_meta:
  free_meta(&found);
  return status;
}

static enum tly_status open_piece(tly_run_reader *reader, const char *folder, uint32_t part_number, uint32_t number,
                                  uint32_t *pieces, struct tly_error *error) {
  struct part *part = &reader->parts[part_number];
  part->pieces = tly_realloc_array(part->pieces, number + 1, sizeof *part->pieces);
  part->piece_count = number + 1;
  struct piece *piece = &part->pieces[number];
  struct tly_buffer path = {0};
  memset(piece, 0, sizeof *piece);
  tly_buffer_print(&path, "%s/", folder);
  tly_run_file_name(reader->program->view->name, part_number, number, &path);
  piece->path = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  enum tly_status status = tly_sqlite_open(piece->path, TLY_SQLITE_READER_SEALED, NULL, &piece->database, error);
  if (status == TLY_E_CORRUPT || status == TLY_E_CONFIG)
    return damaged(piece, error, "not a store");
  if (status == TLY_OK)
    status = load_piece(reader, part_number, number, pieces, error);
  if (status == TLY_OK)
    status = tly_sqlite_prepare(piece->database, "SELECT body FROM block WHERE id = ?1", &piece->read_body, error);
  return status == TLY_OK ? TLY_OK : sealed_failure(piece, status, error);
}

static enum tly_status check_order(const struct part *part, struct tly_error *error) {
  for (uint32_t i = 0; i < part->entry_count; i++) {
    const struct directory_entry *entry = &part->entries[i];
    const struct tly_run_block *block = &entry->block;
    bool is_sound =
        block->group_count > 0 && block->group_count <= TLY_GROUPS_PER_BLOCK &&
        tly_key_compare(block->first_key.data, block->first_key.size, block->last_key.data, block->last_key.size) <= 0;
    if (is_sound && i > 0) {
      struct tly_text before = part->entries[i - 1].block.last_key;
      is_sound = tly_key_compare(before.data, before.size, block->first_key.data, block->first_key.size) < 0;
    }
    if (!is_sound)
      return damaged(&part->pieces[entry->piece], error, "its blocks are not in order");
  }
  return TLY_OK;
}

static void make_directory(tly_run_reader *reader, struct part *part) {
  struct tly_text *keys = TLY_ARENA_ARRAY(&reader->arena, struct tly_text, part->entry_count);
  uint64_t *heads = TLY_ARENA_ARRAY(&reader->arena, uint64_t, part->entry_count);
  for (uint32_t i = 0; i < part->entry_count; i++)
    keys[i] = part->entries[i].block.first_key;
  part->first_keys = tly_key_directory_make(keys, part->entry_count, heads);
  part->held = TLY_ARENA_ARRAY(&reader->arena, struct tly_held_block *, part->entry_count);
}

static enum tly_status open_part(tly_run_reader *reader, const char *folder, uint32_t number, struct tly_error *error) {
  uint32_t pieces = 1, said = 0;
  for (uint32_t i = 0; i < pieces; i++) {
    TLY_TRY(open_piece(reader, folder, number, i, &said, error));
    if (said < 1 || said > TLY_RUN_PIECES_MAX || (i > 0 && said != pieces))
      return damaged(&reader->parts[number].pieces[i], error, "the number of pieces is wrong");
    pieces = said;
  }
  TLY_TRY(check_order(&reader->parts[number], error));
  make_directory(reader, &reader->parts[number]);
  return TLY_OK;
}

static enum tly_status open_parts(tly_run_reader *reader, const char *folder, struct tly_error *error) {
  struct tly_buffer lock = {0};
  tly_buffer_print(&lock, "%s/lock", folder);
  enum tly_status status;
  if (!tly_file_exists(tly_buffer_text(&lock))) {
    status = TLY_FAIL(error, TLY_E_NOT_READY, "run %" PRId64 " is not there (%s)", reader->run, folder);
  } else {
    status = tly_file_lock(tly_buffer_text(&lock), false, &reader->lock, error);
    if (status == TLY_E_IN_USE)
      status = TLY_FAIL(error, TLY_E_NOT_READY, "run %" PRId64 " is being written or deleted", reader->run);
  }
  tly_buffer_free(&lock);
  for (uint32_t i = 0; status == TLY_OK && i < reader->program->part_count; i++)
    status = open_part(reader, folder, i, error);
  return status;
}

enum tly_status tly_run_reader_open_folder(const char *folder, int64_t run, const struct tly_view_program *program,
                                           tly_run_reader **out, struct tly_error *error) {
  tly_run_reader *reader = tly_calloc(1, sizeof *reader);
  reader->program = program;
  reader->run = run;
  reader->lock = -1;
  reader->cache = tly_block_cache_new(TLY_RUN_CACHE_BYTES);
  reader->owns_cache = true;
  reader->parts = tly_calloc(program->part_count, sizeof *reader->parts);
  reader->decoded = tly_calloc(program->part_count, sizeof *reader->decoded);
  reader->has_decoded = tly_calloc(program->part_count, sizeof *reader->has_decoded);
  tly_arena_init(&reader->arena);
  enum tly_status status = open_parts(reader, folder, error);
  *out = reader;
  if (status != TLY_OK) {
    tly_run_reader_close(reader);
    *out = NULL;
  }
  return status;
}

enum tly_status tly_run_reader_open(const char *directory, int64_t run, const struct tly_view_program *program,
                                    tly_run_reader **out, struct tly_error *error) {
  struct tly_buffer folder = {0};
  tly_buffer_print(&folder, "%s/runs/%" PRId64, directory, run);
  enum tly_status status = tly_run_reader_open_folder(tly_buffer_text(&folder), run, program, out, error);
  tly_buffer_free(&folder);
  return status;
}

static void free_scan(struct scan *scan) {
  if (scan == NULL)
    return;
  tly_buffer_free(&scan->low);
  tly_buffer_free(&scan->high);
  tly_slice_window_free(&scan->window);
  if (scan->own != NULL)
    tly_group_slice_free(scan->own);
  tly_free(scan->own);
  tly_free(scan);
}

static void free_part(struct part *part) {
  for (uint32_t i = 0; i < part->piece_count; i++) {
    sqlite3_finalize(part->pieces[i].read_body);
    tly_sqlite_close(part->pieces[i].database);
    tly_free(part->pieces[i].path);
  }
  tly_free(part->pieces);
  tly_free(part->entries);
}

void tly_run_reader_share_cache(tly_run_reader *reader, tly_block_cache *cache) {
  TLY_ASSERT(reader->owns_cache && tly_block_cache_bytes(reader->cache) == 0);
  tly_block_cache_free(reader->cache);
  reader->cache = cache;
  reader->owns_cache = false;
}

/* Let go of all blocks, after the scans that may have pinned some. */
static void drop_blocks(tly_run_reader *reader) {
  for (uint32_t p = 0; p < reader->program->part_count; p++) {
    struct part *part = &reader->parts[p];
    for (uint32_t i = 0; part->held != NULL && i < part->entry_count; i++)
      if (part->held[i] != NULL) {
        part->held[i]->pins = 0;
        tly_block_cache_drop(reader->cache, part->held[i]);
      }
  }
  if (reader->owns_cache)
    tly_block_cache_free(reader->cache);
}

void tly_run_reader_close(tly_run_reader *reader) {
  if (reader == NULL)
    return;
  for (uint32_t i = 0; i < TLY_RUN_SCANS_MAX; i++)
    free_scan(reader->scans[i]);
  drop_blocks(reader);
  for (uint32_t i = 0; i < reader->program->part_count; i++) {
    free_part(&reader->parts[i]);
    if (reader->has_decoded[i])
      tly_group_slice_free(&reader->decoded[i]);
  }
  tly_free(reader->parts);
  tly_free(reader->decoded);
  tly_free(reader->has_decoded);
  tly_arena_free(&reader->arena);
  if (reader->lock >= 0)
    close(reader->lock);
  tly_free(reader);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

uint64_t tly_run_reader_groups(const tly_run_reader *reader, uint32_t part) {
  TLY_ASSERT(part < reader->program->part_count);
  return reader->parts[part].groups;
}

uint32_t tly_run_reader_block_count(const tly_run_reader *reader, uint32_t part) {
  TLY_ASSERT(part < reader->program->part_count);
  return reader->parts[part].entry_count;
}

struct tly_run_block tly_run_reader_block(const tly_run_reader *reader, uint32_t part, uint32_t index) {
  TLY_ASSERT(part < reader->program->part_count && index < reader->parts[part].entry_count);
  return reader->parts[part].entries[index].block;
}

uint32_t tly_run_reader_find_block(const tly_run_reader *reader, uint32_t part, struct tly_text key) {
  TLY_ASSERT(part < reader->program->part_count);
  uint32_t not_above = tly_key_directory_not_above(&reader->parts[part].first_keys, key);
  return not_above > 0 ? not_above - 1 : 0;
}

static enum tly_status damaged_block(const struct piece *piece, const struct directory_entry *entry,
                                     struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "run file %s, block %" PRId64 " is damaged: its checksum does not agree",
                  piece->path, entry->id);
}

static enum tly_status read_block(tly_run_reader *reader, uint32_t part_number, const struct directory_entry *entry,
                                  struct tly_group_slice *slice, struct tly_error *error) {
  struct piece *piece = &reader->parts[part_number].pieces[entry->piece];
  bool has_row = false;
  sqlite3_bind_int64(piece->read_body, 1, entry->id);
  enum tly_status status = tly_sqlite_step(piece->read_body, &has_row, error);
  if (status != TLY_OK)
    return sealed_failure(piece, status, error);
  const void *body = has_row ? sqlite3_column_blob(piece->read_body, 0) : NULL;
  size_t size = body != NULL ? (size_t)sqlite3_column_bytes(piece->read_body, 0) : 0;
  struct tly_hash checksum = tly_group_block_checksum(entry->block.first_key, entry->block.last_key,
                                                      entry->block.group_count, size > 0 ? body : "", size);
  if (size == 0 || memcmp(&checksum, &entry->block.checksum, sizeof checksum) != 0 ||
      tly_group_block_decode(body, size, entry->block.group_count, slice, error) != TLY_OK)
    status = damaged_block(piece, entry, error);
  sqlite3_reset(piece->read_body);
  return status;
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

/* Where blocks of a part are decoded before they are copied into the cache. */
static struct tly_group_slice *decoded_slice(tly_run_reader *reader, uint32_t part) {
  if (!reader->has_decoded[part])
    tly_group_slice_init(&reader->decoded[part], reader->program, part);
  reader->has_decoded[part] = true;
  return &reader->decoded[part];
}

static enum tly_status held_block(tly_run_reader *reader, uint32_t part_number, uint32_t index,
                                  struct tly_held_block **out, struct tly_error *error) {
  struct part *part = &reader->parts[part_number];
  if (part->held[index] == NULL) {
    struct tly_group_slice *decoded = decoded_slice(reader, part_number);
    TLY_TRY(read_block(reader, part_number, &part->entries[index], decoded, error));
    tly_block_cache_add(reader->cache, decoded, &part->held[index]);
  }
  *out = part->held[index];
  return TLY_OK;
}

enum tly_status tly_run_reader_look_up(tly_run_reader *reader, struct tly_block_lookup *lookup,
                                       struct tly_error *error) {
  struct part *groups = &reader->parts[0];
  struct tly_held_block *block;
  uint32_t not_above = tly_key_directory_not_above(&groups->first_keys, lookup->row->key);
  if (not_above == 0)
    return TLY_OK;
  TLY_TRY(held_block(reader, 0, not_above - 1, &block, error));
  tly_block_lookup_add(lookup, block);
  return TLY_OK;
}

/* ---- scans ------------------------------------------------------------------------------------------------------- */

static void unpin(struct scan *scan) {
  if (scan->pinned == NULL)
    return;
  TLY_ASSERT(scan->pinned->pins > 0);
  scan->pinned->pins--;
  scan->pinned = NULL;
}

static enum tly_status load_block(struct scan *scan, uint32_t index, const struct tly_group_slice **out,
                                  struct tly_error *error) {
  tly_run_reader *reader = scan->reader;
  unpin(scan);
  if (!scan->is_wide) {
    TLY_TRY(held_block(reader, scan->part, index, &scan->pinned, error));
    scan->pinned->pins++;
    scan->pinned->was_used = true;
    *out = &scan->pinned->copy.slice;
    return TLY_OK;
  }
  if (scan->own == NULL) {
    scan->own = tly_malloc(sizeof *scan->own);
    tly_group_slice_init(scan->own, reader->program, scan->part);
  }
  *out = scan->own;
  return read_block(reader, scan->part, &reader->parts[scan->part].entries[index], scan->own, error);
}

static struct tly_text buffer_text(const struct tly_buffer *buffer) {
  return (struct tly_text){.data = (const char *)buffer->data, .size = (uint32_t)buffer->size};
}

static enum tly_status next_slice(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct scan *scan = context;
  *out = NULL;
  TLY_ASSERT(scan->is_open);
  while (scan->next < scan->end) {
    uint32_t index = scan->next++;
    const struct tly_run_block *block = &scan->reader->parts[scan->part].entries[index].block;
    struct tly_text low = buffer_text(&scan->low), high = buffer_text(&scan->high);
    if (scan->has_low && tly_key_compare(block->last_key.data, block->last_key.size, low.data, low.size) < 0)
      continue;
    const struct tly_group_slice *slice;
    TLY_TRY(load_block(scan, index, &slice, error));
    uint32_t first = scan->has_low ? tly_slice_lower_bound(slice, low) : 0;
    uint32_t end = scan->has_high ? tly_slice_lower_bound(slice, high) : slice->count;
    scan->has_low = false; /* later blocks lie above it */
    if (first < end) {
      *out = first == 0 && end == slice->count ? slice : tly_slice_window_set(&scan->window, slice, first, end);
      return TLY_OK;
    }
  }
  unpin(scan);
  return TLY_OK;
}

static struct scan *free_place(tly_run_reader *reader, uint32_t part) {
  for (uint32_t i = 0; i < TLY_RUN_SCANS_MAX; i++) {
    struct scan *scan = reader->scans[i];
    if (scan != NULL && (scan->is_open || scan->part != part))
      continue;
    if (scan == NULL) {
      scan = reader->scans[i] = tly_calloc(1, sizeof *scan);
      scan->reader = reader;
      scan->part = part;
      tly_slice_window_init(&scan->window, reader->program, part);
    }
    return scan;
  }
  return NULL;
}

static void set_bound(struct tly_buffer *buffer, bool *has, struct tly_text bound) {
  tly_buffer_clear(buffer);
  *has = bound.data != NULL;
  if (*has)
    tly_buffer_append(buffer, bound.data, bound.size);
}

enum tly_status tly_run_reader_scan(tly_run_reader *reader, uint32_t part, struct tly_text low, struct tly_text high,
                                    struct tly_group_source *out, struct tly_error *error) {
  TLY_ASSERT(part < reader->program->part_count);
  struct scan *scan = free_place(reader, part);
  if (scan == NULL)
    return TLY_FAIL(error, TLY_E_TOO_MANY, "more than %d scans of one run reader are open", TLY_RUN_SCANS_MAX);
  const struct part *blocks = &reader->parts[part];
  set_bound(&scan->low, &scan->has_low, low);
  set_bound(&scan->high, &scan->has_high, high);
  scan->next = scan->has_low ? tly_run_reader_find_block(reader, part, low) : 0;
  scan->end = scan->has_high ? tly_key_directory_below(&blocks->first_keys, high) : blocks->entry_count;
  scan->is_wide = scan->end > scan->next + SCAN_CACHED_BLOCKS_MAX;
  scan->is_open = true;
  *out = (struct tly_group_source){.next = next_slice, .context = scan};
  return TLY_OK;
}

void tly_run_reader_end_scan(tly_run_reader *reader, struct tly_group_source *source) {
  struct scan *scan = source->context;
  if (scan == NULL)
    return;
  TLY_ASSERT(scan->reader == reader && scan->is_open);
  unpin(scan);
  scan->is_open = false;
  *source = (struct tly_group_source){0};
}
