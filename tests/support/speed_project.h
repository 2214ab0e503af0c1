/* tests/support/speed_project.h -- the definitions that the tests of the speed layer share. */
#ifndef TLY_TESTS_SPEED_PROJECT_H
#define TLY_TESTS_SPEED_PROJECT_H

#define PAYMENTS_STREAM                                                                                                \
  "CREATE FOREIGN TABLE payments (account text NOT NULL, amount numeric(18,2) NOT NULL, kind text, parts integer)"     \
  " SERVER embedded OPTIONS (format 'json');\n"

#define TOTALS_VIEW                                                                                                    \
  "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total,"                            \
  " count(DISTINCT kind) AS kinds, max(kind) AS last_kind FROM payments GROUP BY account;\n"

#define KINDS_VIEW                                                                                                     \
  "CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*) AS n, max(amount) AS largest FROM payments"                 \
  " WHERE amount > 5 GROUP BY kind;\n"

/* One event in eleven raises: division by zero. */
#define SHARES_VIEW                                                                                                    \
  "CREATE MATERIALIZED VIEW shares AS SELECT kind, sum(amount / parts) AS share FROM payments GROUP BY kind;\n"

#define THREE_VIEWS PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW SHARES_VIEW

static const char *const totals_only[] = {"totals", NULL};
static const char *const kinds_only[] = {"kinds", NULL};
static const char *const all_views[] = {"totals", "kinds", "shares", NULL};

#endif
