/* batch_layer/archive_index.h -- index.db: which files make up the archive, what each stream was defined as, the cuts.
 *
 * Thread: belongs to the archiver's writing thread. */
#ifndef TLY_BATCH_ARCHIVE_INDEX_H
#define TLY_BATCH_ARCHIVE_INDEX_H

#include "common/archive/archive_reader.h"
#include "common/sqlite/sqlite.h"

typedef struct tly_archive_index tly_archive_index;

struct tly_index_segment {
  int64_t number, replaced_by;
  char state; /* 'a' active, 's' sealed, 'r' replaced */
};

/* Make or open DIR/archive/index.db. One that a failed sync has spoilt (marker index.db.failed) is rewritten first. */
TLY_CHECK enum tly_status tly_archive_index_open(const char *directory, tly_archive_index **out,
                                                 struct tly_error *error);
/* NULL is fine. */
void tly_archive_index_close(tly_archive_index *index);
/* Leave the marker: the next open rewrites the file. */
void tly_archive_index_condemn(tly_archive_index *index);

/* Everything between begin and commit is one synced transaction; nested calls are the caller's error. */
TLY_CHECK enum tly_status tly_archive_index_begin(tly_archive_index *index, struct tly_error *error);
/* *may_go_on as tly_active_file_commit. */
TLY_CHECK enum tly_status tly_archive_index_commit(tly_archive_index *index, bool *may_go_on, struct tly_error *error);
void tly_archive_index_rollback(tly_archive_index *index, bool *may_go_on);

/* The definition stored for a stream; *found false when it is new. */
TLY_CHECK enum tly_status tly_archive_index_definition(tly_archive_index *index, const char *stream,
                                                       struct tly_buffer *definition, bool *found,
                                                       struct tly_error *error);
TLY_CHECK enum tly_status tly_archive_index_put_stream(tly_archive_index *index, const struct tly_stream *stream,
                                                       const char *definition, struct tly_error *error);

/* All files of a stream, by number; the caller frees *out. */
TLY_CHECK enum tly_status tly_archive_index_segments(tly_archive_index *index, const char *stream,
                                                     struct tly_index_segment **out, uint32_t *count,
                                                     struct tly_error *error);
/* Add a file or change its state; replaced_by 0: none. */
TLY_CHECK enum tly_status tly_archive_index_put_segment(tly_archive_index *index, const char *stream,
                                                        struct tly_index_segment segment, struct tly_error *error);
TLY_CHECK enum tly_status tly_archive_index_drop_segment(tly_archive_index *index, const char *stream, int64_t number,
                                                         struct tly_error *error);

/* The last cut's number, 0: none. */
TLY_CHECK enum tly_status tly_archive_index_last_cut(tly_archive_index *index, int64_t *number,
                                                     struct tly_error *error);
/* Where cut `number` stands in each partition of a stream; the caller frees *out. */
TLY_CHECK enum tly_status tly_archive_index_cut_positions(tly_archive_index *index, int64_t number, const char *stream,
                                                          struct tly_position **out, uint32_t *count,
                                                          struct tly_error *error);
TLY_CHECK enum tly_status tly_archive_index_put_cut(tly_archive_index *index, const struct tly_cut *cut,
                                                    struct tly_error *error);

#endif
