/* tests/common/value/test_postgresql_cases.c -- calls whose answers a real PostgreSQL gave (postgresql_cases.tsv, made
 * by generate_cases.py beside it): the same value, the same display scale, the same SQLSTATE. A double is compared by
 * value, since PostgreSQL does not always print the nearest shortest digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/ordered_key.h"
#include "common/value/value.h"

enum { FIELDS_MAX = 16 };

struct call {
  const char *fields[FIELDS_MAX]; /* operation, arguments */
  int count;
  struct tly_arena arena;
  struct tly_buffer out;
  struct tly_error error;
};

#define ARGUMENT(call, index) (call)->fields[index], strlen((call)->fields[index])

/* --- numeric -------------------------------------------------------------------------------------------------------
 */

static enum tly_status decimal_argument(struct call *call, int index, struct tly_decimal *out) {
  return tly_decimal_parse(ARGUMENT(call, index), &call->arena, out, &call->error);
}

typedef enum tly_status binary_operation(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                         struct tly_decimal *out, struct tly_error *error);

static enum tly_status run_binary(struct call *call, binary_operation *operation) {
  struct tly_decimal a, b, result;
  TLY_TRY(decimal_argument(call, 1, &a));
  TLY_TRY(decimal_argument(call, 2, &b));
  TLY_TRY(operation(a, b, &call->arena, &result, &call->error));
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_add(struct call *call) {
  return run_binary(call, tly_decimal_add);
}

static enum tly_status run_subtract(struct call *call) {
  return run_binary(call, tly_decimal_subtract);
}

static enum tly_status run_multiply(struct call *call) {
  return run_binary(call, tly_decimal_multiply);
}

static enum tly_status run_divide(struct call *call) {
  return run_binary(call, tly_decimal_divide);
}

static enum tly_status run_modulo(struct call *call) {
  return run_binary(call, tly_decimal_modulo);
}

/* round, floor, ceil, typmod, normalize */
static enum tly_status run_round(struct call *call) {
  struct tly_decimal value, result;
  struct tly_arena *arena = &call->arena;
  const char *name = call->fields[0];
  TLY_TRY(decimal_argument(call, 1, &value));
  if (strcmp(name, "round") == 0)
    TLY_TRY(tly_decimal_round(value, atoi(call->fields[2]), arena, &result, &call->error));
  else if (strcmp(name, "floor") == 0)
    TLY_TRY(tly_decimal_floor(value, arena, &result, &call->error));
  else if (strcmp(name, "ceil") == 0)
    TLY_TRY(tly_decimal_ceil(value, arena, &result, &call->error));
  else if (strcmp(name, "typmod") == 0)
    TLY_TRY(tly_decimal_to_typmod(value, atoi(call->fields[2]), atoi(call->fields[3]), arena, &result, &call->error));
  else
    result = tly_decimal_normalize(value, arena);
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_to_bigint(struct call *call) {
  struct tly_decimal value;
  int64_t result;
  TLY_TRY(decimal_argument(call, 1, &value));
  TLY_TRY(tly_decimal_to_i64(value, &result, &call->error));
  tly_buffer_print(&call->out, "%lld", (long long)result);
  return TLY_OK;
}

static enum tly_status run_to_double(struct call *call) {
  struct tly_decimal value;
  double result;
  TLY_TRY(decimal_argument(call, 1, &value));
  TLY_TRY(tly_decimal_to_double(value, &result, &call->error));
  tly_double_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_of_double(struct call *call) {
  struct tly_decimal result;
  double value;
  TLY_TRY(tly_double_parse(ARGUMENT(call, 1), &value, &call->error));
  TLY_TRY(tly_decimal_of_double(value, &call->arena, &result, &call->error));
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

/* avg, var_samp, var_pop, stddev_samp, stddev_pop */
static enum tly_status run_statistic(struct call *call) {
  static const char *const names[] = {"var_samp", "var_pop", "stddev_samp", "stddev_pop"};
  struct tly_arena *arena = &call->arena;
  struct tly_decimal sum = tly_decimal_of_i64(0, 0), squares = sum, value, square, result;
  int64_t count = call->count - 1;
  for (int i = 1; i < call->count; i++) {
    TLY_TRY(decimal_argument(call, i, &value));
    TLY_TRY(tly_decimal_multiply(value, value, arena, &square, &call->error));
    TLY_TRY(tly_decimal_add(sum, value, arena, &sum, &call->error));
    TLY_TRY(tly_decimal_add(squares, square, arena, &squares, &call->error));
  }
  int kind = 0;
  while (kind < 4 && strcmp(call->fields[0], names[kind]) != 0)
    kind++;
  if (kind == 4)
    TLY_TRY(tly_decimal_average(sum, count, arena, &result, &call->error));
  else
    TLY_TRY(tly_decimal_variance((enum tly_variance)kind, sum, squares, count, arena, &result, &call->error));
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

/* --- time ----------------------------------------------------------------------------------------------------------
 */

static enum tly_status timestamp_argument(struct call *call, int index, int64_t *out) {
  return tly_timestamp_parse(ARGUMENT(call, index), false, out, &call->error);
}

static enum tly_status interval_argument(struct call *call, int index, struct tly_interval *out) {
  return tly_interval_parse(ARGUMENT(call, index), out, &call->error);
}

static enum tly_status run_date_trunc(struct call *call) {
  int64_t at, result;
  TLY_TRY(timestamp_argument(call, 2, &at));
  TLY_TRY(tly_timestamp_trunc(ARGUMENT(call, 1), at, &result, &call->error));
  tly_timestamp_print(result, false, &call->out);
  return TLY_OK;
}

static enum tly_status run_date_bin(struct call *call) {
  struct tly_interval stride;
  int64_t at, origin, result;
  TLY_TRY(interval_argument(call, 1, &stride));
  TLY_TRY(timestamp_argument(call, 2, &at));
  TLY_TRY(timestamp_argument(call, 3, &origin));
  TLY_TRY(tly_timestamp_bin(stride, at, origin, &result, &call->error));
  tly_timestamp_print(result, false, &call->out);
  return TLY_OK;
}

static enum tly_status run_extract(struct call *call, enum tly_extract_source source) {
  struct tly_decimal result;
  int64_t value;
  if (source == TLY_EXTRACT_DATE)
    TLY_TRY(tly_date_parse(ARGUMENT(call, 2), &value, &call->error));
  else
    TLY_TRY(timestamp_argument(call, 2, &value));
  TLY_TRY(tly_timestamp_extract(ARGUMENT(call, 1), source, value, &result, &call->error));
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_extract_date(struct call *call) {
  return run_extract(call, TLY_EXTRACT_DATE);
}

static enum tly_status run_extract_timestamp(struct call *call) {
  return run_extract(call, TLY_EXTRACT_TIMESTAMP);
}

static enum tly_status run_extract_timestamptz(struct call *call) {
  return run_extract(call, TLY_EXTRACT_TIMESTAMPTZ);
}

static enum tly_status run_extract_interval(struct call *call) {
  struct tly_decimal result;
  struct tly_interval value;
  TLY_TRY(interval_argument(call, 2, &value));
  TLY_TRY(tly_interval_extract(ARGUMENT(call, 1), value, &result, &call->error));
  tly_decimal_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_timestamp_move(struct call *call, int sign) {
  struct tly_interval span;
  int64_t at, result;
  TLY_TRY(timestamp_argument(call, 1, &at));
  TLY_TRY(interval_argument(call, 2, &span));
  TLY_TRY(tly_timestamp_add(at, span, sign, &result, &call->error));
  tly_timestamp_print(result, false, &call->out);
  return TLY_OK;
}

static enum tly_status run_timestamp_add(struct call *call) {
  return run_timestamp_move(call, +1);
}

static enum tly_status run_timestamp_minus(struct call *call) {
  return run_timestamp_move(call, -1);
}

static enum tly_status run_timestamp_subtract(struct call *call) {
  struct tly_interval result;
  int64_t a, b;
  TLY_TRY(timestamp_argument(call, 1, &a));
  TLY_TRY(timestamp_argument(call, 2, &b));
  TLY_TRY(tly_timestamp_subtract(a, b, &result, &call->error));
  tly_interval_print(result, &call->out);
  return TLY_OK;
}

/* interval_add, interval_subtract, interval_is_less */
static enum tly_status run_interval_pair(struct call *call) {
  struct tly_interval a, b, result;
  TLY_TRY(interval_argument(call, 1, &a));
  TLY_TRY(interval_argument(call, 2, &b));
  if (strcmp(call->fields[0], "interval_is_less") == 0) {
    tly_buffer_append_text(&call->out, tly_interval_compare(a, b) < 0 ? "true" : "false");
    return TLY_OK;
  }
  int sign = strcmp(call->fields[0], "interval_add") == 0 ? +1 : -1;
  TLY_TRY(tly_interval_add(a, b, sign, &result, &call->error));
  tly_interval_print(result, &call->out);
  return TLY_OK;
}

static enum tly_status run_interval_multiply(struct call *call) {
  struct tly_interval value, result;
  double factor;
  TLY_TRY(interval_argument(call, 1, &value));
  TLY_TRY(tly_double_parse(ARGUMENT(call, 2), &factor, &call->error));
  TLY_TRY(tly_interval_multiply(value, factor, &result, &call->error));
  tly_interval_print(result, &call->out);
  return TLY_OK;
}

/* --- text ----------------------------------------------------------------------------------------------------------
 */

/* length, like, ilike and the functions that make a text of a text. */
static enum tly_status run_text(struct call *call) {
  const char *name = call->fields[0];
  struct tly_text value = tly_text_of(call->fields[1]), result = {"", 0};
  struct tly_text second = tly_text_of(call->count > 2 ? call->fields[2] : "");
  int64_t number = call->count > 2 ? atoll(call->fields[2]) : 0;
  bool is_match;
  if (strcmp(name, "length") == 0) {
    tly_buffer_print(&call->out, "%u", tly_text_length(value));
  } else if (strcmp(name, "like") == 0 || strcmp(name, "ilike") == 0) {
    TLY_TRY(tly_text_like(value, second, name[0] == 'i', &is_match, &call->error));
    tly_buffer_append_text(&call->out, is_match ? "true" : "false");
  } else if (strcmp(name, "substring") == 0) {
    bool has_length = call->count > 3;
    int64_t length = has_length ? atoll(call->fields[3]) : 0;
    TLY_TRY(tly_text_substring(value, number, has_length, length, &result, &call->error));
  } else if (strcmp(name, "upper") == 0) {
    result = tly_text_upper(value, &call->arena);
  } else if (strcmp(name, "lower") == 0) {
    result = tly_text_lower(value, &call->arena);
  } else if (strcmp(name, "left") == 0) {
    result = tly_text_left(value, number);
  } else if (strcmp(name, "right") == 0) {
    result = tly_text_right(value, number);
  } else { /* ltrim, rtrim, btrim */
    result = tly_text_trim(value, second, name[0] != 'r', name[0] != 'l');
  }
  tly_buffer_append(&call->out, result.data, result.size);
  return TLY_OK;
}

/* --- input of every type -------------------------------------------------------------------------------------------
 */

static enum tly_type_id type_of_name(const char *name) {
  for (int id = TLY_TYPE_BOOLEAN; id < TLY_TYPE_COUNT; id++)
    if (strcmp(tly_type_protocol_name(TLY_TYPE_OF((enum tly_type_id)id)), name) == 0)
      return (enum tly_type_id)id;
  return TLY_TYPE_DOUBLE;
}

/* A value that was read also comes back from its key. */
static void check_key(struct call *call, const struct tly_value *value) {
  struct tly_buffer key = {0};
  struct tly_value back;
  tly_key_append(&key, value);
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  assert_int_equal(tly_key_read(&cursor, value->type, &call->arena, &back, &call->error), TLY_OK);
  assert_int_equal(tly_cursor_left(&cursor), 0);
  assert_int_equal(tly_value_compare(value, &back), 0);
  tly_buffer_free(&key);
}

static enum tly_status run_parse(struct call *call) {
  struct tly_type type = TLY_TYPE_OF(type_of_name(call->fields[1]));
  struct tly_value value;
  TLY_TRY(tly_value_parse(type, ARGUMENT(call, 2), &call->arena, &value, &call->error));
  tly_value_print(&value, &call->out);
  if (type.id != TLY_TYPE_INTERVAL)
    check_key(call, &value);
  return TLY_OK;
}

/* --- the table -----------------------------------------------------------------------------------------------------
 */

static const struct {
  const char *name;
  enum tly_status (*run)(struct call *call);
} operations[] = {
    {"add", run_add},
    {"subtract", run_subtract},
    {"multiply", run_multiply},
    {"divide", run_divide},
    {"modulo", run_modulo},
    {"round", run_round},
    {"floor", run_round},
    {"ceil", run_round},
    {"typmod", run_round},
    {"normalize", run_round},
    {"to_bigint", run_to_bigint},
    {"to_double", run_to_double},
    {"of_double", run_of_double},
    {"avg", run_statistic},
    {"var_samp", run_statistic},
    {"var_pop", run_statistic},
    {"stddev_samp", run_statistic},
    {"stddev_pop", run_statistic},
    {"date_trunc", run_date_trunc},
    {"date_bin", run_date_bin},
    {"extract_date", run_extract_date},
    {"extract_timestamp", run_extract_timestamp},
    {"extract_timestamptz", run_extract_timestamptz},
    {"extract_interval", run_extract_interval},
    {"timestamp_add", run_timestamp_add},
    {"timestamp_minus", run_timestamp_minus},
    {"timestamp_subtract", run_timestamp_subtract},
    {"interval_add", run_interval_pair},
    {"interval_subtract", run_interval_pair},
    {"interval_is_less", run_interval_pair},
    {"interval_multiply", run_interval_multiply},
    {"upper", run_text},
    {"lower", run_text},
    {"length", run_text},
    {"left", run_text},
    {"right", run_text},
    {"substring", run_text},
    {"ltrim", run_text},
    {"rtrim", run_text},
    {"btrim", run_text},
    {"like", run_text},
    {"ilike", run_text},
    {"parse", run_parse},
};

static bool is_double_call(const struct call *call) {
  return strcmp(call->fields[0], "to_double") == 0 ||
         (strcmp(call->fields[0], "parse") == 0 && type_of_name(call->fields[1]) == TLY_TYPE_DOUBLE);
}

static bool is_same(const struct call *call, const char *answer, const char *expected) {
  if (strcmp(answer, expected) == 0)
    return true;
  return is_double_call(call) && *answer != '!' && *expected != '!' && strtod(answer, NULL) == strtod(expected, NULL);
}

static enum tly_status run_call(struct call *call) {
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
    if (strcmp(operations[i].name, call->fields[0]) == 0)
      return operations[i].run(call);
  fail_msg("unknown operation %s", call->fields[0]);
  return TLY_E_INTERNAL;
}

static void print_call(const struct call *call, const char *answer, const char *expected) {
  for (int i = 0; i < call->count; i++)
    print_error("%s%s", i > 0 ? "\t" : "", call->fields[i]);
  print_error("\n  PostgreSQL: %s\n  tally:      %s\n", expected, answer);
}

/* Splits the line, runs it, and says whether the answer is the one behind the last tab. */
static bool check_line(struct call *call, char *line) {
  char *expected = strrchr(line, '\t');
  assert_non_null(expected);
  *expected++ = '\0';
  call->count = 0;
  for (char *field = line; field != NULL; call->count++) {
    assert_true(call->count < FIELDS_MAX);
    call->fields[call->count] = field;
    field = strchr(field, '\t');
    if (field != NULL)
      *field++ = '\0';
  }
  tly_buffer_clear(&call->out);
  tly_arena_reset(&call->arena);
  enum tly_status status = run_call(call);
  if (status != TLY_OK) {
    tly_buffer_clear(&call->out);
    tly_buffer_print(&call->out, "!%s", tly_status_sqlstate(status));
  }
  const char *answer = tly_buffer_text(&call->out);
  bool is_good = is_same(call, answer, expected);
  if (!is_good)
    print_call(call, answer, expected);
  return is_good;
}

static void every_answer_is_the_one_postgresql_gave(void **state) {
  (void)state;
  FILE *file = fopen("tests/common/value/postgresql_cases.tsv", "r");
  assert_non_null(file);
  struct call call = {.count = 0};
  tly_arena_init(&call.arena);
  char *line = NULL;
  size_t capacity = 0;
  int lines = 0, differences = 0;
  for (ssize_t size; (size = getline(&line, &capacity, file)) > 0; lines++) {
    line[size - 1] = '\0';
    differences += !check_line(&call, line);
  }
  print_message("%d calls, %d differences\n", lines, differences);
  assert_true(lines > 4000);
  assert_int_equal(differences, 0);
  free(line);
  fclose(file);
  tly_arena_free(&call.arena);
  tly_buffer_free(&call.out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_answer_is_the_one_postgresql_gave),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
