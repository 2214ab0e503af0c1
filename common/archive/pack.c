/* Packed integers. First a byte that says how, then
 *
 *   CONSTANT  value                                            every value is this one
 *   FRAME     base, unit, width, bits                          value = base + unit * bits[i]
 *   DELTA     first, base, unit, width, bits                   value[i] = value[i - 1] + base + unit * bits[i - 1]
 *   RUNS      run count, FRAME or CONSTANT of the run values, the same of the run lengths
 *   PATCHED   base, unit, width, bits, outlier count, FRAME or CONSTANT of the outliers' distances, the same of their
 * values
 *
 * with zig-zag or plain varints for the numbers, and bits packed little endian, lowest bit first. All arithmetic is
 * modulo 2^64, so that the difference of any two values has a width. A width is 0 to 57 or 64: up to 57 bits at any bit
 * offset lie within one 8-byte load, which keeps the unpacking loop free of branches; the widths between are rounded
 * up.
 *
 * Sizes are computed, not tried: one pass collects the ranges of values and differences and the number of runs.
 *
 * PATCHED is for columns of which a few values lie far from the rest (delays, prices): the frame is as wide as most
 * values need, and the outliers are put in afterwards (Zukowski et al., "Super-Scalar RAM-CPU Cache Compression",
 * 2006). Only sealed blocks use it: where the frame lies best is read off a histogram. */
#include "common/archive/pack.h"

#include <string.h>

#include "common/archive/pack_shape.h"
#include "common/archive/unpack_bits.h"
#include "common/base/assert.h"
#include "common/base/limits.h"

enum pack_kind { PACK_CONSTANT, PACK_FRAME, PACK_DELTA, PACK_RUNS, PACK_PATCHED };

enum { WIDTH_LOADABLE_MAX = 57, WIDTH_FULL = 64, HEADER_ESTIMATE = 12 };

static unsigned width_of(uint64_t range) {
  unsigned width = range == 0 ? 0 : 64 - (unsigned)__builtin_clzll(range);
  return width > WIDTH_LOADABLE_MAX ? WIDTH_FULL : width;
}

static size_t packed_size(uint32_t count, unsigned width) {
  return ((size_t)count * width + 7) / 8;
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
  while (b != 0) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The greatest divisor of all values[i] - base; 0 when all are equal. */
static uint64_t common_unit(const int64_t *values, uint32_t count, int64_t base) {
  uint64_t unit = 0;
  for (uint32_t i = 0; i < count && unit != 1; i++) {
    uint64_t offset = (uint64_t)values[i] - (uint64_t)base;
    if (i > 0 && values[i] == values[i - 1]) /* a division is worth a look */
      continue;
    if (unit == 0 || offset % unit != 0)
      unit = greatest_common_divisor(offset, unit);
  }
  return unit;
}

static bool divides_all(const int64_t *values, uint32_t count, int64_t base, uint64_t unit) {
  for (uint32_t i = 0; i < count; i++)
    if ((i == 0 || values[i] != values[i - 1]) && ((uint64_t)values[i] - (uint64_t)base) % unit != 0)
      return false;
  return true;
}

/* A unit that divides all differences from `base`; hence all differences between values. */
static uint64_t unit_of(const int64_t *values, uint32_t count, int64_t base, int64_t hint, enum tly_effort effort) {
  if (effort == TLY_EFFORT_SEALED) {
    uint64_t unit = common_unit(values, count, base);
    return unit == 0 ? 1 : unit;
  }
  return hint > 1 && divides_all(values, count, base, (uint64_t)hint) ? (uint64_t)hint : 1;
}

/* ---- bits -------------------------------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 two_words;

struct bit_writer {
  uint8_t *next;
  two_words pending;
  unsigned pending_bits;
};

static void put_bits(struct bit_writer *writer, uint64_t value, unsigned width) {
  writer->pending |= (two_words)value << writer->pending_bits;
  writer->pending_bits += width;
  if (writer->pending_bits >= 64) {
    uint64_t word = (uint64_t)writer->pending;
    memcpy(writer->next, &word, sizeof word);
    writer->next += sizeof word;
    writer->pending >>= 64;
    writer->pending_bits -= 64;
  }
}

static void finish_bits(struct bit_writer *writer) {
  uint64_t word = (uint64_t)writer->pending;
  size_t bytes = (writer->pending_bits + 7) / 8;
  memcpy(writer->next, &word, bytes);
}

enum { WORD_WIDTH_MAX = 56 }; /* behind up to 7 bits that are pending it still fits a word */

/* values[i] - base, `words * per` of them, in words of `per` values: per * width is at most WORD_WIDTH_MAX. Writes
 * whole words, the last one up to 8 bytes beyond the bits' end. Most columns come this way; put_bits gives the same. */
static inline __attribute__((always_inline)) uint8_t *pack_words(const int64_t *values, uint32_t words, unsigned per,
                                                                 int64_t base, unsigned width, uint8_t *next,
                                                                 unsigned *bits_left) {
  uint64_t pending = 0;
  unsigned bits = 0;
  for (uint32_t i = 0; i < words; i++, values += per) {
    uint64_t word = 0;
    for (unsigned k = 0; k < per; k++)
      word |= ((uint64_t)values[k] - (uint64_t)base) << (k * width);
    pending |= word << bits;
    memcpy(next, &pending, sizeof pending);
    bits += per * width;
    next += bits / 8;
    pending >>= bits & ~7u;
    bits &= 7;
  }
  *bits_left = bits;
  return next;
}

/* As many values as come in whole words; returns how many. */
static uint32_t pack_most(const int64_t *values, uint32_t count, int64_t base, unsigned width,
                          struct bit_writer *writer) {
  unsigned per = width <= WORD_WIDTH_MAX / 4 ? 4 : width <= WORD_WIDTH_MAX / 2 ? 2 : 1, bits;
  uint8_t *next;
  if (per == 4)
    next = pack_words(values, count / 4, 4, base, width, writer->next, &bits);
  else if (per == 2)
    next = pack_words(values, count / 2, 2, base, width, writer->next, &bits);
  else
    next = pack_words(values, count, 1, base, width, writer->next, &bits);
  writer->next = next;
  writer->pending_bits = bits;
  writer->pending = bits == 0 ? 0 : *next & ((1u << bits) - 1);
  return count / per * per;
}

/* (values[i] - base) / unit, or with `is_delta` (values[i + 1] - values[i] - base) / unit, `count` of them. */
static void pack_bits(const int64_t *values, uint32_t count, bool is_delta, int64_t base, uint64_t unit, unsigned width,
                      struct tly_buffer *out) {
  size_t size = packed_size(count, width);
  struct bit_writer writer = {.next = tly_buffer_reserve(out, size + sizeof(uint64_t))};
  uint32_t done = 0;
  if (!is_delta && unit == 1 && width > 0 && width <= WORD_WIDTH_MAX)
    done = pack_most(values, count, base, width, &writer);
  for (uint32_t i = done; i < count && width > 0; i++) {
    uint64_t value = is_delta ? (uint64_t)values[i + 1] - (uint64_t)values[i] : (uint64_t)values[i];
    value -= (uint64_t)base;
    put_bits(&writer, unit == 1 ? value : value / unit, width);
  }
  finish_bits(&writer);
  out->size += size;
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static void pack_constant(int64_t value, struct tly_buffer *out) {
  tly_buffer_append_byte(out, PACK_CONSTANT);
  tly_buffer_append_zigzag(out, value);
}

static void pack_frame(const int64_t *values, uint32_t count, int64_t base, uint64_t unit, unsigned width,
                       struct tly_buffer *out) {
  tly_buffer_append_byte(out, PACK_FRAME);
  tly_buffer_append_zigzag(out, base);
  tly_buffer_append_varint(out, unit);
  tly_buffer_append_byte(out, (uint8_t)width);
  pack_bits(values, count, false, base, unit, width, out);
}

static void pack_delta(const int64_t *values, uint32_t count, int64_t base, uint64_t unit, unsigned width,
                       struct tly_buffer *out) {
  tly_buffer_append_byte(out, PACK_DELTA);
  tly_buffer_append_zigzag(out, values[0]);
  tly_buffer_append_zigzag(out, base);
  tly_buffer_append_varint(out, unit);
  tly_buffer_append_byte(out, (uint8_t)width);
  pack_bits(values, count - 1, true, base, unit, width, out);
}

/* A frame or a constant: what the parts of RUNS are made of. */
static void pack_flat(const int64_t *values, uint32_t count, struct tly_buffer *out) {
  struct tly_pack_shape shape = tly_pack_shape_of(values, count);
  if (shape.min == shape.max)
    pack_constant(shape.min, out);
  else
    pack_frame(values, count, shape.min, 1, width_of((uint64_t)shape.max - (uint64_t)shape.min), out);
}

static void pack_runs(const int64_t *values, uint32_t count, uint32_t runs, struct tly_buffer *out) {
  struct tly_buffer room = {0};
  int64_t *run_values = (int64_t *)(void *)tly_buffer_reserve(&room, 2 * (size_t)runs * sizeof(int64_t));
  int64_t *lengths = run_values + runs;
  uint32_t run = 0, start = 0;
  for (uint32_t i = 1; i <= count; i++)
    if (i == count || values[i] != values[start]) {
      run_values[run] = values[start];
      lengths[run++] = (int64_t)(i - start);
      start = i;
    }
  TLY_ASSERT(run == runs);
  tly_buffer_append_byte(out, PACK_RUNS);
  tly_buffer_append_varint(out, runs);
  pack_flat(run_values, runs, out);
  pack_flat(lengths, runs, out);
  tly_buffer_free(&room);
}

/* ---- outliers ---------------------------------------------------------------------------------------------------- */

enum { HISTOGRAM_BITS = 12, HISTOGRAM_BUCKETS = 1 << HISTOGRAM_BITS };

/* A frame that most values lie in, those with low <= (value - min) / unit < low + 2^width; and what it costs. */
struct window {
  uint64_t low;
  unsigned width;
  uint32_t outliers;
  size_t size; /* bytes, about */
};

/* Offsets from `low` up to 2^bits, counted in buckets of 2^shift. */
static void count_offsets(const int64_t *values, uint32_t count, uint64_t low, uint64_t unit, unsigned bits,
                          unsigned shift, uint32_t buckets[HISTOGRAM_BUCKETS]) {
  memset(buckets, 0, HISTOGRAM_BUCKETS * sizeof *buckets);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t offset = (uint64_t)values[i] - low;
    offset = unit == 1 ? offset : offset / unit;
    if (offset >> bits == 0)
      buckets[offset >> shift]++;
  }
}

/* Where `span` neighbouring buckets hold the most values. */
static uint32_t fullest(const uint32_t buckets[HISTOGRAM_BUCKETS], uint32_t span, uint32_t *held) {
  uint32_t sum = 0, best = 0;
  *held = 0;
  for (uint32_t end = 0; end < HISTOGRAM_BUCKETS; end++) {
    sum += buckets[end];
    sum -= end >= span ? buckets[end - span] : 0;
    if (sum > *held) {
      *held = sum;
      best = end + 1 >= span ? end + 1 - span : 0;
    }
  }
  return best;
}

/* The cheapest window narrower than the whole frame. A distance is taken to need three bits more than the average one.
 * When the narrowest window that the histogram can tell is the best, the next histogram looks into that one. */
static struct window cheapest_window(const int64_t *values, uint32_t count, int64_t min, uint64_t unit,
                                     unsigned frame_width) {
  uint32_t buckets[HISTOGRAM_BUCKETS];
  struct window cheapest = {.size = SIZE_MAX};
  uint64_t low = 0;
  for (unsigned bits = frame_width, shift; bits > 0; bits = shift) {
    struct window narrowest = {0};
    shift = bits > HISTOGRAM_BITS ? bits - HISTOGRAM_BITS : 0;
    count_offsets(values, count, (uint64_t)min + unit * low, unit, bits, shift, buckets);
    for (unsigned width = bits; width-- > shift;) {
      struct window window = {.width = width};
      uint32_t held;
      window.low = low + ((uint64_t)fullest(buckets, UINT32_C(1) << (width - shift), &held) << shift);
      window.outliers = count - held;
      unsigned distance_width = window.outliers == 0 ? 0 : width_of(count / window.outliers) + 3;
      window.size = packed_size(count, width) + packed_size(window.outliers, frame_width + distance_width) +
                    2 * (size_t)HEADER_ESTIMATE;
      if (window.size < cheapest.size)
        cheapest = window;
      narrowest = window;
    }
    if (cheapest.width != shift)
      break;
    low = narrowest.low;
  }
  return cheapest;
}

static void pack_patched(const int64_t *values, uint32_t count, int64_t min, uint64_t unit, struct window window,
                         struct tly_buffer *out) {
  struct tly_buffer room = {0};
  size_t words = (size_t)count + 2 * (size_t)window.outliers;
  int64_t *inside = (int64_t *)(void *)tly_buffer_reserve(&room, words * sizeof *inside);
  int64_t *distances = inside + count, *outliers = distances + window.outliers;
  int64_t base = (int64_t)((uint64_t)min + unit * window.low);
  uint64_t last = unit * ((UINT64_C(1) << window.width) - 1);
  uint32_t found = 0, previous = 0;
  for (uint32_t i = 0; i < count; i++) {
    inside[i] = values[i];
    if ((uint64_t)values[i] - (uint64_t)base <= last)
      continue;
    inside[i] = base;
    distances[found] = (int64_t)(i - previous);
    outliers[found++] = values[i];
    previous = i;
  }
  TLY_ASSERT(found == window.outliers);
  tly_buffer_append_byte(out, PACK_PATCHED);
  tly_buffer_append_zigzag(out, base);
  tly_buffer_append_varint(out, unit);
  tly_buffer_append_byte(out, (uint8_t)window.width);
  pack_bits(inside, count, false, base, unit, window.width, out);
  tly_buffer_append_varint(out, found);
  pack_flat(distances, found, out);
  pack_flat(outliers, found, out);
  tly_buffer_free(&room);
}

/* True when the values were written as PATCHED, which is done where it saves at least a 32nd: outliers cost the reader
 * a little. */
static bool packs_patched(const int64_t *values, uint32_t count, int64_t min, uint64_t unit, unsigned frame_width,
                          size_t other_size, struct tly_buffer *out) {
  if (frame_width > WIDTH_LOADABLE_MAX)
    return false;
  struct window window = cheapest_window(values, count, min, unit, frame_width);
  if (window.outliers == 0 || window.size >= other_size - other_size / 32)
    return false;
  pack_patched(values, count, min, unit, window, out);
  return true;
}

void tly_pack_integers(const int64_t *values, uint32_t count, int64_t unit_hint, enum tly_effort effort,
                       struct tly_buffer *out) {
  if (count == 0) {
    pack_constant(0, out);
    return;
  }
  struct tly_pack_shape shape = tly_pack_shape_of(values, count);
  if (shape.min == shape.max) {
    pack_constant(shape.min, out);
    return;
  }
  uint64_t unit = unit_of(values, count, shape.min, unit_hint, effort);
  unsigned frame_width = width_of(((uint64_t)shape.max - (uint64_t)shape.min) / unit);
  /* The differences are multiples of the unit as signed numbers only while none of them wraps around. */
  bool delta_wraps = (uint64_t)shape.max - (uint64_t)shape.min > (uint64_t)INT64_MAX;
  unsigned delta_width =
      delta_wraps ? WIDTH_FULL : width_of(((uint64_t)shape.delta_max - (uint64_t)shape.delta_min) / unit);
  unsigned run_width = width_of((uint64_t)shape.max - (uint64_t)shape.min) + width_of(count);
  size_t frame_size = packed_size(count, frame_width);
  size_t delta_size = packed_size(count - 1, delta_width) + HEADER_ESTIMATE;
  size_t runs_size = packed_size(shape.runs, run_width) + HEADER_ESTIMATE;
  size_t smallest = frame_size < delta_size ? frame_size : delta_size;
  smallest = runs_size < smallest ? runs_size : smallest;
  if (effort == TLY_EFFORT_SEALED && !delta_wraps &&
      packs_patched(values, count, shape.min, unit, frame_width, smallest, out))
    return;
  if (!delta_wraps && delta_size < frame_size && delta_size <= runs_size)
    pack_delta(values, count, shape.delta_min, unit, delta_width, out);
  else if (runs_size < frame_size)
    pack_runs(values, count, shape.runs, out);
  else
    pack_frame(values, count, shape.min, unit, frame_width, out);
}

/* ---- unpacking --------------------------------------------------------------------------------------------------- */

/* Base, unit, width and the bits of `count` values; fails the cursor on anything else. */
static struct tly_packed_bits read_packed(struct tly_cursor *in, uint32_t count) {
  struct tly_packed_bits packed = {.base = (uint64_t)tly_cursor_zigzag(in), .unit = tly_cursor_varint(in)};
  packed.width = tly_cursor_byte(in);
  if (packed.width > WIDTH_LOADABLE_MAX && packed.width != WIDTH_FULL)
    in->failed = 1;
  packed.mask = packed.width == WIDTH_FULL ? UINT64_MAX : (UINT64_C(1) << (packed.width & 63)) - 1;
  packed.bytes = tly_cursor_bytes(in, packed_size(count, packed.width));
  if (tly_cursor_left(in) < TLY_PACK_PADDING)
    in->failed = 1;
  return packed;
}

static void unpack_delta(const struct tly_packed_bits *packed, int64_t first, uint32_t count, int64_t *out) {
  uint64_t value = (uint64_t)first;
  out[0] = first;
  for (uint32_t i = 1; i < count; i++) {
    value += packed->base + packed->unit * tly_bits_at(packed, i - 1);
    out[i] = (int64_t)value;
  }
}

/* One element at a time of a CONSTANT or FRAME: the parts of RUNS. */
static bool open_flat(struct tly_cursor *in, uint32_t count, struct tly_packed_bits *packed) {
  uint8_t kind = tly_cursor_byte(in);
  *packed = (struct tly_packed_bits){.unit = 1};
  if (kind == PACK_CONSTANT) {
    packed->base = (uint64_t)tly_cursor_zigzag(in);
    packed->bytes = in->next;
    if (tly_cursor_left(in) < TLY_PACK_PADDING)
      in->failed = 1;
  } else if (kind == PACK_FRAME) {
    *packed = read_packed(in, count);
  } else {
    in->failed = 1;
  }
  return !in->failed;
}

static uint64_t flat_at(const struct tly_packed_bits *packed, uint32_t index) {
  return packed->base + packed->unit * tly_bits_at(packed, index);
}

static void unpack_runs(struct tly_cursor *in, uint32_t count, int64_t *out) {
  struct tly_packed_bits values, lengths;
  uint64_t runs = tly_cursor_varint(in);
  if (runs > count)
    in->failed = 1;
  if (in->failed || !open_flat(in, (uint32_t)runs, &values) || !open_flat(in, (uint32_t)runs, &lengths))
    return;
  uint32_t done = 0;
  for (uint32_t run = 0; run < runs; run++) {
    uint64_t length = flat_at(&lengths, run);
    int64_t value = (int64_t)flat_at(&values, run);
    if (length > count - done) {
      in->failed = 1;
      return;
    }
    for (uint32_t end = done + (uint32_t)length; done < end; done++)
      out[done] = value;
  }
  if (done != count)
    in->failed = 1;
}

static void unpack_patched(struct tly_cursor *in, uint32_t count, int64_t *out) {
  struct tly_packed_bits frame = read_packed(in, count), distances, values;
  uint64_t outliers = tly_cursor_varint(in);
  if (outliers > count)
    in->failed = 1;
  if (in->failed || !open_flat(in, (uint32_t)outliers, &distances) || !open_flat(in, (uint32_t)outliers, &values))
    return;
  tly_unpack_frame(&frame, count, out);
  uint64_t at = 0;
  for (uint32_t i = 0; i < outliers; i++) {
    at += flat_at(&distances, i);
    if (at >= count) {
      in->failed = 1;
      return;
    }
    out[at] = (int64_t)flat_at(&values, i);
  }
}

void tly_unpack_integers(struct tly_cursor *in, uint32_t count, int64_t *out) {
  struct tly_packed_bits packed;
  int64_t first;
  switch (tly_cursor_byte(in)) {
  case PACK_CONSTANT:
    first = tly_cursor_zigzag(in);
    for (uint32_t i = 0; i < count; i++)
      out[i] = first;
    break;
  case PACK_FRAME:
    packed = read_packed(in, count);
    if (!in->failed)
      tly_unpack_frame(&packed, count, out);
    break;
  case PACK_DELTA:
    first = tly_cursor_zigzag(in);
    if (count == 0)
      in->failed = 1;
    packed = read_packed(in, count == 0 ? 0 : count - 1);
    if (!in->failed)
      unpack_delta(&packed, first, count, out);
    break;
  case PACK_RUNS: unpack_runs(in, count, out); break;
  case PACK_PATCHED: unpack_patched(in, count, out); break;
  default: in->failed = 1; break;
  }
}

/* Codes are nearly always a frame; the other forms go through wide integers. */
void tly_unpack_codes(struct tly_cursor *in, uint32_t count, uint32_t limit, uint32_t *out) {
  static const size_t wide_bytes = sizeof(int64_t);
  struct tly_cursor start = *in;
  TLY_ASSERT(count <= TLY_BATCH_EVENTS_MAX);
  if (tly_cursor_byte(in) == PACK_FRAME) {
    struct tly_packed_bits packed = read_packed(in, count);
    if (!in->failed && packed.unit == 1 && packed.base + packed.mask <= UINT32_MAX) {
      if (tly_unpack_narrow(&packed, count, out) >= limit && count > 0)
        in->failed = 1;
      return;
    }
  }
  *in = start;
  struct tly_buffer room = {0};
  int64_t *wide = (int64_t *)(void *)tly_buffer_reserve(&room, (count + 1) * wide_bytes);
  tly_unpack_integers(in, count, wide);
  for (uint32_t i = 0; i < count && !in->failed; i++) {
    if (wide[i] < 0 || wide[i] >= (int64_t)limit)
      in->failed = 1;
    out[i] = (uint32_t)wide[i];
  }
  tly_buffer_free(&room);
}
