/* PostgreSQL's choice among functions or operators of one name: func_select_candidate and its callers in
 * src/backend/parser/parse_func.c and parse_oper.c of PostgreSQL 15, restated over the rows of catalog.inc. The
 * manual's chapter 10 has the rules in words:
 *
 *   (a) A row whose types are exactly the arguments' wins. An operator with one untyped literal is first tried with
 * that literal of the other side's type. (b) Of the rows that the arguments convert to implicitly: keep those with the
 * most exact matches, (c) then those with the most arguments that are exact or of their category's preferred type, (d)
 * then, per untyped literal: text if any row takes text there, else the one category that all rows take there; within
 * it the preferred type if any row has it. (e) At last, if all typed arguments are of one type, try that type for the
 * untyped ones. (f) More than one left: ambiguous (42725). None: there is no such function (42883).
 *
 * A table that holds fewer rows than PostgreSQL's can only differ where the rows left out would have taken part; the
 * test compares with a real PostgreSQL. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

enum { CANDIDATES_MAX = 64 };

struct candidate {
  const enum tly_type_id *types;
  size_t row;
};

struct candidates {
  struct candidate items[CANDIDATES_MAX];
  uint32_t count;
};

static void add(struct candidates *candidates, const enum tly_type_id *types, size_t row) {
  TLY_ASSERT(candidates->count < CANDIDATES_MAX);
  candidates->items[candidates->count++] = (struct candidate){types, row};
}

static bool can_take(const enum tly_type_id *given, const enum tly_type_id *wanted, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!tly_coerce_can(given[i], wanted[i], TLY_COERCION_IMPLICIT))
      return false;
  return true;
}

static void keep_convertible(struct candidates *candidates, const enum tly_type_id *types, uint32_t count) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < candidates->count; i++)
    if (can_take(types, candidates->items[i].types, count))
      candidates->items[kept++] = candidates->items[i];
  candidates->count = kept;
}

/* Keep the candidates with the best score; all of them when the best is 0. */
static void keep_best(struct candidates *candidates, const uint32_t *scores) {
  uint32_t best = 0, kept = 0;
  for (uint32_t i = 0; i < candidates->count; i++)
    best = scores[i] > best ? scores[i] : best;
  for (uint32_t i = 0; i < candidates->count; i++)
    if (scores[i] == best)
      candidates->items[kept++] = candidates->items[i];
  candidates->count = kept;
}

static void keep_most_exact(struct candidates *candidates, const enum tly_type_id *types, uint32_t count,
                            bool or_preferred) {
  uint32_t scores[CANDIDATES_MAX] = {0};
  for (uint32_t i = 0; i < candidates->count; i++)
    for (uint32_t a = 0; a < count; a++) {
      enum tly_type_id wanted = candidates->items[i].types[a];
      bool same_category = tly_type_category(wanted) == tly_type_category(types[a]);
      if (types[a] != TLY_TYPE_UNKNOWN &&
          (wanted == types[a] || (or_preferred && same_category && tly_type_is_preferred(wanted))))
        scores[i]++;
    }
  keep_best(candidates, scores);
}

/* Rule (d) for one untyped argument: the category it is taken to be of, 0 when the rows disagree. */
static char category_at(const struct candidates *candidates, uint32_t argument, bool *has_preferred) {
  char category = 0;
  bool conflict = false;
  *has_preferred = false;
  for (uint32_t i = 0; i < candidates->count; i++) {
    enum tly_type_id wanted = candidates->items[i].types[argument];
    char its = tly_type_category(wanted);
    if (category == 0 || its == category) {
      category = its;
      *has_preferred |= tly_type_is_preferred(wanted);
    } else if (its == 'S') {
      category = 'S';
      *has_preferred = tly_type_is_preferred(wanted);
    } else {
      conflict = true;
    }
  }
  return conflict && category != 'S' ? 0 : category;
}

static void keep_by_category(struct candidates *candidates, const enum tly_type_id *types, uint32_t count) {
  char categories[TLY_CATALOG_ARGUMENTS_MAX] = {0};
  bool preferred[TLY_CATALOG_ARGUMENTS_MAX] = {false};
  for (uint32_t a = 0; a < count; a++) {
    if (types[a] != TLY_TYPE_UNKNOWN)
      continue;
    categories[a] = category_at(candidates, a, &preferred[a]);
    if (categories[a] == 0)
      return;
  }
  struct candidates kept = {.count = 0};
  for (uint32_t i = 0; i < candidates->count; i++) {
    bool keep = true;
    for (uint32_t a = 0; a < count; a++) {
      enum tly_type_id wanted = candidates->items[i].types[a];
      if (types[a] == TLY_TYPE_UNKNOWN &&
          (tly_type_category(wanted) != categories[a] || (preferred[a] && !tly_type_is_preferred(wanted))))
        keep = false;
    }
    if (keep)
      add(&kept, candidates->items[i].types, candidates->items[i].row);
  }
  if (kept.count > 0)
    *candidates = kept;
}

static void keep_by_known_type(struct candidates *candidates, const enum tly_type_id *types, uint32_t count) {
  enum tly_type_id known = TLY_TYPE_UNKNOWN;
  for (uint32_t a = 0; a < count; a++) {
    if (types[a] == TLY_TYPE_UNKNOWN)
      continue;
    if (known != TLY_TYPE_UNKNOWN && known != types[a])
      return;
    known = types[a];
  }
  if (known == TLY_TYPE_UNKNOWN)
    return;
  enum tly_type_id assumed[TLY_CATALOG_ARGUMENTS_MAX];
  for (uint32_t a = 0; a < count; a++)
    assumed[a] = known;
  struct candidates kept = *candidates;
  keep_convertible(&kept, assumed, count);
  if (kept.count == 1)
    *candidates = kept;
}

/* Rules (b) to (f). */
static size_t choose(struct candidates *candidates, const enum tly_type_id *types, uint32_t count, bool *is_ambiguous) {
  bool has_unknown = false;
  for (uint32_t a = 0; a < count; a++)
    has_unknown |= types[a] == TLY_TYPE_UNKNOWN;
  keep_convertible(candidates, types, count);
  if (candidates->count > 1)
    keep_most_exact(candidates, types, count, false);
  if (candidates->count > 1)
    keep_most_exact(candidates, types, count, true);
  if (candidates->count > 1 && has_unknown)
    keep_by_category(candidates, types, count);
  if (candidates->count > 1 && has_unknown)
    keep_by_known_type(candidates, types, count);
  *is_ambiguous = candidates->count > 1;
  return candidates->count == 1 ? candidates->items[0].row : SIZE_MAX;
}

static size_t exact(const struct candidates *candidates, const enum tly_type_id *types, uint32_t count) {
  for (uint32_t i = 0; i < candidates->count; i++)
    if (memcmp(candidates->items[i].types, types, count * sizeof types[0]) == 0)
      return candidates->items[i].row;
  return SIZE_MAX;
}

size_t tly_overload_function(const char *name, const enum tly_type_id *types, uint32_t count, bool *is_ambiguous) {
  struct candidates candidates = {.count = 0};
  *is_ambiguous = false;
  for (size_t row = 0; row < tly_catalog_function_count; row++)
    if (tly_catalog_functions[row].argument_count == count && strcmp(tly_catalog_functions[row].name, name) == 0)
      add(&candidates, tly_catalog_functions[row].arguments, row);
  if (candidates.count == 0)
    return SIZE_MAX;
  size_t row = exact(&candidates, types, count);
  return row != SIZE_MAX ? row : choose(&candidates, types, count, is_ambiguous);
}

static size_t prefix_operator(const char *name, enum tly_type_id right, bool *is_ambiguous) {
  struct candidates candidates = {.count = 0};
  for (size_t row = 0; row < tly_catalog_operator_count; row++)
    if (tly_catalog_operators[row].left == TLY_TYPE_UNKNOWN && strcmp(tly_catalog_operators[row].name, name) == 0)
      add(&candidates, &tly_catalog_operators[row].right, row);
  size_t row = exact(&candidates, &right, 1);
  return row != SIZE_MAX ? row : choose(&candidates, &right, 1, is_ambiguous);
}

size_t tly_overload_operator(const char *name, enum tly_type_id left, enum tly_type_id right, bool *is_ambiguous) {
  *is_ambiguous = false;
  if (left == TLY_TYPE_COUNT)
    return prefix_operator(name, right, is_ambiguous);
  struct candidates candidates = {.count = 0};
  enum tly_type_id pairs[CANDIDATES_MAX][2];
  for (size_t row = 0; row < tly_catalog_operator_count; row++) {
    const struct tly_catalog_operator *candidate = &tly_catalog_operators[row];
    if (candidate->left == TLY_TYPE_UNKNOWN || strcmp(candidate->name, name) != 0)
      continue;
    pairs[candidates.count][0] = candidate->left;
    pairs[candidates.count][1] = candidate->right;
    add(&candidates, pairs[candidates.count], row);
  }
  enum tly_type_id types[2] = {left, right};
  enum tly_type_id assumed[2] = {left == TLY_TYPE_UNKNOWN ? right : left, right == TLY_TYPE_UNKNOWN ? left : right};
  size_t row = exact(&candidates, assumed, 2);
  return row != SIZE_MAX ? row : choose(&candidates, types, 2, is_ambiguous);
}

size_t tly_overload_aggregate(const char *name, enum tly_type_id argument, bool *is_ambiguous) {
  struct candidates candidates = {.count = 0};
  *is_ambiguous = false;
  for (size_t row = 0; row < tly_catalog_aggregate_count; row++)
    if (strcmp(tly_catalog_aggregates[row].name, name) == 0)
      add(&candidates, &tly_catalog_aggregates[row].argument, row);
  size_t row = exact(&candidates, &argument, 1);
  return row != SIZE_MAX ? row : choose(&candidates, &argument, 1, is_ambiguous);
}

bool tly_overload_function_exists(const char *name) {
  for (size_t row = 0; row < tly_catalog_function_count; row++)
    if (strcmp(tly_catalog_functions[row].name, name) == 0)
      return true;
  return false;
}

bool tly_overload_operator_exists(const char *name) {
  for (size_t row = 0; row < tly_catalog_operator_count; row++)
    if (strcmp(tly_catalog_operators[row].name, name) == 0)
      return true;
  return false;
}

bool tly_overload_aggregate_exists(const char *name) {
  for (size_t row = 0; row < tly_catalog_aggregate_count; row++)
    if (strcmp(tly_catalog_aggregates[row].name, name) == 0)
      return true;
  return strcmp(name, "count") == 0;
}
