/* batch_layer/partial.h -- a partial result: what one view makes of some ranges of the log, kept on the disk, so that a
 * recompute that dies need not fold these events again.
 *
 * Path of an event: recompute_fold (a thread's groups so far) -> [partial] -> the last merge of this recompute, or of
 * the next one, when this one has died.
 *
 * A partial result is the folder DIR/partials/<hash>/ with a run file for each part of the view and a manifest
 * (run_result.h: one view, its `ranges`). Its name is the hash of its manifest, which names definition, inputs, ranges
 * with the archive's running hashes, and the hash of each file: so a name can stand for one content only, and a damaged
 * one shows. It gets its name when everything in it is synced; before, it is DIR/partials/new-..., which nobody reads.
 * Thread: a writer belongs to one thread; several may write at a time. */
#ifndef TLY_BATCH_PARTIAL_H
#define TLY_BATCH_PARTIAL_H

#include "batch_layer/run_result.h"
#include "batch_layer/run_writer.h"

typedef struct tly_partial_writer tly_partial_writer;

/* Begin one of the view of `program` for run `run`; no other that is being written may have this `number`. The caller
 * owns *out. */
TLY_CHECK enum tly_status tly_partial_open(const char *directory, int64_t run, uint32_t number,
                                           const struct tly_view_program *program, tly_partial_writer **out,
                                           struct tly_error *error);
/* Parts come in order, each once, also those without groups. */
TLY_CHECK enum tly_status tly_partial_begin_part(tly_partial_writer *writer, uint32_t part, struct tly_error *error);
/* Groups of the part above all before. `context` is the writer: fits tly_group_table_drain. */
TLY_CHECK enum tly_status tly_partial_append(void *context, const struct tly_group_slice *slice,
                                             struct tly_error *error);
/* Sync everything and give the folder its name. `result` has its run, ranges, inputs, and one view with its counts and
 * list of events set aside; the view's files and content are filled in here. *folder is its path, which the caller
 * frees. */
TLY_CHECK enum tly_status tly_partial_finish(tly_partial_writer *writer, struct tly_run_result *result, char **folder,
                                             struct tly_error *error);
/* After finish, or instead of it: then nothing is left of it. NULL is fine. */
void tly_partial_close(tly_partial_writer *writer);

/* The names of the partial results there are, sorted. The caller frees them (tly_file_list_free). */
TLY_CHECK enum tly_status tly_partial_list(const char *directory, char ***names, size_t *count,
                                           struct tly_error *error);
/* Read the manifest of one, and check it against its name; *out lives in `arena`. TLY_E_CORRUPT when it is not what was
 * written. */
TLY_CHECK enum tly_status tly_partial_read(const char *directory, const char *name, struct tly_arena *arena,
                                           struct tly_run_result *out, struct tly_error *error);
/* The same, and all its files, too. *folder is its path, in `arena`. */
TLY_CHECK enum tly_status tly_partial_verify(const char *directory, const char *name, struct tly_arena *arena,
                                             struct tly_run_result *out, const char **folder, struct tly_error *error);
/* Remove one, or what is left of one that was not finished. */
TLY_CHECK enum tly_status tly_partial_remove(const char *directory, const char *name, struct tly_error *error);

#endif
