/* cli/token_bucket.h -- no more than so many events a second.
 *
 * Requests are sent whole: after one of n events the next may go n / rate seconds after it, so that the rate holds over
 * any time longer than a request. Time that was not used is not saved up. Thread: pure; the caller has the clock. */
#ifndef TLY_CLI_TOKEN_BUCKET_H
#define TLY_CLI_TOKEN_BUCKET_H

#include <stdint.h>

struct tly_token_bucket {
  int64_t rate;       /* events a second, more than 0 */
  int64_t free_at_us; /* when the next request may go */
  int64_t remainder;  /* of the division, so that small requests are not rounded away: below `rate` */
};

void tly_token_bucket_init(struct tly_token_bucket *bucket, int64_t rate, int64_t now_us);
/* How long to wait before the next request. */
int64_t tly_token_bucket_wait_us(const struct tly_token_bucket *bucket, int64_t now_us);
/* A request of `events` was sent at `now_us`. */
void tly_token_bucket_spend(struct tly_token_bucket *bucket, int64_t events, int64_t now_us);

#endif
