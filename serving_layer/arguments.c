#include "serving_layer/arguments.h"

static enum tly_status read_one(const json_t *arg, struct tly_type type, uint32_t number, struct tly_arena *arena,
                                struct tly_value *out, struct tly_error *error) {
  struct tly_buffer text = {0};
  switch (json_typeof(arg)) {
  case JSON_NULL: *out = tly_value_null(type); return TLY_OK;
  case JSON_STRING: tly_buffer_append(&text, json_string_value(arg), json_string_length(arg)); break;
  case JSON_INTEGER: tly_buffer_print(&text, "%lld", (long long)json_integer_value(arg)); break;
  case JSON_REAL: tly_double_print(json_real_value(arg), &text); break;
  case JSON_TRUE: tly_buffer_append_text(&text, "true"); break;
  case JSON_FALSE: tly_buffer_append_text(&text, "false"); break;
  default:
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "argument $%u must be a text, a number, true, false or null",
                    number + 1);
  }
  const char *bytes = tly_arena_copy(arena, text.size > 0 ? (const char *)text.data : "", text.size);
  enum tly_status status = tly_value_parse(type, bytes, text.size, arena, out, error);
  tly_buffer_free(&text);
  return status;
}

enum tly_status tly_arguments_read(const json_t *args, const struct tly_statement *statement, struct tly_arena *arena,
                                   struct tly_value **out, struct tly_error *error) {
  uint32_t count = statement->parameter_count;
  if (args != NULL && !json_is_array(args))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"args\" must be an array");
  if (json_array_size(args) != count)
    return TLY_FAIL(error, TLY_E_PROTOCOL, "the statement has %u parameters, \"args\" has %zu", count,
                    json_array_size(args));
  *out = TLY_ARENA_ARRAY(arena, struct tly_value, count + 1);
  for (uint32_t i = 0; i < count; i++)
    TLY_TRY(read_one(json_array_get(args, i), statement->parameters[i], i, arena, &(*out)[i], error));
  return TLY_OK;
}
