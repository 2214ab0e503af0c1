#include "batch_layer/break_life.h"

#include <string.h>

#include "common/base/assert.h"

static const char *const status_names[TLY_BREAK_STATUS_COUNT] = {
    [TLY_BREAK_OPEN] = "open",
    [TLY_BREAK_INVESTIGATING] = "investigating",
    [TLY_BREAK_RESOLVED] = "resolved",
    [TLY_BREAK_ACCEPTED] = "accepted",
};

const char *tly_break_status_name(enum tly_break_status status) {
  return status_names[status];
}

enum tly_status tly_break_status_parse(const char *text, enum tly_break_status *out, struct tly_error *error) {
  for (int status = 0; status < TLY_BREAK_STATUS_COUNT; status++)
    if (strcmp(text, status_names[status]) == 0) {
      *out = (enum tly_break_status)status;
      return TLY_OK;
    }
  return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                  "a break's status is open, investigating, resolved or accepted, not \"%s\"", text);
}

const char *tly_break_change_name(enum tly_break_change change) {
  static const char *const names[] = {[TLY_BREAK_FOUND] = "found",
                                      [TLY_BREAK_REOPENED] = "reopened",
                                      [TLY_BREAK_CLEARED] = "cleared",
                                      [TLY_BREAK_SET] = "set"};
  TLY_ASSERT(change != TLY_BREAK_CARRIED);
  return names[change];
}

const char *tly_break_sighting_name(enum tly_break_change change) {
  return change == TLY_BREAK_FOUND ? "new" : change == TLY_BREAK_CARRIED ? "carried" : tly_break_change_name(change);
}

/* What is gone is resolved. */
static void check_invariants(const struct tly_break_life *life) {
  TLY_ASSERT(life->is_present || life->status == TLY_BREAK_RESOLVED);
}

enum tly_break_change tly_break_life_see(struct tly_break_life *life, bool is_same_difference) {
  check_invariants(life);
  bool is_reopened = life->status == TLY_BREAK_RESOLVED || (life->status == TLY_BREAK_ACCEPTED && !is_same_difference);
  life->is_present = true;
  if (!is_reopened)
    return TLY_BREAK_CARRIED;
  life->status = TLY_BREAK_OPEN;
  return TLY_BREAK_REOPENED;
}

enum tly_break_change tly_break_life_miss(struct tly_break_life *life) {
  check_invariants(life);
  if (!life->is_present)
    return TLY_BREAK_CARRIED;
  life->is_present = false;
  life->status = TLY_BREAK_RESOLVED;
  return TLY_BREAK_CLEARED;
}

enum tly_status tly_break_life_set(struct tly_break_life *life, enum tly_break_status status, struct tly_error *error) {
  check_invariants(life);
  if (!life->is_present && status != TLY_BREAK_RESOLVED) {
    (void)TLY_FAIL(error, TLY_E_NOT_READY, "the break is gone: it cannot become %s", tly_break_status_name(status));
    tly_error_hint(error,
                   "it is reopened by the reconciliation that sees it again; a remark can be left with resolved");
    return TLY_E_NOT_READY;
  }
  life->status = status;
  return TLY_OK;
}
