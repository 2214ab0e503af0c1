/* Vixie cron's five fields as bit sets, and a walk over minutes that skips whole months, days and hours at a time.
 *
 * TIME ZONES. The walk is over the minutes of a wall clock. Time falls into spans with one offset from UTC, and within
 * a span an instant is a wall time less the offset. So each span is searched by itself: its minutes on the wall, from
 * the first one that the span before has not shown already. A span whose clocks were put forward at its start is due
 * there when any minute that was skipped matches. */
#include "common/sql/cron.h"

#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/sql/typed_tree.h"
#include "common/value/timestamp.h"
#include "common/value/zone_folder.h"

#define US_PER_MINUTE INT64_C(60000000)
#define US_SEARCHED   (YEARS_SEARCHED * 366 * TLY_US_PER_DAY)

enum { MINUTES_PER_DAY = 1440, HOURS_PER_DAY = 24, YEARS_SEARCHED = 8 };

struct field {
  const char *name;
  unsigned low, high;
  const char *const *names; /* of `low` and the numbers after it, or NULL */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},          {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},    {"month", 1, 12, month_names},
    {"day of week", 0, 7, day_names},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

static bool read_number(const char **at, const struct field *field, unsigned *out) {
  if (**at >= '0' && **at <= '9') {
    unsigned value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++)
      value = value > 1000 ? value : value * 10 + (unsigned)(**at - '0');
    *out = value;
    return true;
  }
  for (unsigned i = 0; field->names != NULL && field->names[i] != NULL; i++) {
    if (strncasecmp(*at, field->names[i], 3) == 0) {
      *at += 3;
      *out = field->low + i;
      return true;
    }
  }
  return false;
}

static enum tly_status wrong_field(const char *text, const struct field *field, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                  "schedule '%s': wrong %s (a number from %u to %u, *, lists, ranges, "
                  "steps)",
                  text, field->name, field->low, field->high);
}

/* One element of a list: *, n, n-m, each with /step where it is a range. */
static enum tly_status read_element(const char *text, const char **at, const struct field *field, uint64_t *bits,
                                    struct tly_error *error) {
  unsigned low = field->low, high = field->high, step = 1;
  bool is_range = true;
  if (**at == '*') {
    (*at)++;
    if (field->names == day_names)
      high = 6;
  } else if (!read_number(at, field, &low)) {
    return wrong_field(text, field, error);
  } else if (**at == '-') {
    (*at)++;
    if (!read_number(at, field, &high))
      return wrong_field(text, field, error);
  } else {
    high = low;
    is_range = false;
  }
  if (**at == '/') {
    (*at)++;
    if (!is_range || **at < '0' || **at > '9' || !read_number(at, field, &step) || step == 0)
      return wrong_field(text, field, error);
  }
  if (low < field->low || high > field->high || low > high)
    return wrong_field(text, field, error);
  for (unsigned i = low; i <= high; i += step)
    *bits |= UINT64_C(1) << i;
  return TLY_OK;
}

static enum tly_status read_field(const char *text, const char **at, const struct field *field, uint64_t *bits,
                                  struct tly_error *error) {
  *bits = 0;
  for (;;) {
    TLY_TRY(read_element(text, at, field, bits, error));
    if (**at != ',')
      break;
    (*at)++;
  }
  return **at == ' ' || **at == '\t' || **at == '\0' ? TLY_OK : wrong_field(text, field, error);
}

static const char *expand_name(const char *text, struct tly_error *error) {
  static const char *const names[][2] = {
      {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
      {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcasecmp(text, names[i][0]) == 0)
      return names[i][1];
  (void)TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                 "schedule '%s': known names are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly",
                 text);
  return NULL;
}

static void skip_spaces(const char **at) {
  while (**at == ' ' || **at == '\t')
    (*at)++;
}

enum tly_status tly_cron_parse(const char *text, struct tly_cron *out, struct tly_error *error) {
  const char *at = text;
  uint64_t bits[FIELD_COUNT];
  bool star[FIELD_COUNT];
  skip_spaces(&at);
  if (*at == '@' && (at = expand_name(at, error)) == NULL)
    return TLY_E_INVALID_PARAMETER;
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    if (*at == '\0')
      return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                      "schedule '%s': five fields are wanted: minute hour day-of-month month day-of-week", text);
    star[i] = *at == '*';
    TLY_TRY(read_field(text, &at, &fields[i], &bits[i], error));
    skip_spaces(&at);
  }
  if (*at != '\0')
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "schedule '%s': more than five fields", text);
  uint64_t sunday = (bits[4] & 1) | (bits[4] >> 7 & 1);
  *out = (struct tly_cron){.minutes = bits[0],
                           .hours = (uint32_t)bits[1],
                           .days_of_month = (uint32_t)bits[2],
                           .months = (uint16_t)bits[3],
                           .days_of_week = (uint8_t)((bits[4] & 0x7E) | sunday),
                           .day_of_month_is_star = star[2],
                           .day_of_week_is_star = star[4],
                           .zone = tly_time_zone_utc()};
  return TLY_OK;
}

enum tly_status tly_cron_in_zone(const char *text, const char *time_zone, struct tly_cron *out,
                                 struct tly_error *error) {
  TLY_TRY(tly_cron_parse(text, out, error));
  return time_zone == NULL ? TLY_OK : tly_time_zone_find(tly_text_of(time_zone), &out->zone, error);
}

enum tly_status tly_cron_of_view(const struct tly_view *view, struct tly_cron *out, struct tly_error *error) {
  TLY_ASSERT(view->recompute != NULL);
  return tly_cron_in_zone(view->recompute, view->time_zone, out, error);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

/* Days since 1970-01-01 to year, month and day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
struct civil {
  int64_t year;
  unsigned month, day;
};

static struct civil civil_of(int64_t days) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  unsigned day_of_era = (unsigned)(days - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned shifted_month = (5 * day_of_year + 2) / 153;
  unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return (struct civil){(int64_t)year_of_era + era * 400 + (month <= 2), month,
                        day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

static bool day_matches(const struct tly_cron *cron, int64_t days) {
  struct civil civil = civil_of(days);
  if ((cron->months >> civil.month & 1) == 0)
    return false;
  int64_t weekday = ((days + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
  bool by_month = cron->days_of_month >> civil.day & 1, by_week = cron->days_of_week >> weekday & 1;
  /* Vixie: when both are restricted, either one is enough. */
  return cron->day_of_month_is_star || cron->day_of_week_is_star ? by_month && by_week : by_month || by_week;
}

static bool minute_matches(const struct tly_cron *cron, int64_t minute_of_day) {
  return (cron->hours >> (minute_of_day / 60) & 1) != 0 && (cron->minutes >> (minute_of_day % 60) & 1) != 0;
}

static int64_t floor_divide(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

/* From `minute` (since 1970) on, in steps of `direction`, the first that matches; *found is false when there is none in
 * eight years. */
static int64_t walk(const struct tly_cron *cron, int64_t minute, int direction, bool *found) {
  int64_t day = floor_divide(minute, MINUTES_PER_DAY), of_day = minute - day * MINUTES_PER_DAY;
  *found = true;
  for (int passed = 0; passed <= YEARS_SEARCHED * 366; passed++) {
    if (day_matches(cron, day))
      for (; of_day >= 0 && of_day < MINUTES_PER_DAY; of_day += direction)
        if (minute_matches(cron, of_day))
          return day * MINUTES_PER_DAY + of_day;
    day += direction;
    of_day = direction > 0 ? 0 : MINUTES_PER_DAY - 1;
  }
  *found = false;
  return 0;
}

/* ---- by the clocks of a zone ------------------------------------------------------------------------------------- */

static bool is_of_every_hour(const struct tly_cron *cron) {
  return cron->hours == (UINT32_C(1) << HOURS_PER_DAY) - 1;
}

static int64_t minute_at(int64_t wall_us) {
  return floor_divide(wall_us, US_PER_MINUTE);
}

/* A span by its clocks. */
struct clock_span {
  struct tly_zone_span time;
  int64_t since_wall_us; /* what they show at its start */
  int64_t shown_wall_us; /* what the span before showed at its end: more when clocks are put back, less when forward */
};

static struct clock_span span_at(const struct tly_cron *cron, int64_t instant_us) {
  struct clock_span span = {.time = tly_time_zone_span(cron->zone, instant_us)};
  if (span.time.since_us == INT64_MIN) {
    span.since_wall_us = span.shown_wall_us = INT64_MIN;
    return span;
  }
  span.since_wall_us = span.shown_wall_us = span.time.since_us + span.time.offset_us;
  if (!is_of_every_hour(cron))
    span.shown_wall_us = span.time.since_us + tly_time_zone_span(cron->zone, span.time.since_us - 1).offset_us;
  return span;
}

/* Does a minute match that was skipped at the start of the span? */
static bool is_due_at_start(const struct tly_cron *cron, const struct clock_span *span) {
  bool found;
  if (span->shown_wall_us >= span->since_wall_us)
    return false;
  int64_t first = minute_at(span->shown_wall_us + US_PER_MINUTE - 1);
  int64_t minute = walk(cron, first, 1, &found);
  return found && minute * US_PER_MINUTE < span->since_wall_us;
}

int64_t tly_cron_next(const struct tly_cron *cron, int64_t after_us) {
  int64_t at_us = after_us + 1;
  while (at_us - after_us < US_SEARCHED) {
    struct clock_span span = span_at(cron, at_us);
    if (at_us == span.time.since_us && is_due_at_start(cron, &span))
      return at_us;
    bool found;
    int64_t wall_us = at_us + span.time.offset_us;
    if (wall_us < span.shown_wall_us)
      wall_us = span.shown_wall_us;
    int64_t minute = walk(cron, minute_at(wall_us + US_PER_MINUTE - 1), 1, &found);
    if (found && minute * US_PER_MINUTE - span.time.offset_us < span.time.until_us)
      return minute * US_PER_MINUTE - span.time.offset_us;
    if (span.time.until_us == INT64_MAX)
      break;
    at_us = span.time.until_us;
  }
  return INT64_MAX;
}

int64_t tly_cron_previous(const struct tly_cron *cron, int64_t at_us) {
  int64_t first_us = at_us - US_SEARCHED;
  while (at_us > first_us) {
    struct clock_span span = span_at(cron, at_us);
    int64_t from_us = span.shown_wall_us > span.since_wall_us ? span.shown_wall_us : span.since_wall_us;
    bool found;
    int64_t minute = walk(cron, minute_at(at_us + span.time.offset_us), -1, &found);
    if (found && minute * US_PER_MINUTE >= from_us)
      return minute * US_PER_MINUTE - span.time.offset_us;
    if (is_due_at_start(cron, &span))
      return span.time.since_us;
    if (span.time.since_us == INT64_MIN)
      break;
    at_us = span.time.since_us - 1;
  }
  return INT64_MIN;
}
