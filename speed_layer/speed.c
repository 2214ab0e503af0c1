#include "speed_layer/speed.h"

#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "speed_layer/state.h"

/* Quiet for this long: the WAL is moved into the file and truncated, and memory is given back. */
enum { IDLE_US = 1000000 };

/* What the process holds from its start to its end. */
struct process {
  const char *directory;
  struct tly_project *project;
  tly_doorbell *bell;
  struct tly_speed *speed; /* NULL: to be opened */
  bool rebuild;            /* the store was found damaged: do not trust it again */
  int64_t worked_us;
  bool is_settled; /* the idle checkpoint is done */
};

static enum tly_status open_state(struct process *process, struct tly_error *error) {
  enum tly_status status = tly_speed_open(process->directory, process->project, &tly_clock_real, process->bell,
                                          process->rebuild, &process->speed, error);
  if (status == TLY_OK)
    process->rebuild = false;
  if (status != TLY_E_NOT_READY)
    return status;
  tly_doorbell_wait(process->bell, TLY_DOORBELL_POLL_MS / 5); /* the archiver is still starting */
  return TLY_OK;
}

static enum tly_status step(struct process *process, struct tly_error *error) {
  struct tly_speed *speed = process->speed;
  bool did_work;
  int64_t now_us = tly_clock_monotonic_us(&tly_clock_real);
  TLY_TRY(tly_speed_step(speed, &did_work, error));
  if (speed->disagrees) {
    tly_speed_close(speed);
    process->speed = NULL; /* opening it again checks and, if need be, rebuilds */
    return TLY_OK;
  }
  if (speed->is_checked)
    tly_process_ready();
  if (did_work) {
    process->worked_us = now_us;
    process->is_settled = false;
    return TLY_OK;
  }
  if (!process->is_settled && now_us - process->worked_us > IDLE_US) {
    process->is_settled = true;
    tly_speed_rest(speed);
    TLY_TRY(tly_speed_store_checkpoint(speed->store, true, error));
  }
  tly_doorbell_wait(process->bell, TLY_DOORBELL_POLL_MS);
  return TLY_OK;
}

/* A store of ours that is damaged is made anew, once; a damaged archive is for people to look at. */
static bool can_rebuild(const struct process *process, enum tly_status status) {
  return status == TLY_E_CORRUPT && process->speed != NULL && !process->speed->is_archive_failure;
}

static enum tly_status run(struct process *process, struct tly_error *error) {
  while (!tly_process_is_stopping()) {
    enum tly_status status = process->speed == NULL ? open_state(process, error) : step(process, error);
    if (can_rebuild(process, status)) {
      tly_log(TLY_LOG_ERROR, "the live state is damaged and made anew", "error=\"%s\"", error->message);
      tly_speed_close(process->speed);
      process->speed = NULL;
      process->rebuild = true;
    } else if (status != TLY_OK)
      return status;
  }
  return TLY_OK;
}

int tly_speed_main(const struct tly_settings *settings) {
  struct tly_error error = TLY_ERROR_NONE;
  struct process process = {.directory = settings->directory};
  tly_process_setup("speed", getenv("TALLY_READY_FD") != NULL); /* the supervisor's child ends with it */
  tly_sqlite_setup();
  enum tly_status status = tly_project_load_or_complain(settings->project, &process.project, &error);
  if (status == TLY_OK)
    status = tly_file_make_folder(settings->directory, &error);
  if (status == TLY_OK)
    status = tly_process_lock(settings->directory, "speed", &error);
  if (status == TLY_OK)
    status = tly_doorbell_open(settings->directory, "speed", &process.bell, &error);
  if (status == TLY_OK)
    status = run(&process, &error);
  if (status != TLY_OK)
    tly_log(TLY_LOG_ERROR, "the speed layer ends", "sqlstate=%s error=\"%s\"", tly_status_sqlstate(status),
            error.message);
  tly_speed_close(process.speed);
  tly_doorbell_close(process.bell);
  tly_project_free(process.project);
  return status == TLY_OK ? 0 : 1;
}
