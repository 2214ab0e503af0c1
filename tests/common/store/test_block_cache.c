/* tests/common/store/test_block_cache.c -- what is held is found by key; what is not used goes, and its owner knows. */
#include "tests/common/store/view_fixture.h"

#include "common/store/block_cache.h"

enum { BLOCKS = 20, BLOCK_GROUPS = 100 };

static struct tly_project *project;
static struct tly_view_program *program;

/* The blocks of a view over BLOCKS * BLOCK_GROUPS accounts. */
static struct tly_slice_copy blocks[BLOCKS];
static uint32_t block_count;

static enum tly_status keep_block(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)context;
  (void)error;
  tly_slice_copy_init(&blocks[block_count], program, 0);
  tly_slice_copy_whole(&blocks[block_count++], slice);
  return TLY_OK;
}

static int set_up(void **state) {
  (void)state;
  struct tly_buffer lines = {0};
  project = parse_project("CREATE FOREIGN TABLE payments (account text NOT NULL) SERVER embedded;"
                          "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n FROM payments"
                          " GROUP BY account;");
  program = tly_view_program_new(&project->views[0]);
  for (int i = 0; i < BLOCKS * BLOCK_GROUPS; i++)
    tly_buffer_print(&lines, "{\"account\":\"a%06d\"}\n", 2 * i); /* odd ones are not there */
  tly_fold *fold = tly_fold_new(program);
  fold_lines(fold, program->view->stream, (const char *)lines.data, lines.size);
  CHECK_OK(tly_group_table_drain(tly_fold_part(fold, 0), BLOCK_GROUPS, keep_block, NULL, &test_error));
  tly_fold_free(fold);
  tly_buffer_free(&lines);
  return block_count != BLOCKS;
}

static int tear_down(void **state) {
  (void)state;
  for (uint32_t i = 0; i < block_count; i++)
    tly_slice_copy_free(&blocks[i]);
  tly_view_program_free(program);
  tly_project_free(project);
  return 0;
}

static void drop_all(tly_block_cache *cache, struct tly_held_block **places, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (places[i] == NULL)
      continue;
    places[i]->pins = 0;
    tly_block_cache_drop(cache, places[i]);
    assert_null(places[i]);
  }
  assert_int_equal(tly_block_cache_bytes(cache), 0);
  tly_block_cache_free(cache);
}

/* Look account number `i` up in the blocks first .. first + count - 1; how many of them have it. */
static int64_t found_in(struct tly_held_block **places, uint32_t first, uint32_t count, int i) {
  struct tly_buffer buffer = {0};
  struct tly_group_row row;
  char account[16];
  snprintf(account, sizeof account, "a%06d", i);
  tly_group_row_init(&row, program, NULL);
  tly_group_row_begin(&row, text_key(&buffer, account));
  struct tly_block_lookup lookup = tly_block_lookup_begin(&row);
  for (uint32_t b = first; b < first + count; b++)
    tly_block_lookup_add(&lookup, places[b]);
  tly_block_lookup_finish(&lookup);
  int64_t found = row.slice.count > 0 ? row.slice.states[0].i64[0] : 0;
  tly_group_row_free(&row);
  tly_buffer_free(&buffer);
  return found;
}

static void exactly_the_keys_of_a_block_are_found_in_it(void **state) {
  struct tly_held_block *places[BLOCKS + 2] = {NULL};
  tly_block_cache *cache = tly_block_cache_new(1 << 24);
  (void)state;
  for (uint32_t b = 0; b < BLOCKS + 2; b++) { /* two of them twice */
    const struct tly_held_block *block = tly_block_cache_add(cache, &blocks[b % BLOCKS].slice, &places[b]);
    assert_ptr_equal(block, places[b]);
  }
  for (int i = 0; i < 2 * BLOCKS * BLOCK_GROUPS; i++) {
    bool is_there = i % 2 == 0, is_twice = is_there && i < 2 * 2 * BLOCK_GROUPS;
    assert_int_equal(found_in(places, 3, 1, i), is_there && i / 2 / BLOCK_GROUPS == 3);
    assert_int_equal(found_in(places, 0, BLOCKS + 2, i), is_there + is_twice);
  }
  drop_all(cache, places, BLOCKS + 2);
}

/* Room for about five blocks. */
static tly_block_cache *small_cache(void) {
  struct tly_held_block *place = NULL;
  tly_block_cache *cache = tly_block_cache_new(1 << 20);
  tly_block_cache_add(cache, &blocks[0].slice, &place);
  size_t bytes = tly_block_cache_bytes(cache);
  drop_all(cache, &place, 1);
  return tly_block_cache_new(5 * bytes + bytes / 2);
}

static void what_is_used_stays_and_the_bound_is_kept(void **state) {
  struct tly_held_block *places[BLOCKS] = {NULL};
  tly_block_cache *cache = small_cache();
  (void)state;
  for (uint32_t i = 0; i < BLOCKS; i++) {
    if (i > 0)
      places[0]->was_used = true; /* each time: it always has a second chance */
    tly_block_cache_add(cache, &blocks[i].slice, &places[i]);
    uint32_t held = 0;
    for (uint32_t j = 0; j < BLOCKS; j++)
      held += places[j] != NULL;
    assert_int_equal(held, i < 5 ? i + 1 : 5);
    assert_non_null(places[0]);
    assert_non_null(places[i]);
  }
  drop_all(cache, places, BLOCKS);
}

static void a_pinned_block_stays_whatever_it_costs(void **state) {
  struct tly_held_block *places[BLOCKS] = {NULL};
  tly_block_cache *cache = small_cache();
  (void)state;
  for (uint32_t i = 0; i < BLOCKS; i++) {
    tly_block_cache_add(cache, &blocks[i].slice, &places[i]);
    if (i < 10)
      places[i]->pins++;
  }
  for (uint32_t i = 0; i < 10; i++)
    assert_non_null(places[i]);
  assert_non_null(places[BLOCKS - 1]); /* the last is about to be used */
  for (uint32_t i = 10; i < BLOCKS - 1; i++)
    assert_null(places[i]);
  drop_all(cache, places, BLOCKS);
}

static void a_block_above_the_bound_is_held_alone(void **state) {
  struct tly_held_block *places[3] = {NULL};
  tly_block_cache *cache = tly_block_cache_new(1);
  (void)state;
  for (uint32_t i = 0; i < 3; i++) {
    tly_block_cache_add(cache, &blocks[i].slice, &places[i]);
    places[i]->was_used = true;
    for (uint32_t j = 0; j < 3; j++)
      assert_int_equal(places[j] != NULL, j == i);
  }
  drop_all(cache, places, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exactly_the_keys_of_a_block_are_found_in_it),
      cmocka_unit_test(what_is_used_stays_and_the_bound_is_kept),
      cmocka_unit_test(a_pinned_block_stays_whatever_it_costs),
      cmocka_unit_test(a_block_above_the_bound_is_held_alone),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
