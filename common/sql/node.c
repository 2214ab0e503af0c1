#include "common/sql/node.h"

#include <jansson.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/scan.h"

static struct tly_node node_of(const json_t *wrapped) {
  if (!json_is_object(wrapped) || json_object_size(wrapped) == 0)
    return TLY_NODE_NONE;
  void *first = json_object_iter((json_t *)wrapped);
  return (struct tly_node){json_object_iter_key(first), json_object_iter_value(first)};
}

static const json_t *statement_of(const json_t *tree, size_t index) {
  return json_object_get(json_array_get(json_object_get(tree, "stmts"), index), "stmt");
}

size_t tly_tree_statement_count(const json_t *tree) {
  return json_array_size(json_object_get(tree, "stmts"));
}

struct tly_node tly_tree_statement(const json_t *tree, size_t index) {
  return node_of(statement_of(tree, index));
}

bool tly_node_is(struct tly_node node, const char *kind) {
  return node.kind != NULL && strcmp(node.kind, kind) == 0;
}

struct tly_node tly_node_child(struct tly_node node, const char *member) {
  return node_of(json_object_get(node.fields, member));
}

struct tly_node tly_node_struct(struct tly_node node, const char *member, const char *kind) {
  const json_t *fields = json_object_get(node.fields, member);
  return fields == NULL ? TLY_NODE_NONE : (struct tly_node){kind, fields};
}

size_t tly_node_count(struct tly_node node, const char *member) {
  return json_array_size(json_object_get(node.fields, member));
}

struct tly_node tly_node_item(struct tly_node node, const char *member, size_t index) {
  return node_of(json_array_get(json_object_get(node.fields, member), index));
}

const char *tly_node_text(struct tly_node node, const char *member) {
  return json_string_value(json_object_get(node.fields, member));
}

int64_t tly_node_integer(struct tly_node node, const char *member) {
  return json_integer_value(json_object_get(node.fields, member));
}

bool tly_node_flag(struct tly_node node, const char *member) {
  return json_is_true(json_object_get(node.fields, member));
}

bool tly_node_has(struct tly_node node, const char *member) {
  return json_object_get(node.fields, member) != NULL;
}

/* Only nodes that have a location of their own leave it out at byte 0; byte 0 is always inside a keyword of the
 * statement, where no caret is ever wanted but for a definition's or query's first word. */
static uint32_t location_below(const json_t *value) {
  uint32_t least = TLY_LOCATION_NONE;
  const char *key;
  json_t *member;
  size_t index;
  if (json_is_object(value)) {
    const json_t *own = json_object_get(value, "location");
    if (json_is_integer(own) && json_integer_value(own) >= 0)
      return (uint32_t)json_integer_value(own);
    json_object_foreach((json_t *)value, key, member) {
      uint32_t location = location_below(member);
      least = location < least ? location : least;
    }
  } else if (json_is_array(value)) {
    json_array_foreach(value, index, member) {
      uint32_t location = location_below(member);
      least = location < least ? location : least;
    }
  }
  return least;
}

uint32_t tly_node_location(struct tly_node node) {
  return location_below(node.fields);
}

const char *tly_node_string(struct tly_node node) {
  return tly_node_is(node, "String") ? tly_node_text(node, "sval") : NULL;
}

/* Past what may stand between the '-' of a negative constant and its digits: blanks, parentheses and further signs
 * (`- (- 5)` is one constant to the grammar). */
static const char *skip_to_digits(const char *at, const char *end, bool *negative) {
  for (;;) {
    at = tly_scan_blank(at, end);
    if (at == end || (*at >= '0' && *at <= '9'))
      return at;
    *negative ^= *at == '-';
    at++;
  }
}

int64_t tly_node_constant_integer(struct tly_node constant, const char *sql, size_t size) {
  int64_t written = tly_node_integer(tly_node_struct(constant, "ival", "Integer"), "ival");
  uint32_t location = tly_node_location(constant);
  if (written != 0 || location >= size || sql[location] != '-')
    return written;
  bool negative = false;
  const char *end = sql + size;
  const char *at = skip_to_digits(sql + location, end, &negative);
  int64_t value = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) {
    value = value * 10 + (*at - '0');
    TLY_ASSERT(value <= INT64_C(2147483648));
  }
  return negative ? -value : value;
}

const char *tly_node_unexpected(struct tly_node node, const char *known) {
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)node.fields, key, member) {
    if (strcmp(key, "location") == 0)
      continue;
    size_t length = strlen(key);
    const char *found = known;
    while ((found = strstr(found, key)) != NULL) {
      bool starts = found == known || found[-1] == ' ';
      bool ends = found[length] == ' ' || found[length] == '\0';
      if (starts && ends)
        break;
      found += length;
    }
    if (found == NULL)
      return key;
  }
  return NULL;
}
