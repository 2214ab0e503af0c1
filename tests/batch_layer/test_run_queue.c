/* tests/batch_layer/test_run_queue.c -- runs that wait for their turn. */
#include "batch_layer/run_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/limits.h"

enum { VIEWS = 3 };

static struct tly_run_job *add(struct tly_run_queue *queue, const char *name, uint32_t view) {
  struct tly_run_job *job;
  struct tly_error error;
  assert_int_equal(tly_run_queue_add(queue, TLY_REASON_MANUAL, 5, &job, &error), TLY_OK);
  job->name = name;
  job->views[view] = true;
  return job;
}

static void jobs_are_taken_in_order_but_those_that_may_not_begin_yet(void **state) {
  (void)state;
  struct tly_run_queue queue;
  tly_run_queue_init(&queue, VIEWS);
  struct tly_run_job *first = add(&queue, NULL, 0), *second = add(&queue, NULL, 1);
  first->not_before_us = 100;
  assert_ptr_equal(tly_run_queue_take(&queue, 99), second);
  assert_null(tly_run_queue_take(&queue, 99));
  tly_run_queue_put_back(&queue, second);
  assert_ptr_equal(tly_run_queue_take(&queue, 100), second); /* it is at the front again */
  assert_ptr_equal(tly_run_queue_take(&queue, 100), first);
  tly_run_job_free(first);
  tly_run_job_free(second);
  tly_run_queue_free(&queue);
}

static void a_job_is_found_by_reason_name_and_views(void **state) {
  (void)state;
  struct tly_run_queue queue;
  bool views[VIEWS] = {false, true, false};
  tly_run_queue_init(&queue, VIEWS);
  struct tly_run_job *plain = add(&queue, NULL, 1), *named = add(&queue, "nightly", 1);
  assert_ptr_equal(tly_run_queue_find(&queue, TLY_REASON_MANUAL, NULL, false, views), plain);
  assert_ptr_equal(tly_run_queue_find(&queue, TLY_REASON_MANUAL, "nightly", false, views), named);
  assert_null(tly_run_queue_find(&queue, TLY_REASON_MANUAL, NULL, true, views)); /* a full one is another one */
  assert_ptr_equal(tly_run_queue_first(&queue, TLY_REASON_MANUAL, "nightly"), named);
  assert_null(tly_run_queue_find(&queue, TLY_REASON_SCHEDULE, NULL, false, views));
  assert_null(tly_run_queue_first(&queue, TLY_REASON_MANUAL, "weekly"));
  views[0] = true;
  assert_null(tly_run_queue_find(&queue, TLY_REASON_MANUAL, NULL, false, views));
  tly_run_queue_free(&queue);
}

static void a_job_is_removed_by_its_number_which_is_never_used_again(void **state) {
  (void)state;
  struct tly_run_queue queue;
  tly_run_queue_init(&queue, VIEWS);
  uint64_t number = add(&queue, NULL, 0)->number;
  tly_run_job_free(tly_run_queue_remove(&queue, number));
  assert_int_equal(queue.count, 0);
  assert_null(tly_run_queue_remove(&queue, number));
  assert_int_not_equal(add(&queue, NULL, 0)->number, number);
  tly_run_queue_free(&queue);
}

static void so_many_may_wait_and_one_that_was_taken_finds_its_place_again(void **state) {
  (void)state;
  struct tly_run_queue queue;
  struct tly_run_job *job;
  struct tly_error error;
  tly_run_queue_init(&queue, VIEWS);
  for (int i = 0; i < TLY_BATCH_JOBS_MAX; i++)
    add(&queue, NULL, 0);
  assert_int_equal(tly_run_queue_add(&queue, TLY_REASON_MANUAL, 5, &job, &error), TLY_E_TOO_MANY);
  job = tly_run_queue_take(&queue, 0);
  add(&queue, NULL, 0);
  tly_run_queue_put_back(&queue, job);
  assert_int_equal(queue.count, TLY_BATCH_JOBS_MAX + 1);
  tly_run_queue_free(&queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(jobs_are_taken_in_order_but_those_that_may_not_begin_yet),
      cmocka_unit_test(a_job_is_found_by_reason_name_and_views),
      cmocka_unit_test(a_job_is_removed_by_its_number_which_is_never_used_again),
      cmocka_unit_test(so_many_may_wait_and_one_that_was_taken_finds_its_place_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
