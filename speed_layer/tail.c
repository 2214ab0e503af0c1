#include "speed_layer/tail.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

bool tly_chain_equal(const tly_chain *a, const tly_chain *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void tly_tail_free(struct tly_tail *tail) {
  tly_free(tail->positions);
  memset(tail, 0, sizeof *tail);
}

const struct tly_tail_position *tly_tail_find(const struct tly_tail *tail, const struct tly_stream *stream,
                                              uint32_t partition) {
  for (uint32_t p = 0; p < tail->count; p++)
    if (tail->positions[p].stream == stream && tail->positions[p].partition == partition)
      return &tail->positions[p];
  return NULL;
}

struct tly_tail_position *tly_tail_position(struct tly_tail *tail, const struct tly_stream *stream,
                                            uint32_t partition) {
  for (uint32_t n = 0; n < tail->count; n++) {
    uint32_t p = (tail->hint + n) % tail->count;
    if (tail->positions[p].stream == stream && tail->positions[p].partition == partition) {
      tail->hint = p + 1;
      return &tail->positions[p];
    }
  }
  if (tail->count == tail->capacity) {
    tail->capacity = tail->capacity == 0 ? 8 : 2 * tail->capacity;
    tail->positions = tly_realloc_array(tail->positions, tail->capacity, sizeof *tail->positions);
  }
  tail->positions[tail->count] = (struct tly_tail_position){.stream = stream, .partition = partition};
  return &tail->positions[tail->count++];
}

bool tly_tail_has_reached(const struct tly_tail *tail, const struct tly_tail *goal) {
  for (uint32_t p = 0; p < goal->count; p++) {
    const struct tly_tail_position *wanted = &goal->positions[p];
    const struct tly_tail_position *own = tly_tail_find(tail, wanted->stream, wanted->partition);
    if ((own != NULL ? own->next_offset : 0) < wanted->next_offset)
      return false;
  }
  return true;
}

tly_chain tly_tail_chain_over(tly_chain before, const struct tly_event_batch *batch, uint32_t count) {
  TLY_ASSERT(batch->raw != NULL && count <= batch->count);
  for (uint32_t e = 0; e < count; e++)
    before = tly_chain_next(before, batch->raw[e].data, batch->raw[e].size);
  return before;
}

enum tly_status tly_tail_chain_at(tly_archive_reader *archive, const struct tly_stream *stream, uint32_t partition,
                                  int64_t offset, struct tly_event_batch *batch, tly_chain *chain, int64_t *stamp,
                                  bool *found, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_block_ref *ref;
  uint32_t count;
  memset(chain, 0, sizeof *chain);
  *stamp = 0;
  *found = true;
  if (offset == 0)
    return TLY_OK;
  tly_arena_init(&arena);
  enum tly_status status =
      tly_archive_reader_blocks(archive, stream, partition, offset - 1, INT64_MAX, 1, &arena, &ref, &count, error);
  if (status != TLY_OK)
    goto done;
  if (count == 0)
    *found = false;
  else if (ref->first_offset >= offset) /* nothing but a recorded gap between the last event and `offset` */
    *chain = ref->chain_before;
  else if (ref->first_offset + ref->event_count == offset)
    *chain = ref->chain_after;
  else { /* re-blocking has merged over it: only the events themselves tell */
    status = tly_archive_reader_read(archive, stream, ref, NULL, true, batch, error);
    if (status == TLY_OK)
      *chain = tly_tail_chain_over(ref->chain_before, batch, (uint32_t)(offset - ref->first_offset));
  }
  if (count > 0 && ref->first_offset < offset)
    *stamp = ref->generation;
done:
  tly_arena_free(&arena);
  return status;
}

enum tly_status tly_tail_check(tly_archive_reader *archive, const struct tly_tail_position *position,
                               struct tly_event_batch *batch, bool *agrees, struct tly_error *error) {
  tly_chain chain;
  int64_t stamp;
  bool found;
  *agrees = false;
  TLY_TRY(tly_tail_chain_at(archive, position->stream, position->partition, position->next_offset, batch, &chain,
                            &stamp, &found, error));
  bool same_stamp = stamp == position->generation || stamp == 0 || position->generation == 0;
  *agrees = found && tly_chain_equal(&chain, &position->chain) && same_stamp;
  return TLY_OK;
}

tly_chain tly_tail_chain_cut(tly_chain before, const struct tly_cut *cut) {
  struct tly_buffer bytes = {0};
  tly_buffer_append_u64(&bytes, (uint64_t)cut->number);
  tly_buffer_append_u64(&bytes, (uint64_t)cut->made_at_us);
  for (uint32_t v = 0; v < cut->view_count; v++)
    tly_buffer_append(&bytes, cut->views[v], strlen(cut->views[v]) + 1);
  tly_chain after = tly_chain_next(before, bytes.data, bytes.size);
  tly_buffer_free(&bytes);
  return after;
}

static struct tly_vector slice_vector(const struct tly_vector *from, uint32_t first, uint32_t count) {
  struct tly_vector vector = *from;
  TLY_ASSERT(!vector.is_constant && first + count <= vector.count);
  vector.count = count;
  if (vector.null != NULL)
    vector.null += first;
  if (vector.codes != NULL)
    vector.codes += first;
  else
    vector.i64 = (void *)((uint8_t *)vector.i64 + first * tly_form_size(tly_type_form(vector.type)));
  return vector;
}

void tly_tail_slice(const struct tly_event_batch *from, uint32_t first, uint32_t count, struct tly_vector *columns,
                    struct tly_event_batch *out) {
  TLY_ASSERT(first + count <= from->count);
  *out = *from;
  out->count = count;
  out->raw = from->raw != NULL ? from->raw + first : NULL;
  out->columns = columns;
  for (uint32_t c = 0; c < from->stream->column_count; c++)
    columns[c] = from->columns[c].count == 0 ? from->columns[c] : slice_vector(&from->columns[c], first, count);
}
