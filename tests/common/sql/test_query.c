/* Queries: the shape of the typed tree, types of parameters, limits, and what is refused by name. (That names, types
 * and errors are PostgreSQL's is test_query_results and test_expression_types.) */
#include <stdlib.h>

#include "common/base/memory.h"
#include "tests/common/sql/sql_fixture.h"

static const struct tly_query *query_of(struct fixture *fixture, const char *sql) {
  if (fixture_query(fixture, sql) != TLY_OK)
    fail_msg("%s: %s", sql, fixture->error.message);
  return fixture->statement->query;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

static void from_items_stand_in_a_row(void **state) {
  const struct tly_query *query =
      query_of(*state, "SELECT 1 FROM x a, run_7.x b JOIN account_daily c ON c.account = b.t"
                       " LEFT JOIN (SELECT 1 AS one) d ON d.one = b.i4");
  assert_int_equal(query->from_count, 4);
  assert_int_equal(query->from[0].join, TLY_JOIN_NONE);
  assert_int_equal(query->from[1].join, TLY_JOIN_CROSS);
  assert_int_equal(query->from[2].join, TLY_JOIN_INNER);
  assert_int_equal(query->from[3].join, TLY_JOIN_LEFT);
  assert_true(query->from[0].run == 0);
  assert_true(query->from[1].run == 7);
  assert_int_equal(query->from[3].kind, TLY_FROM_QUERY);
  assert_null(query->from[1].on);
  assert_int_equal(query->from[2].on->arguments[0]->relation, 2);
  assert_int_equal(query->from[2].on->arguments[1]->relation, 1);
}

static void a_system_relation_is_a_from_item_of_its_columns(void **state) {
  const struct tly_query *query =
      query_of(*state, "SELECT r.started_at, v.groups FROM tally.runs r LEFT JOIN tally.run_views v USING (run)");
  assert_int_equal(query->from[0].kind, TLY_FROM_SYSTEM);
  assert_ptr_equal(query->from[0].system, &tly_system_relations[TLY_SYSTEM_RUNS]);
  assert_int_equal(query->from[1].system->id, TLY_SYSTEM_RUN_VIEWS);
  assert_int_equal(query->columns[0].type.id, TLY_TYPE_TIMESTAMPTZ);
  assert_false(query->columns[0].nullable);
  assert_true(query->columns[1].nullable);
}

static void a_stream_is_a_from_item_with_positions_behind_its_columns(void **state) {
  const struct tly_query *query = query_of(*state, "SELECT *, _offset FROM s AS e WHERE e._partition = 0");
  uint32_t count = query->from[0].stream->column_count;
  assert_int_equal(query->from[0].kind, TLY_FROM_STREAM);
  assert_int_equal(query->from[0].column_count, count + TLY_STREAM_POSITIONS);
  assert_int_equal(query->column_count, count + 1); /* * does not stand for positions */
  assert_int_equal(query->targets[count]->column, count + TLY_STREAM_OFFSET);
  assert_int_equal(query->columns[count].type.id, TLY_TYPE_BIGINT);
}

static void the_right_side_of_a_left_join_may_be_null(void **state) {
  const struct tly_query *query =
      query_of(*state, "SELECT a.n, b.n, b.n IS NULL FROM x a LEFT JOIN x b ON a.n = b.n WHERE b.n > 1");
  assert_false(query->columns[0].nullable);
  assert_true(query->columns[1].nullable);
  assert_true(query->where->nullable);
  assert_false(query->from[1].on->nullable); /* inside ON it is still a row of b */
}

static void names_of_outer_queries_count_levels(void **state) {
  const struct tly_query *query =
      query_of(*state, "SELECT (SELECT max(b.n) FROM x b WHERE b.t = a.t AND EXISTS (SELECT 1 FROM x c"
                       " WHERE c.t = a.t AND c.u = b.u)) FROM x a");
  const struct tly_query *inner = query->targets[0]->query;
  const struct tly_expr *equal = inner->where->arguments[0];
  assert_int_equal(equal->arguments[0]->levels_up, 0);
  assert_int_equal(equal->arguments[1]->levels_up, 1);
  const struct tly_query *innermost = inner->where->arguments[1]->query;
  assert_int_equal(innermost->where->arguments[0]->arguments[1]->levels_up, 2);
  assert_int_equal(innermost->where->arguments[1]->arguments[1]->levels_up, 1);
}

static void with_queries_know_their_level_and_their_uses(void **state) {
  const struct tly_query *query =
      query_of(*state, "WITH q AS (SELECT 1 AS a), r AS (SELECT a + 1 AS b FROM q) SELECT * FROM q, r"
                       " WHERE a IN (SELECT b FROM r)");
  assert_int_equal(query->cte_count, 2);
  assert_int_equal(query->ctes[0].use_count, 2);
  assert_int_equal(query->ctes[1].use_count, 2);
  const struct tly_from_item *in_r = &query->ctes[1].query->from[0];
  assert_int_equal(in_r->kind, TLY_FROM_CTE);
  assert_int_equal(in_r->cte, 0);
  assert_int_equal(in_r->cte_levels_up, 1);
  assert_int_equal(query->from[1].cte, 1);
  assert_int_equal(query->from[1].cte_levels_up, 0);
  assert_int_equal(query->where->query->from[0].cte_levels_up, 1);
}

static void members_of_a_union_take_one_type(void **state) {
  const struct tly_query *query = query_of(
      *state,
      "SELECT i4, n FROM x UNION ALL SELECT i8, 0.50 FROM x UNION ALL (SELECT 1, NULL LIMIT 1) ORDER BY 2 DESC");
  assert_int_equal(query->member_count, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(query->members[i]->targets[0]->type.id, TLY_TYPE_BIGINT);
    assert_int_equal(query->members[i]->targets[1]->type.id, TLY_TYPE_NUMERIC);
    assert_int_equal(query->members[i]->targets[1]->type.precision, query->columns[1].type.precision);
    assert_int_equal(query->members[i]->targets[1]->type.scale, query->columns[1].type.scale);
  }
  assert_true(query->columns[1].nullable);
  assert_non_null(query->members[2]->limit);
  assert_int_equal(query->order[0].expression->relation, TLY_RELATION_RESULT);
  assert_int_equal(query->order[0].expression->column, 1);
  assert_true(query->order[0].descending);
}

static void nulls_stand_last_ascending_and_first_descending(void **state) {
  static const bool expected[] = {false, true, true, false};
  const struct tly_query *query =
      query_of(*state, "SELECT 1 FROM x ORDER BY i4, i8 DESC, n NULLS FIRST, m DESC NULLS LAST");
  for (uint32_t i = 0; i < 4; i++)
    assert_int_equal(query->order[i].nulls_first, expected[i]);
}

static void distinct_orders_by_its_result_columns(void **state) {
  const struct tly_query *query = query_of(*state, "SELECT DISTINCT t, lower(t) FROM x ORDER BY lower(t), 1");
  assert_true(query->distinct);
  assert_int_equal(query->order[0].expression->relation, TLY_RELATION_RESULT);
  assert_int_equal(query->order[0].expression->column, 1);
  assert_int_equal(query->order[1].expression->column, 0);
}

static void grouping_is_told_from_the_absence_of_it(void **state) {
  assert_false(query_of(*state, "SELECT t FROM x")->is_grouped);
  assert_true(query_of(*state, "SELECT count(*) FROM x")->is_grouped);
  assert_true(query_of(*state, "SELECT 1 FROM x HAVING true")->is_grouped);
  assert_true(query_of(*state, "SELECT 1 FROM x ORDER BY count(*)")->is_grouped);
  assert_false(query_of(*state, "SELECT count(*) OVER () FROM x")->is_grouped);
  const struct tly_query *query = query_of(*state, "SELECT t AS k FROM x GROUP BY k, 1, t, lower(t)");
  assert_int_equal(query->group_count, 2);
}

static void a_window_has_its_frame(void **state) {
  const struct tly_query *query = query_of(
      *state, "SELECT sum(n) OVER (PARTITION BY t ORDER BY tz DESC ROWS BETWEEN 2 PRECEDING AND $1 FOLLOWING),"
              " rank() OVER w, sum(i4) OVER (ORDER BY i4 GROUPS CURRENT ROW) FROM x WINDOW w AS (ORDER BY i4)");
  const struct tly_window *first = query->targets[0]->window;
  assert_true(first->is_aggregate);
  assert_int_equal(first->aggregate.function, TLY_AGGREGATE_SUM);
  assert_int_equal(first->partition_count, 1);
  assert_true(first->order[0].descending);
  assert_true(first->has_frame);
  assert_int_equal(first->mode, TLY_FRAME_ROWS);
  assert_int_equal(first->start, TLY_FRAME_PRECEDING);
  assert_int_equal(first->end, TLY_FRAME_FOLLOWING);
  assert_true(first->start_offset->constant.i64 == 2);
  assert_int_equal(first->end_offset->kind, TLY_EXPR_PARAMETER);
  assert_int_equal(query->targets[1]->window->function, TLY_WINDOW_RANK);
  assert_false(query->targets[1]->window->has_frame);
  assert_int_equal(query->targets[2]->window->mode, TLY_FRAME_GROUPS);
  assert_int_equal(query->targets[2]->window->start, TLY_FRAME_CURRENT_ROW);
}

static void in_compares_with_one_equality(void **state) {
  const struct tly_expr *in = fixture_expression(*state, "i4 IN (1, 2.5, NULL)");
  assert_int_equal(in->kind, TLY_EXPR_IN);
  assert_int_equal(in->kernel, TLY_KERNEL_numeric_eq);
  assert_int_equal(in->argument_count, 4);
  for (uint32_t i = 0; i < 4; i++)
    assert_int_equal(in->arguments[i]->type.id, TLY_TYPE_NUMERIC);
  in = fixture_expression(*state, "i4 NOT IN (1, 2, i8)");
  assert_int_equal(in->kind, TLY_EXPR_NOT);
  assert_int_equal(in->arguments[0]->kind, TLY_EXPR_OR);
  assert_int_equal(fixture_expression(*state, "i4 IN (1)")->kernel, TLY_KERNEL_int4eq);
}

static void branches_have_exactly_the_type_of_the_whole(void **state) {
  static const char *const cases[] = {"coalesce(n, m, 1)",     "CASE WHEN b THEN n ELSE n * 2 END",
                                      "greatest(n, i4, 0.00)", "CASE i4 WHEN 1 THEN NULL WHEN 2 THEN 1.5 END",
                                      "coalesce(v, t)",        "coalesce(v, v)"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct tly_expr *whole = fixture_expression(*state, cases[i]);
    for (uint32_t a = whole->kind == TLY_EXPR_CASE ? 1 : 0; a < whole->argument_count;
         a += whole->kind == TLY_EXPR_CASE ? 2 : 1)
      assert_memory_equal(&whole->arguments[a]->type, &whole->type, sizeof whole->type);
    if (whole->kind == TLY_EXPR_CASE)
      assert_memory_equal(&whole->arguments[whole->argument_count - 1]->type, &whole->type, sizeof whole->type);
  }
}

/* No row of SQLite can hold one. */
static void whether_an_interval_is_there_is_asked_of_a_boolean(void **state) {
  static const char *const cases[] = {"(tz - ts) IS NULL", "(tz - ts) IS NOT NULL", "(tz - ts) IS DISTINCT FROM NULL"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(fixture_expression(*state, cases[i])->arguments[0]->kernel, TLY_KERNEL_interval_eq);
  assert_int_equal(fixture_expression(*state, "count(tz - ts)")->aggregate->argument->kernel, TLY_KERNEL_interval_eq);
}

static void now_is_one_value_of_the_statement(void **state) {
  assert_int_equal(fixture_expression(*state, "now()")->kind, TLY_EXPR_NOW);
  const struct tly_expr *today = fixture_expression(*state, "current_date");
  assert_int_equal(today->kernel, TLY_KERNEL_timestamptz_date);
  assert_int_equal(today->arguments[0]->kind, TLY_EXPR_NOW);
}

static void casts_of_constants_are_carried_out_where_they_succeed(void **state) {
  assert_int_equal(fixture_expression(*state, "1::bigint")->kind, TLY_EXPR_CONSTANT);
  assert_int_equal(fixture_expression(*state, "'2026-03-02'::date")->kind, TLY_EXPR_CONSTANT);
  assert_int_equal(fixture_expression(*state, "DATE '2026-03-02'::timestamptz")->kind, TLY_EXPR_CONSTANT);
  assert_int_equal(fixture_expression(*state, "2.5::integer")->constant.i64, 3);
  assert_int_equal(fixture_expression(*state, "70000::smallint")->kind, TLY_EXPR_CALL); /* raises where it is reached */
  assert_int_equal(fixture_expression(*state, "123.4::numeric(2,1)")->kind, TLY_EXPR_CALL);
  assert_true(fixture_expression(*state, "123.4::numeric(2,1)")->can_raise);
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

static void parameters_take_their_type_from_their_use(void **state) {
  static const struct {
    const char *sql, *types;
  } cases[] = {
      {"SELECT 1 FROM x WHERE i8 = $1 AND t = $2", "bigint text "},
      {"SELECT $2::date, $1 + i4 FROM x", "integer date "},
      {"SELECT $1", "text "},
      {"SELECT 1 FROM x WHERE n BETWEEN $1 AND $2", "numeric numeric "},
      {"SELECT 1 FROM x WHERE t IN ($1, $2)", "text text "},
      {"SELECT 1 FROM x WHERE tz >= $1 LIMIT $2 OFFSET $3", "timestamp with time zone bigint bigint "},
      {"SELECT 1 FROM x WHERE $1 IS NULL OR u = $1", "uuid "},
      {"SELECT CASE WHEN $1 THEN $2 ELSE n END FROM x", "boolean numeric "},
      {"SELECT coalesce($1, d) FROM x", "date "},
      {"SELECT date_trunc($1, tz) FROM x", "text "},
      {"SELECT tz + $1 FROM x", "interval "},
      {"SELECT $1 || 'x'", "text "},
      {"SELECT f8 * $1 FROM x", "double precision "},
      {"SELECT i4 FROM x UNION ALL SELECT $1", "integer "},
      {"SELECT 1 FROM x WHERE i4 = $1 AND i4 > $1", "integer "},
  };
  struct fixture *fixture = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char types[256] = "";
    query_of(fixture, cases[i].sql);
    for (uint32_t p = 0; p < fixture->statement->parameter_count; p++) {
      strcat(types, tly_type_name(fixture->statement->parameters[p]));
      strcat(types, " ");
    }
    if (strcmp(types, cases[i].types) != 0)
      fail_msg("%s: %s", cases[i].sql, types);
  }
}

static void a_parameter_without_or_with_two_types_is_refused(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture_query(fixture, "SELECT $2::int"), TLY_E_INDETERMINATE_DATATYPE);
  assert_int_equal(fixture_query(fixture, "SELECT 1 WHERE $1 IS NULL"), TLY_E_INDETERMINATE_DATATYPE);
  assert_int_equal(fixture->error.position, 16);
  assert_int_equal(fixture_query(fixture, "SELECT 1 FROM x WHERE i4 = $1 AND t = $1"), TLY_E_UNDEFINED_FUNCTION);
  assert_int_equal(fixture_query(fixture, "SELECT CASE WHEN $1 IS NULL THEN 1 END, $1::int, $1::text"), TLY_OK);
  assert_int_equal(fixture_query(fixture, "SELECT $101"), TLY_E_TOO_COMPLEX);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void what_a_query_expands_to_is_counted(void **state) {
  static const struct {
    const char *sql;
    enum tly_status status;
  } cases[] = {
      {"SELECT 1 FROM x a, x b, x c, x d, x e, x f, x g, x h", TLY_OK},
      {"SELECT 1 FROM x a, x b, x c, x d, x e, x f, x g, x h, x i", TLY_E_TOO_COMPLEX},
      {"WITH a AS (SELECT 1 FROM x p, x q), b AS (SELECT 1 FROM a p, a q), c AS (SELECT 1 FROM b p, b q),"
       " d AS (SELECT 1 FROM c p, c q) SELECT 1 FROM d",
       TLY_OK},
      {"WITH a AS (SELECT 1 FROM x p, x q), b AS (SELECT 1 FROM a p, a q), c AS (SELECT 1 FROM b p, b q),"
       " d AS (SELECT 1 FROM c p, c q) SELECT 1 FROM d p, d q, a r",
       TLY_E_TOO_COMPLEX},
  };
  struct fixture *fixture = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (fixture_query(fixture, cases[i].sql) != cases[i].status)
      fail_msg("%s: %s", cases[i].sql, fixture->error.message);
}

/* CASE x WHEN ... repeats x for every branch: nested ones grow as a power. */
static void a_shared_expression_counts_at_each_use(void **state) {
  char sql[4096] = "SELECT ", inner[4096] = "i4";
  for (unsigned depth = 0; depth < 12; depth++) {
    char outer[4200];
    snprintf(outer, sizeof outer, "CASE %.3000s WHEN 1 THEN 2 WHEN 2 THEN 3 WHEN 3 THEN 4 END", inner);
    snprintf(inner, sizeof inner, "%.4000s", outer);
  }
  strcat(sql, inner);
  strcat(sql, " FROM x");
  assert_int_equal(fixture_query(*state, sql), TLY_E_TOO_COMPLEX);
}

/* ---- refused by name --------------------------------------------------------------------------------------------- */

static void what_is_outside_the_subset_is_refused_by_name_with_its_place(void **state) {
  static const struct {
    const char *sql;
    int position;
    const char *message;
  } cases[] = {
      {"VALUES (1)", 9, "VALUES is not supported"},
      {"SELECT 1 UNION SELECT 2", 23, "UNION without ALL is not supported"},
      {"SELECT 1 EXCEPT ALL SELECT 2", 28, "EXCEPT is not supported"},
      {"SELECT 1 INTERSECT SELECT 2", 27, "INTERSECT is not supported"},
      {"SELECT 1 FROM x a RIGHT JOIN x b ON true", 30, "RIGHT JOIN is not supported"},
      {"SELECT 1 FROM x a FULL JOIN x b ON true", 29, "FULL JOIN is not supported"},
      {"SELECT 1 FROM x a NATURAL JOIN x b", 15, "NATURAL JOIN is not supported"},
      {"SELECT 1 FROM x a JOIN (x b JOIN x c ON true) ON true", 25, "a join nested in a join is not supported"},
      {"SELECT 1 FROM x a, LATERAL (SELECT a.t) b", 36, "LATERAL is not supported"},
      {"SELECT 1 FROM generate_series(1, 2) g", 15, "a function in FROM is not supported"},
      {"SELECT 1 FROM x TABLESAMPLE system (1)", 29, "TABLESAMPLE is not supported"},
      {"SELECT 1 FROM ONLY x", 20, "ONLY is not supported"},
      {"WITH RECURSIVE q AS (SELECT 1) SELECT 1 FROM q", 16, "WITH RECURSIVE is not supported"},
      {"SELECT DISTINCT ON (t) t FROM x", 21, "DISTINCT ON is not supported"},
      {"SELECT t FROM x FOR UPDATE", 8, "FOR UPDATE is not supported"},
      {"SELECT 1 INTO y", 15, "SELECT INTO is not supported"},
      {"SELECT t FROM x GROUP BY GROUPING SETS ((t), ())", 26, "GROUPING SETS, ROLLUP or CUBE is not supported"},
      {"SELECT t FROM x ORDER BY t FETCH FIRST 1 ROW WITH TIES", 40, "WITH TIES is not supported"},
      {"SELECT t FROM x ORDER BY t USING <", 34, "ORDER BY ... USING is not supported"},
      {"SELECT ARRAY[1]", 8, "ARRAY is not supported"},
      {"SELECT ROW(1, 2)", 8, "a row of values is not supported"},
      {"SELECT (1, 2) = (1, 2)", 8, "a row of values is not supported"},
      {"SELECT t COLLATE \"C\" FROM x", 10, "COLLATE is not supported"},
      {"SELECT t[1] FROM x", 8, "subscripts and field selection is not supported"},
      {"SELECT 5 = ANY (ARRAY[1])", 10, "ANY or ALL of an array is not supported"},
      {"SELECT 5 > ALL (SELECT 1)", 10, "ALL (SELECT ...) is not supported"},
      {"SELECT 5 > ANY (SELECT 1)", 10, "an operator with ANY (SELECT ...), other than =, is not supported"},
      {"SELECT ARRAY (SELECT 1)", 8, "ARRAY (SELECT ...) is not supported"},
      {"SELECT t SIMILAR TO 'a' FROM x", 10, "SIMILAR TO is not supported"},
      {"SELECT t LIKE 'a' ESCAPE '!' FROM x", 10, "LIKE with ESCAPE is not supported"},
      {"SELECT t ~ 'a' FROM x", 10, "operator ~ is not supported"},
      {"SELECT substring(t from 'a.c') FROM x", 8, "substring with a pattern is not supported"},
      {"SELECT sqrt(i4) FROM x", 8, "function sqrt is not supported"},
      {"SELECT i4::real FROM x", 12, "type real is not supported"},
      {"SELECT i4::jsonb FROM x", 12, "type jsonb is not supported"},
      {"SELECT '{1}'::int[]", 15, "arrays are not supported"},
      {"SELECT B'101'", 8, "bit strings are not supported"},
      {"SELECT tz - tz FROM x", 8, "an interval as a result is not supported"},
      {"SELECT t FROM x ORDER BY tz - now()", 26, "an interval in ORDER BY is not supported"},
      {"SELECT count(*) FROM x GROUP BY tz - now()", 33, "an interval in GROUP BY is not supported"},
      {"SELECT max(tz - now()) FROM x", 8, "max over interval is not supported"},
      {"SELECT extract(day from lag(tz - ts) OVER ()) FROM x", 25, "lag over interval is not supported"},
      {"SELECT stddev(f8) FROM x", 8, "stddev over double precision is not supported"},
      {"SELECT sum(DISTINCT i4) FROM x", 8, "sum(DISTINCT ...) is not supported"},
      {"SELECT count(i4 ORDER BY i4) FROM x", 26, "ORDER BY inside an aggregate is not supported"},
      {"SELECT sum(i4) OVER (ORDER BY i4 RANGE 1 PRECEDING) FROM x", 21, "RANGE with an offset is not supported"},
      {"SELECT sum(i4) OVER (ROWS CURRENT ROW EXCLUDE TIES) FROM x", 21, "EXCLUDE in a window frame is not supported"},
      {"SELECT sum(i4) OVER (w ORDER BY i4) FROM x WINDOW w AS ()", 21,
       "a window made from another window is not supported"},
      {"SELECT date_trunc('day', interval '1 day')::text", 8, "date_trunc of an interval is not supported"},
      {"SELECT extract(julian from tz) FROM x", 16, "extract(julian) is not supported"},
      {"SELECT current_user", 8, "current_user is not supported"},
      {"SELECT current_time(3)", 8, "current_time() is not supported"},
      {"SELECT t FROM x LIMIT (SELECT 1)", 23, "a sub-select in LIMIT is not supported"},
      {"SELECT x.s.t FROM x", 8, "a column named with its schema is not supported: use the relation's alias"},
      {"SELECT (SELECT max(a.n) FROM x b) FROM x a", 16,
       "an aggregate over columns of an outer query alone is not supported"},
      {"SELECT a.*::text FROM x a", 8, "* is not supported here"},
      {"INSERT INTO x VALUES (1)", 1, "only SELECT is supported in a query"},
  };
  struct fixture *fixture = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    enum tly_status status = fixture_query(fixture, cases[i].sql);
    if (status != TLY_E_NOT_SUPPORTED || strcmp(fixture->error.message, cases[i].message) != 0 ||
        fixture->error.position != cases[i].position)
      fail_msg("%s: %s at %d: %s", cases[i].sql, tly_status_sqlstate(status), fixture->error.position,
               fixture->error.message);
  }
}

static void a_likely_slip_gets_a_hint(void **state) {
  static const struct {
    const char *sql, *hint;
  } cases[] = {
      {"SELECT acount FROM account_daily", "did you mean account?"},
      {"SELECT d.totl FROM account_daily d", "did you mean total?"},
      {"SELECT account_dayly.total FROM account_daily", "did you mean account_daily?"},
      {"SELECT 1 FROM acount_daily", "did you mean account_daily?"},
      {"WITH sales AS (SELECT 1) SELECT 1 FROM sale", "did you mean sales?"},
      {"SELECT lowwer(t) FROM x", "did you mean lower?"},
      {"SELECT summ(n) FROM x", "did you mean sum?"},
      {"SELECT n::numberic FROM x", "did you mean numeric?"},
      {"SELECT account_daily.total FROM account_daily d", "here it is called \"d\""},
      {"SELECT 1 FROM tally.rums", "did you mean tally.runs?"},
      {"SELECT 1 FROM runs", "did you mean tally.runs?"},
      {"SELECT 1 FROM tally.account_daily", ""},
      {"SELECT something_else FROM x", ""},
  };
  struct fixture *fixture = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_not_equal(fixture_query(fixture, cases[i].sql), TLY_OK);
    assert_string_equal(fixture->error.hint, cases[i].hint);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(from_items_stand_in_a_row),
      cmocka_unit_test(a_system_relation_is_a_from_item_of_its_columns),
      cmocka_unit_test(a_stream_is_a_from_item_with_positions_behind_its_columns),
      cmocka_unit_test(the_right_side_of_a_left_join_may_be_null),
      cmocka_unit_test(names_of_outer_queries_count_levels),
      cmocka_unit_test(with_queries_know_their_level_and_their_uses),
      cmocka_unit_test(members_of_a_union_take_one_type),
      cmocka_unit_test(nulls_stand_last_ascending_and_first_descending),
      cmocka_unit_test(distinct_orders_by_its_result_columns),
      cmocka_unit_test(grouping_is_told_from_the_absence_of_it),
      cmocka_unit_test(a_window_has_its_frame),
      cmocka_unit_test(in_compares_with_one_equality),
      cmocka_unit_test(branches_have_exactly_the_type_of_the_whole),
      cmocka_unit_test(whether_an_interval_is_there_is_asked_of_a_boolean),
      cmocka_unit_test(now_is_one_value_of_the_statement),
      cmocka_unit_test(casts_of_constants_are_carried_out_where_they_succeed),
      cmocka_unit_test(parameters_take_their_type_from_their_use),
      cmocka_unit_test(a_parameter_without_or_with_two_types_is_refused),
      cmocka_unit_test(what_a_query_expands_to_is_counted),
      cmocka_unit_test(a_shared_expression_counts_at_each_use),
      cmocka_unit_test(what_is_outside_the_subset_is_refused_by_name_with_its_place),
      cmocka_unit_test(a_likely_slip_gets_a_hint),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
