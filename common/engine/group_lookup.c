/* Three forms, each faster and more particular than the next; a lookup starts in the first that fits its first rows and
 * goes on to the next, never back, when what comes does not fit any more:
 *
 *   IDENTITY   one word, and new words come as 0, 1, 2, ... (an interned column): the word is the group's number.
 *   PAGES      one word is the *place*, the others choose a *page*; the number stands in the page's cell at the place.
 *              Accounts by hour: a page an hour with a cell an account, so that events near each other in time hit one
 *              page and an event finds its group by one load. Rows mostly stay in the page of the row before. It is
 *              kept only while cells are not many more than groups.
 *   HASHED     all words are hashed (word_index.h).
 *
 * The place is the word that ranges widest over the first rows while its range is still small: interned texts, dense
 * integers.
 *
 * INVARIANTS
 *   (1) Each group is in exactly one place: word, cell or slot.
 *   (2) PAGES: cell_count = page_count * span <= TLY_LOOKUP_CELLS_FREE + TLY_LOOKUP_CELLS_PER_GROUP * groups, as of the
 *       last time cells were added. */
#include "common/engine/group_lookup.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/word_index.h"

enum form { IDENTITY, PAGES, HASHED };
enum { SPARE_MIN = 16 };

struct tly_group_lookup {
  uint32_t word_count;
  enum form form;
  uint32_t count; /* groups */
  /* PAGES */
  uint32_t place_word;
  uint64_t base; /* of the places: cell p of a page is the word base + p */
  uint64_t span; /* cells of a page */
  uint32_t *cells;
  uint32_t page_capacity;
  struct tly_word_index pages; /* by the other words, in their order */
  uint64_t *rest;              /* room for one tuple of them: those of `page` */
  uint32_t page;               /* the page of the row before; TLY_WORD_NONE: not known */
  /* HASHED */
  struct tly_word_index index;
};

tly_group_lookup *tly_group_lookup_new(uint32_t word_count) {
  TLY_ASSERT(word_count >= 1);
  tly_group_lookup *lookup = tly_calloc(1, sizeof *lookup);
  lookup->word_count = word_count;
  lookup->rest = tly_calloc(word_count, sizeof *lookup->rest);
  tly_group_lookup_clear(lookup);
  return lookup;
}

void tly_group_lookup_free(tly_group_lookup *lookup) {
  if (lookup == NULL)
    return;
  tly_group_lookup_clear(lookup);
  tly_free(lookup->rest);
  tly_free(lookup);
}

static void free_pages(tly_group_lookup *lookup) {
  tly_free(lookup->cells);
  lookup->cells = NULL;
  lookup->page_capacity = 0;
  lookup->span = 0;
  lookup->page = TLY_WORD_NONE;
  tly_word_index_free(&lookup->pages);
}

void tly_group_lookup_clear(tly_group_lookup *lookup) {
  free_pages(lookup);
  tly_word_index_free(&lookup->index);
  lookup->count = 0;
  lookup->form = lookup->word_count == 1 ? IDENTITY : PAGES;
}

uint32_t tly_group_lookup_count(const tly_group_lookup *lookup) {
  return lookup->count;
}

size_t tly_group_lookup_bytes(const tly_group_lookup *lookup) {
  return lookup->page_capacity * lookup->span * sizeof *lookup->cells + tly_word_index_bytes(&lookup->pages) +
         tly_word_index_bytes(&lookup->index);
}

/* --- from one form to the next ------------------------------------------------------------------------------------ */

void tly_group_lookup_each(const tly_group_lookup *lookup, tly_group_words_visit visit, void *context) {
  if (lookup->form == HASHED) {
    for (uint32_t group = 0; group < lookup->count; group++)
      visit(context, group, &lookup->index.words[(size_t)group * lookup->word_count]);
    return;
  }
  if (lookup->form == IDENTITY) {
    for (uint64_t word = 0; word < lookup->count; word++)
      visit(context, (uint32_t)word, &word);
    return;
  }
  uint64_t *tuple = tly_calloc(lookup->word_count, sizeof *tuple);
  uint32_t rest_count = lookup->word_count - 1, place_word = lookup->place_word;
  for (uint32_t page = 0; page < lookup->pages.count; page++) {
    for (uint32_t w = 0; w < rest_count; w++)
      tuple[w < place_word ? w : w + 1] = lookup->pages.words[(size_t)page * rest_count + w];
    const uint32_t *cells = lookup->cells + page * lookup->span;
    for (uint64_t place = 0; place < lookup->span; place++) {
      if (cells[place] == TLY_WORD_NONE)
        continue;
      tuple[place_word] = lookup->base + place;
      visit(context, cells[place], tuple);
    }
  }
  tly_free(tuple);
}

static void put_in_index(void *context, uint32_t group, const uint64_t *words) {
  tly_word_index_put(context, words, group);
}

static void become_hashed(tly_group_lookup *lookup) {
  tly_word_index_init(&lookup->index, lookup->word_count);
  tly_word_index_reserve(&lookup->index, lookup->count);
  tly_group_lookup_each(lookup, put_in_index, &lookup->index);
  free_pages(lookup);
  lookup->form = HASHED;
}

/* --- identity ----------------------------------------------------------------------------------------------------- */

/* False, and nothing done, when a new word is not the next number. */
static bool find_identity(tly_group_lookup *lookup, const uint64_t *words, struct tly_rows rows, uint32_t *groups) {
  uint64_t count = lookup->count;
  TLY_EACH_ROW (rows, row) {
    if (words[row] > count)
      return false;
    count += words[row] == count;
    groups[row] = (uint32_t)words[row];
  }
  lookup->count = (uint32_t)count;
  return true;
}

/* --- pages -------------------------------------------------------------------------------------------------------- */

struct word_range {
  uint64_t least, most; /* as signed numbers: what is held in words is numbers of interned values, or integers */
};

/* Of words below `bound`, or, when that is 0, of those there are. */
static struct word_range range_of(const uint64_t *words, uint64_t bound, struct tly_rows rows) {
  if (bound > 0)
    return (struct word_range){.least = 0, .most = bound - 1};
  int64_t least = INT64_MAX, most = INT64_MIN;
  TLY_EACH_ROW (rows, row) {
    int64_t word = (int64_t)words[row];
    least = word < least ? word : least;
    most = word > most ? word : most;
  }
  return (struct word_range){.least = (uint64_t)least, .most = (uint64_t)most};
}

static bool may_have_cells(const tly_group_lookup *lookup, uint64_t page_count, uint64_t span) {
  uint64_t most = TLY_LOOKUP_CELLS_FREE + TLY_LOOKUP_CELLS_PER_GROUP * (uint64_t)lookup->count;
  return span <= most && page_count * span <= most;
}

static void choose_place(tly_group_lookup *lookup, uint64_t *const *words, const uint64_t *bounds,
                         struct tly_rows rows) {
  uint64_t widest = 0;
  lookup->place_word = 0;
  if (lookup->word_count == 1) {
    lookup->pages.count = 1;
    lookup->page = 0;
    return;
  }
  for (uint32_t w = 0; w < lookup->word_count; w++) {
    struct word_range range = range_of(words[w], bounds[w], rows);
    uint64_t width = range.most - range.least;
    if (width >= widest && width < TLY_LOOKUP_CELLS_FREE) {
      widest = width;
      lookup->place_word = w;
    }
  }
  tly_word_index_init(&lookup->pages, lookup->word_count - 1);
}

/* Bring the cells to pages of `span` cells that begin at `base` and take in all there were. */
static void lay_out(tly_group_lookup *lookup, uint64_t base, uint64_t span, uint32_t page_capacity) {
  uint32_t *cells = tly_malloc(page_capacity * span * sizeof *cells);
  memset(cells, 0xFF, lookup->pages.count * span * sizeof *cells);
  for (uint32_t page = 0; page < lookup->pages.count && lookup->span > 0; page++)
    memcpy(cells + page * span + (lookup->base - base), lookup->cells + page * lookup->span,
           lookup->span * sizeof *cells);
  tly_free(lookup->cells);
  lookup->cells = cells;
  lookup->base = base;
  lookup->span = span;
  lookup->page_capacity = page_capacity;
}

/* Let the pages' places take in the rows', with some to spare on the side where they grow; false when that were too
 * many cells. */
static bool take_in(tly_group_lookup *lookup, struct word_range range) {
  uint64_t least = range.least, most = range.most;
  if (lookup->span > 0) {
    uint64_t last = lookup->base + lookup->span - 1;
    if ((int64_t)least >= (int64_t)lookup->base && (int64_t)most <= (int64_t)last)
      return true;
    least = (int64_t)least < (int64_t)lookup->base ? least : lookup->base;
    most = (int64_t)most > (int64_t)last ? most : last;
  }
  uint64_t pages = lookup->pages.count > 0 ? lookup->pages.count : 1, width = most - least;
  if (width >= UINT32_MAX || !may_have_cells(lookup, pages, width + 1))
    return false;
  uint64_t span = width + 1, spare = span / 4 + SPARE_MIN;
  bool grows_down = lookup->span > 0 && least != lookup->base;
  uint64_t room = grows_down ? least - (uint64_t)INT64_MIN : (uint64_t)INT64_MAX - most;
  spare = spare < room ? spare : room;
  lay_out(lookup, grows_down ? least - spare : least, span + spare, (uint32_t)pages);
  return true;
}

/* One page, in which each number stands at itself. */
static void become_pages(tly_group_lookup *lookup) {
  lookup->form = PAGES;
  if (lookup->count == 0)
    return;
  lookup->place_word = 0;
  lookup->pages.count = 1;
  lookup->page = 0;
  lay_out(lookup, 0, lookup->count, 1);
  for (uint32_t group = 0; group < lookup->count; group++)
    lookup->cells[group] = group;
}

/* Another page; false when that were too many cells. */
static bool add_page(tly_group_lookup *lookup) {
  uint32_t page = lookup->pages.count - 1;
  if (!may_have_cells(lookup, lookup->pages.count, lookup->span))
    return false;
  if (page >= lookup->page_capacity) {
    uint32_t more = lookup->page_capacity / 4;
    lookup->page_capacity += more > 0 ? more : 1;
    lookup->cells = tly_realloc_array(lookup->cells, lookup->page_capacity * lookup->span, sizeof *lookup->cells);
  }
  memset(lookup->cells + page * lookup->span, 0xFF, lookup->span * sizeof *lookup->cells);
  return true;
}

/* Make the page of a row the present one. */
static bool turn_page(tly_group_lookup *lookup, uint64_t *const *words, uint32_t row) {
  uint32_t page_count = lookup->pages.count, rest_count = 0;
  for (uint32_t w = 0; w < lookup->word_count; w++)
    if (w != lookup->place_word)
      lookup->rest[rest_count++] = words[w][row];
  lookup->page = tly_word_index_find(&lookup->pages, lookup->rest);
  if (lookup->page < page_count || add_page(lookup))
    return true;
  lookup->pages.count = page_count; /* it has no cells, and all pages are about to go */
  return false;
}

TLY_ALWAYS_INLINE bool is_in_page(const tly_group_lookup *lookup, uint64_t *const *words, uint32_t row) {
  for (uint32_t w = 0, r = 0; w < lookup->word_count; w++)
    if (w != lookup->place_word && words[w][row] != lookup->rest[r++])
      return false;
  return true;
}

TLY_ALWAYS_INLINE uint32_t group_in(tly_group_lookup *lookup, uint32_t *cell) {
  if (*cell == TLY_WORD_NONE)
    *cell = lookup->count++;
  return *cell;
}

/* The usual case apart: two words, so that a row is in the page of the row before when one word is the same. */
TLY_ALWAYS_INLINE bool find_by_pairs(tly_group_lookup *lookup, uint64_t *const *words, struct tly_rows rows,
                                     uint32_t *groups) {
  const uint64_t *places = words[lookup->place_word], *rest = words[1 - lookup->place_word];
  uint64_t present = lookup->rest[0];
  uint32_t *cells = lookup->page != TLY_WORD_NONE ? lookup->cells + lookup->page * lookup->span : NULL;
  const uint64_t base = lookup->base;
  TLY_EACH_ROW (rows, row) {
    if (rest[row] != present || cells == NULL) {
      if (!turn_page(lookup, words, row))
        return false;
      present = rest[row];
      cells = lookup->cells + lookup->page * lookup->span;
    }
    groups[row] = group_in(lookup, &cells[places[row] - base]);
  }
  return true;
}

static bool find_in_pages(tly_group_lookup *lookup, uint64_t *const *words, const uint64_t *bounds,
                          struct tly_rows rows, uint32_t *groups) {
  if (lookup->span == 0)
    choose_place(lookup, words, bounds, rows);
  const uint64_t *places = words[lookup->place_word];
  if (!take_in(lookup, range_of(places, bounds[lookup->place_word], rows)))
    return false;
  const struct tly_rows all = {.list = NULL, .count = rows.count};
  if (lookup->word_count == 2) /* a loop for all rows, and one for a list */
    return rows.list == NULL ? find_by_pairs(lookup, words, all, groups) : find_by_pairs(lookup, words, rows, groups);
  TLY_EACH_ROW (rows, row) {
    if (lookup->page == TLY_WORD_NONE || !is_in_page(lookup, words, row))
      if (!turn_page(lookup, words, row))
        return false;
    groups[row] = group_in(lookup, &lookup->cells[lookup->page * lookup->span + (places[row] - lookup->base)]);
  }
  return true;
}

void tly_group_lookup_find(tly_group_lookup *lookup, uint64_t *const *words, const uint64_t *bounds,
                           struct tly_rows rows, uint32_t *groups) {
  if (rows.count == 0)
    return;
  if (lookup->form == IDENTITY) {
    if (find_identity(lookup, words[0], rows, groups))
      return;
    become_pages(lookup);
  }
  if (lookup->form == PAGES) {
    if (find_in_pages(lookup, words, bounds, rows, groups))
      return;
    become_hashed(lookup);
  }
  tly_word_index_find_rows(&lookup->index, words, rows, groups);
  lookup->count = lookup->index.count;
}
