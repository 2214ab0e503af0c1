/* common/event/learned_layout.h -- shapes of JSON lines learned from the lines before: literal bytes with values
 * between.
 *
 * Path of an event: a JSON line -> [learned_layout] -> batch writer; what fits no layout goes to decode_json's strict
 * path, and from its success a layout may be learned.
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_LEARNED_LAYOUT_H
#define TLY_EVENT_LEARNED_LAYOUT_H

#include "common/base/buffer.h"
#include "common/event/batch_writer.h"
#include "common/event/path_tree.h"

struct tly_layouts;

/* `tree` is borrowed. */
struct tly_layouts *tly_layouts_new(const struct tly_path_tree *tree);
void tly_layouts_free(struct tly_layouts *layouts);
/* A new batch is decoded into. */
void tly_layouts_begin(struct tly_layouts *layouts);
/* If the line at `next` fits a layout: its event is committed to `writer`, and the first byte behind the line is
 * returned. Else NULL, and the writer's row is as it was. */
const char *tly_layouts_match(struct tly_layouts *layouts, const char *next, const char *end,
                              struct tly_batch_writer *writer);
/* Take note of the line [line, behind) of an input that ends at `end`: it fitted no layout and was accepted by the
 * strict path. Perhaps learn it. */
void tly_layouts_learn(struct tly_layouts *layouts, const char *line, const char *behind, const char *end,
                       struct tly_buffer *scratch);

#endif
