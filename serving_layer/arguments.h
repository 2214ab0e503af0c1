/* serving_layer/arguments.h -- the "args" of a query as values of the parameters' types.
 *
 * Path of an answer: request -> [arguments] -> plan.
 * Thread: pure. */
#ifndef TLY_SERVING_ARGUMENTS_H
#define TLY_SERVING_ARGUMENTS_H

#include <jansson.h>

#include "common/sql/typed_tree.h"

/* `args` is a JSON array, or NULL for none; *out has statement->parameter_count values in `arena`. Texts go through the
 * type's input function; numbers and booleans through their text. A wrong count is 08P01, as PostgreSQL's. */
TLY_CHECK enum tly_status tly_arguments_read(const json_t *args, const struct tly_statement *statement,
                                             struct tly_arena *arena, struct tly_value **out, struct tly_error *error);

#endif
