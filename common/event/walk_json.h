/* common/event/walk_json.h -- the strict scanner's tokens, each with the node of the path tree it belongs to.
 *
 * Path of an event: scan_json -> [walk_json] -> decode_json (values into columns), learned_layout (where values stand).
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_WALK_JSON_H
#define TLY_EVENT_WALK_JSON_H

#include "common/base/buffer.h"
#include "common/base/limits.h"
#include "common/event/path_tree.h"
#include "common/event/scan_json.h"

struct tly_json_walk {
  struct tly_json_scanner scanner;
  const struct tly_path_tree *tree;
  struct tly_buffer *scratch;                  /* for unescaped keys */
  uint32_t containers[TLY_JSON_DEPTH_MAX + 1]; /* by depth: the node whose members are read, or TLY_PATH_NONE */
  uint32_t node;      /* of the last token: a key, or the value after it; TLY_PATH_NONE: no column wants it */
  uint32_t next_node; /* of the next token, unless it is a key */
};

void tly_json_walk_init(struct tly_json_walk *walk, const struct tly_path_tree *tree, struct tly_buffer *scratch,
                        const char *text, size_t size);
/* As tly_json_scan; walk->node is the token's node (TLY_PATH_NONE for ends). A text that is no object fails here. */
TLY_CHECK enum tly_status tly_json_walk_next(struct tly_json_walk *walk, struct tly_json_token *token,
                                             struct tly_error *error);

#endif
