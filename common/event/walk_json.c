#include "common/event/walk_json.h"

#include "common/base/assert.h"

void tly_json_walk_init(struct tly_json_walk *walk, const struct tly_path_tree *tree, struct tly_buffer *scratch,
                        const char *text, size_t size) {
  tly_json_scanner_init(&walk->scanner, text, size);
  walk->tree = tree;
  walk->scratch = scratch;
  walk->next_node = TLY_PATH_ROOT;
}

static uint32_t find_member(struct tly_json_walk *walk, const struct tly_json_token *key) {
  uint32_t parent = walk->containers[walk->scanner.depth];
  if (parent == TLY_PATH_NONE)
    return TLY_PATH_NONE;
  if (!key->is_escaped)
    return tly_path_tree_find(walk->tree, parent, key->data, key->size);
  tly_buffer_clear(walk->scratch);
  char *name = (char *)tly_buffer_reserve(walk->scratch, key->size);
  return tly_path_tree_find(walk->tree, parent, name, tly_json_unescape(key->data, key->size, name));
}

/* The members of an object matter when a path goes through it; those of an array never do. */
static void enter_container(struct tly_json_walk *walk, bool is_object) {
  uint32_t node = walk->node;
  bool is_on_path = is_object && node != TLY_PATH_NONE &&
                    (node == TLY_PATH_ROOT || walk->tree->nodes[node].some_below != TLY_PATH_NONE);
  walk->containers[walk->scanner.depth] = is_on_path ? node : TLY_PATH_NONE;
}

enum tly_status tly_json_walk_next(struct tly_json_walk *walk, struct tly_json_token *token, struct tly_error *error) {
  TLY_TRY(tly_json_scan(&walk->scanner, token, error));
  walk->node = walk->next_node;
  switch (token->kind) {
  case TLY_JSON_KEY:
    walk->next_node = find_member(walk, token);
    walk->node = walk->next_node;
    return TLY_OK;
  case TLY_JSON_OBJECT_BEGIN: enter_container(walk, true); return TLY_OK;
  case TLY_JSON_OBJECT_END:
  case TLY_JSON_ARRAY_END:
  case TLY_JSON_END:
    walk->next_node = TLY_PATH_NONE; /* a key comes next, or another element of an array */
    walk->node = TLY_PATH_NONE;
    return TLY_OK;
  case TLY_JSON_ARRAY_BEGIN:
    enter_container(walk, false);
    walk->next_node = TLY_PATH_NONE;
    break;
  default: break;
  }
  if (walk->node == TLY_PATH_ROOT) /* no key came before it */
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "an event is a JSON object, but this line is %s",
                    tly_json_kind_words(token->kind));
  return TLY_OK;
}
