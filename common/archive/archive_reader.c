/* The reader knows which files make up the archive from index.db, and looks again whenever that has changed. A file
 * that was rewritten and deleted meanwhile shows as one that cannot be opened or no longer holds a block: then the
 * index is read again, and the block is found by its position in the file that replaced it. (A file that is deleted
 * while it is open here stays readable.)
 *
 * Nothing is trusted that no checksum covers: a list of blocks must tile, offset by offset and chain by chain, so that
 * a block that damage has hidden or moved shows as a gap; and a block's own row is checked against its reference when
 * it is read.
 *
 * At most SEGMENTS_OPEN_MAX files are open. The dictionaries of a file that is closed are emptied, but their structures
 * stay until the reader closes: whoever remembers a dictionary by its address must not meet another one there. */
#include "common/archive/archive_reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/archive/checksum.h"
#include "common/archive/raw.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/event/decoder.h"

enum { SEGMENTS_OPEN_MAX = 8, ATTEMPTS_MAX = 20, ATTEMPT_PAUSE_NS = 5000000 };

/* What a sealed file holds of a partition. */
struct extent {
  uint32_t partition;
  int64_t next_offset;
  tly_chain chain;
};

/* A file as the index names it. The extents of a sealed one are kept, so that whoever tails the archive opens only
 * files that it needs. */
struct segment_entry {
  int64_t number;
  bool is_sealed;
  struct tly_segment *open; /* or NULL */
  struct extent *extents;   /* of a sealed file, once it was looked at; else NULL */
  uint32_t extent_count;
};

struct stream_entry {
  const struct tly_stream *stream;
  struct segment_entry *segments; /* by number, ascending */
  uint32_t segment_count;
  tly_decoder *decoder[TLY_FORMAT_CSV + 1]; /* for columns that a block does not have yet */
};

struct tly_archive_reader {
  char *directory, *index_path;
  sqlite3 *index;
  sqlite3_stmt *list_segments, *data_version;
  ino_t index_inode;
  int64_t seen_version;
  bool must_refresh;
  bool is_holding;
  struct stream_entry *streams; /* one a stream of the project */
  uint32_t stream_count;
  uint64_t clock;
  struct tly_text_dictionary **retired; /* structures of dictionaries that were emptied */
  size_t retired_count;
  struct tly_event_batch scratch; /* decoding again */
  bool has_scratch;
};

/* ---- open segments ----------------------------------------------------------------------------------------------- */

static void close_segment(struct tly_archive_reader *reader, struct segment_entry *entry) {
  if (entry->open == NULL)
    return;
  reader->retired = tly_realloc_array(reader->retired, reader->retired_count + 1, sizeof(struct tly_text_dictionary *));
  reader->retired[reader->retired_count++] = tly_segment_take_dictionaries(entry->open);
  tly_segment_close(entry->open);
  entry->open = NULL;
}

/* Files that are held may be gone when they are wanted again: they are closed last. */
static bool is_held(const struct tly_archive_reader *reader, const struct segment_entry *entry) {
  return reader->is_holding && !entry->is_sealed;
}

static bool closes_before(const struct tly_archive_reader *reader, const struct segment_entry *a,
                          const struct segment_entry *b) {
  bool a_held = is_held(reader, a), b_held = is_held(reader, b);
  return a_held != b_held ? b_held : a->open->used_at < b->open->used_at;
}

static void close_least_used(struct tly_archive_reader *reader) {
  struct segment_entry *oldest = NULL;
  uint32_t open = 0;
  for (uint32_t s = 0; s < reader->stream_count; s++)
    for (uint32_t i = 0; i < reader->streams[s].segment_count; i++) {
      struct segment_entry *entry = &reader->streams[s].segments[i];
      if (entry->open == NULL)
        continue;
      open++;
      if (oldest == NULL || closes_before(reader, entry, oldest))
        oldest = entry;
    }
  if (open >= SEGMENTS_OPEN_MAX)
    close_segment(reader, oldest);
}

static enum tly_status use_segment(struct tly_archive_reader *reader, struct stream_entry *stream,
                                   struct segment_entry *entry, struct tly_segment **out, struct tly_error *error) {
  *out = NULL;
  if (entry->open == NULL) {
    close_least_used(reader);
    char *path = tly_archive_file_path(reader->directory, stream->stream->name, entry->number, "");
    enum tly_status status =
        tly_segment_open(path, entry->number, entry->is_sealed, stream->stream, &entry->open, error);
    tly_free(path);
    if (status != TLY_OK)
      return status;
  }
  entry->open->used_at = ++reader->clock;
  *out = entry->open;
  return TLY_OK;
}

static void forget_segments(struct tly_archive_reader *reader, struct stream_entry *stream) {
  for (uint32_t i = 0; i < stream->segment_count; i++) {
    close_segment(reader, &stream->segments[i]);
    tly_free(stream->segments[i].extents);
  }
  tly_free(stream->segments);
  stream->segments = NULL;
  stream->segment_count = 0;
}

static enum tly_status read_extents(struct tly_segment *segment, struct extent **out, uint32_t *count,
                                    struct tly_error *error) {
  int64_t after = -1;
  *out = NULL;
  *count = 0;
  for (;;) {
    struct extent extent;
    bool found;
    TLY_TRY(tly_segment_next_partition(segment, after, &extent.partition, &found, error));
    if (!found)
      return TLY_OK;
    TLY_TRY(tly_segment_end(segment, extent.partition, &extent.next_offset, &extent.chain, &found, error));
    *out = tly_realloc_array(*out, *count + 1, sizeof **out);
    (*out)[(*count)++] = extent;
    after = extent.partition;
  }
}

/* The ends of all partitions in a file; the caller frees *out unless it is the entry's own. */
static enum tly_status extents_of(struct tly_archive_reader *reader, struct stream_entry *stream,
                                  struct segment_entry *entry, struct extent **out, uint32_t *count,
                                  struct tly_error *error) {
  struct tly_segment *segment;
  *out = entry->extents;
  *count = entry->extent_count;
  if (entry->extents != NULL)
    return TLY_OK;
  TLY_TRY(use_segment(reader, stream, entry, &segment, error));
  enum tly_status status = read_extents(segment, out, count, error);
  if (status != TLY_OK) {
    tly_free(*out);
    *out = NULL;
    return status;
  }
  if (entry->is_sealed) {
    entry->extents = *out;
    entry->extent_count = *count;
  }
  return TLY_OK;
}

/* ---- the index --------------------------------------------------------------------------------------------------- */

static void close_index(struct tly_archive_reader *reader) {
  sqlite3_finalize(reader->list_segments);
  sqlite3_finalize(reader->data_version);
  tly_sqlite_close(reader->index);
  reader->list_segments = reader->data_version = NULL;
  reader->index = NULL;
}

static enum tly_status open_index(struct tly_archive_reader *reader, struct tly_error *error) {
  struct stat file;
  if (stat(reader->index_path, &file) != 0)
    return TLY_FAIL(error, TLY_E_NOT_READY, "the archive in %s is not made yet", reader->directory);
  reader->index_inode = file.st_ino;
  TLY_TRY(tly_sqlite_open(reader->index_path, TLY_SQLITE_READER, NULL, &reader->index, error));
  TLY_TRY(tly_sqlite_prepare(reader->index,
                             "SELECT number, state = 'sealed' FROM segment WHERE stream = ?1 AND state <> 'replaced' "
                             "ORDER BY number",
                             &reader->list_segments, error));
  return tly_sqlite_prepare(reader->index, "PRAGMA data_version", &reader->data_version, error);
}

/* An index that had to be rewritten has the old name and is another file. */
static bool index_was_replaced(const struct tly_archive_reader *reader) {
  struct stat file;
  return stat(reader->index_path, &file) == 0 && file.st_ino != reader->index_inode;
}

static struct segment_entry *find_entry(const struct stream_entry *stream, int64_t number) {
  for (uint32_t i = 0; i < stream->segment_count; i++)
    if (stream->segments[i].number == number)
      return &stream->segments[i];
  return NULL;
}

/* Take the files of one stream over from the index; what is open stays open. */
static enum tly_status list_stream(struct tly_archive_reader *reader, struct stream_entry *stream,
                                   struct tly_error *error) {
  struct segment_entry *fresh = NULL;
  uint32_t count = 0;
  bool has_row;
  enum tly_status status;
  sqlite3_bind_text(reader->list_segments, 1, stream->stream->name, -1, SQLITE_STATIC);
  while ((status = tly_sqlite_step(reader->list_segments, &has_row, error)) == TLY_OK && has_row) {
    fresh = tly_realloc_array(fresh, count + 1, sizeof *fresh);
    fresh[count++] = (struct segment_entry){.number = sqlite3_column_int64(reader->list_segments, 0),
                                            .is_sealed = sqlite3_column_int(reader->list_segments, 1) != 0};
  }
  if (status != TLY_OK) {
    tly_free(fresh);
    return status;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct segment_entry *known = find_entry(stream, fresh[i].number);
    if (known != NULL) {
      fresh[i] = *known;
      known->open = NULL;
      known->extents = NULL;
    }
  }
  forget_segments(reader, stream);
  stream->segments = fresh;
  stream->segment_count = count;
  return TLY_OK;
}

/* The lists of all streams come from one look at the index. */
static enum tly_status list_all(struct tly_archive_reader *reader, struct tly_error *error) {
  TLY_TRY(tly_sqlite_execute(reader->index, "BEGIN", error));
  enum tly_status status = TLY_OK;
  for (uint32_t s = 0; s < reader->stream_count && status == TLY_OK; s++)
    status = list_stream(reader, &reader->streams[s], error);
  enum tly_status ended = tly_sqlite_execute(reader->index, "COMMIT", status == TLY_OK ? error : NULL);
  return status == TLY_OK ? ended : status;
}

static enum tly_status refresh(struct tly_archive_reader *reader, struct tly_error *error) {
  bool has_row;
  if (reader->is_holding && !reader->must_refresh)
    return TLY_OK;
  if (reader->index == NULL || index_was_replaced(reader)) {
    close_index(reader);
    reader->must_refresh = true;
    TLY_TRY(open_index(reader, error));
  }
  TLY_TRY(tly_sqlite_step(reader->data_version, &has_row, error));
  int64_t version = has_row ? sqlite3_column_int64(reader->data_version, 0) : 0;
  sqlite3_reset(reader->data_version);
  if (!reader->must_refresh && version == reader->seen_version)
    return TLY_OK;
  TLY_TRY(list_all(reader, error));
  reader->seen_version = version;
  reader->must_refresh = false;
  return TLY_OK;
}

/* ---- trying again ------------------------------------------------------------------------------------------------ */

/* What one attempt does; it may be made again from the start. */
typedef enum tly_status (*attempt)(struct tly_archive_reader *reader, void *context, struct tly_error *error);

/* A store that is being recovered, checkpointed or replaced can refuse a reader for a moment. */
static bool may_pass(enum tly_status status) {
  return status == TLY_E_IN_USE || status == TLY_E_NOT_READY || status == TLY_E_IO;
}

static enum tly_status try_until_steady(struct tly_archive_reader *reader, attempt act, void *context,
                                        struct tly_error *error) {
  for (int attempts = 1;; attempts++) {
    enum tly_status status = refresh(reader, error);
    if (status == TLY_OK)
      status = act(reader, context, error);
    if (!may_pass(status) || attempts == ATTEMPTS_MAX)
      return status;
    reader->must_refresh = true;
    struct timespec pause = {.tv_nsec = ATTEMPT_PAUSE_NS};
    nanosleep(&pause, NULL);
  }
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static enum tly_status look(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  (void)reader;
  (void)context;
  (void)error;
  return TLY_OK;
}

enum tly_status tly_archive_reader_open(const char *directory, const struct tly_project *project,
                                        tly_archive_reader **out, struct tly_error *error) {
  *out = NULL;
  struct tly_archive_reader *reader = tly_calloc(1, sizeof *reader);
  reader->directory = tly_strdup(directory);
  reader->index_path = tly_archive_index_path(directory, "");
  reader->stream_count = project->stream_count;
  reader->streams = tly_calloc(project->stream_count + 1, sizeof *reader->streams);
  for (uint32_t s = 0; s < project->stream_count; s++)
    reader->streams[s].stream = &project->streams[s];
  reader->must_refresh = true;
  enum tly_status status = tly_file_exists(reader->index_path)
                               ? try_until_steady(reader, look, NULL, error)
                               : TLY_FAIL(error, TLY_E_NOT_READY, "the archive in %s is not made yet", directory);
  if (status != TLY_OK) {
    tly_archive_reader_close(reader);
    return status;
  }
  *out = reader;
  return TLY_OK;
}

void tly_archive_reader_close(tly_archive_reader *reader) {
  if (reader == NULL)
    return;
  for (uint32_t s = 0; s < reader->stream_count; s++) {
    struct stream_entry *stream = &reader->streams[s];
    forget_segments(reader, stream);
    for (size_t f = 0; f < sizeof stream->decoder / sizeof stream->decoder[0]; f++)
      if (stream->decoder[f] != NULL)
        tly_decoder_free(stream->decoder[f]);
  }
  for (size_t i = 0; i < reader->retired_count; i++)
    tly_free(reader->retired[i]);
  tly_free(reader->retired);
  if (reader->has_scratch)
    tly_event_batch_free(&reader->scratch);
  close_index(reader);
  tly_free(reader->streams);
  tly_free(reader->index_path);
  tly_free(reader->directory);
  tly_free(reader);
}

static enum tly_status open_unsealed(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  (void)context;
  for (uint32_t s = 0; s < reader->stream_count; s++)
    for (uint32_t i = 0; i < reader->streams[s].segment_count; i++) {
      struct segment_entry *entry = &reader->streams[s].segments[i];
      struct tly_segment *segment;
      if (!entry->is_sealed)
        TLY_TRY(use_segment(reader, &reader->streams[s], entry, &segment, error));
    }
  return TLY_OK;
}

enum tly_status tly_archive_reader_hold(tly_archive_reader *reader, struct tly_error *error) {
  TLY_ASSERT(!reader->is_holding);
  TLY_TRY(try_until_steady(reader, open_unsealed, NULL, error));
  reader->is_holding = true;
  return TLY_OK;
}

static struct stream_entry *stream_entry(struct tly_archive_reader *reader, const struct tly_stream *stream) {
  for (uint32_t s = 0; s < reader->stream_count; s++)
    if (reader->streams[s].stream == stream)
      return &reader->streams[s];
  TLY_UNREACHABLE(); /* a stream of another project */
}

/* ---- heads ------------------------------------------------------------------------------------------------------- */

struct heads {
  struct tly_arena *arena;
  struct tly_position *items;
  uint32_t count, capacity;
};

static struct tly_position *head_of(struct heads *heads, const char *stream, uint32_t partition) {
  for (uint32_t i = 0; i < heads->count; i++)
    if (heads->items[i].partition == partition && strcmp(heads->items[i].stream, stream) == 0)
      return &heads->items[i];
  if (heads->count == heads->capacity) {
    heads->capacity = heads->capacity == 0 ? 16 : 2 * heads->capacity;
    struct tly_position *items = TLY_ARENA_ARRAY(heads->arena, struct tly_position, heads->capacity);
    if (heads->count > 0)
      memcpy(items, heads->items, heads->count * sizeof *items);
    heads->items = items;
  }
  heads->items[heads->count] = (struct tly_position){.stream = stream, .partition = partition};
  return &heads->items[heads->count++];
}

static enum tly_status heads_of_segment(struct tly_archive_reader *reader, struct stream_entry *stream,
                                        struct segment_entry *entry, struct heads *heads, struct tly_error *error) {
  struct extent *extents;
  uint32_t count;
  TLY_TRY(extents_of(reader, stream, entry, &extents, &count, error));
  for (uint32_t i = 0; i < count; i++) {
    struct tly_position *head = head_of(heads, stream->stream->name, extents[i].partition);
    if (extents[i].next_offset > head->next_offset) {
      head->next_offset = extents[i].next_offset;
      head->chain = extents[i].chain;
    }
  }
  if (extents != entry->extents)
    tly_free(extents);
  return TLY_OK;
}

static enum tly_status read_heads(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  struct heads *heads = context;
  heads->count = 0;
  for (uint32_t s = 0; s < reader->stream_count; s++) {
    struct stream_entry *stream = &reader->streams[s];
    for (uint32_t i = 0; i < stream->segment_count; i++)
      TLY_TRY(heads_of_segment(reader, stream, &stream->segments[i], heads, error));
  }
  return TLY_OK;
}

enum tly_status tly_archive_reader_heads(tly_archive_reader *reader, struct tly_arena *arena, struct tly_position **out,
                                         uint32_t *count, struct tly_error *error) {
  struct heads heads = {.arena = arena};
  TLY_TRY(try_until_steady(reader, read_heads, &heads, error));
  *out = heads.items;
  *count = heads.count;
  return TLY_OK;
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

struct cut_search {
  int64_t first, last; /* numbers wanted */
  struct tly_arena *arena;
  struct tly_cut *cuts;
  uint32_t count;
};

/* The project's string for a stream's name; a stream that has left the project keeps its positions under a copy. */
static const char *stream_name(const struct tly_archive_reader *reader, const char *name, struct tly_arena *arena) {
  for (uint32_t s = 0; s < reader->stream_count; s++)
    if (strcmp(reader->streams[s].stream->name, name) == 0)
      return reader->streams[s].stream->name;
  return tly_arena_copy(arena, name, strlen(name));
}

static uint32_t grown(uint32_t count) {
  return (count & (count - 1)) == 0 ? (count == 0 ? 1 : 2 * count) : 0; /* a new capacity, or 0: there is room */
}

static void *grow(struct tly_arena *arena, void *items, uint32_t count, size_t size) {
  uint32_t capacity = grown(count);
  if (capacity == 0)
    return items;
  void *more = tly_arena_zero(arena, capacity * size);
  if (count > 0)
    memcpy(more, items, count * size);
  return more;
}

static enum tly_status add_position(struct tly_archive_reader *reader, sqlite3_stmt *row, struct tly_arena *arena,
                                    struct tly_cut *cut, struct tly_error *error) {
  cut->positions = grow(arena, cut->positions, cut->position_count, sizeof *cut->positions);
  struct tly_position *position = &cut->positions[cut->position_count++];
  position->stream = stream_name(reader, (const char *)sqlite3_column_text(row, 0), arena);
  position->partition = (uint32_t)sqlite3_column_int64(row, 1);
  position->next_offset = sqlite3_column_int64(row, 2);
  if (sqlite3_column_bytes(row, 3) != (int)sizeof position->chain.bytes)
    return TLY_FAIL(error, TLY_E_CORRUPT, "cut %lld in %s is damaged", (long long)cut->number, reader->index_path);
  memcpy(position->chain.bytes, sqlite3_column_blob(row, 3), sizeof position->chain.bytes);
  return TLY_OK;
}

static enum tly_status read_cut_rows(struct tly_archive_reader *reader, const char *sql, bool are_positions,
                                     struct tly_arena *arena, struct tly_cut *cut, struct tly_error *error) {
  sqlite3_stmt *rows;
  bool has_row = true;
  enum tly_status status = tly_sqlite_prepare(reader->index, sql, &rows, error);
  if (status == TLY_OK)
    sqlite3_bind_int64(rows, 1, cut->number);
  while (status == TLY_OK && (status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    if (are_positions) {
      status = add_position(reader, rows, arena, cut, error);
    } else {
      cut->views = grow(arena, cut->views, cut->view_count, sizeof *cut->views);
      cut->views[cut->view_count++] =
          tly_arena_copy(arena, sqlite3_column_text(rows, 0), (size_t)sqlite3_column_bytes(rows, 0));
    }
  }
  sqlite3_finalize(rows);
  return status;
}

static enum tly_status read_cut_list(struct tly_archive_reader *reader, struct cut_search *search,
                                     struct tly_error *error) {
  sqlite3_stmt *rows;
  bool has_row = true;
  TLY_TRY(tly_sqlite_prepare(
      reader->index, "SELECT number, made_at FROM cut WHERE number BETWEEN ?1 AND ?2 ORDER BY number", &rows, error));
  sqlite3_bind_int64(rows, 1, search->first);
  sqlite3_bind_int64(rows, 2, search->last);
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && (status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    search->cuts = grow(search->arena, search->cuts, search->count, sizeof *search->cuts);
    struct tly_cut *cut = &search->cuts[search->count++];
    *cut = (struct tly_cut){.number = sqlite3_column_int64(rows, 0), .made_at_us = sqlite3_column_int64(rows, 1)};
    status = read_cut_rows(reader,
                           "SELECT stream, partition, next_offset, chain FROM cut_position WHERE cut = ?1 "
                           "ORDER BY stream, partition",
                           true, search->arena, cut, error);
    if (status == TLY_OK)
      status = read_cut_rows(reader, "SELECT view FROM cut_view WHERE cut = ?1 ORDER BY view", false, search->arena,
                             cut, error);
  }
  sqlite3_finalize(rows);
  return status;
}

static enum tly_status read_cuts(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  struct cut_search *search = context;
  search->count = 0;
  search->cuts = NULL;
  TLY_TRY(tly_sqlite_execute(reader->index, "BEGIN", error));
  enum tly_status status = read_cut_list(reader, search, error);
  enum tly_status ended = tly_sqlite_execute(reader->index, "COMMIT", status == TLY_OK ? error : NULL);
  return status == TLY_OK ? ended : status;
}

enum tly_status tly_archive_reader_cuts(tly_archive_reader *reader, int64_t after, struct tly_arena *arena,
                                        struct tly_cut **out, uint32_t *count, struct tly_error *error) {
  struct cut_search search = {.first = after + 1, .last = INT64_MAX, .arena = arena};
  TLY_TRY(try_until_steady(reader, read_cuts, &search, error));
  *out = search.cuts;
  *count = search.count;
  return TLY_OK;
}

enum tly_status tly_archive_reader_cut(tly_archive_reader *reader, int64_t number, struct tly_arena *arena,
                                       struct tly_cut *out, struct tly_error *error) {
  struct cut_search search = {.first = number, .last = number, .arena = arena};
  TLY_TRY(try_until_steady(reader, read_cuts, &search, error));
  if (search.count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no cut %lld", (long long)number);
  *out = search.cuts[0];
  return TLY_OK;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

struct block_search {
  struct stream_entry *stream;
  uint32_t partition;
  int64_t from_offset, generation_max;
  uint32_t max;
  struct tly_arena *arena;
  struct tly_block_list list;
};

static int compare_refs(const void *a, const void *b) {
  const struct tly_block_ref *left = a, *right = b;
  return left->first_offset < right->first_offset ? -1 : left->first_offset > right->first_offset;
}

/* Keep the part of the sorted list that tiles from `from_offset`, is of the generations asked for and not longer than
 * asked; a gap or an overlap in it is damage. */
static enum tly_status keep_tiling(const struct tly_archive_reader *reader, struct block_search *search,
                                   struct tly_error *error) {
  struct tly_block_list *list = &search->list;
  uint32_t kept = 0;
  for (; kept < list->count && kept < search->max; kept++) {
    const struct tly_block_ref *ref = &list->items[kept], *before = ref - 1;
    if (ref->generation > search->generation_max)
      break;
    bool tiles = kept == 0 ? ref->first_offset <= search->from_offset
                           : ref->first_offset == before->first_offset + before->event_count &&
                                 ref->generation >= before->generation &&
                                 tly_hash_equal(ref->chain_before, before->chain_after);
    if (!tiles)
      return TLY_FAIL(error, TLY_E_CORRUPT,
                      "the archive of stream \"%s\" in %s does not continue at block %lld of file %lld.db "
                      "(partition %u, offset %lld)",
                      search->stream->stream->name, reader->directory, (long long)ref->id, (long long)ref->segment,
                      ref->partition, (long long)ref->first_offset);
  }
  list->count = kept;
  return TLY_OK;
}

/* Whether a file may hold offsets of the partition at or behind `from_offset`: known of a sealed one, assumed of
 * others. */
static enum tly_status may_hold(struct tly_archive_reader *reader, const struct block_search *search,
                                struct segment_entry *entry, bool *may, struct tly_error *error) {
  struct extent *extents;
  uint32_t count;
  *may = !entry->is_sealed;
  if (!entry->is_sealed)
    return TLY_OK;
  TLY_TRY(extents_of(reader, search->stream, entry, &extents, &count, error));
  for (uint32_t i = 0; i < count; i++)
    if (extents[i].partition == search->partition && extents[i].next_offset > search->from_offset)
      *may = true;
  return TLY_OK;
}

static enum tly_status search_blocks(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  struct block_search *search = context;
  struct stream_entry *stream = search->stream;
  search->list.count = 0;
  for (uint32_t i = 0; i < stream->segment_count; i++) {
    struct tly_segment *segment;
    bool may;
    TLY_TRY(may_hold(reader, search, &stream->segments[i], &may, error));
    if (!may)
      continue;
    TLY_TRY(use_segment(reader, stream, &stream->segments[i], &segment, error));
    TLY_TRY(tly_segment_list(segment, search->partition, search->from_offset, search->max, search->arena, &search->list,
                             error));
  }
  if (search->list.count > 1)
    qsort(search->list.items, search->list.count, sizeof *search->list.items, compare_refs);
  return keep_tiling(reader, search, error);
}

enum tly_status tly_archive_reader_blocks(tly_archive_reader *reader, const struct tly_stream *stream,
                                          uint32_t partition, int64_t from_offset, int64_t generation_max, uint32_t max,
                                          struct tly_arena *arena, struct tly_block_ref **out, uint32_t *count,
                                          struct tly_error *error) {
  struct block_search search = {.stream = stream_entry(reader, stream),
                                .partition = partition,
                                .from_offset = from_offset,
                                .generation_max = generation_max,
                                .max = max,
                                .arena = arena};
  TLY_TRY(try_until_steady(reader, search_blocks, &search, error));
  *out = search.list.items;
  *count = search.list.count;
  return TLY_OK;
}

/* ---- reading a block --------------------------------------------------------------------------------------------- */

struct block_read {
  struct stream_entry *stream;
  const struct tly_block_ref *ref;
  const bool *wanted;
  bool want_raw;
  struct tly_event_batch *batch;
};

/* The rows first .. first + count - 1 of a vector. */
static struct tly_vector slice(struct tly_vector vector, uint32_t first, uint32_t count) {
  if (vector.count == 0)
    return vector;
  size_t size = tly_form_size(tly_type_form(vector.type));
  if (vector.codes != NULL)
    vector.codes += first;
  else
    vector.i64 = (int64_t *)(void *)((char *)vector.i64 + first * size);
  if (vector.null != NULL)
    vector.null += first;
  vector.count = count;
  return vector;
}

static struct tly_vector all_null(struct tly_type type, uint32_t count, struct tly_arena *arena) {
  struct tly_vector vector = tly_vector_new(type, count, arena);
  vector.null = memset(tly_arena_alloc(arena, count), 1, count);
  return vector;
}

/* One event decoded with today's definition into reader->scratch; false when it no longer decodes. */
static bool decode_one(struct tly_archive_reader *reader, tly_decoder *decoder, struct tly_text payload,
                       struct tly_error *error) {
  size_t consumed;
  uint64_t lines;
  return tly_decoder_decode(decoder, payload.data, payload.size, 0, &reader->scratch, &consumed, &lines, error) ==
             TLY_OK &&
         reader->scratch.count == 1;
}

/* A copy of a value's bytes that outlives the scratch batch. */
static void put_element(struct tly_vector *vector, uint32_t row, const struct tly_vector *from, uint8_t *null,
                        struct tly_arena *arena) {
  null[row] = tly_vector_is_null(from, 0);
  if (null[row])
    return;
  if (tly_type_form(vector->type) == TLY_FORM_TEXT) {
    struct tly_text text = tly_vector_text(from, 0);
    vector->text[row] = (struct tly_text){.data = tly_arena_copy(arena, text.data, text.size), .size = text.size};
  } else if (tly_type_form(vector->type) == TLY_FORM_DECIMAL) {
    struct tly_buffer bytes = {0};
    tly_decimal_append_compact(from->decimal[0], &bytes);
    struct tly_cursor in = tly_cursor_of(bytes.data, bytes.size);
    enum tly_status status = tly_decimal_read_compact(&in, arena, &vector->decimal[row], NULL);
    TLY_ASSERT(status == TLY_OK);
    tly_buffer_free(&bytes);
  } else {
    size_t size = tly_form_size(tly_type_form(vector->type));
    memcpy((char *)vector->i64 + row * size, from->i64, size);
  }
}

static tly_decoder *decoder_for(struct stream_entry *stream, enum tly_format format) {
  if (stream->decoder[format] == NULL)
    stream->decoder[format] = tly_decoder_new(stream->stream, format);
  return stream->decoder[format];
}

/* Columns that the stream got after this block was written, from the payloads. An event whose value does not fit the
 * new column has NULL there: it was accepted when the column was not asked for. */
static enum tly_status decode_missing(struct tly_archive_reader *reader, const struct block_read *read,
                                      const bool *missing, const struct tly_text *payloads, uint32_t count,
                                      enum tly_format format, struct tly_text header, struct tly_error *error) {
  const struct tly_stream *stream = read->stream->stream;
  struct tly_arena *arena = &read->batch->arena;
  struct tly_error ignored;
  uint8_t **nulls = TLY_ARENA_ARRAY(arena, uint8_t *, stream->column_count);
  tly_decoder *decoder = decoder_for(read->stream, format);
  if (format == TLY_FORMAT_CSV)
    TLY_TRY(tly_decoder_set_header(decoder, header.data, header.size, error));
  if (reader->has_scratch)
    tly_event_batch_free(&reader->scratch);
  tly_event_batch_init(&reader->scratch, stream);
  reader->has_scratch = true;
  for (uint32_t c = 0; c < stream->column_count; c++)
    if (missing[c]) {
      read->batch->columns[c] = all_null(stream->columns[c].type, count, arena);
      nulls[c] = memset(tly_arena_alloc(arena, count), 1, count);
      read->batch->columns[c].null = nulls[c];
    }
  for (uint32_t row = 0; row < count; row++) {
    if (!decode_one(reader, decoder, payloads[row], &ignored))
      continue;
    for (uint32_t c = 0; c < stream->column_count; c++)
      if (missing[c])
        put_element(&read->batch->columns[c], row, &reader->scratch.columns[c], nulls[c], arena);
  }
  return TLY_OK;
}

/* Which file columns to read, and which of the stream's the file does not have. */
static bool plan_columns(const struct tly_segment *segment, const struct block_read *read, bool *file_wanted,
                         bool *missing) {
  const struct tly_stream *stream = read->stream->stream;
  bool any_missing = false;
  memset(file_wanted, 0, TLY_COLUMNS_MAX * sizeof *file_wanted);
  memset(missing, 0, TLY_COLUMNS_MAX * sizeof *missing);
  for (uint32_t c = 0; c < stream->column_count; c++) {
    if (read->wanted != NULL && !read->wanted[c])
      continue;
    if (segment->file_column[c] >= 0)
      file_wanted[segment->file_column[c]] = true;
    else
      any_missing = missing[c] = true;
  }
  return any_missing;
}

/* The block was found: fill the batch with the events of the reference, which start at row `skip` of it. */
static enum tly_status fill_batch(struct tly_archive_reader *reader, struct tly_segment *segment,
                                  const struct tly_block *block, const struct block_read *read, const bool *file_wanted,
                                  const bool *missing, bool any_missing, struct tly_error *error) {
  struct tly_event_batch *batch = read->batch;
  const struct tly_stream *stream = read->stream->stream;
  uint32_t skip = (uint32_t)(read->ref->first_offset - block->first_offset), count = read->ref->event_count;
  struct tly_vector *file_columns =
      TLY_ARENA_ARRAY(&batch->arena, struct tly_vector, segment->file_stream.column_count);
  TLY_TRY(tly_segment_columns(segment, block, file_wanted, &batch->arena, file_columns, error));
  for (uint32_t c = 0; c < stream->column_count; c++)
    if (segment->file_column[c] >= 0)
      batch->columns[c] = slice(file_columns[segment->file_column[c]], skip, count);
  batch->count = count;
  if (!read->want_raw && !any_missing)
    return TLY_OK;
  enum tly_format format;
  struct tly_text header;
  struct tly_text *payloads = TLY_ARENA_ARRAY(&batch->arena, struct tly_text, block->event_count);
  TLY_TRY(tly_segment_payloads(segment, block, &batch->arena, payloads, &format, &header, error));
  if (read->want_raw) {
    batch->raw = payloads + skip;
    batch->raw_format = format;
    batch->raw_header = header;
  }
  return any_missing ? decode_missing(reader, read, missing, payloads + skip, count, format, header, error) : TLY_OK;
}

/* The time range of a reference comes from a list, which no checksum covers. (A block that others were merged into has
 * a wider range.) */
static bool times_agree(const struct tly_block *block, const struct tly_block_ref *ref) {
  if (block->first_offset == ref->first_offset && block->event_count == ref->event_count)
    return block->has_time == ref->has_time && block->time_min_us == ref->time_min_us &&
           block->time_max_us == ref->time_max_us;
  return !ref->has_time ||
         (block->has_time && block->time_min_us <= ref->time_min_us && block->time_max_us >= ref->time_max_us);
}

static bool covers(const struct tly_block *block, const struct tly_block_ref *ref) {
  int64_t block_end = block->first_offset + block->event_count, ref_end = ref->first_offset + ref->event_count;
  if (block->generation != ref->generation || block->first_offset > ref->first_offset || block_end < ref_end ||
      !times_agree(block, ref))
    return false;
  return (block->first_offset < ref->first_offset || tly_hash_equal(block->chain_before, ref->chain_before)) &&
         (block_end > ref_end || tly_hash_equal(block->chain_after, ref->chain_after));
}

static enum tly_status read_from(struct tly_archive_reader *reader, struct tly_segment *segment,
                                 const struct block_read *read, bool *found, struct tly_error *error) {
  bool file_wanted[TLY_COLUMNS_MAX], missing[TLY_COLUMNS_MAX];
  bool any_missing = plan_columns(segment, read, file_wanted, missing);
  struct tly_block block;
  TLY_TRY(tly_segment_find(segment, read->ref->partition, read->ref->first_offset, read->want_raw || any_missing,
                           &block, found, error));
  if (!*found)
    return TLY_OK;
  enum tly_status status;
  if (covers(&block, read->ref))
    status = fill_batch(reader, segment, &block, read, file_wanted, missing, any_missing, error);
  else
    status =
        TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of %s is not the one that was listed (partition %u, offset %lld)",
                 (long long)block.id, segment->path, read->ref->partition, (long long)read->ref->first_offset);
  tly_segment_release(segment);
  return status;
}

static enum tly_status read_block(struct tly_archive_reader *reader, void *context, struct tly_error *error) {
  const struct block_read *read = context;
  struct stream_entry *stream = read->stream;
  struct segment_entry *named = find_entry(stream, read->ref->segment);
  bool found = false;
  struct tly_segment *segment;
  tly_event_batch_reset(read->batch);
  if (named != NULL) {
    TLY_TRY(use_segment(reader, stream, named, &segment, error));
    TLY_TRY(read_from(reader, segment, read, &found, error));
  }
  for (uint32_t i = 0; i < stream->segment_count && !found; i++) {
    TLY_TRY(use_segment(reader, stream, &stream->segments[i], &segment, error));
    TLY_TRY(read_from(reader, segment, read, &found, error));
  }
  if (!found)
    return TLY_FAIL(error, TLY_E_CORRUPT, "offset %lld of partition %u of stream \"%s\" is no longer in the archive",
                    (long long)read->ref->first_offset, read->ref->partition, stream->stream->name);
  return TLY_OK;
}

enum tly_status tly_archive_reader_read(tly_archive_reader *reader, const struct tly_stream *stream,
                                        const struct tly_block_ref *ref, const bool *wanted, bool want_raw,
                                        struct tly_event_batch *batch, struct tly_error *error) {
  struct block_read read = {
      .stream = stream_entry(reader, stream), .ref = ref, .wanted = wanted, .want_raw = want_raw, .batch = batch};
  TLY_ASSERT(batch->stream == stream);
  return try_until_steady(reader, read_block, &read, error);
}
