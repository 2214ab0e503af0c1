/* serving_layer/store_source.h -- the stores of a data folder as a source: speed.db, batch.db and run files.
 *
 * Path of an answer: speed_reader, run_reader, batch_reader -> [store_source] -> view_scan. Runs stay open between
 * statements (their blocks are cached, their folder is locked against deletion) until they are no longer published or
 * the source was idle.
 * Thread: a store source belongs to one thread. */
#ifndef TLY_SERVING_STORE_SOURCE_H
#define TLY_SERVING_STORE_SOURCE_H

#include "common/store/batch_reader.h"
#include "common/store/break_reader.h"
#include "common/store/speed_reader.h"
#include "serving_layer/plan.h"

typedef struct tly_store_source tly_store_source;

/* Opens nothing yet: a store that is not there is an error of the statement that needs it. Never fails. */
tly_store_source *tly_store_source_new(const char *directory, const struct tly_programs *programs);
void tly_store_source_free(tly_store_source *source);
struct tly_source tly_store_source_of(tly_store_source *source);
/* Let all runs together keep so many bytes of decoded blocks: for the loop, which answers point queries. Once, before
 * the first run is opened; without it each run keeps TLY_RUN_CACHE_BYTES. */
void tly_store_source_set_cache(tly_store_source *source, size_t run_bytes_max);
/* Close runs, so that they can be deleted: for a thread that goes idle. */
void tly_store_source_rest(tly_store_source *source);

/* The same for one view. Nothing of it may be in use. */
void tly_store_source_forget(tly_store_source *source, const struct tly_view_program *program);

/* For reports and waits: the readers, opened if need be. */
TLY_CHECK enum tly_status tly_store_source_speed(tly_store_source *source, tly_speed_reader **out,
                                                 struct tly_error *error);
TLY_CHECK enum tly_status tly_store_source_batch(tly_store_source *source, tly_batch_reader **out,
                                                 struct tly_error *error);
TLY_CHECK enum tly_status tly_store_source_breaks(tly_store_source *source, tly_break_reader **out,
                                                  struct tly_error *error);
TLY_CHECK enum tly_status tly_store_source_archive(tly_store_source *source, tly_archive_reader **out,
                                                   struct tly_error *error);
/* Between begin and end, for point queries: add the groups of part 0 with the row's key to `row`, the run's and the
 * live ones. */
TLY_CHECK enum tly_status tly_store_source_look_up(tly_store_source *source, const struct tly_view_program *program,
                                                   const struct tly_view_state *state, struct tly_group_row *row,
                                                   struct tly_error *error);
/* Changes when speed.db does (speed_reader.h). */
TLY_CHECK enum tly_status tly_store_source_version(tly_store_source *source, uint64_t *out, struct tly_error *error);

#endif
