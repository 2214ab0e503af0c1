/* common/archive/json_walk.h -- where values stand in JSON that is known to be valid.
 *
 * Path of an event: payload -> [places of its values] -> template; and request line -> [its events as they came].
 * Not a parser: it trusts that a strict one has accepted the text, and on any other text ends somewhere inside it.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_JSON_WALK_H
#define TLY_ARCHIVE_JSON_WALK_H

#include <stdbool.h>

#include "common/value/text.h"

/* A place in the text. */
struct tly_json_walk {
  const char *next, *end;
};

/* Enter the object or array that stands here; false when something else does. */
bool tly_json_enter_object(struct tly_json_walk *walk);
bool tly_json_enter_array(struct tly_json_walk *walk);
/* The next member: its name as spelled between the quotes, with the walk at its value; or false, behind the object's
 * end. */
bool tly_json_next_member(struct tly_json_walk *walk, struct tly_text *name);
/* The walk at the next element; or false, behind the array's end. */
bool tly_json_next_element(struct tly_json_walk *walk);
/* The value that stands here, as spelled, with the walk behind it. */
struct tly_text tly_json_skip_value(struct tly_json_walk *walk);

#endif
