/* One read-only transaction at REPEATABLE READ: all rows are of one snapshot, the ledger's writers are not held up, and
 * nothing can be written whatever the table's name stands for. Each column is cast to text, so that a value arrives as
 * psql shows it, a boolean as a word; COPY sends rows as they are read, in bounded memory on both sides.
 *
 * Nobody stands beside a nightly reconciliation, so no wait is for ever: to connect, for a lock that somebody holds on
 * the table, and for a server that has gone without a word. The definition's own options win over these. */
#include <inttypes.h>
#include <libpq-fe.h>
#include <string.h>

#include "batch_layer/ledger_source.h"
#include "common/base/assert.h"
#include "common/base/memory.h"

enum { OPTIONS_MAX = 16, READ_BYTES = 1 << 20 };

static const char *const defaults[][2] = {{"fallback_application_name", "tally"},
                                          {"client_encoding", "UTF8"},
                                          {"connect_timeout", "10"},
                                          {"keepalives_idle", "30"},
                                          {"keepalives_interval", "10"},
                                          {"keepalives_count", "3"},
                                          {"tcp_user_timeout", "60000"}};

enum { DEFAULT_COUNT = sizeof defaults / sizeof defaults[0] };

struct postgres {
  const struct tly_ledger *ledger;
  PGconn *connection;
  bool has_header;
};

/* libpq's words end with a line end and may have several lines. */
static enum tly_status fail(const struct postgres *postgres, enum tly_status status, const char *what,
                            struct tly_error *error) {
  const char *words = PQerrorMessage(postgres->connection);
  size_t size = strcspn(words, "\n");
  return TLY_FAIL(error, status, "%s of ledger \"%s\": %.*s", what, postgres->ledger->name, (int)size, words);
}

static enum tly_status status_of(const PGresult *result) {
  const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate == NULL)
    return TLY_E_CONNECTION;
  if (strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0)
    return TLY_E_UNDEFINED_TABLE;
  return strcmp(sqlstate, "42703") == 0 ? TLY_E_UNDEFINED_COLUMN : TLY_E_CONNECTION;
}

/* Run what gives `wanted`; *out, if asked for, is the caller's to clear. */
static enum tly_status run(const struct postgres *postgres, const char *sql, ExecStatusType wanted, PGresult **out,
                           struct tly_error *error) {
  PGresult *result = PQexec(postgres->connection, sql);
  enum tly_status status = TLY_OK;
  if (PQresultStatus(result) != wanted)
    status = fail(postgres, status_of(result), "the server", error);
  if (status != TLY_OK || out == NULL)
    PQclear(result);
  else
    *out = result;
  return status;
}

static enum tly_status connect(struct postgres *postgres, struct tly_error *error) {
  const struct tly_server *server = postgres->ledger->server;
  const char *names[DEFAULT_COUNT + OPTIONS_MAX + 1], *values[DEFAULT_COUNT + OPTIONS_MAX + 1];
  uint32_t count = 0;
  TLY_ASSERT(server->option_count <= OPTIONS_MAX);
  for (; count < DEFAULT_COUNT; count++) {
    names[count] = defaults[count][0];
    values[count] = defaults[count][1];
  }
  for (uint32_t i = 0; i < server->option_count; i++) { /* the last of a name counts */
    names[count] = server->options[i].name;
    values[count++] = server->options[i].value;
  }
  names[count] = values[count] = NULL;
  postgres->connection = PQconnectdbParams(names, values, 0);
  if (PQstatus(postgres->connection) == CONNECTION_OK)
    return TLY_OK;
  return fail(postgres, TLY_E_CONNECTION, "server", error);
}

static void print_table(const struct tly_ledger *ledger, struct tly_buffer *out) {
  const char *schema = tly_ledger_option(ledger, "schema_name"), *table = tly_ledger_option(ledger, "table_name");
  if (schema != NULL) {
    tly_ledger_print_name(schema, out);
    tly_buffer_append_byte(out, '.');
  }
  tly_ledger_print_name(table != NULL ? table : ledger->name, out);
}

static enum tly_status begin(const struct postgres *postgres, struct tly_ledger_facts *facts, struct tly_error *error) {
  static const char transaction[] = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1;"
                                    "SET bytea_output = 'hex'; SET lock_timeout = '30s';"
                                    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
  static const char now[] = "SELECT to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ', '"
                            " || CASE WHEN pg_is_in_recovery() THEN 'replayed to ' || pg_last_wal_replay_lsn() "
                            "ELSE 'log at ' || pg_current_wal_lsn() END || ', snapshot ' || pg_current_snapshot()";
  PGresult *result;
  TLY_TRY(run(postgres, transaction, PGRES_COMMAND_OK, NULL, error));
  TLY_TRY(run(postgres, now, PGRES_TUPLES_OK, &result, error));
  tly_buffer_append_text(&facts->as_of, PQgetvalue(result, 0, 0));
  PQclear(result);
  return TLY_OK;
}

static enum tly_status start_copy(const struct postgres *postgres, struct tly_ledger_facts *facts,
                                  struct tly_error *error) {
  struct tly_buffer sql = {0};
  tly_buffer_append_text(&sql, "COPY (SELECT ");
  tly_ledger_print_columns(postgres->ledger, "::text", &sql);
  tly_buffer_append_text(&sql, tly_ledger_has_filler(postgres->ledger) ? ", 1 FROM " : " FROM ");
  print_table(postgres->ledger, &sql);
  tly_buffer_append_text(&sql, ") TO STDOUT (FORMAT csv)");
  enum tly_status status = run(postgres, tly_buffer_text(&sql), PGRES_COPY_OUT, NULL, error);
  tly_buffer_free(&sql);
  tly_buffer_append_text(&facts->place, "table ");
  print_table(postgres->ledger, &facts->place);
  tly_buffer_print(&facts->place, " of database \"%s\"", PQdb(postgres->connection));
  return status;
}

/* The end of COPY is its outcome: rows that came before a failure are not the table. */
static enum tly_status end_copy(const struct postgres *postgres, struct tly_error *error) {
  PGresult *result = PQgetResult(postgres->connection);
  enum tly_status status = TLY_OK;
  if (PQresultStatus(result) != PGRES_COMMAND_OK)
    status = fail(postgres, status_of(result), "rows", error);
  PQclear(result);
  return status;
}

static enum tly_status read(void *context, struct tly_buffer *out, bool *at_end, struct tly_error *error) {
  struct postgres *postgres = context;
  size_t until = out->size + READ_BYTES;
  *at_end = false;
  if (!postgres->has_header) {
    tly_ledger_print_header(postgres->ledger, out);
    postgres->has_header = true;
  }
  while (out->size < until) {
    char *row;
    int size = PQgetCopyData(postgres->connection, &row, 0);
    *at_end = size == -1;
    if (size == -1)
      return end_copy(postgres, error);
    if (size < 0)
      return fail(postgres, TLY_E_CONNECTION, "rows", error);
    tly_buffer_append(out, row, (size_t)size);
    PQfreemem(row);
  }
  return TLY_OK;
}

static void close_connection(void *context) {
  struct postgres *postgres = context;
  PQfinish(postgres->connection);
  tly_free(postgres);
}

enum tly_status tly_ledger_open_postgres(const struct tly_ledger *ledger, struct tly_ledger_facts *facts,
                                         struct tly_ledger_source *out, struct tly_error *error) {
  struct postgres *postgres = tly_calloc(1, sizeof *postgres);
  postgres->ledger = ledger;
  enum tly_status status = connect(postgres, error);
  if (status == TLY_OK)
    status = begin(postgres, facts, error);
  if (status == TLY_OK)
    status = start_copy(postgres, facts, error);
  *out = (struct tly_ledger_source){.read = read, .close = close_connection, .context = postgres};
  if (status != TLY_OK)
    close_connection(postgres);
  return status;
}
