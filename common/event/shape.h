/* common/event/shape.h -- what a decoder knows of how events are spelled: which of their bytes their columns give back.
 *
 * Path of an event: learned layout -> [shape] -> event batch -> the archive, which keeps no bytes that its columns give
 * back and need not try it event by event where a shape says so. Thread: pure data. */
#ifndef TLY_EVENT_SHAPE_H
#define TLY_EVENT_SHAPE_H

#include <stdint.h>

/* How a column's value is spelled. Numbers of the archive's stored format: only ever add at the end, and never change
 * what one renders: tests/common/archive/test_template.c has a golden text for each. */
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
  TLY_SHAPE_HOLES_MAX = 64,
  TLY_SHAPES_MAX = 8 /* of one batch */
};

struct tly_shape_hole {
  uint16_t column;
  uint8_t spelling, parameter;
};

/* Two events of one shape have the same bytes but for these columns' values, which stand in this order, none of them
 * NULL, each in this spelling. So if rendering one of them from literal bytes and exactly these holes gives its
 * payload, rendering the other one does, too. */
struct tly_shape {
  uint32_t hole_count;
  struct tly_shape_hole holes[TLY_SHAPE_HOLES_MAX];
};

#endif
