/* tests/instructions/count.c -- count DEFINITIONS PAYMENTS ACCOUNTS: the data path over a fixed input, for callgrind.
 *
 * Each stage calls what the processes call, with four differences that make two counts of it equal: time stands still
 * (so no commit is early or late by the clock), random numbers are fixed, a recompute has one thread, and groups are as
 * large as stated here instead of as large as the moment makes them. Only what stands between begin() and end() is
 * counted; outside of it valgrind runs the code uninstrumented. Each stage prints "NAME UNITS", and leaves a dump of
 * that name.
 *
 * Run by tests/instructions/run. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "batch_layer/batch_store.h"
#include "batch_layer/job_decoder.h"
#include "batch_layer/recompute.h"
#include "batch_layer/reconcile.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/framing.h"
#include "serving_layer/memory.h"
#include "serving_layer/point.h"
#include "serving_layer/work.h"
#include "tests/support/speed_rig.h"

enum {
  BULK_BYTES = 4 << 20, /* as `tally ingest` cuts a file */
  BULKS_A_GROUP = 2,    /* what is at most one block of the archive */
  SMALL_GROUPS = 200,   /* commits of SMALL_EVENTS: what a hundred thousand single events a second become */
  SMALL_EVENTS = 100,
  POINTS = 20000,
  POINTS_A_LOOK = 64, /* as many as a millisecond's look at the store serves, or fewer */
  POINTS_A_READ = 32,
  SELECTS = 50,
  RUN_CACHE_BYTES = 64 << 20
};

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    struct tly_error error = TLY_ERROR_NONE;                                                                           \
    if ((call) != TLY_OK)                                                                                              \
      die(#call, error.message);                                                                                       \
  } while (0)

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "count: %s: %s\n", what, why);
  exit(1);
}

/* ---- what is counted --------------------------------------------------------------------------------------------- */

static int64_t began_ns;

static int64_t cpu_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void begin(void) {
  began_ns = cpu_ns();
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
}

static void end(const char *name, uint64_t units) {
  int64_t taken_ns = cpu_ns() - began_ns;
  CALLGRIND_DUMP_STATS_AT(name);
  CALLGRIND_STOP_INSTRUMENTATION;
  printf("%s %" PRIu64 " %" PRId64 "\n", name, units, taken_ns);
  fflush(stdout);
}

static int64_t standing_time(void *context) {
  (void)context;
  return INT64_C(1772409600000000);
}

/* In the place of the C library's: what hashes are seeded with is the same each time (splitmix64's first numbers). */
ssize_t getrandom(void *buffer, size_t size, unsigned flags);
ssize_t getrandom(void *buffer, size_t size, unsigned flags) {
  uint64_t state = 0;
  (void)flags;
  for (size_t i = 0; i < size; i++) {
    uint64_t mixed = state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    ((uint8_t *)buffer)[i] = (uint8_t)(mixed >> 56);
  }
  return (ssize_t)size;
}

static const struct tly_clock standing_clock = {.now_us = standing_time, .monotonic_us = standing_time};

/* ---- ingest ------------------------------------------------------------------------------------------------------ */

struct ingest {
  struct rig *rig;
  struct tly_job_decoder *decoder;
  const char *next, *end; /* of the input */
};

static const char *skip_lines(const char *at, const char *stop, uint64_t lines) {
  for (; lines > 0 && at < stop; lines--)
    at = (const char *)memchr(at, '\n', (size_t)(stop - at)) + 1;
  return at;
}

static struct tly_archive_job *job_of(struct ingest *ingest, const char *stop) {
  struct tly_archive_job *job = tly_job_decoder_job(ingest->decoder);
  tly_buffer_append(&job->payload, ingest->next, (size_t)(stop - ingest->next));
  job->stream = &ingest->rig->project->streams[0];
  job->format = TLY_FORMAT_JSON;
  ingest->next = stop;
  return job;
}

/* The next bulk up to `stop`; NULL at its end. */
static struct tly_archive_job *next_bulk(struct ingest *ingest, const char *stop) {
  if (ingest->next == stop)
    return NULL;
  const char *at = stop;
  if (stop - ingest->next > BULK_BYTES)
    at = (const char *)memrchr(ingest->next, '\n', BULK_BYTES) + 1;
  return job_of(ingest, at);
}

static void archive(struct ingest *ingest, struct tly_archive_job *const *jobs, uint32_t count) {
  tly_archive_writer *writer = ingest->rig->writer;
  MUST(tly_archive_writer_begin(writer, jobs[0]->stream, &error));
  for (uint32_t j = 0; j < count; j++)
    for (uint32_t b = 0; b < jobs[j]->batch_count; b++)
      MUST(tly_archive_writer_append(writer, 0, &jobs[j]->batches[b], jobs[j]->format, (struct tly_text){.data = ""},
                                     &error));
  MUST(tly_archive_writer_commit(writer, &error));
}

/* Bulks up to `stop`, so many of them decoded and then archived at a time. The first ones are not counted: they meet
 * memory that was never touched and texts that were never seen. */
static void ingest_bulks(struct ingest *ingest, const char *stop) {
  struct tly_archive_job *jobs[BULKS_A_GROUP], *job;
  for (bool is_warm = false; ingest->next < stop; is_warm = true) {
    uint32_t count = 0;
    uint64_t events = 0;
    while (count < BULKS_A_GROUP && (job = next_bulk(ingest, stop)) != NULL)
      jobs[count++] = job;
    if (is_warm)
      begin();
    for (uint32_t j = 0; j < count; j++)
      MUST(tly_job_decoder_decode(ingest->decoder, jobs[j], &error));
    for (uint32_t j = 0; j < count; j++)
      events += jobs[j]->event_count;
    if (is_warm) {
      end("decode", events);
      begin();
    }
    archive(ingest, jobs, count);
    if (is_warm)
      end("archive", events);
    for (uint32_t j = 0; j < count; j++)
      tly_job_decoder_recycle(ingest->decoder, jobs[j]);
  }
}

static void ingest_small(struct ingest *ingest, const char *stop) {
  struct tly_archive_job *job = job_of(ingest, stop);
  MUST(tly_job_decoder_decode(ingest->decoder, job, &error));
  archive(ingest, &job, 1);
  tly_job_decoder_recycle(ingest->decoder, job);
}

static void count_ingest(struct ingest *ingest, const char *stop, uint64_t events) {
  ingest_bulks(ingest, stop);
  begin();
  rig_settle(ingest->rig);
  end("fold", events);
}

/* From the bytes of a hundred events to their commit in the live views. */
static void count_small_groups(struct ingest *ingest) {
  begin();
  for (int group = 0; group < SMALL_GROUPS; group++) {
    ingest_small(ingest, skip_lines(ingest->next, ingest->end, SMALL_EVENTS));
    rig_settle(ingest->rig);
  }
  end("small-groups", SMALL_GROUPS);
}

/* ---- recompute --------------------------------------------------------------------------------------------------- */

static void make_run_folder(const struct rig *rig, int64_t run) {
  char path[512];
  int lock;
  snprintf(path, sizeof path, "%s/runs/%" PRId64, rig->directory, run);
  MUST(tly_file_make_folder(path, &error));
  strcat(path, "/lock");
  MUST(tly_file_lock(path, true, &lock, &error));
  close(lock);
}

/* A run of one view up to a cut at the archive's end, published; `name` NULL: not counted. */
static void run_view(struct rig *rig, const char *view_name, const char *name) {
  const char *const names[] = {view_name, NULL};
  const struct tly_view *view = tly_project_view(rig->project, view_name);
  struct tly_arena arena;
  struct tly_cut cut;
  struct tly_run_result result;
  tly_archive_reader *archive;
  tly_batch_store *store;
  int64_t fired = 0, number = rig_cut(rig, names);
  rig_settle(rig);
  tly_arena_init(&arena);
  MUST(tly_archive_reader_open(rig->directory, rig->project, &archive, &error));
  MUST(tly_archive_reader_cut(archive, number, &arena, &cut, &error));
  tly_archive_reader_close(archive);
  make_run_folder(rig, number);
  MUST(tly_batch_store_open(rig->directory, 1, &store, &error));
  struct tly_run_start start = {
      .cut = &cut, .reason = "manual", .started_at_us = 1, .views = &view, .fired_at_us = &fired, .view_count = 1};
  MUST(tly_batch_store_begin(store, &start, &error));
  struct tly_recompute_job job = {.directory = rig->directory,
                                  .project = rig->project,
                                  .cut = &cut,
                                  .views = &view,
                                  .view_count = 1,
                                  .threads = 1,
                                  .group_bytes_max = TLY_RECOMPUTE_BYTES};
  struct tly_reconcile_job check = {
      .directory = rig->directory, .project = rig->project, .cut = &cut, .views = &view, .view_count = 1};
  if (name != NULL)
    begin();
  MUST(tly_recompute(&job, &arena, &result, &error));
  tly_reconcile(&check, &arena, &result);
  if (name != NULL)
    end(name, result.events);
  if (name != NULL && result.views[0].drift != 0)
    die(view_name, result.note != NULL ? result.note : "live and recomputed groups differ");
  MUST(tly_batch_store_ready(store, &result, 2, &error));
  tly_batch_store_close(store);
  tly_arena_free(&arena);
  rig_settle(rig);
  if (rig_published(rig, view_name).cut != number)
    die(view_name, "its run was not published");
}

static void count_recompute(struct rig *rig, uint64_t events) {
  static const char *const views[] = {"account_totals", "currency_minutes", "account_hours"};
  begin();
  rig_seal(rig, "payments");
  end("seal", events);
  for (size_t v = 0; v < 3; v++)
    run_view(rig, views[v], NULL); /* the run that the counted one is compared with */
  for (size_t v = 0; v < 3; v++) {
    char name[64];
    snprintf(name, sizeof name, "recompute-%s", views[v]);
    run_view(rig, views[v], name);
  }
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

#define POINT_SQL "SELECT account, payments, total FROM account_totals WHERE account = $1"

static void point_line(uint32_t number, uint32_t accounts, struct tly_buffer *out) {
  tly_buffer_print(out,
                   "{\"id\":%u,\"method\":\"query\",\"params\":{\"sql\":\"" POINT_SQL "\",\"args\":[\"A-%06u\"]}}\n",
                   number, number * 2654435761u % accounts);
}

/* As a session does it: bytes into the framer, lines out, each answered into the output. */
static void answer_points(tly_points *points, const struct tly_buffer *requests, struct tly_buffer *out) {
  struct tly_framer framer;
  tly_framer_init(&framer);
  const uint8_t *at = requests->data, *stop = at + requests->size;
  for (int reads = 1; at < stop; reads++) {
    const char *line, *from = (const char *)at;
    size_t size, room, bytes = (size_t)(skip_lines(from, (const char *)stop, POINTS_A_READ) - from);
    memcpy(tly_framer_space(&framer, bytes, &room), at, bytes);
    tly_framer_added(&framer, bytes);
    at += bytes;
    tly_buffer_clear(out);
    while (tly_framer_next(&framer, &line, &size) == TLY_FRAME_LINE)
      if (!tly_points_answer_line(points, line, size, out))
        die("a point query was not answered", line);
    if (reads % (POINTS_A_LOOK / POINTS_A_READ) == 0)
      tly_points_end_look(points);
  }
  tly_framer_free(&framer);
}

static void count_points(const struct rig *rig, const struct tly_programs *programs, uint32_t accounts) {
  tly_store_source *source = tly_store_source_new(rig->directory, programs);
  tly_store_source_set_cache(source, RUN_CACHE_BYTES);
  tly_points *points = tly_points_new(programs, source);
  struct tly_buffer requests = {0}, out = {0};
  struct tly_request first;
  int rpc_code;
  for (uint32_t i = 0; i < POINTS; i++)
    point_line(i, accounts, &requests);
  size_t line_size = (size_t)((uint8_t *)memchr(requests.data, '\n', requests.size) - requests.data);
  MUST(tly_request_parse((const char *)requests.data, line_size, &first, &rpc_code, &error));
  if (!tly_points_answer(points, &first, &out)) /* the statement is learned */
    die("points", "not answered");
  answer_points(points, &requests, &out); /* and the caches are warm */
  begin();
  answer_points(points, &requests, &out);
  end("point", POINTS);
  tly_request_free(&first);
  tly_buffer_free(&requests);
  tly_buffer_free(&out);
  tly_points_free(points);
  tly_store_source_free(source);
}

static enum tly_status drop_part(void *context, struct tly_buffer *line, struct tly_error *error) {
  (void)context;
  (void)error;
  tly_buffer_clear(line);
  return TLY_OK;
}

static void select_once(tly_worker *worker, const char *sql) {
  struct tly_buffer line = {0};
  struct tly_request request;
  int rpc_code;
  tly_buffer_print(&line, "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"%s\"}}", sql);
  MUST(tly_request_parse(tly_buffer_text(&line), line.size, &request, &rpc_code, &error));
  struct tly_job *job = tly_job_new(&request, INT32_MAX, 64 << 20, NULL);
  tly_worker_do(worker, job, drop_part, NULL);
  if (memmem(job->reply.data, job->reply.size, "\"result\":", 9) == NULL)
    die(sql, tly_buffer_text(&job->reply));
  tly_job_free(job);
  tly_request_free(&request);
  tly_buffer_free(&line);
}

/* `sql` again and again, as a worker of the pool answers it: `units` is what one answer goes through. */
static void count_select(tly_worker *worker, const char *name, const char *sql, int times, uint64_t units) {
  select_once(worker, sql);
  begin();
  for (int i = 0; i < times; i++)
    select_once(worker, sql);
  end(name, (uint64_t)times * units);
}

static void count_queries(struct rig *rig, uint32_t accounts) {
  struct tly_programs *programs = tly_programs_new(rig->project);
  struct tly_settings settings = {.directory = rig->directory, .query_timeout_ms = INT32_MAX};
  count_points(rig, programs, accounts);
  tly_worker *worker = tly_worker_new(&settings, programs);
  count_select(worker, "select-few",
               "SELECT account, total, total / payments AS mean FROM account_totals WHERE account >= 'A-000100' AND "
               "account < 'A-000110' ORDER BY total DESC LIMIT 5",
               SELECTS, 1);
  count_select(worker, "select-all", "SELECT count(*), sum(payments), sum(total), max(largest) FROM account_totals", 5,
               accounts);
  tly_worker_free(worker);
  tly_programs_free(programs);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static struct tly_buffer file_of(const char *path) {
  struct tly_buffer bytes = {0};
  char part[65536];
  ssize_t count;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  while (fd >= 0 && (count = read(fd, part, sizeof part)) > 0)
    tly_buffer_append(&bytes, part, (size_t)count);
  if (bytes.size == 0)
    die(path, "cannot be read");
  close(fd);
  return bytes;
}

static uint64_t lines_of(const struct tly_buffer *bytes) {
  uint64_t lines = 0;
  for (size_t i = 0; i < bytes->size; i++)
    lines += bytes->data[i] == '\n';
  return lines;
}

int main(int argc, char **argv) {
  struct rig rig;
  if (argc != 4)
    die("usage", "count DEFINITIONS PAYMENTS ACCOUNTS");
  struct tly_buffer definitions = file_of(argv[1]), payments = file_of(argv[2]);
  uint64_t events = lines_of(&payments), small = SMALL_GROUPS * SMALL_EVENTS;
  json_object_seed(1);
  tly_memory_setup();
  rig_open(&rig, tly_buffer_text(&definitions));
  rig.clock = &standing_clock;
  rig_start(&rig);
  const char *text = (const char *)payments.data;
  struct ingest ingest = {
      .rig = &rig, .decoder = tly_job_decoder_new(rig.project), .next = text, .end = text + payments.size};
  count_ingest(&ingest, skip_lines(text, ingest.end, events - small), events - small);
  count_recompute(&rig, events - small);
  count_small_groups(&ingest); /* live groups above the run */
  count_queries(&rig, (uint32_t)atoi(argv[3]));
  tly_job_decoder_free(ingest.decoder);
  rig_close(&rig);
  tly_buffer_free(&definitions);
  tly_buffer_free(&payments);
  return 0;
}
