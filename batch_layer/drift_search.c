/* States can be added, not subtracted: a minimum that was lowered does not tell what it was. So nothing is subtracted.
 *
 * Let P(i) be the sum of the first i events, R = P(n) the right state and L the live one. If live lacks just the events
 * a .. b-1 then L + P(b) and R + P(a) are sums of the very same events, so they are equal; if it has them twice then
 * L + P(a) equals R + P(b). Both sums are made for every i, which is 2 n additions, and equal ones are found by sorting
 * their hashes: canonical states are equal when their bytes are. For counts and sums the equality is also sufficient;
 * for a minimum it is not (after the smallest event every sum is equal), so each candidate is tried: the events are
 * added up and compared. Candidates are tried shortest first, until ADDITIONS_MAX.
 *
 * A part above 0 (a distinct set) has no states: a row is there or not, and any of its events alone brings it. What
 * live lacks then are all of them. */
#include "batch_layer/drift_search.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/give_way.h"
#include "common/base/memory.h"
#include "common/engine/group_block.h"
#include "common/store/slice.h"

enum { ADDITIONS_MAX = 1000000, GIVE_WAY_EVENTS = 1024 };

struct tly_drift_search {
  const struct tly_view_program *program;
  uint32_t part;
  uint32_t count, capacity, event_max;
  size_t *ends; /* of each event's share in `shares` */
  struct tly_buffer shares;
};

tly_drift_search *tly_drift_search_new(const struct tly_view_program *program, uint32_t part, uint32_t event_max) {
  tly_drift_search *search = tly_calloc(1, sizeof *search);
  search->program = program;
  search->part = part;
  search->event_max = event_max;
  return search;
}

void tly_drift_search_free(tly_drift_search *search) {
  if (search == NULL)
    return;
  tly_buffer_free(&search->shares);
  tly_free(search->ends);
  tly_free(search);
}

uint32_t tly_drift_search_count(const tly_drift_search *search) {
  return search->count;
}

bool tly_drift_search_add(tly_drift_search *search, const struct tly_group_slice *slice, uint32_t row) {
  struct tly_slice_window window;
  TLY_ASSERT(slice->part == search->part && row < slice->count);
  if (search->count >= search->event_max)
    return false;
  if (search->count == search->capacity) {
    search->capacity = search->capacity == 0 ? 64 : 2 * search->capacity;
    search->ends = tly_realloc_array(search->ends, search->capacity, sizeof *search->ends);
  }
  tly_slice_window_init(&window, search->program, search->part);
  tly_group_block_encode_plain(tly_slice_window_set(&window, slice, row, row + 1), &search->shares);
  tly_slice_window_free(&window);
  search->ends[search->count++] = search->shares.size;
  return true;
}

/* ---- sums of shares ---------------------------------------------------------------------------------------------- */

/* A state that is added to; `is_there` false: nothing was added yet, and it equals no other. */
struct sum {
  struct tly_group_slice slice; /* one row */
  bool is_there;
};

static enum tly_status add_bytes(struct sum *sum, const void *bytes, size_t size, struct tly_error *error) {
  struct tly_group_slice share;
  if (!sum->is_there) {
    sum->is_there = true;
    return tly_group_block_decode(bytes, size, 1, &sum->slice, error);
  }
  if (sum->slice.part > 0)
    return TLY_OK;
  tly_group_slice_init(&share, sum->slice.program, sum->slice.part);
  enum tly_status status = tly_group_block_decode(bytes, size, 1, &share, error);
  if (status == TLY_OK)
    tly_states_merge(sum->slice.program, sum->slice.states, 0, share.states, 0, &sum->slice.arena);
  tly_group_slice_free(&share);
  return status;
}

static enum tly_status add_event(const tly_drift_search *search, uint32_t event, struct sum *sum,
                                 struct tly_error *error) {
  size_t start = event > 0 ? search->ends[event - 1] : 0;
  return add_bytes(sum, search->shares.data + start, search->ends[event] - start, error);
}

static struct tly_hash hash_of(const struct sum *sum, struct tly_buffer *scratch) {
  const struct tly_text key = sum->slice.keys[0];
  tly_buffer_clear(scratch);
  tly_group_block_encode_plain(&sum->slice, scratch);
  return tly_group_block_checksum(key, key, 1, scratch->data, scratch->size);
}

static bool sums_equal(const struct sum *a, const struct sum *b) {
  if (!a->is_there || !b->is_there)
    return a->is_there == b->is_there;
  return a->slice.part > 0 || tly_states_equal(a->slice.program, a->slice.states, 0, b->slice.states, 0);
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

/* R or L with the first `index` events added to it. */
struct entry {
  struct tly_hash hash;
  uint32_t index;
  bool is_live;
};

/* Events first .. first + count - 1, which live lacks or has twice. */
struct candidate {
  uint32_t first, count;
  bool is_lacked;
};

struct run {
  tly_drift_search *search;
  struct tly_buffer live; /* its bytes; size 0: not there */
  struct tly_buffer scratch;
  struct entry *entries;
  uint32_t entry_count;
  struct candidate *candidates;
  uint32_t candidate_count;
  uint64_t additions;
};

/* A sum that begins with the live state, or with the right one. */
static enum tly_status begin_sum(const struct run *run, bool is_live, struct sum *sum, struct tly_error *error) {
  const tly_drift_search *search = run->search;
  *sum = (struct sum){.is_there = false};
  tly_group_slice_init(&sum->slice, search->program, search->part);
  if (is_live)
    return run->live.size > 0 ? add_bytes(sum, run->live.data, run->live.size, error) : TLY_OK;
  for (uint32_t i = 0; i < search->count; i++)
    TLY_TRY(add_event(search, i, sum, error));
  return TLY_OK;
}

static enum tly_status add_entries(struct run *run, bool is_live, struct tly_error *error) {
  struct sum sum;
  enum tly_status status = begin_sum(run, is_live, &sum, error);
  for (uint32_t i = 0; status == TLY_OK && i <= run->search->count; i++) {
    if (i % GIVE_WAY_EVENTS == 0)
      tly_give_way();
    if (sum.is_there)
      run->entries[run->entry_count++] =
          (struct entry){.hash = hash_of(&sum, &run->scratch), .index = i, .is_live = is_live};
    if (i < run->search->count)
      status = add_event(run->search, i, &sum, error);
  }
  tly_group_slice_free(&sum.slice);
  return status;
}

static int compare_entries(const void *a, const void *b) {
  const struct entry *left = a, *right = b;
  int order = memcmp(&left->hash, &right->hash, sizeof left->hash);
  if (order != 0)
    return order;
  return left->index != right->index ? (left->index < right->index ? -1 : 1) : left->is_live - right->is_live;
}

static int compare_candidates(const void *a, const void *b) {
  const struct candidate *left = a, *right = b;
  if (left->count != right->count)
    return left->count < right->count ? -1 : 1;
  if (left->first != right->first)
    return left->first < right->first ? -1 : 1;
  return right->is_lacked - left->is_lacked;
}

/* For each sum the nearest with fewer events that equals it and is of the other side. */
static void find_candidates(struct run *run) {
  const struct entry *last[2][2] = {{NULL}}; /* of the right state and of the live one: the last two of this hash */
  qsort(run->entries, run->entry_count, sizeof *run->entries, compare_entries);
  for (uint32_t i = 0; i < run->entry_count; i++) {
    const struct entry *entry = &run->entries[i];
    if (i > 0 && memcmp(&entry->hash, &run->entries[i - 1].hash, sizeof entry->hash) != 0)
      memset(last, 0, sizeof last);
    const struct entry *const *others = last[!entry->is_live];
    const struct entry *other = others[0] != NULL && others[0]->index == entry->index ? others[1] : others[0];
    if (other != NULL)
      run->candidates[run->candidate_count++] =
          (struct candidate){.first = other->index, .count = entry->index - other->index, .is_lacked = entry->is_live};
    last[entry->is_live][1] = last[entry->is_live][0];
    last[entry->is_live][0] = entry;
  }
  qsort(run->candidates, run->candidate_count, sizeof *run->candidates, compare_candidates);
}

/* Add the candidate's events up, and see. */
static enum tly_status try_candidate(struct run *run, const struct sum *right, const struct candidate *candidate,
                                     bool *explains, struct tly_error *error) {
  struct sum sum, other;
  enum tly_status status = TLY_OK;
  run->additions += candidate->count;
  tly_give_way();
  *explains = false;
  sum = (struct sum){.is_there = false};
  tly_group_slice_init(&sum.slice, run->search->program, run->search->part);
  if (!candidate->is_lacked) { /* the right state, without adding all of it up again */
    tly_buffer_clear(&run->scratch);
    tly_group_block_encode_plain(&right->slice, &run->scratch);
    status = add_bytes(&sum, run->scratch.data, run->scratch.size, error);
  } else if (run->live.size > 0) {
    status = add_bytes(&sum, run->live.data, run->live.size, error);
  }
  for (uint32_t i = 0; status == TLY_OK && i < candidate->count; i++)
    status = add_event(run->search, candidate->first + i, &sum, error);
  if (status == TLY_OK && candidate->is_lacked) {
    *explains = sums_equal(&sum, right);
  } else if (status == TLY_OK) {
    status = begin_sum(run, true, &other, error);
    *explains = status == TLY_OK && sums_equal(&sum, &other);
    tly_group_slice_free(&other.slice);
  }
  tly_group_slice_free(&sum.slice);
  return status;
}

static enum tly_status try_candidates(struct run *run, const struct sum *right, struct tly_drift_found *out,
                                      struct tly_error *error) {
  for (uint32_t c = 0; c < run->candidate_count; c++) {
    const struct candidate *candidate = &run->candidates[c];
    bool is_found = out->verdict != TLY_DRIFT_UNKNOWN, explains;
    if (is_found && candidate->count > out->count)
      return TLY_OK;
    if (run->additions > ADDITIONS_MAX) {
      out->has_more = true;
      return TLY_OK;
    }
    TLY_TRY(try_candidate(run, right, candidate, &explains, error));
    if (explains && is_found) {
      out->alternatives++;
    } else if (explains) {
      out->verdict = candidate->is_lacked ? TLY_DRIFT_LACKS : TLY_DRIFT_TWICE;
      out->first = candidate->first;
      out->count = candidate->count;
    }
  }
  return TLY_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static enum tly_status search_states(struct run *run, const struct sum *right, struct tly_drift_found *out,
                                     struct tly_error *error) {
  size_t sums = (size_t)run->search->count + 1;
  run->entries = tly_calloc(2 * sums, sizeof *run->entries);
  run->candidates = tly_calloc(2 * sums, sizeof *run->candidates);
  enum tly_status status = add_entries(run, false, error);
  if (status == TLY_OK)
    status = add_entries(run, true, error);
  if (status == TLY_OK) {
    find_candidates(run);
    status = try_candidates(run, right, out, error);
  }
  tly_free(run->entries);
  tly_free(run->candidates);
  return status;
}

enum tly_status tly_drift_search_run(tly_drift_search *search, const struct tly_group_slice *live, uint32_t live_row,
                                     struct tly_drift_found *out, struct tly_error *error) {
  struct run run = {.search = search};
  struct sum right, live_sum;
  *out = (struct tly_drift_found){.verdict = TLY_DRIFT_UNKNOWN};
  if (live != NULL) {
    struct tly_slice_window window;
    tly_slice_window_init(&window, search->program, search->part);
    tly_group_block_encode_plain(tly_slice_window_set(&window, live, live_row, live_row + 1), &run.live);
    tly_slice_window_free(&window);
  }
  enum tly_status status = begin_sum(&run, false, &right, error);
  enum tly_status live_status = begin_sum(&run, true, &live_sum, error);
  status = status == TLY_OK ? live_status : status;
  if (status == TLY_OK && sums_equal(&right, &live_sum))
    out->verdict = TLY_DRIFT_EQUAL;
  else if (status == TLY_OK && search->part > 0 && search->count > 0)
    *out = (struct tly_drift_found){.verdict = TLY_DRIFT_LACKS, .count = search->count};
  else if (status == TLY_OK && search->count > 0)
    status = search_states(&run, &right, out, error);
  tly_group_slice_free(&right.slice);
  tly_group_slice_free(&live_sum.slice);
  tly_buffer_free(&run.live);
  tly_buffer_free(&run.scratch);
  return status;
}
