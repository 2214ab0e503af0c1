/* tests/batch_layer/test_recompute_reuse.c -- a run that stands on an earlier one, or goes on where one died, has the
 * content of one that folds everything, byte for byte; what is damaged or belongs to something else is not taken over.
 */
#include "tests/batch_layer/batch_fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "batch_layer/batch_store.h"
#include "batch_layer/partial.h"
#include "batch_layer/recompute_reuse.h"

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text, amount numeric(18,2) NOT NULL, items integer NOT NULL,"
    " weight double precision, status text) SERVER embedded;"
    "CREATE FOREIGN TABLE visits (page text NOT NULL) SERVER embedded;"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total, min(status) AS least,"
    " sum(weight) AS weight, count(DISTINCT status) AS kinds FROM payments WHERE status <> 'failed' GROUP BY account;"
    "CREATE MATERIALIZED VIEW each_price AS SELECT status, sum(amount / items) AS price FROM payments GROUP BY status;"
    "CREATE MATERIALIZED VIEW everything AS SELECT count(*) AS n FROM visits;"
    "CREATE MATERIALIZED VIEW wide AS SELECT weight, amount, account, count(*) AS n, max(status) AS most FROM payments"
    " GROUP BY weight, amount, account;";

enum { VIEWS = 4, BLOCKS_A_DAY = 24, BLOCK_EVENTS = 300, ACCOUNTS = 20000, PARTITIONS = 3, DAYS = 5 };
enum { PARTIAL_EVENTS = 900, ALL_IN_MEMORY = TLY_RECOMPUTE_BYTES };

static char directory[64];
static struct tly_project *project;
static const struct tly_stream *payments, *visits;
static const struct tly_view *views[VIEWS];
static tly_archive_writer *writer;
static struct tly_arena arena;
static int appended; /* payments */

static void append_blocks(int blocks) {
  static const char *statuses[] = {"\"paid\"", "\"failed\"", "null", "\"refunded\""};
  struct tly_buffer lines = {0};
  for (int block = 0; block < blocks; block++) {
    tly_buffer_clear(&lines);
    for (int i = appended; i < appended + BLOCK_EVENTS; i++) {
      uint32_t mixed = (uint32_t)i * 2654435761u;
      char account[16];
      snprintf(account, sizeof account, mixed % 31 == 0 ? "null" : "\"a%05u\"", mixed % ACCOUNTS);
      tly_buffer_print(&lines, "{\"account\":%s,\"amount\":%u.%02u,\"items\":%u,\"weight\":%u.1,\"status\":%s}\n",
                       account, mixed % 977, mixed % 100, i % 500 == 17 ? 0 : mixed % 7 + 1, mixed % 13,
                       statuses[mixed >> 20 & 3]);
    }
    append_lines(writer, payments, (uint32_t)block % PARTITIONS, &lines);
    appended += BLOCK_EVENTS;
  }
  tly_buffer_clear(&lines);
  tly_buffer_append_text(&lines, "{\"page\":\"/\"}\n{\"page\":\"/x\"}\n");
  append_lines(writer, visits, 0, &lines);
  tly_buffer_free(&lines);
}

static void append_day(void) {
  append_blocks(BLOCKS_A_DAY);
}

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "/tmp/tally_test_reuse_XXXXXX");
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  tly_arena_init(&arena);
  appended = 0;
  project = parse_project(definitions);
  payments = tly_project_stream(project, "payments");
  visits = tly_project_stream(project, "visits");
  for (uint32_t v = 0; v < VIEWS; v++)
    views[v] = &project->views[v];
  CHECK_OK(tly_archive_writer_open(directory, project, &tly_clock_real, &writer, &test_error));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unsetenv("TALLY_CRASH_AT");
  tly_archive_writer_close(writer);
  tly_project_free(project);
  tly_arena_free(&arena);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static const char *run_folder(int64_t run) {
  return tly_arena_print(&arena, "%s/runs/%" PRId64, directory, run);
}

static struct tly_recompute_job job_of(const struct tly_cut *cut) {
  return (struct tly_recompute_job){.directory = directory,
                                    .project = project,
                                    .cut = cut,
                                    .views = views,
                                    .view_count = VIEWS,
                                    .threads = 2,
                                    .group_bytes_max = ALL_IN_MEMORY};
}

/* Compute a run with its manifest, in place of one of that number that is there. */
static struct tly_run_result compute(const struct tly_recompute_job *job) {
  struct tly_run_result result;
  CHECK_OK(tly_file_remove_tree(run_folder(job->cut->number), &test_error));
  make_run_folder(directory, job->cut->number);
  CHECK_OK(tly_recompute(job, &arena, &result, &test_error));
  CHECK_OK(tly_manifest_write(run_folder(job->cut->number), &result, &result.manifest, &test_error));
  return result;
}

static struct tly_run_result compute_full(const struct tly_cut *cut) {
  struct tly_recompute_job job = job_of(cut);
  job.is_full = true;
  return compute(&job);
}

static struct tly_run_result compute_on(const struct tly_cut *cut, const struct tly_run_result *base) {
  struct tly_run_base bases[VIEWS];
  struct tly_recompute_job job = job_of(cut);
  for (uint32_t v = 0; v < VIEWS; v++)
    bases[v] = (struct tly_run_base){.run = base->run, .manifest = base->manifest};
  job.bases = bases;
  return compute(&job);
}

static void check_equal(const struct tly_run_result *a, const struct tly_run_result *b) {
  assert_int_equal(a->events, b->events);
  assert_int_equal(a->view_count, b->view_count);
  for (uint32_t v = 0; v < a->view_count; v++) {
    const struct tly_run_view_result *left = &a->views[v], *right = &b->views[v];
    assert_memory_equal(&left->content_hash, &right->content_hash, TLY_HASH_BYTES);
    assert_int_equal(left->groups, right->groups);
    assert_int_equal(left->folded, right->folded);
    assert_int_equal(left->filtered, right->filtered);
    assert_int_equal(left->set_aside, right->set_aside);
    assert_int_equal(left->set_aside_listed_count, right->set_aside_listed_count);
    for (uint32_t i = 0; i < left->set_aside_listed_count; i++) {
      assert_int_equal(left->set_aside_listed[i].partition, right->set_aside_listed[i].partition);
      assert_int_equal(left->set_aside_listed[i].offset, right->set_aside_listed[i].offset);
      assert_string_equal(left->set_aside_listed[i].sqlstate, right->set_aside_listed[i].sqlstate);
      assert_string_equal(left->set_aside_listed[i].message, right->set_aside_listed[i].message);
    }
  }
}

static size_t partial_count(void) {
  char **names;
  size_t count;
  CHECK_OK(tly_partial_list(directory, &names, &count, &test_error));
  tly_file_list_free(names, count);
  return count;
}

/* A recompute in a process of its own, killed where `point` says. */
static bool compute_and_maybe_die(const struct tly_recompute_job *job, const char *point) {
  int how;
  CHECK_OK(tly_file_remove_tree(run_folder(job->cut->number), &test_error));
  make_run_folder(directory, job->cut->number);
  pid_t process = fork();
  assert_true(process >= 0);
  if (process == 0) {
    struct tly_run_result result;
    setenv("TALLY_CRASH_AT", point, 1);
    _exit(tly_recompute(job, &arena, &result, NULL) == TLY_OK ? 0 : 1);
  }
  assert_int_equal(waitpid(process, &how, 0), process);
  return WIFSIGNALED(how);
}

static void compute_and_die(const struct tly_recompute_job *job, const char *point) {
  if (!compute_and_maybe_die(job, point))
    fail_msg("it did not come by %s", point);
}

/* Change a byte in the middle of a file. */
static void damage(const char *path) {
  struct tly_buffer bytes = {0};
  CHECK_OK(tly_file_read(path, 64 << 20, &bytes, &test_error));
  bytes.data[bytes.size / 2] ^= 0x10;
  unlink(path);
  CHECK_OK(tly_file_replace(path, bytes.data, bytes.size, &test_error));
  tly_buffer_free(&bytes);
}

static void a_run_on_an_earlier_one_has_the_content_of_a_full_one(void **state) {
  (void)state;
  struct tly_cut cut;
  struct tly_run_result base = {0};
  for (int day = 0; day < DAYS; day++) {
    append_day();
    if (day % 2 == 1)
      seal_stream(writer, directory, payments);
    make_cut(writer, project, &arena, &cut);
    struct tly_run_result full = compute_full(&cut);
    assert_int_equal(full.reused, 0);
    assert_int_equal(full.views[0].base, 0);
    struct tly_run_result result = compute_on(&cut, &base);
    check_equal(&result, &full);
    assert_int_equal(result.reused, base.events);
    assert_int_equal(result.views[0].base, base.run);
    assert_int_equal(result.views[0].base_count, day);
    base = result;
  }
}

static uint32_t next_random(uint32_t *seed, uint32_t below) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) % below;
}

/* Cuts, sealings, threads, memory, deaths and full runs as they fall: every run has the content of a full one. */
static void any_history_gives_the_content_of_full_runs(void **state) {
  (void)state;
  static const char *const deaths[] = {"partial.before_rename:3", "partial.after_rename:2", "recompute.after_fold"};
  static const size_t memories[] = {1, 1 << 20, ALL_IN_MEMORY};
  const char *given = getenv("TALLY_TEST_SEED");
  uint32_t seed = given != NULL ? (uint32_t)strtoul(given, NULL, 10) : (uint32_t)time(NULL);
  struct tly_run_result last = {0};
  print_message("TALLY_TEST_SEED=%u\n", seed);
  for (int step = 0; step < 10; step++) {
    struct tly_cut cut;
    struct tly_run_base bases[VIEWS];
    append_blocks((int)next_random(&seed, 30));
    if (next_random(&seed, 3) == 0)
      seal_stream(writer, directory, payments);
    make_cut(writer, project, &arena, &cut);
    struct tly_run_result full = compute_full(&cut);
    struct tly_recompute_job job = job_of(&cut);
    for (uint32_t v = 0; v < VIEWS; v++)
      bases[v] = (struct tly_run_base){.run = next_random(&seed, 4) > 0 ? last.run : 0, .manifest = last.manifest};
    job.bases = bases;
    job.threads = 1 + next_random(&seed, 4);
    job.group_bytes_max = memories[next_random(&seed, 3)];
    job.partial_events = next_random(&seed, 2) * (300 + next_random(&seed, 4000));
    for (uint32_t death = next_random(&seed, 3); death > 0; death--)
      compute_and_maybe_die(&job, deaths[next_random(&seed, 3)]);
    if (next_random(&seed, 3) == 0)
      seal_stream(writer, directory, payments);
    last = compute(&job);
    check_equal(&last, &full);
  }
}

static void a_cut_without_new_events_folds_nothing(void **state) {
  (void)state;
  struct tly_cut first, second;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result base = compute_full(&first);
  make_cut(writer, project, &arena, &second);
  struct tly_run_result result = compute_on(&second, &base);
  check_equal(&result, &base);
  assert_int_equal(result.reused, result.events);
}

static void views_may_stand_on_different_runs_or_on_none(void **state) {
  (void)state;
  struct tly_cut first, second, third;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result one = compute_full(&first);
  append_day();
  make_cut(writer, project, &arena, &second);
  struct tly_run_result two = compute_on(&second, &one);
  append_day();
  make_cut(writer, project, &arena, &third);
  struct tly_run_result full = compute_full(&third);
  struct tly_run_base bases[VIEWS] = {{.run = one.run, .manifest = one.manifest},
                                      {.run = two.run, .manifest = two.manifest},
                                      {.run = two.run, .manifest = two.manifest},
                                      {.run = 0}};
  struct tly_recompute_job job = job_of(&third);
  job.bases = bases;
  struct tly_run_result result = compute(&job);
  check_equal(&result, &full);
  assert_int_equal(result.views[0].base, one.run);
  assert_int_equal(result.views[1].base, two.run);
  assert_int_equal(result.views[3].base, 0);
  assert_int_equal(result.reused, 4); /* visits: payments are all folded for the last view */
}

/* Damage, another archive, other inputs, a chain of runs that has become too long: everything is folded anew. */
static void a_base_that_cannot_be_trusted_is_not_taken_over(void **state) {
  (void)state;
  struct tly_cut first, second;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result base = compute_full(&first);
  append_day();
  make_cut(writer, project, &arena, &second);
  struct tly_run_result full = compute_full(&second);

  struct tly_run_result other = base;
  other.positions[1].chain.bytes[3] ^= 1; /* of the archive: the offsets are right */
  CHECK_OK(tly_manifest_write(run_folder(base.run), &other, &other.manifest, &test_error));
  struct tly_run_result result = compute_on(&second, &other);
  check_equal(&result, &full);
  assert_int_equal(result.reused, 0);
  assert_non_null(strstr(result.note, "was not taken over"));
  other.positions[1].chain.bytes[3] ^= 1;

  other.inputs.bytes[0] = 1;
  CHECK_OK(tly_manifest_write(run_folder(base.run), &other, &other.manifest, &test_error));
  result = compute_on(&second, &other);
  check_equal(&result, &full);
  assert_int_equal(result.reused, 0);
  other.inputs.bytes[0] = 0;

  other.views[0].base_count = TLY_RUN_BASES_MAX;
  CHECK_OK(tly_manifest_write(run_folder(base.run), &other, &other.manifest, &test_error));
  result = compute_on(&second, &other);
  check_equal(&result, &full);
  assert_int_equal(result.views[0].base, 0);
  assert_int_equal(result.views[0].base_count, 0);
  assert_int_equal(result.views[1].base, base.run);
  other.views[0].base_count = 0;

  CHECK_OK(tly_manifest_write(run_folder(base.run), &other, &other.manifest, &test_error));
  damage(tly_arena_print(&arena, "%s/%s", run_folder(base.run), base.views[0].files[0].name));
  result = compute_on(&second, &other);
  check_equal(&result, &full);
  assert_int_equal(result.reused, 0);
  assert_non_null(strstr(result.note, "is not what the manifest says"));
}

static void a_recompute_that_was_killed_goes_on(void **state) {
  (void)state;
  static const char *const points[] = {"partial.before_manifest",   "partial.before_rename",  "partial.after_rename:1",
                                       "partial.before_manifest:7", "partial.after_rename:9", "recompute.after_fold",
                                       "recompute.after_merge"};
  struct tly_cut cut;
  for (int day = 0; day < 2; day++)
    append_day();
  make_cut(writer, project, &arena, &cut);
  struct tly_run_result full = compute_full(&cut);
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    struct tly_cut next;
    struct tly_recompute_job job = job_of(&cut);
    job.partial_events = PARTIAL_EVENTS;
    CHECK_OK(tly_file_remove_tree(tly_arena_print(&arena, "%s/partials", directory), &test_error));
    compute_and_die(&job, points[i]);
    make_cut(writer, project, &arena, &next);
    job = job_of(&next);
    struct tly_run_result result = compute(&job);
    check_equal(&result, &full);
    if (i >= 5) /* both threads had come to the end of their shares: little was lost */
      assert_true(result.reused > result.events / 2);
    if (result.reused > 0)
      assert_non_null(strstr(result.note, "taken over"));
  }
}

static void it_goes_on_on_its_base_after_several_deaths_while_files_are_sealed(void **state) {
  (void)state;
  struct tly_cut first, second;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result base = compute_full(&first);
  append_day();
  append_day();
  make_cut(writer, project, &arena, &second);
  struct tly_run_result full = compute_full(&second);
  struct tly_run_base bases[VIEWS];
  for (uint32_t v = 0; v < VIEWS; v++)
    bases[v] = (struct tly_run_base){.run = base.run, .manifest = base.manifest};
  struct tly_recompute_job job = job_of(&second);
  job.bases = bases;
  job.partial_events = PARTIAL_EVENTS;
  compute_and_die(&job, "partial.after_rename:4");
  assert_true(partial_count() >= 4);
  compute_and_die(&job, "partial.after_rename:4");
  seal_stream(writer, directory, payments);
  compute_and_die(&job, "partial.after_rename:2");
  struct tly_run_result result = compute(&job);
  check_equal(&result, &full);
  assert_int_equal(result.views[0].base, base.run);
  assert_true(result.reused >= base.events);
}

static void spilled_folds_are_kept_too(void **state) {
  (void)state;
  struct tly_cut cut;
  for (int day = 0; day < 4; day++)
    append_day();
  make_cut(writer, project, &arena, &cut);
  struct tly_run_result full = compute_full(&cut);
  assert_int_equal(partial_count(), 0); /* it did not pay */
  struct tly_recompute_job job = job_of(&cut);
  job.group_bytes_max = 1;
  job.threads = 1;
  compute_and_die(&job, "recompute.after_fold");
  assert_int_equal(partial_count(), 3); /* one for each view with enough spills */
  job.group_bytes_max = ALL_IN_MEMORY;
  struct tly_run_result result = compute(&job);
  check_equal(&result, &full);
  assert_true(result.reused > 0);
  job.group_bytes_max = 1;
  job.is_full = true;
  result = compute(&job);
  check_equal(&result, &full);
}

static void what_is_damaged_or_of_other_inputs_is_folded_anew(void **state) {
  (void)state;
  struct tly_cut cut;
  char **names;
  size_t count;
  append_day();
  make_cut(writer, project, &arena, &cut);
  struct tly_run_result full = compute_full(&cut);
  struct tly_recompute_job job = job_of(&cut);
  job.partial_events = PARTIAL_EVENTS;
  job.inputs.bytes[5] = 7;
  compute_and_die(&job, "recompute.after_fold");
  job.partial_events = 0;
  job.inputs.bytes[5] = 0;
  struct tly_run_result result = compute(&job);
  check_equal(&result, &full);
  assert_int_equal(result.reused, 0);
  CHECK_OK(tly_partial_list(directory, &names, &count, &test_error));
  assert_true(count > 2);
  for (size_t i = 0; i < count; i++) { /* a file, or the manifest */
    struct tly_run_result partial;
    CHECK_OK(tly_partial_read(directory, names[i], &arena, &partial, &test_error));
    damage(tly_arena_print(&arena, "%s/partials/%s/%s", directory, names[i],
                           i % 2 == 0 ? partial.views[0].files[0].name : "manifest.json"));
  }
  tly_file_list_free(names, count);
  job.inputs.bytes[5] = 7;
  result = compute(&job);
  check_equal(&result, &full);
  assert_int_equal(result.reused, 0);
  assert_int_equal(partial_count(), 0);
}

static void a_full_run_takes_nothing_over_and_drops_what_there_is(void **state) {
  (void)state;
  struct tly_cut cut;
  append_day();
  make_cut(writer, project, &arena, &cut);
  struct tly_run_result full = compute_full(&cut);
  struct tly_recompute_job job = job_of(&cut);
  job.partial_events = PARTIAL_EVENTS;
  compute_and_die(&job, "recompute.after_fold");
  assert_true(partial_count() > 0);
  struct tly_run_result again = compute_full(&cut);
  check_equal(&again, &full);
  assert_int_equal(again.reused, 0);
  assert_int_equal(partial_count(), 0);
}

/* What tidying leaves once run `run` is ready. */
static size_t partials_after(int64_t run, const struct tly_run_result *result, const struct tly_cut *cut) {
  tly_batch_store *store;
  tly_batch_reader *reader;
  struct tly_cut numbered = *cut;
  struct tly_run_result ready = *result;
  const int64_t fired[VIEWS] = {0};
  numbered.number = ready.run = run;
  CHECK_OK(tly_batch_store_open(directory, 1, &store, &test_error));
  struct tly_run_start start = {.cut = &numbered,
                                .reason = "manual",
                                .started_at_us = 1,
                                .views = views,
                                .fired_at_us = fired,
                                .view_count = VIEWS};
  CHECK_OK(tly_batch_store_begin(store, &start, &test_error));
  CHECK_OK(tly_batch_store_ready(store, &ready, 2, &test_error));
  CHECK_OK(tly_batch_reader_open(directory, project, &reader, &test_error));
  CHECK_OK(tly_recompute_tidy_partials(directory, project, reader, &test_error));
  tly_batch_reader_close(reader);
  tly_batch_store_close(store);
  return partial_count();
}

static void partial_results_are_removed_once_a_ready_run_covers_them(void **state) {
  (void)state;
  struct tly_cut first, second;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result base = compute_full(&first);
  make_cut(writer, project, &arena, &second);
  struct tly_recompute_job job = job_of(&second);
  job.partial_events = PARTIAL_EVENTS;
  compute_and_die(&job, "partial.before_rename:6");
  size_t left = partial_count();
  assert_true(left > 2);
  size_t finished = partials_after(base.run, &base, &first); /* older than they are */
  assert_true(finished >= 5 && finished < left);             /* half ones are gone */
  assert_int_equal(partials_after(second.number, &base, &second), 0);
}

static void the_newest_ready_run_of_a_definition_is_the_base(void **state) {
  (void)state;
  struct tly_cut first, second;
  struct tly_run_base bases[VIEWS];
  tly_batch_reader *reader;
  append_day();
  make_cut(writer, project, &arena, &first);
  struct tly_run_result one = compute_full(&first);
  make_cut(writer, project, &arena, &second);
  struct tly_run_result two = compute_full(&second);
  partials_after(one.run, &one, &first);
  partials_after(two.run, &two, &second);
  CHECK_OK(tly_batch_reader_open(directory, project, &reader, &test_error));
  struct tly_view changed = *views[1];
  changed.hash.bytes[0] ^= 1;
  const struct tly_view *wanted[] = {views[0], &changed};
  CHECK_OK(tly_recompute_find_bases(reader, wanted, 2, bases, &test_error));
  assert_int_equal(bases[0].run, two.run);
  assert_memory_equal(&bases[0].manifest, &two.manifest, TLY_HASH_BYTES);
  assert_int_equal(bases[1].run, 0);
  tly_batch_reader_close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_run_on_an_earlier_one_has_the_content_of_a_full_one),
      TEST(any_history_gives_the_content_of_full_runs),
      TEST(a_cut_without_new_events_folds_nothing),
      TEST(views_may_stand_on_different_runs_or_on_none),
      TEST(a_base_that_cannot_be_trusted_is_not_taken_over),
      TEST(a_recompute_that_was_killed_goes_on),
      TEST(it_goes_on_on_its_base_after_several_deaths_while_files_are_sealed),
      TEST(spilled_folds_are_kept_too),
      TEST(what_is_damaged_or_of_other_inputs_is_folded_anew),
      TEST(a_full_run_takes_nothing_over_and_drops_what_there_is),
      TEST(partial_results_are_removed_once_a_ready_run_covers_them),
      TEST(the_newest_ready_run_of_a_definition_is_the_base),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
