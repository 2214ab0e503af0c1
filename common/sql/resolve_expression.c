/* One expression of the parse tree into a typed one: transformExprRecurse of PostgreSQL's parse_expr.c. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

/* What a member of a node is called by people. */
static const struct {
  const char *member, *words;
} clause_names[] = {
    {"lockingClause", "FOR UPDATE"},
    {"intoClause", "SELECT INTO"},
    {"valuesLists", "VALUES"},
    {"windowClause", "WINDOW"},
    {"withClause", "WITH"},
    {"groupDistinct", "GROUP BY DISTINCT"},
    {"agg_order", "ORDER BY inside an aggregate"},
    {"agg_within_group", "WITHIN GROUP"},
    {"func_variadic", "VARIADIC"},
    {"over", "OVER"},
    {"agg_filter", "FILTER"},
    {"agg_distinct", "DISTINCT inside this call"},
    {"isNatural", "NATURAL JOIN"},
    {"join_using_alias", "an alias for USING"},
    {"lateral", "LATERAL"},
    {"recursive", "WITH RECURSIVE"},
    {"search_clause", "SEARCH"},
    {"cycle_clause", "CYCLE"},
    {"collClause", "COLLATE"},
    {"skipData", "WITH NO DATA"},
    {"if_not_exists", "IF NOT EXISTS"},
    {"tableSpaceName", "TABLESPACE"},
    {"accessMethod", "USING an access method"},
    {"setof", "SETOF"},
    {"pct_type", "%TYPE"},
    {"servertype", "TYPE of a server"},
    {"version", "VERSION of a server"},
    {"catalogname", "a database name"},
    {"useOp", "ORDER BY ... USING"},
    {"sortClause", "ORDER BY"},
    {"limitCount", "LIMIT"},
    {"limitOffset", "OFFSET"},
    {"distinctClause", "DISTINCT"},
    {"inhRelations", "INHERITS"},
    {"partspec", "PARTITION BY"},
    {"partbound", "PARTITION OF"},
    {"defnamespace", "a qualified option name"},
};

enum tly_status tly_resolver_expect(struct tly_resolver *resolver, struct tly_node node, const char *known) {
  const char *member = tly_node_unexpected(node, known);
  if (member == NULL)
    return TLY_OK;
  uint32_t location = tly_node_location(tly_node_child(node, member));
  if (location == TLY_LOCATION_NONE)
    location = tly_node_location(tly_node_item(node, member, 0));
  if (location == TLY_LOCATION_NONE)
    location = tly_node_location(node);
  for (size_t i = 0; i < sizeof clause_names / sizeof clause_names[0]; i++)
    if (strcmp(clause_names[i].member, member) == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s is not supported", clause_names[i].words);
  return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s of %s is not supported", member, node.kind);
}

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

static struct tly_value boolean_value(bool truth) {
  struct tly_value value = tly_value_null(TLY_TYPE_OF(TLY_TYPE_BOOLEAN));
  value.is_null = false;
  value.i64 = truth;
  return value;
}

static struct tly_value integer_value(enum tly_type_id id, int64_t integer) {
  struct tly_value value = tly_value_null(TLY_TYPE_OF(id));
  value.is_null = false;
  value.i64 = integer;
  return value;
}

/* A number with a point, an exponent, or too many digits for 32 bits: integer or bigint where it is whole and fits,
 * else numeric. */
static enum tly_status resolve_float(struct tly_resolver *resolver, const char *digits, uint32_t location,
                                     struct tly_expr **out) {
  struct tly_decimal decimal;
  enum tly_status status = tly_decimal_parse(digits, strlen(digits), resolver->arena, &decimal, resolver->error);
  if (status != TLY_OK)
    return tly_resolver_place(resolver, location, status);
  bool is_plain = strpbrk(digits, ".eE") == NULL;
  int64_t integer;
  struct tly_value value;
  if (is_plain && tly_decimal_to_i64(decimal, &integer, NULL) == TLY_OK)
    value = integer_value(integer == (int32_t)integer ? TLY_TYPE_INTEGER : TLY_TYPE_BIGINT, integer);
  else
    value = tly_value_of_decimal(tly_proof_of_decimal(decimal), decimal);
  *out = tly_expr_constant(resolver, value, location);
  return TLY_OK;
}

/* A text in quotes or NULL: of no type yet. */
static struct tly_expr *unknown_literal(struct tly_resolver *resolver, const char *text, uint32_t location) {
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_UNKNOWN), .is_null = text == NULL};
  if (text != NULL) {
    size_t size = strlen(text);
    value.text = (struct tly_text){tly_arena_copy(resolver->arena, text, size), (uint32_t)size};
  }
  return tly_expr_constant(resolver, value, location);
}

static enum tly_status resolve_constant(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  if (tly_node_flag(node, "isnull"))
    *out = unknown_literal(resolver, NULL, location);
  else if (tly_node_has(node, "sval"))
    *out = unknown_literal(resolver, tly_node_text(tly_node_struct(node, "sval", "String"), "sval"), location);
  else if (tly_node_has(node, "ival"))
    *out = tly_expr_constant(
        resolver, integer_value(TLY_TYPE_INTEGER, tly_node_constant_integer(node, resolver->sql, resolver->sql_size)),
        location);
  else if (tly_node_has(node, "fval"))
    return resolve_float(resolver, tly_node_text(tly_node_struct(node, "fval", "Float"), "fval"), location, out);
  else if (tly_node_has(node, "boolval"))
    *out = tly_expr_constant(
        resolver, boolean_value(tly_node_flag(tly_node_struct(node, "boolval", "Boolean"), "boolval")), location);
  else
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "bit strings are not supported");
  return TLY_OK;
}

static enum tly_status resolve_parameter(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  int64_t number = tly_node_integer(node, "number");
  uint32_t location = tly_node_location(node);
  if (resolver->is_view || number < 1)
    return TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_PARAMETER, "there is no parameter $%lld", (long long)number);
  if (number > TLY_SQL_PARAMETERS_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_TOO_COMPLEX, "parameter $%lld: at most %d are supported",
                       (long long)number, TLY_SQL_PARAMETERS_MAX);
  uint32_t index = (uint32_t)number - 1;
  if (index >= resolver->parameter_count)
    resolver->parameter_count = index + 1;
  struct tly_expr *parameter = tly_expr_new(resolver, TLY_EXPR_PARAMETER, resolver->parameters[index], location);
  parameter->column = index;
  parameter->nullable = true;
  struct tly_parameter_use *use = TLY_ARENA_NEW(resolver->arena, struct tly_parameter_use);
  *use = (struct tly_parameter_use){parameter, resolver->parameter_uses};
  resolver->parameter_uses = use;
  *out = parameter;
  return TLY_OK;
}

static enum tly_status resolve_now(struct tly_resolver *resolver, enum tly_type_id type, uint32_t location,
                                   struct tly_expr **out) {
  if (resolver->is_view) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "the current time is not supported in a view");
    tly_error_hint(resolver->error, "a total must not depend on when it is computed: compare with it in the query");
    return TLY_E_NOT_SUPPORTED;
  }
  *out = tly_expr_new(resolver, TLY_EXPR_NOW, TLY_TYPE_OF(TLY_TYPE_TIMESTAMPTZ), location);
  return type == TLY_TYPE_TIMESTAMPTZ ? TLY_OK : tly_coerce_cast(resolver, TLY_TYPE_OF(type), false, location, out);
}

static enum tly_status resolve_value_function(struct tly_resolver *resolver, struct tly_node node,
                                              struct tly_expr **out) {
  const char *op = tly_node_text(node, "op");
  uint32_t location = tly_node_location(node);
  if (strcmp(op, "SVFOP_CURRENT_TIMESTAMP") == 0)
    return resolve_now(resolver, TLY_TYPE_TIMESTAMPTZ, location, out);
  if (strcmp(op, "SVFOP_CURRENT_DATE") == 0)
    return resolve_now(resolver, TLY_TYPE_DATE, location, out);
  if (strcmp(op, "SVFOP_LOCALTIMESTAMP") == 0)
    return resolve_now(resolver, TLY_TYPE_TIMESTAMP, location, out);
  char words[64];
  size_t size = 0;
  for (const char *at = op + strlen("SVFOP_"); *at != '\0' && size < sizeof words - 1; at++)
    words[size++] = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
  words[size] = '\0';
  if (size > 2 && strcmp(words + size - 2, "_n") == 0)
    memcpy(words + size - 2, "()", 3);
  return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s is not supported", words);
}

/* ---- boolean ----------------------------------------------------------------------------------------------------- */

static struct tly_type boolean_type(void) {
  return TLY_TYPE_OF(TLY_TYPE_BOOLEAN);
}

static enum tly_status resolve_bool_expr(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  const char *op = tly_node_text(node, "boolop");
  bool is_and = strcmp(op, "AND_EXPR") == 0, is_or = strcmp(op, "OR_EXPR") == 0;
  enum tly_expr_kind kind = is_and ? TLY_EXPR_AND : is_or ? TLY_EXPR_OR : TLY_EXPR_NOT;
  uint32_t count = (uint32_t)tly_node_count(node, "args");
  struct tly_expr **arguments = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  for (uint32_t i = 0; i < count; i++) {
    TLY_TRY(tly_resolve_expression(resolver, tly_node_item(node, "args", i), &arguments[i]));
    TLY_TRY(tly_coerce_boolean(resolver, is_and ? "AND" : is_or ? "OR" : "NOT", &arguments[i]));
  }
  *out = tly_expr_new(resolver, kind, boolean_type(), tly_node_location(node));
  tly_expr_set_arguments(*out, arguments, count);
  return TLY_OK;
}

/* A parameter stays without a type here: `$1 IS NULL OR account = $1` gets it from its other use. */
static enum tly_status resolve_null_test(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  bool is_null = strcmp(tly_node_text(node, "nulltesttype"), "IS_NULL") == 0;
  struct tly_expr *argument;
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "arg"), &argument));
  if (tly_expr_is_constant(argument))
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &argument));
  TLY_TRY(tly_resolve_presence(resolver, &argument));
  *out = tly_expr_new(resolver, is_null ? TLY_EXPR_IS_NULL : TLY_EXPR_IS_NOT_NULL, boolean_type(),
                      tly_node_location(node));
  tly_expr_copy_arguments(resolver, *out, &argument, 1);
  (*out)->nullable = false;
  return TLY_OK;
}

static enum tly_status resolve_boolean_test(struct tly_resolver *resolver, struct tly_node node,
                                            struct tly_expr **out) {
  static const struct {
    const char *name, *words;
    enum tly_expr_kind kind;
  } tests[] = {
      {"IS_TRUE", "IS TRUE", TLY_EXPR_IS_TRUE},       {"IS_NOT_TRUE", "IS NOT TRUE", TLY_EXPR_IS_NOT_TRUE},
      {"IS_FALSE", "IS FALSE", TLY_EXPR_IS_FALSE},    {"IS_NOT_FALSE", "IS NOT FALSE", TLY_EXPR_IS_NOT_FALSE},
      {"IS_UNKNOWN", "IS UNKNOWN", TLY_EXPR_IS_NULL}, {"IS_NOT_UNKNOWN", "IS NOT UNKNOWN", TLY_EXPR_IS_NOT_NULL},
  };
  const char *name = tly_node_text(node, "booltesttype");
  size_t test = 0;
  while (strcmp(tests[test].name, name) != 0)
    TLY_ASSERT(++test < sizeof tests / sizeof tests[0]);
  struct tly_expr *argument;
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "arg"), &argument));
  TLY_TRY(tly_coerce_boolean(resolver, tests[test].words, &argument));
  *out = tly_expr_new(resolver, tests[test].kind, boolean_type(), tly_node_location(node));
  tly_expr_copy_arguments(resolver, *out, &argument, 1);
  (*out)->nullable = false;
  return TLY_OK;
}

/* ---- branches ---------------------------------------------------------------------------------------------------- */

/* CASE x WHEN v is x = v; an x without a type is text. */
static enum tly_status resolve_when(struct tly_resolver *resolver, struct tly_node when, struct tly_expr *subject,
                                    struct tly_expr **out) {
  struct tly_node condition = tly_node_child(when, "expr");
  TLY_TRY(tly_resolve_expression(resolver, condition, out));
  if (subject != NULL)
    TLY_TRY(tly_resolve_operator(resolver, "=", subject, *out, tly_node_location(when), out));
  return tly_coerce_boolean(resolver, "CASE/WHEN", out);
}

/* results: ELSE first, as PostgreSQL weighs them. */
static enum tly_status finish_case(struct tly_resolver *resolver, struct tly_expr **conditions,
                                   struct tly_expr **results, uint32_t count, uint32_t location,
                                   struct tly_expr **out) {
  enum tly_type_id target;
  struct tly_type type;
  TLY_TRY(tly_coerce_common_type(resolver, results, count + 1, "CASE", &target));
  TLY_TRY(tly_coerce_all(resolver, results, count + 1, target, "CASE", &type));
  struct tly_expr **arguments = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, 2 * count + 1);
  bool nullable = results[0]->nullable;
  for (uint32_t i = 0; i < count; i++) {
    arguments[2 * i] = conditions[i];
    arguments[2 * i + 1] = results[i + 1];
    nullable |= results[i + 1]->nullable;
  }
  arguments[2 * count] = results[0];
  *out = tly_expr_new(resolver, TLY_EXPR_CASE, type, location);
  tly_expr_set_arguments(*out, arguments, 2 * count + 1);
  (*out)->nullable = nullable;
  return TLY_OK;
}

static enum tly_status resolve_case(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  uint32_t count = (uint32_t)tly_node_count(node, "args"), location = tly_node_location(node);
  struct tly_node subject_node = tly_node_child(node, "arg"), otherwise = tly_node_child(node, "defresult");
  struct tly_expr *subject = NULL;
  struct tly_expr **conditions = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  struct tly_expr **results = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count + 1);
  if (subject_node.kind != NULL) {
    TLY_TRY(tly_resolve_expression(resolver, subject_node, &subject));
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &subject));
  }
  for (uint32_t i = 0; i < count; i++) {
    struct tly_node when = tly_node_item(node, "args", i);
    TLY_TRY(resolve_when(resolver, when, subject, &conditions[i]));
    TLY_TRY(tly_resolve_expression(resolver, tly_node_child(when, "result"), &results[i + 1]));
  }
  if (otherwise.kind != NULL)
    TLY_TRY(tly_resolve_expression(resolver, otherwise, &results[0]));
  else
    results[0] = unknown_literal(resolver, NULL, location);
  return finish_case(resolver, conditions, results, count, location, out);
}

/* COALESCE, GREATEST, LEAST: NULL only when every argument is. */
static enum tly_status resolve_choice(struct tly_resolver *resolver, struct tly_node node, enum tly_expr_kind kind,
                                      const char *what, struct tly_expr **out) {
  struct tly_expr **arguments;
  uint32_t count;
  enum tly_type_id target;
  struct tly_type type;
  TLY_TRY(tly_resolve_list(resolver, node, "args", &arguments, &count));
  TLY_TRY(tly_coerce_common_type(resolver, arguments, count, what, &target));
  TLY_TRY(tly_coerce_all(resolver, arguments, count, target, what, &type));
  *out = tly_expr_new(resolver, kind, type, tly_node_location(node));
  tly_expr_set_arguments(*out, arguments, count);
  bool nullable = true;
  for (uint32_t i = 0; i < count; i++)
    nullable &= arguments[i]->nullable;
  (*out)->nullable = nullable;
  return TLY_OK;
}

static enum tly_status resolve_min_max(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  bool greatest = strcmp(tly_node_text(node, "op"), "IS_GREATEST") == 0;
  return resolve_choice(resolver, node, greatest ? TLY_EXPR_GREATEST : TLY_EXPR_LEAST, greatest ? "GREATEST" : "LEAST",
                        out);
}

static enum tly_status resolve_coalesce(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  return resolve_choice(resolver, node, TLY_EXPR_COALESCE, "COALESCE", out);
}

/* ---- casts and calls --------------------------------------------------------------------------------------------- */

static enum tly_status resolve_cast(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  struct tly_type type;
  bool has_typmod;
  TLY_TRY(tly_type_of_node(resolver, tly_node_struct(node, "typeName", "TypeName"), &type, &has_typmod));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "arg"), out));
  return tly_coerce_cast(resolver, type, has_typmod, tly_node_location(node), out);
}

/* now() and transaction_timestamp() are the statement's time, as current_timestamp. */
static bool is_now(struct tly_node call) {
  const char *name = tly_node_string(tly_node_item(call, "funcname", tly_node_count(call, "funcname") - 1));
  static const char *const names[] = {"now", "transaction_timestamp", "statement_timestamp"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0)
      return tly_node_count(call, "args") == 0;
  return false;
}

static enum tly_status resolve_call(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  if (is_now(node)) {
    TLY_TRY(tly_resolver_expect(resolver, node, "funcname funcformat"));
    return resolve_now(resolver, TLY_TYPE_TIMESTAMPTZ, tly_node_location(node), out);
  }
  return tly_resolve_call(resolver, node, out);
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

static const struct {
  const char *kind, *members;
  enum tly_status (*resolve)(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out);
} resolvers[] = {
    {"ColumnRef", "fields", tly_resolve_column},
    {"A_Const", "ival fval boolval sval bsval isnull", resolve_constant},
    {"ParamRef", "number", resolve_parameter},
    {"A_Expr", "kind name lexpr rexpr", tly_resolve_operator_node},
    {"FuncCall",
     "funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat",
     resolve_call},
    {"BoolExpr", "boolop args", resolve_bool_expr},
    {"NullTest", "arg nulltesttype", resolve_null_test},
    {"BooleanTest", "arg booltesttype", resolve_boolean_test},
    {"CaseExpr", "arg args defresult", resolve_case},
    {"CoalesceExpr", "args", resolve_coalesce},
    {"MinMaxExpr", "op args", resolve_min_max},
    {"TypeCast", "arg typeName", resolve_cast},
    {"SQLValueFunction", "op typmod", resolve_value_function},
    {"SubLink", "subLinkType testexpr operName subselect", tly_resolve_sublink},
};

static const struct {
  const char *kind, *words;
} refused[] = {
    {"A_ArrayExpr", "ARRAY"},
    {"A_Indirection", "subscripts and field selection"},
    {"RowExpr", "a row of values"},
    {"CollateClause", "COLLATE"},
    {"GroupingFunc", "GROUPING"},
    {"GroupingSet", "GROUPING SETS, ROLLUP or CUBE"},
    {"XmlExpr", "XML"},
    {"XmlSerialize", "XML"},
    {"CurrentOfExpr", "CURRENT OF"},
    {"SetToDefault", "DEFAULT"},
    {"MultiAssignRef", "assignment"},
    {"NamedArgExpr", "named arguments"},
};

enum tly_status tly_resolve_expression(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  *out = NULL;
  TLY_ASSERT(node.kind != NULL);
  for (size_t i = 0; i < sizeof resolvers / sizeof resolvers[0]; i++) {
    if (strcmp(resolvers[i].kind, node.kind) != 0)
      continue;
    TLY_TRY(tly_resolver_expect(resolver, node, resolvers[i].members));
    return resolvers[i].resolve(resolver, node, out);
  }
  const char *words = node.kind;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (strcmp(refused[i].kind, node.kind) == 0)
      words = refused[i].words;
  return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "%s is not supported", words);
}

enum tly_status tly_resolve_list(struct tly_resolver *resolver, struct tly_node node, const char *member,
                                 struct tly_expr ***out, uint32_t *count) {
  *count = (uint32_t)tly_node_count(node, member);
  *out = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, *count);
  for (uint32_t i = 0; i < *count; i++)
    TLY_TRY(tly_resolve_expression(resolver, tly_node_item(node, member, i), &(*out)[i]));
  return TLY_OK;
}

enum tly_status tly_resolve_condition(struct tly_resolver *resolver, enum tly_clause clause, struct tly_node node,
                                      const char *what, struct tly_expr **out) {
  *out = NULL;
  if (node.kind == NULL)
    return TLY_OK;
  enum tly_clause outer = resolver->scope->clause;
  resolver->scope->clause = clause;
  enum tly_status status = tly_resolve_expression(resolver, node, out);
  resolver->scope->clause = outer;
  return status != TLY_OK ? status : tly_coerce_boolean(resolver, what, out);
}
