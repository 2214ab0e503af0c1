/* common/event/path_tree.h -- which member of a JSON event belongs to which column: the columns' paths as one tree.
 *
 * Path of an event: a key of the line -> [path tree] -> column. Node 0 is the event itself.
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_PATH_TREE_H
#define TLY_EVENT_PATH_TREE_H

#include "common/sql/typed_tree.h"

#define TLY_PATH_NONE UINT32_MAX
#define TLY_PATH_ROOT 0

struct tly_path_node {
  const char *name; /* of the stream */
  uint32_t size;
  uint32_t parent;
  uint64_t head, tail; /* the bytes at either end, which up to 16 bytes are the whole name */
  uint32_t column;     /* a column whose path ends here, or TLY_PATH_NONE */
  uint32_t some_below; /* a column whose path goes on below, or TLY_PATH_NONE */
  uint64_t seen;       /* number of the last event that had it: a second time in one event is a duplicate key */
};

struct tly_path_tree {
  const struct tly_stream *stream;
  struct tly_path_node *nodes;
  uint32_t count, capacity;
  uint32_t *slots; /* open addressing over (parent, name); the size is a power of two, at most half full */
  uint32_t slot_mask;
  uint32_t *node_of_column;
  uint32_t *next_of_column; /* per column: another one with the very same path, or TLY_PATH_NONE */
  bool has_shared_paths;
};

void tly_path_tree_init(struct tly_path_tree *tree, const struct tly_stream *stream);
void tly_path_tree_free(struct tly_path_tree *tree);
/* The member `name` of `parent`, or TLY_PATH_NONE. The cost is bounded by the stream's definition and by `size`. */
uint32_t tly_path_tree_find(const struct tly_path_tree *tree, uint32_t parent, const char *name, uint32_t size);
/* Equal but for upper and lower case, '_' and '-': what a producer may have meant. */
bool tly_path_names_alike(const char *a, size_t a_size, const char *b, size_t b_size);

#endif
