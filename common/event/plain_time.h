/* common/event/plain_time.h -- the usual form of a timestamp, read with fields at fixed places, eight bytes at once.
 *
 * Path of an event: the text of a time -> [plain_time] -> column; what is not in this form goes to tly_timestamp_parse.
 * Whatever is true here is what that gives (a test compares). Little endian, as every x86-64 is.
 * Thread: pure. */
#ifndef TLY_EVENT_PLAIN_TIME_H
#define TLY_EVENT_PLAIN_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/value/timestamp.h"

/* The last time and its date: events that follow each other are mostly of one day, and often of one second. Zeroed, it
 * is neither. */
struct tly_plain_time_cache {
  uint64_t text[3]; /* "2026-03-", "02T10:00", ":00:00Z\"": the last time, whose parts overlap */
  int64_t microseconds;
  uint64_t year_and_month; /* "2026-03-" */
  uint16_t day;            /* "02" */
  int64_t days;
};

/* "2026-03-02", when it is a date. text[0..9] may be read. */
bool tly_plain_date(const char *text, int64_t *days);
/* "2026-03-02T10:00:00[.1-6 digits][Z | +hh:mm]" (or a blank for the T), in `size` bytes. */
bool tly_plain_timestamp(const char *text, size_t size, bool with_zone, int64_t *microseconds);

/* Bytes that are digits where `pattern` has '0', and equal it elsewhere, become two-digit numbers: byte i of *pairs is
 * 10 * digit i + digit i + 1. digit_places has 0xFF where the digits are. */
static inline bool tly_plain_fields(const char *bytes, const char pattern[8], uint64_t digit_places, uint64_t *pairs) {
  uint64_t word, expected;
  memcpy(&word, bytes, sizeof word);
  memcpy(&expected, pattern, sizeof expected);
  uint64_t digits = word ^ expected;
  uint64_t above_nine = digits + (digit_places & UINT64_C(0x0606060606060606));
  if (((digits & ~digit_places) | ((digits | above_nine) & UINT64_C(0xF0F0F0F0F0F0F0F0))) != 0)
    return false;
  *pairs = digits * 10 + (digits >> 8);
  return true;
}

/* "10:00:00" as seconds, when it is a time of day. text[0..7] may be read. */
static inline bool tly_plain_seconds(const char *text, int64_t *seconds) {
  uint64_t pairs;
  if (!tly_plain_fields(text, "00:00:00", UINT64_C(0xFFFF00FFFF00FFFF), &pairs))
    return false;
  uint32_t hour = pairs & 0xFF;
  uint32_t minute = pairs >> 24 & 0xFF;
  uint32_t second = pairs >> 48 & 0xFF;
  *seconds = hour * 3600 + minute * 60 + second;
  return hour <= 23 && minute <= 59 && second <= 59;
}

/* The most usual of all, "2026-03-02T10:00:00Z" followed by a quote: text[0..20] may be read. */
static inline bool tly_plain_timestamp_utc(const char *text, struct tly_plain_time_cache *cache,
                                           int64_t *microseconds) {
  uint64_t parts[3], year_and_month;
  uint16_t day;
  int64_t seconds;
  memcpy(&parts[0], text, sizeof parts[0]);
  memcpy(&parts[1], text + 8, sizeof parts[1]);
  memcpy(&parts[2], text + 13, sizeof parts[2]);
  if (((parts[0] ^ cache->text[0]) | (parts[1] ^ cache->text[1]) | (parts[2] ^ cache->text[2])) == 0) {
    *microseconds = cache->microseconds;
    return true;
  }
  memcpy(&year_and_month, text, sizeof year_and_month);
  memcpy(&day, text + 8, sizeof day);
  if (text[10] != 'T' || text[19] != 'Z' || text[20] != '"' || !tly_plain_seconds(text + 11, &seconds))
    return false;
  if (year_and_month != cache->year_and_month || day != cache->day) {
    if (!tly_plain_date(text, &cache->days))
      return false;
    cache->year_and_month = year_and_month;
    cache->day = day;
  }
  *microseconds = cache->days * TLY_US_PER_DAY + seconds * TLY_US_PER_SECOND;
  memcpy(cache->text, parts, sizeof parts);
  cache->microseconds = *microseconds;
  return true;
}

#endif
