/* All positions and lengths of SQL are characters; the bytes are UTF-8 that was checked when it came in
 * (tly_text_is_valid), so stepping from lead byte to lead byte is safe everywhere else.
 *
 * Case. PostgreSQL maps one character to one by the C library's tables for C.UTF-8, and ILIKE compares the lower-case
 * forms. The same tables are used here, through a locale object of our own, so that setlocale() does not matter.
 *
 * LIKE. The pattern is matched from the left; at a mismatch only the last % that was passed is tried one character
 * further on. An earlier % never has to move: where the part between two % first matches is the place that leaves most
 * for the rest. So the time is at most pattern x text and no recursion is needed. A trailing backslash is an error only
 * when matching reaches it, as in PostgreSQL (like_match.c), which also looks at the first character behind a %
 * whatever the text is. */
#include "common/value/text.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>

#include "common/base/assert.h"

enum { CHARACTER_BYTES_MAX = 4 };

struct tly_text tly_text_of(const char *terminated) {
  return (struct tly_text){.data = terminated, .size = (uint32_t)strlen(terminated)};
}

int tly_text_compare(struct tly_text a, struct tly_text b) {
  uint32_t common = a.size < b.size ? a.size : b.size;
  int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool tly_text_equal(struct tly_text a, struct tly_text b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* How many of eight bytes at once are plain: ASCII and not NUL, all or nothing. */
static bool are_eight_plain(const char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  uint64_t zeros = (word - UINT64_C(0x0101010101010101)) & ~word;
  return ((word | zeros) & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_continuation(uint8_t byte) {
  return (byte & 0xC0) == 0x80;
}

/* Size of the well-formed character at `bytes` (Unicode table 3-7), 0 if there is none. */
static size_t valid_character_size(const uint8_t *bytes, size_t left) {
  uint8_t lead = bytes[0];
  if (lead < 0x80)
    return lead != 0;
  if (lead < 0xC2 || lead > 0xF4)
    return 0;
  size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < size)
    return 0;
  uint8_t second_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80; /* overlong forms */
  uint8_t second_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF; /* surrogates, above U+10FFFF */
  if (bytes[1] < second_min || bytes[1] > second_max)
    return 0;
  for (size_t i = 2; i < size; i++)
    if (!is_continuation(bytes[i]))
      return 0;
  return size;
}

bool tly_text_is_valid(const char *data, size_t size) {
  size_t place = 0;
  while (place < size) {
    if (size - place >= 8 && are_eight_plain(data + place)) {
      place += 8;
      continue;
    }
    size_t step = valid_character_size((const uint8_t *)data + place, size - place);
    if (step == 0)
      return false;
    place += step;
  }
  return true;
}

uint32_t tly_text_length(struct tly_text text) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < text.size; i++)
    count += !is_continuation((uint8_t)text.data[i]);
  return count;
}

static uint32_t character_size(struct tly_text text, uint32_t place) {
  uint8_t lead = (uint8_t)text.data[place];
  uint32_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  TLY_ASSERT(size <= text.size - place);
  return size;
}

/* The byte behind `count` characters from `place`, at most the end. */
static uint32_t skip_characters(struct tly_text text, uint32_t place, uint64_t count) {
  for (; count > 0 && place < text.size; count--)
    place += character_size(text, place);
  return place;
}

/* --- case ----------------------------------------------------------------------------------------------------------
 */

static locale_t character_locale;
static pthread_once_t character_locale_once = PTHREAD_ONCE_INIT;

static void make_character_locale(void) {
  character_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  TLY_ASSERT(character_locale != (locale_t)0);
}

static wint_t decode_character(struct tly_text text, uint32_t place, uint32_t size) {
  const uint8_t *bytes = (const uint8_t *)text.data + place;
  if (size == 1)
    return bytes[0];
  wint_t character = bytes[0] & (0x7Fu >> size);
  for (uint32_t i = 1; i < size; i++)
    character = character << 6 | (bytes[i] & 0x3Fu);
  return character;
}

static uint32_t encode_character(wint_t character, char *out) {
  if (character < 0x80) {
    out[0] = (char)character;
    return 1;
  }
  uint32_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  for (uint32_t i = size - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (character & 0x3F));
    character >>= 6;
  }
  out[0] = (char)((0xF00u >> size & 0xF0u) | character);
  return size;
}

static wint_t map_character(wint_t character, bool to_upper) {
  if (character < 0x80) {
    wint_t first = to_upper ? 'a' : 'A';
    return character - first < 26 ? character ^ 0x20 : character;
  }
  return to_upper ? towupper_l(character, character_locale) : towlower_l(character, character_locale);
}

static struct tly_text map_text(struct tly_text text, bool to_upper, struct tly_arena *arena) {
  pthread_once(&character_locale_once, make_character_locale);
  uint32_t length = tly_text_length(text);
  char *out = tly_arena_alloc(arena, (size_t)length * CHARACTER_BYTES_MAX);
  uint32_t written = 0;
  for (uint32_t place = 0; place < text.size;) {
    uint32_t size = character_size(text, place);
    written += encode_character(map_character(decode_character(text, place, size), to_upper), out + written);
    place += size;
  }
  return (struct tly_text){.data = out, .size = written};
}

struct tly_text tly_text_upper(struct tly_text text, struct tly_arena *arena) {
  return map_text(text, true, arena);
}

struct tly_text tly_text_lower(struct tly_text text, struct tly_arena *arena) {
  return map_text(text, false, arena);
}

/* --- parts ---------------------------------------------------------------------------------------------------------
 */

static struct tly_text part(struct tly_text text, uint32_t start, uint32_t end) {
  return (struct tly_text){.data = text.data + start, .size = end - start};
}

/* How many characters a negative count leaves: all but the last -count. */
static uint64_t count_without(struct tly_text text, int64_t count) {
  uint64_t cut = -(uint64_t)count;
  uint32_t length = tly_text_length(text);
  return cut >= length ? 0 : length - cut;
}

struct tly_text tly_text_left(struct tly_text text, int64_t count) {
  uint64_t kept = count >= 0 ? (uint64_t)count : count_without(text, count);
  return part(text, 0, skip_characters(text, 0, kept));
}

struct tly_text tly_text_right(struct tly_text text, int64_t count) {
  uint64_t skipped = count < 0 ? -(uint64_t)count : count_without(text, -count);
  return part(text, skip_characters(text, 0, skipped), text.size);
}

enum tly_status tly_text_substring(struct tly_text text, int64_t start, bool has_length, int64_t length,
                                   struct tly_text *out, struct tly_error *error) {
  int64_t end; /* the first position behind the result; 1-based, as start is */
  if (has_length && length < 0)
    return TLY_FAIL(error, TLY_E_SUBSTRING, "negative substring length not allowed");
  if (!has_length || __builtin_add_overflow(start, length, &end))
    end = INT64_MAX;
  if (start < 1)
    start = 1;
  if (end <= start) {
    *out = part(text, 0, 0);
    return TLY_OK;
  }
  uint32_t first = skip_characters(text, 0, (uint64_t)(start - 1));
  *out = part(text, first, skip_characters(text, first, (uint64_t)(end - start)));
  return TLY_OK;
}

static bool contains_character(struct tly_text set, const char *character, uint32_t size) {
  for (uint32_t place = 0; place < set.size;) {
    uint32_t set_size = character_size(set, place);
    if (set_size == size && memcmp(set.data + place, character, size) == 0)
      return true;
    place += set_size;
  }
  return false;
}

struct tly_text tly_text_trim(struct tly_text text, struct tly_text set, bool leading, bool trailing) {
  uint32_t start = 0, end = text.size;
  while (leading && start < end) {
    uint32_t size = character_size(text, start);
    if (!contains_character(set, text.data + start, size))
      break;
    start += size;
  }
  while (trailing && start < end) {
    uint32_t last = end - 1;
    while (last > start && is_continuation((uint8_t)text.data[last]))
      last--;
    if (!contains_character(set, text.data + last, end - last))
      break;
    end = last;
  }
  return part(text, start, end);
}

struct tly_text tly_text_concat(struct tly_text a, struct tly_text b, struct tly_arena *arena) {
  char *out = tly_arena_alloc(arena, (size_t)a.size + b.size);
  if (a.size > 0)
    memcpy(out, a.data, a.size);
  if (b.size > 0)
    memcpy(out + a.size, b.data, b.size);
  return (struct tly_text){.data = out, .size = a.size + b.size};
}

/* --- LIKE ----------------------------------------------------------------------------------------------------------
 */

/* Where matching stands: a place in the text and one in the pattern. */
struct like_place {
  uint32_t text, pattern;
};

static enum tly_status pattern_ends_with_escape(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character");
}

/* Whether the characters at both places agree; if so, step over both. */
static bool match_character(struct tly_text text, struct tly_text pattern, bool fold_case, struct like_place *place) {
  uint32_t text_size = character_size(text, place->text), pattern_size = character_size(pattern, place->pattern);
  bool is_same =
      text_size == pattern_size && memcmp(text.data + place->text, pattern.data + place->pattern, text_size) == 0;
  if (!is_same && fold_case)
    is_same = map_character(decode_character(text, place->text, text_size), false) ==
              map_character(decode_character(pattern, place->pattern, pattern_size), false);
  if (is_same) {
    place->text += text_size;
    place->pattern += pattern_size;
  }
  return is_same;
}

/* Step over a run of % and _ that starts with %. False when the text has too few characters for the _. */
static bool skip_wildcards(struct tly_text text, struct tly_text pattern, struct like_place *place) {
  for (; place->pattern < pattern.size; place->pattern++) {
    char wildcard = pattern.data[place->pattern];
    if (wildcard == '_' && place->text == text.size)
      return false;
    if (wildcard == '_')
      place->text += character_size(text, place->text);
    else if (wildcard != '%')
      break;
  }
  return true;
}

/* The next place from `place` on where the pattern behind a wildcard can start to match: its first byte is a plain one,
 * since skip_wildcards stopped there, and no byte inside a character equals the first byte of one. */
static uint32_t find_start(struct tly_text text, struct tly_text pattern, struct like_place place) {
  char first = pattern.data[place.pattern];
  if (first == '\\')
    first = pattern.data[place.pattern + 1];
  const char *found = memchr(text.data + place.text, first, text.size - place.text);
  return found == NULL ? text.size : (uint32_t)(found - text.data);
}

/* One character or escape of the pattern against the text. */
static enum tly_status match_one(struct tly_text text, struct tly_text pattern, bool fold_case,
                                 struct like_place *place, bool *is_matched, struct tly_error *error) {
  *is_matched = false;
  if (place->pattern == pattern.size)
    return TLY_OK;
  if (pattern.data[place->pattern] == '_') {
    place->text += character_size(text, place->text);
    place->pattern++;
    *is_matched = true;
    return TLY_OK;
  }
  place->pattern += pattern.data[place->pattern] == '\\';
  if (place->pattern == pattern.size)
    return pattern_ends_with_escape(error);
  *is_matched = match_character(text, pattern, fold_case, place);
  return TLY_OK;
}

enum tly_status tly_text_like(struct tly_text text, struct tly_text pattern, bool fold_case, bool *out,
                              struct tly_error *error) {
  struct like_place place = {0, 0}, retry = {0, 0};
  bool has_retry = false, is_matched;
  if (fold_case)
    pthread_once(&character_locale_once, make_character_locale);
  *out = false;
  while (place.text < text.size) {
    if (place.pattern < pattern.size && pattern.data[place.pattern] == '%') {
      if (!skip_wildcards(text, pattern, &place))
        return TLY_OK;
      *out = place.pattern == pattern.size;
      if (*out)
        return TLY_OK;
      if (pattern.data[place.pattern] == '\\' && place.pattern + 1 == pattern.size)
        return pattern_ends_with_escape(error);
      has_retry = true;
      retry = place;
    } else {
      TLY_TRY(match_one(text, pattern, fold_case, &place, &is_matched, error));
      if (is_matched)
        continue;
      if (!has_retry)
        return TLY_OK;
      retry.text += character_size(text, retry.text);
    }
    if (!fold_case)
      retry.text = find_start(text, pattern, retry);
    place = retry;
  }
  while (place.pattern < pattern.size && pattern.data[place.pattern] == '%')
    place.pattern++;
  *out = place.pattern == pattern.size;
  return TLY_OK;
}
