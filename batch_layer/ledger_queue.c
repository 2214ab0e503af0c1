/* The child says progress, which is passed on when the client keeps up, then one line: its report, or an error. A child
 * that ends without one is spoken for. A report is kept before its client gets it, so a client that was answered finds
 * what it was told in batch.db.
 *
 * A reconciliation that is due waits in its schedule until nothing else does: it takes no place from those that
 * somebody asked for.
 *
 * INVARIANTS (check_invariants)
 *   (1) a child is under way exactly when there is a descriptor to hear it by, and it works on jobs[0].
 *   (2) a job of a schedule is jobs[0]. */
#include "batch_layer/ledger_queue.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/child_process.h"
#include "batch_layer/ledger_main.h"
#include "batch_layer/ledger_outcome.h"
#include "batch_layer/ledger_schedule.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/wire/client.h"

enum { READ_BYTES = 16 << 10 };

struct job {
  uint64_t client;           /* 0: nobody asked, it is due */
  char *id;                  /* of the request */
  struct tly_buffer order;   /* the request line for the child */
  struct tly_ledger_due due; /* minute_us is 0 when somebody asked */
  struct tly_decimal tolerance;
  struct tly_arena arena; /* the tolerance's */
  int64_t started_at_us;
};

struct tly_ledger_queue {
  struct tly_ledger_queue_options options;
  tly_ledger_schedule *schedule;
  struct job *jobs[TLY_LEDGER_JOBS_MAX]; /* in order of arrival */
  uint32_t count;
  pid_t process;          /* 0: nothing is under way; else jobs[0] is */
  int fd;                 /* what the child says */
  struct tly_buffer said; /* not yet a whole line */
  bool is_answered;
};

static void check_invariants(const tly_ledger_queue *queue) {
  TLY_ASSERT(queue->count <= TLY_LEDGER_JOBS_MAX);
  TLY_ASSERT((queue->process > 0) == (queue->fd >= 0));
  TLY_ASSERT(queue->process == 0 || queue->count > 0);
  for (uint32_t i = 1; i < queue->count; i++)
    TLY_ASSERT(queue->jobs[i]->due.minute_us == 0);
}

static int64_t now(const tly_ledger_queue *queue) {
  return tly_clock_now_us(queue->options.clock);
}

enum tly_status tly_ledger_queue_open(const struct tly_ledger_queue_options *options, tly_ledger_queue **out,
                                      struct tly_error *error) {
  tly_ledger_queue *queue = tly_calloc(1, sizeof *queue);
  queue->options = *options;
  queue->fd = -1;
  tly_break_file_remove(options->settings->directory);
  enum tly_status status = tly_ledger_schedule_open(options->project, options->breaks, tly_clock_now_us(options->clock),
                                                    &queue->schedule, error);
  *out = queue;
  if (status != TLY_OK) {
    tly_ledger_queue_close(queue);
    *out = NULL;
  }
  return status;
}

static void answer(tly_ledger_queue *queue, const struct tly_buffer *line) {
  const struct job *job = queue->jobs[0];
  if (job->client != 0)
    tly_batch_requests_answer(queue->options.requests, job->client, line);
}

static void free_job(struct job *job) {
  tly_free(job->id);
  tly_buffer_free(&job->order);
  tly_arena_free(&job->arena);
  tly_free(job);
}

static void drop_first(tly_ledger_queue *queue) {
  free_job(queue->jobs[0]);
  queue->count--;
  memmove(&queue->jobs[0], &queue->jobs[1], queue->count * sizeof(struct job *));
}

/* Its status, as of waitpid. */
static int wait_for_end(tly_ledger_queue *queue) {
  int how = tly_child_process_wait(queue->process);
  close(queue->fd);
  queue->process = 0;
  queue->fd = -1;
  tly_buffer_clear(&queue->said);
  tly_break_file_remove(queue->options.settings->directory);
  return how;
}

static void say_stopped(tly_ledger_queue *queue) {
  struct tly_error why;
  struct tly_buffer line = {0};
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  tly_reply_error(&line, queue->jobs[0]->id, TLY_RPC_SERVER_ERROR, &why);
  answer(queue, &line);
  tly_buffer_free(&line);
}

void tly_ledger_queue_close(tly_ledger_queue *queue) {
  if (queue == NULL)
    return;
  if (queue->process > 0) {
    kill(queue->process, SIGKILL);
    (void)wait_for_end(queue);
    if (queue->is_answered)
      drop_first(queue);
  }
  for (; queue->count > 0; drop_first(queue))
    say_stopped(queue);
  tly_ledger_schedule_close(queue->schedule);
  tly_buffer_free(&queue->said);
  tly_free(queue);
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

/* The line for the child; it reads no more than a pipe takes at once, so that nobody waits for it here. */
static enum tly_status print_order(const struct job *job, bool wants_progress, struct tly_buffer *out,
                                   struct tly_error *error) {
  struct tly_buffer tolerance = {0};
  tly_decimal_print(job->tolerance, &tolerance);
  json_t *params = json_pack("{s:s,s:s,s:s,s:b}", "view", job->due.view->name, "against", job->due.ledger->name,
                             "tolerance", tly_buffer_text(&tolerance), "progress", wants_progress);
  char *text = json_dumps(params, JSON_COMPACT);
  TLY_ASSERT(text != NULL);
  tly_buffer_print(out, "{\"id\":%s,\"method\":\"reconcile\",\"params\":%s}", job->id, text);
  free(text);
  json_decref(params);
  tly_buffer_free(&tolerance);
  if (out->size < PIPE_BUF)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_TOO_LARGE, "a request to reconcile has less than %d bytes", PIPE_BUF);
}

/* A job of what is wanted; `due` has no minute when somebody asked. */
static enum tly_status make_job(const struct tly_ledger_request *wanted, const char *id, struct tly_ledger_due due,
                                struct job **out, struct tly_error *error) {
  struct job *job = tly_calloc(1, sizeof *job);
  struct tly_buffer tolerance = {0};
  tly_arena_init(&job->arena);
  job->id = tly_strdup(id);
  job->due = due;
  tly_decimal_print(wanted->tolerance, &tolerance);
  enum tly_status status =
      tly_decimal_parse(tly_buffer_text(&tolerance), tolerance.size, &job->arena, &job->tolerance, error);
  if (status == TLY_OK)
    status = print_order(job, wanted->wants_progress, &job->order, error);
  tly_buffer_free(&tolerance);
  *out = job;
  if (status != TLY_OK) {
    free_job(job);
    *out = NULL;
  }
  return status;
}

enum tly_status tly_ledger_queue_add(tly_ledger_queue *queue, uint64_t client, const struct tly_request *request,
                                     struct tly_error *error) {
  struct tly_ledger_request wanted;
  struct tly_arena arena;
  struct job *job = NULL;
  tly_arena_init(&arena);
  enum tly_status status = tly_ledger_request_read(request->params, queue->options.project, &arena, &wanted, error);
  if (status == TLY_OK && queue->count == TLY_LEDGER_JOBS_MAX)
    status =
        TLY_FAIL(error, TLY_E_TOO_MANY, "%d reconciliations with ledgers are waiting already", TLY_LEDGER_JOBS_MAX);
  struct tly_ledger_due asked = {wanted.match.view, wanted.match.ledger, 0};
  if (status == TLY_OK)
    status = make_job(&wanted, request->id, asked, &job, error);
  tly_arena_free(&arena);
  if (status != TLY_OK)
    return status;
  job->client = client;
  queue->jobs[queue->count++] = job;
  return TLY_OK;
}

/* A tolerance that was checked when the project was read. */
static struct tly_decimal tolerance_of(const struct tly_view *view, struct tly_arena *arena) {
  struct tly_decimal tolerance = tly_decimal_of_i64(0, 0);
  if (view->tolerance != NULL)
    TLY_ASSERT(tly_decimal_parse(view->tolerance, strlen(view->tolerance), arena, &tolerance, NULL) == TLY_OK);
  return tolerance;
}

/* What is due is queued when nothing else is. */
static void take_due(tly_ledger_queue *queue) {
  struct tly_ledger_due due;
  struct tly_arena arena;
  struct tly_error error;
  if (queue->count > 0 || !tly_ledger_schedule_take(queue->schedule, now(queue), &due))
    return;
  tly_arena_init(&arena);
  struct tly_ledger_request wanted = {.tolerance = tolerance_of(due.view, &arena)};
  /* Names and a tolerance of a project are never longer than a pipe. */
  TLY_ASSERT(make_job(&wanted, "null", due, &queue->jobs[0], &error) == TLY_OK);
  tly_arena_free(&arena);
  queue->count = 1;
}

static enum tly_status start(tly_ledger_queue *queue, struct tly_error *error) {
  const struct tly_buffer *order = &queue->jobs[0]->order;
  struct tly_child_process started;
  queue->is_answered = false;
  queue->jobs[0]->started_at_us = now(queue);
  TLY_TRY(tly_child_process_start(queue->options.settings, "ledger-child", &started, error));
  queue->process = started.process;
  queue->fd = started.words_fd;
  ssize_t written = write(started.orders_fd, order->data, order->size); /* into an empty pipe: never a part of it */
  (void)written; /* a child that has died already is found by its end */
  close(started.orders_fd);
  return TLY_OK;
}

/* ---- what came out ----------------------------------------------------------------------------------------------- */

static struct tly_ledger_outcome outcome_of(const tly_ledger_queue *queue) {
  const struct job *job = queue->jobs[0];
  return (struct tly_ledger_outcome){.directory = queue->options.settings->directory,
                                     .view = job->due.view,
                                     .ledger = job->due.ledger,
                                     .tolerance = job->tolerance,
                                     .scheduled_for_us = job->due.minute_us,
                                     .started_at_us = job->started_at_us,
                                     .finished_at_us = now(queue)};
}

/* Keep `report`, which is used up, and answer with it. */
static enum tly_status keep(tly_ledger_queue *queue, json_t *report, struct tly_error *error) {
  struct tly_ledger_outcome outcome = outcome_of(queue);
  struct tly_fired_minute fired = {.view = NULL};
  struct tly_buffer line = {0};
  struct tly_error why;
  if (tly_ledger_outcome_check(&outcome, report, &why) != TLY_OK) {
    json_decref(report);
    report = tly_ledger_outcome_failed(&outcome, &why);
  }
  if (outcome.scheduled_for_us != 0)
    fired = tly_ledger_schedule_end(queue->schedule, &queue->jobs[0]->due, tly_ledger_outcome_is_complete(report),
                                    outcome.finished_at_us);
  tly_buffer_print(&line, "{\"id\":%s,\"result\":", queue->jobs[0]->id);
  enum tly_status status = tly_ledger_outcome_keep(&outcome, queue->options.breaks, fired, report, &line, error);
  tly_buffer_append_text(&line, "}\n");
  if (status == TLY_OK) {
    tly_break_file_remove(queue->options.settings->directory); /* the child has said its last word */
    answer(queue, &line);
    queue->is_answered = true;
  }
  tly_buffer_free(&line);
  json_decref(report);
  return status;
}

static enum tly_status keep_failure(tly_ledger_queue *queue, const struct tly_error *why, struct tly_error *error) {
  struct tly_ledger_outcome outcome = outcome_of(queue);
  return keep(queue, tly_ledger_outcome_failed(&outcome, why), error);
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

/* `line` ends with its line end. */
static enum tly_status hear_line(tly_ledger_queue *queue, struct tly_buffer *line, struct tly_error *error) {
  const struct job *job = queue->jobs[0];
  struct tly_error why;
  enum tly_status status = TLY_OK;
  json_t *said = json_loadb((const char *)line->data, line->size, JSON_ALLOW_NUL, NULL);
  json_t *report = json_object_get(said, "result");
  if (queue->is_answered)
    status = TLY_OK; /* it has said its last word */
  else if (json_object_get(said, "progress") != NULL)
    tly_batch_requests_tell(queue->options.requests, job->client, tly_buffer_text(line));
  else if (report != NULL)
    status = keep(queue, json_incref(report), error);
  else {
    (void)tly_client_error(said, &why);
    status = keep_failure(queue, &why, error);
  }
  json_decref(said);
  return status;
}

static enum tly_status hear_lines(tly_ledger_queue *queue, struct tly_error *error) {
  const uint8_t *end;
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && queue->said.size > 0 && (end = memchr(queue->said.data, '\n', queue->said.size)) != NULL) {
    size_t size = (size_t)(end - queue->said.data) + 1;
    struct tly_buffer line = {0};
    tly_buffer_append(&line, queue->said.data, size);
    tly_buffer_consume(&queue->said, size);
    status = hear_line(queue, &line, error);
    tly_buffer_free(&line);
  }
  return status;
}

/* The child has closed its end, or says what no child of ours would. */
static enum tly_status conclude(tly_ledger_queue *queue, struct tly_error *error) {
  struct tly_error why;
  enum tly_status status = TLY_OK;
  kill(queue->process, SIGKILL);
  int how = wait_for_end(queue);
  if (!queue->is_answered) {
    if (WIFSIGNALED(how))
      (void)TLY_FAIL(&why, TLY_E_INTERNAL, "the reconciliation was ended by signal %d (%s)", WTERMSIG(how),
                     strsignal(WTERMSIG(how)));
    else
      (void)TLY_FAIL(&why, TLY_E_INTERNAL, "the reconciliation ended with status %d without a word", WEXITSTATUS(how));
    status = keep_failure(queue, &why, error);
  }
  drop_first(queue);
  return status;
}

static enum tly_status hear(tly_ledger_queue *queue, struct tly_error *error) {
  for (;;) {
    ssize_t count = read(queue->fd, tly_buffer_reserve(&queue->said, READ_BYTES), READ_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return TLY_OK;
    if (count > 0) {
      queue->said.size += (size_t)count;
      TLY_TRY(hear_lines(queue, error));
    }
    if (count <= 0 || queue->said.size > TLY_LINE_BYTES_MAX)
      return conclude(queue, error);
  }
}

enum tly_status tly_ledger_queue_go_on(tly_ledger_queue *queue, struct tly_error *error) {
  struct tly_error why;
  check_invariants(queue);
  if (queue->process > 0)
    TLY_TRY(hear(queue, error));
  take_due(queue);
  while (queue->process == 0 && queue->count > 0 && start(queue, &why) != TLY_OK) {
    TLY_TRY(keep_failure(queue, &why, error));
    drop_first(queue);
  }
  check_invariants(queue);
  return TLY_OK;
}

int tly_ledger_queue_fd(const tly_ledger_queue *queue) {
  return queue->fd;
}

bool tly_ledger_queue_is_idle(const tly_ledger_queue *queue) {
  return queue->count == 0;
}
