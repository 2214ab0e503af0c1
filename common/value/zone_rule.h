/* common/value/zone_rule.h -- the rule at the end of a TZif file, for the time after its last transition: a POSIX TZ
 * string such as CET-1CEST,M3.5.0,M10.5.0/3. Thread: pure. */
#ifndef TLY_VALUE_ZONE_RULE_H
#define TLY_VALUE_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_zone_day_kind {
  TLY_ZONE_DAY_OF_WEEK,  /* Mm.w.d: weekday d of week w of month m, week 5 is the last */
  TLY_ZONE_DAY_NO_LEAP,  /* Jn: day n of the year from 1, without the 29th of February */
  TLY_ZONE_DAY_FROM_ZERO /* n: day n of the year from 0 */
};

/* When clocks are put to another offset, every year. */
struct tly_zone_change {
  enum tly_zone_day_kind kind;
  int32_t month, week, day;
  int32_t second; /* of that day by the wall before the change; -167 to 167 hours */
};

struct tly_zone_rule {
  int32_t standard_offset_s; /* east of Greenwich is positive */
  bool has_summer;
  int32_t summer_offset_s;
  struct tly_zone_change to_summer, to_standard;
};

/* Read the `size` characters of `text`, all of them; false when they are not such a rule. */
bool tly_zone_rule_read(const char *text, size_t size, struct tly_zone_rule *out);
/* Summer time all the year round: the changes of a year leave no time between them. */
bool tly_zone_rule_is_always_summer(const struct tly_zone_rule *rule);
/* The instant of a change in `year`, in seconds since 1970. */
int64_t tly_zone_change_at(const struct tly_zone_change *change, int64_t year, int32_t offset_before_s);

#endif
