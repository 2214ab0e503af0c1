/* common/sql/parse.h -- SQL text into PostgreSQL's own parse tree, by libpg_query, behind every guard it needs.
 *
 * Path of an event: definitions and queries -> [parse] -> node.h -> resolve -> typed tree.
 * Thread: any, but parse on a large stack (tly_sql_on_large_stack): neither the grammar nor the tree's writer and
 * reader guard their recursion. */
#ifndef TLY_SQL_PARSE_H
#define TLY_SQL_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct json_t;

/* Run work(argument) to its end with stack enough for any SQL text of `text_size` bytes: in a thread of its own with an
 * 8 MB stack, or here when the text is short and there is enough left. Fails only when there is no thread to have. */
TLY_CHECK enum tly_status tly_sql_on_large_stack(size_t text_size, void (*work)(void *argument), void *argument,
                                                 struct tly_error *error);

/* The parse tree of `sql` as jansson's tree: an object whose member "stmts" lists the statements. The caller owns *out
 * (tly_sql_tree_free). On failure *error_offset is the byte the error stands at, or UINT32_MAX. Refused: more than
 * TLY_SQL_BYTES_MAX (54000), invalid UTF-8 and NUL (22021), syntax (42601), deeper nesting than 2048 levels of JSON,
 * which is about a thousand nested expressions (54001). Every location in the tree is a byte offset in `sql`. */
TLY_CHECK enum tly_status tly_sql_parse(const char *sql, size_t size, struct json_t **out, uint32_t *error_offset,
                                        struct tly_error *error);
void tly_sql_tree_free(struct json_t *tree);

#endif
