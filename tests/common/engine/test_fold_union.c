/* tests/common/engine/test_fold_union.c -- the groups of several folds, by numbers, are those of one fold that has seen
 * every event, by encoded keys: byte for byte, for keys of every shape. */
#include "tests/common/engine/engine_fixture.h"

#include <stdio.h>

#include "common/engine/fold_union.h"

enum { EVENTS = 6000, FOLDS = 3 };

static const char definitions[] =
    "CREATE FOREIGN TABLE t (k text, n integer NOT NULL, big bigint, free numeric, amount numeric(18,2) NOT NULL,"
    " note text NOT NULL, at timestamptz NOT NULL, x double precision, ok boolean) SERVER embedded;"
    "CREATE MATERIALIZED VIEW nothing AS SELECT count(*) AS c, sum(amount) AS s FROM t;"
    "CREATE MATERIALIZED VIEW text AS SELECT k, count(*) AS c, min(note) AS least, sum(x) AS s FROM t GROUP BY k;"
    "CREATE MATERIALIZED VIEW text_hour AS SELECT k, date_trunc('hour', at) AS hour, sum(amount) AS s, max(n) AS most"
    " FROM t GROUP BY k, hour;"
    "CREATE MATERIALIZED VIEW hour_text AS SELECT date_trunc('hour', at) AS hour, note, min(amount) AS least FROM t"
    " GROUP BY hour, note;"
    "CREATE MATERIALIZED VIEW dense AS SELECT n, count(*) AS c FROM t GROUP BY n;"
    "CREATE MATERIALIZED VIEW sparse AS SELECT big, count(*) AS c FROM t GROUP BY big;"
    "CREATE MATERIALIZED VIEW doubles AS SELECT x, count(*) AS c FROM t GROUP BY x;"
    "CREATE MATERIALIZED VIEW wide AS SELECT big, x, note, count(*) AS c FROM t GROUP BY big, x, note;"
    "CREATE MATERIALIZED VIEW numerics AS SELECT free, amount, count(*) AS c FROM t GROUP BY free, amount;"
    "CREATE MATERIALIZED VIEW many AS SELECT ok, n, k, date_trunc('day', at) AS day, count(*) AS c, sum(free) AS s,"
    " max(free) AS most FROM t GROUP BY ok, n, k, day;";

static uint64_t random_state = 0x9E3779B97F4A7C15;

static uint32_t random_below(uint32_t bound) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (uint32_t)((random_state * UINT64_C(2685821657736338717) >> 33) % bound);
}

static void print_event(struct tly_buffer *lines, uint32_t number) {
  static const char *bigs[] = {"null", "9223372036854775807", "-9223372036854775808", "-1", "0", "7"};
  static const char *doubles[] = {"null", "-1.5", "0", "1e300", "-1e300", "0.1", "1e-300"};
  static const char *frees[] = {"null", "1.5", "1.50", "-2", "123456789012345678901234567890", "0"};
  tly_buffer_print(lines, "{\"n\":%d,\"big\":%s,\"x\":%s,\"free\":%s,\"amount\":%u.%02u,\"note\":\"n%u\",\"ok\":%s,",
                   (int)random_below(700) - 350, bigs[random_below(6)], doubles[random_below(7)],
                   frees[random_below(6)], random_below(3), random_below(100), random_below(40),
                   random_below(3) == 0 ? "null" : "true");
  if (random_below(50) > 0)
    tly_buffer_print(lines, "\"k\":\"a-%u\",", random_below(500));
  tly_buffer_print(lines, "\"at\":\"2026-03-%02uT%02u:%02u:59.123456Z\"}\n", 1 + number * 20 / EVENTS,
                   random_below(3) == 0 ? random_below(24) : number % 24, random_below(60));
}

/* All slices of a source, each group's key above the one before, into a table by key; then blocks of 64. */
struct gathered {
  tly_group_table *table;
  struct tly_buffer last;
};

static void gather(struct gathered *gathered, struct tly_group_source source) {
  const struct tly_group_slice *slice;
  while (source.next(source.context, &slice, NULL) == TLY_OK && slice != NULL) {
    assert_true(slice->count > 0);
    for (uint32_t row = 0; row < slice->count; row++) {
      struct tly_text key = slice->keys[row];
      assert_true(tly_group_table_count(gathered->table) + row == 0 ||
                  tly_key_compare(gathered->last.data, gathered->last.size, key.data, key.size) < 0);
      tly_buffer_clear(&gathered->last);
      tly_buffer_append(&gathered->last, key.data, key.size);
    }
    tly_group_table_add_slice(gathered->table, slice);
  }
}

static struct tly_buffer blocks_of(const struct tly_view_program *program, tly_group_table *table) {
  struct stored_part stored = stored_part_of_table(program, 0, table, 64);
  struct tly_buffer bytes = {0};
  for (uint32_t b = 0; b < stored.block_count; b++)
    tly_buffer_append(&bytes, stored.blocks[b].body.data, stored.blocks[b].body.size);
  stored_part_free(&stored);
  return bytes;
}

static bool ends_in_zero(struct tly_text key) {
  return key.size > 0 && ((uint8_t)key.data[key.size - 1] & 7) == 0;
}

/* What a union gives when it is read in one go, and in two at a key that was looked for. */
static void check_union(const struct tly_view_program *program, const tly_fold_union *all,
                        const struct tly_buffer *expected) {
  struct tly_buffer middle = {0}, boundary = {0};
  struct tly_text open_bound = {.data = NULL}, cut = open_bound;
  tly_fold_union_quantile(all, 1, 2, &middle);
  struct tly_text from = {.data = (const char *)middle.data, .size = (uint32_t)middle.size};
  if (middle.size > 0 && tly_fold_union_find(all, from, ends_in_zero, &boundary)) {
    cut = (struct tly_text){.data = (const char *)boundary.data, .size = (uint32_t)boundary.size};
    assert_true(ends_in_zero(cut) && tly_key_compare(cut.data, cut.size, from.data, from.size) >= 0);
  }
  for (int parts = 1; parts <= (cut.data != NULL ? 2 : 1); parts++) {
    struct gathered gathered = {.table = tly_group_table_new(program, 0)};
    for (int part = 0; part < parts; part++) {
      tly_fold_cursor *cursor = tly_fold_cursor_new(all, part > 0 ? cut : open_bound,
                                                    part + 1 < parts ? cut : open_bound, 1 + random_below(300));
      gather(&gathered, tly_fold_cursor_source(cursor));
      tly_fold_cursor_free(cursor);
    }
    struct tly_buffer bytes = blocks_of(program, gathered.table);
    assert_int_equal(bytes.size, expected->size);
    assert_memory_equal(bytes.data, expected->data, bytes.size);
    tly_buffer_free(&bytes);
    tly_buffer_free(&gathered.last);
    tly_group_table_free(gathered.table);
  }
  tly_buffer_free(&middle);
  tly_buffer_free(&boundary);
}

/* The slow twin: every fold drained, and what came merged by key. */
static struct tly_buffer merged_bytes(const struct tly_view_program *program, tly_fold **folds, uint32_t count) {
  struct stored_part stored[FOLDS];
  for (uint32_t f = 0; f < count; f++)
    stored[f] = stored_part_of_table(program, 0, tly_fold_part(folds[f], 0), 1 + random_below(300));
  struct stored_part merged = fixture_merge_stored(program, 0, stored, count, 64);
  struct gathered gathered = {.table = tly_group_table_new(program, 0)};
  struct stored_source source = {.stored = &merged};
  tly_group_slice_init(&source.slice, program, 0);
  gather(&gathered, (struct tly_group_source){.next = stored_source_next, .context = &source});
  tly_group_slice_free(&source.slice);
  struct tly_buffer bytes = blocks_of(program, gathered.table);
  tly_buffer_free(&gathered.last);
  tly_group_table_free(gathered.table);
  for (uint32_t f = 0; f < count; f++)
    stored_part_free(&stored[f]);
  stored_part_free(&merged);
  return bytes;
}

static struct tly_event_batch events;

static void fold_some(tly_fold *fold, uint32_t first, uint32_t count, bool is_coded) {
  uint32_t *rows = calloc(count, sizeof *rows);
  struct tly_event_batch batch;
  for (uint32_t i = 0; i < count; i++)
    rows[i] = first + i;
  fixture_select(&events, rows, count, &batch);
  if (is_coded)
    fixture_code_texts(&batch, 0);
  tly_fold_batch(fold, &batch, NULL, NULL);
  tly_event_batch_free(&batch);
  free(rows);
}

/* Contiguous stretches of random length, to folds in turn or at random. */
static void fill_folds(const struct tly_view_program *program, tly_fold **folds, tly_fold *one) {
  for (uint32_t f = 0; f < FOLDS; f++)
    folds[f] = tly_fold_new(program);
  for (uint32_t first = 0; first < events.count;) {
    uint32_t count = 1 + random_below(900);
    count = count > events.count - first ? events.count - first : count;
    uint32_t to = random_below(2) == 0 ? first * FOLDS / events.count : random_below(FOLDS);
    fold_some(folds[to], first, count, random_below(2) == 0);
    fold_some(one, first, count, false);
    first += count;
  }
}

static void check_view(const struct tly_view *view, bool has_union) {
  struct tly_view_program *program = tly_view_program_new(view);
  tly_fold *folds[FOLDS], *one = tly_fold_new(program);
  fill_folds(program, folds, one);
  struct tly_buffer expected = {0};
  tly_fold_sort(one);
  tly_fold_union *alone = tly_fold_union_new(&one, 1); /* also of wide keys */
  struct gathered gathered = {.table = tly_group_table_new(program, 0)};
  tly_fold_cursor *cursor =
      tly_fold_cursor_new(alone, (struct tly_text){.data = NULL}, (struct tly_text){.data = NULL}, 100);
  gather(&gathered, tly_fold_cursor_source(cursor));
  expected = blocks_of(program, gathered.table);
  check_union(program, alone, &expected);
  for (uint32_t f = 0; f < FOLDS; f++)
    tly_fold_sort(folds[f]);
  tly_fold_union *all = tly_fold_union_new(folds, FOLDS);
  assert_int_equal(all != NULL, has_union);
  if (all != NULL)
    check_union(program, all, &expected);
  tly_fold_union_free(all);
  struct tly_buffer merged = merged_bytes(program, folds, FOLDS);
  assert_int_equal(merged.size, expected.size);
  assert_memory_equal(merged.data, expected.data, merged.size);
  tly_buffer_free(&merged);
  tly_fold_cursor_free(cursor);
  tly_fold_union_free(alone);
  tly_group_table_free(gathered.table);
  tly_buffer_free(&gathered.last);
  tly_buffer_free(&expected);
  for (uint32_t f = 0; f < FOLDS; f++)
    tly_fold_free(folds[f]);
  tly_fold_free(one);
  tly_view_program_free(program);
}

/* Where NULL finds no place behind 2^64 integers, or columns are too wide together, there is no union of several. */
static bool fits_a_word(const char *view) {
  return strcmp(view, "sparse") != 0 && strcmp(view, "wide") != 0;
}

static void the_union_of_folds_is_the_merge_of_their_groups(void **state) {
  const struct tly_project *project = *state;
  for (uint32_t v = 0; v < project->view_count; v++)
    for (int round = 0; round < 4; round++)
      check_view(&project->views[v], fits_a_word(project->views[v].name));
}

static void a_union_of_empty_folds_has_no_groups(void **state) {
  const struct tly_project *project = *state;
  for (uint32_t v = 0; v < project->view_count; v++) {
    struct tly_view_program *program = tly_view_program_new(&project->views[v]);
    tly_fold *folds[] = {tly_fold_new(program), tly_fold_new(program)};
    tly_fold_sort(folds[0]);
    tly_fold_sort(folds[1]);
    tly_fold_union *all = tly_fold_union_new(folds, 2);
    assert_int_equal(tly_fold_union_count(all), 0);
    struct tly_text open_bound = {.data = NULL};
    const struct tly_group_slice *slice;
    tly_fold_cursor *cursor = tly_fold_cursor_new(all, open_bound, open_bound, 10);
    struct tly_group_source source = tly_fold_cursor_source(cursor);
    assert_int_equal(source.next(source.context, &slice, NULL), TLY_OK);
    assert_null(slice);
    tly_fold_cursor_free(cursor);
    tly_fold_union_free(all);
    tly_fold_free(folds[0]);
    tly_fold_free(folds[1]);
    tly_view_program_free(program);
  }
}

static struct tly_buffer lines;

static int set_up(void **state) {
  struct tly_project *project = fixture_project(definitions);
  for (uint32_t i = 0; i < EVENTS; i++)
    print_event(&lines, i);
  fixture_decode(&project->streams[0], (const char *)lines.data, lines.size, &events);
  *state = project;
  return 0;
}

static int tear_down(void **state) {
  tly_event_batch_free(&events);
  tly_buffer_free(&lines);
  tly_project_free(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_union_of_folds_is_the_merge_of_their_groups),
      cmocka_unit_test(a_union_of_empty_folds_has_no_groups),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
