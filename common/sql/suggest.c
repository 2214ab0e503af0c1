/* "did you mean ...?": the nearest name by edit distance (Damerau's, with neighbours swapped as one edit). */
#include <string.h>

#include "common/sql/resolve.h"

static uint32_t least_of(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

static uint32_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  uint32_t rows[3][TLY_NAME_BYTES_MAX + 1];
  for (size_t j = 0; j <= b_size; j++)
    rows[0][j] = (uint32_t)j;
  for (size_t i = 1; i <= a_size; i++) {
    uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = (uint32_t)i;
    for (size_t j = 1; j <= b_size; j++) {
      uint32_t changed = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = least_of(changed, least_of(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least_of(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[a_size % 3][b_size];
}

void tly_suggest(struct tly_suggestion *suggestion, const char *name, const char *candidate) {
  size_t name_size = strlen(name), candidate_size = strlen(candidate);
  if (name_size > TLY_NAME_BYTES_MAX || candidate_size > TLY_NAME_BYTES_MAX)
    return;
  /* One slip in three letters; a name of two letters is near to everything. */
  uint32_t far = (uint32_t)(name_size > candidate_size ? name_size : candidate_size) / 3;
  uint32_t distance = edit_distance(name, name_size, candidate, candidate_size);
  if (distance > far || (suggestion->best != NULL && distance >= suggestion->distance))
    return;
  suggestion->best = candidate;
  suggestion->distance = distance;
}
