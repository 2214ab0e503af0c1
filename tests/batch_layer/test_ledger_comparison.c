/* tests/batch_layer/test_ledger_comparison.c -- two sides, each given as CSV in any order, sorted, compared, reported:
 * every kind of break, and what is no break. */
#include "tests/common/store/view_fixture.h"

#include <jansson.h>
#include <unistd.h>

#include "batch_layer/ledger_report.h"
#include "batch_layer/ledger_rows.h"
#include "common/base/limits.h"

#define STREAM                                                                                                         \
  "CREATE FOREIGN TABLE e (account text, currency text, number bigint, amount numeric(18,2), free numeric,"            \
  " rate double precision, note text) SERVER embedded;"                                                                \
  "CREATE SERVER bank FOREIGN DATA WRAPPER sqlite OPTIONS (path 'bank.db');"

/* Two compared columns, an amount and a text. */
#define ACCOUNTS                                                                                                       \
  STREAM "CREATE MATERIALIZED VIEW v AS SELECT account, sum(amount) AS total, max(note) AS note FROM e"                \
         " GROUP BY account; CREATE FOREIGN TABLE l (account text, total numeric, note text) SERVER bank;"
#define CURRENCIES                                                                                                     \
  STREAM "CREATE MATERIALIZED VIEW v AS SELECT account, currency, sum(amount) AS total, count(*) AS n FROM e"          \
         " GROUP BY account, currency; CREATE FOREIGN TABLE l (account text, currency text, total numeric, n int)"     \
         " SERVER bank;"
#define NUMBERS                                                                                                        \
  STREAM "CREATE MATERIALIZED VIEW v AS SELECT number, sum(free) AS total FROM e GROUP BY number;"                     \
         "CREATE FOREIGN TABLE l (number numeric, total numeric) SERVER bank;"
#define WHOLE                                                                                                          \
  STREAM "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, max(rate) AS rate FROM e;"                               \
         "CREATE FOREIGN TABLE l (n bigint, rate double precision) SERVER bank;"

static char folder[] = "/tmp/tally-test-comparison-XXXXXX";
static struct tly_arena arena;

static int make_folder(void **state) {
  (void)state;
  tly_arena_init(&arena);
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  tly_arena_free(&arena);
  return rmdir(folder); /* nothing is left in it */
}

/* The records of `csv`, whose header names the ledger's columns, sorted by key. */
static tly_ledger_rows *load(const struct tly_ledger_match *match, const char *csv) {
  const struct tly_ledger *ledger = match->ledger;
  struct tly_stream stream = {.name = "side", .format = TLY_FORMAT_CSV, .event_time = -1};
  struct tly_event_batch batch;
  tly_ledger_rows *rows;
  stream.column_count = ledger->column_count;
  stream.columns = TLY_ARENA_ARRAY(&arena, struct tly_stream_column, ledger->column_count);
  for (uint32_t i = 0; i < ledger->column_count; i++)
    stream.columns[i] = (struct tly_stream_column){
        .name = ledger->columns[i].name, .type = ledger->columns[i].type, .header = ledger->columns[i].name};
  tly_decoder *decoder = tly_decoder_new(&stream, TLY_FORMAT_CSV);
  tly_event_batch_init(&batch, &stream);
  CHECK_OK(tly_ledger_rows_open(match, folder, &rows, &test_error));
  for (size_t done = 0, size = strlen(csv); done < size;) {
    size_t consumed;
    uint64_t lines;
    CHECK_OK(tly_decoder_decode(decoder, csv + done, size - done, 0, &batch, &consumed, &lines, &test_error));
    if (batch.rejection_count > 0)
      fail_msg("rejected: %s", batch.rejections[0].message);
    CHECK_OK(tly_ledger_rows_add(rows, &batch, &test_error));
    done += consumed;
  }
  CHECK_OK(tly_ledger_rows_sort(rows, &test_error));
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  return rows;
}

/* Breaks as they were handed on: JSON objects with commas between, and the fingerprint of the last one. */
struct handed_on {
  struct tly_buffer rows;
  struct tly_hash fingerprint;
};

static enum tly_status take_break(void *context, const struct tly_break_record *record, struct tly_error *error) {
  struct handed_on *taken = context;
  (void)error;
  tly_buffer_append_text(&taken->rows, taken->rows.size > 0 ? ",{" : "{");
  tly_break_record_print(record, &taken->rows);
  tly_buffer_append_byte(&taken->rows, '}');
  taken->fingerprint = record->fingerprint;
  return TLY_OK;
}

/* The report as JSON, with `rows` as its break_rows. */
static json_t *report_json(const struct tly_ledger_report *report, const struct tly_buffer *rows) {
  struct tly_buffer text = {0};
  tly_ledger_report_print(report, &text);
  text.size--; /* its last brace */
  tly_buffer_append_text(&text, ",\"break_rows\":[");
  tly_buffer_append(&text, rows->data, rows->size);
  tly_buffer_append_text(&text, "]}");
  json_t *result = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
  if (result == NULL)
    fail_msg("not JSON: %s", tly_buffer_text(&text));
  tly_buffer_free(&text);
  return result;
}

static struct tly_hash last_fingerprint, last_ledger_hash; /* of compare */

/* The report on two sides that are given as CSV of the ledger's columns; the caller decrefs it. */
static json_t *compare(const char *definitions, const char *tolerance, const char *tally_csv, const char *ledger_csv) {
  struct tly_project *project = parse_project(definitions);
  struct tly_ledger_match match;
  struct tly_comparison comparison;
  struct tly_decimal amount;
  struct handed_on taken = {.rows = {0}};
  CHECK_OK(tly_ledger_match(&project->views[0], &project->ledgers[0], &arena, &match, &test_error));
  CHECK_OK(tly_decimal_parse(tolerance, strlen(tolerance), &arena, &amount, &test_error));
  tly_ledger_rows *tally = load(&match, tally_csv), *ledger = load(&match, ledger_csv);
  tly_comparison_init(&comparison, &match, (struct tly_break_sink){.add = take_break, .context = &taken});
  CHECK_OK(tly_ledger_compare(&comparison, amount, tly_ledger_rows_source(tally), tly_ledger_rows_source(ledger), NULL,
                              NULL, &test_error));
  struct tly_ledger_report report = {.match = &match, .tolerance = amount, .comparison = &comparison};
  json_t *result = report_json(&report, &taken.rows);
  last_fingerprint = taken.fingerprint;
  last_ledger_hash = tly_ledger_rows_hash(ledger);
  tly_buffer_free(&taken.rows);
  tly_comparison_free(&comparison);
  tly_ledger_rows_close(tally);
  tly_ledger_rows_close(ledger);
  tly_project_free(project);
  return result;
}

/* A member of the report is this JSON. */
static void assert_member(const json_t *report, const char *name, const char *wanted) {
  char *seen = json_dumps(json_object_get(report, name), JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
  if (seen == NULL || strcmp(seen, wanted) != 0)
    fail_msg("%s\nexpected: %s\n     got: %s", name, wanted, seen != NULL ? seen : "nothing");
  free(seen);
}

/* The kinds that there are, as "1 over, 2 short". */
static void assert_kinds(const json_t *report, const char *wanted) {
  struct tly_buffer seen = {0};
  const char *kind;
  json_t *count;
  json_object_foreach(json_object_get(report, "kinds"), kind, count) {
    if (json_integer_value(count) > 0)
      tly_buffer_print(&seen, "%s%d %s", seen.size > 0 ? ", " : "", (int)json_integer_value(count), kind);
  }
  assert_string_equal(tly_buffer_text(&seen), wanted);
  tly_buffer_free(&seen);
}

static void assert_counts(const json_t *report, const char *result, int keys, int matched, int tolerated, int breaks) {
  assert_string_equal(json_string_value(json_object_get(report, "result")), result);
  assert_int_equal(json_integer_value(json_object_get(report, "keys")), keys);
  assert_int_equal(json_integer_value(json_object_get(report, "matched")), matched);
  assert_int_equal(json_integer_value(json_object_get(report, "within_tolerance")), tolerated);
  assert_int_equal(json_integer_value(json_object_get(report, "breaks")), breaks);
}

/* ---- what agrees ------------------------------------------------------------------------------------------------- */

static void equal_sides_match_in_whatever_order_they_come(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "0", "account,total,note\nb,2,y\na,1.50,x\n,7,z\n",
                           "account,total,note\n,7.000,z\na,1.5,x\nb,2.0,y\n");
  assert_counts(report, "OK", 3, 3, 0, 0);
  assert_kinds(report, "");
  assert_member(report, "match_rate", "\"100.00\"");
  assert_member(report, "break_rows", "[]");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"tally\":\"10.50\",\"ledger\":\"10.500\",\"net\":\"0.000\","
                "\"gross\":\"0.000\",\"within_tolerance\":\"0\"}]");
  json_decref(report);
}

static void numbers_match_by_value_whatever_their_types(void **state) {
  (void)state;
  json_t *report = compare(NUMBERS, "0", "number,total\n1,0\n-3,12345678901234567890123456789012345678901234.5\n200,\n",
                           "number,total\n200.0,\n-3.00,12345678901234567890123456789012345678901234.50\n1,0.000\n");
  assert_counts(report, "OK", 3, 3, 0, 0);
  json_decref(report);
}

static void numeric_keys_sort_by_value_on_both_sides(void **state) {
  (void)state;
  json_t *report = compare(NUMBERS, "0", "number,total\n-300,1\n-4,1\n9,1\n10,1\n1000,1\n,1\n",
                           "number,total\n,1\n1000,1\n10.0,1\n9.5,1\n9,1\n-4,1\n-300,1\n");
  assert_counts(report, "BREAKS", 7, 6, 0, 1);
  assert_member(report, "break_rows",
                "[{\"break\":\"missing_in_tally\",\"key\":{\"number\":\"9.5\"},\"tally\":null,"
                "\"ledger\":{\"total\":\"1\"},\"difference\":{\"total\":\"-1\"}}]");
  json_decref(report);
}

static void nothing_agrees_with_nothing(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "0", "account,total,note\n", "account,total,note\n");
  assert_counts(report, "OK", 0, 0, 0, 0);
  assert_member(report, "totals", "[]");
  assert_member(report, "match_rate", "\"100.00\"");
  json_decref(report);
}

static void a_view_without_keys_is_compared_with_the_only_row(void **state) {
  (void)state;
  json_t *report = compare(WHOLE, "0", "n,rate\n5,0.1\n", "n,rate\n5,0.1\n");
  assert_counts(report, "OK", 1, 1, 0, 0);
  json_decref(report);
  report = compare(WHOLE, "0", "n,rate\n5,0.1\n", "n,rate\n5,0.1\n5,0.1\n");
  assert_kinds(report, "1 duplicate_in_ledger");
  assert_member(report, "break_rows",
                "[{\"break\":\"duplicate_in_ledger\",\"key\":{},\"tally\":{\"n\":5,\"rate\":0.1},"
                "\"ledger\":{\"n\":\"10\",\"rate\":null},\"difference\":{\"n\":\"-5\"},\"rows\":2}]");
  json_decref(report);
  report = compare(WHOLE, "0", "n,rate\n5,0.1\n", "n,rate\n5,0.30000000000000004\n");
  assert_kinds(report, "1 differs");
  json_decref(report);
}

/* ---- kinds of breaks --------------------------------------------------------------------------------------------- */

static void an_amount_is_over_or_short_with_the_exact_difference(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "0", "account,total,note\na,12.30,\nb,-5,\nc,0.000001,\n",
                           "account,total,note\na,12.00,\nb,5,\nc,0,\n");
  assert_counts(report, "BREAKS", 3, 0, 0, 3);
  assert_kinds(report, "2 over, 1 short");
  assert_member(report, "break_rows",
                "[{\"break\":\"over\",\"key\":{\"account\":\"a\"},\"tally\":{\"total\":\"12.30\"},"
                "\"ledger\":{\"total\":\"12.00\"},\"difference\":{\"total\":\"0.30\"}},"
                "{\"break\":\"short\",\"key\":{\"account\":\"b\"},\"tally\":{\"total\":\"-5\"},"
                "\"ledger\":{\"total\":\"5\"},\"difference\":{\"total\":\"-10\"}},"
                "{\"break\":\"over\",\"key\":{\"account\":\"c\"},\"tally\":{\"total\":\"0.000001\"},"
                "\"ledger\":{\"total\":\"0\"},\"difference\":{\"total\":\"0.000001\"}}]");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"tally\":\"7.300001\",\"ledger\":\"17.00\",\"net\":\"-9.699999\","
                "\"gross\":\"10.300001\",\"within_tolerance\":\"0\"}]");
  assert_member(report, "match_rate", "\"0.00\"");
  json_decref(report);
}

static void another_value_and_a_null_on_one_side_differ(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "1000", "account,total,note\na,1,x\nb,,x\nc,5,\nd,,\n",
                           "account,total,note\na,1,X\nb,0,x\nc,,\"\"\nd,,\n");
  assert_counts(report, "BREAKS", 4, 1, 0, 4);
  assert_kinds(report, "4 differs");
  assert_member(report, "break_rows",
                "[{\"break\":\"differs\",\"key\":{\"account\":\"a\"},\"tally\":{\"note\":\"x\"},"
                "\"ledger\":{\"note\":\"X\"},\"difference\":{}},"
                "{\"break\":\"differs\",\"key\":{\"account\":\"b\"},\"tally\":{\"total\":null},"
                "\"ledger\":{\"total\":\"0\"},\"difference\":{\"total\":\"0\"}},"
                "{\"break\":\"differs\",\"key\":{\"account\":\"c\"},\"tally\":{\"total\":\"5\"},"
                "\"ledger\":{\"total\":null},\"difference\":{\"total\":\"5\"}},"
                "{\"break\":\"differs\",\"key\":{\"account\":\"c\"},\"tally\":{\"note\":null},"
                "\"ledger\":{\"note\":\"\"},\"difference\":{}}]");
  json_decref(report);
}

static void a_key_of_one_side_is_missing_in_the_other(void **state) {
  (void)state;
  json_t *report =
      compare(ACCOUNTS, "1000", "account,total,note\na,1,x\nc,3,z\n", "account,total,note\nb,2,y\nc,3,z\nd,4.50,\n");
  assert_counts(report, "BREAKS", 4, 1, 0, 3);
  assert_kinds(report, "1 missing_in_ledger, 2 missing_in_tally");
  assert_member(report, "break_rows",
                "[{\"break\":\"missing_in_ledger\",\"key\":{\"account\":\"a\"},\"tally\":{\"total\":\"1\","
                "\"note\":\"x\"},\"ledger\":null,\"difference\":{\"total\":\"1\"}},"
                "{\"break\":\"missing_in_tally\",\"key\":{\"account\":\"b\"},\"tally\":null,\"ledger\":{"
                "\"total\":\"2\",\"note\":\"y\"},\"difference\":{\"total\":\"-2\"}},"
                "{\"break\":\"missing_in_tally\",\"key\":{\"account\":\"d\"},\"tally\":null,\"ledger\":{"
                "\"total\":\"4.50\",\"note\":null},\"difference\":{\"total\":\"-4.50\"}}]");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"tally\":\"4\",\"ledger\":\"9.50\",\"net\":\"-5.50\",\"gross\":\"7.50\","
                "\"within_tolerance\":\"0\"}]");
  json_decref(report);
}

static void a_side_that_is_empty_lacks_every_key(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "0", "account,total,note\n", "account,total,note\na,1,\nb,2,\n");
  assert_kinds(report, "2 missing_in_tally");
  json_decref(report);
  report = compare(ACCOUNTS, "0", "account,total,note\na,1,\nb,2,\n", "account,total,note\n");
  assert_kinds(report, "2 missing_in_ledger");
  json_decref(report);
}

static void a_key_that_the_ledger_has_twice_is_matched_with_nothing(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "1000", "account,total,note\na,3,x\nb,1,y\n",
                           "account,total,note\nc,1,\na,1,x\nb,1,y\na,2,x\nc,1,\nc,,\n");
  assert_counts(report, "BREAKS", 3, 1, 0, 2);
  assert_kinds(report, "2 duplicate_in_ledger");
  assert_member(report, "ledger_rows", "6");
  assert_member(report, "break_rows",
                "[{\"break\":\"duplicate_in_ledger\",\"key\":{\"account\":\"a\"},\"tally\":{\"total\":\"3\","
                "\"note\":\"x\"},\"ledger\":{\"total\":\"3\",\"note\":null},\"difference\":{\"total\":\"0\"},"
                "\"rows\":2},"
                "{\"break\":\"duplicate_in_ledger\",\"key\":{\"account\":\"c\"},\"tally\":null,\"ledger\":{"
                "\"total\":\"2\",\"note\":null},\"difference\":{\"total\":\"-2\"},\"rows\":3}]");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"tally\":\"4\",\"ledger\":\"6\",\"net\":\"-2\",\"gross\":\"2\","
                "\"within_tolerance\":\"0\"}]");
  json_decref(report);
}

/* ---- tolerance --------------------------------------------------------------------------------------------------- */

static void a_difference_up_to_the_tolerance_is_counted_and_valued_but_no_break(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "0.05", "account,total,note\na,1.05,\nb,0.95,\nc,1.051,\nd,0.949,\ne,1,\n",
                           "account,total,note\na,1,\nb,1,\nc,1,\nd,1,\ne,1,\n");
  assert_counts(report, "BREAKS", 5, 1, 2, 2);
  assert_kinds(report, "1 over, 1 short");
  assert_member(report, "match_rate", "\"60.00\"");
  assert_member(report, "tolerance", "\"0.05\"");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"tally\":\"5.000\",\"ledger\":\"5\",\"net\":\"0.000\",\"gross\":\"0.202\","
                "\"within_tolerance\":\"0.10\"}]");
  json_decref(report);
}

static void a_key_whose_other_column_breaks_is_broken_though_one_is_tolerated(void **state) {
  (void)state;
  json_t *report = compare(ACCOUNTS, "1", "account,total,note\na,1,x\n", "account,total,note\na,2,y\n");
  assert_counts(report, "BREAKS", 1, 0, 0, 1);
  assert_member(report, "broken", "1");
  assert_kinds(report, "1 differs");
  json_decref(report);
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

static void amounts_of_different_currencies_are_never_added_up(void **state) {
  (void)state;
  json_t *report = compare(CURRENCIES, "0", "account,currency,total,n\na,EUR,10,1\na,USD,5.5,2\nb,EUR,1,1\nc,,2,1\n",
                           "account,currency,total,n\na,EUR,10,1\na,GBP,5.5,2\nb,EUR,0.25,1\nc,,2,1\n");
  assert_kinds(report, "1 over, 1 missing_in_ledger, 1 missing_in_tally");
  assert_member(report, "totals",
                "[{\"column\":\"total\",\"currency\":\"EUR\",\"tally\":\"11\",\"ledger\":\"10.25\",\"net\":\"0.75\","
                "\"gross\":\"0.75\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"n\",\"currency\":\"EUR\",\"tally\":\"2\",\"ledger\":\"2\",\"net\":\"0\","
                "\"gross\":\"0\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"total\",\"currency\":\"GBP\",\"tally\":\"0\",\"ledger\":\"5.5\",\"net\":\"-5.5\","
                "\"gross\":\"5.5\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"n\",\"currency\":\"GBP\",\"tally\":\"0\",\"ledger\":\"2\",\"net\":\"-2\","
                "\"gross\":\"2\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"total\",\"currency\":\"USD\",\"tally\":\"5.5\",\"ledger\":\"0\",\"net\":\"5.5\","
                "\"gross\":\"5.5\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"n\",\"currency\":\"USD\",\"tally\":\"2\",\"ledger\":\"0\",\"net\":\"2\","
                "\"gross\":\"2\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"total\",\"currency\":null,\"tally\":\"2\",\"ledger\":\"2\",\"net\":\"0\","
                "\"gross\":\"0\",\"within_tolerance\":\"0\"},"
                "{\"column\":\"n\",\"currency\":null,\"tally\":\"1\",\"ledger\":\"1\",\"net\":\"0\","
                "\"gross\":\"0\",\"within_tolerance\":\"0\"}]");
  json_decref(report);
}

static void currencies_beyond_the_bound_share_their_totals(void **state) {
  (void)state;
  struct tly_buffer csv = {0};
  tly_buffer_append_text(&csv, "account,currency,total,n\n");
  for (int i = 0; i < TLY_CURRENCIES_MAX + 10; i++)
    tly_buffer_print(&csv, "a,C%04d,1,1\n", i);
  json_t *report = compare(CURRENCIES, "0", tly_buffer_text(&csv), tly_buffer_text(&csv));
  const json_t *totals = json_object_get(report, "totals");
  assert_int_equal(json_array_size(totals), 2 * (TLY_CURRENCIES_MAX + 1));
  const json_t *last = json_array_get(totals, 2 * TLY_CURRENCIES_MAX);
  assert_member(last, "currency", "\"(others)\"");
  assert_member(last, "tally", "\"10\"");
  tly_buffer_free(&csv);
  json_decref(report);
}

static void wide_sums_are_exact(void **state) {
  (void)state;
  struct tly_buffer csv = {0};
  tly_buffer_append_text(&csv, "number,total\n");
  for (int i = 0; i < 1000; i++)
    tly_buffer_print(&csv, "%d,1000000000000000000000000000000000000000000000000000000000000.000%d\n", i, i % 10);
  json_t *report = compare(NUMBERS, "0", tly_buffer_text(&csv), "number,total\n0,1\n0,2\n");
  const json_t *total = json_array_get(json_object_get(report, "totals"), 0);
  assert_member(total, "tally", "\"1000000000000000000000000000000000000000000000000000000000000000.4500\"");
  assert_member(total, "net", "\"999999999999999999999999999999999999999999999999999999999999997.4500\"");
  assert_member(total, "gross", "\"999999999999999999999999999999999999999999999999999999999999997.4500\"");
  tly_buffer_free(&csv);
  json_decref(report);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static void all_breaks_are_counted_and_the_first_are_handed_on(void **state) {
  (void)state;
  enum { KEYS = TLY_BREAKS_KEPT_MAX + 3 };
  struct tly_buffer csv = {0};
  tly_buffer_append_text(&csv, "number,total\n");
  for (int i = KEYS - 1; i >= 0; i--)
    tly_buffer_print(&csv, "%d,1\n", i);
  json_t *report = compare(NUMBERS, "0", tly_buffer_text(&csv), "number,total\n0,1\n");
  assert_counts(report, "BREAKS", KEYS, 1, 0, KEYS - 1);
  assert_int_equal(json_integer_value(json_object_get(report, "kept")), TLY_BREAKS_KEPT_MAX);
  const json_t *rows = json_object_get(report, "break_rows");
  assert_int_equal(json_array_size(rows), TLY_BREAKS_KEPT_MAX);
  assert_member(json_array_get(rows, 0), "key", "{\"number\":\"1\"}");
  assert_member(json_array_get(rows, TLY_BREAKS_KEPT_MAX - 1), "key", "{\"number\":\"100000\"}");
  assert_member(report, "match_rate", "\"0.00\"");
  tly_buffer_free(&csv);
  json_decref(report);
}

static void large_breaks_are_handed_on_up_to_a_size_and_without_a_gap(void **state) {
  (void)state;
  enum { KEYS = 80, KEY_BYTES = 1000000, FIT = TLY_BREAKS_KEPT_BYTES / KEY_BYTES };
  struct tly_buffer csv = {0};
  tly_buffer_append_text(&csv, "account,total,note\n");
  for (int i = 0; i < KEYS; i++)
    tly_buffer_print(&csv, "%02d%0*d,1,\n", i, i < KEYS - 1 ? KEY_BYTES : 1, 7);
  json_t *report = compare(ACCOUNTS, "0", tly_buffer_text(&csv), "account,total,note\n");
  assert_counts(report, "BREAKS", KEYS, 0, 0, KEYS);
  assert_int_equal(json_integer_value(json_object_get(report, "kept")), FIT);
  assert_int_equal(json_array_size(json_object_get(report, "break_rows")), FIT);
  tly_buffer_free(&csv);
  json_decref(report);
}

/* ---- what says that something is as it was ----------------------------------------------------------------------- */

static struct tly_hash fingerprint_of(const char *tally_csv, const char *ledger_csv) {
  json_decref(compare(ACCOUNTS, "0", tally_csv, ledger_csv));
  return last_fingerprint;
}

static void assert_same(struct tly_hash a, struct tly_hash b, bool is_same) {
  assert_int_equal(memcmp(&a, &b, sizeof a) == 0, is_same);
}

static void equal_differences_have_equal_fingerprints_and_others_have_not(void **state) {
  (void)state;
  struct tly_hash short_by_half = fingerprint_of("account,total,note\na,1,x\n", "account,total,note\na,1.5,x\n");
  assert_same(short_by_half, fingerprint_of("account,total,note\na,7.00,x\n", "account,total,note\na,7.50,x\n"), true);
  assert_same(short_by_half, fingerprint_of("account,total,note\na,7.00,x\n", "account,total,note\na,7.51,x\n"), false);
  struct tly_hash x_for_y = fingerprint_of("account,total,note\na,1,x\n", "account,total,note\na,1,y\n");
  assert_same(x_for_y, fingerprint_of("account,total,note\na,2,x\n", "account,total,note\na,2,y\n"), true);
  assert_same(x_for_y, fingerprint_of("account,total,note\na,1,y\n", "account,total,note\na,1,x\n"), false);
  assert_same(x_for_y, fingerprint_of("account,total,note\na,1,x\n", "account,total,note\na,1,\n"), false);
}

static struct tly_hash ledger_hash_of(const char *ledger_csv) {
  json_decref(compare(ACCOUNTS, "0", "account,total,note\n", ledger_csv));
  return last_ledger_hash;
}

static void equal_ledgers_have_equal_hashes_in_whatever_order_they_come(void **state) {
  (void)state;
  struct tly_hash hash = ledger_hash_of("account,total,note\na,1,x\nb,2,\nb,3,z\n");
  assert_same(hash, ledger_hash_of("account,total,note\nb,3,z\na,1,x\nb,2,\n"), true);
  assert_same(hash, ledger_hash_of("account,total,note\na,1,x\nb,2,\nb,3,y\n"), false);
  assert_same(hash, ledger_hash_of("account,total,note\na,1,x\nb,2,\n"), false);
  assert_same(hash, ledger_hash_of("account,total,note\na,1,x\nb,2,\"\"\nb,3,z\n"), false);
}

/* ---- and more ---------------------------------------------------------------------------------------------------- */

static void more_rows_than_the_sorter_holds_come_back_sorted(void **state) {
  (void)state;
  enum { ROWS = 300000, STEP = 7919 };
  struct tly_buffer tally = {0}, ledger = {0};
  tly_buffer_append_text(&tally, "number,total\n");
  tly_buffer_append_text(&ledger, "number,total\n");
  for (int i = 0; i < ROWS; i++) {
    int number = (int)((int64_t)i * STEP % ROWS);
    tly_buffer_print(&tally, "%d,%d.50000000000000000000\n", number, number);
    tly_buffer_print(&ledger, "%d,%d.5%s\n", ROWS - 1 - number, ROWS - 1 - number, number == 17 ? "1" : "");
  }
  json_t *report = compare(NUMBERS, "0", tly_buffer_text(&tally), tly_buffer_text(&ledger));
  assert_counts(report, "BREAKS", ROWS, ROWS - 1, 0, 1);
  tly_buffer_free(&tally);
  tly_buffer_free(&ledger);
  json_decref(report);
}

/* ---- what is not whole ------------------------------------------------------------------------------------------- */

static enum tly_status fail_to_read(void *context, const struct tly_keyed_row **out, struct tly_error *error) {
  (void)context;
  *out = NULL;
  return TLY_FAIL(error, TLY_E_CONNECTION, "the line \"broke\"");
}

static void a_side_that_cannot_be_read_makes_it_incomplete_and_never_ok(void **state) {
  (void)state;
  struct tly_project *project = parse_project(ACCOUNTS);
  struct tly_ledger_match match;
  struct tly_comparison comparison;
  struct tly_error why = TLY_ERROR_NONE;
  struct tly_buffer text = {0};
  CHECK_OK(tly_ledger_match(&project->views[0], &project->ledgers[0], &arena, &match, &test_error));
  tly_ledger_rows *tally = load(&match, "account,total,note\n");
  tly_comparison_init(&comparison, &match, (struct tly_break_sink){.add = NULL});
  struct tly_keyed_source broken = {.next = fail_to_read};
  assert_int_equal(tly_ledger_compare(&comparison, tly_decimal_of_i64(0, 0), tly_ledger_rows_source(tally), broken,
                                      NULL, NULL, &why),
                   TLY_E_CONNECTION);
  struct tly_ledger_report report = {.match = &match, .why = &why};
  tly_ledger_report_print(&report, &text);
  assert_string_equal(tly_buffer_text(&text),
                      "{\"view\":\"v\",\"against\":\"l\",\"result\":\"INCOMPLETE\",\"reason\":{\"sqlstate\":\"08006\","
                      "\"message\":\"the line \\\"broke\\\"\"},\"key\":[\"account\"],\"compared\":[\"total\",\"note\"],"
                      "\"only_in_view\":[],\"only_in_ledger\":[],\"tolerance\":\"0\",\"as_of\":{\"tally\":null,"
                      "\"ledger\":null}}");
  tly_buffer_free(&text);
  tly_comparison_free(&comparison);
  tly_ledger_rows_close(tally);
  tly_project_free(project);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_sides_match_in_whatever_order_they_come),
      cmocka_unit_test(numbers_match_by_value_whatever_their_types),
      cmocka_unit_test(numeric_keys_sort_by_value_on_both_sides),
      cmocka_unit_test(nothing_agrees_with_nothing),
      cmocka_unit_test(a_view_without_keys_is_compared_with_the_only_row),
      cmocka_unit_test(an_amount_is_over_or_short_with_the_exact_difference),
      cmocka_unit_test(another_value_and_a_null_on_one_side_differ),
      cmocka_unit_test(a_key_of_one_side_is_missing_in_the_other),
      cmocka_unit_test(a_side_that_is_empty_lacks_every_key),
      cmocka_unit_test(a_key_that_the_ledger_has_twice_is_matched_with_nothing),
      cmocka_unit_test(a_difference_up_to_the_tolerance_is_counted_and_valued_but_no_break),
      cmocka_unit_test(a_key_whose_other_column_breaks_is_broken_though_one_is_tolerated),
      cmocka_unit_test(amounts_of_different_currencies_are_never_added_up),
      cmocka_unit_test(currencies_beyond_the_bound_share_their_totals),
      cmocka_unit_test(wide_sums_are_exact),
      cmocka_unit_test(all_breaks_are_counted_and_the_first_are_handed_on),
      cmocka_unit_test(large_breaks_are_handed_on_up_to_a_size_and_without_a_gap),
      cmocka_unit_test(equal_differences_have_equal_fingerprints_and_others_have_not),
      cmocka_unit_test(equal_ledgers_have_equal_hashes_in_whatever_order_they_come),
      cmocka_unit_test(more_rows_than_the_sorter_holds_come_back_sorted),
      cmocka_unit_test(a_side_that_cannot_be_read_makes_it_incomplete_and_never_ok),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
