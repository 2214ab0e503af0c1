/* common/archive/template.h -- how a producer spells its events: literal bytes and, between them, columns in a known
 * spelling.
 *
 * Path of an event: payload -> [template: columns alone give it back] -> block -> [template] -> payload.
 *
 * Most producers write every event with one format string. A template is that string, learned from one event; an event
 * that it renders from its typed columns byte for byte needs no raw bytes in the archive. Which it is, is tried at
 * write time, once for all events of one shape (common/event/shape.h), else event by event: a template never has to be
 * right. Thread: a set of templates belongs to one thread; rendering is pure. */
#ifndef TLY_ARCHIVE_TEMPLATE_H
#define TLY_ARCHIVE_TEMPLATE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/event/shape.h"
#include "common/sql/typed_tree.h"
#include "common/value/vector.h"

enum {
  TLY_TEMPLATE_HOLES_MAX = TLY_SHAPE_HOLES_MAX,
  TLY_TEMPLATE_LITERAL_BYTES_MAX = 2048,
  TLY_TEMPLATE_PADDING = 16, /* readable behind the literals */
  TLY_TEMPLATES_MAX = 8
};

struct tly_template_hole {
  uint16_t literal_start, literal_size; /* what stands before it */
  uint16_t column;
  uint8_t spelling, parameter;
};

struct tly_template {
  uint32_t hole_count;
  struct tly_template_hole holes[TLY_TEMPLATE_HOLES_MAX];
  uint16_t tail_start, tail_size;
  char literals[TLY_TEMPLATE_LITERAL_BYTES_MAX + TLY_TEMPLATE_PADDING];
};

/* Learn from one event of `stream`, whose values stand in row `row` of `columns`. False when its payload has too many
 * parts or no column at all. */
bool tly_template_learn(const struct tly_stream *stream, const struct tly_vector *columns, uint32_t row,
                        struct tly_text payload, struct tly_template *out);
/* Whether rendering row `row` gives exactly `payload`. */
bool tly_template_matches(const struct tly_template *template, const struct tly_vector *columns, uint32_t row,
                          struct tly_text payload);
/* Whether its holes are the shape's: then all events of the shape match when one does. */
bool tly_template_has_shape(const struct tly_template *template, const struct tly_shape *shape);
/* Append the rendered row; false when a value cannot be spelled that way (it was then never written with this
 * template). */
bool tly_template_render(const struct tly_template *template, const struct tly_vector *columns, uint32_t row,
                         struct tly_buffer *out);

void tly_template_write(const struct tly_template *template, struct tly_buffer *out);
/* Fails the cursor on bytes that are no template over `column_count` columns. */
void tly_template_read(struct tly_cursor *in, uint32_t column_count, struct tly_template *out);

/* Whether its spellings are for columns of these types: before rendering with a template that was read. */
bool tly_template_fits(const struct tly_template *template, const struct tly_vector *columns);

/* The templates a writer has learned for a stream, the least used of which gives way to a new one. */
struct tly_templates {
  uint32_t count, last; /* the one that matched the event before */
  uint64_t used[TLY_TEMPLATES_MAX], clock;
  struct tly_template items[TLY_TEMPLATES_MAX];
};

#endif
