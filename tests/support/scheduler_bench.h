/* tests/support/scheduler_bench.h -- a scheduler in its world: a clock that the test turns, real recomputes in child
 * processes, the real speed layer's steps, and an archiver that only cuts.
 *
 * A program that uses it is its own child (`PROGRAM recompute-child --data DIR PROJECT`, and ledger-child likewise):
 * its main begins with bench_main. There is one bench, `bench`. Thread: one. */
#ifndef TLY_TESTS_SCHEDULER_BENCH_H
#define TLY_TESTS_SCHEDULER_BENCH_H

#include <jansson.h>
#include <sys/types.h>

#include "batch_layer/scheduler.h"
#include "common/store/batch_reader.h"
#include "common/wire/client.h"
#include "tests/support/speed_rig.h"

/* Everything of one test. */
extern struct bench {
  struct rig rig;
  struct tly_arena arena;
  char project_folder[300];
  struct tly_settings settings;
  struct tly_clock clock;
  int64_t skipped_us; /* the monotonic clock is so far ahead of the real one: time that a test need not wait for */
  int64_t now_us;
  tly_scheduler *scheduler;
  int archiver; /* a socket that cuts; -1: nobody is there */
  bool speed_runs;
} bench;

extern const int64_t bench_hour_us;
extern const int64_t bench_start_us;     /* 2024-01-01 00:10 UTC: what the clock says at first */
extern const char bench_recompute_all[]; /* a request */

/* Be the child that was asked for, or get ready for tests. Whether the program is to end, with *status. */
bool bench_main(int argc, char **argv, int *status);

void bench_open(const char *definitions);
void bench_close(void);
void bench_open_scheduler(void);
void bench_open_archiver(void);
/* The definitions that children read. */
void bench_write_project(const char *definitions);

/* Answer one request for a cut, if there is one. */
void bench_serve_cut(void);
/* Let everybody work until `done`. */
void bench_pump(bool (*done)(void *context), void *context);
/* A few turns in which something could begin, but should not. */
void bench_turn_in_vain(void);

/* Conditions for bench_pump: */
bool bench_is_idle(void *context);
bool bench_run_has_begun(void *context); /* there are *(uint32_t *)context rows of runs */
bool bench_has_reply(void *context);     /* a tly_client */

tly_client *bench_connect(void);
void bench_send(tly_client *client, const char *line);
/* The last line of the reply; the caller decrefs. `progress` counts the lines before it. */
json_t *bench_receive(tly_client *client, int *progress);
/* The reply to one request. */
json_t *bench_ask(const char *line);
/* An integer of the reply's result. */
int64_t bench_member(const json_t *reply, const char *name);
/* Of a reply that is an error; else "none". */
const char *bench_sqlstate(const json_t *reply);

/* The rows of batch.db, newest first; they live as long as the bench. */
struct tly_run *bench_runs(uint32_t *count);
uint32_t bench_count_runs(const char *state);
bool bench_has_folder(int64_t run);
/* The process of our child, found by its parent; 0: none now. */
pid_t bench_find_child(void);
/* Kill it, if there is one, and see it dead. */
void bench_kill_child(void);

#endif
