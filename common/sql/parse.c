/* The only file that includes pg_query.h.
 *
 * libpg_query 15 is PostgreSQL's grammar taken out of the server. What the server would have done around it is done
 * here, and four things it gets wrong are kept from everybody else:
 *
 *   (1) Text that is not UTF-8 passes the parser and breaks the JSON it writes: it is checked first (22021).
 *   (2) Its recursion has no guard in this version: `1+1+1...` of 120 KB overruns an 8 MB stack. So a statement has at
 *       most 64 KiB, and it is parsed in a thread whose stack we chose. A short text, which cannot nest deeply, is
 * parsed where it is when enough stack is left: a new thread costs as much as parsing it. (3) jansson reads at most
 * 2048 levels. A deeper tree is reported as what it is: a statement too complex (54001). (4) The JSON writer loses
 * negative integers: -5 is written as {"ival":{}}, like 0. node.c reads the digits again from the source text, at the
 * location of the constant.
 *
 * pg_query_normalize is never called (it writes past its buffer in this version), nor the protobuf form (its unpacking
 * needs five times the stack).
 *
 * Positions: the parser reports errors in characters from 1 and puts bytes from 0 into the tree. From here on
 * everything is bytes; position.h turns them into characters for people. */
#include "common/sql/parse.h"

#include <jansson.h>
#include <pg_query.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/sql/position.h"
#include "common/value/text.h"

/* Bytes of stack left to this thread. Asking the system is slow (for the main thread it reads /proc), so a thread asks
 * once. */
static size_t stack_left(void) {
  static _Thread_local uintptr_t lowest;
  if (lowest == 0) {
    pthread_attr_t attributes;
    void *base = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
      return 0;
    int failed = pthread_attr_getstack(&attributes, &base, &size);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
      return 0;
    lowest = (uintptr_t)base;
  }
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  return here > lowest ? here - lowest : 0;
}

struct stack_job {
  void (*work)(void *argument);
  void *argument;
};

static void *stack_main(void *argument) {
  const struct stack_job *job = argument;
  job->work(job->argument);
  return NULL;
}

enum tly_status tly_sql_on_large_stack(size_t text_size, void (*work)(void *argument), void *argument,
                                       struct tly_error *error) {
  struct stack_job job = {work, argument};
  if (text_size <= TLY_SQL_SHORT_BYTES && stack_left() >= TLY_SQL_SHORT_STACK_BYTES) {
    work(argument);
    return TLY_OK;
  }
  pthread_t thread;
  pthread_attr_t attributes;
  int failed = pthread_attr_init(&attributes);
  TLY_ASSERT(failed == 0);
  failed = pthread_attr_setstacksize(&attributes, TLY_SQL_STACK_BYTES);
  TLY_ASSERT(failed == 0);
  failed = pthread_create(&thread, &attributes, stack_main, &job);
  pthread_attr_destroy(&attributes);
  if (failed != 0)
    return TLY_FAIL(error, TLY_E_NO_MEMORY, "no thread for parsing: %s", strerror(failed));
  failed = pthread_join(thread, NULL);
  TLY_ASSERT(failed == 0);
  return TLY_OK;
}

/* The parser gives words without a SQLSTATE. All but these are 42601. */
static enum tly_status status_of_words(const char *message) {
  if (strstr(message, "not implemented") != NULL || strstr(message, "not yet implemented") != NULL)
    return TLY_E_NOT_SUPPORTED;
  if (strstr(message, "memory exhausted") != NULL || strstr(message, "stack depth") != NULL)
    return TLY_E_TOO_COMPLEX;
  return TLY_E_SYNTAX;
}

static enum tly_status parser_failure(const char *sql, size_t size, const PgQueryError *failure, uint32_t *error_offset,
                                      struct tly_error *error) {
  if (failure->cursorpos > 0)
    *error_offset = tly_position_to_offset(sql, size, (uint32_t)failure->cursorpos);
  enum tly_status status = status_of_words(failure->message);
  if (status == TLY_E_TOO_COMPLEX)
    return TLY_FAIL(error, status, "statement too complex");
  return TLY_FAIL(error, status, "%s", failure->message);
}

static enum tly_status check_text(const char *sql, size_t size, struct tly_error *error) {
  if (size > TLY_SQL_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "a statement of %zu bytes: at most %d are read", size, TLY_SQL_BYTES_MAX);
  if (!tly_text_is_valid(sql, size))
    return TLY_FAIL(error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\" in SQL text");
  return TLY_OK;
}

static char *terminated_copy(const char *sql, size_t size) {
  char *copy = tly_malloc(size + 1);
  memcpy(copy, sql, size);
  copy[size] = '\0';
  return copy;
}

enum tly_status tly_sql_parse(const char *sql, size_t size, struct json_t **out, uint32_t *error_offset,
                              struct tly_error *error) {
  *out = NULL;
  *error_offset = UINT32_MAX;
  TLY_TRY(check_text(sql, size, error));
  char *copy = terminated_copy(sql, size);
  PgQueryParseResult result = pg_query_parse(copy);
  enum tly_status status = TLY_OK;
  if (result.error != NULL) {
    status = parser_failure(sql, size, result.error, error_offset, error);
  } else {
    *out = json_loads(result.parse_tree, 0, NULL);
    if (*out == NULL)
      status = TLY_FAIL(error, TLY_E_TOO_COMPLEX, "statement too complex");
  }
  pg_query_free_parse_result(result);
  tly_free(copy);
  return status;
}

void tly_sql_tree_free(struct json_t *tree) {
  json_decref(tree);
}
