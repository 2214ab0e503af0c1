#include "batch_layer/break_request.h"

#include <string.h>

#include "common/base/limits.h"

struct wish {
  int64_t id;
  enum tly_break_status status;
  const char *why, *who;
};

static bool is_blank(const char *text) {
  return text[strspn(text, " \t\r\n")] == '\0';
}

static enum tly_status read_words(const json_t *params, const char *name, size_t size_max, const char **out,
                                  struct tly_error *error) {
  *out = "";
  TLY_TRY(tly_param_text(params, name, out, error));
  if (is_blank(*out))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                    "\"%s\" is missing: the history of a break says who changed it, and"
                    " why",
                    name);
  if (strlen(*out) > size_max)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "\"%s\" has at most %zu bytes", name, size_max);
  return TLY_OK;
}

static enum tly_status read_wish(const json_t *params, struct wish *out, struct tly_error *error) {
  const char *status = "";
  *out = (struct wish){.id = 0};
  TLY_TRY(tly_param_integer(params, "break", &out->id, error));
  if (out->id <= 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"break\" is the number of a break");
  TLY_TRY(tly_param_text(params, "status", &status, error));
  TLY_TRY(tly_break_status_parse(status, &out->status, error));
  TLY_TRY(read_words(params, "reason", TLY_BREAK_WORDS_BYTES_MAX, &out->why, error));
  return read_words(params, "by", TLY_NAME_BYTES_MAX, &out->who, error);
}

static void answer(tly_batch_requests *requests, uint64_t client, const struct tly_request *request,
                   const struct wish *wish, enum tly_break_status before) {
  struct tly_buffer reply = {0};
  json_t *result = json_pack("{s:I,s:s,s:s}", "break", (json_int_t)wish->id, "status",
                             tly_break_status_name(wish->status), "before", tly_break_status_name(before));
  tly_reply_result(&reply, request->id, result);
  tly_batch_requests_answer(requests, client, &reply);
  tly_buffer_free(&reply);
  json_decref(result);
}

static void refuse(tly_batch_requests *requests, uint64_t client, const struct tly_request *request,
                   const struct tly_error *why) {
  struct tly_buffer reply = {0};
  tly_reply_error(&reply, request->id, TLY_RPC_INVALID_PARAMS, why);
  tly_batch_requests_answer(requests, client, &reply);
  tly_buffer_free(&reply);
}

enum tly_status tly_break_request_serve(tly_break_store *breaks, tly_batch_requests *requests, uint64_t client,
                                        const struct tly_request *request, int64_t now_us, struct tly_error *error) {
  struct wish wish;
  enum tly_break_status before;
  bool is_refused = true;
  enum tly_status status = read_wish(request->params, &wish, error);
  if (status == TLY_OK)
    status = tly_break_store_set(breaks, wish.id, wish.status, wish.who, wish.why, now_us, &before, &is_refused, error);
  if (status == TLY_OK)
    answer(requests, client, request, &wish, before);
  else if (is_refused)
    refuse(requests, client, request, error);
  return is_refused ? TLY_OK : status;
}
