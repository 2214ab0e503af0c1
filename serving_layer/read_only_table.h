/* serving_layer/read_only_table.h -- what all tables of the executor have in common: how SQLite gets to know them.
 *
 * A table is eponymous: it is there under its name without having been made. Its columns are c0, c1, ... without types,
 * since the plan knows those. What it shows is its own affair: merged_table (views), stream_table (events),
 * system_table (what tally knows of itself). Thread: as executor.h. */
#ifndef TLY_SERVING_READ_ONLY_TABLE_H
#define TLY_SERVING_READ_ONLY_TABLE_H

#include "serving_layer/runtime.h"

/* A table as its methods see it; `base` stands first, for SQLite. */
struct tly_read_only_table {
  sqlite3_vtab base;
  struct tly_runtime *runtime;
  const void *subject; /* what it shows */
};

/* Register table <letter><number> of `column_count` columns, and behind them a hidden one when `has_hidden`. `methods`
 * (static) has tly_read_only_connect and tly_read_only_disconnect; `subject` is borrowed. */
TLY_CHECK enum tly_status tly_read_only_table_register(struct tly_runtime *runtime, char letter, uint32_t number,
                                                       uint32_t column_count, bool has_hidden, const void *subject,
                                                       const sqlite3_module *methods, struct tly_error *error);

int tly_read_only_connect(sqlite3 *database, void *module, int count, const char *const *words, sqlite3_vtab **out,
                          char **message);
int tly_read_only_disconnect(sqlite3_vtab *base);
/* Keep the error, which SQLite cannot, and fail. */
int tly_read_only_fail(struct tly_runtime *runtime, const struct tly_error *error);

#endif
