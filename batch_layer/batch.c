#include "batch_layer/batch.h"

#include <stdlib.h>

#include "batch_layer/scheduler.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/sqlite/sqlite.h"

static enum tly_status run(const struct tly_settings *settings, const struct tly_project *project,
                           struct tly_error *error) {
  struct tly_scheduler_options options = tly_scheduler_defaults(settings, project);
  tly_scheduler *scheduler;
  TLY_TRY(tly_scheduler_open(&options, &scheduler, error));
  tly_process_ready();
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && !tly_process_is_stopping())
    status = tly_scheduler_turn(scheduler, TLY_DOORBELL_POLL_MS, error);
  tly_scheduler_close(scheduler);
  return status;
}

int tly_batch_main(const struct tly_settings *settings) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_project *project = NULL;
  tly_process_setup("batch", getenv("TALLY_READY_FD") != NULL); /* the supervisor's child ends with it */
  tly_sqlite_setup();
  enum tly_status status = tly_project_load_or_complain(settings->project, &project, &error);
  if (status == TLY_OK)
    status = tly_file_make_folder(settings->directory, &error);
  if (status == TLY_OK)
    status = tly_process_lock(settings->directory, "batch", &error);
  if (status == TLY_OK)
    status = run(settings, project, &error);
  if (status != TLY_OK)
    tly_log(TLY_LOG_ERROR, "batch layer ends", "error=\"%s\"", error.message);
  if (project != NULL)
    tly_project_free(project);
  return status == TLY_OK ? 0 : 1;
}
