/* What the tests of the front end share: a project from a text, and a query against it. */
#ifndef TESTS_COMMON_SQL_SQL_FIXTURE_H
#define TESTS_COMMON_SQL_SQL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/sql/project.h"

/* The payments of the design, and a stream with a column of every type. */
static const char fixture_definitions[] =
    "CREATE FOREIGN TABLE payments (payment_id text NOT NULL, account text NOT NULL, amount numeric(18,2) NOT NULL,"
    " currency text NOT NULL, status text OPTIONS (path 'data.status') NOT NULL, paid_at timestamptz NOT NULL)"
    " SERVER embedded OPTIONS (format 'json', event_time 'paid_at');\n"
    "CREATE MATERIALIZED VIEW account_daily WITH (recompute = '0 2 * * *') AS"
    " SELECT account, date_trunc('day', paid_at) AS day, count(*) AS payments, sum(amount) AS total,"
    " min(amount) AS smallest, max(amount) AS largest, sum(amount) FILTER (WHERE status = 'refunded') AS refunded"
    " FROM payments WHERE status <> 'failed' GROUP BY account, day;\n"
    "CREATE FOREIGN TABLE s (b boolean, i2 smallint, i4 integer, i8 bigint, n numeric(12,2) NOT NULL, m numeric,"
    " f8 double precision, t text, v varchar(5), d date, ts timestamp, tz timestamptz, u uuid) SERVER embedded;\n"
    "CREATE MATERIALIZED VIEW x AS SELECT b, i2, i4, i8, n, m, f8, t, v, d, ts, tz, u FROM s"
    " GROUP BY b, i2, i4, i8, n, m, f8, t, v, d, ts, tz, u;";

struct fixture {
  struct tly_diagnostics diagnostics;
  struct tly_project *project; /* NULL when there are diagnostics */
  struct tly_arena arena;
  struct tly_statement *statement;
  struct tly_error error;
};

static inline enum tly_status fixture_open(struct fixture *fixture, const char *definitions) {
  *fixture = (struct fixture){.project = NULL};
  tly_diagnostics_init(&fixture->diagnostics);
  tly_arena_init(&fixture->arena);
  return tly_project_parse("test.sql", definitions, &fixture->diagnostics, &fixture->project);
}

static inline void fixture_close(struct fixture *fixture) {
  tly_project_free(fixture->project);
  tly_diagnostics_free(&fixture->diagnostics);
  tly_arena_free(&fixture->arena);
}

static inline int fixture_setup(void **state) {
  static struct fixture fixture;
  *state = &fixture;
  setenv("TZDIR", "tests/common/value/zoneinfo", 1); /* rules that an update of the system does not change */
  return fixture_open(&fixture, fixture_definitions) == TLY_OK ? 0 : -1;
}

static inline int fixture_teardown(void **state) {
  fixture_close(*state);
  return 0;
}

static inline enum tly_status fixture_query(struct fixture *fixture, const char *sql) {
  fixture->error = TLY_ERROR_NONE;
  return tly_query_parse(fixture->project, sql, strlen(sql), &fixture->arena, &fixture->statement, &fixture->error);
}

/* The query's only target. */
static inline const struct tly_expr *fixture_expression(struct fixture *fixture, const char *expression) {
  char sql[1024];
  snprintf(sql, sizeof sql, "SELECT %s FROM x", expression);
  if (fixture_query(fixture, sql) != TLY_OK)
    fail_msg("%s: %s", expression, fixture->error.message);
  return fixture->statement->query->targets[0];
}

#endif
