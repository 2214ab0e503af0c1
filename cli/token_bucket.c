#include "cli/token_bucket.h"

#include "common/base/assert.h"

enum { SECOND_US = 1000000 };

void tly_token_bucket_init(struct tly_token_bucket *bucket, int64_t rate, int64_t now_us) {
  TLY_ASSERT(rate > 0);
  *bucket = (struct tly_token_bucket){.rate = rate, .free_at_us = now_us};
}

int64_t tly_token_bucket_wait_us(const struct tly_token_bucket *bucket, int64_t now_us) {
  return bucket->free_at_us > now_us ? bucket->free_at_us - now_us : 0;
}

void tly_token_bucket_spend(struct tly_token_bucket *bucket, int64_t events, int64_t now_us) {
  TLY_ASSERT(events >= 0);
  if (bucket->free_at_us < now_us) {
    bucket->free_at_us = now_us;
    bucket->remainder = 0;
  }
  int64_t cost = events * SECOND_US + bucket->remainder;
  bucket->free_at_us += cost / bucket->rate;
  bucket->remainder = cost % bucket->rate;
}
