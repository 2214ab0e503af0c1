/* batch_layer/ledger_rows.h -- the rows of a ledger, sorted by key in bounded memory.
 *
 * Path of a ledger: ledger_reader -> [ledger rows] -> ledger_comparison. A ledger says nothing of its order, and may be
 * larger than memory, so its rows go through SQLite's sorter: a database without a name in the data folder, of which
 * nothing is left however the process ends.
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_LEDGER_ROWS_H
#define TLY_BATCH_LEDGER_ROWS_H

#include "batch_layer/ledger_comparison.h"
#include "common/event/event_batch.h"

typedef struct tly_ledger_rows tly_ledger_rows;

/* `folder` is where the sorter spills to: that of the whole process from now on. `match` is borrowed. */
TLY_CHECK enum tly_status tly_ledger_rows_open(const struct tly_ledger_match *match, const char *folder,
                                               tly_ledger_rows **out, struct tly_error *error);
/* NULL is fine. */
void tly_ledger_rows_close(tly_ledger_rows *rows);
/* Add the rows of a batch: columns[i] is the ledger's column i. */
TLY_CHECK enum tly_status tly_ledger_rows_add(tly_ledger_rows *rows, const struct tly_event_batch *batch,
                                              struct tly_error *error);
/* All rows are there: sort. Then the source gives them, whatever order they came in. */
TLY_CHECK enum tly_status tly_ledger_rows_sort(tly_ledger_rows *rows, struct tly_error *error);
struct tly_keyed_source tly_ledger_rows_source(tly_ledger_rows *rows);
/* Of all rows, when the source has come to its end: XXH3-128 over keys and compared values in their order, so equal
 * ledgers have equal hashes however they are stored. */
struct tly_hash tly_ledger_rows_hash(const tly_ledger_rows *rows);

#endif
