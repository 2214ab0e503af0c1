/* serving_layer/forms.h -- values as SQLite holds them while it joins, groups and sorts.
 *
 * Path of an answer: merge -> finish -> [forms] -> SQLite -> [forms] -> encode. Each type has one form whose native
 * order is PostgreSQL's, so SQLite may compare what the plan lets it compare: boolean, integers, date, timestamps
 * INTEGER double precision                      REAL, finite, never -0 text, varchar                         TEXT,
 * bytes (C.UTF-8 order) uuid                                  BLOB(16) numeric                               BLOB:
 * ordered decimal (decimal.h), then two bytes of display scale, big endian Two numerics that are equal differ at most
 * in those last two bytes: tly_key() takes them off for every comparison of numerics whose scales are not proven equal.
 * Thread: pure. */
#ifndef TLY_SERVING_FORMS_H
#define TLY_SERVING_FORMS_H

#include <sqlite3.h>

#include "common/value/value.h"

enum { TLY_FORM_SCALE_BYTES = 2 };

/* Read `from` as a value of `type`. Text borrows from `from` (valid until it changes), decimals live in `arena`. A form
 * that does not belong to the type is TLY_E_INTERNAL. */
TLY_CHECK enum tly_status tly_form_read(sqlite3_value *from, struct tly_type type, struct tly_arena *arena,
                                        struct tly_value *out, struct tly_error *error);
/* Give `value` as the result of a function or a column. An interval has no form: the statement fails. */
void tly_form_result(sqlite3_context *context, const struct tly_value *value);
/* Bind `value`; the SQLite code is returned: SQLITE_MISMATCH for an interval. */
int tly_form_bind(sqlite3_stmt *statement, int index, const struct tly_value *value);

/* May SQLite compare values of a and b directly? Numerics only when both scales are proven and equal. */
bool tly_form_is_comparable(struct tly_type a, struct tly_type b);
/* Do equal values of `type` always have equal bytes? Everything but numerics of unproven scale. */
bool tly_form_is_canonical(struct tly_type type);

#endif
