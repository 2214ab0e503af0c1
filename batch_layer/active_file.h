/* batch_layer/active_file.h -- the file that a stream's events are appended to, the replies its producers were
 * given, and where imports stand.
 *
 * Path of an event: archive writer -> [active file] -> archive/<stream>/<number>.db, in WAL mode, synchronous=FULL.
 * Thread: belongs to the archiver's writing thread. */
#ifndef TLY_BATCH_ACTIVE_FILE_H
#define TLY_BATCH_ACTIVE_FILE_H

#include "batch_layer/block_writer.h"
#include "batch_layer/import_memory.h"

enum {
  TLY_PRODUCER_REPLIES_KEPT = 64, /* sequences of one producer that a retry may repeat */
  TLY_PRODUCER_ROWS_KEPT = 65536  /* replies that go along into a new file, the newest */
};

struct tly_active_file {
  const struct tly_stream *stream;
  int64_t number;
  char *path;
  sqlite3 *database;
  struct tly_log_steps log;
  struct tly_block_writer blocks;
  sqlite3_stmt *last_sequence, *find_reply, *put_reply, *drop_replies;
  struct tly_import_memory imports;
  int64_t created_at_us;
};

/* Make a new file with the replies of `before` (or NULL), all synced. A file of that name that holds no events (left by
 * a kill before the index named it) is replaced. */
TLY_CHECK enum tly_status tly_active_file_create(const char *directory, const struct tly_stream *stream, int64_t number,
                                                 int64_t now_us, struct tly_active_file *before,
                                                 struct tly_active_file **out, struct tly_error *error);
/* Open one that is there. Its columns must be the stream's. */
TLY_CHECK enum tly_status tly_active_file_open(const char *directory, const struct tly_stream *stream, int64_t number,
                                               struct tly_active_file **out, struct tly_error *error);
/* NULL is fine. */
void tly_active_file_close(struct tly_active_file *file);
/* Close a file that gets no more events, with its log moved into it (unless readers are in the way for long): it will
 * be deleted one day, and then nobody must meet it without its log. NULL is fine. */
void tly_active_file_retire(struct tly_active_file *file);

TLY_CHECK enum tly_status tly_active_file_begin(struct tly_active_file *file, struct tly_error *error);
/* On failure nothing of the transaction is there; *may_go_on says whether the file may be written to again: true when
 * the failure was a full disk and no sync was involved. */
TLY_CHECK enum tly_status tly_active_file_commit(struct tly_active_file *file, bool *may_go_on,
                                                 struct tly_error *error);
/* After a failed call within the transaction. */
void tly_active_file_rollback(struct tly_active_file *file, bool *may_go_on);
/* Bytes of the file and its log. */
int64_t tly_active_file_size(const struct tly_active_file *file);

enum tly_sequence { TLY_SEQUENCE_NEXT, TLY_SEQUENCE_REPEATED, TLY_SEQUENCE_GAP };

/* Where `sequence` stands in what `producer` has sent. For a repeated one *reply is what was answered then (replaced).
 * For a gap *expected is what should have come. */
TLY_CHECK enum tly_status tly_active_file_check_sequence(struct tly_active_file *file, const char *producer,
                                                         int64_t sequence, enum tly_sequence *verdict,
                                                         struct tly_buffer *reply, int64_t *expected,
                                                         struct tly_error *error);
/* Remember the reply, within the transaction. */
TLY_CHECK enum tly_status tly_active_file_put_reply(struct tly_active_file *file, const char *producer,
                                                    int64_t sequence, const char *reply, int64_t now_us,
                                                    struct tly_error *error);

#endif
