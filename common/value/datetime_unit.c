#include <string.h>

#include "common/base/assert.h"
#include "common/value/datetime_internal.h"

enum { UNIT_LETTERS = 10, SHOWN_BYTES_MAX = 63 };

struct unit_word {
  const char *word; /* the first UNIT_LETTERS letters */
  enum tly_unit unit;
};

/* deltatktbl and the units of datetktbl in PostgreSQL's datetime.c, sorted. */
static const struct unit_word words[] = {
    {"c", TLY_UNIT_CENTURY},
    {"cent", TLY_UNIT_CENTURY},
    {"centuries", TLY_UNIT_CENTURY},
    {"century", TLY_UNIT_CENTURY},
    {"d", TLY_UNIT_DAY},
    {"day", TLY_UNIT_DAY},
    {"days", TLY_UNIT_DAY},
    {"dec", TLY_UNIT_DECADE},
    {"decade", TLY_UNIT_DECADE},
    {"decades", TLY_UNIT_DECADE},
    {"decs", TLY_UNIT_DECADE},
    {"dow", TLY_UNIT_DOW},
    {"doy", TLY_UNIT_DOY},
    {"epoch", TLY_UNIT_EPOCH},
    {"h", TLY_UNIT_HOUR},
    {"hour", TLY_UNIT_HOUR},
    {"hours", TLY_UNIT_HOUR},
    {"hr", TLY_UNIT_HOUR},
    {"hrs", TLY_UNIT_HOUR},
    {"isodow", TLY_UNIT_ISODOW},
    {"isoyear", TLY_UNIT_ISOYEAR},
    {"j", TLY_UNIT_JULIAN},
    {"jd", TLY_UNIT_JULIAN},
    {"julian", TLY_UNIT_JULIAN},
    {"m", TLY_UNIT_MINUTE},
    {"microsecon", TLY_UNIT_MICROSECOND},
    {"mil", TLY_UNIT_MILLENNIUM},
    {"millennia", TLY_UNIT_MILLENNIUM},
    {"millennium", TLY_UNIT_MILLENNIUM},
    {"millisecon", TLY_UNIT_MILLISECOND},
    {"mils", TLY_UNIT_MILLENNIUM},
    {"min", TLY_UNIT_MINUTE},
    {"mins", TLY_UNIT_MINUTE},
    {"minute", TLY_UNIT_MINUTE},
    {"minutes", TLY_UNIT_MINUTE},
    {"mon", TLY_UNIT_MONTH},
    {"mons", TLY_UNIT_MONTH},
    {"month", TLY_UNIT_MONTH},
    {"months", TLY_UNIT_MONTH},
    {"ms", TLY_UNIT_MILLISECOND},
    {"msec", TLY_UNIT_MILLISECOND},
    {"msecond", TLY_UNIT_MILLISECOND},
    {"mseconds", TLY_UNIT_MILLISECOND},
    {"msecs", TLY_UNIT_MILLISECOND},
    {"qtr", TLY_UNIT_QUARTER},
    {"quarter", TLY_UNIT_QUARTER},
    {"s", TLY_UNIT_SECOND},
    {"sec", TLY_UNIT_SECOND},
    {"second", TLY_UNIT_SECOND},
    {"seconds", TLY_UNIT_SECOND},
    {"secs", TLY_UNIT_SECOND},
    {"timezone", TLY_UNIT_TIMEZONE},
    {"timezone_h", TLY_UNIT_TIMEZONE_HOUR},
    {"timezone_m", TLY_UNIT_TIMEZONE_MINUTE},
    {"us", TLY_UNIT_MICROSECOND},
    {"usec", TLY_UNIT_MICROSECOND},
    {"usecond", TLY_UNIT_MICROSECOND},
    {"useconds", TLY_UNIT_MICROSECOND},
    {"usecs", TLY_UNIT_MICROSECOND},
    {"w", TLY_UNIT_WEEK},
    {"week", TLY_UNIT_WEEK},
    {"weeks", TLY_UNIT_WEEK},
    {"y", TLY_UNIT_YEAR},
    {"year", TLY_UNIT_YEAR},
    {"years", TLY_UNIT_YEAR},
    {"yr", TLY_UNIT_YEAR},
    {"yrs", TLY_UNIT_YEAR},
};

enum tly_unit tly_unit_of(const char *word, size_t size) {
  char key[UNIT_LETTERS + 1] = {0};
  for (size_t i = 0; i < size && i < UNIT_LETTERS; i++)
    key[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + ('a' - 'A') : word[i]);
  size_t low = 0, high = sizeof words / sizeof *words;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(key, words[middle].word);
    if (order == 0)
      return words[middle].unit;
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return TLY_UNIT_NONE;
}

enum tly_status tly_unit_refuse(enum tly_unit unit, const char *word, size_t size, const char *type_name,
                                struct tly_error *error) {
  int shown = size < SHOWN_BYTES_MAX ? (int)size : SHOWN_BYTES_MAX;
  if (unit == TLY_UNIT_NONE)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "unit \"%.*s\" not recognized for type %s", shown, word, type_name);
  return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "unit \"%.*s\" not supported for type %s", shown, word, type_name);
}
