/* common/value/time_zone.h -- the rules of a time zone: from instants to what clocks on the wall show, and back.
 *
 * A zone is read from a TZif file (RFC 8536, version 2 and later); zone_folder.h finds it by name. Instants are
 * microseconds since 1970 UTC; wall times are what a timestamp without time zone holds, counted in the same way.
 * The rule for wall times that a clock skips or shows twice is PostgreSQL's (DetermineTimeZoneOffset): skipped, they
 * are read as if the clock had not been put forward; shown twice, they are the second time. Thread: a zone is
 * immutable, any thread may read it; a zone clock belongs to one thread. Pure: no file, no clock. */
#ifndef TLY_VALUE_TIME_ZONE_H
#define TLY_VALUE_TIME_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

typedef struct tly_time_zone tly_time_zone;

/* Time with one offset from UTC: [since_us, until_us). INT64_MIN and INT64_MAX: from ever, for ever. Two spans that
 * follow each other may have the same offset. */
struct tly_zone_span {
  int64_t since_us, until_us;
  int64_t offset_us; /* wall time = instant + offset_us; less than 26 hours */
};

/* Is it a TZif file at all, whole or not? */
bool tly_time_zone_is_file(const void *bytes, size_t size);
/* Read the content of a TZif file. On success the caller owns *out (tly_time_zone_free). Damaged: TLY_E_CORRUPT with
 * what is wrong; leap seconds, which PostgreSQL's timestamps do not count, and version 1: TLY_E_NOT_SUPPORTED. */
TLY_CHECK enum tly_status tly_time_zone_read(const void *bytes, size_t size, tly_time_zone **out,
                                             struct tly_error *error);
/* UTC, without a file. Static. */
const tly_time_zone *tly_time_zone_utc(void);
void tly_time_zone_free(tly_time_zone *zone);
/* The bytes it was read from (none for UTC): equal bytes are equal rules. */
const void *tly_time_zone_bytes(const tly_time_zone *zone, size_t *size);

/* The span that `instant_us` is in. */
struct tly_zone_span tly_time_zone_span(const tly_time_zone *zone, int64_t instant_us);

/* A zone and the span that was used last: times come nearly in order, and then cost a comparison. */
struct tly_zone_clock {
  const tly_time_zone *zone;
  struct tly_zone_span span;
};

struct tly_zone_clock tly_zone_clock_of(const tly_time_zone *zone);
/* Both want a timestamp in range (tly_timestamp_check); the result may be up to 26 hours outside of it. */
int64_t tly_zone_clock_wall(struct tly_zone_clock *clock, int64_t instant_us);
int64_t tly_zone_clock_instant(struct tly_zone_clock *clock, int64_t wall_us);

/* date_trunc(unit, timestamptz, zone): the start of the unit by the zone's clocks. Prepared once for a unit and a zone.
 */
struct tly_zone_trunc {
  struct tly_zone_clock clock;
  int unit;             /* of enum tly_unit */
  int64_t step_us;      /* of units up to an hour; 0: by the calendar */
  int64_t day_wall_us;  /* the day that was truncated last, by the wall, */
  int64_t day_start_us; /* and the instant its unit began */
  bool has_day;
};

/* An unknown unit is 22023. */
TLY_CHECK enum tly_status tly_zone_trunc_prepare(const char *unit, size_t unit_size, const tly_time_zone *zone,
                                                 struct tly_zone_trunc *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_zone_trunc_at(struct tly_zone_trunc *trunc, int64_t instant_us, int64_t *out,
                                            struct tly_error *error);

#endif
