/* WITH (check = '...'): the condition is parsed as the HAVING of a SELECT and resolved over the view's output columns,
 * so that it says what any condition of a view's definition may say, and fails with the same words. What comes out is a
 * view of its own, without keys: the engine folds it and finishes it like every other one.
 *
 * The text stands inside a literal of the definition, where quotes may be doubled: an error's place in the text is
 * walked back to the place in the definition, for the caret. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/definitions.h"
#include "common/sql/parse.h"
#include "common/sql/scan.h"

static const char select_having[] = "SELECT HAVING ";

enum { PREFIX_BYTES = sizeof select_having - 1 };

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Where the literal behind `name =` begins. */
static const char *find_literal(const struct tly_resolver *resolver, const struct tly_option *option) {
  const char *end = resolver->sql + resolver->sql_size, *at = resolver->sql + option->location;
  bool is_quoted = *at == '"';
  at = tly_scan_blank(at + tly_scan_name_size(at, end) + (is_quoted ? 2 : 0), end);
  if (at == end || *at != '=')
    return resolver->sql + option->location;
  return tly_scan_blank(at + 1, end);
}

/* Where byte `offset` of the option's value stands in the definition; the beginning of the literal where that cannot be
 * told: backslashes, or a literal that goes on behind a line's end. */
static uint32_t place_of(const struct tly_resolver *resolver, const struct tly_option *option, size_t offset) {
  const char *end = resolver->sql + resolver->sql_size, *literal = find_literal(resolver, option), *at = literal;
  const char *tag_end = at < end && *at == '$' ? memchr(at + 1, '$', (size_t)(end - at) - 1) : NULL;
  uint32_t fallback = (uint32_t)(literal - resolver->sql);
  bool doubles_quotes = tag_end == NULL;
  at = tag_end != NULL ? tag_end + 1 : at < end ? at + 1 : at;
  if (doubles_quotes && at < end && (*literal == 'e' || *literal == 'E'))
    at++;
  for (size_t i = 0; i < offset; i++) {
    if (at >= end || *at != option->value[i])
      return fallback;
    at += doubles_quotes && *at == '\'' ? 2 : 1;
  }
  return at <= end ? (uint32_t)(at - resolver->sql) : fallback;
}

/* An error of the condition, at its place in the definition. */
static enum tly_status place_error(struct tly_resolver *resolver, const struct tly_option *option, uint32_t location,
                                   enum tly_status status) {
  size_t size = strlen(option->value), offset = 0;
  if (location != TLY_LOCATION_NONE && location > PREFIX_BYTES)
    offset = location - PREFIX_BYTES;
  return tly_resolver_place(resolver, place_of(resolver, option, offset < size ? offset : size), status);
}

/* ---- the condition ----------------------------------------------------------------------------------------------- */

/* The view's rows as a stream: a column for each output. */
static struct tly_stream *stream_of(struct tly_resolver *resolver, const struct tly_view *view) {
  struct tly_stream *stream = TLY_ARENA_NEW(resolver->arena, struct tly_stream);
  *stream =
      (struct tly_stream){.name = view->name,
                          .server = view->stream->server,
                          .columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_stream_column, view->output_count),
                          .column_count = view->output_count,
                          .event_time = -1};
  for (uint32_t o = 0; o < view->output_count; o++)
    stream->columns[o] = (struct tly_stream_column){.name = view->outputs[o].name,
                                                    .type = view->outputs[o].expression->type,
                                                    .not_null = !view->outputs[o].expression->nullable};
  return stream;
}

static void add_columns(struct tly_resolver *resolver, const struct tly_stream *stream) {
  struct tly_result_column *columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, stream->column_count);
  for (uint32_t i = 0; i < stream->column_count; i++)
    columns[i] =
        (struct tly_result_column){stream->columns[i].name, stream->columns[i].type, !stream->columns[i].not_null};
  tly_scope_add_relation(resolver, stream->name, stream->name, columns, stream->column_count);
}

/* The place of the first call of aggregate `number`. */
static uint32_t location_of(const struct tly_expr *expression, uint32_t number) {
  if (expression->kind == TLY_EXPR_AGGREGATE)
    return expression->column == number ? expression->location : TLY_LOCATION_NONE;
  uint32_t location = TLY_LOCATION_NONE;
  for (uint32_t i = 0; i < expression->argument_count && location == TLY_LOCATION_NONE; i++)
    location = location_of(expression->arguments[i], number);
  return location;
}

static const char *one_line(struct tly_resolver *resolver, const char *at, const char *end) {
  struct tly_buffer text = {0};
  tly_scan_one_line(at, end, &text);
  const char *copy = tly_arena_copy(resolver->arena, tly_buffer_text(&text), text.size);
  tly_buffer_free(&text);
  return copy;
}

/* An aggregate call as it is written: name (arguments) FILTER (...). */
static const char *text_of_call(struct tly_resolver *resolver, uint32_t location, bool has_filter) {
  const char *end = resolver->sql + resolver->sql_size, *at = resolver->sql + location;
  const char *stop = tly_scan_parentheses(at, end);
  return one_line(resolver, at, has_filter ? tly_scan_parentheses(stop, end) : stop);
}

static void add_outputs(struct tly_resolver *resolver, struct tly_view *check, struct tly_expr *condition) {
  check->outputs = TLY_ARENA_ARRAY(resolver->arena, struct tly_view_output, 1 + check->aggregate_count);
  check->outputs[check->output_count++] = (struct tly_view_output){"check", condition};
  for (uint32_t i = 0; i < check->aggregate_count; i++) {
    struct tly_aggregate *aggregate = &check->aggregates[i];
    uint32_t location = location_of(condition, i);
    struct tly_expr *call = tly_expr_new(resolver, TLY_EXPR_AGGREGATE, aggregate->type, location);
    TLY_ASSERT(location != TLY_LOCATION_NONE);
    call->aggregate = aggregate;
    call->column = i;
    call->nullable = aggregate->function != TLY_AGGREGATE_COUNT;
    call->can_raise = true;
    check->outputs[check->output_count++] =
        (struct tly_view_output){text_of_call(resolver, location, aggregate->filter != NULL), call};
  }
}

static enum tly_status resolve_condition(struct tly_resolver *resolver, struct tly_node select,
                                         struct tly_view *check) {
  struct tly_expr *condition;
  TLY_TRY(tly_resolver_expect(resolver, select, "havingClause limitOption op"));
  TLY_TRY(
      tly_resolve_condition(resolver, TLY_CLAUSE_HAVING, tly_node_child(select, "havingClause"), "check", &condition));
  TLY_ASSERT(condition != NULL);
  if (tly_expr_count(condition, TLY_SQL_EXPR_NODES_MAX) > TLY_SQL_EXPR_NODES_MAX)
    return TLY_FAIL(resolver->error, TLY_E_TOO_COMPLEX, "check too complex: more than %d expression nodes",
                    TLY_SQL_EXPR_NODES_MAX);
  check->aggregates = TLY_ARENA_ARRAY(resolver->arena, struct tly_aggregate, TLY_COLUMNS_MAX);
  enum tly_status status = tly_grouping_rewrite(resolver, check, &condition);
  if (status == TLY_E_GROUPING) {
    status =
        TLY_FAIL(resolver->error, status, "a check is about all rows together: a column must stand in an aggregate");
    tly_error_hint(resolver->error, "bool_and(...) holds when every row does");
  }
  if (status == TLY_OK)
    add_outputs(resolver, check, condition);
  return status;
}

static enum tly_status parse_condition(struct tly_resolver *resolver, struct tly_view *check) {
  struct json_t *tree;
  TLY_TRY(tly_sql_parse(resolver->sql, resolver->sql_size, &tree, &resolver->error_location, resolver->error));
  enum tly_status status;
  if (tly_tree_statement_count(tree) != 1)
    status = TLY_FAIL(resolver->error, TLY_E_SYNTAX, "a check is one condition, not several statements");
  else
    status = resolve_condition(resolver, tly_tree_statement(tree, 0), check);
  tly_sql_tree_free(tree);
  return status;
}

enum tly_status tly_define_check(struct tly_resolver *resolver, const struct tly_view *view,
                                 const struct tly_option *option, const struct tly_view_check **out) {
  *out = NULL;
  if (option == NULL)
    return TLY_OK;
  struct tly_view_check *check = TLY_ARENA_NEW(resolver->arena, struct tly_view_check);
  const char *end = option->value + strlen(option->value);
  if (tly_scan_blank(option->value, end) == end)
    return TLY_FAIL_AT(resolver, option->location, TLY_E_INVALID_PARAMETER, "the check is empty");
  if (end - option->value > TLY_CHECK_TEXT_BYTES)
    return TLY_FAIL_AT(resolver, option->location, TLY_E_TOO_LARGE, "a check has at most %d bytes",
                       TLY_CHECK_TEXT_BYTES);
  check->text = one_line(resolver, option->value, end);
  check->view = TLY_ARENA_NEW(resolver->arena, struct tly_view);
  *check->view = (struct tly_view){.name = view->name, .stream = stream_of(resolver, view)};
  struct tly_query query = {.members = NULL};
  struct tly_scope scope = {.query = &query};
  struct tly_resolver inner = *resolver;
  inner.scope = &scope;
  inner.sql = tly_arena_print(resolver->arena, "%s%s", select_having, option->value);
  inner.sql_size = strlen(inner.sql);
  inner.error_location = TLY_LOCATION_NONE;
  add_columns(&inner, check->view->stream);
  enum tly_status status = parse_condition(&inner, check->view);
  if (status != TLY_OK)
    return place_error(resolver, option, inner.error_location, status);
  *out = check;
  return TLY_OK;
}
