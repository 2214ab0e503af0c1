/* batch_layer/archive_writer.h -- append events to the archive, group by group, and cut it.
 *
 * Path of an event: archiver -> [archive writer] -> active file -> archive_reader -> speed layer, recompute.
 *
 * A *group* is one transaction on one stream's active file: begin, any number of requests (check_sequence, append,
 * remember), commit. When commit has returned TLY_OK its events are durable. A failure on a full disk takes the group
 * back and leaves the writer usable; any other failure breaks it for good: the process must end, and its next start
 * copies what is readable into new files (facts of a failed sync: the page cache may hold what the disk never will).
 * Thread: a writer belongs to the thread that uses it first. */
#ifndef TLY_BATCH_ARCHIVE_WRITER_H
#define TLY_BATCH_ARCHIVE_WRITER_H

#include "batch_layer/active_file.h"
#include "common/archive/archive_reader.h"
#include "common/base/clock.h"
#include "common/event/event_batch.h"
#include "common/sql/project.h"

typedef struct tly_archive_writer tly_archive_writer;

/* Open the archive of `directory` for writing, making what is not there, finishing what a kill interrupted, and
 * comparing the streams' definitions with the recorded ones (TLY_E_CONFIG when one was changed). Files that a failed
 * sync has spoilt are given up and wait to be sealed: see tly_archive_writer_next_to_seal. */
TLY_CHECK enum tly_status tly_archive_writer_open(const char *directory, const struct tly_project *project,
                                                  const struct tly_clock *clock, tly_archive_writer **out,
                                                  struct tly_error *error);
/* NULL is fine. Commits nothing. */
void tly_archive_writer_close(tly_archive_writer *writer);
bool tly_archive_writer_is_broken(const tly_archive_writer *writer);

/* ---- groups ------------------------------------------------------------------------------------------------------ */

TLY_CHECK enum tly_status tly_archive_writer_begin(tly_archive_writer *writer, const struct tly_stream *stream,
                                                   struct tly_error *error);
TLY_CHECK enum tly_status tly_archive_writer_check_sequence(tly_archive_writer *writer, const char *producer,
                                                            int64_t sequence, enum tly_sequence *verdict,
                                                            struct tly_buffer *reply, int64_t *expected,
                                                            struct tly_error *error);
/* Add the events of `batch` to `partition`. `header` is the CSV header they came under (else size 0). Batch and header
 * are borrowed until commit or rollback: small batches become one block. */
TLY_CHECK enum tly_status tly_archive_writer_append(tly_archive_writer *writer, uint32_t partition,
                                                    const struct tly_event_batch *batch, enum tly_format format,
                                                    struct tly_text header, struct tly_error *error);
TLY_CHECK enum tly_status tly_archive_writer_remember(tly_archive_writer *writer, const char *producer,
                                                      int64_t sequence, const char *reply, struct tly_error *error);
/* Where the stream's imports stand, in its active file: until the next rotation. Moved within a group. */
struct tly_import_memory *tly_archive_writer_imports(tly_archive_writer *writer, const struct tly_stream *stream);
TLY_CHECK enum tly_status tly_archive_writer_commit(tly_archive_writer *writer, struct tly_error *error);
/* Take the open group back; after a failed call of it, and allowed when none is open. */
void tly_archive_writer_rollback(tly_archive_writer *writer);

/* ---- cuts and positions ------------------------------------------------------------------------------------------ */

/* Record the next cut at the ends of all partitions, for `views`. Not while a group is open. Positions live in `arena`.
 */
TLY_CHECK enum tly_status tly_archive_writer_cut(tly_archive_writer *writer, const char *const *views,
                                                 uint32_t view_count, struct tly_arena *arena, struct tly_cut *out,
                                                 struct tly_error *error);
/* The ends of all partitions that have events, in project order. */
void tly_archive_writer_positions(const tly_archive_writer *writer, struct tly_arena *arena, struct tly_position **out,
                                  uint32_t *count);
int64_t tly_archive_writer_last_cut(const tly_archive_writer *writer);

/* ---- files (for seal.h) ------------------------------------------------------------------------------------------ */

struct tly_active_state {
  int64_t number, size_bytes, age_s;
  uint64_t events;
};
struct tly_active_state tly_archive_writer_active(const tly_archive_writer *writer, const struct tly_stream *stream);

/* Give the stream a new active file; the old one waits to be sealed. Not while a group is open or another file of the
 * stream waits (their numbers would meet). */
TLY_CHECK enum tly_status tly_archive_writer_rotate(tly_archive_writer *writer, const struct tly_stream *stream,
                                                    struct tly_error *error);
/* A file that waits to be sealed, spoilt ones first and then the oldest, and the number its sealed copy will have;
 * false when there is none. A spoilt one must be sealed before any event is taken. */
bool tly_archive_writer_next_to_seal(tly_archive_writer *writer, const struct tly_stream **stream, int64_t *number,
                                     int64_t *sealed_number, bool *spoilt);
/* The sealed copy is complete, synced and in place (0: the file held no events, there is none): switch the index to it,
 * then delete the old file. */
TLY_CHECK enum tly_status tly_archive_writer_sealed(tly_archive_writer *writer, const struct tly_stream *stream,
                                                    int64_t number, int64_t sealed_number, struct tly_error *error);

#endif
