#include "batch_layer/ledger_main.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "batch_layer/ledger_job.h"
#include "common/base/clock.h"
#include "common/base/crash_point.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "common/wire/request.h"

enum { PROGRESS_US = 100000 };

struct child {
  const struct tly_settings *settings;
  struct tly_project *project;
  struct tly_arena arena;
  struct tly_request request;
  struct tly_ledger_request wanted;
  int64_t said_at_us;
};

/* ---- what is wanted ---------------------------------------------------------------------------------------------- */

/* The request's own, else the view's, else none. */
static enum tly_status read_tolerance(const json_t *params, const struct tly_view *view, struct tly_arena *arena,
                                      struct tly_decimal *out, struct tly_error *error) {
  const char *text = view->tolerance != NULL ? view->tolerance : "0";
  TLY_TRY(tly_param_text(params, "tolerance", &text, error));
  if (tly_decimal_parse(text, strlen(text), arena, out, NULL) == TLY_OK && tly_decimal_sign(*out) >= 0)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "a tolerance is an amount of 0 or more, as \"0.05\", not \"%s\"",
                  text);
}

enum tly_status tly_ledger_request_read(const json_t *params, const struct tly_project *project,
                                        struct tly_arena *arena, struct tly_ledger_request *out,
                                        struct tly_error *error) {
  const char *view_name = "", *ledger_name = "";
  *out = (struct tly_ledger_request){.wants_progress = false};
  TLY_TRY(tly_param_text(params, "view", &view_name, error));
  TLY_TRY(tly_param_text(params, "against", &ledger_name, error));
  TLY_TRY(tly_param_boolean(params, "progress", &out->wants_progress, error));
  const struct tly_view *view = tly_project_view(project, view_name);
  if (view == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "view \"%s\" does not exist", view_name);
  TLY_TRY(read_tolerance(params, view, arena, &out->tolerance, error));
  const struct tly_ledger *ledger = tly_project_ledger(project, ledger_name);
  if (ledger == NULL) {
    (void)TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "ledger \"%s\" does not exist", ledger_name);
    tly_error_hint(error, "a ledger is a CREATE FOREIGN TABLE on a server of postgres, sqlite or file");
    return TLY_E_UNDEFINED_TABLE;
  }
  return tly_ledger_match(view, ledger, arena, &out->match, error);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* A parent that is gone has taken us with it, so a failed write means nothing. */
static void say(const struct tly_buffer *line) {
  size_t done = 0;
  while (done < line->size) {
    ssize_t count = write(STDOUT_FILENO, line->data + done, line->size - done);
    if (count < 0 && errno != EINTR)
      return;
    done += count > 0 ? (size_t)count : 0;
  }
}

static void say_progress(void *context, const char *stage, uint64_t done) {
  struct child *child = context;
  struct tly_buffer line = {0};
  int64_t now = tly_clock_monotonic_us(&tly_clock_real);
  if (!child->wanted.wants_progress || now - child->said_at_us < PROGRESS_US)
    return;
  child->said_at_us = now;
  tly_buffer_print(&line, "{\"id\":%s,\"progress\":{\"stage\":\"%s\",\"done\":%" PRIu64 ",\"all\":0}}\n",
                   child->request.id, stage, done);
  say(&line);
  tly_buffer_free(&line);
}

static void say_error(const struct child *child, const struct tly_error *error) {
  struct tly_buffer line = {0};
  tly_log(TLY_LOG_ERROR, "reconciliation failed", "error=\"%s\"", error->message);
  tly_reply_error(&line, child->request.id != NULL ? child->request.id : "null", TLY_RPC_SERVER_ERROR, error);
  say(&line);
  tly_buffer_free(&line);
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

static enum tly_status read_request(struct child *child, struct tly_error *error) {
  char line[PIPE_BUF];
  size_t size = 0;
  int code;
  for (;;) {
    ssize_t count = read(STDIN_FILENO, line + size, sizeof line - size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    size += (size_t)count;
  }
  TLY_TRY(tly_request_parse(line, size, &child->request, &code, error));
  return tly_ledger_request_read(child->request.params, child->project, &child->arena, &child->wanted, error);
}

static enum tly_status keep_break(void *context, const struct tly_break_record *record, struct tly_error *error) {
  return tly_break_writer_add(context, record, error);
}

/* The reply without its breaks; those are in the file when it comes. */
static enum tly_status reconcile(struct child *child, tly_break_writer *breaks, struct tly_error *error) {
  const struct tly_settings *settings = child->settings;
  struct tly_buffer line = {0};
  struct tly_ledger_job job = {.directory = settings->directory,
                               .folder = settings->ledger_folder != NULL ? settings->ledger_folder : settings->project,
                               .project = child->project,
                               .match = &child->wanted.match,
                               .tolerance = child->wanted.tolerance,
                               .breaks = {.add = keep_break, .context = breaks},
                               .wait_ms = TLY_DRIFT_WAIT_MS,
                               .progress = say_progress,
                               .context = child};
  tly_buffer_print(&line, "{\"id\":%s,\"result\":", child->request.id);
  tly_ledger_job_run(&job, &line);
  tly_buffer_append_text(&line, "}\n");
  enum tly_status status = tly_break_writer_flush(breaks, error);
  if (status == TLY_OK && line.size > TLY_LEDGER_REPORT_BYTES)
    status = TLY_FAIL(error, TLY_E_TOO_LARGE, "the totals of so many currencies and columns are more than %d bytes",
                      TLY_LEDGER_REPORT_BYTES);
  tly_crash_point("reconcile.before_report");
  if (status == TLY_OK)
    say(&line);
  tly_buffer_free(&line);
  return status;
}

int tly_ledger_main(const struct tly_settings *settings) {
  struct child child = {.settings = settings};
  tly_break_writer *breaks = NULL;
  struct tly_error error = TLY_ERROR_NONE;
  tly_process_setup("reconcile", true);
  tly_sqlite_setup();
  tly_arena_init(&child.arena);
  enum tly_status status = tly_project_load_or_complain(settings->project, &child.project, &error);
  if (status == TLY_OK)
    status = read_request(&child, &error);
  if (status == TLY_OK)
    status = tly_break_writer_open(settings->directory, &breaks, &error);
  if (status == TLY_OK)
    status = reconcile(&child, breaks, &error);
  if (status != TLY_OK)
    say_error(&child, &error);
  tly_break_writer_close(breaks);
  tly_request_free(&child.request);
  tly_arena_free(&child.arena);
  if (child.project != NULL)
    tly_project_free(child.project);
  return status == TLY_OK ? 0 : 1;
}
