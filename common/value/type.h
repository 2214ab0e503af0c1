/* common/value/type.h -- the SQL types, and which form a type's values have in memory.
 *
 * Path of an event: decode -> [typed values] -> archive columns -> evaluate -> fold -> answer.
 * Thread: pure. */
#ifndef TLY_VALUE_TYPE_H
#define TLY_VALUE_TYPE_H

#include <stdbool.h>
#include <stdint.h>

enum tly_type_id {
  TLY_TYPE_UNKNOWN, /* a literal or parameter that has no type yet; never in a finished tree */
  TLY_TYPE_BOOLEAN,
  TLY_TYPE_SMALLINT,
  TLY_TYPE_INTEGER,
  TLY_TYPE_BIGINT,
  TLY_TYPE_NUMERIC,
  TLY_TYPE_DOUBLE,
  TLY_TYPE_TEXT,
  TLY_TYPE_VARCHAR,
  TLY_TYPE_DATE,        /* days since 1970-01-01 */
  TLY_TYPE_TIMESTAMP,   /* microseconds since 1970-01-01 00:00:00 */
  TLY_TYPE_TIMESTAMPTZ, /* the same, UTC */
  TLY_TYPE_UUID,
  TLY_TYPE_INTERVAL, /* operand only: never a column, a key or a result */
  TLY_TYPE_COUNT
};

/* NUMERIC: precision 1..38 with scale 0..precision is a *proof*: every value of this expression has exactly `scale`
 * digits after the point (its display scale) and at most `precision` digits, so it fits a scaled integer. precision 0:
 * nothing is known, each value carries its own display scale. VARCHAR: precision is the length limit in characters, 0
 * none. Other types: both 0. */
struct tly_type {
  enum tly_type_id id;
  int16_t precision;
  int16_t scale;
};

/* How a value of a type lies in memory. A function of the type alone. */
enum tly_form {
  TLY_FORM_I64,     /* boolean 0/1, integers, date, timestamps, numeric of up to 18 digits (scaled by type.scale) */
  TLY_FORM_I128,    /* numeric of 19 to 38 digits, scaled */
  TLY_FORM_F64,     /* double: always finite, never -0 */
  TLY_FORM_TEXT,    /* text, varchar: valid UTF-8 without NUL; uuid: 16 bytes */
  TLY_FORM_DECIMAL, /* numeric of unknown scale or more digits */
  TLY_FORM_INTERVAL
};

enum tly_form tly_type_form(struct tly_type type);
/* As PostgreSQL's format_type without typmod: "integer", "timestamp with time zone", "numeric", ... Static. */
const char *tly_type_name(struct tly_type type);
/* The short names used in the protocol's "columns": "int8", ... are not; these are the design's: boolean, smallint,
 * integer, bigint, numeric, double precision, text, date, timestamp, timestamptz, uuid. Static. */
const char *tly_type_protocol_name(struct tly_type type);
bool tly_type_is_integer(enum tly_type_id id);
bool tly_type_is_text(enum tly_type_id id);

#define TLY_TYPE_OF(type_id)                                                                                           \
  (struct tly_type) {                                                                                                  \
    .id = (type_id)                                                                                                    \
  }

#endif
