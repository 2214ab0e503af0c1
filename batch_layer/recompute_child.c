#include "batch_layer/recompute_child.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/child_process.h"
#include "common/base/assert.h"
#include "common/base/limits.h"

enum { READ_BYTES = 4096, SAID_BYTES_MAX = TLY_LINE_BYTES_MAX };

/* Its status, as of waitpid. */
static int wait_for_end(struct tly_recompute_child *child) {
  int how = tly_child_process_wait(child->process);
  if (child->state == TLY_CHILD_WAITING)
    close(child->orders_fd);
  close(child->fd);
  tly_buffer_free(&child->said);
  memset(child, 0, sizeof *child);
  return how;
}

/* ---- its beginning ----------------------------------------------------------------------------------------------- */

enum tly_status tly_recompute_child_prepare(struct tly_recompute_child *child, const struct tly_settings *settings,
                                            struct tly_error *error) {
  struct tly_child_process started;
  TLY_ASSERT(child->state == TLY_CHILD_NONE);
  TLY_TRY(tly_child_process_start(settings, "recompute-child", &started, error));
  *child = (struct tly_recompute_child){
      .state = TLY_CHILD_WAITING, .process = started.process, .orders_fd = started.orders_fd, .fd = started.words_fd};
  return TLY_OK;
}

/* False: it did not take it, since it has ended. */
static bool give_run(struct tly_recompute_child *child, int64_t run) {
  char order[32];
  TLY_ASSERT(child->state == TLY_CHILD_WAITING);
  int size = snprintf(order, sizeof order, "%" PRId64 "\n", run);
  bool is_taken = write(child->orders_fd, order, (size_t)size) == size; /* into an empty pipe: never a part of it */
  close(child->orders_fd);
  child->state = TLY_CHILD_WORKING;
  return is_taken;
}

enum tly_status tly_recompute_child_start(struct tly_recompute_child *child, const struct tly_settings *settings,
                                          int64_t run, struct tly_error *error) {
  TLY_ASSERT(child->state != TLY_CHILD_WORKING);
  if (child->state == TLY_CHILD_WAITING && give_run(child, run))
    return TLY_OK;
  if (child->state != TLY_CHILD_NONE)
    wait_for_end(child);
  TLY_TRY(tly_recompute_child_prepare(child, settings, error));
  (void)give_run(child, run); /* why it has ended, if it has, will be its last word */
  return TLY_OK;
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

static enum tly_status status_of_sqlstate(const char *sqlstate) {
  for (int status = 1; status < TLY_STATUS_COUNT; status++)
    if (sqlstate != NULL && strcmp(tly_status_sqlstate((enum tly_status)status), sqlstate) == 0)
      return (enum tly_status)status;
  return TLY_E_INTERNAL;
}

static void take_line(struct tly_recompute_child *child, const char *line, size_t size,
                      void (*progress)(void *, const char *, int64_t, int64_t), void *context) {
  json_t *root = json_loadb(line, size, 0, NULL);
  const json_t *failure = json_object_get(root, "error");
  const char *stage = json_string_value(json_object_get(root, "stage"));
  const char *message = json_string_value(json_object_get(failure, "message"));
  if (stage != NULL) {
    progress(context, stage, json_integer_value(json_object_get(root, "done")),
             json_integer_value(json_object_get(root, "all")));
  } else if (message != NULL) {
    child->has_error = true;
    (void)TLY_FAIL(&child->error, status_of_sqlstate(json_string_value(json_object_get(failure, "sqlstate"))), "%s",
                   message);
  } else {
    child->has_manifest = tly_run_hash_parse(json_string_value(json_object_get(root, "manifest")), &child->manifest);
  }
  json_decref(root);
}

static void take_lines(struct tly_recompute_child *child, void (*progress)(void *, const char *, int64_t, int64_t),
                       void *context) {
  const uint8_t *end;
  while (child->said.size > 0 && (end = memchr(child->said.data, '\n', child->said.size)) != NULL) {
    size_t size = (size_t)(end - child->said.data);
    take_line(child, (const char *)child->said.data, size, progress, context);
    tly_buffer_consume(&child->said, size + 1);
  }
}

static enum tly_status last_word(const struct tly_recompute_child *child, struct tly_error *error) {
  if (child->has_manifest)
    return TLY_OK;
  if (error != NULL)
    *error = child->error;
  return child->error.status;
}

/* It has closed its end without a last word: tell how it ended. */
static enum tly_status conclude(struct tly_recompute_child *child, struct tly_error *error) {
  int how = wait_for_end(child);
  if (WIFSIGNALED(how))
    return TLY_FAIL(error, TLY_E_INTERNAL, "the recompute was ended by signal %d (%s)", WTERMSIG(how),
                    strsignal(WTERMSIG(how)));
  return TLY_FAIL(error, TLY_E_INTERNAL, "the recompute ended with status %d without a word", WEXITSTATUS(how));
}

enum tly_status tly_recompute_child_read(struct tly_recompute_child *child,
                                         void (*progress)(void *context, const char *stage, int64_t done, int64_t all),
                                         void *context, bool *ended, struct tly_error *error) {
  *ended = false;
  TLY_ASSERT(child->state == TLY_CHILD_WORKING);
  for (;;) {
    ssize_t count = read(child->fd, tly_buffer_reserve(&child->said, READ_BYTES), READ_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return TLY_OK;
    if (count <= 0)
      break;
    child->said.size += (size_t)count;
    take_lines(child, progress, context);
    if (child->has_manifest || child->has_error) {
      *ended = true;
      child->state = TLY_CHILD_LEAVING;
      return last_word(child, error);
    }
    if (child->said.size > SAID_BYTES_MAX)
      break; /* not a child of ours */
  }
  *ended = true;
  if (child->said.size > SAID_BYTES_MAX)
    kill(child->process, SIGKILL);
  return conclude(child, error);
}

/* ---- its end ----------------------------------------------------------------------------------------------------- */

bool tly_recompute_child_is_gone(struct tly_recompute_child *child, int *how) {
  char ignored[READ_BYTES]; /* one that waits may have said why it cannot */
  ssize_t count;
  TLY_ASSERT(child->state == TLY_CHILD_WAITING || child->state == TLY_CHILD_LEAVING);
  do
    count = read(child->fd, ignored, sizeof ignored);
  while (count > 0 || (count < 0 && errno == EINTR));
  if (count < 0)
    return false;
  int status = wait_for_end(child);
  if (how != NULL)
    *how = status;
  return true;
}

void tly_recompute_child_kill(struct tly_recompute_child *child) {
  if (child->state == TLY_CHILD_NONE)
    return;
  kill(child->process, SIGKILL);
  (void)wait_for_end(child);
}
