/* Servers, streams and views: what is read from a definition, what is refused, and which definitions are equal. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/common/sql/sql_fixture.h"

/* ---- what is read ------------------------------------------------------------------------------------------------ */

static void a_stream_has_its_columns_where_they_stand_in_an_event(void **state) {
  const struct fixture *fixture = *state;
  const struct tly_stream *stream = tly_project_stream(fixture->project, "payments");
  assert_non_null(stream);
  assert_string_equal(stream->server->name, "embedded");
  assert_int_equal(stream->column_count, 6);
  assert_int_equal(stream->format, TLY_FORMAT_JSON);
  assert_int_equal(stream->event_time, 5);
  const struct tly_stream_column *status = &stream->columns[4], *amount = &stream->columns[2];
  assert_int_equal(status->path_count, 2);
  assert_string_equal(status->path[0], "data");
  assert_string_equal(status->path[1], "status");
  assert_int_equal(amount->type.id, TLY_TYPE_NUMERIC);
  assert_int_equal(amount->type.precision, 18);
  assert_int_equal(amount->type.scale, 2);
  assert_true(amount->not_null);
  assert_string_equal(amount->path[0], "amount");
  assert_false(tly_project_stream(fixture->project, "s")->columns[0].not_null);
  assert_null(tly_project_stream(fixture->project, "nothing"));
}

static void options_of_columns_and_streams_are_read(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(fixture_open(&fixture,
                                "CREATE SERVER k FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'a:1');"
                                "CREATE FOREIGN TABLE t (a timestamp OPTIONS (unit 'ms', header 'When'),"
                                " b timestamptz OPTIONS (unit 's') NULL, c varchar(9)) SERVER k"
                                " OPTIONS (topic 'x', format 'csv')"),
                   TLY_OK);
  const struct tly_stream *stream = tly_project_stream(fixture.project, "t");
  assert_int_equal(stream->server->wrapper, TLY_WRAPPER_KAFKA);
  assert_string_equal(stream->server->options[0].value, "a:1");
  assert_int_equal(stream->format, TLY_FORMAT_CSV);
  assert_int_equal(stream->event_time, -1);
  assert_string_equal(stream->options[0].name, "topic");
  assert_int_equal(stream->columns[0].unit, TLY_TIME_EPOCH_MS);
  assert_string_equal(stream->columns[0].header, "When");
  assert_int_equal(stream->columns[1].unit, TLY_TIME_EPOCH_S);
  assert_string_equal(stream->columns[1].header, "b");
  assert_int_equal(stream->columns[2].type.precision, 9);
  fixture_close(&fixture);
}

static void a_foreign_table_on_a_server_of_ledgers_is_a_ledger(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(fixture_open(&fixture,
                                "CREATE SERVER bank FOREIGN DATA WRAPPER postgres OPTIONS (host '/run/db', dbname 'b');"
                                "CREATE SERVER books FOREIGN DATA WRAPPER sqlite OPTIONS (path 'books.db');"
                                "CREATE SERVER drops FOREIGN DATA WRAPPER file;"
                                "CREATE FOREIGN TABLE branches (bid integer NOT NULL,"
                                " balance integer OPTIONS (column_name 'bbalance')) SERVER bank"
                                " OPTIONS (table_name 'pgbench_branches');"
                                "CREATE FOREIGN TABLE accounts (a text) SERVER books;"
                                "CREATE FOREIGN TABLE statement (a text) SERVER drops OPTIONS (filename 's.csv')"),
                   TLY_OK);
  const struct tly_ledger *branches = tly_project_ledger(fixture.project, "branches");
  assert_non_null(branches);
  assert_null(tly_project_stream(fixture.project, "branches"));
  assert_int_equal(branches->server->wrapper, TLY_WRAPPER_POSTGRES);
  assert_string_equal(branches->server->options[1].value, "b");
  assert_int_equal(branches->column_count, 2);
  assert_string_equal(branches->columns[0].remote_name, "bid");
  assert_true(branches->columns[0].not_null);
  assert_string_equal(branches->columns[1].name, "balance");
  assert_string_equal(branches->columns[1].remote_name, "bbalance");
  assert_string_equal(branches->options[0].value, "pgbench_branches");
  assert_int_equal(tly_project_ledger(fixture.project, "accounts")->server->wrapper, TLY_WRAPPER_SQLITE);
  assert_int_equal(tly_project_ledger(fixture.project, "statement")->server->wrapper, TLY_WRAPPER_FILE);
  assert_null(tly_project_ledger(fixture.project, "nothing"));
  fixture_close(&fixture);
}

static void a_view_is_keys_aggregates_and_outputs_over_them(void **state) {
  const struct fixture *fixture = *state;
  const struct tly_view *view = tly_project_view(fixture->project, "account_daily");
  assert_non_null(view);
  assert_string_equal(view->recompute, "0 2 * * *");
  assert_ptr_equal(view->stream, tly_project_stream(fixture->project, "payments"));
  assert_int_equal(view->key_count, 2);
  assert_int_equal(view->keys[0]->kind, TLY_EXPR_COLUMN);
  assert_int_equal(view->keys[1]->kernel, TLY_KERNEL_timestamptz_trunc);
  assert_int_equal(view->aggregate_count, 5);
  assert_int_equal(view->output_count, 7);
  assert_int_equal(view->outputs[1].expression->kind, TLY_EXPR_KEY);
  assert_int_equal(view->outputs[1].expression->column, 1);
  assert_int_equal(view->outputs[6].expression->kind, TLY_EXPR_AGGREGATE);
  assert_ptr_equal(view->outputs[6].expression->aggregate, &view->aggregates[4]);
  assert_non_null(view->aggregates[4].filter);
  assert_null(view->aggregates[0].argument);
  assert_int_equal(view->where->kernel, TLY_KERNEL_textne);
  assert_null(view->having);
}

static void equal_aggregate_calls_are_stored_once(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(
      fixture_open(
          &fixture,
          "CREATE FOREIGN TABLE t (a int, b int) SERVER embedded;"
          "CREATE MATERIALIZED VIEW v AS SELECT a + 1 AS k, sum(b) AS x, sum(b) * 2 AS y, min(b) AS z,"
          " sum(b) FILTER (WHERE a > 0) AS f FROM t GROUP BY a + 1 HAVING sum(b) > 5 AND max(b) < min(b) + a + 1"),
      TLY_E_GROUPING); /* a + 1 written as (min(b) + a) + 1 is no key */
  fixture_close(&fixture);
  assert_int_equal(
      fixture_open(
          &fixture,
          "CREATE FOREIGN TABLE t (a int, b int) SERVER embedded;"
          "CREATE MATERIALIZED VIEW v AS SELECT a + 1 AS k, sum(b) AS x, sum(b) * 2 AS y, min(DISTINCT b) AS z,"
          " sum(b) FILTER (WHERE a > 0) AS f FROM t GROUP BY a + 1 HAVING sum(b) > 5 AND max(b) < min(b) + (a + 1)"),
      TLY_OK);
  const struct tly_view *view = tly_project_view(fixture.project, "v");
  assert_int_equal(view->aggregate_count, 4); /* sum, min, sum with FILTER, and max, which stands in HAVING alone */
  assert_int_equal(view->aggregates[3].function, TLY_AGGREGATE_MAX);
  assert_int_equal(view->outputs[2].expression->arguments[0]->column, 0);
  fixture_close(&fixture);
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static const char streams[] = "CREATE FOREIGN TABLE pay (account text NOT NULL, amount numeric(18,2), at timestamptz)"
                              " SERVER embedded;\n";

/* Every problem as "line:column sqlstate message (hint)\n", those of `text` behind the line of `streams`. */
static void problems_of(const char *text, struct tly_buffer *out) {
  struct fixture fixture;
  struct tly_buffer all = {.data = NULL};
  tly_buffer_print(&all, "%s%s", streams, text);
  enum tly_status status = fixture_open(&fixture, tly_buffer_text(&all));
  for (uint32_t i = 0; i < fixture.diagnostics.count; i++) {
    const struct tly_diagnostic *item = &fixture.diagnostics.items[i];
    tly_buffer_print(out, "%u:%u %s %s%s%s%s\n", item->line - 1, item->column, tly_status_sqlstate(item->status),
                     item->message, item->hint == NULL ? "" : " (", item->hint == NULL ? "" : item->hint,
                     item->hint == NULL ? "" : ")");
  }
  assert_int_equal(status, fixture.diagnostics.count == 0 ? TLY_OK : fixture.diagnostics.items[0].status);
  assert_true((status == TLY_OK) == (fixture.project != NULL));
  tly_buffer_free(&all);
  fixture_close(&fixture);
}

struct refusal {
  const char *text, *problems;
};

static void assert_refused(const struct refusal *refusals, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct tly_buffer out = {.data = NULL};
    problems_of(refusals[i].text, &out);
    if (strcmp(tly_buffer_text(&out), refusals[i].problems) != 0)
      fail_msg("%s\nexpected:\n%sgot:\n%s", refusals[i].text, refusals[i].problems, tly_buffer_text(&out));
    tly_buffer_free(&out);
  }
}

static void servers_are_refused_with_their_place(void **state) {
  static const struct refusal refusals[] = {
      {"CREATE SERVER a FOREIGN DATA WRAPPER kafca OPTIONS (bootstrap_servers 'x')",
       "1:1 42704 foreign-data wrapper \"kafca\" does not exist (did you mean kafka?)\n"},
      {"CREATE SERVER a FOREIGN DATA WRAPPER oracle_fdw",
       "1:1 42704 foreign-data wrapper \"oracle_fdw\" does not exist (streams come from kafka, or from the server"
       " embedded, which needs no definition; ledgers stand in postgres, sqlite and file)\n"},
      {"CREATE SERVER a FOREIGN DATA WRAPPER sqlite",
       "1:1 22023 server \"a\" needs OPTIONS (path '/data/ledger.db')\n"},
      {"CREATE SERVER a FOREIGN DATA WRAPPER sqlite OPTIONS (host 'x')",
       "1:54 22023 invalid option \"host\" (options here: path)\n"},
      {"CREATE SERVER a FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_server 'x')",
       "1:53 22023 invalid option \"bootstrap_server\" (did you mean bootstrap_servers?)\n"},
      {"CREATE SERVER a FOREIGN DATA WRAPPER kafka",
       "1:1 22023 server \"a\" needs OPTIONS (bootstrap_servers 'host:port,...')\n"},
      {"CREATE SERVER embedded FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'x')",
       "1:1 42710 server \"embedded\" already exists\n"},
      {"CREATE SERVER IF NOT EXISTS a FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'x')",
       "1:67 0A000 IF NOT EXISTS is not supported\n"},
  };
  (void)state;
  assert_refused(refusals, sizeof refusals / sizeof refusals[0]);
}

static void ledgers_are_refused_with_all_their_problems(void **state) {
#define LEDGERS                                                                                                        \
  "CREATE SERVER f FOREIGN DATA WRAPPER file; CREATE SERVER p FOREIGN DATA WRAPPER postgres;\n"                        \
  "CREATE FOREIGN TABLE l (a int) SERVER p;\n"
  static const struct refusal refusals[] = {
      {LEDGERS "CREATE FOREIGN TABLE t (a int OPTIONS (path 'x'), b int DEFAULT 1, a text) SERVER p\n"
               " OPTIONS (filename 'x')",
       "4:11 22023 invalid option \"filename\" (options here: schema_name, table_name)\n"
       "3:40 22023 invalid option \"path\" (options here: column_name)\n"
       "3:57 0A000 a column of a ledger can be NOT NULL; other constraints and defaults are not supported\n"},
      {LEDGERS "CREATE FOREIGN TABLE l (a int) SERVER p", "3:22 42P07 relation \"l\" already exists\n"},
      {LEDGERS "CREATE FOREIGN TABLE t (a int) SERVER f",
       "3:22 22023 ledger \"t\" needs OPTIONS (filename '....csv')\n"},
      {LEDGERS "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM l",
       "3:52 0A000 \"l\" is a ledger: a view reads a stream (tally reconcile VIEW --against l compares a view with"
       " it)\n"},
  };
  (void)state;
  assert_refused(refusals, sizeof refusals / sizeof refusals[0]);
}

static void streams_are_refused_with_all_their_problems(void **state) {
  static const struct refusal refusals[] = {
      {"CREATE FOREIGN TABLE p (a text, b numerc(18,2), c real, d int DEFAULT 5, a int) SERVER embeded;",
       "1:22 42704 server \"embeded\" does not exist (did you mean embedded?)\n"
       "1:35 42704 type \"numerc\" does not exist (did you mean numeric?)\n"
       "1:51 0A000 type real is not supported (use double precision)\n"
       "1:63 0A000 a column of a stream can be NOT NULL; other constraints and defaults are not supported\n"
       "1:74 42701 column \"a\" specified more than once\n"},
      {"CREATE FOREIGN TABLE p (a text OPTIONS (pth 'x'), b int OPTIONS (unit 's'),\n"
       " c timestamp OPTIONS (unit 'min'), d text OPTIONS (path 'a..b')) SERVER embedded",
       "1:41 22023 invalid option \"pth\" (did you mean path?)\n"
       "1:66 22023 option \"unit\" is for columns of type date, timestamp and timestamptz\n"
       "2:23 22023 unit 'min': it is one of 'rfc3339', 's', 'ms', 'us'\n"
       "2:52 22023 path 'a..b' has an empty member name\n"},
      {"CREATE FOREIGN TABLE p (a text OPTIONS (path 'x'), b text OPTIONS (path 'x.y'), x text) SERVER embedded",
       "1:52 42P17 columns \"a\" and \"b\" stand at the same path, or one inside the other\n"
       "1:81 42P17 columns \"a\" and \"x\" stand at the same path, or one inside the other\n"},
      {"CREATE FOREIGN TABLE p (a text OPTIONS (header 'x'), x text) SERVER embedded OPTIONS (format 'csv')",
       "1:54 42P17 columns \"a\" and \"x\" have the same header\n"},
      {"CREATE FOREIGN TABLE p (a text) SERVER embedded OPTIONS (format 'xml')",
       "1:58 22023 format 'xml': it is 'json' or 'csv'\n"},
      {"CREATE FOREIGN TABLE p (a text) SERVER embedded OPTIONS (topic 'x')",
       "1:58 22023 invalid option \"topic\" (options here: format, event_time)\n"},
      {"CREATE FOREIGN TABLE p (at text) SERVER embedded OPTIONS (event_time 'at')",
       "1:59 42804 event_time must be of type date, timestamp or timestamptz, not text\n"},
      {"CREATE FOREIGN TABLE p (paid_at timestamp) SERVER embedded OPTIONS (event_time 'payed_at')",
       "1:69 42703 column \"payed_at\" does not exist (did you mean paid_at?)\n"},
      {"CREATE FOREIGN TABLE p (a interval, b int[], c numeric(50,2), d timestamp(3)) SERVER embedded",
       "1:25 0A000 a column of type interval is not supported\n"
       "1:39 0A000 arrays are not supported\n"
       "1:48 0A000 numeric(50,2) is not supported (precision up to 38 with a scale from 0 to the precision, or numeric"
       " alone)\n"
       "1:65 0A000 a modifier of type timestamp without time zone is not supported\n"},
      {"CREATE FOREIGN TABLE p (a int NULL NOT NULL) SERVER embedded",
       "1:36 42601 conflicting NULL/NOT NULL declarations for column \"a\"\n"},
      {"CREATE FOREIGN TABLE p () SERVER embedded", "1:22 54001 a stream has 1 to 256 columns\n"},
      {"CREATE FOREIGN TABLE p (a text OPTIONS (path 'a', path 'b')) SERVER embedded",
       "1:51 42710 option \"path\" provided more than once\n"},
      {"CREATE FOREIGN TABLE pay (a text) SERVER embedded", "1:22 42P07 relation \"pay\" already exists\n"},
      {"CREATE FOREIGN TABLE tally_x (a text) SERVER embedded",
       "1:22 42P17 the name \"tally_x\" is reserved: names do not begin with tally_, pg_, sqlite_, and are not run_ "
       "and a"
       " number\n"},
      {"CREATE FOREIGN TABLE \"../p\" (a text) SERVER embedded",
       "1:22 42P17 the name \"../p\" cannot be used: letters, digits and _ only, a letter first\n"},
      {"CREATE FOREIGN TABLE p (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx text, "
       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxb text, "
       "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" text) SERVER embedded",
       "1:95 42P17 a name has at most 63 bytes\n1:166 42P17 a name has at most 63 bytes\n"},
      {"CREATE FOREIGN TABLE s.p (a text) SERVER embedded", "1:22 0A000 a schema before the name is not supported\n"},
  };
  (void)state;
  assert_refused(refusals, sizeof refusals / sizeof refusals[0]);
}

static void views_are_refused_with_all_their_problems(void **state) {
  static const struct refusal refusals[] = {
      {"CREATE MATERIALIZED VIEW v WITH (recompute = '0 25 * * *') AS\n"
       "SELECT acount, sum(amont), now() FROM pay WHERE at > 5 GROUP BY 1",
       "1:34 22023 schedule '0 25 * * *': wrong hour (a number from 0 to 23, *, lists, ranges, steps)\n"
       "2:8 42703 column \"acount\" does not exist (did you mean account?)\n"
       "2:20 42703 column \"amont\" does not exist (did you mean amount?)\n"
       "2:28 0A000 the current time is not supported in a view (a total must not depend on when it is computed: compare"
       " with it in the query)\n"
       "2:52 42883 operator does not exist: timestamp with time zone > integer (No operator matches the given name and"
       " argument types. You might need to add explicit type casts.)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT DISTINCT account FROM pay ORDER BY 1 LIMIT 5 OFFSET 2",
       "1:73 0A000 ORDER BY is not supported in a view's definition (order the rows in the query that reads the view)\n"
       "1:81 0A000 LIMIT is not supported in a view's definition (limit the rows in the query that reads the view)\n"
       "1:90 0A000 OFFSET is not supported in a view's definition (skip rows in the query that reads the view)\n"
       "1:47 0A000 DISTINCT is not supported in a view's definition (use GROUP BY)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM pays",
       "1:52 42P01 relation \"pays\" does not exist (did you mean pay?)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM pay a JOIN pay b ON true",
       "1:52 0A000 a join is not supported in a view's definition (a view reads one stream; join views in the query "
       "that"
       " reads them)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT account, (SELECT 1), count(*) OVER (), $1, random() FROM pay GROUP BY 1",
       "1:47 0A000 a sub-select is not supported in a view's definition (a view reads one stream; combine views in the"
       " query that reads them)\n"
       "1:59 0A000 a window function is not supported in a view's definition (use window functions in the query that"
       " reads the view)\n"
       "1:77 42P02 there is no parameter $1\n"
       "1:81 0A000 function random is not supported\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT account, amount FROM pay GROUP BY account",
       "1:47 42803 column \"pay.amount\" must appear in the GROUP BY clause or be used in an aggregate function\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT date_trunc('day', at) AS at, count(*) FROM pay GROUP BY at",
       ""}, /* at is the input column, and date_trunc of it is a function of the key */
      {"CREATE MATERIALIZED VIEW v AS SELECT lower(account) AS amount, count(*) FROM pay GROUP BY amount",
       "1:44 42803 column \"pay.account\" must appear in the GROUP BY clause or be used in an aggregate function\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT date_trunc('dya', at) AS d, extract(hour from at::date) AS e, count(*)\n"
       " FROM pay GROUP BY 1, 2",
       "1:49 22023 unit \"dya\" not recognized for type timestamp\n"
       "1:74 0A000 unit \"hour\" not supported for type date\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT count(*), count(amount) FROM pay",
       "1:48 42701 column \"count\" specified more than once (give it a name of its own: AS ...)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT account FROM pay",
       "1:38 0A000 a view without GROUP BY and without an aggregate is not supported (a view keeps totals: group the"
       " events, or aggregate them)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT at - at AS d, count(*) FROM pay GROUP BY 1",
       "1:38 0A000 an interval in GROUP BY is not supported\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT max(at) - min(at) AS d FROM pay",
       "1:38 0A000 an interval as a result is not supported (extract(epoch from ...) gives seconds)\n"},
      {"CREATE MATERIALIZED VIEW v (a, b) AS SELECT count(*) FROM pay",
       "1:1 42601 too many column names were specified\n"},
      {"CREATE MATERIALIZED VIEW v WITH (recomput = '@daily') AS SELECT count(*) FROM pay",
       "1:34 22023 invalid option \"recomput\" (did you mean recompute?)\n"},
      {"CREATE MATERIALIZED VIEW v WITH (recompute = daily) AS SELECT count(*) FROM pay",
       "1:34 22023 option \"recompute\" wants a text in single quotes\n"},
      {"CREATE MATERIALIZED VIEW v WITH (time_zone = 'Europe/Berlin') AS SELECT count(*) FROM pay",
       "1:34 22023 time_zone without recompute or reconcile: it is the time zone of the schedules\n"},
      {"CREATE MATERIALIZED VIEW v WITH (recompute = '@daily', time_zone = 'Mars/Base') AS SELECT count(*) FROM pay",
       "1:56 22023 time zone \"Mars/Base\" not recognized (a zone's full name is wanted, like Europe/Berlin)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT date_trunc('day', at, account) AS d, count(*) FROM pay GROUP BY 1",
       "1:60 0A000 a time zone that is not a constant is not supported in a view's definition (convert in the query "
       "that"
       " reads the view)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT 'Europe/Berlin'::text AS zone, date_trunc('day', max(at), 'Europe/Berlin')"
       " FROM pay GROUP BY 1",
       ""}, /* the zone stays a constant, though it equals a key */
      {"CREATE MATERIALIZED VIEW v AS SELECT at AT TIME ZONE 'CET' AS d, count(*) FROM pay GROUP BY 1",
       "1:54 0A000 the abbreviation \"CET\" as a time zone is not supported (a zone's full name is wanted, like"
       " Europe/Berlin)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT date_trunc('dya', at, 'Europe/Berlin') AS d, count(*) FROM pay GROUP BY 1",
       "1:49 22023 unit \"dya\" not recognized for type timestamp with time zone\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM pay UNION ALL SELECT 1",
       "1:38 0A000 a set operation (UNION, INTERSECT, EXCEPT) is not supported in a view's definition (make a view for"
       " each stream, and combine them in the query)\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT 1", "1:38 0A000 a view reads one stream: FROM is missing\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT sum(sum(amount)) FROM pay",
       "1:42 42803 aggregate function calls cannot be nested\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT stddev(amount::double precision), sum(DISTINCT amount),\n"
       " string_agg(account, ',') FROM pay",
       "1:38 0A000 stddev over double precision is not supported (cast the argument to numeric)\n"
       "1:72 0A000 sum(DISTINCT ...) is not supported\n"
       "2:2 0A000 function string_agg is not supported\n"},
      {"CREATE MATERIALIZED VIEW pay AS SELECT count(*) FROM pay", "1:26 42P07 relation \"pay\" already exists\n"},
      {"CREATE MATERIALIZED VIEW run_7 AS SELECT count(*) FROM pay",
       "1:26 42P17 the name \"run_7\" is reserved: names do not begin with tally_, pg_, sqlite_, and are not run_ and a"
       " number\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT account, count(*) FROM pay GROUP BY ROLLUP (account)",
       "1:74 0A000 GROUPING SETS, ROLLUP or CUBE is not supported\n"},
  };
  (void)state;
  assert_refused(refusals, sizeof refusals / sizeof refusals[0]);
}

static void one_slip_does_not_hide_the_next_nor_make_others(void **state) {
  static const struct refusal refusals[] = {
      {"CREATE MATERIALIZED VIEW v AS SELECT sum(amount FROM pay;\n"
       "SELECT 1;\n"
       "CREATE FOREIGN TABLE q (a nothing) SERVER embedded;\n"
       "CREATE MATERIALIZED VIEW w AS SELECT max(a) FROM q; -- q's own error is enough\n"
       "CREATE MATERIALIZED VIEW u AS SELECT max(nothing) FROM pay",
       "1:49 42601 syntax error at or near \"FROM\"\n"
       "2:1 0A000 this statement does not belong in a project (a project has CREATE SERVER, CREATE FOREIGN TABLE and"
       " CREATE MATERIALIZED VIEW)\n"
       "3:27 42704 type \"nothing\" does not exist\n"
       "5:42 42703 column \"nothing\" does not exist\n"},
      {"CREATE MATERIALIZED VIEW v AS SELECT 'never ends FROM pay;\nSELECT 1;\n",
       "1:38 42601 unterminated quoted string at or near \"'never ends FROM pay;\nSELECT 1;\n\"\n"},
  };
  (void)state;
  assert_refused(refusals, sizeof refusals / sizeof refusals[0]);
}

/* ---- a folder ---------------------------------------------------------------------------------------------------- */

static void write_file(const char *folder, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void a_folder_is_read_in_name_order(void **state) {
  char folder[] = "/tmp/tally-test-project-XXXXXX";
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  (void)state;
  assert_non_null(mkdtemp(folder));
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_load(folder, &diagnostics, &project), TLY_E_CONFIG); /* no file */
  write_file(folder, "20-views.sql", "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM pay;");
  write_file(folder, "10-streams.sql", streams);
  write_file(folder, "readme.txt", "not SQL");
  assert_int_equal(tly_project_load(folder, &diagnostics, &project), TLY_OK);
  assert_non_null(tly_project_view(project, "v"));
  tly_project_free(project);
  write_file(folder, "05-views.sql", "\nCREATE MATERIALIZED VIEW w AS SELECT count(*) FROM pay;");
  assert_int_equal(tly_project_load(folder, &diagnostics, &project), TLY_E_UNDEFINED_TABLE);
  assert_null(project);
  const struct tly_diagnostic *last = &diagnostics.items[diagnostics.count - 1];
  assert_non_null(strstr(last->file, "/05-views.sql"));
  assert_int_equal(last->line, 2);
  assert_int_equal(tly_project_load("/nothing/here", &diagnostics, &project), TLY_E_IO);
  tly_diagnostics_free(&diagnostics);
  assert_int_equal(tly_file_remove_tree(folder, NULL), TLY_OK);
}

/* ---- equal and different ----------------------------------------------------------------------------------------- */

static struct tly_hash hash_of(const char *stream, const char *view) {
  struct fixture fixture;
  char text[1024];
  snprintf(text, sizeof text, "%s;%s", stream, view);
  if (fixture_open(&fixture, text) != TLY_OK)
    fail_msg("%s: %s", text, fixture.diagnostics.items[0].message);
  struct tly_hash hash = tly_project_view(fixture.project, "v")->hash;
  fixture_close(&fixture);
  return hash;
}

static const char base_stream[] =
    "CREATE FOREIGN TABLE t (a text NOT NULL, n numeric(18,2), at timestamptz) SERVER embedded";
static const char base_view[] = "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total"
                                " FROM t WHERE n > 5 GROUP BY a, day";

static void equal_definitions_have_equal_hashes_whatever_the_spelling(void **state) {
  static const struct {
    const char *stream, *view;
  } same[] = {
      {base_stream,
       "create materialized view V as\n -- x\n select A, DATE_TRUNC('day', AT) as DAY, SUM(N) as total from T"
       " where (N) > 5 group by 1, 2"},
      {base_stream,
       "CREATE MATERIALIZED VIEW v WITH (recompute = '@daily') AS SELECT x.a, date_trunc('day', x.at) AS day,"
       " sum(x.n) AS total FROM t AS x WHERE x.n > 5::numeric GROUP BY x.a, date_trunc('day', x.at)"},
      {base_stream, "CREATE MATERIALIZED VIEW v (a, day, total) AS SELECT a, date_trunc('day', at), sum(n) FROM t"
                    " WHERE n > '5' GROUP BY a, 2"},
      {"CREATE FOREIGN TABLE t (a text OPTIONS (path 'a') NOT NULL, n decimal(18,2) NULL, at timestamp with time zone)"
       " SERVER embedded OPTIONS (event_time 'at', format 'json')",
       base_view},
  };
  (void)state;
  struct tly_hash base = hash_of(base_stream, base_view);
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
    struct tly_hash hash = hash_of(same[i].stream, same[i].view);
    if (memcmp(&base, &hash, sizeof hash) != 0)
      fail_msg("%s", same[i].view);
  }
}

static void whatever_can_change_a_total_changes_the_hash(void **state) {
  static const struct {
    const char *stream, *view;
  } different[] = {
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total"
                    " FROM t WHERE n > 6 GROUP BY a, day"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total"
                    " FROM t WHERE n >= 5 GROUP BY a, day"},
      {base_stream,
       "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total FROM t GROUP BY a, day"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total"
                    " FROM t WHERE n > 5 GROUP BY day, a"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('hour', at) AS day, sum(n) AS total"
                    " FROM t WHERE n > 5 GROUP BY a, day"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS totals"
                    " FROM t WHERE n > 5 GROUP BY a, day"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, avg(n) AS total"
                    " FROM t WHERE n > 5 GROUP BY a, day"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day, sum(n) AS total"
                    " FROM t WHERE n > 5 GROUP BY a, day HAVING sum(n) > 0"},
      {base_stream, "CREATE MATERIALIZED VIEW v AS SELECT a, date_trunc('day', at) AS day,"
                    " sum(n) FILTER (WHERE a > 'x') AS total FROM t WHERE n > 5 GROUP BY a, day"},
      {"CREATE FOREIGN TABLE t (a text, n numeric(18,2), at timestamptz) SERVER embedded", base_view},
      {"CREATE FOREIGN TABLE t (a text NOT NULL, n numeric(18,3), at timestamptz) SERVER embedded", base_view},
      {"CREATE FOREIGN TABLE t (a text OPTIONS (path 'A') NOT NULL, n numeric(18,2), at timestamptz) SERVER embedded",
       base_view},
      {"CREATE FOREIGN TABLE t (a text NOT NULL, n numeric(18,2), at timestamptz OPTIONS (unit 's')) SERVER embedded",
       base_view},
      {"CREATE FOREIGN TABLE t (a text NOT NULL, n numeric(18,2), at timestamptz) SERVER embedded OPTIONS (format "
       "'csv')",
       base_view},
  };
  (void)state;
  struct tly_hash hashes[1 + sizeof different / sizeof different[0]];
  hashes[0] = hash_of(base_stream, base_view);
  for (size_t i = 1; i < sizeof hashes / sizeof hashes[0]; i++) {
    hashes[i] = hash_of(different[i - 1].stream, different[i - 1].view);
    for (size_t j = 0; j < i; j++)
      if (memcmp(&hashes[i], &hashes[j], sizeof hashes[i]) == 0)
        fail_msg("%s %s", different[i - 1].stream, different[i - 1].view);
  }
}

static void the_rules_of_a_time_zone_are_part_of_the_hash(void **state) {
  struct fixture fixture;
  char text[512];
  (void)state;
  snprintf(text, sizeof text,
           "%s; CREATE MATERIALIZED VIEW v AS SELECT date_trunc('day', at, 'Europe/Berlin') AS day, count(*) FROM t"
           " GROUP BY day",
           base_stream);
  assert_int_equal(fixture_open(&fixture, text), TLY_OK);
  const char *rules = strstr(tly_project_view(fixture.project, "v")->canonical, "timestamptz_trunc_zone rules ");
  assert_non_null(rules);
  assert_int_equal(strspn(rules + strlen("timestamptz_trunc_zone rules "), "0123456789abcdef"), 2 * TLY_HASH_BYTES);
  fixture_close(&fixture);
  struct tly_hash at_utc = hash_of(base_stream, "CREATE MATERIALIZED VIEW v AS SELECT at AT TIME ZONE 'UTC' AS wall,"
                                                " count(*) FROM t GROUP BY 1");
  struct tly_hash cast = hash_of(base_stream, "CREATE MATERIALIZED VIEW v AS SELECT at::timestamp AS wall, count(*)"
                                              " FROM t GROUP BY 1");
  assert_memory_equal(&at_utc, &cast, sizeof cast);
}

/* Stores on disk are keyed by it: when this changes, every view is computed again at the next start. */
static void the_hash_of_a_definition_does_not_change_between_releases(void **state) {
  (void)state;
  struct tly_hash hash = hash_of(base_stream, base_view);
  char text[2 * TLY_HASH_BYTES + 1];
  for (unsigned i = 0; i < TLY_HASH_BYTES; i++)
    snprintf(text + 2 * i, 3, "%02x", hash.bytes[i]);
  assert_string_equal(text, "36405920a75a1bc31971f439fb732fce");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_has_its_columns_where_they_stand_in_an_event),
      cmocka_unit_test(options_of_columns_and_streams_are_read),
      cmocka_unit_test(a_foreign_table_on_a_server_of_ledgers_is_a_ledger),
      cmocka_unit_test(a_view_is_keys_aggregates_and_outputs_over_them),
      cmocka_unit_test(equal_aggregate_calls_are_stored_once),
      cmocka_unit_test(servers_are_refused_with_their_place),
      cmocka_unit_test(streams_are_refused_with_all_their_problems),
      cmocka_unit_test(ledgers_are_refused_with_all_their_problems),
      cmocka_unit_test(views_are_refused_with_all_their_problems),
      cmocka_unit_test(one_slip_does_not_hide_the_next_nor_make_others),
      cmocka_unit_test(a_folder_is_read_in_name_order),
      cmocka_unit_test(equal_definitions_have_equal_hashes_whatever_the_spelling),
      cmocka_unit_test(whatever_can_change_a_total_changes_the_hash),
      cmocka_unit_test(the_rules_of_a_time_zone_are_part_of_the_hash),
      cmocka_unit_test(the_hash_of_a_definition_does_not_change_between_releases),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
