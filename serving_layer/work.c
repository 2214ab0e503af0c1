#include "serving_layer/work.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "serving_layer/arguments.h"
#include "serving_layer/report.h"
#include "serving_layer/statements.h"
#include "serving_layer/store_source.h"

struct tly_worker {
  const struct tly_settings *settings;
  const struct tly_programs *programs;
  tly_store_source *source;
  struct tly_source view_source;
  tly_statements *statements;
  tly_executor *executor; /* NULL until the first query, and after one that ran out of memory */
};

tly_worker *tly_worker_new(const struct tly_settings *settings, const struct tly_programs *programs) {
  tly_worker *worker = tly_calloc(1, sizeof *worker);
  worker->settings = settings;
  worker->programs = programs;
  worker->source = tly_store_source_new(settings->directory, programs);
  worker->view_source = tly_store_source_of(worker->source);
  worker->statements = tly_statements_new(programs->project);
  return worker;
}

void tly_worker_free(tly_worker *worker) {
  tly_executor_free(worker->executor);
  tly_store_source_free(worker->source);
  tly_statements_free(worker->statements);
  tly_free(worker);
}

void tly_worker_rest(tly_worker *worker) {
  tly_store_source_rest(worker->source);
  tly_statements_clear(worker->statements);
}

int tly_rpc_code(enum tly_status status) {
  switch (status) {
  case TLY_E_INTERNAL:
  case TLY_E_CORRUPT:
  case TLY_E_IO:
  case TLY_E_DISK_FULL:
  case TLY_E_NO_MEMORY:
  case TLY_E_TOO_MANY:
  case TLY_E_NOT_READY:
  case TLY_E_IN_USE:
  case TLY_E_CANCELLED:
  case TLY_E_CONNECTION:
  case TLY_E_CONFIG: return TLY_RPC_SERVER_ERROR;
  default: return TLY_RPC_INVALID_PARAMS;
  }
}

/* Plan and execute a typed statement. */
static enum tly_status run_statement(tly_worker *worker, struct tly_job *job, const struct tly_statement *statement,
                                     const struct tly_arguments *arguments, struct tly_answer *answer,
                                     struct tly_error *error) {
  struct tly_row_sink sink = tly_answer_sink(answer);
  struct tly_plan *plan;
  answer->query = statement->query;
  if (worker->executor == NULL)
    TLY_TRY(tly_executor_new(worker->programs, &worker->view_source, &worker->executor, error));
  TLY_TRY(tly_plan_new(statement, worker->programs, arguments, &plan, error));
  enum tly_status status = tly_executor_run(worker->executor, plan, &job->control, &sink, error);
  if (status == TLY_OK)
    tly_answer_end(answer, plan, &job->reply);
  tly_plan_free(plan);
  if (status == TLY_E_NO_MEMORY) { /* start afresh: nothing of it is worth keeping */
    tly_executor_free(worker->executor);
    worker->executor = NULL;
  }
  return status;
}

static enum tly_status do_query(tly_worker *worker, struct tly_job *job, struct tly_answer *answer,
                                struct tly_error *error) {
  const json_t *sql = json_object_get(job->request.params, "sql");
  struct tly_arena arena;
  const struct tly_statement *statement;
  struct tly_value *parameters;
  if (!json_is_string(sql))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "query needs a text \"sql\"");
  tly_arena_init(&arena);
  enum tly_status status =
      tly_statements_get(worker->statements, json_string_value(sql), json_string_length(sql), &statement, error);
  if (status == TLY_OK)
    status = tly_arguments_read(json_object_get(job->request.params, "args"), statement, &arena, &parameters, error);
  if (status == TLY_OK) {
    struct tly_arguments arguments = {.parameters = parameters, .now_us = tly_clock_now_us(&tly_clock_real)};
    status = run_statement(worker, job, statement, &arguments, answer, error);
  }
  tly_arena_free(&arena);
  return status;
}

static enum tly_status do_report(tly_worker *worker, struct tly_job *job, struct tly_error *error) {
  json_t *result = NULL;
  TLY_TRY(tly_report(worker->source, worker->programs, worker->settings, &job->request, &result, error));
  tly_reply_result(&job->reply, job->request.id, result);
  json_decref(result);
  return TLY_OK;
}

void tly_worker_do(tly_worker *worker, struct tly_job *job,
                   enum tly_status (*send)(void *context, struct tly_buffer *line, struct tly_error *error),
                   void *context) {
  struct tly_answer answer = {.id = job->request.id, .send = send, .context = context};
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = tly_control_check(&job->control, &error);
  if (status == TLY_OK && job->request.method == TLY_METHOD_QUERY)
    status = do_query(worker, job, &answer, &error);
  else if (status == TLY_OK)
    status = do_report(worker, job, &error);
  if (status != TLY_OK)
    tly_reply_error(&job->reply, job->request.id, tly_rpc_code(status), &error);
  if (status == TLY_E_INTERNAL || status == TLY_E_CORRUPT || status == TLY_E_IO)
    tly_log(TLY_LOG_ERROR, "a request failed", "sqlstate=%s message=\"%s\" born=\"%s:%d\"", tly_status_sqlstate(status),
            error.message, error.born_file != NULL ? error.born_file : "", error.born_line);
  tly_answer_free(&answer);
}
