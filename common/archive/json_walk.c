#include "common/archive/json_walk.h"

static void skip_space(struct tly_json_walk *walk) {
  while (walk->next < walk->end &&
         (*walk->next == ' ' || *walk->next == '\t' || *walk->next == '\n' || *walk->next == '\r'))
    walk->next++;
}

static bool skip_byte(struct tly_json_walk *walk, char byte) {
  skip_space(walk);
  if (walk->next == walk->end || *walk->next != byte)
    return false;
  walk->next++;
  return true;
}

static void skip_string(struct tly_json_walk *walk) {
  walk->next++;
  while (walk->next < walk->end && *walk->next != '"')
    walk->next += *walk->next == '\\' && walk->end - walk->next > 1 ? 2 : 1;
  if (walk->next < walk->end)
    walk->next++;
}

static void skip_scalar(struct tly_json_walk *walk) {
  const char *start = walk->next;
  while (walk->next < walk->end && *walk->next != ',' && *walk->next != '}' && *walk->next != ']' &&
         *walk->next != ' ' && *walk->next != '\t' && *walk->next != '\r' && *walk->next != '\n')
    walk->next++;
  if (walk->next == start)
    walk->next = walk->end; /* no JSON: whoever loops over values must come to an end */
}

static void skip_nested(struct tly_json_walk *walk) {
  int depth = 0;
  while (walk->next < walk->end) {
    char byte = *walk->next;
    if (byte == '"') {
      skip_string(walk);
      continue;
    }
    walk->next++;
    if (byte == '{' || byte == '[')
      depth++;
    else if ((byte == '}' || byte == ']') && --depth == 0)
      return;
  }
}

bool tly_json_enter_object(struct tly_json_walk *walk) {
  return skip_byte(walk, '{');
}

bool tly_json_enter_array(struct tly_json_walk *walk) {
  return skip_byte(walk, '[');
}

bool tly_json_next_member(struct tly_json_walk *walk, struct tly_text *name) {
  (void)skip_byte(walk, ',');
  skip_space(walk);
  if (walk->next == walk->end || *walk->next != '"') {
    (void)skip_byte(walk, '}');
    return false;
  }
  const char *start = walk->next + 1;
  skip_string(walk);
  *name = (struct tly_text){.data = start, .size = (uint32_t)(walk->next - start)};
  if (name->size > 0)
    name->size--; /* the closing quote */
  if (!skip_byte(walk, ':'))
    return false;
  skip_space(walk);
  return true;
}

bool tly_json_next_element(struct tly_json_walk *walk) {
  (void)skip_byte(walk, ',');
  skip_space(walk);
  return walk->next < walk->end && !skip_byte(walk, ']');
}

struct tly_text tly_json_skip_value(struct tly_json_walk *walk) {
  skip_space(walk);
  const char *start = walk->next;
  if (walk->next < walk->end) {
    if (*walk->next == '"')
      skip_string(walk);
    else if (*walk->next == '{' || *walk->next == '[')
      skip_nested(walk);
    else
      skip_scalar(walk);
  }
  return (struct tly_text){.data = start, .size = (uint32_t)(walk->next - start)};
}
