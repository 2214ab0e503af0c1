/* tests/batch_layer/test_break_file.c -- what is handed over comes as it was given, or not at all. */
#include "tests/common/store/view_fixture.h"

#include <unistd.h>

#include "batch_layer/break_file.h"

static char folder[] = "/tmp/tally-test-breaks-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  tly_break_file_remove(folder);
  tly_break_file_remove(folder); /* not there: fine */
  return rmdir(folder);
}

static struct tly_break_record record_of(const char *key) {
  return (struct tly_break_record){.kind = TLY_BREAK_DUPLICATE_IN_LEDGER,
                                   .column = tly_text_of(""),
                                   .key = tly_text_of(key),
                                   .tally = tly_text_of("null"),
                                   .ledger = tly_text_of("{\"n\":1}"),
                                   .difference = tly_text_of("{\"n\":\"-1\"}"),
                                   .ledger_rows = 7,
                                   .fingerprint = {.bytes = {1, 2, 3}}};
}

static void write_records(int count, const char *key) {
  tly_break_writer *writer;
  struct tly_break_record record = record_of(key);
  CHECK_OK(tly_break_writer_open(folder, &writer, &test_error));
  for (int i = 0; i < count; i++)
    CHECK_OK(tly_break_writer_add(writer, &record, &test_error));
  CHECK_OK(tly_break_writer_flush(writer, &test_error));
  tly_break_writer_close(writer);
}

/* How many records come, and how it ends. */
static int read_records(const char *key, enum tly_status *end) {
  tly_break_source *source;
  struct tly_break_record record;
  bool found = true;
  int count = 0;
  CHECK_OK(tly_break_source_open(folder, &source, &test_error));
  while ((*end = tly_break_source_next(source, &record, &found, &test_error)) == TLY_OK && found) {
    assert_int_equal(record.key.size, strlen(key));
    assert_memory_equal(record.key.data, key, record.key.size);
    assert_int_equal(record.column.size, 0);
    assert_int_equal(record.ledger_rows, 7);
    assert_int_equal(record.fingerprint.bytes[2], 3);
    count++;
  }
  tly_break_source_close(source);
  return count;
}

static void records_come_back_as_they_were_added(void **state) {
  (void)state;
  enum tly_status end;
  struct tly_break_record record = record_of("{\"k\":\"\\u0000\"}");
  struct tly_buffer text = {0};
  write_records(20000, "{\"k\":5}");
  assert_int_equal(read_records("{\"k\":5}", &end), 20000);
  assert_int_equal(end, TLY_OK);
  write_records(0, ""); /* anew */
  assert_int_equal(read_records("", &end), 0);
  assert_int_equal(end, TLY_OK);
  tly_break_record_print(&record, &text);
  assert_string_equal(tly_buffer_text(&text),
                      "\"break\":\"duplicate_in_ledger\",\"key\":{\"k\":\"\\u0000\"},\"tally\":null,"
                      "\"ledger\":{\"n\":1},\"difference\":{\"n\":\"-1\"},\"rows\":7");
  tly_buffer_free(&text);
}

static void a_record_larger_than_what_is_read_at_once_comes_back(void **state) {
  (void)state;
  enum { BYTES = 1 << 20 };
  enum tly_status end;
  char *key = malloc(BYTES + 1);
  memset(key, 'x', BYTES);
  key[BYTES] = '\0';
  write_records(3, key);
  assert_int_equal(read_records(key, &end), 3);
  assert_int_equal(end, TLY_OK);
  free(key);
}

static void half_a_record_and_nonsense_are_found(void **state) {
  (void)state;
  char path[300];
  struct tly_buffer bytes = {0};
  enum tly_status end;
  snprintf(path, sizeof path, "%s/breaks.tmp", folder);
  write_records(2, "{}");
  CHECK_OK(tly_file_read(path, 1 << 20, &bytes, &test_error));
  for (size_t size = 1; size < bytes.size; size++) {
    CHECK_OK(tly_file_replace(path, bytes.data, size, &test_error));
    int count = read_records("{}", &end);
    assert_int_equal(count, size < bytes.size / 2 ? 0 : 1);
    assert_int_equal(end, size == bytes.size / 2 ? TLY_OK : TLY_E_CORRUPT);
  }
  bytes.data[4] = TLY_BREAK_KIND_COUNT;
  CHECK_OK(tly_file_replace(path, bytes.data, bytes.size, &test_error));
  assert_int_equal(read_records("{}", &end), 0);
  assert_int_equal(end, TLY_E_CORRUPT);
  tly_buffer_free(&bytes);
}

static void a_file_that_is_not_there_is_an_error(void **state) {
  (void)state;
  tly_break_source *source;
  tly_break_file_remove(folder);
  assert_int_equal(tly_break_source_open(folder, &source, &test_error), TLY_E_IO);
  assert_null(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_come_back_as_they_were_added),
      cmocka_unit_test(a_record_larger_than_what_is_read_at_once_comes_back),
      cmocka_unit_test(half_a_record_and_nonsense_are_found),
      cmocka_unit_test(a_file_that_is_not_there_is_an_error),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
