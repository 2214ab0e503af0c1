#include "common/value/uuid_internal.h"

static int hex_digit(char character) {
  if (character >= '0' && character <= '9')
    return character - '0';
  char lower = (char)(character | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool tly_uuid_parse(const char *text, size_t size, uint8_t out[TLY_UUID_BYTES]) {
  const char *end = text + size;
  bool has_braces = size > 0 && *text == '{';
  if (has_braces && *--end != '}')
    return false;
  text += has_braces;
  for (int i = 0; i < TLY_UUID_BYTES; i++) {
    int high, low;
    if (end - text < 2 || (high = hex_digit(text[0])) < 0 || (low = hex_digit(text[1])) < 0)
      return false;
    out[i] = (uint8_t)(high << 4 | low);
    text += 2;
    bool may_have_hyphen = i % 2 == 1 && i < TLY_UUID_BYTES - 1;
    text += may_have_hyphen && text < end && *text == '-';
  }
  return text == end;
}

void tly_uuid_print(const uint8_t bytes[TLY_UUID_BYTES], struct tly_buffer *out) {
  static const char hex[] = "0123456789abcdef";
  uint8_t *place = tly_buffer_reserve(out, 36);
  for (int i = 0; i < TLY_UUID_BYTES; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      *place++ = '-';
    *place++ = (uint8_t)hex[bytes[i] >> 4];
    *place++ = (uint8_t)hex[bytes[i] & 15];
  }
  out->size += 36;
}
