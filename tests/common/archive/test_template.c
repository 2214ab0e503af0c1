/* tests/common/archive/test_template.c -- events that their columns give back, and the golden text of each spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/archive/raw.h"
#include "common/event/decoder.h"
#include "common/sql/project.h"

static const char definition[] =
    "CREATE FOREIGN TABLE t ("
    " txt text, num numeric(18,2), wide numeric(38,4), free numeric, int8 bigint, dbl double precision,"
    " flag boolean, day date, at timestamptz, ms timestamptz OPTIONS (unit 'ms'), id uuid,"
    " inner_text text OPTIONS (path 'a.b.c'))"
    " SERVER embedded OPTIONS (format 'json');";

struct fixture {
  struct tly_project *project;
  const struct tly_stream *stream;
  tly_decoder *decoder;
  struct tly_event_batch batch;
};

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  struct tly_diagnostics diagnostics;
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("t.sql", definition, &diagnostics, &fixture->project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  fixture->stream = tly_project_stream(fixture->project, "t");
  fixture->decoder = tly_decoder_new(fixture->stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&fixture->batch, fixture->stream);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  tly_event_batch_free(&fixture->batch);
  tly_decoder_free(fixture->decoder);
  tly_project_free(fixture->project);
  free(fixture);
  return 0;
}

static void decode(struct fixture *fixture, const char *lines) {
  size_t consumed;
  uint64_t line_count;
  struct tly_error error = TLY_ERROR_NONE;
  assert_int_equal(
      tly_decoder_decode(fixture->decoder, lines, strlen(lines), 0, &fixture->batch, &consumed, &line_count, &error),
      TLY_OK);
  assert_int_equal(consumed, strlen(lines));
}

/* Write and read the batch's payloads; returns the stored size, and whether no payload was stored as bytes. */
static size_t raw_round_trip(struct fixture *fixture, enum tly_effort effort) {
  static struct tly_templates templates;
  struct tly_arena arena;
  struct tly_buffer bytes = {0};
  struct tly_raw_source source = {.stream = fixture->stream,
                                  .format = TLY_FORMAT_JSON,
                                  .header = {.data = "", .size = 0},
                                  .payloads = fixture->batch.raw,
                                  .columns = fixture->batch.columns,
                                  .count = fixture->batch.count,
                                  .shapes = fixture->batch.shapes,
                                  .shape_of = fixture->batch.shape_of};
  memset(&templates, 0, sizeof templates);
  tly_arena_init(&arena);
  tly_raw_write(&source, &templates, effort, &bytes);
  struct tly_text *read = tly_arena_alloc(&arena, (source.count + 1) * sizeof *read);
  assert_true(
      tly_raw_read(bytes.data, bytes.size, source.count, source.columns, fixture->stream->column_count, &arena, read));
  for (uint32_t i = 0; i < source.count; i++)
    assert_true(tly_text_equal(read[i], source.payloads[i]));
  size_t size = bytes.size;
  tly_buffer_free(&bytes);
  tly_arena_free(&arena);
  return size;
}

static void each_spelling_is_learned_and_renders_as_it_always_will(void **state) {
  struct fixture *fixture = *state;
  static const char *const events[] = {
      "{\"txt\":\"plain\"}",
      "{\"txt\":\"\"}",
      "{\"num\":12.30}",
      "{\"num\":\"12.30\"}",
      "{\"num\":12.3}",
      "{\"num\":12}",
      "{\"num\":-0.5}",
      "{\"num\":12.0}",
      "{\"wide\":12345678901234567890123456789012.1234}",
      "{\"wide\":-1}",
      "{\"free\":1.500}",
      "{\"int8\":-9223372036854775808}",
      "{\"dbl\":0.1}",
      "{\"dbl\":3.0}",
      "{\"dbl\":-12345.678}",
      "{\"flag\":true}",
      "{\"flag\":false}",
      "{\"day\":\"2026-03-02\"}",
      "{\"at\":\"2026-03-02T10:00:00Z\"}",
      "{\"at\":\"2026-03-02T10:00:00.250Z\"}",
      "{\"at\":\"2026-03-02 10:00:00.25+00:00\"}",
      "{\"at\":\"1969-12-31T23:59:59.999999Z\"}",
      "{\"ms\":1772442000123}",
      "{\"id\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}",
      "{\"a\":{\"b\":{\"c\":\"deep\"}}}",
      "{ \"num\" : 7.25 , \"other\":[1,{\"x\":\"]\"}], \"txt\":\"t\" }",
  };
  for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
    struct tly_template template;
    struct tly_buffer rendered = {0}, stored = {0};
    decode(fixture, events[i]);
    if (fixture->batch.count != 1)
      fail_msg("%s: %s", events[i], fixture->batch.rejections[0].message);
    struct tly_text payload = fixture->batch.raw[0];
    if (!tly_template_learn(fixture->stream, fixture->batch.columns, 0, payload, &template))
      fail_msg("%s is not learned", events[i]);
    assert_true(tly_template_matches(&template, fixture->batch.columns, 0, payload));
    tly_template_write(&template, &stored);
    struct tly_cursor in = tly_cursor_of(stored.data, stored.size);
    memset(&template, 0x5a, sizeof template);
    tly_template_read(&in, fixture->stream->column_count, &template);
    assert_false(in.failed);
    assert_true(tly_template_fits(&template, fixture->batch.columns));
    assert_true(tly_template_render(&template, fixture->batch.columns, 0, &rendered));
    assert_string_equal(tly_buffer_text(&rendered), events[i]);
    tly_buffer_free(&rendered);
    tly_buffer_free(&stored);
  }
}

/* Golden bytes: stored templates of this version must render like this in every later one. */
static void a_stored_template_renders_its_golden_text(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t stored[] = {3,
                                   5,
                                   '<',
                                   'n',
                                   '=',
                                   '"',
                                   '>',
                                   1,
                                   TLY_SPELL_NUMERIC_POINT,
                                   0,
                                   1,
                                   '|',
                                   8,
                                   TLY_SPELL_TIME,
                                   15,
                                   1,
                                   '|',
                                   5,
                                   TLY_SPELL_DOUBLE_SHORT,
                                   0,
                                   1,
                                   '!'};
  struct tly_template template;
  struct tly_buffer rendered = {0};
  struct tly_cursor in = tly_cursor_of(stored, sizeof stored);
  tly_template_read(&in, fixture->stream->column_count, &template);
  assert_false(in.failed);
  decode(fixture, "{\"num\":5,\"at\":\"2026-03-02T10:00:00.250Z\",\"dbl\":0.1250}");
  assert_int_equal(fixture->batch.count, 1);
  assert_true(tly_template_render(&template, fixture->batch.columns, 0, &rendered));
  assert_string_equal(tly_buffer_text(&rendered), "<n=\">5.0|2026-03-02 10:00:00.25|0.125!");
  tly_buffer_free(&rendered);
}

static void a_thousand_events_of_one_producer_take_no_raw_bytes(void **state) {
  struct fixture *fixture = *state;
  struct tly_buffer lines = {0};
  for (int i = 0; i < 1000; i++)
    tly_buffer_print(&lines, "{\"txt\":\"account %d\",\"num\":%d.%02d,\"at\":\"2026-03-02T10:%02d:%02dZ\"}\n", i * 7, i,
                     i % 100, i / 60 % 60, i % 60);
  decode(fixture, tly_buffer_text(&lines));
  assert_int_equal(fixture->batch.count, 1000);
  assert_true(raw_round_trip(fixture, TLY_EFFORT_LIVE) < 200);
  assert_true(raw_round_trip(fixture, TLY_EFFORT_SEALED) < 200);
  tly_buffer_free(&lines);
}

static void odd_events_among_them_keep_their_own_bytes(void **state) {
  struct fixture *fixture = *state;
  struct tly_buffer lines = {0};
  static const char *const odd[] = {
      "{\"txt\":\"\\u0041\",\"num\":1e2}",
      "{\"num\":1.5,  \"txt\":\"spaced\"}",
      "{\"txt\":\"a\\/b\",\"num\":1.00}",
      "{\"txt\":null,\"num\":null}",
      "{}",
      "{\"num\":-0,\"txt\":\"minus zero\"}",
      "{\"txt\":\"x\",\"num\":0012e0}",
      "{\"txt\":\"y\",\"num\":\"1.50\"}",
      "{\"txt\":\"z\",\"unknown\":{\"a\":[]}}",
      "{\"dbl\":1e-7,\"txt\":\"e\"}",
      "{\"dbl\":1.7976931348623157e308}",
      "{\"at\":\"2026-03-02T12:00:00+02:00\"}",
      "{\"txt\":\"caf\xc3\xa9 \xf0\x9f\x98\x80\"}",
  };
  for (int i = 0; i < 2000; i++)
    if (i % 3 == 0)
      tly_buffer_print(&lines, "%s\n", odd[(size_t)i % (sizeof odd / sizeof odd[0])]);
    else
      tly_buffer_print(&lines, "{\"txt\":\"t%d\",\"num\":%d.%02d}\n", i, i, i % 100);
  decode(fixture, tly_buffer_text(&lines));
  assert_true(fixture->batch.count > 1900);
  raw_round_trip(fixture, TLY_EFFORT_LIVE);
  raw_round_trip(fixture, TLY_EFFORT_SEALED);
  tly_buffer_free(&lines);
}

static uint32_t shaped_events(const struct fixture *fixture) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < fixture->batch.count; i++)
    count += fixture->batch.shape_of[i] > 0;
  return count;
}

/* A number of hundredths as a producer of style `style` writes it: with printf, as JavaScript does, as Python does. */
static void print_amount(struct tly_buffer *out, int hundredths, int style) {
  bool is_whole = hundredths % 100 == 0;
  if (style == 0 || (!is_whole && hundredths % 10 != 0))
    tly_buffer_print(out, "%d.%02d", hundredths / 100, hundredths % 100);
  else if (!is_whole)
    tly_buffer_print(out, "%d.%d", hundredths / 100, hundredths % 100 / 10);
  else
    tly_buffer_print(out, style == 1 ? "%d" : "%d.0", hundredths / 100);
}

static void the_events_of_one_producer_have_one_shape_whatever_it_is_written_in(void **state) {
  for (int style = 0; style < 3; style++) {
    tear_down(state);
    set_up(state); /* a decoder that has learned nothing */
    struct fixture *fixture = *state;
    for (int batch = 0; batch < 3; batch++) {
      struct tly_buffer lines = {0};
      for (int i = 0; i < 2000; i++) {
        tly_buffer_print(&lines, "{\"txt\":\"caf\xc3\xa9 %d\",\"int8\":%d,\"ms\":%d,\"num\":", i, i - 500, i);
        print_amount(&lines, i * 7919 % 100000, style);
        tly_buffer_print(&lines, ",\"at\":\"2026-03-02T10:%02d:%02dZ\"}\n", i / 60 % 60, i % 60);
      }
      decode(fixture, tly_buffer_text(&lines));
      assert_int_equal(fixture->batch.count, 2000);
      raw_round_trip(fixture, TLY_EFFORT_LIVE);
      assert_true(batch == 0 ||
                  shaped_events(fixture) >= 1990); /* the last ones lie too close to the end of the bytes */
      assert_true(batch == 0 || fixture->batch.shape_count == 1);
      tly_buffer_free(&lines);
    }
  }
}

/* Values in all spellings; the first is plain. */
static const char *const texts[] = {
    "\"plain\"", "\"\"", "\"esc\\u0061pe\"", "\"caf\xc3\xa9\"", "\"a\\/slash\"", "\"longer than sixteen bytes, plain\"",
    "null"};
static const char *const numbers[] = {"12.34", "12.30", "12.3",      "12.0",  "12",  "-0.00",  "-0",   "0.00",
                                      "0",     "-0.50", "\"12.34\"", "\"7\"", "1e1", "12.5e1", "null", "-3.10"};
static const char *const integers[] = {"1", "-1", "0", "-0", "12.0", "1e2", "\"5\"", "999999999999999999", "null"};
static const char *const times[] = {"\"2026-03-02T10:00:00Z\"",
                                    "\"2026-03-02T10:00:00.000Z\"",
                                    "\"2026-03-02 10:00:00Z\"",
                                    "\"2026-03-02T10:00:00+00:00\"",
                                    "\"2026-03-02T12:00:00+02:00\"",
                                    "\"0001-01-01T00:00:00Z\"",
                                    "null"};
static const char *const stamps[] = {"1772442000123", "-5", "1.5", "-0", "1772442000123.0", "\"7\"", "null"};

struct words {
  const char *const *items;
  size_t count;
};

#define WORDS(list)                                                                                                    \
  { list, sizeof list / sizeof list[0] }

static const char *pick(const struct words *words, bool is_odd, unsigned *chance) {
  *chance = *chance * 1103515245 + 12345;
  return words->items[is_odd ? *chance / 65536 % words->count : 0];
}

/* What a decoder says of shapes decides which bytes are kept: nothing it says may be wrong. */
static void whatever_is_mixed_into_a_layout_comes_back(void **state) {
  struct fixture *fixture = *state;
  const struct words fields[] = {WORDS(texts), WORDS(numbers), WORDS(integers), WORDS(times), WORDS(stamps)};
  enum { FIELDS = 5, ODD_FIELDS = 8 }; /* at most one field of a line is odd, but in every tenth batch any may be */
  unsigned chance = 1;
  uint32_t shaped = 0;
  for (int batch = 0; batch < 200; batch++) {
    struct tly_buffer lines = {0};
    for (int i = 0; i < 200; i++) {
      const char *words[FIELDS];
      chance = chance * 1103515245 + 12345;
      unsigned odd_field = chance / 65536 % ODD_FIELDS;
      for (unsigned f = 0; f < FIELDS; f++)
        words[f] = pick(&fields[f], batch % 10 == 9 || f == odd_field, &chance);
      tly_buffer_print(&lines, "{\"txt\":%s,\"num\":%s", words[0], words[1]);
      if (odd_field != FIELDS)
        tly_buffer_print(&lines, ",\"int8\":%s", words[2]);
      tly_buffer_print(&lines, ",\"at\":%s,\"ms\":%s}%s", words[3], words[4], i % 50 == 49 ? "\r\n" : "\n");
    }
    decode(fixture, tly_buffer_text(&lines));
    assert_int_equal(fixture->batch.count, 200);
    raw_round_trip(fixture, batch % 2 == 0 ? TLY_EFFORT_LIVE : TLY_EFFORT_SEALED);
    shaped += shaped_events(fixture);
    tly_buffer_free(&lines);
  }
  assert_true(shaped > 1000);
}

static void damaged_raw_bytes_never_read_over_their_end(void **state) {
  struct fixture *fixture = *state;
  static struct tly_templates templates;
  struct tly_buffer bytes = {0};
  decode(fixture, "{\"txt\":\"a\",\"num\":1.25}\n{\"txt\":\"b\",\"num\":2.50}\n{\"txt\":\"c\",\"num\":3.75}\n"
                  "{\"txt\":\"d\",\"num\":1.25}\n{\"txt\":\"e\",\"num\":2.50}\n{\"txt\":\"f\",\"num\":3}\n"
                  "{\"txt\":\"g\",\"num\":1.25}\n{\"txt\":\"h\",\"num\":2.50}\n{\"x\":1}\n");
  struct tly_raw_source source = {.stream = fixture->stream,
                                  .payloads = fixture->batch.raw,
                                  .header = {.data = "", .size = 0},
                                  .columns = fixture->batch.columns,
                                  .count = fixture->batch.count};
  tly_raw_write(&source, &templates, TLY_EFFORT_LIVE, &bytes);
  for (size_t bit = 0; bit < bytes.size * 8; bit++) {
    struct tly_arena arena;
    struct tly_text read[16];
    uint8_t *copy = malloc(bytes.size);
    tly_arena_init(&arena);
    memcpy(copy, bytes.data, bytes.size);
    copy[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    (void)tly_raw_read(copy, bytes.size, source.count, source.columns, fixture->stream->column_count, &arena, read);
    (void)tly_raw_read(copy, bit / 8, source.count, source.columns, fixture->stream->column_count, &arena, read);
    free(copy);
    tly_arena_free(&arena);
  }
  tly_buffer_free(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_spelling_is_learned_and_renders_as_it_always_will, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_stored_template_renders_its_golden_text, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_thousand_events_of_one_producer_take_no_raw_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_events_among_them_keep_their_own_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_events_of_one_producer_have_one_shape_whatever_it_is_written_in, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(whatever_is_mixed_into_a_layout_comes_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(damaged_raw_bytes_never_read_over_their_end, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
