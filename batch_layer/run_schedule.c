#include "batch_layer/run_schedule.h"

#include "common/base/memory.h"

struct entry {
  bool has_cron;
  struct tly_cron cron;
  int64_t fired_at_us;
};

enum { MINUTE_US = 60 * 1000000 };

struct tly_run_schedule {
  int64_t looked_at_minute; /* schedules change by the minute: within it there is nothing to see */
  uint32_t count;
  struct entry entries[]; /* one a view of the project */
};

static enum tly_status load(struct entry *entry, const struct tly_view *view, tly_batch_store *store, int64_t now_us,
                            struct tly_error *error) {
  bool found;
  if (view->recompute == NULL)
    return TLY_OK;
  entry->has_cron = true;
  TLY_TRY(tly_cron_of_view(view, &entry->cron, error));
  TLY_TRY(tly_batch_store_fired(store, view, &found, &entry->fired_at_us, error));
  if (found)
    return TLY_OK;
  int64_t before = tly_cron_previous(&entry->cron, now_us);
  entry->fired_at_us = before != INT64_MIN ? before : 0;
  return tly_batch_store_set_fired(store, view, entry->fired_at_us, error);
}

enum tly_status tly_run_schedule_open(const struct tly_project *project, tly_batch_store *store, int64_t now_us,
                                      tly_run_schedule **out, struct tly_error *error) {
  tly_run_schedule *schedule =
      tly_calloc(1, sizeof *schedule + (size_t)project->view_count * sizeof schedule->entries[0]);
  schedule->count = project->view_count;
  schedule->looked_at_minute = INT64_MIN;
  enum tly_status status = TLY_OK;
  for (uint32_t v = 0; status == TLY_OK && v < project->view_count; v++)
    status = load(&schedule->entries[v], &project->views[v], store, now_us, error);
  *out = schedule;
  if (status != TLY_OK) {
    tly_run_schedule_close(schedule);
    *out = NULL;
  }
  return status;
}

void tly_run_schedule_close(tly_run_schedule *schedule) {
  tly_free(schedule);
}

uint32_t tly_run_schedule_due(tly_run_schedule *schedule, int64_t now_us, int64_t *fired_at_us) {
  uint32_t count = 0;
  if (now_us / MINUTE_US == schedule->looked_at_minute)
    return 0;
  schedule->looked_at_minute = now_us / MINUTE_US;
  for (uint32_t v = 0; v < schedule->count; v++) {
    struct entry *entry = &schedule->entries[v];
    int64_t minute = entry->has_cron ? tly_cron_previous(&entry->cron, now_us) : INT64_MIN;
    bool is_due = minute != INT64_MIN && minute > entry->fired_at_us;
    fired_at_us[v] = is_due ? minute : 0;
    if (is_due) {
      entry->fired_at_us = minute;
      count++;
    }
  }
  return count;
}
