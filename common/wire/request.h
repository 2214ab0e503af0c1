/* common/wire/request.h -- a request line as a method and its parameters; replies as lines.
 *
 * {"id":1,"method":"query","params":{...}}; a line that does not start with '{' is SQL. Reply lines are documented in
 * docs/PROTOCOL.md.
 * Thread: pure. */
#ifndef TLY_WIRE_REQUEST_H
#define TLY_WIRE_REQUEST_H

#include <jansson.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/* Those a client may ask for, in words. */
#define TLY_CLIENT_METHODS                                                                                             \
  "query, ingest, import, recompute, runs, status, views, reconcile, reconciliations, breaks, break, publish, "        \
  "rollback, "                                                                                                         \
  "pause, resume, "                                                                                                    \
  "cancel"

enum tly_method {
  TLY_METHOD_QUERY,
  TLY_METHOD_INGEST,
  TLY_METHOD_IMPORT,
  TLY_METHOD_RECOMPUTE,
  TLY_METHOD_RUNS,
  TLY_METHOD_STATUS,
  TLY_METHOD_VIEWS,
  TLY_METHOD_RECONCILE,
  TLY_METHOD_RECONCILIATIONS,
  TLY_METHOD_BREAKS,
  TLY_METHOD_BREAK,
  TLY_METHOD_PUBLISH,
  TLY_METHOD_ROLLBACK,
  TLY_METHOD_PAUSE,
  TLY_METHOD_RESUME,
  TLY_METHOD_CANCEL,
  TLY_METHOD_CUT,   /* batch layer to archiver only */
  TLY_METHOD_SEAL,  /* cli to archiver only */
  TLY_METHOD_QUEUE, /* serving layer to batch layer only */
  TLY_METHOD_COUNT
};

struct tly_request {
  char *id; /* the id as JSON text ("null" when absent), owned */
  enum tly_method method;
  json_t *params; /* an object, owned; never NULL */
};

/* JSON-RPC error codes. */
enum {
  TLY_RPC_PARSE_ERROR = -32700,
  TLY_RPC_INVALID_REQUEST = -32600,
  TLY_RPC_METHOD_NOT_FOUND = -32601,
  TLY_RPC_INVALID_PARAMS = -32602,
  TLY_RPC_SERVER_ERROR = -32000
};

/* On failure *rpc_code says which JSON-RPC error it is, and request->id is set when it could be read. The caller frees
 * in both cases. */
TLY_CHECK enum tly_status tly_request_parse(const char *line, size_t size, struct tly_request *out, int *rpc_code,
                                            struct tly_error *error);
void tly_request_free(struct tly_request *request);

/* {"id":ID,"error":{"code":..,"message":..,"data":{"sqlstate":..,"position":..,"hint":..}}}\n */
void tly_reply_error(struct tly_buffer *out, const char *id, int rpc_code, const struct tly_error *error);
/* {"id":ID,"result":RESULT}\n */
void tly_reply_result(struct tly_buffer *out, const char *id, const json_t *result);

/* Typed members of params; absent leaves *out as it was. A member of another type is TLY_E_INVALID_PARAMETER. */
TLY_CHECK enum tly_status tly_param_text(const json_t *params, const char *name, const char **out,
                                         struct tly_error *error);
TLY_CHECK enum tly_status tly_param_integer(const json_t *params, const char *name, int64_t *out,
                                            struct tly_error *error);
TLY_CHECK enum tly_status tly_param_boolean(const json_t *params, const char *name, bool *out, struct tly_error *error);

#endif
