/* Operators and what the grammar writes as one: IN, BETWEEN, LIKE, IS DISTINCT FROM, NULLIF. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

static struct tly_type boolean_type(void) {
  return TLY_TYPE_OF(TLY_TYPE_BOOLEAN);
}

static enum tly_status no_operator(struct tly_resolver *resolver, const char *name, const struct tly_expr *left,
                                   const struct tly_expr *right, bool is_ambiguous, uint32_t location) {
  for (size_t i = 0; i < tly_catalog_refused_operator_count; i++)
    if (strcmp(tly_catalog_refused_operators[i], name) == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "operator %s is not supported", name);
  const char *left_name = left == NULL ? "" : tly_type_name(left->type);
  const char *space = left == NULL ? "" : " ";
  enum tly_status status = is_ambiguous ? TLY_E_AMBIGUOUS_FUNCTION : TLY_E_UNDEFINED_FUNCTION;
  (void)TLY_FAIL_AT(resolver, location, status, "operator %s: %s%s%s %s",
                    is_ambiguous ? "is not unique" : "does not exist", left_name, space, name,
                    tly_type_name(right->type));
  tly_error_hint(resolver->error,
                 is_ambiguous ? "Could not choose a best candidate operator. You might need to add explicit type casts."
                              : "No operator matches the given name and argument types. You might need to add explicit "
                                "type casts.");
  return status;
}

/* text || anything and anything || text: the other side becomes text (textanycat and anytextcat of PostgreSQL). */
static enum tly_status concat_with_text(struct tly_resolver *resolver, struct tly_expr **left,
                                        struct tly_expr **right) {
  struct tly_type text = TLY_TYPE_OF(TLY_TYPE_TEXT);
  bool left_is_text = tly_type_is_text((*left)->type.id), right_is_text = tly_type_is_text((*right)->type.id);
  bool left_unknown = tly_expr_is_unknown(*left), right_unknown = tly_expr_is_unknown(*right);
  if ((left_is_text || left_unknown) && !right_unknown && !right_is_text)
    return tly_coerce_cast(resolver, text, false, (*right)->location, right);
  if ((right_is_text || right_unknown) && !left_unknown && !left_is_text)
    return tly_coerce_cast(resolver, text, false, (*left)->location, left);
  return TLY_OK;
}

/* integer + date, interval + timestamp: PostgreSQL has them as SQL functions that swap their arguments, so they are no
 * rows of the catalogue. */
static void swap_date_addition(const char *name, struct tly_expr **left, struct tly_expr **right) {
  bool is_ambiguous;
  if (strcmp(name, "+") != 0 || tly_type_category((*right)->type.id) != 'D' ||
      tly_type_category((*left)->type.id) == 'D')
    return;
  size_t row = tly_overload_operator(name, (*right)->type.id, (*left)->type.id, &is_ambiguous);
  if (row == SIZE_MAX && !is_ambiguous)
    return;
  struct tly_expr *first = *left;
  *left = *right;
  *right = first;
}

static enum tly_status find_operator(struct tly_resolver *resolver, const char *name, const struct tly_expr *left,
                                     const struct tly_expr *right, uint32_t location,
                                     const struct tly_catalog_operator **out) {
  bool is_ambiguous;
  size_t row =
      tly_overload_operator(name, left == NULL ? TLY_TYPE_COUNT : left->type.id, right->type.id, &is_ambiguous);
  if (row == SIZE_MAX)
    return no_operator(resolver, name, left, right, is_ambiguous, location);
  *out = &tly_catalog_operators[row];
  return TLY_OK;
}

enum tly_status tly_resolve_operator(struct tly_resolver *resolver, const char *name, struct tly_expr *left,
                                     struct tly_expr *right, uint32_t location, struct tly_expr **out) {
  const struct tly_catalog_operator *operator_row = NULL;
  if (strcmp(name, "||") == 0 && left != NULL)
    TLY_TRY(concat_with_text(resolver, &left, &right));
  if (left != NULL)
    swap_date_addition(name, &left, &right);
  TLY_TRY(find_operator(resolver, name, left, right, location, &operator_row));
  TLY_ASSERT(operator_row != NULL);
  if (left != NULL)
    TLY_TRY(tly_coerce_implicit(resolver, operator_row->left, &left));
  TLY_TRY(tly_coerce_implicit(resolver, operator_row->right, &right));
  struct tly_expr *arguments[2] = {left == NULL ? right : left, right};
  *out = tly_expr_call(resolver, operator_row->kernel, TLY_TYPE_OF(operator_row->result), location, arguments,
                       left == NULL ? 1 : 2);
  return TLY_OK;
}

enum tly_status tly_resolve_presence(struct tly_resolver *resolver, struct tly_expr **expression) {
  if ((*expression)->type.id != TLY_TYPE_INTERVAL)
    return TLY_OK;
  return tly_resolve_operator(resolver, "=", *expression, *expression, (*expression)->location, expression);
}

static enum tly_status operator_name(struct tly_resolver *resolver, struct tly_node node, const char **name) {
  size_t parts = tly_node_count(node, "name");
  *name = tly_node_string(tly_node_item(node, "name", parts - 1));
  const char *schema = parts == 2 ? tly_node_string(tly_node_item(node, "name", 0)) : "pg_catalog";
  if (parts > 2 || strcmp(schema, "pg_catalog") != 0)
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED,
                       "operators of schema %s are not supported", schema);
  return TLY_OK;
}

static enum tly_status resolve_plain(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  const char *name;
  struct tly_expr *left = NULL, *right;
  struct tly_node left_node = tly_node_child(node, "lexpr");
  TLY_TRY(operator_name(resolver, node, &name));
  if (left_node.kind != NULL)
    TLY_TRY(tly_resolve_expression(resolver, left_node, &left));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "rexpr"), &right));
  return tly_resolve_operator(resolver, name, left, right, tly_node_location(node), out);
}

static bool is_null_literal(const struct tly_expr *expression) {
  return tly_expr_is_constant(expression) && tly_expr_is_unknown(expression) && expression->constant.is_null;
}

static struct tly_expr *null_test(struct tly_resolver *resolver, struct tly_expr *argument, bool is_null,
                                  uint32_t location) {
  struct tly_expr *test =
      tly_expr_new(resolver, is_null ? TLY_EXPR_IS_NULL : TLY_EXPR_IS_NOT_NULL, boolean_type(), location);
  tly_expr_copy_arguments(resolver, test, &argument, 1);
  test->nullable = false;
  return test;
}

/* The equality behind IS DISTINCT FROM and NULLIF, under the kind that says what is done with it. */
static enum tly_status resolve_equality_as(struct tly_resolver *resolver, enum tly_expr_kind kind,
                                           struct tly_expr *left, struct tly_expr *right, uint32_t location,
                                           struct tly_expr **out) {
  TLY_TRY(tly_resolve_operator(resolver, "=", left, right, location, out));
  (*out)->kind = kind;
  return TLY_OK;
}

static enum tly_status resolve_distinct(struct tly_resolver *resolver, struct tly_node node, bool negated,
                                        struct tly_expr **out) {
  struct tly_expr *left, *right;
  uint32_t location = tly_node_location(node);
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "lexpr"), &left));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "rexpr"), &right));
  if (is_null_literal(left) || is_null_literal(right)) {
    struct tly_expr *other = is_null_literal(right) ? left : right;
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &other));
    TLY_TRY(tly_resolve_presence(resolver, &other));
    *out = null_test(resolver, other, negated, location);
    return TLY_OK;
  }
  enum tly_expr_kind kind = negated ? TLY_EXPR_IS_NOT_DISTINCT : TLY_EXPR_IS_DISTINCT;
  TLY_TRY(resolve_equality_as(resolver, kind, left, right, location, out));
  (*out)->nullable = false;
  return TLY_OK;
}

static enum tly_status resolve_nullif(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  struct tly_expr *left, *right;
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "lexpr"), &left));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "rexpr"), &right));
  TLY_TRY(resolve_equality_as(resolver, TLY_EXPR_NULLIF, left, right, tly_node_location(node), out));
  (*out)->type = (*out)->arguments[0]->type;
  (*out)->nullable = true;
  return TLY_OK;
}

/* a BETWEEN b AND c is a >= b AND a <= c; SYMMETRIC tries both orders. */
static enum tly_status between(struct tly_resolver *resolver, struct tly_expr *subject, struct tly_expr *low,
                               struct tly_expr *high, bool negated, uint32_t location, struct tly_expr **out) {
  struct tly_expr *above, *below;
  TLY_TRY(tly_resolve_operator(resolver, negated ? "<" : ">=", subject, low, location, &above));
  TLY_TRY(tly_resolve_operator(resolver, negated ? ">" : "<=", subject, high, location, &below));
  *out = tly_expr_and(resolver, negated ? TLY_EXPR_OR : TLY_EXPR_AND, above, below, location);
  return TLY_OK;
}

static enum tly_status resolve_between(struct tly_resolver *resolver, struct tly_node node, bool negated,
                                       bool symmetric, struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  struct tly_node bounds = tly_node_child(node, "rexpr");
  struct tly_expr *subject, *low, *high, *swapped;
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "lexpr"), &subject));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_item(bounds, "items", 0), &low));
  TLY_TRY(tly_resolve_expression(resolver, tly_node_item(bounds, "items", 1), &high));
  TLY_TRY(between(resolver, subject, low, high, negated, location, out));
  if (!symmetric)
    return TLY_OK;
  TLY_TRY(between(resolver, subject, high, low, negated, location, &swapped));
  *out = tly_expr_and(resolver, negated ? TLY_EXPR_AND : TLY_EXPR_OR, *out, swapped, location);
  return TLY_OK;
}

/* ---- IN (list) --------------------------------------------------------------------------------------------------- */

static void find_column(struct tly_expr **node, void *argument) {
  bool *found = argument;
  if ((*node)->kind == TLY_EXPR_COLUMN && (*node)->levels_up == 0)
    *found = true;
  if (!*found)
    tly_expr_each(*node, find_column, found);
}

static bool has_column(struct tly_expr *expression) {
  bool found = false;
  find_column(&expression, &found);
  return found;
}

struct in_list {
  struct tly_expr *subject;
  struct tly_expr **constants; /* [0] is the subject, as the common type wants it */
  uint32_t constant_count;
  struct tly_expr **others;
  uint32_t other_count;
};

static enum tly_status read_in_list(struct tly_resolver *resolver, struct tly_node node, struct in_list *list) {
  struct tly_node items = tly_node_child(node, "rexpr");
  uint32_t count = (uint32_t)tly_node_count(items, "items");
  TLY_TRY(tly_resolve_expression(resolver, tly_node_child(node, "lexpr"), &list->subject));
  list->constants = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count + 1);
  list->others = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  list->constants[0] = list->subject;
  for (uint32_t i = 0; i < count; i++) {
    struct tly_expr *item;
    TLY_TRY(tly_resolve_expression(resolver, tly_node_item(items, "items", i), &item));
    if (has_column(item))
      list->others[list->other_count++] = item;
    else
      list->constants[++list->constant_count] = item;
  }
  return TLY_OK;
}

/* Two or more items without columns are one comparison with any of an array in PostgreSQL, so they take one type
 * together with the subject. False when they have none: then each is compared on its own. */
static bool common_type_of_list(struct tly_resolver *resolver, struct in_list *list, enum tly_type_id *type) {
  if (list->constant_count < 2)
    return false;
  struct tly_error *error = resolver->error;
  uint32_t location = resolver->error_location;
  resolver->error = NULL;
  enum tly_status status = tly_coerce_common_type(resolver, list->constants, list->constant_count + 1, "IN", type);
  resolver->error = error;
  resolver->error_location = location;
  return status == TLY_OK;
}

static enum tly_status in_constants(struct tly_resolver *resolver, struct in_list *list, enum tly_type_id type,
                                    uint32_t location, struct tly_expr **out) {
  uint32_t count = list->constant_count;
  struct tly_expr **arguments = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count + 1);
  const struct tly_catalog_operator *equality = NULL;
  struct tly_expr *element = tly_expr_new(resolver, TLY_EXPR_PARAMETER, TLY_TYPE_OF(type), location);
  TLY_TRY(find_operator(resolver, "=", list->subject, element, location, &equality));
  TLY_ASSERT(equality != NULL);
  arguments[0] = list->subject;
  TLY_TRY(tly_coerce_implicit(resolver, equality->left, &arguments[0]));
  for (uint32_t i = 1; i <= count; i++) {
    arguments[i] = list->constants[i];
    TLY_TRY(tly_coerce_implicit(resolver, type, &arguments[i]));
    TLY_TRY(tly_coerce_implicit(resolver, equality->right, &arguments[i]));
  }
  *out = tly_expr_new(resolver, TLY_EXPR_IN, boolean_type(), location);
  (*out)->kernel = equality->kernel;
  tly_expr_set_arguments(*out, arguments, count + 1);
  return TLY_OK;
}

static enum tly_status resolve_in(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  bool negated = strcmp(tly_node_string(tly_node_item(node, "name", 0)), "<>") == 0;
  struct in_list list = {.subject = NULL};
  TLY_TRY(read_in_list(resolver, node, &list));
  struct tly_expr *all = NULL;
  enum tly_type_id type;
  if (common_type_of_list(resolver, &list, &type))
    TLY_TRY(in_constants(resolver, &list, type, location, &all));
  uint32_t first = all == NULL ? 0 : list.constant_count;
  for (uint32_t i = first; i < list.constant_count + list.other_count; i++) {
    struct tly_expr *item = i < list.constant_count ? list.constants[i + 1] : list.others[i - list.constant_count];
    struct tly_expr *equal;
    TLY_TRY(tly_resolve_operator(resolver, "=", list.subject, item, location, &equal));
    all = all == NULL ? equal : tly_expr_and(resolver, TLY_EXPR_OR, all, equal, location);
  }
  *out = all;
  if (negated) {
    *out = tly_expr_new(resolver, TLY_EXPR_NOT, boolean_type(), location);
    tly_expr_copy_arguments(resolver, *out, &all, 1);
  }
  return TLY_OK;
}

/* The grammar writes a LIKE b ESCAPE c as a ~~ like_escape(b, c). */
static bool has_escape(struct tly_node node) {
  struct tly_node pattern = tly_node_child(node, "rexpr");
  size_t parts = tly_node_count(pattern, "funcname");
  return tly_node_is(pattern, "FuncCall") && parts == 2 &&
         strcmp(tly_node_string(tly_node_item(pattern, "funcname", 1)), "like_escape") == 0;
}

enum tly_status tly_resolve_operator_node(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  const char *kind = tly_node_text(node, "kind");
  if (strstr(kind, "LIKE") != NULL && has_escape(node))
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "LIKE with ESCAPE is not supported");
  if (strcmp(kind, "AEXPR_OP") == 0 || strcmp(kind, "AEXPR_LIKE") == 0 || strcmp(kind, "AEXPR_ILIKE") == 0)
    return resolve_plain(resolver, node, out);
  if (strcmp(kind, "AEXPR_IN") == 0)
    return resolve_in(resolver, node, out);
  if (strcmp(kind, "AEXPR_DISTINCT") == 0)
    return resolve_distinct(resolver, node, false, out);
  if (strcmp(kind, "AEXPR_NOT_DISTINCT") == 0)
    return resolve_distinct(resolver, node, true, out);
  if (strcmp(kind, "AEXPR_NULLIF") == 0)
    return resolve_nullif(resolver, node, out);
  if (strstr(kind, "BETWEEN") != NULL)
    return resolve_between(resolver, node, strstr(kind, "NOT") != NULL, strstr(kind, "SYM") != NULL, out);
  const char *words = strcmp(kind, "AEXPR_SIMILAR") == 0 ? "SIMILAR TO" : "ANY or ALL of an array";
  return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "%s is not supported", words);
}
