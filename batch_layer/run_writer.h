/* batch_layer/run_writer.h -- write one piece of one part of a view: runs/<run>/<view>.<part>.<piece>.db.
 *
 * Path of an event: archive -> recompute -> merge -> [run_writer] -> run files -> run_reader.
 *
 * Content is canonical. A *chapter* begins at each key whose hash says so (tly_run_chapter_begins), blocks have
 * TLY_GROUPS_PER_BLOCK groups counted from the beginning of their chapter (fewer where keys and texts reach
 * TLY_SLICE_BYTES_MAX), and pieces begin where chapters do. So the blocks, and the content hash over them, are the same
 * for any number of pieces and threads. Thread: a writer belongs to one thread; several pieces are written in parallel
 * by a writer each. */
#ifndef TLY_BATCH_RUN_WRITER_H
#define TLY_BATCH_RUN_WRITER_H

#include "common/engine/group_table.h"

typedef struct tly_run_writer tly_run_writer;

/* What was written. */
struct tly_run_piece {
  char *file; /* the name in the run's folder */
  uint32_t part, piece;
  uint64_t groups, bytes;
  struct tly_hash file_hash;   /* XXH3-128 of the file's bytes */
  struct tly_buffer checksums; /* of its blocks, TLY_HASH_BYTES each, in order */
};

void tly_run_piece_free(struct tly_run_piece *piece);

/* Begin piece `piece` of `pieces` in `folder`, which must not have the file yet. The caller owns *out. */
TLY_CHECK enum tly_status tly_run_writer_open(const char *folder, int64_t run, const struct tly_view_program *program,
                                              uint32_t part, uint32_t piece, uint32_t pieces, tly_run_writer **out,
                                              struct tly_error *error);
/* Append groups above all before. Any failure breaks the writer for good. */
TLY_CHECK enum tly_status tly_run_writer_append(tly_run_writer *writer, const struct tly_group_slice *slice,
                                                struct tly_error *error);
/* End the file and sync it (its folder is the caller's to sync). The caller frees *out also after a failure. */
TLY_CHECK enum tly_status tly_run_writer_finish(tly_run_writer *writer, struct tly_run_piece *out,
                                                struct tly_error *error);
/* After finish, or instead of it. NULL is fine. */
void tly_run_writer_close(tly_run_writer *writer);

/* The canonical hash of a view's content from its pieces, in order of part and piece. */
struct tly_hash tly_run_content_hash(const struct tly_run_piece *const *pieces, uint32_t count);
/* XXH3-128 of a file's bytes, and how many there are. */
TLY_CHECK enum tly_status tly_run_hash_file(const char *path, struct tly_hash *hash, uint64_t *bytes,
                                            struct tly_error *error);

#endif
