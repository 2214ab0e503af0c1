/* common/value/value.h -- one typed value: a literal, a parameter, a field of an answer.
 * Thread: pure; what a value points to lives as long as the arena it was made in. */
#ifndef TLY_VALUE_VALUE_H
#define TLY_VALUE_VALUE_H

#include "common/value/decimal.h"
#include "common/value/text.h"
#include "common/value/timestamp.h"
#include "common/value/type.h"

struct tly_value {
  struct tly_type type;
  bool is_null;
  union {
    int64_t i64;
    tly_i128 i128;
    double f64;
    struct tly_text text;
    struct tly_decimal decimal;
    struct tly_interval interval;
  };
};

struct tly_value tly_value_null(struct tly_type type);
/* As PostgreSQL's input function of `type`; 22P02, 22007, 22003 with its words. A numeric with a proof (type.h) is
 * rounded to it and checked. */
TLY_CHECK enum tly_status tly_value_parse(struct tly_type type, const char *text, size_t size, struct tly_arena *arena,
                                          struct tly_value *out, struct tly_error *error);
/* As psql shows it; NULL prints nothing. */
void tly_value_print(const struct tly_value *value, struct tly_buffer *out);
/* A JSON value: null, true/false, RFC 3339 text, numeric and uuid as text, integers and double as numbers. */
void tly_value_print_json(const struct tly_value *value, struct tly_buffer *out);
/* A CSV field: NULL empty, empty text "", quoted where needed. */
void tly_value_print_csv(const struct tly_value *value, struct tly_buffer *out);
/* A JSON text literal with quotes, escaped. `data` is valid UTF-8. */
void tly_json_print_text(const char *data, size_t size, struct tly_buffer *out);
/* Any numeric value (I64, I128 or DECIMAL form) as a decimal with its display scale, an integer with scale 0. Asserts
 * on other types. */
struct tly_decimal tly_value_decimal(const struct tly_value *value);
/* Store `decimal` into a value of numeric type `type` in that type's form; asserts that the type's proof holds. */
struct tly_value tly_value_of_decimal(struct tly_type type, struct tly_decimal decimal);
/* Same type ids, no NULLs: <0, 0, >0 in PostgreSQL's order. */
int tly_value_compare(const struct tly_value *a, const struct tly_value *b);
/* Shortest digits that read back as the same double, PostgreSQL's exponent rule. */
void tly_double_print(double value, struct tly_buffer *out);
TLY_CHECK enum tly_status tly_double_parse(const char *text, size_t size, double *out, struct tly_error *error);

#endif
