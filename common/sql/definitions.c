/* What the definitions of servers, streams, ledgers and views have in common. */
#include "common/sql/definitions.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/scan.h"

const char *tly_definitions_source(const struct tly_definitions *definitions) {
  const struct tly_resolver *resolver = &definitions->resolver;
  size_t size = resolver->sql_size;
  while (size > 0 && strchr(" \t\r\n", resolver->sql[size - 1]) != NULL)
    size--;
  return tly_arena_print(resolver->arena, "%.*s;", (int)size, resolver->sql);
}

bool tly_definitions_report(struct tly_definitions *definitions, enum tly_status status) {
  if (status == TLY_OK)
    return true;
  struct tly_resolver *resolver = &definitions->resolver;
  bool has_position = resolver->error_location != TLY_LOCATION_NONE;
  uint32_t offset = has_position ? definitions->piece_offset + resolver->error_location : definitions->piece_offset;
  tly_diagnostics_add(definitions->diagnostics, definitions->file, definitions->text, true, offset,
                      &definitions->error);
  resolver->error_location = TLY_LOCATION_NONE;
  return false;
}

void tly_definitions_add_broken(struct tly_definitions *definitions, const char *name) {
  if (definitions->broken_count < sizeof definitions->broken / sizeof definitions->broken[0])
    definitions->broken[definitions->broken_count++] = name;
}

bool tly_definitions_is_broken(const struct tly_definitions *definitions, const char *name) {
  for (uint32_t i = 0; i < definitions->broken_count; i++)
    if (strcmp(definitions->broken[i], name) == 0)
      return true;
  return false;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Names that the product gives itself: stores, system relations, and the schemas of kept runs. */
static bool is_reserved(const char *name) {
  if (strncmp(name, "tally_", 6) == 0 || strncmp(name, "pg_", 3) == 0 || strncmp(name, "sqlite_", 7) == 0)
    return true;
  if (strncmp(name, "run_", 4) != 0 || name[4] == '\0')
    return false;
  return strspn(name + 4, "0123456789") == strlen(name + 4);
}

/* A name becomes the name of files and folders in the stores. */
static bool is_plain(const char *name) {
  for (const char *at = name; *at != '\0'; at++) {
    bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (unsigned char)*at >= 0x80;
    if (!is_letter && *at != '_' && (at == name || *at < '0' || *at > '9'))
      return false;
  }
  return name[0] != '\0';
}

enum tly_status tly_definitions_check_length(struct tly_resolver *resolver, const char *name, uint32_t location) {
  const char *end = resolver->sql + resolver->sql_size;
  if (strlen(name) >= TLY_NAME_BYTES_MAX - 3 && tly_scan_name_size(resolver->sql + location, end) > TLY_NAME_BYTES_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_OBJECT_DEFINITION, "a name has at most %d bytes",
                       TLY_NAME_BYTES_MAX);
  return TLY_OK;
}

enum tly_status tly_definitions_new_name(struct tly_definitions *definitions, struct tly_node relation,
                                         const char **out) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t location = tly_node_location(relation);
  const char *name = tly_node_text(relation, "relname");
  *out = NULL;
  if (tly_node_has(relation, "schemaname"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "a schema before the name is not supported");
  TLY_TRY(tly_resolver_expect(resolver, relation, "relname inh relpersistence"));
  if (strcmp(tly_node_text(relation, "relpersistence"), "p") != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "TEMPORARY and UNLOGGED are not supported");
  TLY_TRY(tly_definitions_check_length(resolver, name, location));
  if (!is_plain(name))
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_OBJECT_DEFINITION,
                       "the name \"%s\" cannot be used: letters, digits and _ only, a letter first", name);
  if (is_reserved(name))
    return TLY_FAIL_AT(
        resolver, location, TLY_E_INVALID_OBJECT_DEFINITION,
        "the name \"%s\" is reserved: names do not begin with tally_, pg_, sqlite_, and are not run_ and a "
        "number",
        name);
  const struct tly_project *project = definitions->project;
  if (tly_project_stream(project, name) != NULL || tly_project_view(project, name) != NULL ||
      tly_project_ledger(project, name) != NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
  *out = tly_arena_copy(resolver->arena, name, strlen(name));
  return TLY_OK;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static enum tly_status unknown_option(struct tly_resolver *resolver, const char *name, const char *const *known,
                                      uint32_t location) {
  struct tly_suggestion suggestion = {.best = NULL};
  char list[TLY_ERROR_HINT_SIZE] = "";
  for (size_t i = 0; known[i] != NULL; i++) {
    tly_suggest(&suggestion, name, known[i]);
    size_t used = strlen(list);
    (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", known[i]);
  }
  (void)TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "invalid option \"%s\"", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  else
    tly_error_hint(resolver->error, "options here: %s", known[0] == NULL ? "none" : list);
  return TLY_E_INVALID_PARAMETER;
}

static bool is_known(const char *const *known, const char *name) {
  for (size_t i = 0; known[i] != NULL; i++)
    if (strcmp(known[i], name) == 0)
      return true;
  return false;
}

static enum tly_status read_option(struct tly_resolver *resolver, struct tly_node node, const char *const *known,
                                   struct tly_option *out) {
  const char *name = tly_node_text(node, "defname");
  uint32_t location = tly_node_location(node);
  TLY_TRY(tly_resolver_expect(resolver, node, "defname arg defaction"));
  if (strcmp(tly_node_text(node, "defaction"), "DEFELEM_UNSPEC") != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "ADD, SET and DROP of options are not supported");
  if (!is_known(known, name))
    return unknown_option(resolver, name, known, location);
  const char *value = tly_node_string(tly_node_child(node, "arg"));
  if (value == NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "option \"%s\" wants a text in single quotes",
                       name);
  out->name = tly_arena_copy(resolver->arena, name, strlen(name));
  out->value = tly_arena_copy(resolver->arena, value, strlen(value));
  out->location = location;
  return TLY_OK;
}

enum tly_status tly_definitions_options(struct tly_definitions *definitions, struct tly_node node, const char *member,
                                        const char *const *known, struct tly_option **out, uint32_t *count) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t written = (uint32_t)tly_node_count(node, member);
  *out = TLY_ARENA_ARRAY(resolver->arena, struct tly_option, written);
  *count = 0;
  for (uint32_t i = 0; i < written; i++) {
    struct tly_option *option = &(*out)[*count];
    TLY_TRY(read_option(resolver, tly_node_item(node, member, i), known, option));
    if (tly_option_find(*out, *count, option->name) != NULL)
      return TLY_FAIL_AT(resolver, option->location, TLY_E_DUPLICATE_OBJECT, "option \"%s\" provided more than once",
                         option->name);
    (*count)++;
  }
  return TLY_OK;
}

const struct tly_option *tly_option_find(const struct tly_option *options, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(options[i].name, name) == 0)
      return &options[i];
  return NULL;
}

/* ---- columns of foreign tables ----------------------------------------------------------------------------------- */

static enum tly_status read_constraints(struct tly_resolver *resolver, struct tly_node column, const char *of,
                                        bool *not_null) {
  bool is_null = false;
  *not_null = false;
  for (size_t i = 0; i < tly_node_count(column, "constraints"); i++) {
    struct tly_node constraint = tly_node_item(column, "constraints", i);
    const char *type = tly_node_text(constraint, "contype");
    if (strcmp(type, "CONSTR_NOTNULL") == 0)
      *not_null = true;
    else if (strcmp(type, "CONSTR_NULL") == 0)
      is_null = true;
    else
      return TLY_FAIL_AT(resolver, tly_node_location(constraint), TLY_E_NOT_SUPPORTED,
                         "a column of %s can be NOT NULL; other constraints and defaults are not supported", of);
    TLY_TRY(tly_resolver_expect(resolver, constraint, "contype"));
    if (*not_null && is_null)
      return TLY_FAIL_AT(resolver, tly_node_location(constraint), TLY_E_SYNTAX,
                         "conflicting NULL/NOT NULL declarations for column \"%s\"", tly_node_text(column, "colname"));
  }
  return TLY_OK;
}

enum tly_status tly_definitions_column(struct tly_definitions *definitions, struct tly_node node, const char *of,
                                       const char **name, struct tly_type *type, bool *not_null) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t location = tly_node_location(node);
  bool has_typmod;
  if (!tly_node_is(node, "ColumnDef"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "table constraints and LIKE are not supported in %s",
                       of);
  const char *written = tly_node_text(node, "colname");
  *name = tly_arena_copy(resolver->arena, written, strlen(written));
  TLY_TRY(tly_definitions_check_length(resolver, *name, location));
  TLY_TRY(tly_resolver_expect(resolver, node, "colname typeName is_local constraints fdwoptions"));
  TLY_TRY(tly_type_of_node(resolver, tly_node_struct(node, "typeName", "TypeName"), type, &has_typmod));
  if (type->id == TLY_TYPE_INTERVAL)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "a column of type interval is not supported");
  return read_constraints(resolver, node, of, not_null);
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

void tly_define_statement(struct tly_definitions *definitions, struct tly_node statement) {
  if (tly_node_is(statement, "CreateForeignServerStmt")) {
    tly_define_server(definitions, statement);
  } else if (tly_node_is(statement, "CreateForeignTableStmt")) {
    const struct tly_server *server = tly_definitions_server(definitions, statement);
    if (server != NULL && tly_wrapper_is_ledger(server->wrapper))
      tly_define_ledger(definitions, statement, server);
    else
      tly_define_stream(definitions, statement);
  } else if (tly_node_is(statement, "CreateTableAsStmt") &&
             strcmp(tly_node_text(statement, "objtype"), "OBJECT_MATVIEW") == 0) {
    tly_define_view(definitions, statement);
  } else {
    (void)TLY_FAIL_AT(&definitions->resolver, 0, TLY_E_NOT_SUPPORTED, "this statement does not belong in a project");
    tly_error_hint(&definitions->error,
                   "a project has CREATE SERVER, CREATE FOREIGN TABLE and CREATE MATERIALIZED VIEW");
    (void)tly_definitions_report(definitions, TLY_E_NOT_SUPPORTED);
  }
}
