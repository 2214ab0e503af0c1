/* INVARIANT (check_invariants): a minute that is due is later than the last one that is done with. */
#include "batch_layer/ledger_schedule.h"

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/sql/cron.h"

struct entry { /* a view and a ledger */
  const struct tly_view *view;
  const struct tly_ledger *ledger;
  struct tly_cron cron;
  int64_t done_us; /* the last minute that is done with */
  int64_t due_us;  /* 0: none */
  int64_t not_before_us;
  uint32_t tries; /* of due_us */
  bool is_taken;
};

struct tly_ledger_schedule {
  int64_t looked_at_minute; /* schedules change by the minute: within it there is nothing to see */
  uint32_t count;
  struct entry *entries;
};

enum { MINUTE_US = 60 * 1000000 };

static void check_invariants(const struct entry *entry) {
  TLY_ASSERT(entry->due_us == 0 || entry->due_us > entry->done_us);
}

static enum tly_status load(struct entry *entry, tly_break_store *breaks, int64_t now_us, struct tly_error *error) {
  const struct tly_view *view = entry->view;
  bool found;
  TLY_TRY(tly_cron_in_zone(view->reconcile, view->time_zone, &entry->cron, error));
  TLY_TRY(tly_break_store_fired(breaks, view, entry->ledger->name, &found, &entry->done_us, error));
  if (found)
    return TLY_OK;
  int64_t before = tly_cron_previous(&entry->cron, now_us);
  entry->done_us = before != INT64_MIN ? before : 0;
  struct tly_fired_minute fired = {view, entry->done_us};
  return tly_break_store_set_fired(breaks, entry->ledger->name, fired, error);
}

static uint32_t count_pairs(const struct tly_project *project) {
  uint32_t count = 0;
  for (uint32_t v = 0; v < project->view_count; v++)
    count += project->views[v].ledger_count;
  return count;
}

enum tly_status tly_ledger_schedule_open(const struct tly_project *project, tly_break_store *breaks, int64_t now_us,
                                         tly_ledger_schedule **out, struct tly_error *error) {
  tly_ledger_schedule *schedule = tly_calloc(1, sizeof *schedule);
  enum tly_status status = TLY_OK;
  schedule->looked_at_minute = INT64_MIN;
  schedule->entries = tly_calloc(count_pairs(project), sizeof *schedule->entries);
  for (uint32_t v = 0; v < project->view_count; v++)
    for (uint32_t l = 0; status == TLY_OK && l < project->views[v].ledger_count; l++) {
      struct entry *entry = &schedule->entries[schedule->count++];
      *entry = (struct entry){.view = &project->views[v], .ledger = project->views[v].ledgers[l]};
      status = load(entry, breaks, now_us, error);
    }
  *out = schedule;
  if (status != TLY_OK) {
    tly_ledger_schedule_close(schedule);
    *out = NULL;
  }
  return status;
}

void tly_ledger_schedule_close(tly_ledger_schedule *schedule) {
  if (schedule == NULL)
    return;
  tly_free(schedule->entries);
  tly_free(schedule);
}

/* A minute that has come takes the place of one that is still being tried. */
static void look(tly_ledger_schedule *schedule, int64_t now_us) {
  if (now_us / MINUTE_US == schedule->looked_at_minute)
    return;
  schedule->looked_at_minute = now_us / MINUTE_US;
  for (uint32_t i = 0; i < schedule->count; i++) {
    struct entry *entry = &schedule->entries[i];
    int64_t minute = tly_cron_previous(&entry->cron, now_us);
    if (minute != INT64_MIN && minute > entry->done_us && minute > entry->due_us) {
      entry->due_us = minute;
      entry->not_before_us = minute;
      entry->tries = 0;
    }
    check_invariants(entry);
  }
}

bool tly_ledger_schedule_take(tly_ledger_schedule *schedule, int64_t now_us, struct tly_ledger_due *out) {
  struct entry *first = NULL;
  look(schedule, now_us);
  for (uint32_t i = 0; i < schedule->count; i++) {
    struct entry *entry = &schedule->entries[i];
    bool is_ready = entry->due_us != 0 && !entry->is_taken && entry->not_before_us <= now_us;
    if (is_ready && (first == NULL || entry->not_before_us < first->not_before_us))
      first = entry;
  }
  if (first == NULL)
    return false;
  first->is_taken = true;
  *out = (struct tly_ledger_due){first->view, first->ledger, first->due_us};
  return true;
}

static struct entry *entry_of(tly_ledger_schedule *schedule, const struct tly_ledger_due *due) {
  for (uint32_t i = 0; i < schedule->count; i++)
    if (schedule->entries[i].view == due->view && schedule->entries[i].ledger == due->ledger)
      return &schedule->entries[i];
  TLY_UNREACHABLE();
}

/* 1, 4, 16, 64 minutes. */
static int64_t delay_us(uint32_t tries) {
  int64_t delay = MINUTE_US;
  for (uint32_t i = 1; i < tries; i++)
    delay *= 4;
  return delay;
}

struct tly_fired_minute tly_ledger_schedule_end(tly_ledger_schedule *schedule, const struct tly_ledger_due *due,
                                                bool is_complete, int64_t now_us) {
  struct entry *entry = entry_of(schedule, due);
  TLY_ASSERT(entry->is_taken && entry->due_us >= due->minute_us);
  bool is_overtaken = entry->due_us > due->minute_us;
  entry->is_taken = false;
  if (!is_complete && !is_overtaken && ++entry->tries < TLY_RECONCILE_TRIES_MAX) {
    entry->not_before_us = now_us + delay_us(entry->tries);
    return (struct tly_fired_minute){.view = NULL};
  }
  entry->done_us = due->minute_us;
  if (!is_overtaken)
    entry->due_us = 0;
  check_invariants(entry);
  return (struct tly_fired_minute){due->view, due->minute_us};
}
