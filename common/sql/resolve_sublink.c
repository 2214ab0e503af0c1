/* Sub-selects in expressions: EXISTS, IN, and one that stands for its only value. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

static enum tly_status refuse(struct tly_resolver *resolver, struct tly_node node, const char *kind) {
  const char *words = strcmp(kind, "ALL_SUBLINK") == 0          ? "ALL (SELECT ...)"
                      : strcmp(kind, "ARRAY_SUBLINK") == 0      ? "ARRAY (SELECT ...)"
                      : strcmp(kind, "ROWCOMPARE_SUBLINK") == 0 ? "a comparison of rows"
                                                                : "an operator with ANY (SELECT ...), other than =,";
  return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "%s is not supported", words);
}

static enum tly_status refuse_in_view(struct tly_resolver *resolver, struct tly_node node) {
  (void)TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED,
                    "a sub-select is not supported in a view's definition");
  tly_error_hint(resolver->error, "a view reads one stream; combine views in the query that reads them");
  return TLY_E_NOT_SUPPORTED;
}

/* IN (SELECT ...) and = ANY (SELECT ...) */
static bool is_equality(struct tly_node node) {
  size_t parts = tly_node_count(node, "operName");
  return parts == 0 || (parts == 1 && strcmp(tly_node_string(tly_node_item(node, "operName", 0)), "=") == 0);
}

/* The operator is chosen as for two expressions; then each side is made its type. */
static enum tly_status resolve_in_query(struct tly_resolver *resolver, struct tly_node node, struct tly_query *query,
                                        struct tly_expr *subject, struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  if (query->column_count != 1)
    return TLY_FAIL_AT(resolver, location, TLY_E_SYNTAX, "subquery has too many columns");
  struct tly_expr *column = tly_expr_new(resolver, TLY_EXPR_COLUMN, query->columns[0].type, location);
  struct tly_expr *equal;
  TLY_TRY(tly_resolve_operator(resolver, "=", subject, column, location, &equal));
  TLY_TRY(tly_resolve_convert_column(resolver, query, 0, equal->arguments[1]->type.id));
  *out = tly_expr_new(resolver, TLY_EXPR_IN_QUERY, TLY_TYPE_OF(TLY_TYPE_BOOLEAN), location);
  (*out)->kernel = equal->kernel;
  (*out)->query = query;
  tly_expr_copy_arguments(resolver, *out, &equal->arguments[0], 1);
  (*out)->nullable |= query->columns[0].nullable;
  (*out)->can_raise |= tly_query_can_raise(query);
  return TLY_OK;
}

static enum tly_status resolve_scalar_query(struct tly_resolver *resolver, struct tly_node node,
                                            struct tly_query *query, struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  if (query->column_count != 1)
    return TLY_FAIL_AT(resolver, location, TLY_E_SYNTAX, "subquery must return only one column");
  *out = tly_expr_new(resolver, TLY_EXPR_SCALAR_QUERY, query->columns[0].type, location);
  (*out)->query = query;
  (*out)->nullable = true;
  (*out)->can_raise = true; /* two rows: 21000 */
  return TLY_OK;
}

enum tly_status tly_resolve_sublink(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  const char *kind = tly_node_text(node, "subLinkType");
  struct tly_node test = tly_node_child(node, "testexpr");
  struct tly_query *query;
  struct tly_expr *subject = NULL;
  bool is_exists = strcmp(kind, "EXISTS_SUBLINK") == 0, is_scalar = strcmp(kind, "EXPR_SUBLINK") == 0;
  bool is_in = strcmp(kind, "ANY_SUBLINK") == 0 && is_equality(node);
  if (resolver->is_view)
    return refuse_in_view(resolver, node);
  if (!is_exists && !is_scalar && !is_in)
    return refuse(resolver, node, kind);
  enum tly_clause clause = resolver->scope->clause;
  TLY_TRY(tly_resolve_query(resolver, tly_node_child(node, "subselect"), &query, &resolver->scope->cost));
  resolver->scope->clause = clause;
  if (is_scalar)
    return resolve_scalar_query(resolver, node, query, out);
  if (is_in) {
    TLY_TRY(tly_resolve_expression(resolver, test, &subject));
    return resolve_in_query(resolver, node, query, subject, out);
  }
  *out = tly_expr_new(resolver, TLY_EXPR_EXISTS, TLY_TYPE_OF(TLY_TYPE_BOOLEAN), tly_node_location(node));
  (*out)->query = query;
  (*out)->can_raise = tly_query_can_raise(query);
  return TLY_OK;
}
