/* The child says what its client is to get, line by line, so lines are passed on as they are: progress when the client
 * keeps up, then one reply. A child that ends without one is answered for. */
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
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum { READ_BYTES = 16 << 10 };

struct job {
  uint64_t client;
  char *id;
  struct tly_buffer order; /* the request line for the child */
};

struct tly_ledger_queue {
  const struct tly_settings *settings;
  const struct tly_project *project;
  tly_batch_requests *requests;
  struct job jobs[TLY_LEDGER_JOBS_MAX]; /* in order of arrival */
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
}

tly_ledger_queue *tly_ledger_queue_new(const struct tly_settings *settings, const struct tly_project *project,
                                       tly_batch_requests *requests) {
  tly_ledger_queue *queue = tly_calloc(1, sizeof *queue);
  queue->settings = settings;
  queue->project = project;
  queue->requests = requests;
  queue->fd = -1;
  return queue;
}

static void answer_error(tly_ledger_queue *queue, const struct tly_error *error) {
  struct tly_buffer reply = {0};
  tly_reply_error(&reply, queue->jobs[0].id, TLY_RPC_SERVER_ERROR, error);
  tly_batch_requests_answer(queue->requests, queue->jobs[0].client, &reply);
  tly_buffer_free(&reply);
}

static void drop_first(tly_ledger_queue *queue) {
  tly_free(queue->jobs[0].id);
  tly_buffer_free(&queue->jobs[0].order);
  queue->count--;
  memmove(&queue->jobs[0], &queue->jobs[1], queue->count * sizeof *queue->jobs);
}

/* Its status, as of waitpid. */
static int wait_for_end(tly_ledger_queue *queue) {
  int how = tly_child_process_wait(queue->process);
  close(queue->fd);
  queue->process = 0;
  queue->fd = -1;
  tly_buffer_clear(&queue->said);
  return how;
}

void tly_ledger_queue_free(tly_ledger_queue *queue) {
  struct tly_error why;
  if (queue == NULL)
    return;
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  if (queue->process > 0) {
    kill(queue->process, SIGKILL);
    (void)wait_for_end(queue);
    if (queue->is_answered)
      drop_first(queue);
  }
  for (; queue->count > 0; drop_first(queue))
    answer_error(queue, &why);
  tly_buffer_free(&queue->said);
  tly_free(queue);
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

/* The line for the child; it reads no more than a pipe takes at once, so that nobody waits for it here. */
static enum tly_status print_order(const struct tly_request *request, struct tly_buffer *out, struct tly_error *error) {
  char *params = json_dumps(request->params, JSON_COMPACT);
  TLY_ASSERT(params != NULL);
  tly_buffer_print(out, "{\"id\":%s,\"method\":\"reconcile\",\"params\":%s}", request->id, params);
  free(params);
  if (out->size < PIPE_BUF)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_TOO_LARGE, "a request to reconcile has less than %d bytes", PIPE_BUF);
}

enum tly_status tly_ledger_queue_add(tly_ledger_queue *queue, uint64_t client, const struct tly_request *request,
                                     struct tly_error *error) {
  struct tly_ledger_request wanted;
  struct tly_arena arena;
  tly_arena_init(&arena);
  enum tly_status status = tly_ledger_request_read(request->params, queue->project, &arena, &wanted, error);
  tly_arena_free(&arena);
  if (status != TLY_OK)
    return status;
  if (queue->count == TLY_LEDGER_JOBS_MAX)
    return TLY_FAIL(error, TLY_E_TOO_MANY, "%d reconciliations with ledgers are waiting already", TLY_LEDGER_JOBS_MAX);
  struct job job = {.client = client};
  status = print_order(request, &job.order, error);
  if (status != TLY_OK) {
    tly_buffer_free(&job.order);
    return status;
  }
  job.id = tly_strdup(request->id);
  queue->jobs[queue->count++] = job;
  return TLY_OK;
}

static enum tly_status start(tly_ledger_queue *queue, struct tly_error *error) {
  const struct tly_buffer *order = &queue->jobs[0].order;
  struct tly_child_process started;
  TLY_TRY(tly_child_process_start(queue->settings, "ledger-child", &started, error));
  queue->process = started.process;
  queue->fd = started.words_fd;
  queue->is_answered = false;
  ssize_t written = write(started.orders_fd, order->data, order->size); /* into an empty pipe: never a part of it */
  (void)written; /* a child that has died already is found by its end */
  close(started.orders_fd);
  return TLY_OK;
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

static bool is_progress(const struct job *job, const char *line) {
  struct tly_buffer prefix = {0};
  tly_buffer_print(&prefix, "{\"id\":%s,\"progress\":", job->id);
  bool is_one = strncmp(line, (const char *)prefix.data, prefix.size) == 0;
  tly_buffer_free(&prefix);
  return is_one;
}

/* `line` ends with its line end. */
static void pass_line(tly_ledger_queue *queue, struct tly_buffer *line) {
  const struct job *job = &queue->jobs[0];
  if (queue->is_answered)
    return;
  if (is_progress(job, tly_buffer_text(line))) {
    tly_batch_requests_tell(queue->requests, job->client, tly_buffer_text(line));
  } else {
    tly_batch_requests_answer(queue->requests, job->client, line);
    queue->is_answered = true;
  }
}

static void pass_lines(tly_ledger_queue *queue) {
  const uint8_t *end;
  while (queue->said.size > 0 && (end = memchr(queue->said.data, '\n', queue->said.size)) != NULL) {
    size_t size = (size_t)(end - queue->said.data) + 1;
    struct tly_buffer line = {0};
    tly_buffer_append(&line, queue->said.data, size);
    tly_buffer_consume(&queue->said, size);
    pass_line(queue, &line);
    tly_buffer_free(&line);
  }
}

/* The child has closed its end, or says what no child of ours would. */
static void conclude(tly_ledger_queue *queue) {
  struct tly_error why;
  kill(queue->process, SIGKILL);
  int how = wait_for_end(queue);
  if (!queue->is_answered) {
    if (WIFSIGNALED(how))
      (void)TLY_FAIL(&why, TLY_E_INTERNAL, "the reconciliation was ended by signal %d (%s)", WTERMSIG(how),
                     strsignal(WTERMSIG(how)));
    else
      (void)TLY_FAIL(&why, TLY_E_INTERNAL, "the reconciliation ended with status %d without a word", WEXITSTATUS(how));
    tly_log(TLY_LOG_ERROR, "reconciliation failed", "error=\"%s\"", why.message);
    answer_error(queue, &why);
  }
  drop_first(queue);
}

static void hear(tly_ledger_queue *queue) {
  for (;;) {
    ssize_t count = read(queue->fd, tly_buffer_reserve(&queue->said, READ_BYTES), READ_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return;
    if (count > 0) {
      queue->said.size += (size_t)count;
      pass_lines(queue);
    }
    if (count <= 0 || queue->said.size > TLY_LINE_BYTES_MAX) {
      conclude(queue);
      return;
    }
  }
}

void tly_ledger_queue_go_on(tly_ledger_queue *queue) {
  struct tly_error why;
  check_invariants(queue);
  if (queue->process > 0)
    hear(queue);
  while (queue->process == 0 && queue->count > 0 && start(queue, &why) != TLY_OK) {
    answer_error(queue, &why);
    drop_first(queue);
  }
  check_invariants(queue);
}

int tly_ledger_queue_fd(const tly_ledger_queue *queue) {
  return queue->fd;
}

bool tly_ledger_queue_is_idle(const tly_ledger_queue *queue) {
  return queue->count == 0;
}
