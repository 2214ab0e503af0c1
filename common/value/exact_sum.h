/* common/value/exact_sum.h -- the exact real-number sum of doubles, whatever their order.
 *
 * Path of an event: fold keeps one for each sum or avg over double precision. The sum is exact, hence commutative and
 * associative bit for bit; it is rounded once, when it is shown. The stored form is canonical (equal sums of equal
 * multisets give equal bytes, and equal sums at all do) and as long as the sum has bits: 10 to 14 bytes for ordinary
 * data. Source: R. M. Neal, "Fast exact summation using small and large superaccumulators" (2015), with a window that
 * grows. Thread: pure. */
#ifndef TLY_VALUE_EXACT_SUM_H
#define TLY_VALUE_EXACT_SUM_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/* Opaque in use; open so that it can stand in arrays. Init before use; free gives back what wide values took. */
struct tly_exact_sum {
  double tame; /* the whole sum while it is exactly a double and `wide` is NULL */
  struct tly_wide_sum *wide;
};

void tly_exact_sum_init(struct tly_exact_sum *sum);
void tly_exact_sum_free(struct tly_exact_sum *sum);
/* `value` is finite. */
void tly_exact_sum_add(struct tly_exact_sum *sum, double value);
void tly_exact_sum_merge(struct tly_exact_sum *sum, const struct tly_exact_sum *other);
/* Nearest double, ties to even, as Python's math.fsum; out of range is 22003. -0 is 0. */
TLY_CHECK enum tly_status tly_exact_sum_result(const struct tly_exact_sum *sum, double *out, struct tly_error *error);
/* The exact sum divided by count, rounded once. */
TLY_CHECK enum tly_status tly_exact_sum_average(const struct tly_exact_sum *sum, int64_t count, double *out,
                                                struct tly_error *error);
void tly_exact_sum_append(const struct tly_exact_sum *sum, struct tly_buffer *out);
/* Fails with TLY_E_CORRUPT on bytes that append does not write. `sum` is initialised by this call. */
TLY_CHECK enum tly_status tly_exact_sum_read(struct tly_cursor *cursor, struct tly_exact_sum *sum,
                                             struct tly_error *error);

#endif
