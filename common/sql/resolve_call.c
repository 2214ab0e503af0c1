/* Function calls: which of the catalogue's functions, which aggregate, which window function. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"
#include "common/value/zone_folder.h"

static void print_types(char *out, size_t size, struct tly_expr *const *arguments, uint32_t count) {
  size_t used = 0;
  out[0] = '\0';
  for (uint32_t i = 0; i < count && used < size; i++) {
    int written = snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", tly_type_name(arguments[i]->type));
    used += written > 0 ? (size_t)written : 0;
  }
}

static void suggest_functions(const char *name, struct tly_suggestion *suggestion) {
  for (size_t i = 0; i < tly_catalog_function_count; i++)
    tly_suggest(suggestion, name, tly_catalog_functions[i].name);
  for (size_t i = 0; i < tly_catalog_aggregate_count; i++)
    tly_suggest(suggestion, name, tly_catalog_aggregates[i].name);
  tly_suggest(suggestion, name, "count");
}

enum tly_status tly_resolve_no_function(struct tly_resolver *resolver, const char *name,
                                        struct tly_expr *const *arguments, uint32_t count, bool is_ambiguous,
                                        uint32_t location) {
  for (size_t i = 0; i < tly_catalog_refused_function_count; i++)
    if (strcmp(tly_catalog_refused_functions[i], name) == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "function %s is not supported", name);
  char types[256];
  print_types(types, sizeof types, arguments, count);
  enum tly_status status = is_ambiguous ? TLY_E_AMBIGUOUS_FUNCTION : TLY_E_UNDEFINED_FUNCTION;
  (void)TLY_FAIL_AT(resolver, location, status, "function %s(%s) %s", name, types,
                    is_ambiguous ? "is not unique" : "does not exist");
  struct tly_suggestion suggestion = {.best = NULL};
  suggest_functions(name, &suggestion);
  if (is_ambiguous)
    tly_error_hint(resolver->error,
                   "Could not choose a best candidate function. You might need to add explicit type casts.");
  else if (suggestion.best != NULL && suggestion.distance > 0)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  else
    tly_error_hint(resolver->error, "No function matches the given name and argument types. You might need to add "
                                    "explicit type casts.");
  return status;
}

/* `shown` is how PostgreSQL calls it when it cannot be called so. */
static enum tly_status function_name(struct tly_resolver *resolver, struct tly_node node, const char **name,
                                     const char **shown) {
  size_t parts = tly_node_count(node, "funcname");
  *name = tly_node_string(tly_node_item(node, "funcname", parts - 1));
  const char *schema = parts == 2 ? tly_node_string(tly_node_item(node, "funcname", 0)) : "pg_catalog";
  if (parts > 2 || strcmp(schema, "pg_catalog") != 0)
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_UNDEFINED_FUNCTION, "function %s.%s does not exist",
                       schema, *name);
  *shown = parts == 2 ? tly_arena_print(resolver->arena, "pg_catalog.%s", *name) : *name;
  return TLY_OK;
}

/* date(x), text(x), int4(x): a type's name called like a function is the cast, where there is one. */
static bool is_cast_call(const char *name, struct tly_expr *const *arguments, uint32_t count) {
  enum tly_type_id target = tly_type_of_function_name(name);
  if (count != 1 || target == TLY_TYPE_UNKNOWN || target == TLY_TYPE_INTERVAL)
    return false;
  return tly_coerce_can(arguments[0]->type.id, target, TLY_COERCION_EXPLICIT);
}

/* A unit that does not exist raises on a row, in PostgreSQL and in a query. In a definition it would set every event
 * aside, so there it is a problem of the text. Julian days and time zones are refused in both. */
static enum tly_status check_unit(struct tly_resolver *resolver, const char *name, enum tly_kernel kernel,
                                  const struct tly_expr *unit) {
  if (!tly_expr_is_constant(unit) || unit->constant.is_null || !tly_type_is_text(unit->type.id))
    return TLY_OK;
  struct tly_text field = unit->constant.text;
  static const char *const refused[] = {"julian", "timezone", "timezone_hour", "timezone_minute"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (strcmp(name, "extract") == 0 && field.size == strlen(refused[i]) &&
        strncasecmp(field.data, refused[i], field.size) == 0)
      return TLY_FAIL_AT(resolver, unit->location, TLY_E_NOT_SUPPORTED, "extract(%s) is not supported", refused[i]);
  enum tly_status status = resolver->is_view ? tly_proof_check_unit(kernel, unit, resolver->error) : TLY_OK;
  return status == TLY_OK ? TLY_OK : tly_resolver_place(resolver, unit->location, status);
}

static enum tly_status check_refused_form(struct tly_resolver *resolver, const char *name,
                                          struct tly_expr *const *arguments, uint32_t count, uint32_t location) {
  if (strcmp(name, "date_trunc") == 0 && count == 2 && arguments[1]->type.id == TLY_TYPE_INTERVAL)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "date_trunc of an interval is not supported");
  bool takes_pattern = strcmp(name, "substring") == 0 && count >= 2 &&
                       (tly_type_is_text(arguments[1]->type.id) || tly_expr_is_unknown(arguments[1]));
  if (takes_pattern)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "substring with a pattern is not supported");
  return TLY_OK;
}

/* A time zone that does not exist raises on a row, in PostgreSQL and in a query; in a definition it is a problem of the
 * text. There it must be a constant: the rules of the zone are part of the definition's hash. */
static enum tly_status check_zone(struct tly_resolver *resolver, const struct tly_expr *call) {
  const struct tly_expr *zone = tly_expr_zone(call);
  const tly_time_zone *found;
  if (!resolver->is_view || zone == NULL)
    return TLY_OK;
  uint32_t location = tly_expr_location(zone);
  if (!tly_expr_is_constant(zone)) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                      "a time zone that is not a constant is not supported in a view's definition");
    tly_error_hint(resolver->error, "convert in the query that reads the view");
    return TLY_E_NOT_SUPPORTED;
  }
  if (zone->constant.is_null)
    return TLY_OK;
  enum tly_status status = tly_time_zone_find(zone->constant.text, &found, resolver->error);
  return status == TLY_OK ? TLY_OK : tly_resolver_place(resolver, location, status);
}

/* AT TIME ZONE 'UTC' keeps the instant, as sessions are UTC: a cast, which needs no rules and cannot raise. */
static bool is_at_utc(const struct tly_expr *call) {
  const struct tly_expr *zone = tly_expr_zone(call);
  bool converts = call->kernel == TLY_KERNEL_timestamp_zone || call->kernel == TLY_KERNEL_timestamptz_zone;
  return converts && tly_expr_is_constant(zone) && !zone->constant.is_null && zone->constant.text.size == 3 &&
         strncasecmp(zone->constant.text.data, "UTC", 3) == 0;
}

static enum tly_status resolve_function(struct tly_resolver *resolver, const char *name, const char *shown,
                                        struct tly_expr **arguments, uint32_t count, uint32_t location,
                                        struct tly_expr **out) {
  enum tly_type_id types[TLY_CATALOG_ARGUMENTS_MAX] = {TLY_TYPE_UNKNOWN};
  bool is_ambiguous = false;
  size_t row = SIZE_MAX;
  TLY_TRY(check_refused_form(resolver, name, arguments, count, location));
  if (count <= TLY_CATALOG_ARGUMENTS_MAX) {
    for (uint32_t i = 0; i < count; i++)
      types[i] = arguments[i]->type.id;
    row = tly_overload_function(name, types, count, &is_ambiguous);
  }
  if (row == SIZE_MAX && is_cast_call(name, arguments, count)) {
    *out = arguments[0];
    return tly_coerce_cast(resolver, TLY_TYPE_OF(tly_type_of_function_name(name)), false, location, out);
  }
  if (row == SIZE_MAX)
    return tly_resolve_no_function(resolver, shown, arguments, count, is_ambiguous, location);
  const struct tly_catalog_function *function = &tly_catalog_functions[row];
  for (uint32_t i = 0; i < count; i++)
    TLY_TRY(tly_coerce_implicit(resolver, function->arguments[i], &arguments[i]));
  TLY_TRY(check_unit(resolver, name, function->kernel, arguments[0]));
  *out = tly_expr_call(resolver, function->kernel, TLY_TYPE_OF(function->result), location, arguments, count);
  TLY_TRY(check_zone(resolver, *out));
  if (!is_at_utc(*out))
    return TLY_OK;
  *out = arguments[1];
  return tly_coerce_cast(resolver, TLY_TYPE_OF(function->result), false, location, out);
}

/* lower(*), lower(DISTINCT x), lower(x) FILTER (...), lower(x) OVER () */
static enum tly_status refuse_aggregate_syntax(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                               uint32_t location) {
  static const char *const members[] = {"agg_star", "agg_distinct", "agg_order", "agg_filter", "over"};
  static const char *const words[] = {"(*)", "DISTINCT", "ORDER BY", "FILTER", "OVER"};
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    bool is_over = strcmp(members[i], "over") == 0;
    if (tly_node_has(node, members[i]))
      return TLY_FAIL_AT(resolver, location, TLY_E_WRONG_OBJECT_TYPE,
                         "%s specified, but %s is not %s aggregate function", words[i], name,
                         is_over ? "a window function nor an" : "an");
  }
  return tly_resolver_expect(resolver, node, "funcname args funcformat");
}

enum tly_status tly_resolve_call(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  const char *name, *shown;
  uint32_t location = tly_node_location(node);
  TLY_TRY(function_name(resolver, node, &name, &shown));
  if (tly_resolve_is_window_function(name))
    return tly_resolve_window(resolver, node, name, out);
  if (tly_overload_aggregate_exists(name))
    return tly_node_has(node, "over") ? tly_resolve_window(resolver, node, name, out)
                                      : tly_resolve_aggregate(resolver, node, name, out);
  struct tly_expr **arguments;
  uint32_t count;
  TLY_TRY(tly_resolve_list(resolver, node, "args", &arguments, &count));
  bool is_known = tly_overload_function_exists(name) || tly_type_of_function_name(name) != TLY_TYPE_UNKNOWN;
  if (!is_known)
    return tly_resolve_no_function(resolver, name, arguments, count, false, location);
  TLY_TRY(resolve_function(resolver, name, shown, arguments, count, location, out));
  return refuse_aggregate_syntax(resolver, node, name, location);
}
