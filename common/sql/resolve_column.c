/* Names to columns: which FROM item of which level a column reference means (parse_relation.c of PostgreSQL). */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

void tly_scope_add_relation(struct tly_resolver *resolver, const char *alias, const char *name,
                            struct tly_result_column *columns, uint32_t column_count) {
  struct tly_scope *scope = resolver->scope;
  if (scope->relation_count == scope->relation_capacity) {
    uint32_t capacity = scope->relation_capacity == 0 ? 4 : 2 * scope->relation_capacity;
    struct tly_relation *grown = TLY_ARENA_ARRAY(resolver->arena, struct tly_relation, capacity);
    if (scope->relation_count > 0)
      memcpy(grown, scope->relations, scope->relation_count * sizeof grown[0]);
    scope->relations = grown;
    scope->relation_capacity = capacity;
  }
  scope->relations[scope->relation_count++] =
      (struct tly_relation){.alias = alias,
                            .name = name != NULL && strcmp(name, alias) != 0 ? name : NULL,
                            .columns = columns,
                            .column_count = column_count,
                            .starred_count = column_count,
                            .merged = TLY_ARENA_ARRAY(resolver->arena, bool, column_count)};
}

struct found_column {
  uint32_t relation, column, count;
};

/* How often the name stands in the visible relations of one level. A column merged by USING counts once. */
static struct found_column find_in_level(const struct tly_scope *scope, const char *alias, const char *name) {
  struct found_column found = {0, 0, 0};
  for (uint32_t r = scope->visible_from; r < scope->relation_count; r++) {
    const struct tly_relation *relation = &scope->relations[r];
    if (alias != NULL && strcmp(relation->alias, alias) != 0)
      continue;
    for (uint32_t c = 0; c < relation->column_count; c++) {
      if (strcmp(relation->columns[c].name, name) != 0 || (alias == NULL && relation->merged[c]))
        continue;
      found.relation = r;
      found.column = c;
      found.count++;
    }
  }
  return found;
}

static bool has_relation(const struct tly_scope *scope, const char *alias) {
  for (uint32_t r = scope->visible_from; r < scope->relation_count; r++)
    if (strcmp(scope->relations[r].alias, alias) == 0)
      return true;
  return false;
}

bool tly_resolve_is_column(const struct tly_resolver *resolver, const char *name) {
  return find_in_level(resolver->scope, NULL, name).count > 0;
}

static struct tly_expr *column_node(struct tly_resolver *resolver, const struct tly_scope *scope, uint32_t levels_up,
                                    struct found_column found, uint32_t location) {
  const struct tly_result_column *column = &scope->relations[found.relation].columns[found.column];
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_COLUMN, column->type, location);
  node->relation = (uint16_t)found.relation;
  node->column = found.column;
  node->levels_up = (uint16_t)levels_up;
  node->nullable = column->nullable;
  return node;
}

static void suggest_columns(const struct tly_resolver *resolver, const char *alias, const char *name,
                            struct tly_suggestion *suggestion) {
  for (const struct tly_scope *scope = resolver->scope; scope != NULL; scope = scope->outer)
    for (uint32_t r = scope->visible_from; r < scope->relation_count; r++)
      for (uint32_t c = 0; c < scope->relations[r].column_count; c++)
        if (alias == NULL || strcmp(scope->relations[r].alias, alias) == 0)
          tly_suggest(suggestion, name, scope->relations[r].columns[c].name);
}

static enum tly_status no_column(struct tly_resolver *resolver, const char *alias, const char *name,
                                 uint32_t location) {
  struct tly_suggestion suggestion = {.best = NULL};
  for (const struct tly_scope *scope = resolver->scope; scope != NULL && alias == NULL; scope = scope->outer)
    if (has_relation(scope, name))
      return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "the row of \"%s\" as one value is not supported",
                         name);
  suggest_columns(resolver, alias, name, &suggestion);
  if (alias != NULL)
    (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_COLUMN, "column %s.%s does not exist", alias, name);
  else
    (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  return TLY_E_UNDEFINED_COLUMN;
}

/* A relation that is there, but not under this name or not from here. */
static enum tly_status invalid_reference(struct tly_resolver *resolver, const struct tly_relation *relation,
                                         const char *alias, uint32_t location) {
  (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_TABLE,
                    "invalid reference to FROM-clause entry for table \"%s\"", alias);
  if (strcmp(relation->alias, alias) != 0)
    tly_error_hint(resolver->error, "here it is called \"%s\"", relation->alias);
  return TLY_E_UNDEFINED_TABLE;
}

static enum tly_status no_relation(struct tly_resolver *resolver, const char *alias, uint32_t location) {
  struct tly_suggestion suggestion = {.best = NULL};
  for (const struct tly_scope *scope = resolver->scope; scope != NULL; scope = scope->outer)
    for (uint32_t r = 0; r < scope->relation_count; r++) {
      const struct tly_relation *relation = &scope->relations[r];
      if (strcmp(relation->alias, alias) == 0 || (relation->name != NULL && strcmp(relation->name, alias) == 0))
        return invalid_reference(resolver, relation, alias, location);
      tly_suggest(&suggestion, alias, relation->alias);
    }
  (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_TABLE, "missing FROM-clause entry for table \"%s\"", alias);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  return TLY_E_UNDEFINED_TABLE;
}

/* The innermost level that knows the name wins. */
static enum tly_status lookup(struct tly_resolver *resolver, const char *alias, const char *name, uint32_t location,
                              struct tly_expr **out) {
  uint32_t levels_up = 0;
  for (const struct tly_scope *scope = resolver->scope; scope != NULL; scope = scope->outer, levels_up++) {
    if (alias != NULL && !has_relation(scope, alias))
      continue;
    struct found_column found = find_in_level(scope, alias, name);
    if (found.count > 1)
      return TLY_FAIL_AT(resolver, location, TLY_E_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name);
    if (found.count == 1) {
      *out = column_node(resolver, scope, levels_up, found, location);
      return TLY_OK;
    }
    if (alias != NULL)
      return no_column(resolver, alias, name, location);
  }
  return alias != NULL ? no_relation(resolver, alias, location) : no_column(resolver, NULL, name, location);
}

enum tly_status tly_resolve_column(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out) {
  size_t parts = tly_node_count(node, "fields");
  uint32_t location = tly_node_location(node);
  const char *name = tly_node_string(tly_node_item(node, "fields", parts - 1));
  if (name == NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "* is not supported here");
  if (parts > 2)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                       "a column named with its schema is not supported: use the relation's alias");
  const char *alias = parts == 2 ? tly_node_string(tly_node_item(node, "fields", 0)) : NULL;
  return lookup(resolver, alias, name, location, out);
}
