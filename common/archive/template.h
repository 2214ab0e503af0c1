/* common/archive/template.h -- how a producer spells its events: literal bytes and, between them, columns in a known
 * spelling.
 *
 * Path of an event: payload -> [template: columns alone give it back] -> block -> [template] -> payload.
 *
 * Most producers write every event with one format string. A template is that string, learned from one event; an event
 * that it renders from its typed columns byte for byte needs no raw bytes in the archive. Which it is, is tried event
 * by event at write time: a template never has to be right. Thread: a set of templates belongs to one thread; rendering
 * is pure. */
#ifndef TLY_ARCHIVE_TEMPLATE_H
#define TLY_ARCHIVE_TEMPLATE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/sql/typed_tree.h"
#include "common/value/vector.h"

/* How a column's value is spelled. Numbers of the stored format: only ever add at the end, and never change what one
 * renders: tests/common/archive/test_template.c has a golden text for each. */
enum tly_spelling {
  TLY_SPELL_TEXT,          /* the bytes themselves */
  TLY_SPELL_INTEGER,       /* 12 */
  TLY_SPELL_NUMERIC,       /* 12.50: all digits of the value's scale */
  TLY_SPELL_NUMERIC_SHORT, /* 12.5, 12: no zeros at the end */
  TLY_SPELL_NUMERIC_POINT, /* 12.5, 12.0: no zeros at the end, but one digit after the point */
  TLY_SPELL_DOUBLE_SHORT,  /* as above, for doubles that are a decimal of few digits */
  TLY_SPELL_DOUBLE_POINT,
  TLY_SPELL_BOOLEAN, /* true, false */
  TLY_SPELL_DATE,    /* 2026-03-02 */
  TLY_SPELL_TIME,    /* 2026-03-02T10:00:00.250 without a zone; parameter: digits after the point (7: no zeros at the
                        end), + 8 for a space instead of T */
  TLY_SPELL_EPOCH,   /* parameter: 6 seconds, 3 milliseconds, 0 microseconds */
  TLY_SPELL_UUID,    /* lower case, with dashes */
  TLY_SPELL_COUNT
};

enum {
  TLY_TEMPLATE_HOLES_MAX = 64,
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
