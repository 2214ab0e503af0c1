/* serving_layer/statements.h -- the statements that were asked last, parsed: most clients ask the same ones again.
 *
 * Path of a request: pool -> work -> [statements] -> plan. Parsing is about half the work of a small query.
 * Thread: as its worker. */
#ifndef TLY_SERVING_STATEMENTS_H
#define TLY_SERVING_STATEMENTS_H

#include "common/sql/project.h"

typedef struct tly_statements tly_statements;

/* `project` is borrowed. */
tly_statements *tly_statements_new(const struct tly_project *project);
void tly_statements_free(tly_statements *statements);
/* Forget all of them: for a thread that goes idle. */
void tly_statements_clear(tly_statements *statements);
/* As tly_query_parse; the statement is valid until the next call. */
TLY_CHECK enum tly_status tly_statements_get(tly_statements *statements, const char *sql, size_t size,
                                             const struct tly_statement **out, struct tly_error *error);

#endif
