/* batch_layer/break_file.h -- breaks on their way from the child that found them to the process that keeps them.
 *
 * Path of a ledger: break_list -> [DIR/breaks.tmp] -> break_store.
 *
 * There is one child at a time, so there is one file. It lives from the child's start to its end: nobody reads it after
 * a restart, so it is not synced, and what a kill has left of it is removed before the next child begins.
 * Thread: a writer or a reader belongs to one thread. */
#ifndef TLY_BATCH_BREAK_FILE_H
#define TLY_BATCH_BREAK_FILE_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/sql/typed_tree.h"

enum tly_break_kind {
  TLY_BREAK_OVER,                /* an amount: tally has more than the ledger */
  TLY_BREAK_SHORT,               /* less */
  TLY_BREAK_DIFFERS,             /* another value, or NULL on one side */
  TLY_BREAK_MISSING_IN_LEDGER,   /* the key */
  TLY_BREAK_MISSING_IN_TALLY,    /* the key */
  TLY_BREAK_DUPLICATE_IN_LEDGER, /* the key stands there more than once: none of its rows is matched */
  TLY_BREAK_KIND_COUNT
};

/* "over", "missing_in_ledger", ... Static. */
const char *tly_break_name(enum tly_break_kind kind);

/* A break as texts. */
struct tly_break_record {
  enum tly_break_kind kind;
  struct tly_text column;        /* the compared column; empty: the key as a whole */
  struct tly_text key;           /* JSON object of the key columns */
  struct tly_text tally, ledger; /* JSON objects of the compared values; null: the side does not have the key */
  struct tly_text difference;    /* JSON object: tally - ledger of the amounts, as texts */
  uint64_t ledger_rows;          /* under the key */
  struct tly_hash fingerprint;   /* equal for equal differences, by value: 0.3 is 0.30 */
};

/* Append `"break":..,"key":..,"tally":..,"ledger":..,"difference":..`, and `"rows":..` of a duplicate. */
void tly_break_record_print(const struct tly_break_record *record, struct tly_buffer *out);

/* ---- the child's side -------------------------------------------------------------------------------------------- */

typedef struct tly_break_writer tly_break_writer;

/* Begin the file anew. */
TLY_CHECK enum tly_status tly_break_writer_open(const char *directory, tly_break_writer **out, struct tly_error *error);
TLY_CHECK enum tly_status tly_break_writer_add(tly_break_writer *writer, const struct tly_break_record *record,
                                               struct tly_error *error);
/* Everything that was added can be read from now on. */
TLY_CHECK enum tly_status tly_break_writer_flush(tly_break_writer *writer, struct tly_error *error);
/* NULL is fine. */
void tly_break_writer_close(tly_break_writer *writer);

/* ---- the other side ---------------------------------------------------------------------------------------------- */

typedef struct tly_break_source tly_break_source;

TLY_CHECK enum tly_status tly_break_source_open(const char *directory, tly_break_source **out, struct tly_error *error);
/* The next record, valid until the next call; *found false at the end. TLY_E_CORRUPT when there is half of one. */
TLY_CHECK enum tly_status tly_break_source_next(tly_break_source *source, struct tly_break_record *out, bool *found,
                                                struct tly_error *error);
/* NULL is fine. */
void tly_break_source_close(tly_break_source *source);
/* Not there: fine. */
void tly_break_file_remove(const char *directory);

#endif
