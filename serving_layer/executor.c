/* One SQLite connection in memory, without tables of its own: merged views are virtual tables, expressions and exact
 * aggregates are functions. It runs only what plan.c spelled, and even that behind an authorizer that knows the few
 * functions and tables there are, with everything else of SQLite switched off (docs/SECURITY: the second wall).
 *
 * A statement's life: prepare (which tells what columns are used), take the state of all its views in one look (the
 * snapshot ends before the first row is read), bind, step, and give each row away as values. The deadline is asked by
 * SQLite's progress handler and by every loop of the merged tables; the memory bound is SQLite's allocator (memory.h)
 * and the control's own count. */
#include "serving_layer/executor.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "serving_layer/forms.h"
#include "serving_layer/memory.h"
#include "serving_layer/runtime.h"

enum { PROGRESS_STEPS = 1000, SQL_BYTES_MAX = 4 << 20, SNAPSHOT_ATTEMPTS = 3 };

struct tly_executor {
  struct tly_runtime runtime;
};

/* ---- the connection ---------------------------------------------------------------------------------------------- */

static bool is_known_function(const char *name) {
  static const char *const names[] = {
      "tly",   "tly_key", "tly_flip", "tly_limit",   "tly_offset", "tly_one",    "tly_aggregate", "count",
      "min",   "max",     "coalesce", "row_number",  "rank",       "dense_rank", "percent_rank",  "cume_dist",
      "ntile", "lead",    "lag",      "first_value", "last_value", "nth_value",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0)
      return true;
  return false;
}

/* v<number>: a merged table; s<number>: a system relation; e<number>: a stream. */
static bool is_known_table(const char *name) {
  return name != NULL && (name[0] == 'v' || name[0] == 's' || name[0] == 'e') && name[1] != 0 &&
         strspn(name + 1, "0123456789") == strlen(name + 1);
}

static int authorize(void *context, int action, const char *first, const char *second, const char *database,
                     const char *trigger) {
  const struct tly_runtime *runtime = context;
  (void)database;
  (void)trigger;
  switch (action) {
  case SQLITE_SELECT: return SQLITE_OK;
  case SQLITE_READ: return is_known_table(first) || runtime->is_declaring ? SQLITE_OK : SQLITE_DENY;
  case SQLITE_FUNCTION: return is_known_function(second) ? SQLITE_OK : SQLITE_DENY;
  default: return runtime->is_declaring ? SQLITE_OK : SQLITE_DENY;
  }
}

static int on_progress(void *context) {
  struct tly_runtime *runtime = context;
  struct tly_error error;
  if (runtime->control == NULL || tly_control_check(runtime->control, &error) == TLY_OK)
    return 0;
  if (runtime->error.status == TLY_OK)
    runtime->error = error;
  return 1;
}

static enum tly_status harden(struct tly_runtime *runtime, struct tly_error *error) {
  static const int switched_off[] = {SQLITE_DBCONFIG_TRUSTED_SCHEMA,
                                     SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
                                     SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
                                     SQLITE_DBCONFIG_WRITABLE_SCHEMA,
                                     SQLITE_DBCONFIG_ENABLE_TRIGGER,
                                     SQLITE_DBCONFIG_ENABLE_VIEW,
                                     SQLITE_DBCONFIG_DQS_DML,
                                     SQLITE_DBCONFIG_DQS_DDL};
  static const struct {
    int what, value;
  } limits[] = {{SQLITE_LIMIT_LENGTH, 256 << 20},      {SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX},
                {SQLITE_LIMIT_EXPR_DEPTH, 1000},       {SQLITE_LIMIT_COMPOUND_SELECT, 100},
                {SQLITE_LIMIT_VDBE_OP, 250000},        {SQLITE_LIMIT_ATTACHED, 0},
                {SQLITE_LIMIT_TRIGGER_DEPTH, 1},       {SQLITE_LIMIT_WORKER_THREADS, 0},
                {SQLITE_LIMIT_VARIABLE_NUMBER, 32000}, {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100}};
  sqlite3 *database = runtime->database;
  TLY_TRY(tly_sqlite_execute(database, "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000", error));
  for (size_t i = 0; i < sizeof switched_off / sizeof *switched_off; i++)
    sqlite3_db_config(database, switched_off[i], 0, (int *)NULL);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    sqlite3_limit(database, limits[i].what, limits[i].value);
  sqlite3_set_authorizer(database, authorize, runtime);
  sqlite3_progress_handler(database, PROGRESS_STEPS, on_progress, runtime);
  return TLY_OK;
}

static enum tly_status open_database(struct tly_runtime *runtime, struct tly_error *error) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                    SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(":memory:", &runtime->database, flags, NULL) != SQLITE_OK)
    return TLY_FAIL(error, TLY_E_INTERNAL, "cannot open a connection for queries");
  TLY_TRY(tly_functions_register(runtime, error));
  TLY_TRY(tly_aggregate_register(runtime, error));
  TLY_TRY(tly_merged_table_register(runtime, error));
  TLY_TRY(tly_system_table_register(runtime, error));
  TLY_TRY(tly_stream_table_register(runtime, error));
  return harden(runtime, error);
}

enum tly_status tly_executor_new(const struct tly_programs *programs, const struct tly_source *source,
                                 tly_executor **out, struct tly_error *error) {
  tly_executor *executor = tly_calloc(1, sizeof *executor);
  struct tly_runtime *runtime = &executor->runtime;
  runtime->programs = programs;
  runtime->source = source;
  runtime->evaluator = tly_evaluator_new();
  tly_arena_init(&runtime->arena);
  *out = executor;
  enum tly_status status = open_database(runtime, error);
  if (status == TLY_OK)
    return TLY_OK;
  tly_executor_free(executor);
  *out = NULL;
  return status;
}

void tly_executor_free(tly_executor *executor) {
  if (executor == NULL)
    return;
  struct tly_runtime *runtime = &executor->runtime;
  if (runtime->database != NULL)
    TLY_ASSERT(sqlite3_close(runtime->database) == SQLITE_OK);
  tly_evaluator_free(runtime->evaluator);
  tly_arena_free(&runtime->arena);
  tly_free(executor);
}

/* ---- a statement ------------------------------------------------------------------------------------------------- */

static bool uses_system(const struct tly_plan *plan) {
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++)
    if (plan->uses_system[i])
      return true;
  return false;
}

static enum tly_status read_system_rows(struct tly_runtime *runtime, bool is_looking, struct tly_error *error) {
  const struct tly_source *source = runtime->source;
  struct tly_plan *plan = runtime->plan;
  if (!uses_system(plan))
    return TLY_OK;
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++) {
    if (!plan->uses_system[i])
      continue;
    plan->system_rows[i] = TLY_ARENA_NEW(&plan->arena, struct tly_system_rows);
    tly_system_rows_init(plan->system_rows[i], &tly_system_relations[i], &plan->arena, runtime->control);
  }
  return source->system(source->context, is_looking, plan->system_rows, error);
}

/* Each stream's events up to now. What was folded by the time of the look is among them. */
static enum tly_status look_at_streams(struct tly_runtime *runtime, struct tly_error *error) {
  struct tly_plan *plan = runtime->plan;
  struct tly_position *heads;
  uint32_t count;
  if (plan->stream_count == 0)
    return TLY_OK;
  TLY_TRY(runtime->source->heads(runtime->source->context, &plan->arena, &heads, &count, error));
  for (uint32_t s = 0; s < plan->stream_count; s++) {
    struct tly_stream_use *use = &plan->streams[s];
    use->heads = TLY_ARENA_ARRAY(&plan->arena, struct tly_position, count);
    use->head_count = 0;
    for (uint32_t i = 0; i < count; i++)
      if (strcmp(heads[i].stream, use->stream->name) == 0)
        use->heads[use->head_count++] = heads[i];
  }
  return TLY_OK;
}

/* A statement on system relations alone is answered even when there is no live state to look at. */
static enum tly_status open_uses_once(struct tly_runtime *runtime, struct tly_error *error) {
  const struct tly_source *source = runtime->source;
  struct tly_plan *plan = runtime->plan;
  enum tly_status status = source->begin(source->context, error);
  if (status == TLY_E_NOT_READY && plan->use_count == 0)
    return read_system_rows(runtime, false, error);
  TLY_TRY(status);
  for (uint32_t i = 0; status == TLY_OK && i < plan->use_count; i++)
    status = tly_view_use_open(&plan->uses[i], source, runtime->control, error);
  if (status == TLY_OK)
    status = read_system_rows(runtime, true, error);
  source->end(source->context);
  return status;
}

/* All views in one state (invariant 4). Between the look and the opening of a run's files the run may have been
 * deleted: then a new look shows the one that took its place. */
static enum tly_status open_uses(struct tly_runtime *runtime, struct tly_error *error) {
  enum tly_status status = TLY_OK;
  if (runtime->plan->use_count == 0 && !uses_system(runtime->plan))
    return look_at_streams(runtime, error);
  for (int attempt = 0; attempt < SNAPSHOT_ATTEMPTS; attempt++) {
    status = open_uses_once(runtime, error);
    if (status != TLY_E_NOT_READY)
      break;
  }
  TLY_TRY(status);
  return look_at_streams(runtime, error);
}

/* SQLite's failure as ours: what a callback kept, or what its code means. */
static enum tly_status failure_of(struct tly_runtime *runtime, struct tly_error *error) {
  int code = sqlite3_errcode(runtime->database) & 0xff;
  const char *message = sqlite3_errmsg(runtime->database);
  if (runtime->error.status != TLY_OK) {
    if (error != NULL)
      *error = runtime->error;
    return runtime->error.status;
  }
  if (code == SQLITE_NOMEM) {
    enum tly_status status = TLY_FAIL(error, TLY_E_NO_MEMORY, "the query needs more than %lld MiB of memory",
                                      (long long)(runtime->control->memory_max >> 20));
    tly_error_hint(error, "sort or group fewer rows at once, or raise query_memory");
    return status;
  }
  if (code == SQLITE_TOOBIG)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "a value of the query is too large");
  if (strstr(message, "argument of ntile") != NULL)
    return TLY_FAIL(error, TLY_E_NTILE_ARGUMENT, "argument of ntile must be greater than zero");
  if (strstr(message, "argument to nth_value") != NULL)
    return TLY_FAIL(error, TLY_E_NTH_VALUE_ARGUMENT, "argument of nth_value must be greater than zero");
  if (strstr(message, "too large") != NULL || strstr(message, "too many") != NULL)
    return TLY_FAIL(error, TLY_E_TOO_COMPLEX, "the statement is too complex (%s)", message);
  tly_log(TLY_LOG_ERROR, "a planned statement failed", "code=%d message=\"%s\" sql=\"%.2000s\"", code, message,
          tly_buffer_text(&runtime->plan->sql));
  return TLY_FAIL(error, TLY_E_INTERNAL, "the statement could not be executed: %s", message);
}

static enum tly_status bind_all(struct tly_runtime *runtime, sqlite3_stmt *statement, struct tly_error *error) {
  const struct tly_plan *plan = runtime->plan;
  for (uint32_t i = 0; i < plan->binding_count; i++) {
    const struct tly_binding *binding = &plan->bindings[i];
    int index = (int)i + 1;
    int code = binding->call != NULL
                   ? sqlite3_bind_pointer(statement, index, (void *)(uintptr_t)binding->call, TLY_CALL_POINTER, NULL)
                   : tly_form_bind(statement, index, &binding->value);
    if (code != SQLITE_OK)
      return failure_of(runtime, error);
  }
  return TLY_OK;
}

static enum tly_status give_rows(struct tly_runtime *runtime, sqlite3_stmt *statement, const struct tly_row_sink *sink,
                                 struct tly_error *error) {
  const struct tly_query *query = runtime->plan->statement->query;
  struct tly_arena row_arena;
  enum tly_status status = TLY_OK;
  int code;
  TLY_ASSERT((uint32_t)sqlite3_column_count(statement) == query->column_count);
  tly_arena_init(&row_arena);
  struct tly_value *values = tly_calloc(query->column_count + 1, sizeof *values);
  while (status == TLY_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    tly_arena_reset(&row_arena);
    for (uint32_t i = 0; status == TLY_OK && i < query->column_count; i++)
      status =
          tly_form_read(sqlite3_column_value(statement, (int)i), query->columns[i].type, &row_arena, &values[i], error);
    if (status == TLY_OK)
      status = sink->row(sink->context, values, query->column_count, error);
  }
  if (status == TLY_OK && code != SQLITE_DONE)
    status = failure_of(runtime, error);
  tly_free(values);
  tly_arena_free(&row_arena);
  return status;
}

static enum tly_status execute(struct tly_runtime *runtime, const struct tly_row_sink *sink, struct tly_error *error) {
  struct tly_buffer *sql = &runtime->plan->sql;
  sqlite3_stmt *statement = NULL;
  for (uint32_t i = 0; i < runtime->plan->use_count; i++)
    runtime->plan->uses[i].used = 0; /* preparing tells which columns are used */
  if (sqlite3_prepare_v2(runtime->database, tly_buffer_text(sql), (int)sql->size + 1, &statement, NULL) != SQLITE_OK)
    return failure_of(runtime, error);
  enum tly_status status = open_uses(runtime, error);
  if (status == TLY_OK)
    status = bind_all(runtime, statement, error);
  if (status == TLY_OK)
    status = give_rows(runtime, statement, sink, error);
  sqlite3_finalize(statement);
  return status;
}

enum tly_status tly_executor_run(tly_executor *executor, struct tly_plan *plan, struct tly_control *control,
                                 const struct tly_row_sink *sink, struct tly_error *error) {
  struct tly_runtime *runtime = &executor->runtime;
  TLY_ASSERT(runtime->plan == NULL);
  runtime->plan = plan;
  runtime->control = control;
  runtime->error = TLY_ERROR_NONE;
  tly_memory_limit(control->memory_max);
  enum tly_status status = execute(runtime, sink, error);
  tly_memory_limit(0);
  runtime->plan = NULL;
  runtime->control = NULL;
  runtime->source->release(runtime->source->context);
  return status;
}
