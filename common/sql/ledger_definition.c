/* CREATE FOREIGN TABLE on a server of ledgers: the columns of somebody else's totals. */
#include <string.h>

#include "common/sql/definitions.h"

static const char *const *table_options(enum tly_wrapper wrapper) {
  static const char *const of_postgres[] = {"schema_name", "table_name", NULL};
  static const char *const of_sqlite[] = {"table_name", NULL};
  static const char *const of_file[] = {"filename", NULL};
  return wrapper == TLY_WRAPPER_POSTGRES ? of_postgres : wrapper == TLY_WRAPPER_SQLITE ? of_sqlite : of_file;
}

static enum tly_status read_column(struct tly_definitions *definitions, struct tly_node node,
                                   struct tly_ledger_column *column) {
  static const char *const known[] = {"column_name", NULL};
  struct tly_option *options;
  uint32_t count;
  column->location = tly_node_location(node);
  TLY_TRY(tly_definitions_column(definitions, node, "a ledger", &column->name, &column->type, &column->not_null));
  TLY_TRY(tly_definitions_options(definitions, node, "fdwoptions", known, &options, &count));
  column->remote_name = count > 0 ? options[0].value : column->name;
  if (column->remote_name[0] == '\0')
    return TLY_FAIL_AT(&definitions->resolver, options[0].location, TLY_E_INVALID_PARAMETER, "column_name is empty");
  return TLY_OK;
}

static enum tly_status check_against(struct tly_resolver *resolver, const struct tly_ledger_column *column,
                                     const struct tly_ledger_column *earlier) {
  if (strcmp(column->name, earlier->name) == 0)
    return TLY_FAIL_AT(resolver, column->location, TLY_E_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                       column->name);
  return TLY_OK;
}

/* Every wrong column is a problem of its own. */
static bool read_columns(struct tly_definitions *definitions, struct tly_node base, struct tly_ledger *ledger) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t count = (uint32_t)tly_node_count(base, "tableElts");
  bool fine = true;
  if (count == 0 || count > TLY_COLUMNS_MAX)
    return tly_definitions_report(definitions, TLY_FAIL_AT(resolver, tly_node_location(base), TLY_E_TOO_COMPLEX,
                                                           "a ledger has 1 to %d columns", TLY_COLUMNS_MAX));
  ledger->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_ledger_column, count);
  for (uint32_t i = 0; i < count; i++) {
    struct tly_ledger_column *column = &ledger->columns[ledger->column_count];
    enum tly_status status = read_column(definitions, tly_node_item(base, "tableElts", i), column);
    for (uint32_t j = 0; j < ledger->column_count && status == TLY_OK; j++)
      status = check_against(resolver, column, &ledger->columns[j]);
    if (tly_definitions_report(definitions, status))
      ledger->column_count++;
    else
      fine = false;
  }
  return fine;
}

static enum tly_status check_file_options(struct tly_resolver *resolver, const struct tly_ledger *ledger) {
  if (ledger->option_count == 0)
    return TLY_FAIL_AT(resolver, ledger->location, TLY_E_INVALID_PARAMETER,
                       "ledger \"%s\" needs OPTIONS (filename '....csv')", ledger->name);
  return TLY_OK;
}

static enum tly_status read_head(struct tly_definitions *definitions, struct tly_node node, struct tly_node base,
                                 struct tly_ledger *ledger) {
  struct tly_resolver *resolver = &definitions->resolver;
  TLY_TRY(tly_resolver_expect(resolver, node, "base servername options"));
  TLY_TRY(tly_resolver_expect(resolver, base, "relation tableElts oncommit"));
  TLY_TRY(tly_definitions_options(definitions, node, "options", table_options(ledger->server->wrapper),
                                  &ledger->options, &ledger->option_count));
  return ledger->server->wrapper == TLY_WRAPPER_FILE ? check_file_options(resolver, ledger) : TLY_OK;
}

void tly_define_ledger(struct tly_definitions *definitions, struct tly_node node, const struct tly_server *server) {
  struct tly_project *project = definitions->project;
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_node base = tly_node_struct(node, "base", "CreateStmt");
  struct tly_node relation = tly_node_struct(base, "relation", "RangeVar");
  struct tly_ledger ledger = {.server = server, .file = definitions->file, .location = tly_node_location(relation)};
  if (!tly_definitions_report(definitions, tly_definitions_new_name(definitions, relation, &ledger.name)))
    return;
  bool fine = tly_definitions_report(definitions, read_head(definitions, node, base, &ledger));
  fine = read_columns(definitions, base, &ledger) && fine;
  if (fine && project->ledger_count == TLY_LEDGERS_MAX)
    fine = tly_definitions_report(
        definitions, TLY_FAIL_AT(resolver, ledger.location, TLY_E_TOO_MANY, "more than %d ledgers", TLY_LEDGERS_MAX));
  if (!fine) {
    tly_definitions_add_broken(definitions, ledger.name);
    return;
  }
  ledger.source = tly_definitions_source(definitions);
  ledger.location += definitions->piece_offset;
  project->ledgers[project->ledger_count++] = ledger;
}
