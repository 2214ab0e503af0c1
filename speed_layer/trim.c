#include "speed_layer/trim.h"

#include "common/base/crash_point.h"

enum { BLOCKS_AT_ONCE = 50 };

enum tly_status tly_trim_step(tly_speed_store *store, const struct tly_clock *clock, int64_t until_us, bool *more,
                              struct tly_error *error) {
  TLY_TRY(tly_speed_store_has_dropped(store, more, error));
  if (!*more)
    return TLY_OK;
  TLY_TRY(tly_speed_store_begin(store, error));
  for (int deleted = 0; deleted < TLY_TRIM_BLOCKS; deleted += BLOCKS_AT_ONCE) {
    TLY_TRY(tly_speed_store_delete_blocks(store, BLOCKS_AT_ONCE, more, error));
    if (!*more || tly_clock_monotonic_us(clock) >= until_us)
      break;
  }
  tly_crash_point("trim.before_commit");
  return tly_speed_store_commit(store, error);
}
