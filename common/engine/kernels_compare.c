/* =, <>, <, <=, >, >= for every type; numerics are in kernels_numeric.c.
 *
 * Booleans, integers, dates and timestamps compare as the integers they are held in. A date against a timestamp
 * compares as the date's midnight, in 128 bits, because the last dates lie beyond the last timestamps. */
#include <string.h>

#include "common/engine/kernel_loop.h"

#define COMPARISONS(MAKE)                                                                                              \
  MAKE(eq, ==)                                                                                                         \
  MAKE(ne, !=)                                                                                                         \
  MAKE(lt, <)                                                                                                          \
  MAKE(le, <=)                                                                                                         \
  MAKE(gt, >)                                                                                                          \
  MAKE(ge, >=)

/* --- held in 64 bits ---------------------------------------------------------------------------------------------- */

#define INTEGERS(name, comparison)                                                                                     \
  TLY_ALWAYS_INLINE bool i64_##name(int64_t a, int64_t b, int64_t *out) {                                              \
    *out = a comparison b;                                                                                             \
    return false;                                                                                                      \
  }                                                                                                                    \
  static void compare_##name(const struct tly_kernel_call *call) {                                                     \
    (void)tly_loop_binary(call, i64_##name);                                                                           \
  }
COMPARISONS(INTEGERS)

#define SAME(kernel, loop)                                                                                             \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    loop(call);                                                                                                        \
  }

#define INTEGER_KERNELS(name, comparison)                                                                              \
  SAME(bool##name, compare_##name)                                                                                     \
  SAME(int2##name, compare_##name)                                                                                     \
  SAME(int4##name, compare_##name)                                                                                     \
  SAME(int8##name, compare_##name)                                                                                     \
  SAME(int24##name, compare_##name)                                                                                    \
  SAME(int42##name, compare_##name)                                                                                    \
  SAME(int28##name, compare_##name)                                                                                    \
  SAME(int82##name, compare_##name)                                                                                    \
  SAME(int48##name, compare_##name)                                                                                    \
  SAME(int84##name, compare_##name)                                                                                    \
  SAME(date_##name, compare_##name)                                                                                    \
  SAME(timestamp_##name, compare_##name)                                                                               \
  SAME(timestamp_##name##_timestamptz, compare_##name)                                                                 \
  SAME(timestamptz_##name##_timestamp, compare_##name)
COMPARISONS(INTEGER_KERNELS)

/* --- dates against timestamps ------------------------------------------------------------------------------------- */

#define MIDNIGHTS(name, comparison)                                                                                    \
  static void date_first_##name(const struct tly_kernel_call *call) {                                                  \
    TLY_EACH_ROW (call->rows, row)                                                                                     \
      call->out->i64[row] =                                                                                            \
          (tly_i128)tly_argument_i64(call, 0, row) * TLY_US_PER_DAY comparison tly_argument_i64(call, 1, row);         \
  }                                                                                                                    \
  static void date_second_##name(const struct tly_kernel_call *call) {                                                 \
    TLY_EACH_ROW (call->rows, row)                                                                                     \
      call->out->i64[row] =                                                                                            \
          tly_argument_i64(call, 0, row) comparison(tly_i128) tly_argument_i64(call, 1, row) * TLY_US_PER_DAY;         \
  }                                                                                                                    \
  SAME(date_##name##_timestamp, date_first_##name)                                                                     \
  SAME(date_##name##_timestamptz, date_first_##name)                                                                   \
  SAME(timestamp_##name##_date, date_second_##name)                                                                    \
  SAME(timestamptz_##name##_date, date_second_##name)
COMPARISONS(MIDNIGHTS)

/* --- doubles (never NaN) ------------------------------------------------------------------------------------------ */

#define DOUBLES(name, comparison)                                                                                      \
  void tly_kernel_float8##name(const struct tly_kernel_call *call) {                                                   \
    TLY_EACH_ROW (call->rows, row)                                                                                     \
      call->out->i64[row] = tly_argument_f64(call, 0, row) comparison tly_argument_f64(call, 1, row);                  \
  }
COMPARISONS(DOUBLES)

/* --- intervals ---------------------------------------------------------------------------------------------------- */

#define INTERVALS(name, comparison)                                                                                    \
  void tly_kernel_interval_##name(const struct tly_kernel_call *call) {                                                \
    TLY_EACH_ROW (call->rows, row)                                                                                     \
      call->out->i64[row] =                                                                                            \
          tly_interval_compare(tly_argument_interval(call, 0, row), tly_argument_interval(call, 1, row)) comparison 0; \
  }
COMPARISONS(INTERVALS)

/* --- text and uuid: bytes ----------------------------------------------------------------------------------------- */

/* Equality asks for less than order: sizes first. */
TLY_ALWAYS_INLINE void text_equality(const struct tly_kernel_call *call, bool wanted) {
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text a = tly_argument_text(call, 0, row), b = tly_argument_text(call, 1, row);
    bool is_equal = a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
    call->out->i64[row] = is_equal == wanted;
  }
}

static void text_is_equal(const struct tly_kernel_call *call) {
  text_equality(call, true);
}

static void text_is_unequal(const struct tly_kernel_call *call) {
  text_equality(call, false);
}

SAME(texteq, text_is_equal)
SAME(textne, text_is_unequal)
SAME(uuid_eq, text_is_equal)
SAME(uuid_ne, text_is_unequal)

#define TEXTS(name, comparison)                                                                                        \
  static void text_##name(const struct tly_kernel_call *call) {                                                        \
    TLY_EACH_ROW (call->rows, row)                                                                                     \
      call->out->i64[row] =                                                                                            \
          tly_text_compare(tly_argument_text(call, 0, row), tly_argument_text(call, 1, row)) comparison 0;             \
  }                                                                                                                    \
  SAME(text_##name, text_##name)                                                                                       \
  SAME(uuid_##name, text_##name)
TEXTS(lt, <)
TEXTS(le, <=)
TEXTS(gt, >)
TEXTS(ge, >=)
