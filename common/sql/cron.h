/* common/sql/cron.h -- five-field schedules in UTC, with Vixie cron's meaning.
 *
 * Minute, hour, day of month, month, day of week; lists, ranges, steps, names; 0 and 7 are Sunday; when both days are
 * restricted either one matches; @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.
 * Thread: pure. */
#ifndef TLY_SQL_CRON_H
#define TLY_SQL_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

struct tly_cron {
  uint64_t minutes;
  uint32_t hours, days_of_month;
  uint16_t months;
  uint8_t days_of_week;
  bool day_of_month_is_star, day_of_week_is_star;
};

TLY_CHECK enum tly_status tly_cron_parse(const char *text, struct tly_cron *out, struct tly_error *error);
/* The first matching minute after `after_us` (microseconds since 1970), or INT64_MAX when there is none within eight
 * years (30 February). */
int64_t tly_cron_next(const struct tly_cron *cron, int64_t after_us);
/* The last matching minute at or before `at_us`, or INT64_MIN. */
int64_t tly_cron_previous(const struct tly_cron *cron, int64_t at_us);

#endif
