/* CREATE SERVER: where streams come from, and where the ledgers stand that views are reconciled with. */
#include <string.h>

#include "common/sql/definitions.h"

/* The wrappers by their names, with the options of their servers. Those of `postgres` are libpq's own. A password
 * stands in no definition: libpq finds it in passfile, or in ~/.pgpass. */
static const struct wrapper {
  const char *name;
  enum tly_wrapper wrapper;
  const char *options[16];
  const char *required, *example;
} wrappers[] = {
    {.name = "kafka",
     .wrapper = TLY_WRAPPER_KAFKA,
     .options = {"bootstrap_servers", NULL},
     .required = "bootstrap_servers",
     .example = "host:port,..."},
    {.name = "postgres",
     .wrapper = TLY_WRAPPER_POSTGRES,
     .options = {"host", "hostaddr", "port", "dbname", "user", "passfile", "service", "sslmode", "sslrootcert",
                 "sslcert", "sslkey", "connect_timeout", "application_name", "options", NULL}},
    {.name = "sqlite",
     .wrapper = TLY_WRAPPER_SQLITE,
     .options = {"path", NULL},
     .required = "path",
     .example = "/data/ledger.db"},
    {.name = "file", .wrapper = TLY_WRAPPER_FILE, .options = {"folder", NULL}},
};

enum { WRAPPER_COUNT = sizeof wrappers / sizeof wrappers[0] };

bool tly_wrapper_is_ledger(enum tly_wrapper wrapper) {
  return wrapper == TLY_WRAPPER_POSTGRES || wrapper == TLY_WRAPPER_SQLITE || wrapper == TLY_WRAPPER_FILE;
}

static enum tly_status find_wrapper(struct tly_resolver *resolver, const char *name, const struct wrapper **out) {
  struct tly_suggestion suggestion = {.best = NULL};
  for (unsigned i = 0; i < WRAPPER_COUNT; i++) {
    *out = &wrappers[i];
    if (strcmp(wrappers[i].name, name) == 0)
      return TLY_OK;
    tly_suggest(&suggestion, name, wrappers[i].name);
  }
  *out = NULL;
  (void)TLY_FAIL_AT(resolver, 0, TLY_E_UNDEFINED_OBJECT, "foreign-data wrapper \"%s\" does not exist", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  else
    tly_error_hint(resolver->error, "streams come from kafka, or from the server embedded, which needs no definition; "
                                    "ledgers stand in postgres, sqlite and file");
  return TLY_E_UNDEFINED_OBJECT;
}

static enum tly_status define_server(struct tly_definitions *definitions, struct tly_node node) {
  struct tly_project *project = definitions->project;
  struct tly_resolver *resolver = &definitions->resolver;
  const struct wrapper *wrapper;
  struct tly_server server = {.name = tly_node_text(node, "servername")};
  TLY_TRY(tly_resolver_expect(resolver, node, "servername fdwname options"));
  for (uint32_t i = 0; i < project->server_count; i++)
    if (strcmp(project->servers[i].name, server.name) == 0)
      return TLY_FAIL_AT(resolver, 0, TLY_E_DUPLICATE_OBJECT, "server \"%s\" already exists", server.name);
  TLY_TRY(find_wrapper(resolver, tly_node_text(node, "fdwname"), &wrapper));
  server.wrapper = wrapper->wrapper;
  server.wrapper_name = wrapper->name;
  TLY_TRY(
      tly_definitions_options(definitions, node, "options", wrapper->options, &server.options, &server.option_count));
  if (wrapper->required != NULL && tly_option_find(server.options, server.option_count, wrapper->required) == NULL)
    return TLY_FAIL_AT(resolver, 0, TLY_E_INVALID_PARAMETER, "server \"%s\" needs OPTIONS (%s '%s')", server.name,
                       wrapper->required, wrapper->example);
  if (project->server_count == TLY_STREAMS_MAX)
    return TLY_FAIL_AT(resolver, 0, TLY_E_TOO_MANY, "more than %d servers", TLY_STREAMS_MAX);
  server.name = tly_arena_copy(resolver->arena, server.name, strlen(server.name));
  project->servers[project->server_count++] = server;
  return TLY_OK;
}

void tly_define_server(struct tly_definitions *definitions, struct tly_node node) {
  (void)tly_definitions_report(definitions, define_server(definitions, node));
}

const struct tly_server *tly_definitions_server(const struct tly_definitions *definitions, struct tly_node node) {
  const struct tly_project *project = definitions->project;
  const char *name = tly_node_text(node, "servername");
  for (uint32_t i = 0; i < project->server_count; i++)
    if (strcmp(project->servers[i].name, name) == 0)
      return &project->servers[i];
  return NULL;
}
