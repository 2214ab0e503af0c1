/* A place by the text's hash: another statement of the same place takes it. So what is held is bounded without a list
 * of what was used when, and two statements in turn at one place cost what they did before. */
#include "serving_layer/statements.h"

#include <string.h>

#include "common/base/memory.h"

enum { PLACES = 32, TEXT_BYTES_MAX = 8 << 10 }; /* longer texts are not held */

struct known {
  char *sql; /* NULL: the place is empty */
  size_t size;
  struct tly_arena arena;
  struct tly_statement *statement;
};

struct tly_statements {
  const struct tly_project *project;
  struct known places[PLACES];
  struct known passing; /* a long one */
};

tly_statements *tly_statements_new(const struct tly_project *project) {
  tly_statements *statements = tly_calloc(1, sizeof *statements);
  statements->project = project;
  return statements;
}

static void forget(struct known *known) {
  if (known->sql == NULL)
    return;
  tly_arena_free(&known->arena);
  tly_free(known->sql);
  *known = (struct known){.sql = NULL};
}

void tly_statements_clear(tly_statements *statements) {
  for (uint32_t i = 0; i < PLACES; i++)
    forget(&statements->places[i]);
  forget(&statements->passing);
}

void tly_statements_free(tly_statements *statements) {
  tly_statements_clear(statements);
  tly_free(statements);
}

static struct known *place_of(tly_statements *statements, const char *sql, size_t size) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
  if (size > TEXT_BYTES_MAX)
    return &statements->passing;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ (uint8_t)sql[i]) * UINT64_C(0x100000001b3);
  return &statements->places[(hash ^ hash >> 32) % PLACES];
}

enum tly_status tly_statements_get(tly_statements *statements, const char *sql, size_t size,
                                   const struct tly_statement **out, struct tly_error *error) {
  struct known *known = place_of(statements, sql, size);
  if (known->sql != NULL && known->size == size && memcmp(known->sql, sql, size) == 0) {
    *out = known->statement;
    return TLY_OK;
  }
  forget(known);
  tly_arena_init(&known->arena);
  known->sql = memcpy(tly_malloc(size + 1), sql, size);
  known->size = size;
  enum tly_status status = tly_query_parse(statements->project, sql, size, &known->arena, &known->statement, error);
  if (status != TLY_OK)
    forget(known);
  else
    *out = known->statement;
  return status;
}
