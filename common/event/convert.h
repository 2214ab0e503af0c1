/* common/event/convert.h -- one text, number or truth value of an event into one column's array.
 *
 * Path of an event: decode_json, decode_csv, learned_layout -> [convert] -> batch writer's arrays.
 * What a column type takes:
 *   boolean               true, false; from CSV also what PostgreSQL's boolean input takes
 *   integers              a number, or a text that spells one, without a fraction (12.0 and 1e2 have none)
 *   numeric(p,s)          the same, digits beyond s must be zeros. Exact: decimal text, never through a double
 *   double precision      the same, rounded once to the nearest double; out of range is refused; -0 is 0
 *   text, varchar(n)      a text
 *   date, timestamp[tz]   a text in ISO form (RFC 3339 is one); a number when the column has an epoch unit
 *   uuid                  a text in one of PostgreSQL's forms
 * The work on a number is bounded by its text, whatever its exponent says.
 * Thread: pure. */
#ifndef TLY_EVENT_CONVERT_H
#define TLY_EVENT_CONVERT_H

#include "common/event/batch_writer.h"

enum tly_text_source { TLY_TEXT_OF_JSON, TLY_TEXT_OF_CSV };

/* Each writes target's array at `row`; on failure nothing is written, and *error has the column's name. Values may
 * point into `text`, which has to live as long as the batch. */
TLY_CHECK enum tly_status tly_convert_text(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                           enum tly_text_source source, struct tly_arena *arena,
                                           struct tly_error *error);
/* `number` is in JSON's grammar. */
TLY_CHECK enum tly_status tly_convert_number(struct tly_column_target *target, uint32_t row, struct tly_text number,
                                             struct tly_arena *arena, struct tly_error *error);
TLY_CHECK enum tly_status tly_convert_boolean(struct tly_column_target *target, uint32_t row, bool value,
                                              struct tly_error *error);
/* 23502 when the column is NOT NULL; `what` is how the event says it ("null"). */
TLY_CHECK enum tly_status tly_convert_null(struct tly_column_target *target, uint32_t row, const char *what,
                                           struct tly_error *error);
/* 42804: the event has `what` ("an object") where the column's value should stand. */
enum tly_status tly_convert_refuse(const struct tly_stream_column *column, const char *what, struct tly_error *error);

/* At most this many bytes of `text`, ending in a whole character: for words that quote an event. */
int tly_convert_quoted_size(struct tly_text text);

#endif
