#include "batch_layer/run_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/store/fact_json.h"

enum { ROW_OVERHEAD_BYTES = 64 };

void tly_run_reply_progress(tly_batch_requests *requests, const struct tly_run_job *job, int64_t run, const char *stage,
                            int64_t done, int64_t all) {
  char line[256];
  for (uint32_t i = 0; i < job->waiter_count; i++) {
    const struct tly_run_waiter *waiter = &job->waiters[i];
    int size = snprintf(line, sizeof line,
                        "{\"id\":%s,\"progress\":{\"run\":%" PRId64 ",\"stage\":\"%s\",\"done\":%" PRId64
                        ",\"all\":%" PRId64 "}}\n",
                        waiter->id, run, stage, done, all);
    if (waiter->wants_progress && size > 0 && (size_t)size < sizeof line) /* a longer id goes without progress */
      tly_batch_requests_tell(requests, waiter->client, line);
  }
}

/* What the checks of the views were computed from; NULL when no view has one. */
static json_t *checks_json(const struct tly_run_result *result) {
  json_t *checks = NULL;
  for (uint32_t v = 0; v < result->view_count; v++) {
    const struct tly_run_check *check = &result->views[v].check;
    if (check->text == NULL)
      continue;
    if (checks == NULL)
      checks = json_array();
    json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s}", "view", result->views[v].view, "check", check->text,
                                            "verdict", check->verdict, "found", check->found));
  }
  return checks;
}

static json_t *result_json(const struct tly_run_result *result, const char *hold, int64_t duration_ms) {
  int64_t drift = tly_run_result_drift(result);
  json_t *views = json_array();
  for (uint32_t v = 0; v < result->view_count; v++)
    json_array_append_new(views, json_string(result->views[v].view));
  json_t *checks = checks_json(result);
  json_t *object = json_pack(
      "{s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:I}", "run", (json_int_t)result->run, "state",
      hold != NULL ? "held" : "published", "events", (json_int_t)result->events, "reused", (json_int_t)result->reused,
      "cut", tly_positions_json(result->positions, result->position_count), "drift",
      drift >= 0 ? json_integer(drift) : json_null(), "views", views, "duration_ms", (json_int_t)duration_ms);
  if (object != NULL && hold != NULL)
    json_object_set_new(object, "hold", json_string(hold));
  if (object != NULL && checks != NULL)
    json_object_set_new(object, "checks", checks);
  if (object != NULL && result->note != NULL)
    json_object_set_new(object, "note", json_string(result->note));
  TLY_ASSERT(object != NULL);
  return object;
}

/* The keys that differ, as far as they are listed and fit a reply line. */
static json_t *drift_rows_json(const struct tly_run_result *result) {
  json_t *rows = json_array();
  size_t bytes = 0;
  for (uint32_t v = 0; v < result->view_count; v++)
    for (uint32_t i = 0; i < result->views[v].drift_listed_count; i++) {
      const struct tly_run_drift *drift = &result->views[v].drift_listed[i];
      const char *live = drift->live != NULL ? drift->live : "null";
      const char *recomputed = drift->recomputed != NULL ? drift->recomputed : "null";
      const char *explanation = drift->explanation != NULL ? drift->explanation : "null";
      bytes += strlen(drift->key) + strlen(live) + strlen(recomputed) + strlen(explanation) + ROW_OVERHEAD_BYTES;
      if (bytes > TLY_BATCH_OUTPUT_BYTES / 2)
        return rows;
      json_array_append_new(rows, json_pack("{s:s, s:o, s:o, s:o, s:o}", "view", result->views[v].view, "key",
                                            json_loads(drift->key, JSON_DECODE_ANY, NULL), "live",
                                            json_loads(live, JSON_DECODE_ANY, NULL), "recomputed",
                                            json_loads(recomputed, JSON_DECODE_ANY, NULL), "explanation",
                                            json_loads(explanation, JSON_DECODE_ANY, NULL)));
    }
  return rows;
}

static void answer_result(tly_batch_requests *requests, const struct tly_run_waiter *waiter,
                          const struct tly_run_result *result, const char *hold, int64_t duration_ms) {
  struct tly_buffer reply = {0};
  json_t *object = result_json(result, hold, duration_ms);
  if (waiter->wants_drift)
    json_object_set_new(object, "drift_rows", drift_rows_json(result));
  tly_reply_result(&reply, waiter->id, object);
  tly_batch_requests_answer(requests, waiter->client, &reply);
  tly_buffer_free(&reply);
  json_decref(object);
}

void tly_run_reply_result(tly_batch_requests *requests, const struct tly_run_job *job,
                          const struct tly_run_result *result, const char *hold, int64_t duration_ms) {
  for (uint32_t i = 0; i < job->waiter_count; i++)
    answer_result(requests, &job->waiters[i], result, hold, duration_ms);
}

void tly_run_reply_failure(tly_batch_requests *requests, const struct tly_run_job *job, const struct tly_error *why) {
  for (uint32_t i = 0; i < job->waiter_count; i++)
    tly_run_reply_error(requests, job->waiters[i].client, job->waiters[i].id, TLY_RPC_SERVER_ERROR, why);
}

void tly_run_reply_error(tly_batch_requests *requests, uint64_t client, const char *id, int code,
                         const struct tly_error *error) {
  struct tly_buffer reply = {0};
  tly_reply_error(&reply, id, code, error);
  tly_batch_requests_answer(requests, client, &reply);
  tly_buffer_free(&reply);
}
