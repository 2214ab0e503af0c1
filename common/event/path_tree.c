#include "common/event/path_tree.h"

#include <ctype.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

/* A name as two words: with its size they are the whole of it up to WORDS_SIZE bytes. */
struct words {
  uint64_t head, tail;
};

enum { WORDS_SIZE = 16 };

static inline struct words words_of(const char *name, uint32_t size) {
  struct words words = {0};
  if (size >= 8) {
    memcpy(&words.head, name, 8);
    memcpy(&words.tail, name + size - 8, 8);
  } else if (size >= 4) {
    memcpy(&words.head, name, 4);
    memcpy(&words.tail, name + size - 4, 4);
  } else if (size > 0) {
    words.head = (uint64_t)(unsigned char)name[0] << 8 | (unsigned char)name[size / 2];
    words.tail = (unsigned char)name[size - 1];
  }
  return words;
}

/* Clients choose the names that are looked up but not those that are in the table, so a chain is never longer than the
 * stream's own paths make it. */
static inline uint32_t first_slot(const struct tly_path_tree *tree, uint32_t parent, struct words words,
                                  uint32_t size) {
  uint64_t mixed =
      (words.head ^ size) * UINT64_C(0x9E3779B97F4A7C15) + (words.tail ^ parent) * UINT64_C(0xC2B2AE3D27D4EB4F);
  return (uint32_t)(mixed >> 32) & tree->slot_mask;
}

static inline bool is_node(const struct tly_path_node *node, uint32_t parent, struct words words, const char *name,
                           uint32_t size) {
  return node->head == words.head && node->tail == words.tail && node->size == size && node->parent == parent &&
         (size <= WORDS_SIZE || memcmp(node->name, name, size) == 0);
}

uint32_t tly_path_tree_find(const struct tly_path_tree *tree, uint32_t parent, const char *name, uint32_t size) {
  struct words words = words_of(name, size);
  for (uint32_t slot = first_slot(tree, parent, words, size);; slot = (slot + 1) & tree->slot_mask) {
    uint32_t node = tree->slots[slot];
    if (node == TLY_PATH_NONE || is_node(&tree->nodes[node], parent, words, name, size))
      return node;
  }
}

static uint32_t add_node(struct tly_path_tree *tree, uint32_t parent, const char *name) {
  uint32_t size = (uint32_t)strlen(name);
  struct words words = words_of(name, size);
  uint32_t node = tree->count++;
  TLY_ASSERT(node < tree->capacity);
  tree->nodes[node] = (struct tly_path_node){.name = name,
                                             .size = size,
                                             .parent = parent,
                                             .head = words.head,
                                             .tail = words.tail,
                                             .column = TLY_PATH_NONE,
                                             .some_below = TLY_PATH_NONE};
  uint32_t slot = first_slot(tree, parent, words, size);
  while (tree->slots[slot] != TLY_PATH_NONE)
    slot = (slot + 1) & tree->slot_mask;
  tree->slots[slot] = node;
  return node;
}

static void add_column(struct tly_path_tree *tree, uint32_t column) {
  const struct tly_stream_column *definition = &tree->stream->columns[column];
  TLY_ASSERT(definition->path_count > 0);
  uint32_t node = TLY_PATH_ROOT;
  for (uint32_t i = 0; i < definition->path_count; i++) {
    const char *name = definition->path[i];
    uint32_t child = tly_path_tree_find(tree, node, name, (uint32_t)strlen(name));
    if (node != TLY_PATH_ROOT)
      tree->nodes[node].some_below = column;
    node = child != TLY_PATH_NONE ? child : add_node(tree, node, name);
  }
  if (tree->nodes[node].column != TLY_PATH_NONE)
    tree->has_shared_paths = true;
  tree->node_of_column[column] = node;
  tree->next_of_column[column] = tree->nodes[node].column;
  tree->nodes[node].column = column;
}

void tly_path_tree_init(struct tly_path_tree *tree, const struct tly_stream *stream) {
  *tree = (struct tly_path_tree){.stream = stream, .count = 1, .capacity = 1};
  for (uint32_t i = 0; i < stream->column_count; i++)
    tree->capacity += stream->columns[i].path_count;
  uint32_t slots = 8;
  while (slots < 2 * tree->capacity)
    slots *= 2;
  tree->nodes = tly_calloc(tree->capacity, sizeof *tree->nodes);
  tree->nodes[TLY_PATH_ROOT].column = TLY_PATH_NONE;
  tree->slots = tly_malloc(slots * sizeof *tree->slots);
  memset(tree->slots, 0xFF, slots * sizeof *tree->slots);
  tree->slot_mask = slots - 1;
  tree->node_of_column = tly_calloc(stream->column_count, sizeof *tree->node_of_column);
  tree->next_of_column = tly_calloc(stream->column_count, sizeof *tree->next_of_column);
  for (uint32_t i = 0; i < stream->column_count; i++)
    add_column(tree, i);
}

void tly_path_tree_free(struct tly_path_tree *tree) {
  tly_free(tree->nodes);
  tly_free(tree->slots);
  tly_free(tree->node_of_column);
  tly_free(tree->next_of_column);
  *tree = (struct tly_path_tree){0};
}

static bool is_filler(char c) {
  return c == '_' || c == '-';
}

bool tly_path_names_alike(const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t i = 0;
  size_t j = 0;
  for (;;) {
    while (i < a_size && is_filler(a[i]))
      i++;
    while (j < b_size && is_filler(b[j]))
      j++;
    if (i == a_size || j == b_size)
      return i == a_size && j == b_size;
    if (tolower((unsigned char)a[i++]) != tolower((unsigned char)b[j++]))
      return false;
  }
}
