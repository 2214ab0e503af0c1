/* A block's body is one byte that says how the payload is packed, then the payload:
 *
 *   0  payload                      as it is
 *   1  varint size, zstd frame      if asked for, where that saves a quarter of a payload of at least ZSTD_BYTES_MIN
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
 * and checks every count before it allocates; bytes that have been changed are the checksum's business.
 *
 * The encoder makes room for a whole column at its largest and then writes through a pointer; the decoder copies short
 * keys sixteen bytes at a time, whatever their length, where there is room to do so. */
#include "common/engine/group_block.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
/* Inlined, for two reasons: a state can stand on the stack; and libpg_query exports an xxhash of its own, whose
 * functions could otherwise be the ones that are linked. */
#define XXH_INLINE_ALL
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

/* One byte for each seven bits begun: (bits + 6) / 7, without the division. */
static size_t varint_size(uint64_t value) {
  size_t bits = (size_t)(64 - __builtin_clzll(value | 1));
  return (9 * bits + 64) / 64;
}

enum { VARINT_BYTES_MAX = 10, I128_BYTES_MAX = 19 };

static uint8_t *write_varint(uint8_t *place, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    *place++ = (uint8_t)(value | 0x80);
  *place++ = (uint8_t)value;
  return place;
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

/* Bytes of a column's values, or of their differences. */
static size_t values_size(const struct tly_state_column *column, uint32_t count) {
  size_t size = 0;
  for (uint32_t row = 0; row < count; row++)
    size += skips(column, row) ? 0 : varint_size(zigzag(column->i64[row]));
  return size;
}

static size_t differences_size(const struct tly_state_column *column, uint32_t count) {
  size_t size = 0;
  int64_t before = 0;
  for (uint32_t row = 0; row < count; row++) {
    if (skips(column, row))
      continue;
    size += varint_size(zigzag(difference(column->i64[row], before)));
    before = column->i64[row];
  }
  return size;
}

/* Whether each value takes one byte: then differences cannot take less. So it is with most counts. */
static bool are_single_bytes(const struct tly_state_column *column, uint32_t count) {
  uint64_t bits = 0;
  for (uint32_t row = 0; row < count; row++)
    bits |= skips(column, row) ? 0 : zigzag(column->i64[row]);
  return bits < 0x80;
}

static bool differences_are_shorter(const struct tly_state_column *column, uint32_t count) {
  return !are_single_bytes(column, count) && differences_size(column, count) < values_size(column, count);
}

static void append_i64s(const struct tly_state_column *column, uint32_t count, struct tly_buffer *out) {
  bool by_difference = differences_are_shorter(column, count);
  uint8_t *start = tly_buffer_reserve(out, 1 + (size_t)count * VARINT_BYTES_MAX), *place = start;
  *place++ = by_difference ? DIFFERENCES : VALUES;
  int64_t before = 0;
  for (uint32_t row = 0; row < count; row++) {
    if (skips(column, row))
      continue;
    int64_t value = column->i64[row];
    place = write_varint(place, zigzag(by_difference ? difference(value, before) : value));
    before = value;
  }
  out->size += (size_t)(place - start);
}

/* Whether the form that was read, in `size` bytes, is the one that is written. */
static bool is_shorter_form(uint8_t mode, size_t size, const struct tly_state_column *column, uint32_t count) {
  if (mode == DIFFERENCES)
    return !are_single_bytes(column, count) && size < values_size(column, count);
  return are_single_bytes(column, count) || differences_size(column, count) >= size;
}

static enum tly_status read_i64s(struct tly_cursor *cursor, uint32_t count, struct tly_state_column *column,
                                 struct tly_error *error) {
  uint8_t mode = tly_cursor_byte(cursor);
  const uint8_t *start = cursor->next;
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
  if (!cursor->failed && !is_shorter_form(mode, (size_t)(cursor->next - start), column, count))
    return corrupt(error, "integers in the longer form");
  return TLY_OK;
}

static uint8_t *write_i128(uint8_t *place, tly_i128 value) {
  tly_u128 left = ((tly_u128)value << 1) ^ (tly_u128)(value >> 127);
  for (; left >> 64 != 0; left >>= 7)
    *place++ = (uint8_t)(left | 0x80);
  return write_varint(place, (uint64_t)left);
}

static void append_i128s(const struct tly_state_column *column, uint32_t count, struct tly_buffer *out) {
  uint8_t *start = tly_buffer_reserve(out, (size_t)count * I128_BYTES_MAX), *place = start;
  for (uint32_t row = 0; row < count; row++) {
    if (!skips(column, row))
      place = write_i128(place, column->i128[row]);
  }
  out->size += (size_t)(place - start);
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
  for (; shared + sizeof(uint64_t) <= most; shared += (uint32_t)sizeof(uint64_t)) {
    uint64_t left, right;
    memcpy(&left, a.data + shared, sizeof left);
    memcpy(&right, b.data + shared, sizeof right);
    if (left != right)
      return shared + (uint32_t)__builtin_ctzll(left ^ right) / 8;
  }
  while (shared < most && a.data[shared] == b.data[shared])
    shared++;
  return shared;
}

static void append_keys(const struct tly_group_slice *slice, struct tly_buffer *out) {
  uint32_t count = slice->count, *shared = tly_malloc(count * sizeof *shared);
  size_t bytes = 0;
  for (uint32_t row = 0; row < count; row++) {
    shared[row] = row > 0 ? shared_bytes(slice->keys[row - 1], slice->keys[row]) : 0;
    bytes += slice->keys[row].size;
  }
  uint8_t *start = tly_buffer_reserve(out, 2 * (size_t)count * VARINT_BYTES_MAX + bytes), *place = start;
  for (uint32_t row = 0; row < count; row++)
    place = write_varint(place, shared[row]);
  for (uint32_t row = 0; row < count; row++)
    place = write_varint(place, slice->keys[row].size - shared[row]);
  for (uint32_t row = 0; row < count; row++) {
    uint32_t size = slice->keys[row].size - shared[row];
    if (size > 0)
      memcpy(place, slice->keys[row].data + shared[row], size);
    place += size;
  }
  out->size += (size_t)(place - start);
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

enum { SHORT_COPY = 16 };

/* Copy `size` bytes; up to SHORT_COPY of them by copying so many, which must be there to be read and written. */
static inline void copy_short(void *to, const void *from, uint32_t size) {
  uint64_t words[SHORT_COPY / sizeof(uint64_t)];
  if (size > SHORT_COPY) {
    memcpy(to, from, size);
    return;
  }
  memcpy(words, from, sizeof words); /* through registers: a key and the one before it lie side by side */
  memcpy(to, words, sizeof words);
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
  char *place = tly_arena_alloc(&slice->arena, total + 2 * SHORT_COPY);
  for (uint32_t row = 0; row < count; row++) {
    struct tly_text *key = &slice->keys[row];
    uint32_t rest_size = key->size - shared[row];
    key->data = place;
    if (shared[row] > 0)
      copy_short(place, slice->keys[row - 1].data, shared[row]);
    if ((size_t)(cursor->end - rest) >= SHORT_COPY)
      copy_short(place + shared[row], rest, rest_size);
    else
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
  case TLY_STATE_I64:
  case TLY_STATE_I128: break;
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
  if (column->form == TLY_STATE_I128) {
    append_i128s(column, count, out);
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

/* Contexts cost more to make than a block to compress: a thread keeps its own until it ends. */
struct packer {
  ZSTD_CCtx *compressor;
  ZSTD_DCtx *decompressor;
};

static pthread_key_t packer_key;
static pthread_once_t packer_once = PTHREAD_ONCE_INIT;

static void free_packer(void *memory) {
  struct packer *packer = memory;
  ZSTD_freeCCtx(packer->compressor);
  ZSTD_freeDCtx(packer->decompressor);
  tly_free(packer);
}

static void make_packer_key(void) {
  TLY_ASSERT(pthread_key_create(&packer_key, free_packer) == 0);
}

static struct packer *this_packer(void) {
  TLY_ASSERT(pthread_once(&packer_once, make_packer_key) == 0);
  struct packer *packer = pthread_getspecific(packer_key);
  if (packer != NULL)
    return packer;
  packer = tly_calloc(1, sizeof *packer);
  TLY_ASSERT(pthread_setspecific(packer_key, packer) == 0);
  return packer;
}

static size_t compress(void *room, size_t bound, const struct tly_buffer *payload) {
  struct packer *packer = this_packer();
  if (packer->compressor == NULL)
    packer->compressor = ZSTD_createCCtx();
  TLY_ASSERT(packer->compressor != NULL);
  return ZSTD_compressCCtx(packer->compressor, room, bound, payload->data, payload->size, ZSTD_LEVEL);
}

static size_t decompress(void *payload, size_t size, const void *packed, size_t packed_size) {
  struct packer *packer = this_packer();
  if (packer->decompressor == NULL)
    packer->decompressor = ZSTD_createDCtx();
  TLY_ASSERT(packer->decompressor != NULL);
  return ZSTD_decompressDCtx(packer->decompressor, payload, size, packed, packed_size);
}

/* Append `payload` packed, if that saves a quarter. */
static bool append_packed(const struct tly_buffer *payload, struct tly_buffer *body) {
  if (payload->size < ZSTD_BYTES_MIN)
    return false;
  size_t start = body->size;
  tly_buffer_append_byte(body, PACKED);
  tly_buffer_append_varint(body, payload->size);
  size_t bound = ZSTD_compressBound(payload->size);
  size_t size = compress(tly_buffer_reserve(body, bound), bound, payload);
  TLY_ASSERT(!ZSTD_isError(size));
  body->size += size;
  if (body->size - start <= payload->size / 4 * 3)
    return true;
  body->size = start;
  return false;
}

static void append_payload(const struct tly_group_slice *slice, struct tly_buffer *out) {
  TLY_ASSERT(slice->count >= 1 && slice->count <= GROUPS_MAX);
  size_t start = out->size;
  append_keys(slice, out);
  for (uint32_t c = 0; c < slice->program->parts[slice->part].component_count; c++)
    append_column(&slice->states[c], slice->count, out);
  TLY_ASSERT(out->size - start <= PAYLOAD_BYTES_MAX);
}

void tly_group_block_encode(const struct tly_group_slice *slice, struct tly_buffer *body) {
  struct tly_buffer payload = {0};
  append_payload(slice, &payload);
  if (!append_packed(&payload, body)) {
    tly_buffer_append_byte(body, PLAIN);
    tly_buffer_append(body, payload.data, payload.size);
  }
  tly_buffer_free(&payload);
}

void tly_group_block_encode_plain(const struct tly_group_slice *slice, struct tly_buffer *body) {
  tly_buffer_append_byte(body, PLAIN);
  append_payload(slice, body);
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
  if (decompress(payload, size, cursor->next, packed_size) != size)
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
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, body, size);
  hash_text(&state, first_key);
  hash_text(&state, last_key);
  XXH3_128bits_update(&state, &group_count, sizeof group_count);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
  struct tly_hash hash;
  _Static_assert(sizeof canonical.digest == sizeof hash.bytes, "a hash has 128 bits");
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}
