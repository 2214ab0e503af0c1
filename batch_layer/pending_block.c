#include "batch_layer/pending_block.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { FIRST_CAPACITY = 64, CAPACITY_KEPT = 8192 };

static size_t element_size(const struct tly_pending_block *pending, uint32_t column) {
  return tly_form_size(tly_type_form(pending->stream->columns[column].type));
}

void tly_pending_block_init(struct tly_pending_block *pending, const struct tly_stream *stream) {
  memset(pending, 0, sizeof *pending);
  pending->stream = stream;
  pending->columns = tly_calloc(stream->column_count, sizeof *pending->columns);
  pending->nulls = tly_calloc(stream->column_count, sizeof *pending->nulls);
  for (uint32_t c = 0; c < stream->column_count; c++)
    pending->columns[c].type = stream->columns[c].type;
}

static void free_rows(struct tly_pending_block *pending) {
  for (uint32_t c = 0; c < pending->stream->column_count; c++) {
    tly_free(pending->columns[c].i64);
    tly_free(pending->nulls[c]);
    pending->columns[c].i64 = NULL;
    pending->nulls[c] = NULL;
  }
  tly_free(pending->payloads);
  pending->payloads = NULL;
  pending->capacity = 0;
}

void tly_pending_block_free(struct tly_pending_block *pending) {
  if (pending->stream == NULL)
    return;
  free_rows(pending);
  tly_free(pending->columns);
  tly_free(pending->nulls);
  memset(pending, 0, sizeof *pending);
}

static void make_room(struct tly_pending_block *pending, uint32_t more) {
  uint32_t capacity = pending->capacity == 0 ? FIRST_CAPACITY : pending->capacity;
  if (pending->count + more <= pending->capacity)
    return;
  while (capacity < pending->count + more)
    capacity *= 2;
  pending->payloads = tly_realloc_array(pending->payloads, capacity, sizeof *pending->payloads);
  for (uint32_t c = 0; c < pending->stream->column_count; c++) {
    pending->columns[c].i64 = tly_realloc_array(pending->columns[c].i64, capacity, element_size(pending, c));
    pending->nulls[c] = tly_realloc(pending->nulls[c], capacity);
  }
  pending->capacity = capacity;
}

bool tly_pending_block_takes(const struct tly_pending_block *pending, uint32_t partition, uint32_t count,
                             enum tly_format format, struct tly_text header) {
  return pending->count == 0 ||
         (pending->partition == partition && pending->format == format && tly_text_equal(pending->header, header) &&
          pending->count + count <= TLY_BATCH_EVENTS_MAX);
}

/* Texts that come coded are taken as the texts they stand for. */
static void add_column(struct tly_pending_block *pending, uint32_t c, const struct tly_vector *vector) {
  struct tly_vector *column = &pending->columns[c];
  size_t size = element_size(pending, c);
  if (vector->codes != NULL)
    for (uint32_t row = 0; row < vector->count; row++)
      column->text[pending->count + row] = tly_vector_text(vector, row);
  else
    memcpy((char *)column->i64 + pending->count * size, vector->i64, vector->count * size);
  if (vector->null != NULL)
    memcpy(pending->nulls[c] + pending->count, vector->null, vector->count);
  else
    memset(pending->nulls[c] + pending->count, 0, vector->count);
}

void tly_pending_block_add(struct tly_pending_block *pending, uint32_t partition, const struct tly_event_batch *batch,
                           enum tly_format format, struct tly_text header) {
  TLY_ASSERT(tly_pending_block_takes(pending, partition, batch->count, format, header));
  make_room(pending, batch->count);
  pending->partition = partition;
  pending->format = format;
  pending->header = header;
  memcpy(pending->payloads + pending->count, batch->raw, batch->count * sizeof *batch->raw);
  for (uint32_t c = 0; c < pending->stream->column_count; c++) {
    TLY_ASSERT(batch->columns[c].count == batch->count && !batch->columns[c].is_constant);
    add_column(pending, c, &batch->columns[c]);
  }
  pending->count += batch->count;
  for (uint32_t c = 0; c < pending->stream->column_count; c++) {
    pending->columns[c].count = pending->count;
    pending->columns[c].null = pending->nulls[c];
  }
}

struct tly_raw_source tly_pending_block_source(const struct tly_pending_block *pending) {
  return (struct tly_raw_source){.stream = pending->stream,
                                 .format = pending->format,
                                 .header = pending->header,
                                 .payloads = pending->payloads,
                                 .columns = pending->columns,
                                 .count = pending->count};
}

void tly_pending_block_clear(struct tly_pending_block *pending) {
  pending->count = 0;
  if (pending->capacity > CAPACITY_KEPT)
    free_rows(pending);
}
