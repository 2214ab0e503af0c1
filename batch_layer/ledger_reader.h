/* batch_layer/ledger_reader.h -- the rows of a ledger as typed columns, all of one instant.
 *
 * Path of a ledger: ledger_source (CSV) -> [ledger_reader] -> ledger_table (sorted by key) -> reconciliation.
 *
 * A field that is no value of its column's type, a record that is broken, a column that is not there, a NULL where the
 * definition says NOT NULL: the ledger cannot be read, with the place, and what was read of it is worth nothing. A
 * reconciliation against it is INCOMPLETE then, never fine. Thread: a reader belongs to one thread; reading blocks. */
#ifndef TLY_BATCH_LEDGER_READER_H
#define TLY_BATCH_LEDGER_READER_H

#include "batch_layer/ledger_source.h"
#include "common/event/event_batch.h"

typedef struct tly_ledger_reader tly_ledger_reader;

/* `project` is the folder that relative paths begin in. */
TLY_CHECK enum tly_status tly_ledger_reader_open(const struct tly_ledger *ledger, const char *project,
                                                 tly_ledger_reader **out, struct tly_error *error);
/* NULL is fine. */
void tly_ledger_reader_close(tly_ledger_reader *reader);
/* The next rows: columns[i] of the batch is the ledger's column i. NULL at the end. Valid until the next call. */
TLY_CHECK enum tly_status tly_ledger_reader_next(tly_ledger_reader *reader, const struct tly_event_batch **out,
                                                 struct tly_error *error);
const struct tly_ledger_facts *tly_ledger_reader_facts(const tly_ledger_reader *reader);

#endif
