/* An order is decided by what batch.db says in that moment: the run must be held, its definitions those of today, and
 * no newer run of one of its views ready, since that one has the same events and more. Then it is a ready run like any
 * other, and the speed layer publishes it by its own rules; whoever gave the order waits for that. */
#include "batch_layer/publish_orders.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/doorbell.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"

struct order {
  uint64_t client;
  char *id, *reason, *by;
  int64_t run;
  bool is_released; /* ready now; the speed layer is waited for */
  bool views[TLY_VIEWS_MAX];
  struct tly_speed_patience patience; /* once it is released */
};

struct tly_publish_orders {
  struct tly_publish_orders_options options;
  struct order orders[TLY_PUBLISH_ORDERS_MAX];
  uint32_t count;
};

static int64_t monotonic(const tly_publish_orders *orders) {
  return tly_clock_monotonic_us(orders->options.clock);
}

tly_publish_orders *tly_publish_orders_new(const struct tly_publish_orders_options *options) {
  tly_publish_orders *orders = tly_calloc(1, sizeof *orders);
  orders->options = *options;
  return orders;
}

bool tly_publish_orders_is_idle(const tly_publish_orders *orders) {
  return orders->count == 0;
}

/* ---- replies ----------------------------------------------------------------------------------------------------- */

static void reply_error(const tly_publish_orders *orders, const struct order *order, const struct tly_error *why) {
  struct tly_buffer reply = {0};
  bool is_own_fault = why->status == TLY_E_INVALID_PARAMETER || why->status == TLY_E_UNDEFINED_OBJECT;
  tly_reply_error(&reply, order->id, is_own_fault ? TLY_RPC_INVALID_PARAMS : TLY_RPC_SERVER_ERROR, why);
  tly_batch_requests_answer(orders->options.requests, order->client, &reply);
  tly_buffer_free(&reply);
}

static void reply_published(const tly_publish_orders *orders, const struct order *order) {
  struct tly_buffer reply = {0};
  json_t *views = json_array();
  for (uint32_t v = 0; v < orders->options.project->view_count; v++)
    if (order->views[v])
      json_array_append_new(views, json_string(orders->options.project->views[v].name));
  json_t *result = json_pack("{s:I, s:s, s:o, s:s, s:s}", "run", (json_int_t)order->run, "state", "published", "views",
                             views, "released_by", order->by, "released_reason", order->reason);
  TLY_ASSERT(result != NULL);
  tly_reply_result(&reply, order->id, result);
  tly_batch_requests_answer(orders->options.requests, order->client, &reply);
  tly_buffer_free(&reply);
  json_decref(result);
}

static void free_order(struct order *order) {
  tly_free(order->id);
  tly_free(order->reason);
  tly_free(order->by);
}

void tly_publish_orders_free(tly_publish_orders *orders) {
  struct tly_error why;
  if (orders == NULL)
    return;
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  for (uint32_t i = 0; i < orders->count; i++) {
    reply_error(orders, &orders->orders[i], &why);
    free_order(&orders->orders[i]);
  }
  tly_free(orders);
}

/* ---- taking an order --------------------------------------------------------------------------------------------- */

static enum tly_status take_text(const json_t *params, const char *name, const char **out, struct tly_error *error) {
  const json_t *value = json_object_get(params, name);
  *out = json_string_value(value);
  if (*out == NULL || strspn(*out, " \t\r\n") == strlen(*out))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"%s\" is missing: %s is recorded with the run", name,
                    strcmp(name, "user") == 0 ? "who publishes it" : "why it goes live after all");
  if (json_string_length(value) > TLY_REASON_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "\"%s\" has more than %d bytes", name, TLY_REASON_BYTES_MAX);
  return TLY_OK;
}

enum tly_status tly_publish_orders_add(tly_publish_orders *orders, uint64_t client, const struct tly_request *request,
                                       struct tly_error *error) {
  int64_t run = 0;
  const char *reason, *by;
  TLY_TRY(tly_param_integer(request->params, "run", &run, error));
  if (run <= 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"run\" is the number of a held run");
  TLY_TRY(take_text(request->params, "reason", &reason, error));
  TLY_TRY(take_text(request->params, "user", &by, error));
  if (orders->count == TLY_PUBLISH_ORDERS_MAX)
    return TLY_FAIL(error, TLY_E_TOO_MANY, "%d runs wait for their publication already", TLY_PUBLISH_ORDERS_MAX);
  orders->orders[orders->count++] = (struct order){
      .client = client, .id = tly_strdup(request->id), .reason = tly_strdup(reason), .by = tly_strdup(by), .run = run};
  return TLY_OK;
}

/* ---- deciding ---------------------------------------------------------------------------------------------------- */

/* The run's views, as flags; each must still be defined as it was computed. */
static enum tly_status find_views(const tly_publish_orders *orders, const struct tly_run *run, bool *views,
                                  struct tly_error *error) {
  const struct tly_project *project = orders->options.project;
  for (uint32_t i = 0; i < run->view_count; i++) {
    const struct tly_view *view = tly_project_view(project, run->views[i].view);
    if (view == NULL || memcmp(&view->hash, &run->views[i].definition_hash, sizeof view->hash) != 0) {
      (void)TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "run %" PRId64 " was computed by another definition of view %s",
                     run->id, run->views[i].view);
      tly_error_hint(error, "tally recompute computes the views as they are defined now");
      return TLY_E_INVALID_PARAMETER;
    }
    views[view - project->views] = true;
  }
  return TLY_OK;
}

/* A newer ready run of one of the views is published, or about to be. */
static enum tly_status refuse_older(const tly_publish_orders *orders, int64_t run, const bool *views,
                                    struct tly_arena *arena, struct tly_error *error) {
  const struct tly_project *project = orders->options.project;
  struct tly_run *newer;
  uint32_t count;
  TLY_TRY(tly_batch_reader_ready(orders->options.reader, run, arena, &newer, &count, error));
  for (uint32_t r = 0; r < count; r++)
    for (uint32_t v = 0; v < newer[r].view_count; v++) {
      const struct tly_view *view = tly_project_view(project, newer[r].views[v].view);
      if (view != NULL && views[view - project->views])
        return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                        "run %" PRId64 " of view %s is newer than run %" PRId64 " and has been published", newer[r].id,
                        view->name, run);
    }
  return TLY_OK;
}

/* Whether the order can be carried out. */
static enum tly_status examine(const tly_publish_orders *orders, struct order *order, struct tly_arena *arena,
                               struct tly_error *error) {
  struct tly_run run;
  TLY_TRY(tly_batch_reader_run(orders->options.reader, order->run, arena, &run, error));
  if (strcmp(run.state, "held") != 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "run %" PRId64 " is not held: it is %s", run.id, run.state);
  TLY_TRY(find_views(orders, &run, order->views, error));
  return refuse_older(orders, order->run, order->views, arena, error);
}

/* *is_over: it was refused, and answered. */
static enum tly_status carry_out(tly_publish_orders *orders, struct order *order, bool *is_over,
                                 struct tly_error *error) {
  struct tly_run_release release = {
      .at_us = tly_clock_now_us(orders->options.clock), .by = order->by, .reason = order->reason};
  struct tly_error why = TLY_ERROR_NONE;
  struct tly_arena arena;
  tly_arena_init(&arena);
  *is_over = examine(orders, order, &arena, &why) != TLY_OK;
  tly_arena_free(&arena);
  if (*is_over) {
    reply_error(orders, order, &why);
    return TLY_OK;
  }
  TLY_TRY(tly_batch_store_release(orders->options.store, order->run, &release, error));
  tly_log(TLY_LOG_WARN, "held run released", "run=%" PRId64 " by=\"%s\" reason=\"%s\"", order->run, order->by,
          order->reason);
  tly_definition_watch_covered(orders->options.definitions, order->views);
  order->is_released = true;
  tly_speed_patience_begin(&order->patience, orders->options.publish_wait_ms, monotonic(orders));
  tly_doorbell_ring(orders->options.directory, "speed");
  return TLY_OK;
}

/* Whether the order is over: its run is published, or the speed layer stands still. */
static bool look(const tly_publish_orders *orders, struct order *order) {
  struct tly_error why;
  if (tly_speed_watch_shows(orders->options.speed, order->run, order->views)) {
    tly_log(TLY_LOG_INFO, "run published", "run=%" PRId64, order->run);
    reply_published(orders, order);
    return true;
  }
  int64_t progress = tly_speed_watch_progress(orders->options.speed);
  if (!tly_speed_patience_is_over(&order->patience, progress, monotonic(orders)))
    return false;
  (void)TLY_FAIL(&why, TLY_E_NOT_READY, "run %" PRId64 " is ready, but the speed layer does not publish it",
                 order->run);
  reply_error(orders, order, &why);
  return true;
}

enum tly_status tly_publish_orders_go_on(tly_publish_orders *orders, struct tly_error *error) {
  uint32_t kept = 0;
  enum tly_status status = TLY_OK;
  for (uint32_t i = 0; i < orders->count; i++) {
    struct order *order = &orders->orders[i];
    bool is_over = false;
    if (status == TLY_OK && !order->is_released)
      status = carry_out(orders, order, &is_over, error);
    if (!is_over && order->is_released)
      is_over = look(orders, order);
    if (is_over)
      free_order(order);
    else
      orders->orders[kept++] = *order;
  }
  orders->count = kept;
  return status;
}
