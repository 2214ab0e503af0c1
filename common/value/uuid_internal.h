/* common/value/uuid_internal.h -- a uuid's text, for value.c.
 * Thread: pure. */
#ifndef TLY_VALUE_UUID_INTERNAL_H
#define TLY_VALUE_UUID_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum { TLY_UUID_BYTES = 16 };

/* 32 hexadecimal digits in either case; a hyphen may follow every fourth; braces around it are allowed. */
bool tly_uuid_parse(const char *text, size_t size, uint8_t out[TLY_UUID_BYTES]);
/* Lower case, 8-4-4-4-12. */
void tly_uuid_print(const uint8_t bytes[TLY_UUID_BYTES], struct tly_buffer *out);

#endif
