/* tests/common/archive/test_pack.c -- integers, columns and dictionaries come back as they went in, or fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/archive/column.h"
#include "common/archive/dictionary.h"
#include "common/archive/pack_shape.h"
#include "common/archive/unpack_bits.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

static uint64_t seed = 42;

static uint64_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static void pad(struct tly_buffer *buffer) {
  tly_buffer_append_u64(buffer, 0);
}

static size_t round_trip(const int64_t *values, uint32_t count, int64_t hint, enum tly_effort effort) {
  struct tly_buffer packed = {0};
  int64_t *read = malloc((count + 1) * sizeof *read);
  tly_pack_integers(values, count, hint, effort, &packed);
  size_t size = packed.size;
  pad(&packed);
  struct tly_cursor in = tly_cursor_of(packed.data, packed.size);
  tly_unpack_integers(&in, count, read);
  assert_false(in.failed);
  assert_int_equal(tly_cursor_left(&in), TLY_PACK_PADDING);
  if (count > 0)
    assert_memory_equal(values, read, count * sizeof *values);
  free(read);
  tly_buffer_free(&packed);
  return size;
}

static void integers_of_any_shape_come_back(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  static const int64_t extremes[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1, INT64_MAX - 1};
  int64_t values[COUNT];
  for (int shape = 0; shape < 10; shape++)
    for (int bits = 0; bits <= 64; bits++) {
      uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
      for (int i = 0; i < COUNT; i++) {
        uint64_t random = next_random() & mask;
        switch (shape) {
        case 0: values[i] = (int64_t)random; break;
        case 1: values[i] = -(int64_t)(random >> 1); break;
        case 2: values[i] = (int64_t)((i == 0 ? 0 : (uint64_t)values[i - 1]) + (random & 0xffff)); break;
        case 3: values[i] = (int64_t)(random & 1) * 1000000; break;
        case 4: values[i] = (int64_t)((uint64_t)(i / 100) + (mask >> 1)); break;
        case 5: values[i] = extremes[random % 7]; break;
        case 6: values[i] = 1700000000000000 + (int64_t)(random % 86400) * 1000000; break;
        case 7: values[i] = (int64_t)mask; break;
        case 8: values[i] = INT64_MIN + i; break;
        default: values[i] = i % 2 == 0 ? INT64_MAX : INT64_MIN; break;
        }
      }
      for (uint32_t count = 0; count < 20; count++)
        round_trip(values, count, 1, TLY_EFFORT_LIVE);
      round_trip(values, COUNT, 1000000, TLY_EFFORT_LIVE);
      round_trip(values, COUNT, 1, TLY_EFFORT_SEALED);
    }
}

static void assert_shapes_equal(struct tly_pack_shape a, struct tly_pack_shape b) {
  assert_int_equal(a.min, b.min);
  assert_int_equal(a.max, b.max);
  assert_int_equal(a.delta_min, b.delta_min);
  assert_int_equal(a.delta_max, b.delta_max);
  assert_int_equal(a.runs, b.runs);
}

static void the_shape_found_in_lanes_is_the_one_found_plainly(void **state) {
  (void)state;
  enum { COUNT = 70 };
  int64_t values[COUNT];
  for (int round = 0; round < 2000; round++) {
    uint64_t mask = round % 3 == 0 ? UINT64_MAX : (UINT64_C(1) << (round % 60)) - 1;
    for (int i = 0; i < COUNT; i++)
      values[i] =
          i > 0 && next_random() % 4 == 0 ? values[i - 1] : (int64_t)(next_random() & mask) - (round % 2 * 1000);
    if (round % 5 == 0)
      values[next_random() % COUNT] = round % 10 == 0 ? INT64_MIN : INT64_MAX;
    for (uint32_t count = 1; count <= COUNT; count += 1 + (uint32_t)round % 3)
      assert_shapes_equal(tly_pack_shape_of(values, count), tly_pack_shape_of_plain(values, count));
  }
}

/* Exactly as many bytes as may be read: with the sanitizers on, one more would show. */
static void bits_unpacked_by_lanes_are_those_unpacked_plainly(void **state) {
  (void)state;
  enum { COUNT_MAX = 200 };
  static const uint64_t bases[] = {0, 12345, UINT64_MAX - 5}, units[] = {1, 1000000, UINT32_MAX, UINT64_C(1) << 40};
  int64_t wide[COUNT_MAX], wide_plain[COUNT_MAX];
  uint32_t narrow[COUNT_MAX], narrow_plain[COUNT_MAX];
  for (unsigned width = 0; width <= 57; width++)
    for (uint32_t count = 0; count <= COUNT_MAX; count += count < 40 ? 1 : 31) {
      size_t size = ((size_t)count * width + 7) / 8 + TLY_PACK_PADDING;
      uint8_t *bytes = malloc(size);
      for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)next_random();
      struct tly_packed_bits packed = {
          .bytes = bytes, .width = width, .mask = (UINT64_C(1) << width) - 1, .base = bases[count % 3], .unit = 1};
      assert_int_equal(tly_unpack_narrow(&packed, count, narrow),
                       tly_unpack_narrow_plain(&packed, count, narrow_plain));
      assert_memory_equal(narrow, narrow_plain, count * sizeof *narrow);
      packed.unit = units[count % 4];
      tly_unpack_frame(&packed, count, wide);
      tly_unpack_frame_plain(&packed, count, wide_plain);
      assert_memory_equal(wide, wide_plain, count * sizeof *wide);
      free(bytes);
    }
}

static void the_smallest_form_is_chosen(void **state) {
  (void)state;
  enum { COUNT = 8000 };
  static int64_t values[COUNT];
  for (int i = 0; i < COUNT; i++)
    values[i] = 77;
  assert_true(round_trip(values, COUNT, 1, TLY_EFFORT_LIVE) <= 4);
  for (int i = 0; i < COUNT; i++)
    values[i] = INT64_C(1772442000000000) + i * INT64_C(250000);
  assert_true(round_trip(values, COUNT, 1, TLY_EFFORT_LIVE) <= 32); /* equal steps */
  for (int i = 0; i < COUNT; i++)
    values[i] = i / 1000 * INT64_C(123456789);
  assert_true(round_trip(values, COUNT, 1, TLY_EFFORT_LIVE) <= 100); /* eight runs */
  for (int i = 0; i < COUNT; i++)
    values[i] = (int64_t)(next_random() % 60) * 1000000;
  assert_true(round_trip(values, COUNT, 1000000, TLY_EFFORT_LIVE) <= COUNT * 6 / 8 + 20); /* whole seconds: 6 bits */
}

static void a_few_values_far_from_the_rest_do_not_widen_the_others(void **state) {
  (void)state;
  enum { COUNT = 8000, FAR = 80 };
  static const int64_t distances[] = {1000, -1000, INT64_C(1) << 40, -(INT64_C(1) << 56)};
  static int64_t values[COUNT];
  for (int shape = 0; shape < 4; shape++)
    for (int unit = 1; unit <= 1000; unit *= 1000) {
      for (int i = 0; i < COUNT; i++)
        values[i] = unit * (-20 + (int64_t)(next_random() % 128));
      for (int i = 0; i < FAR; i++)
        values[next_random() % COUNT] = unit * (distances[shape] >> (unit == 1 ? 0 : 10)) - i * unit;
      size_t most = COUNT * 7 / 8 + FAR * (8 + 2) + 40;
      assert_true(round_trip(values, COUNT, 1, TLY_EFFORT_SEALED) <= most);
    }
  for (int i = 0; i < COUNT; i++) /* more than a histogram can tell apart, on both sides, and at the very ends */
    values[i] = i % 100 == 0 ? (i % 200 == 0 ? INT64_MIN / 2 : INT64_MAX / 2) : (int64_t)(next_random() % 50000);
  round_trip(values, COUNT, 1, TLY_EFFORT_SEALED);
  values[17] = INT64_MIN;
  values[18] = INT64_MAX;
  round_trip(values, COUNT, 1, TLY_EFFORT_SEALED);
}

static void no_flipped_bit_or_cut_end_of_packed_integers_reads_over_the_end(void **state) {
  (void)state;
  int64_t values[200], read[200];
  for (int shape = 0; shape < 4; shape++) {
    struct tly_buffer packed = {0};
    for (int i = 0; i < 200; i++)
      values[i] = shape == 0   ? (int64_t)(next_random() % 1000)
                  : shape == 1 ? i * 1000 + (int64_t)(next_random() % 7)
                  : shape == 2 ? i / 50
                               : (int64_t)(next_random() % 16) + (i % 40 == 7 ? 1000 * i : 0);
    tly_pack_integers(values, 200, 1, TLY_EFFORT_SEALED, &packed);
    pad(&packed);
    for (size_t bit = 0; bit < packed.size * 8; bit++) {
      uint8_t *copy = malloc(packed.size); /* its own allocation, so that ASan sees its end */
      memcpy(copy, packed.data, packed.size);
      copy[bit / 8] ^= (uint8_t)(1 << (bit % 8));
      struct tly_cursor in = tly_cursor_of(copy, packed.size);
      tly_unpack_integers(&in, 200, read);
      in = tly_cursor_of(copy, packed.size - bit / 8);
      tly_unpack_integers(&in, 200, read);
      free(copy);
    }
    tly_buffer_free(&packed);
  }
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static void assert_columns_equal(const struct tly_vector *a, const struct tly_vector *b) {
  assert_int_equal(a->count, b->count);
  assert_int_equal(a->type.id, b->type.id);
  for (uint32_t row = 0; row < a->count; row++) {
    assert_int_equal(tly_vector_is_null(a, row), tly_vector_is_null(b, row));
    if (tly_vector_is_null(a, row))
      continue;
    switch (tly_type_form(a->type)) {
    case TLY_FORM_I64: assert_int_equal(a->i64[row], b->i64[row]); break;
    case TLY_FORM_I128: assert_true(a->i128[row] == b->i128[row]); break;
    case TLY_FORM_F64: assert_memory_equal(&a->f64[row], &b->f64[row], sizeof(double)); break;
    case TLY_FORM_TEXT: assert_true(tly_text_equal(tly_vector_text(a, row), tly_vector_text(b, row))); break;
    case TLY_FORM_DECIMAL:
      assert_int_equal(tly_decimal_compare(a->decimal[row], b->decimal[row]), 0);
      assert_int_equal(a->decimal[row].scale, b->decimal[row].scale);
      break;
    case TLY_FORM_INTERVAL: fail(); break;
    }
  }
}

static void column_round_trip(const struct tly_vector *column, const uint32_t *codes,
                              const struct tly_dictionary *dictionary) {
  for (int effort = TLY_EFFORT_LIVE; effort <= TLY_EFFORT_SEALED; effort++) {
    struct tly_buffer bytes = {0};
    struct tly_arena arena;
    struct tly_vector read;
    tly_arena_init(&arena);
    tly_column_write(column, codes, codes == NULL ? 0 : dictionary->count, (enum tly_effort)effort, &bytes);
    pad(&bytes);
    struct tly_cursor in = tly_cursor_of(bytes.data, bytes.size);
    struct tly_column_header header = tly_column_read_header(&in);
    assert_int_equal(header.size + TLY_PACK_PADDING, tly_cursor_left(&in));
    tly_column_read(&in, &header, column->count, dictionary, &arena, &read);
    assert_false(in.failed);
    assert_int_equal(tly_cursor_left(&in), TLY_PACK_PADDING);
    assert_columns_equal(column, &read);
    tly_arena_free(&arena);
    tly_buffer_free(&bytes);
  }
}

static struct tly_vector vector_of(struct tly_type type, uint32_t count, bool with_nulls, struct tly_arena *arena) {
  struct tly_vector vector = tly_vector_new(type, count, arena);
  if (with_nulls) {
    uint8_t *nulls = tly_arena_zero(arena, count);
    for (uint32_t i = 0; i < count; i++)
      nulls[i] = next_random() % 3 == 0;
    vector.null = nulls;
  }
  return vector;
}

static void fixed_size_columns_come_back_with_their_nulls(void **state) {
  (void)state;
  static const struct tly_type types[] = {
      {TLY_TYPE_BOOLEAN, 0, 0}, {TLY_TYPE_BIGINT, 0, 0},      {TLY_TYPE_NUMERIC, 18, 2}, {TLY_TYPE_NUMERIC, 38, 10},
      {TLY_TYPE_DOUBLE, 0, 0},  {TLY_TYPE_TIMESTAMPTZ, 0, 0}, {TLY_TYPE_NUMERIC, 0, 0},  {TLY_TYPE_DATE, 0, 0}};
  struct tly_arena arena;
  tly_arena_init(&arena);
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
    for (uint32_t count = 0; count < 300; count += count < 5 ? 1 : 59)
      for (int variant = 0; variant < 4; variant++) {
        struct tly_vector vector = vector_of(types[t], count, variant % 2 == 1, &arena);
        for (uint32_t i = 0; i < count; i++) {
          int64_t random = (int64_t)next_random() >> (variant < 2 ? 40 : 2);
          switch (tly_type_form(types[t])) {
          case TLY_FORM_I64: vector.i64[i] = types[t].id == TLY_TYPE_BOOLEAN ? random & 1 : random; break;
          case TLY_FORM_I128: vector.i128[i] = variant < 2 ? (tly_i128)random : (tly_i128)random * INT64_MAX; break;
          case TLY_FORM_F64: vector.f64[i] = variant < 2 ? (double)(random % 100000) / 100 : (double)random / 3; break;
          default:
            vector.decimal[i] = variant < 2 ? tly_decimal_of_i64(random, (int32_t)(next_random() % 7))
                                            : tly_decimal_of_i128((tly_i128)random * random, 12);
            break;
          }
        }
        column_round_trip(&vector, NULL, NULL);
      }
  tly_arena_free(&arena);
}

static void texts_come_back_as_codes_as_numbers_and_as_bytes(void **state) {
  (void)state;
  static const char *const formats[] = {"p-%06u",   "p-%u",      "%u",    "0%u",   "caf\xc3\xa9 %u \"quoted\"",
                                        "",         "%u suffix", "%018u", "x%08u", "%09u",
                                        "id-%015u", "7%u",       "%016u"};
  struct tly_arena arena;
  tly_arena_init(&arena);
  for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
    for (int with_nulls = 0; with_nulls < 2; with_nulls++) {
      struct tly_vector vector = vector_of(TLY_TYPE_OF(TLY_TYPE_TEXT), 500, with_nulls != 0, &arena);
      struct tly_text_dictionary dictionary;
      uint32_t codes[500];
      tly_text_dictionary_init(&dictionary);
      for (uint32_t i = 0; i < 500; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-security"
        char *text = tly_arena_print(&arena, formats[f], (unsigned)(next_random() % 200));
#pragma GCC diagnostic pop
        vector.text[i] = tly_text_of(text);
        codes[i] = tly_vector_is_null(&vector, i) ? 0 : tly_text_dictionary_intern(&dictionary, vector.text[i]);
      }
      column_round_trip(&vector, NULL, NULL);
      column_round_trip(&vector, codes, &dictionary.view);
      tly_text_dictionary_free(&dictionary);
    }
  tly_arena_free(&arena);
}

static void a_dictionary_gives_each_text_one_code_and_is_read_from_its_pieces(void **state) {
  (void)state;
  struct tly_text_dictionary written, read;
  char text[32];
  uint32_t stored = 0;
  tly_text_dictionary_init(&written);
  tly_text_dictionary_init(&read);
  for (uint32_t i = 0; i < 5000; i++) {
    snprintf(text, sizeof text, "key %u", (unsigned)(next_random() % 2000));
    uint32_t code = tly_text_dictionary_intern(&written, tly_text_of(text));
    assert_true(tly_text_equal(written.view.entries[code], tly_text_of(text)));
    if (i % 700 != 0 || written.view.count == stored)
      continue;
    struct tly_buffer piece = {0};
    tly_text_dictionary_write(&written, stored, written.view.count - stored, i % 1400 == 0, &piece);
    assert_true(tly_text_dictionary_read(&read, piece.data, piece.size, written.view.count - stored));
    assert_false(tly_text_dictionary_read(&read, piece.data, piece.size - 1, written.view.count - stored));
    stored = written.view.count;
    tly_buffer_free(&piece);
  }
  assert_int_equal(read.view.count, stored);
  for (uint32_t code = 0; code < stored; code++)
    assert_true(tly_text_equal(read.view.entries[code], written.view.entries[code]));
  tly_text_dictionary_truncate(&written, 10);
  assert_int_equal(tly_text_dictionary_intern(&written, written.view.entries[3]), 3);
  assert_int_equal(tly_text_dictionary_intern(&written, tly_text_of("never seen")), 10);
  tly_text_dictionary_free(&written);
  tly_text_dictionary_free(&read);
}

/* Texts of up to eight bytes are found by their bytes, longer ones by a hash: none may pass for another. */
static void texts_that_differ_in_a_byte_or_in_length_have_their_own_codes(void **state) {
  (void)state;
  enum { SIZE_MAX_TRIED = 20 };
  struct tly_text_dictionary dictionary;
  uint32_t codes[SIZE_MAX_TRIED + 1][SIZE_MAX_TRIED + 1], count = 0;
  tly_text_dictionary_init(&dictionary);
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t size = 0; size <= SIZE_MAX_TRIED; size++)
      for (uint32_t place = 0; place <= size;
           place++) {                      /* zeros, with a one at `place`; none of them when it is `size` */
        char *bytes = tly_calloc(size, 1); /* of the exact size: reading behind it would be noticed */
        if (place < size)
          bytes[place] = 1;
        struct tly_text text = {.data = bytes, .size = size};
        uint32_t code = tly_text_dictionary_intern(&dictionary, text);
        if (pass == 0) {
          assert_int_equal(code, count++);
          codes[size][place] = code;
        }
        assert_int_equal(code, codes[size][place]);
        assert_true(tly_text_equal(dictionary.view.entries[code], text));
        tly_free(bytes);
      }
  tly_text_dictionary_free(&dictionary);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_of_any_shape_come_back),
      cmocka_unit_test(the_shape_found_in_lanes_is_the_one_found_plainly),
      cmocka_unit_test(bits_unpacked_by_lanes_are_those_unpacked_plainly),
      cmocka_unit_test(the_smallest_form_is_chosen),
      cmocka_unit_test(a_few_values_far_from_the_rest_do_not_widen_the_others),
      cmocka_unit_test(no_flipped_bit_or_cut_end_of_packed_integers_reads_over_the_end),
      cmocka_unit_test(fixed_size_columns_come_back_with_their_nulls),
      cmocka_unit_test(texts_come_back_as_codes_as_numbers_and_as_bytes),
      cmocka_unit_test(a_dictionary_gives_each_text_one_code_and_is_read_from_its_pieces),
      cmocka_unit_test(texts_that_differ_in_a_byte_or_in_length_have_their_own_codes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
