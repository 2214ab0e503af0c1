/* batch_layer/ledger_source.h -- what stands in a ledger, as CSV records under a header line, whatever it stands in.
 *
 * Path of a ledger: table or file -> [ledger source] -> ledger_reader (typed rows) -> reconciliation.
 *
 * One text form for all: PostgreSQL gives it by itself (COPY), files are it, and SQLite's values are printed so. The
 * fields then become values by the same code, and the same rules, as a stream's (docs/SQL.md, CSV to column).
 * Thread: a source belongs to one thread; reading blocks. */
#ifndef TLY_BATCH_LEDGER_SOURCE_H
#define TLY_BATCH_LEDGER_SOURCE_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/sql/typed_tree.h"

struct tly_ledger_source {
  /* Append whole records, the header line before the first of them; *at_end when there are no more. */
  enum tly_status (*read)(void *context, struct tly_buffer *out, bool *at_end, struct tly_error *error);
  void (*close)(void *context);
  void *context;
};

/* What a ledger said of itself when it was opened, for the report. */
struct tly_ledger_facts {
  struct tly_buffer place; /* "table "pgbench_branches" of database "bank"" */
  struct tly_buffer as_of; /* of all that is read: transaction time and log position, or the file's time and size */
};

/* TLY_E_CONNECTION, TLY_E_IO, TLY_E_UNDEFINED_TABLE or TLY_E_UNDEFINED_COLUMN, with words, when there is no such ledger
 * or it lacks a column. All rows that are read are of one instant. */
TLY_CHECK enum tly_status tly_ledger_open_postgres(const struct tly_ledger *ledger, struct tly_ledger_facts *facts,
                                                   struct tly_ledger_source *out, struct tly_error *error);
/* `project` is the project's folder: relative paths begin there. */
TLY_CHECK enum tly_status tly_ledger_open_sqlite(const struct tly_ledger *ledger, const char *project,
                                                 struct tly_ledger_facts *facts, struct tly_ledger_source *out,
                                                 struct tly_error *error);
TLY_CHECK enum tly_status tly_ledger_open_file(const struct tly_ledger *ledger, const char *project,
                                               struct tly_ledger_facts *facts, struct tly_ledger_source *out,
                                               struct tly_error *error);

/* The option of the ledger, or of its server; NULL. */
const char *tly_ledger_option(const struct tly_ledger *ledger, const char *name);
const char *tly_ledger_server_option(const struct tly_ledger *ledger, const char *name);
/* `name` below `folder` (NULL: none) below `project`, as far as they are relative. The caller frees it. */
char *tly_ledger_path(const char *project, const char *folder, const char *name);
/* "a","b": the ledger's own column names, quoted as identifiers, each followed by `behind`. */
void tly_ledger_print_columns(const struct tly_ledger *ledger, const char *behind, struct tly_buffer *out);
/* The same as the header line of CSV records. A ledger of one column has a second field without a name, which its
 * records fill with anything: a NULL alone would be a blank line, which is no record. */
void tly_ledger_print_header(const struct tly_ledger *ledger, struct tly_buffer *out);
bool tly_ledger_has_filler(const struct tly_ledger *ledger);
/* A name as an SQL identifier in double quotes. */
void tly_ledger_print_name(const char *name, struct tly_buffer *out);

#endif
