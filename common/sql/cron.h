/* common/sql/cron.h -- five-field schedules by the clocks of a time zone, with Vixie cron's meaning.
 *
 * Minute, hour, day of month, month, day of week; lists, ranges, steps, names; 0 and 7 are Sunday; when both days are
 * restricted either one matches; @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.
 *
 * When clocks are put forward, what they skip is due in the first minute after it; when they are put back, what they
 * show twice is due the first time. Schedules of every hour (hour *) just follow the clocks: nothing is skipped for
 * them and each hour comes, as by cron. Thread: any; pure but for tly_cron_in_zone and tly_cron_of_view, which may read
 * the zone's file. */
#ifndef TLY_SQL_CRON_H
#define TLY_SQL_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/value/time_zone.h"

struct tly_cron {
  uint64_t minutes;
  uint32_t hours, days_of_month;
  uint16_t months;
  uint8_t days_of_week;
  bool day_of_month_is_star, day_of_week_is_star;
  const tly_time_zone *zone; /* borrowed; UTC after tly_cron_parse */
};

/* A cron text by the clocks of a time zone; NULL: UTC. */
TLY_CHECK enum tly_status tly_cron_in_zone(const char *text, const char *time_zone, struct tly_cron *out,
                                           struct tly_error *error);
/* A view's schedule: its cron text by the clocks of its time zone. The view has one (view->recompute is not NULL). */
struct tly_view;
TLY_CHECK enum tly_status tly_cron_of_view(const struct tly_view *view, struct tly_cron *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_cron_parse(const char *text, struct tly_cron *out, struct tly_error *error);
/* The first matching minute after `after_us` (microseconds since 1970), or INT64_MAX when there is none within eight
 * years (30 February). */
int64_t tly_cron_next(const struct tly_cron *cron, int64_t after_us);
/* The last matching minute at or before `at_us`, or INT64_MIN. */
int64_t tly_cron_previous(const struct tly_cron *cron, int64_t at_us);

#endif
