/* A list of slices with their first and last keys. In memory a slice is a deep copy; spilled it is a group block at a
 * place in a file, found again by pread, so that several threads can read different ranges of it at a time. */
#include "batch_layer/sorted_groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/engine/group_block.h"
#include "common/store/run_reader.h"
#include "common/store/slice.h"
#include "common/value/ordered_key.h"

struct entry {
  struct tly_text first_key, last_key;
  uint32_t count;
  struct tly_slice_copy *copy; /* in memory; else spilled: */
  uint64_t place, size;
  struct tly_hash checksum;
};

struct tly_sorted_groups {
  const struct tly_view_program *program;
  uint32_t part;
  struct tly_spill_file *spill;
  struct entry *entries;
  uint32_t entry_count, entry_capacity;
  uint64_t count;
  struct tly_arena keys; /* of spilled entries */
  struct tly_buffer body;
};

/* ---- spill files ------------------------------------------------------------------------------------------------- */

enum tly_status tly_spill_file_open(const char *folder, struct tly_spill_file *file, struct tly_error *error) {
  struct tly_buffer name = {0};
  file->size = 0;
  file->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file->fd < 0) { /* a file system without O_TMPFILE: make a name and take it away */
    tly_buffer_print(&name, "%s/spill.XXXXXX", folder);
    file->fd = mkostemp(tly_buffer_text(&name), O_CLOEXEC);
    if (file->fd >= 0)
      unlink(tly_buffer_text(&name));
    tly_buffer_free(&name);
  }
  return file->fd >= 0 ? TLY_OK : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make a temporary file in \"%s\"", folder);
}

void tly_spill_file_close(struct tly_spill_file *file) {
  if (file->fd >= 0)
    close(file->fd);
  file->fd = -1;
}

static enum tly_status write_at_end(struct tly_spill_file *file, const uint8_t *bytes, size_t size,
                                    struct tly_error *error) {
  while (size > 0) {
    ssize_t count = pwrite(file->fd, bytes, size, (off_t)file->size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not write groups to a temporary file");
    bytes += count;
    size -= (size_t)count;
    file->size += (uint64_t)count;
  }
  return TLY_OK;
}

static enum tly_status read_at(const struct tly_spill_file *file, uint64_t place, uint8_t *bytes, size_t size,
                               struct tly_error *error) {
  while (size > 0) {
    ssize_t count = pread(file->fd, bytes, size, (off_t)place);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not read groups from a temporary file");
    bytes += count;
    size -= (size_t)count;
    place += (uint64_t)count;
  }
  return TLY_OK;
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

tly_sorted_groups *tly_sorted_groups_new(const struct tly_view_program *program, uint32_t part,
                                         struct tly_spill_file *spill) {
  tly_sorted_groups *sorted = tly_calloc(1, sizeof *sorted);
  sorted->program = program;
  sorted->part = part;
  sorted->spill = spill;
  tly_arena_init(&sorted->keys);
  return sorted;
}

void tly_sorted_groups_free(tly_sorted_groups *sorted) {
  if (sorted == NULL)
    return;
  for (uint32_t i = 0; i < sorted->entry_count; i++)
    if (sorted->entries[i].copy != NULL) {
      tly_slice_copy_free(sorted->entries[i].copy);
      tly_free(sorted->entries[i].copy);
    }
  tly_free(sorted->entries);
  tly_arena_free(&sorted->keys);
  tly_buffer_free(&sorted->body);
  tly_free(sorted);
}

static struct entry *add_entry(tly_sorted_groups *sorted) {
  if (sorted->entry_count == sorted->entry_capacity) {
    sorted->entry_capacity = sorted->entry_capacity == 0 ? 16 : 2 * sorted->entry_capacity;
    sorted->entries = tly_realloc_array(sorted->entries, sorted->entry_capacity, sizeof *sorted->entries);
  }
  struct entry *entry = &sorted->entries[sorted->entry_count++];
  memset(entry, 0, sizeof *entry);
  return entry;
}

static struct tly_text copy_key(struct tly_arena *arena, struct tly_text key) {
  return (struct tly_text){.data = tly_arena_copy(arena, key.size > 0 ? key.data : "", key.size), .size = key.size};
}

static enum tly_status spill_slice(tly_sorted_groups *sorted, struct entry *entry, const struct tly_group_slice *slice,
                                   struct tly_error *error) {
  tly_buffer_clear(&sorted->body);
  tly_group_block_encode(slice, &sorted->body);
  entry->first_key = copy_key(&sorted->keys, slice->keys[0]);
  entry->last_key = copy_key(&sorted->keys, slice->keys[slice->count - 1]);
  entry->place = sorted->spill->size;
  entry->size = sorted->body.size;
  entry->checksum =
      tly_group_block_checksum(entry->first_key, entry->last_key, slice->count, sorted->body.data, sorted->body.size);
  return write_at_end(sorted->spill, sorted->body.data, sorted->body.size, error);
}

static void keep_slice(tly_sorted_groups *sorted, struct entry *entry, const struct tly_group_slice *slice) {
  entry->copy = tly_malloc(sizeof *entry->copy);
  tly_slice_copy_init(entry->copy, sorted->program, sorted->part);
  tly_slice_copy_whole(entry->copy, slice);
  entry->first_key = entry->copy->slice.keys[0];
  entry->last_key = entry->copy->slice.keys[slice->count - 1];
}

enum tly_status tly_sorted_groups_append(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  tly_sorted_groups *sorted = context;
  TLY_ASSERT(slice->part == sorted->part);
  if (slice->count == 0)
    return TLY_OK;
  struct entry *entry = add_entry(sorted);
  entry->count = slice->count;
  sorted->count += slice->count;
  if (sorted->spill != NULL)
    return spill_slice(sorted, entry, slice, error);
  keep_slice(sorted, entry, slice);
  return TLY_OK;
}

uint64_t tly_sorted_groups_count(const tly_sorted_groups *sorted) {
  return sorted->count;
}

uint32_t tly_sorted_groups_sample_count(const tly_sorted_groups *sorted) {
  return sorted->entry_count;
}

struct tly_text tly_sorted_groups_sample(const tly_sorted_groups *sorted, uint32_t index) {
  TLY_ASSERT(index < sorted->entry_count);
  return sorted->entries[index].first_key;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct tly_sorted_cursor {
  const tly_sorted_groups *sorted;
  struct tly_text low, high;
  uint32_t next;
  struct tly_group_slice decoded;
  struct tly_slice_window window;
  struct tly_buffer body;
};

/* The first entry that may hold keys >= `key`. */
static uint32_t find_entry(const tly_sorted_groups *sorted, struct tly_text key) {
  uint32_t low = 0, high = sorted->entry_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    struct tly_text last = sorted->entries[middle].last_key;
    if (tly_key_compare(last.data, last.size, key.data, key.size) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

tly_sorted_cursor *tly_sorted_cursor_new(const tly_sorted_groups *sorted, struct tly_text low, struct tly_text high) {
  tly_sorted_cursor *cursor = tly_calloc(1, sizeof *cursor);
  cursor->sorted = sorted;
  cursor->low = low;
  cursor->high = high;
  cursor->next = low.data != NULL ? find_entry(sorted, low) : 0;
  tly_group_slice_init(&cursor->decoded, sorted->program, sorted->part);
  tly_slice_window_init(&cursor->window, sorted->program, sorted->part);
  return cursor;
}

void tly_sorted_cursor_free(tly_sorted_cursor *cursor) {
  if (cursor == NULL)
    return;
  tly_group_slice_free(&cursor->decoded);
  tly_slice_window_free(&cursor->window);
  tly_buffer_free(&cursor->body);
  tly_free(cursor);
}

static enum tly_status load_entry(tly_sorted_cursor *cursor, const struct entry *entry,
                                  const struct tly_group_slice **out, struct tly_error *error) {
  if (entry->copy != NULL) {
    *out = &entry->copy->slice;
    return TLY_OK;
  }
  *out = &cursor->decoded;
  tly_buffer_clear(&cursor->body);
  uint8_t *bytes = tly_buffer_reserve(&cursor->body, entry->size);
  TLY_TRY(read_at(cursor->sorted->spill, entry->place, bytes, entry->size, error));
  struct tly_hash checksum =
      tly_group_block_checksum(entry->first_key, entry->last_key, entry->count, bytes, entry->size);
  if (memcmp(&checksum, &entry->checksum, sizeof checksum) != 0)
    return TLY_FAIL(error, TLY_E_CORRUPT, "groups spilled to a temporary file are damaged");
  return tly_group_block_decode(bytes, entry->size, entry->count, &cursor->decoded, error);
}

static enum tly_status next_slice(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  tly_sorted_cursor *cursor = context;
  struct tly_text low = cursor->low, high = cursor->high;
  *out = NULL;
  while (cursor->next < cursor->sorted->entry_count) {
    const struct entry *entry = &cursor->sorted->entries[cursor->next++];
    if (high.data != NULL && tly_key_compare(entry->first_key.data, entry->first_key.size, high.data, high.size) >= 0)
      break;
    const struct tly_group_slice *slice;
    TLY_TRY(load_entry(cursor, entry, &slice, error));
    uint32_t first = low.data != NULL ? tly_slice_lower_bound(slice, low) : 0;
    uint32_t end = high.data != NULL ? tly_slice_lower_bound(slice, high) : slice->count;
    cursor->low.data = NULL; /* later slices lie above it */
    low.data = NULL;
    if (first < end) {
      *out = first == 0 && end == slice->count ? slice : tly_slice_window_set(&cursor->window, slice, first, end);
      return TLY_OK;
    }
  }
  return TLY_OK;
}

struct tly_group_source tly_sorted_cursor_source(tly_sorted_cursor *cursor) {
  return (struct tly_group_source){.next = next_slice, .context = cursor};
}

enum tly_status tly_sorted_groups_chapter(const tly_sorted_groups *sorted, struct tly_text key, struct tly_buffer *out,
                                          bool *found, struct tly_error *error) {
  const struct tly_group_slice *slice;
  tly_sorted_cursor *cursor = tly_sorted_cursor_new(sorted, key, (struct tly_text){.data = NULL});
  enum tly_status status = TLY_OK;
  *found = false;
  while (!*found && (status = next_slice(cursor, &slice, error)) == TLY_OK && slice != NULL)
    for (uint32_t row = 0; row < slice->count && !*found; row++)
      if (tly_run_chapter_begins(slice->keys[row])) {
        *found = true;
        tly_buffer_append(out, slice->keys[row].data, slice->keys[row].size);
      }
  tly_sorted_cursor_free(cursor);
  return *found ? TLY_OK : status;
}
