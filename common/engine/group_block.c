/* A block's body is one byte that says how the payload is packed, then the payload:
 *
 *   0  payload                      as it is
 *   1  varint size, zstd frame      where that saves a quarter of a payload of at least ZSTD_BYTES_MIN
 *
 * Payload, for n groups:
 *
 *   n varints    bytes that a key shares with the key before it (as many as there are)
 *   n varints    bytes it has behind those
 *   the latter   one key behind the other
 *   per component:
 *     if nullable, a bit a group, set when it has no value yet (lowest bit first, rest of the last byte 0)
 *     the states of the other groups, by form:
 *       I64        a byte, then zigzag varints: 0 of the values, 1 of differences to the value before; the shorter
 *       I128       zigzag varints of up to 19 bytes
 *       F64        8 bytes
 *       DECIMAL    tly_decimal_append_compact
 *       TEXT       varint size, bytes
 *       EXACT_SUM  tly_exact_sum_append
 *
 * Every choice is made by the values alone, so equal slices give equal bytes; the decoder refuses what the encoder does
 * not write, as far as one can see without compressing again. It reads through a cursor that cannot leave the payload
 * and checks every count before it allocates; bytes that have been changed are the checksum's business. */
#include "common/engine/group_block.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "common/base/memory.h"
#include "common/engine/group_state.h"

enum { PLAIN = 0, PACKED = 1, VALUES = 0, DIFFERENCES = 1 };
enum { ZSTD_LEVEL = 1, ZSTD_BYTES_MIN = 128, GROUPS_MAX = 65535, PAYLOAD_BYTES_MAX = 1 << 30 };

static enum tly_status corrupt(struct tly_error *error, const char *what) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "group block: %s", what);
}

/* --- integers ----------------------------------------------------------------------------------------------------- */

static uint64_t zigzag(int64_t value) {
  return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static size_t varint_size(uint64_t value) {
  return ((size_t)(64 - __builtin_clzll(value | 1)) + 6) / 7;
}

/* tly_cursor_varint without a call for the one and two bytes that almost all are. */
static inline uint64_t read_varint(struct tly_cursor *cursor) {
  const uint8_t *next = cursor->next;
  if (cursor->failed || cursor->end - next < 2)
    return tly_cursor_varint(cursor);
  if (next[0] < 0x80) {
    cursor->next = next + 1;
    return next[0];
  }
  if (next[1] == 0 || next[1] >= 0x80)
    return tly_cursor_varint(cursor);
  cursor->next = next + 2;
  return (uint64_t)next[1] << 7 | (next[0] & 0x7F);
}

static inline int64_t read_zigzag(struct tly_cursor *cursor) {
  uint64_t value = read_varint(cursor);
  return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Modulo 2^64, so that any two values have a difference. */
static int64_t difference(int64_t value, int64_t before) {
  return (int64_t)((uint64_t)value - (uint64_t)before);
}

static bool skips(const struct tly_state_column *column, uint32_t row) {
  return column->empty != NULL && column->empty[row] != 0;
}

static bool differences_are_shorter(const struct tly_state_column *column, uint32_t count) {
  size_t values_size = 0, differences_size = 0;
  int64_t before = 0;
  for (uint32_t row = 0; row < count; row++) {
    if (skips(column, row))
      continue;
    values_size += varint_size(zigzag(column->i64[row]));
    differences_size += varint_size(zigzag(difference(column->i64[row], before)));
    before = column->i64[row];
  }
  return differences_size < values_size;
}

static void append_i64s(const struct tly_state_column *column, uint32_t count, struct tly_buffer *out) {
  bool by_difference = differences_are_shorter(column, count);
  tly_buffer_append_byte(out, by_difference ? DIFFERENCES : VALUES);
  int64_t before = 0;
  for (uint32_t row = 0; row < count; row++) {
    if (skips(column, row))
      continue;
    int64_t value = column->i64[row];
    tly_buffer_append_zigzag(out, by_difference ? difference(value, before) : value);
    before = value;
  }
}

static enum tly_status read_i64s(struct tly_cursor *cursor, uint32_t count, struct tly_state_column *column,
                                 struct tly_error *error) {
  uint8_t mode = tly_cursor_byte(cursor);
  if (mode > DIFFERENCES)
    return corrupt(error, "unknown form of integers");
  int64_t before = 0;
  for (uint32_t row = 0; row < count; row++) {
    if (skips(column, row))
      continue;
    int64_t read = read_zigzag(cursor);
    before = mode == DIFFERENCES ? (int64_t)((uint64_t)read + (uint64_t)before) : read;
    column->i64[row] = before;
  }
  if (!cursor->failed && differences_are_shorter(column, count) != (mode == DIFFERENCES))
    return corrupt(error, "integers in the longer form");
  return TLY_OK;
}

static void append_i128(tly_i128 value, struct tly_buffer *out) {
  tly_u128 left = ((tly_u128)value << 1) ^ (tly_u128)(value >> 127);
  for (; left >= 0x80; left >>= 7)
    tly_buffer_append_byte(out, (uint8_t)(left | 0x80));
  tly_buffer_append_byte(out, (uint8_t)left);
}

static tly_i128 read_long_i128(struct tly_cursor *cursor) {
  enum { LAST_SHIFT = 126, LAST_BYTE_MAX = 3 };
  tly_u128 value = 0;
  for (unsigned shift = 0; shift <= LAST_SHIFT; shift += 7) {
    uint8_t byte = tly_cursor_byte(cursor);
    if ((byte == 0 && shift > 0) || (shift == LAST_SHIFT && byte > LAST_BYTE_MAX))
      break;
    value |= (tly_u128)(byte & 0x7F) << shift;
    if (byte < 0x80)
      return (tly_i128)(value >> 1) ^ -(tly_i128)(value & 1);
  }
  cursor->failed = 1;
  return 0;
}

/* Sums of money are short: up to 9 bytes are read in 64 bits. */
static inline tly_i128 read_i128(struct tly_cursor *cursor) {
  enum { SHORT_BYTES = 9 };
  if (cursor->failed || cursor->end - cursor->next < SHORT_BYTES)
    return read_long_i128(cursor);
  uint64_t value = 0;
  for (unsigned i = 0; i < SHORT_BYTES; i++) {
    uint8_t byte = cursor->next[i];
    value |= (uint64_t)(byte & 0x7F) << (7 * i);
    if (byte >= 0x80)
      continue;
    if (byte == 0 && i > 0)
      break;
    cursor->next += i + 1;
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
  }
  return read_long_i128(cursor);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static uint32_t shared_bytes(struct tly_text a, struct tly_text b) {
  uint32_t most = a.size < b.size ? a.size : b.size, shared = 0;
  while (shared < most && a.data[shared] == b.data[shared])
    shared++;
  return shared;
}

static void append_keys(const struct tly_group_slice *slice, struct tly_buffer *out) {
  uint32_t *shared = tly_calloc(slice->count, sizeof *shared);
  for (uint32_t row = 1; row < slice->count; row++)
    shared[row] = shared_bytes(slice->keys[row - 1], slice->keys[row]);
  for (uint32_t row = 0; row < slice->count; row++)
    tly_buffer_append_varint(out, shared[row]);
  for (uint32_t row = 0; row < slice->count; row++)
    tly_buffer_append_varint(out, slice->keys[row].size - shared[row]);
  for (uint32_t row = 0; row < slice->count; row++)
    tly_buffer_append(out, slice->keys[row].data + shared[row], slice->keys[row].size - shared[row]);
  tly_free(shared);
}

/* Sizes first: then all keys stand in one piece of memory, and none is longer than what has been checked. */
static enum tly_status read_key_sizes(struct tly_cursor *cursor, uint32_t count, uint32_t *shared,
                                      struct tly_text *keys, uint64_t *total, uint64_t *rest_total,
                                      struct tly_error *error) {
  for (uint32_t row = 0; row < count; row++) {
    uint64_t bytes = read_varint(cursor);
    if (cursor->failed || bytes > UINT32_MAX)
      return corrupt(error, "shared bytes of a key");
    shared[row] = (uint32_t)bytes;
  }
  *total = *rest_total = 0;
  for (uint32_t row = 0; row < count; row++) {
    uint64_t rest = read_varint(cursor);
    uint64_t size = shared[row] + rest;
    bool has_source = shared[row] <= (row == 0 ? 0 : keys[row - 1].size);
    if (cursor->failed || rest > PAYLOAD_BYTES_MAX || size > UINT32_MAX || !has_source)
      return corrupt(error, "size of a key");
    keys[row].size = (uint32_t)size;
    *total += size;
    *rest_total += rest;
  }
  return *total > PAYLOAD_BYTES_MAX ? corrupt(error, "keys are too long") : TLY_OK;
}

/* Ascending, and sharing all they can: the first byte of its own is greater than what stands there in the key before.
 */
static bool key_follows(struct tly_text before, struct tly_text key, uint32_t shared) {
  if (key.size == shared)
    return false;
  return shared == before.size || (uint8_t)key.data[shared] > (uint8_t)before.data[shared];
}

static enum tly_status read_keys(struct tly_cursor *cursor, uint32_t count, struct tly_group_slice *slice,
                                 struct tly_error *error) {
  uint32_t *shared = TLY_ARENA_ARRAY(&slice->arena, uint32_t, count);
  slice->keys = TLY_ARENA_ARRAY(&slice->arena, struct tly_text, count);
  uint64_t total = 0, rest_total = 0;
  TLY_TRY(read_key_sizes(cursor, count, shared, slice->keys, &total, &rest_total, error));
  const uint8_t *rest = tly_cursor_bytes(cursor, rest_total);
  if (rest == NULL)
    return corrupt(error, "keys end early");
  char *place = tly_arena_alloc(&slice->arena, total);
  for (uint32_t row = 0; row < count; row++) {
    struct tly_text *key = &slice->keys[row];
    uint32_t rest_size = key->size - shared[row];
    key->data = place;
    if (shared[row] > 0)
      memcpy(place, slice->keys[row - 1].data, shared[row]);
    memcpy(place + shared[row], rest, rest_size);
    place += key->size;
    rest += rest_size;
    if (row > 0 && !key_follows(slice->keys[row - 1], *key, shared[row]))
      return corrupt(error, "keys do not ascend");
  }
  return TLY_OK;
}

/* --- states ------------------------------------------------------------------------------------------------------- */

static void append_empty(const struct tly_state_column *column, uint32_t count, struct tly_buffer *out) {
  for (uint32_t start = 0; start < count; start += 8) {
    unsigned bits = 0;
    for (uint32_t i = 0; i < 8 && start + i < count; i++)
      bits |= (unsigned)(column->empty[start + i] != 0) << i;
    tly_buffer_append_byte(out, (uint8_t)bits);
  }
}

static enum tly_status read_empty(struct tly_cursor *cursor, uint32_t count, struct tly_state_column *column,
                                  struct tly_error *error) {
  for (uint32_t start = 0; start < count; start += 8) {
    unsigned bits = tly_cursor_byte(cursor);
    uint32_t used = count - start < 8 ? count - start : 8;
    if (bits >> used != 0)
      return corrupt(error, "bits behind the last group");
    for (uint32_t i = 0; i < used; i++)
      column->empty[start + i] = (bits >> i) & 1;
  }
  return TLY_OK;
}

static void append_state(const struct tly_state_column *column, uint32_t row, struct tly_buffer *out) {
  switch (column->form) {
  case TLY_STATE_I128: append_i128(column->i128[row], out); return;
  case TLY_STATE_F64: {
    uint64_t bits;
    memcpy(&bits, &column->f64[row], sizeof bits);
    tly_buffer_append_u64(out, bits);
    return;
  }
  case TLY_STATE_DECIMAL: tly_decimal_append_compact(column->decimal[row], out); return;
  case TLY_STATE_TEXT:
    tly_buffer_append_varint(out, column->text[row].size);
    tly_buffer_append(out, column->text[row].data, column->text[row].size);
    return;
  case TLY_STATE_EXACT_SUM: tly_exact_sum_append(&column->exact_sum[row], out); return;
  case TLY_STATE_I64: break;
  }
  TLY_UNREACHABLE();
}

static enum tly_status read_f64(struct tly_cursor *cursor, double *out, struct tly_error *error) {
  uint64_t bits = tly_cursor_u64(cursor);
  memcpy(out, &bits, sizeof bits);
  return isfinite(*out) && !(*out == 0.0 && signbit(*out)) ? TLY_OK : corrupt(error, "a double that cannot be");
}

static enum tly_status read_text(struct tly_cursor *cursor, struct tly_arena *arena, struct tly_text *out,
                                 struct tly_error *error) {
  uint64_t size = tly_cursor_varint(cursor);
  const uint8_t *bytes = size <= UINT32_MAX ? tly_cursor_bytes(cursor, size) : NULL;
  if (bytes == NULL)
    return corrupt(error, "a text ends early");
  *out = (struct tly_text){.data = tly_arena_copy(arena, bytes, size), .size = (uint32_t)size};
  return TLY_OK;
}

static enum tly_status read_state(struct tly_cursor *cursor, struct tly_arena *arena, struct tly_state_column *column,
                                  uint32_t row, struct tly_error *error) {
  switch (column->form) {
  case TLY_STATE_I128: column->i128[row] = read_i128(cursor); return TLY_OK;
  case TLY_STATE_F64: return read_f64(cursor, &column->f64[row], error);
  case TLY_STATE_DECIMAL: return tly_decimal_read_compact(cursor, arena, &column->decimal[row], error);
  case TLY_STATE_TEXT: return read_text(cursor, arena, &column->text[row], error);
  case TLY_STATE_EXACT_SUM: return tly_exact_sum_read(cursor, &column->exact_sum[row], error);
  case TLY_STATE_I64: break;
  }
  TLY_UNREACHABLE();
}

static void append_column(const struct tly_state_column *column, uint32_t count, struct tly_buffer *out) {
  if (column->empty != NULL)
    append_empty(column, count, out);
  if (column->form == TLY_STATE_I64) {
    append_i64s(column, count, out);
    return;
  }
  for (uint32_t row = 0; row < count; row++) {
    if (!skips(column, row))
      append_state(column, row, out);
  }
}

static enum tly_status read_column(struct tly_cursor *cursor, uint32_t count, struct tly_arena *arena,
                                   struct tly_state_column *column, struct tly_error *error) {
  if (column->empty != NULL)
    TLY_TRY(read_empty(cursor, count, column, error));
  if (column->form == TLY_STATE_I64)
    return read_i64s(cursor, count, column, error);
  for (uint32_t row = 0; row < count; row++) {
    if (!skips(column, row))
      TLY_TRY(read_state(cursor, arena, column, row, error));
    if (cursor->failed)
      return corrupt(error, "states end early");
  }
  return TLY_OK;
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

/* Append `payload` packed, if that saves a quarter. */
static bool append_packed(const struct tly_buffer *payload, struct tly_buffer *body) {
  if (payload->size < ZSTD_BYTES_MIN)
    return false;
  size_t start = body->size;
  tly_buffer_append_byte(body, PACKED);
  tly_buffer_append_varint(body, payload->size);
  size_t bound = ZSTD_compressBound(payload->size);
  size_t size = ZSTD_compress(tly_buffer_reserve(body, bound), bound, payload->data, payload->size, ZSTD_LEVEL);
  TLY_ASSERT(!ZSTD_isError(size));
  body->size += size;
  if (body->size - start <= payload->size / 4 * 3)
    return true;
  body->size = start;
  return false;
}

void tly_group_block_encode(const struct tly_group_slice *slice, struct tly_buffer *body) {
  TLY_ASSERT(slice->count >= 1 && slice->count <= GROUPS_MAX);
  struct tly_buffer payload = {0};
  append_keys(slice, &payload);
  for (uint32_t c = 0; c < slice->program->parts[slice->part].component_count; c++)
    append_column(&slice->states[c], slice->count, &payload);
  TLY_ASSERT(payload.size <= PAYLOAD_BYTES_MAX);
  if (!append_packed(&payload, body)) {
    tly_buffer_append_byte(body, PLAIN);
    tly_buffer_append(body, payload.data, payload.size);
  }
  tly_buffer_free(&payload);
}

static enum tly_status unpack(struct tly_cursor *cursor, struct tly_arena *arena, struct tly_error *error) {
  uint64_t size = tly_cursor_varint(cursor);
  if (cursor->failed || size < ZSTD_BYTES_MIN || size > PAYLOAD_BYTES_MAX)
    return corrupt(error, "size of the payload");
  size_t packed_size = tly_cursor_left(cursor);
  /* the frame says its size itself: believe neither until they agree, then allocate */
  if (ZSTD_getFrameContentSize(cursor->next, packed_size) != size)
    return corrupt(error, "size of the payload");
  uint8_t *payload = tly_arena_alloc(arena, size);
  if (ZSTD_decompress(payload, size, cursor->next, packed_size) != size)
    return corrupt(error, "payload does not decompress");
  *cursor = tly_cursor_of(payload, size);
  return TLY_OK;
}

static enum tly_status decode(struct tly_cursor *cursor, uint32_t group_count, struct tly_group_slice *slice,
                              struct tly_error *error) {
  TLY_TRY(read_keys(cursor, group_count, slice, error));
  tly_states_reserve(slice->program, slice->part, slice->states, group_count, &slice->arena);
  const struct tly_component *components = slice->program->components;
  uint32_t component_count = slice->program->parts[slice->part].component_count;
  for (uint32_t c = 0; c < component_count; c++) {
    bool needs_init = components[c].nullable || components[c].form == TLY_STATE_EXACT_SUM;
    for (uint32_t row = 0; needs_init && row < group_count; row++)
      tly_state_init(&components[c], &slice->states[c], row);
  }
  slice->count = group_count; /* from here on a reset gives exact sums back */
  for (uint32_t c = 0; c < component_count; c++)
    TLY_TRY(read_column(cursor, group_count, &slice->arena, &slice->states[c], error));
  if (cursor->failed || tly_cursor_left(cursor) != 0)
    return corrupt(error, "bytes do not end with the last state");
  return TLY_OK;
}

enum tly_status tly_group_block_decode(const void *body, size_t size, uint32_t group_count,
                                       struct tly_group_slice *slice, struct tly_error *error) {
  tly_group_slice_reset(slice);
  if (group_count < 1 || group_count > GROUPS_MAX)
    return corrupt(error, "count of groups");
  struct tly_cursor cursor = tly_cursor_of(body, size);
  uint8_t packing = tly_cursor_byte(&cursor);
  enum tly_status status = TLY_OK;
  if (cursor.failed || packing > PACKED)
    status = corrupt(error, "unknown packing");
  else if (packing == PACKED)
    status = unpack(&cursor, &slice->arena, error);
  if (status == TLY_OK)
    status = decode(&cursor, group_count, slice, error);
  if (status != TLY_OK)
    tly_group_slice_reset(slice);
  return status;
}

static void hash_text(XXH3_state_t *state, struct tly_text text) {
  XXH3_128bits_update(state, &text.size, sizeof text.size);
  XXH3_128bits_update(state, text.data, text.size);
}

struct tly_hash tly_group_block_checksum(struct tly_text first_key, struct tly_text last_key, uint32_t group_count,
                                         const void *body, size_t size) {
  XXH3_state_t *state = XXH3_createState();
  TLY_ASSERT(state != NULL);
  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, body, size);
  hash_text(state, first_key);
  hash_text(state, last_key);
  XXH3_128bits_update(state, &group_count, sizeof group_count);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
  XXH3_freeState(state);
  struct tly_hash hash;
  _Static_assert(sizeof canonical.digest == sizeof hash.bytes, "a hash has 128 bits");
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}
