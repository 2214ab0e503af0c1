/* One loop over descriptors: requests, what the run under way waits for, reconciliations with ledgers. Why a run begins
 * and what is done about one that has ended is decided here; the run itself is seen through by run_stages.
 *
 * When a request cannot begin (no archiver) it is told so. A schedule or a definition tries again, at longer and longer
 * intervals: nobody stands there to ask again. When a run has failed, its definition's watch or its schedule has
 * another one begun later. */
#include "batch_layer/scheduler.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "batch_layer/batch_requests.h"
#include "batch_layer/batch_store.h"
#include "batch_layer/break_request.h"
#include "batch_layer/break_store.h"
#include "batch_layer/definition_watch.h"
#include "batch_layer/ledger_queue.h"
#include "batch_layer/publish_orders.h"
#include "batch_layer/retry_delay.h"
#include "batch_layer/rollback.h"
#include "batch_layer/run_control.h"
#include "batch_layer/run_queue.h"
#include "batch_layer/run_reply.h"
#include "batch_layer/run_request.h"
#include "batch_layer/run_retention.h"
#include "batch_layer/run_schedule.h"
#include "batch_layer/run_stages.h"
#include "batch_layer/speed_watch.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/batch_reader.h"

enum { CUT_TIMEOUT_MS = 30000, DEFINITION_WAIT_MS = 10000, ORDERS_POLL_MS = 20 };

enum { STOP, LEDGERS, STAGES, CLIENTS = STAGES + TLY_RUN_STAGES_DESCRIPTORS }; /* descriptors */

struct tly_scheduler {
  struct tly_scheduler_options options;
  const char *directory;
  tly_batch_store *store;
  tly_batch_reader *reader;
  tly_batch_requests *requests;
  tly_ledger_queue *ledgers; /* reconciliations with ledgers, beside the run */
  tly_break_store *breaks;
  tly_run_schedule *schedule;
  tly_definition_watch *definitions;
  tly_run_stages *stages;     /* the run under way */
  tly_publish_orders *orders; /* held runs that an operator publishes, beside it */
  tly_rollbacks *rollbacks;   /* decisions to go back, and who waits for the speed layer to do so */
  struct tly_speed_watch speed;
  struct tly_run_queue queue;
  enum tly_status broken; /* batch.db failed while a request was dealt with: the next turn says so */
  struct tly_error broken_why;
};

static int64_t monotonic(const tly_scheduler *scheduler) {
  return tly_clock_monotonic_us(scheduler->options.clock);
}

static int64_t now(const tly_scheduler *scheduler) {
  return tly_clock_now_us(scheduler->options.clock);
}

struct tly_scheduler_options tly_scheduler_defaults(const struct tly_settings *settings,
                                                    const struct tly_project *project) {
  return (struct tly_scheduler_options){.settings = settings,
                                        .project = project,
                                        .clock = &tly_clock_real,
                                        .cut_timeout_ms = CUT_TIMEOUT_MS,
                                        .publish_wait_ms = TLY_DRIFT_WAIT_MS,
                                        .definition_wait_ms = DEFINITION_WAIT_MS};
}

/* ---- what becomes of them ---------------------------------------------------------------------------------------- */

/* Delete what is no longer kept, if speed.db says what is published. */
static enum tly_status clean_up(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  const struct tly_settings *settings = scheduler->options.settings;
  struct tly_published published[TLY_VIEWS_MAX];
  bool known[TLY_VIEWS_MAX] = {false};
  int64_t runs[TLY_VIEWS_MAX];
  if (!tly_speed_watch_look(&scheduler->speed, published, known))
    return TLY_OK;
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!known[v])
      return TLY_OK;
    runs[v] = published[v].run;
  }
  struct tly_run_retention retention = {.directory = scheduler->directory,
                                        .project = project,
                                        .store = scheduler->store,
                                        .reader = scheduler->reader,
                                        .keep_runs = settings->keep_runs > 0 ? (uint32_t)settings->keep_runs : 1};
  return tly_run_retention_apply(&retention, runs, error);
}

/* It is tried again, unless somebody asked for it, who was told. */
static void put_back(tly_scheduler *scheduler, struct tly_run_job *job) {
  if (strcmp(job->reason, TLY_REASON_MANUAL) == 0) {
    tly_run_job_free(job);
    return;
  }
  job->not_before_us = monotonic(scheduler) + tly_retry_delay_us(++job->refusals);
  tly_run_schedule_put_back(scheduler->schedule, job, &scheduler->queue);
}

static enum tly_status deal_with_cancelled(tly_scheduler *scheduler, const struct tly_run_end *end,
                                           struct tly_error *error) {
  tly_definition_watch_cancelled(scheduler->definitions, end->job->views);
  return end->run != 0 ? tly_run_schedule_ended(scheduler->schedule, now(scheduler), end->job, end->run,
                                                TLY_SCHEDULE_CANCELLED, error)
                       : tly_run_schedule_dropped(scheduler->schedule, end->job, error);
}

static void note_end(tly_definition_watch *definitions, enum tly_run_outcome outcome, const bool *views) {
  if (outcome == TLY_RUN_FAILED)
    tly_definition_watch_failed(definitions, views);
  else if (outcome == TLY_RUN_HELD)
    tly_definition_watch_held(definitions, views);
  else
    tly_definition_watch_covered(definitions, views);
}

static enum tly_status deal_with_end(tly_scheduler *scheduler, struct tly_run_end end, struct tly_error *error) {
  enum tly_status status = TLY_OK;
  if (end.outcome == TLY_RUN_NOT_BEGUN) {
    put_back(scheduler, end.job);
    return TLY_OK;
  }
  if (end.outcome == TLY_RUN_CANCELLED) {
    status = deal_with_cancelled(scheduler, &end, error);
  } else {
    note_end(scheduler->definitions, end.outcome, end.job->views);
    status = tly_run_schedule_ended(scheduler->schedule, now(scheduler), end.job, end.run,
                                    end.outcome == TLY_RUN_FAILED ? TLY_SCHEDULE_FAILED : TLY_SCHEDULE_SERVED, error);
  }
  tly_run_job_free(end.job);
  return status == TLY_OK && (end.outcome == TLY_RUN_PUBLISHED || end.outcome == TLY_RUN_HELD)
             ? clean_up(scheduler, error)
             : status;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static enum tly_status control(tly_scheduler *scheduler, uint64_t client, const struct tly_request *request,
                               struct tly_error *error) {
  struct tly_run_control parts = {.project = scheduler->options.project,
                                  .clock = scheduler->options.clock,
                                  .queue = &scheduler->queue,
                                  .schedule = scheduler->schedule,
                                  .stages = scheduler->stages,
                                  .requests = scheduler->requests};
  struct tly_run_end end;
  TLY_TRY(tly_run_control_handle(&parts, client, request, &end, error));
  return end.job != NULL ? deal_with_end(scheduler, end, error) : TLY_OK;
}

static enum tly_status queue_request(tly_scheduler *scheduler, uint64_t client, const struct tly_request *request,
                                     struct tly_error *error) {
  if (request->method == TLY_METHOD_PUBLISH)
    return tly_publish_orders_add(scheduler->orders, client, request, error);
  if (request->method == TLY_METHOD_ROLLBACK)
    return tly_rollbacks_add(scheduler->rollbacks, client, request, error);
  if (request->method != TLY_METHOD_RECOMPUTE && request->method != TLY_METHOD_RECONCILE)
    return TLY_FAIL(
        error, TLY_E_NOT_SUPPORTED,
        "the batch layer answers recompute, reconcile, publish, rollback, break, pause, resume, cancel and queue only");
  if (request->method == TLY_METHOD_RECONCILE && json_object_get(request->params, "against") != NULL)
    return tly_ledger_queue_add(scheduler->ledgers, client, request, error);
  return tly_run_request_queue(&scheduler->queue, scheduler->options.project, now(scheduler), client, request, error);
}

/* What an operator decides about breaks, schedules and runs is done at once. A failure is one of batch.db. */
static enum tly_status decide(tly_scheduler *scheduler, uint64_t client, const struct tly_request *request,
                              struct tly_error *error) {
  if (request->method == TLY_METHOD_BREAK)
    return tly_break_request_serve(scheduler->breaks, scheduler->requests, client, request, now(scheduler), error);
  return control(scheduler, client, request, error);
}

static void handle_request(void *context, uint64_t client, const struct tly_request *request) {
  tly_scheduler *scheduler = context;
  struct tly_error error = TLY_ERROR_NONE;
  if (request->method == TLY_METHOD_BREAK || tly_run_control_takes(request->method)) {
    if (scheduler->broken == TLY_OK)
      scheduler->broken = decide(scheduler, client, request, &scheduler->broken_why);
    return;
  }
  enum tly_status status = queue_request(scheduler, client, request, &error);
  if (status == TLY_OK)
    return;
  int code = status == TLY_E_NOT_SUPPORTED ? TLY_RPC_METHOD_NOT_FOUND
             : status == TLY_E_TOO_MANY    ? TLY_RPC_SERVER_ERROR
                                           : TLY_RPC_INVALID_PARAMS;
  tly_run_reply_error(scheduler->requests, client, request->id, code, &error);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void begin_next(tly_scheduler *scheduler, struct tly_run_end *end) {
  struct tly_run_job *job = tly_run_queue_take(&scheduler->queue, monotonic(scheduler));
  end->job = NULL;
  if (job == NULL)
    return;
  tly_run_schedule_prepare(scheduler->schedule, now(scheduler), job);
  tly_run_stages_begin(scheduler->stages, job, end);
}

static enum tly_status go_on(tly_scheduler *scheduler, const struct pollfd *polled, struct tly_error *error) {
  struct tly_run_end end = {.job = NULL};
  (void)tly_run_schedule_queue(scheduler->schedule, now(scheduler), &scheduler->queue);
  if (tly_run_stages_is_idle(scheduler->stages)) {
    tly_definition_watch_queue(scheduler->definitions, now(scheduler), &scheduler->queue);
    begin_next(scheduler, &end);
  } else {
    TLY_TRY(tly_run_stages_go_on(scheduler->stages, polled + STAGES, &end, error));
  }
  if (end.job != NULL)
    TLY_TRY(deal_with_end(scheduler, end, error));
  TLY_TRY(tly_publish_orders_go_on(scheduler->orders, error));
  tly_run_stages_tend_child(scheduler->stages);
  TLY_TRY(tly_rollbacks_go_on(scheduler->rollbacks, error));
  return tly_ledger_queue_go_on(scheduler->ledgers, error);
}

enum tly_status tly_scheduler_turn(tly_scheduler *scheduler, int timeout_ms, struct tly_error *error) {
  struct pollfd polled[CLIENTS + TLY_BATCH_CLIENTS_MAX + 1];
  polled[STOP] = (struct pollfd){.fd = tly_process_stop_fd(), .events = POLLIN};
  polled[LEDGERS] = (struct pollfd){.fd = tly_ledger_queue_fd(scheduler->ledgers), .events = POLLIN};
  tly_run_stages_poll(scheduler->stages, polled + STAGES, &timeout_ms);
  bool has_orders = !tly_publish_orders_is_idle(scheduler->orders) || !tly_rollbacks_is_idle(scheduler->rollbacks);
  if (has_orders && timeout_ms > ORDERS_POLL_MS)
    timeout_ms = ORDERS_POLL_MS;
  uint32_t clients = tly_batch_requests_poll(scheduler->requests, polled + CLIENTS);
  if (poll(polled, CLIENTS + clients, timeout_ms) < 0 && errno != EINTR)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "poll");
  tly_batch_requests_serve(scheduler->requests, polled + CLIENTS, clients);
  if (scheduler->broken != TLY_OK) {
    *error = scheduler->broken_why;
    return scheduler->broken;
  }
  return go_on(scheduler, polled, error);
}

bool tly_scheduler_is_idle(const tly_scheduler *scheduler) {
  return tly_run_stages_is_idle(scheduler->stages) && scheduler->queue.count == 0 &&
         tly_ledger_queue_is_idle(scheduler->ledgers) && tly_publish_orders_is_idle(scheduler->orders) &&
         tly_rollbacks_is_idle(scheduler->rollbacks);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static enum tly_status open_stores(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  TLY_TRY(tly_file_make_folder(scheduler->directory, error));
  TLY_TRY(tly_batch_store_open(scheduler->directory, now(scheduler), &scheduler->store, error));
  TLY_TRY(tly_break_store_open(scheduler->store, &scheduler->breaks, error));
  TLY_TRY(tly_batch_reader_open(scheduler->directory, project, &scheduler->reader, error));
  TLY_TRY(
      tly_run_schedule_open(project, scheduler->store, scheduler->reader, now(scheduler), &scheduler->schedule, error));
  struct tly_definition_watch_options watch = {.directory = scheduler->directory,
                                               .project = project,
                                               .clock = scheduler->options.clock,
                                               .speed = &scheduler->speed,
                                               .wait_ms = scheduler->options.definition_wait_ms};
  return tly_definition_watch_open(&watch, scheduler->reader, &scheduler->definitions, error);
}

static enum tly_status open_stages(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_scheduler_options *options = &scheduler->options;
  struct tly_run_stages_options stages = {.settings = options->settings,
                                          .project = options->project,
                                          .clock = options->clock,
                                          .store = scheduler->store,
                                          .requests = scheduler->requests,
                                          .speed = &scheduler->speed,
                                          .cut_timeout_ms = options->cut_timeout_ms,
                                          .publish_wait_ms = options->publish_wait_ms};
  return tly_run_stages_open(&stages, &scheduler->stages, error);
}

static void open_orders(tly_scheduler *scheduler) {
  struct tly_publish_orders_options orders = {.directory = scheduler->directory,
                                              .project = scheduler->options.project,
                                              .clock = scheduler->options.clock,
                                              .store = scheduler->store,
                                              .reader = scheduler->reader,
                                              .requests = scheduler->requests,
                                              .speed = &scheduler->speed,
                                              .definitions = scheduler->definitions,
                                              .publish_wait_ms = scheduler->options.publish_wait_ms};
  scheduler->orders = tly_publish_orders_new(&orders);
}

static void open_rollbacks(tly_scheduler *scheduler) {
  struct tly_rollbacks_options options = {.directory = scheduler->directory,
                                          .project = scheduler->options.project,
                                          .clock = scheduler->options.clock,
                                          .store = scheduler->store,
                                          .reader = scheduler->reader,
                                          .requests = scheduler->requests,
                                          .speed = &scheduler->speed,
                                          .publish_wait_ms = scheduler->options.publish_wait_ms};
  scheduler->rollbacks = tly_rollbacks_new(&options);
}

static enum tly_status open_all(tly_scheduler *scheduler, struct tly_error *error) {
  TLY_TRY(open_stores(scheduler, error));
  TLY_TRY(clean_up(scheduler, error));
  TLY_TRY(tly_batch_requests_open(scheduler->directory, handle_request, scheduler, &scheduler->requests, error));
  TLY_TRY(open_stages(scheduler, error));
  open_rollbacks(scheduler);
  open_orders(scheduler);
  struct tly_ledger_queue_options ledgers = {.settings = scheduler->options.settings,
                                             .project = scheduler->options.project,
                                             .clock = scheduler->options.clock,
                                             .requests = scheduler->requests,
                                             .breaks = scheduler->breaks};
  return tly_ledger_queue_open(&ledgers, &scheduler->ledgers, error);
}

enum tly_status tly_scheduler_open(const struct tly_scheduler_options *options, tly_scheduler **out,
                                   struct tly_error *error) {
  tly_scheduler *scheduler = tly_calloc(1, sizeof *scheduler);
  TLY_ASSERT(options->project->view_count <= TLY_VIEWS_MAX);
  scheduler->options = *options;
  scheduler->directory = options->settings->directory;
  tly_run_queue_init(&scheduler->queue, options->project->view_count);
  tly_speed_watch_init(&scheduler->speed, scheduler->directory, options->project);
  enum tly_status status = open_all(scheduler, error);
  *out = scheduler;
  if (status != TLY_OK) {
    tly_scheduler_close(scheduler);
    *out = NULL;
  }
  return status;
}

void tly_scheduler_close(tly_scheduler *scheduler) {
  if (scheduler == NULL)
    return;
  tly_run_stages_close(scheduler->stages);
  tly_rollbacks_free(scheduler->rollbacks);
  tly_publish_orders_free(scheduler->orders);
  tly_ledger_queue_close(scheduler->ledgers);
  tly_batch_requests_close(scheduler->requests);
  tly_definition_watch_close(scheduler->definitions);
  tly_speed_watch_free(&scheduler->speed);
  tly_run_schedule_close(scheduler->schedule);
  tly_batch_reader_close(scheduler->reader);
  tly_break_store_close(scheduler->breaks);
  tly_batch_store_close(scheduler->store);
  tly_run_queue_free(&scheduler->queue);
  tly_free(scheduler);
}
