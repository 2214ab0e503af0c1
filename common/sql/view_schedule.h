/* common/sql/view_schedule.h -- when a view is recomputed, and with which others: WITH (recompute, time_zone, job).
 *
 * A view is recomputed by a schedule of its own, or as one of the views of a job, which have one schedule, are computed
 * in one run and published in one switch. A job is there because views name it; one of them at least says when it is
 * due, or it is only recomputed by hand. Where more than one says it, they agree.
 *
 * Path of an event: definitions -> [view_schedule] -> views of the project -> run_schedule.
 * Thread: as definitions.h; tly_view_schedule_name: any. */
#ifndef TLY_SQL_VIEW_SCHEDULE_H
#define TLY_SQL_VIEW_SCHEDULE_H

#include "common/sql/definitions.h"

/* The schedule among the options of `view`, which is being defined; checked against those of the views before it. */
TLY_CHECK enum tly_status tly_view_schedule_read(struct tly_resolver *resolver, const struct tly_option *options,
                                                 uint32_t count, struct tly_view *view);
/* All views are defined: those that leave it to their job get its schedule. */
void tly_view_schedule_share(struct tly_project *project);
/* The name under which the view's schedule is paused and remembered: the job's, or the view's own. No job has the name
 * of a view. */
const char *tly_view_schedule_name(const struct tly_view *view);

#endif
