/* A TZif file is a list of transitions, each an instant and the offset that holds from then on, and a rule for the time
 * after the last one. (RFC 8536.)
 *
 *   header    "TZif", version, 15 bytes, then six counts of 4 bytes: UT/local and standard/wall indicators, leap
 *             seconds, transitions, types, bytes of abbreviations
 *   block     transitions (4 bytes each here), the type of each, types (offset of 4 bytes, is summer, abbreviation),
 *             abbreviations, leap seconds, indicators
 *   header    again, with the counts of
 *   block     the same with 8 bytes a transition: this one is read, the first is for readers of version 1
 *   footer    newline, rule, newline
 *
 * All numbers are big endian. Every count is checked against the bytes that are there before anything is read, so a
 * damaged file is refused and never read beyond its end.
 *
 * SPANS. Offsets before the first transition are those of type 0. After the last one they follow the rule, whose
 * changes are made for the years around the instant that is asked for; those at or before the last transition do not
 * count. A rule without summer time has no changes: the last offset holds for ever.
 *
 * WALL TIMES. tly_zone_clock_instant restates DetermineTimeZoneOffset of PostgreSQL 15: it looks at the one transition
 * that follows the day before, and when the time is skipped or shown twice by it, takes the later of the two instants.
 * A transition that changes no offset is one, too; that is why such are kept.
 *
 * INVARIANTS
 *   (1) transitions are in ascending order (equal only where microseconds would overflow, 290,000 years away).
 *   (2) every offset is less than 26 hours, so a wall time is within two days of its instant. */
#include "common/value/time_zone.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/buffer.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/datetime_internal.h"
#include "common/value/zone_rule.h"

enum {
  MAGIC_BYTES = 4,
  RESERVED_BYTES = 15,
  HEADER_BYTES = 44,
  TYPE_BYTES = 6,
  OFFSET_EAST_MAX_S = 26 * 3600 - 1, /* RFC 8536, 3.2 */
  OFFSET_WEST_MAX_S = 25 * 3600 - 1,
  RULE_YEARS_AROUND = 2, /* a change may be a week outside of its year */
  RULE_CHANGES_MAX = 2 * (2 * RULE_YEARS_AROUND + 1)
};

struct transition {
  int64_t at_us;
  int64_t offset_us; /* from then on */
};

struct tly_time_zone {
  uint8_t *bytes;
  size_t size;
  int64_t first_offset_us;
  struct transition *transitions;
  uint32_t transition_count;
  bool has_rule; /* with changes; else the last offset holds */
  struct tly_zone_rule rule;
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct counts {
  uint32_t ut_indicators, standard_indicators, leap_seconds, transitions, types, letters;
};

static enum tly_status damaged(struct tly_error *error, const char *what) {
  (void)TLY_FAIL(error, TLY_E_CORRUPT, "damaged rules of a time zone: %s", what);
  return TLY_E_CORRUPT;
}

static uint32_t read_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t read_i64(const uint8_t *bytes) {
  return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

static int64_t saturated_us(int64_t seconds) {
  int64_t microseconds;
  if (__builtin_mul_overflow(seconds, TLY_US_PER_SECOND, &microseconds))
    return seconds < 0 ? INT64_MIN : INT64_MAX;
  return microseconds;
}

bool tly_time_zone_is_file(const void *bytes, size_t size) {
  return size >= MAGIC_BYTES && memcmp(bytes, "TZif", MAGIC_BYTES) == 0;
}

static enum tly_status read_header(struct tly_cursor *cursor, struct counts *out, struct tly_error *error) {
  const uint8_t *header = tly_cursor_bytes(cursor, HEADER_BYTES);
  if (header == NULL || !tly_time_zone_is_file(header, HEADER_BYTES))
    return damaged(error, "no header");
  if (header[MAGIC_BYTES] < '2')
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "rules of a time zone in a file of version 1 are not supported");
  const uint8_t *numbers = header + MAGIC_BYTES + 1 + RESERVED_BYTES;
  *out = (struct counts){read_u32(numbers),      read_u32(numbers + 4),  read_u32(numbers + 8),
                         read_u32(numbers + 12), read_u32(numbers + 16), read_u32(numbers + 20)};
  if (out->transitions > TLY_ZONE_TRANSITIONS_MAX || out->types > TLY_ZONE_TYPES_MAX || out->types == 0)
    return damaged(error, "too many transitions or types");
  if ((out->ut_indicators != 0 && out->ut_indicators != out->types) ||
      (out->standard_indicators != 0 && out->standard_indicators != out->types))
    return damaged(error, "indicators that belong to no type");
  return TLY_OK;
}

/* The block of version 1, which says less. */
static enum tly_status skip_first_block(struct tly_cursor *cursor, struct tly_error *error) {
  struct counts counts = {.types = 0};
  TLY_TRY(read_header(cursor, &counts, error));
  uint64_t size = (uint64_t)counts.transitions * (4 + 1) + (uint64_t)counts.types * TYPE_BYTES + counts.letters +
                  (uint64_t)counts.leap_seconds * (4 + 4) + counts.standard_indicators + counts.ut_indicators;
  return tly_cursor_bytes(cursor, size) != NULL ? TLY_OK : damaged(error, "it ends early");
}

static enum tly_status read_types(struct tly_cursor *cursor, const struct counts *counts, int64_t *offsets_us,
                                  struct tly_error *error) {
  const uint8_t *bytes = tly_cursor_bytes(cursor, (size_t)counts->types * TYPE_BYTES);
  if (bytes == NULL)
    return damaged(error, "it ends early");
  for (uint32_t i = 0; i < counts->types; i++, bytes += TYPE_BYTES) {
    int32_t offset_s = (int32_t)read_u32(bytes);
    if (offset_s > OFFSET_EAST_MAX_S || offset_s < -OFFSET_WEST_MAX_S)
      return damaged(error, "an offset of more than a day");
    if (bytes[4] > 1 || bytes[5] >= counts->letters)
      return damaged(error, "a type that makes no sense");
    offsets_us[i] = offset_s * TLY_US_PER_SECOND;
  }
  return TLY_OK;
}

static enum tly_status read_transitions(const uint8_t *instants, const uint8_t *types, const struct counts *counts,
                                        const int64_t *offsets_us, tly_time_zone *zone, struct tly_error *error) {
  zone->transitions = tly_calloc(counts->transitions, sizeof *zone->transitions);
  zone->transition_count = counts->transitions;
  for (uint32_t i = 0; i < counts->transitions; i++, instants += 8) {
    int64_t at_s = read_i64(instants);
    if (i > 0 && at_s <= read_i64(instants - 8))
      return damaged(error, "transitions that are not in order");
    if (types[i] >= counts->types)
      return damaged(error, "a transition to a type that is not there");
    zone->transitions[i] = (struct transition){saturated_us(at_s), offsets_us[types[i]]};
  }
  return TLY_OK;
}

static enum tly_status read_block(struct tly_cursor *cursor, tly_time_zone *zone, struct tly_error *error) {
  struct counts counts = {.types = 0};
  int64_t offsets_us[TLY_ZONE_TYPES_MAX] = {0};
  TLY_TRY(read_header(cursor, &counts, error));
  const uint8_t *instants = tly_cursor_bytes(cursor, (size_t)counts.transitions * 8);
  const uint8_t *type_numbers = tly_cursor_bytes(cursor, counts.transitions);
  if (instants == NULL || type_numbers == NULL)
    return damaged(error, "it ends early");
  TLY_TRY(read_types(cursor, &counts, offsets_us, error));
  TLY_TRY(read_transitions(instants, type_numbers, &counts, offsets_us, zone, error));
  zone->first_offset_us = offsets_us[0];
  uint64_t rest = (uint64_t)counts.letters + (uint64_t)counts.leap_seconds * (8 + 4) + counts.standard_indicators +
                  counts.ut_indicators;
  if (tly_cursor_bytes(cursor, rest) == NULL)
    return damaged(error, "it ends early");
  if (counts.leap_seconds > 0)
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "time zones that count leap seconds are not supported");
  return TLY_OK;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; nothing between the lines: the last offset holds. */
static enum tly_status read_footer(struct tly_cursor *cursor, tly_time_zone *zone, struct tly_error *error) {
  size_t size = tly_cursor_left(cursor);
  const char *text = (const char *)tly_cursor_bytes(cursor, size);
  if (size < 2 || text[0] != '\n' || text[size - 1] != '\n')
    return damaged(error, "no rule at its end");
  if (size == 2)
    return TLY_OK;
  if (!tly_zone_rule_read(text + 1, size - 2, &zone->rule))
    return damaged(error, "the rule at its end");
  zone->has_rule = zone->rule.has_summer && !tly_zone_rule_is_always_summer(&zone->rule);
  if (zone->transition_count == 0) {
    bool is_summer = zone->rule.has_summer && !zone->has_rule;
    zone->first_offset_us = (is_summer ? zone->rule.summer_offset_s : zone->rule.standard_offset_s) * TLY_US_PER_SECOND;
  }
  return TLY_OK;
}

enum tly_status tly_time_zone_read(const void *bytes, size_t size, tly_time_zone **out, struct tly_error *error) {
  tly_time_zone *zone = tly_calloc(1, sizeof *zone);
  struct tly_cursor cursor = tly_cursor_of(bytes, size);
  enum tly_status status = skip_first_block(&cursor, error);
  if (status == TLY_OK)
    status = read_block(&cursor, zone, error);
  if (status == TLY_OK)
    status = read_footer(&cursor, zone, error);
  if (status != TLY_OK) {
    tly_time_zone_free(zone);
    *out = NULL;
    return status;
  }
  zone->bytes = tly_malloc(size);
  memcpy(zone->bytes, bytes, size);
  zone->size = size;
  *out = zone;
  return TLY_OK;
}

const tly_time_zone *tly_time_zone_utc(void) {
  static const tly_time_zone utc = {.size = 0};
  return &utc;
}

void tly_time_zone_free(tly_time_zone *zone) {
  if (zone == NULL)
    return;
  tly_free(zone->transitions);
  tly_free(zone->bytes);
  tly_free(zone);
}

const void *tly_time_zone_bytes(const tly_time_zone *zone, size_t *size) {
  *size = zone->size;
  return zone->bytes;
}

/* --- spans -------------------------------------------------------------------------------------------------------- */

/* The two changes of each year around `year`, in order of time. */
static void list_changes(const struct tly_zone_rule *rule, int64_t year, struct transition *out) {
  uint32_t count = 0;
  for (int64_t y = year - RULE_YEARS_AROUND; y <= year + RULE_YEARS_AROUND; y++) {
    struct transition both[] = {
        {saturated_us(tly_zone_change_at(&rule->to_summer, y, rule->standard_offset_s)),
         rule->summer_offset_s * TLY_US_PER_SECOND},
        {saturated_us(tly_zone_change_at(&rule->to_standard, y, rule->summer_offset_s)),
         rule->standard_offset_s * TLY_US_PER_SECOND},
    };
    for (int i = 0; i < 2; i++) {
      uint32_t place = count++;
      for (; place > 0 && out[place - 1].at_us > both[i].at_us; place--)
        out[place] = out[place - 1];
      out[place] = both[i];
    }
  }
  TLY_ASSERT(count == RULE_CHANGES_MAX);
}

/* Narrow `span`, all the time after the last transition, to what the rule makes of it around `instant_us`. */
static void narrow_by_rule(const struct tly_zone_rule *rule, int64_t instant_us, struct tly_zone_span *span) {
  struct transition changes[RULE_CHANGES_MAX];
  int64_t year, last_us = span->since_us;
  int month, day;
  tly_civil_of_days(tly_floor_divide(instant_us, TLY_US_PER_DAY), &year, &month, &day);
  list_changes(rule, year, changes);
  for (int i = 0; i < RULE_CHANGES_MAX; i++) {
    if (changes[i].at_us <= last_us)
      continue;
    if (changes[i].at_us > instant_us) {
      span->until_us = changes[i].at_us;
      return;
    }
    span->since_us = changes[i].at_us;
    span->offset_us = changes[i].offset_us;
  }
}

struct tly_zone_span tly_time_zone_span(const tly_time_zone *zone, int64_t instant_us) {
  uint32_t low = 0, high = zone->transition_count; /* the first transition after the instant is in [low, high] */
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (zone->transitions[middle].at_us <= instant_us)
      low = middle + 1;
    else
      high = middle;
  }
  struct tly_zone_span span = {INT64_MIN, INT64_MAX, zone->first_offset_us};
  if (low > 0) {
    span.since_us = zone->transitions[low - 1].at_us;
    span.offset_us = zone->transitions[low - 1].offset_us;
  }
  if (low < zone->transition_count)
    span.until_us = zone->transitions[low].at_us;
  else if (zone->has_rule)
    narrow_by_rule(&zone->rule, instant_us, &span);
  TLY_ASSERT(span.since_us <= instant_us && (instant_us < span.until_us || span.until_us == INT64_MAX));
  return span;
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */

struct tly_zone_clock tly_zone_clock_of(const tly_time_zone *zone) {
  return (struct tly_zone_clock){.zone = zone, .span = tly_time_zone_span(zone, 0)};
}

int64_t tly_zone_clock_wall(struct tly_zone_clock *clock, int64_t instant_us) {
  if (instant_us < clock->span.since_us || instant_us >= clock->span.until_us)
    clock->span = tly_time_zone_span(clock->zone, instant_us);
  return instant_us + clock->span.offset_us;
}

int64_t tly_zone_clock_instant(struct tly_zone_clock *clock, int64_t wall_us) {
  const int64_t margin_us = 2 * TLY_US_PER_DAY;
  int64_t day_before_us = wall_us - TLY_US_PER_DAY;
  if (wall_us - margin_us >= clock->span.since_us && wall_us + margin_us < clock->span.until_us)
    return wall_us - clock->span.offset_us;
  struct tly_zone_span before = tly_time_zone_span(clock->zone, day_before_us);
  clock->span = before;
  if (before.until_us == INT64_MAX)
    return wall_us - before.offset_us;
  struct tly_zone_span after = tly_time_zone_span(clock->zone, before.until_us);
  int64_t boundary_us = before.until_us;
  int64_t as_before_us = wall_us - before.offset_us, as_after_us = wall_us - after.offset_us;
  if (as_before_us < boundary_us && as_after_us < boundary_us)
    return as_before_us;
  clock->span = after;
  if (as_before_us > boundary_us && as_after_us >= boundary_us)
    return as_after_us;
  return as_before_us > as_after_us ? as_before_us : as_after_us;
}

/* --- date_trunc --------------------------------------------------------------------------------------------------- */

enum tly_status tly_zone_trunc_prepare(const char *unit, size_t unit_size, const tly_time_zone *zone,
                                       struct tly_zone_trunc *out, struct tly_error *error) {
  enum tly_unit known = tly_unit_of(unit, unit_size);
  *out = (struct tly_zone_trunc){.unit = (int)known};
  bool is_truncated = known > TLY_UNIT_NONE && known <= TLY_UNIT_MILLENNIUM;
  if (!is_truncated)
    return tly_unit_refuse(known >= TLY_UNIT_DOW ? TLY_UNIT_NONE : known, unit, unit_size, "timestamp with time zone",
                           error);
  out->clock = tly_zone_clock_of(zone);
  int64_t step_us = tly_unit_step_us(known);
  out->step_us = step_us < TLY_US_PER_DAY ? step_us : 0; /* a day may have 23 hours */
  return TLY_OK;
}

/* Within an hour the clock's offset stays what it is at the instant, as in PostgreSQL; from a day on it is that of the
 * start, which is the same for all times of a day. */
enum tly_status tly_zone_trunc_at(struct tly_zone_trunc *trunc, int64_t instant_us, int64_t *out,
                                  struct tly_error *error) {
  int64_t wall_us = tly_zone_clock_wall(&trunc->clock, instant_us);
  if (trunc->step_us > 0) {
    TLY_TRY(tly_timestamp_check(wall_us, error));
    *out = tly_floor_divide(wall_us, trunc->step_us) * trunc->step_us - (wall_us - instant_us);
    return tly_timestamp_check(*out, error);
  }
  if (trunc->has_day && (uint64_t)wall_us - (uint64_t)trunc->day_wall_us < (uint64_t)TLY_US_PER_DAY) {
    *out = trunc->day_start_us;
    return TLY_OK;
  }
  TLY_TRY(tly_timestamp_check(wall_us, error));
  int64_t day = tly_floor_divide(wall_us, TLY_US_PER_DAY);
  int64_t start_day = tly_unit_first_day((enum tly_unit)trunc->unit, day);
  *out = tly_zone_clock_instant(&trunc->clock, start_day * TLY_US_PER_DAY);
  TLY_TRY(tly_timestamp_check(*out, error));
  trunc->has_day = true;
  trunc->day_wall_us = day * TLY_US_PER_DAY;
  trunc->day_start_us = *out;
  return TLY_OK;
}
