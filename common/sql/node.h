/* common/sql/node.h -- reading PostgreSQL's parse tree: one node, its members, and what must not be overlooked.
 *
 * Path of an event: parse -> [node] -> resolve. A node is {"Kind": {member: ...}}; some members hold a node's fields
 * without the kind around them (node_struct). libpg_query leaves out members that are zero, false, empty or NULL.
 * Thread: pure; nodes live as long as the tree they point into. */
#ifndef TLY_SQL_NODE_H
#define TLY_SQL_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

struct tly_node {
  const char *kind; /* NULL: there is no node */
  const struct json_t *fields;
};

#define TLY_LOCATION_NONE UINT32_MAX

#define TLY_NODE_NONE                                                                                                  \
  (struct tly_node) {                                                                                                  \
    .kind = NULL                                                                                                       \
  }

/* How many statements a tree has, and the i-th one. */
size_t tly_tree_statement_count(const struct json_t *tree);
struct tly_node tly_tree_statement(const struct json_t *tree, size_t index);

bool tly_node_is(struct tly_node node, const char *kind);
/* The node that `member` holds, {"Kind": {...}}; kind NULL when there is none. */
struct tly_node tly_node_child(struct tly_node node, const char *member);
/* The fields that `member` holds, as a node of `kind`. */
struct tly_node tly_node_struct(struct tly_node node, const char *member, const char *kind);
/* A list member. */
size_t tly_node_count(struct tly_node node, const char *member);
struct tly_node tly_node_item(struct tly_node node, const char *member, size_t index);
/* A text member, or NULL. */
const char *tly_node_text(struct tly_node node, const char *member);
/* An integer member, 0 when it is left out. */
int64_t tly_node_integer(struct tly_node node, const char *member);
bool tly_node_flag(struct tly_node node, const char *member);
bool tly_node_has(struct tly_node node, const char *member);
/* Byte offset in the statement's text: the node's own member "location", or that of the first node below it which has
 * one; TLY_LOCATION_NONE when there is none. */
uint32_t tly_node_location(struct tly_node node);
/* The text of a String node, or NULL. */
const char *tly_node_string(struct tly_node node);
/* An Integer member of an A_Const, with the sign that libpg_query lost read again from the text (parse.c, guard 4). */
int64_t tly_node_constant_integer(struct tly_node constant, const char *sql, size_t size);

/* The first member that is not among the space-separated `known` ones, or NULL: nothing that was written may be
 * overlooked. "location" is always known. */
const char *tly_node_unexpected(struct tly_node node, const char *known);

#endif
