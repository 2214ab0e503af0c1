#include "common/wire/request.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/text.h"
#include "common/value/value.h"

static const char *const method_names[TLY_METHOD_COUNT] = {
    [TLY_METHOD_QUERY] = "query",         [TLY_METHOD_INGEST] = "ingest",
    [TLY_METHOD_RECOMPUTE] = "recompute", [TLY_METHOD_RUNS] = "runs",
    [TLY_METHOD_STATUS] = "status",       [TLY_METHOD_VIEWS] = "views",
    [TLY_METHOD_RECONCILE] = "reconcile", [TLY_METHOD_RECONCILIATIONS] = "reconciliations",
    [TLY_METHOD_BREAKS] = "breaks",       [TLY_METHOD_BREAK] = "break",
    [TLY_METHOD_PAUSE] = "pause",         [TLY_METHOD_RESUME] = "resume",
    [TLY_METHOD_CANCEL] = "cancel",       [TLY_METHOD_CUT] = "cut",
    [TLY_METHOD_SEAL] = "seal",           [TLY_METHOD_QUEUE] = "queue",
    [TLY_METHOD_PUBLISH] = "publish",     [TLY_METHOD_ROLLBACK] = "rollback",
    [TLY_METHOD_IMPORT] = "import",
};

static bool method_of(const char *name, enum tly_method *out) {
  for (int method = 0; method < TLY_METHOD_COUNT; method++)
    if (strcmp(method_names[method], name) == 0) {
      *out = (enum tly_method)method;
      return true;
    }
  return false;
}

/* jansson recurses 2048 deep; the product's bound is TLY_JSON_DEPTH_MAX. Counting brackets outside of texts is enough:
 * a line with unbalanced ones fails in jansson anyway. */
static bool is_too_deep(const char *line, size_t size) {
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < size; i++) {
    char c = line[i];
    if (in_text) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > TLY_JSON_DEPTH_MAX)
        return true;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return false;
}

static char *id_text(const json_t *id) {
  if (id == NULL || !(json_is_string(id) || json_is_number(id)))
    return tly_strdup("null");
  char *dump = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
  char *text = tly_strdup(dump != NULL ? dump : "null");
  free(dump);
  return text;
}

/* A line that is not JSON is a query's SQL. */
static enum tly_status request_of_sql(const char *line, size_t size, struct tly_request *out, int *rpc_code,
                                      struct tly_error *error) {
  json_t *sql = json_stringn(line, size); /* checks UTF-8 */
  if (sql == NULL) {
    *rpc_code = TLY_RPC_PARSE_ERROR;
    return TLY_FAIL(error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE, "the line is not valid UTF-8");
  }
  out->method = TLY_METHOD_QUERY;
  json_object_set_new(out->params, "sql", sql);
  return TLY_OK;
}

static enum tly_status take_members(json_t *object, struct tly_request *out, int *rpc_code, struct tly_error *error) {
  const json_t *method = json_object_get(object, "method");
  json_t *params = json_object_get(object, "params");
  *rpc_code = TLY_RPC_INVALID_REQUEST;
  if (!json_is_string(method))
    return TLY_FAIL(error, TLY_E_PROTOCOL,
                    "a request needs a \"method\", for example {\"id\":1,\"method\":\"status\"}");
  if (params != NULL && !json_is_object(params) && !json_is_null(params)) {
    *rpc_code = TLY_RPC_INVALID_PARAMS;
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"params\" must be an object");
  }
  if (!method_of(json_string_value(method), &out->method)) {
    *rpc_code = TLY_RPC_METHOD_NOT_FOUND;
    return TLY_FAIL(error, TLY_E_PROTOCOL, "unknown method \"%s\"; there are " TLY_CLIENT_METHODS,
                    json_string_value(method));
  }
  if (json_is_object(params)) {
    json_decref(out->params);
    out->params = json_incref(params);
  }
  return TLY_OK;
}

enum tly_status tly_request_parse(const char *line, size_t size, struct tly_request *out, int *rpc_code,
                                  struct tly_error *error) {
  json_error_t json_error;
  *out = (struct tly_request){.id = tly_strdup("null"), .params = json_object()};
  *rpc_code = TLY_RPC_PARSE_ERROR;
  TLY_ASSERT(out->params != NULL);
  while (size > 0 && (*line == ' ' || *line == '\t')) {
    line++;
    size--;
  }
  if (size == 0 || *line != '{')
    return request_of_sql(line, size, out, rpc_code, error);
  if (is_too_deep(line, size))
    return TLY_FAIL(error, TLY_E_TOO_COMPLEX, "JSON is nested deeper than %d", TLY_JSON_DEPTH_MAX);
  json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &json_error);
  if (object == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %d: %s", json_error.position, json_error.text);
  tly_free(out->id);
  out->id = id_text(json_object_get(object, "id"));
  enum tly_status status = take_members(object, out, rpc_code, error);
  json_decref(object);
  return status;
}

void tly_request_free(struct tly_request *request) {
  tly_free(request->id);
  json_decref(request->params);
  *request = (struct tly_request){0};
}

void tly_reply_error(struct tly_buffer *out, const char *id, int rpc_code, const struct tly_error *error) {
  tly_buffer_print(out, "{\"id\":%s,\"error\":{\"code\":%d,\"message\":", id, rpc_code);
  tly_json_print_text(error->message, strlen(error->message), out);
  tly_buffer_print(out, ",\"data\":{\"sqlstate\":\"%s\"", tly_status_sqlstate(error->status));
  if (error->position > 0)
    tly_buffer_print(out, ",\"position\":%d", error->position);
  if (error->hint[0] != 0) {
    tly_buffer_append_text(out, ",\"hint\":");
    tly_json_print_text(error->hint, strlen(error->hint), out);
  }
  tly_buffer_append_text(out, "}}}\n");
}

void tly_reply_result(struct tly_buffer *out, const char *id, const json_t *result) {
  char *text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
  TLY_ASSERT(text != NULL);
  tly_buffer_print(out, "{\"id\":%s,\"result\":", id);
  tly_buffer_append_text(out, text);
  tly_buffer_append_text(out, "}\n");
  free(text);
}

static enum tly_status wrong_type(const char *name, const char *wanted, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "parameter \"%s\" must be %s", name, wanted);
}

enum tly_status tly_param_text(const json_t *params, const char *name, const char **out, struct tly_error *error) {
  const json_t *value = json_object_get(params, name);
  if (value == NULL)
    return TLY_OK;
  if (!json_is_string(value))
    return wrong_type(name, "a text", error);
  *out = json_string_value(value);
  return TLY_OK;
}

enum tly_status tly_param_integer(const json_t *params, const char *name, int64_t *out, struct tly_error *error) {
  const json_t *value = json_object_get(params, name);
  if (value == NULL)
    return TLY_OK;
  if (!json_is_integer(value))
    return wrong_type(name, "an integer", error);
  *out = json_integer_value(value);
  return TLY_OK;
}

enum tly_status tly_param_boolean(const json_t *params, const char *name, bool *out, struct tly_error *error) {
  const json_t *value = json_object_get(params, name);
  if (value == NULL)
    return TLY_OK;
  if (!json_is_boolean(value))
    return wrong_type(name, "true or false", error);
  *out = json_is_true(value);
  return TLY_OK;
}
