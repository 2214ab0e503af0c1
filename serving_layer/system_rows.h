/* serving_layer/system_rows.h -- the rows of a system relation (common/sql/system_relation.h), as a statement sees
 * them.
 *
 * Path of an answer: batch.db, speed.db, the archive's index -> store_facts -> [system_rows] -> system_table -> SQLite.
 *
 * All rows are read when the statement begins, in the same look at speed.db as its views, and held until it ends; what
 * they take counts against the query's memory bound. Thread: that of the source. */
#ifndef TLY_SERVING_SYSTEM_ROWS_H
#define TLY_SERVING_SYSTEM_ROWS_H

#include "common/sql/system_relation.h"
#include "common/value/value.h"
#include "serving_layer/control.h"
#include "serving_layer/store_source.h"

struct tly_system_rows {
  const struct tly_system_relation *relation;
  struct tly_arena *arena; /* of values and texts */
  struct tly_control *control;
  struct tly_value *values; /* row by row */
  uint32_t count, capacity; /* rows */
  uint32_t filled;          /* columns of the newest row, while it is made */
  size_t uncharged;         /* bytes of the newest row's texts: they count with the next row */
};

/* No rows yet; `arena` and `control` are borrowed. */
void tly_system_rows_init(struct tly_system_rows *rows, const struct tly_system_relation *relation,
                          struct tly_arena *arena, struct tly_control *control);
/* Read all rows of the relations in `rows` (by number; NULL: not this one), in one state of each store. `speed` is in a
 * snapshot, or NULL when the speed layer has nothing to say. A store that is not there yet is an empty one. */
TLY_CHECK enum tly_status tly_system_rows_read(struct tly_system_rows *const rows[TLY_SYSTEM_RELATION_COUNT],
                                               tly_store_source *source, const struct tly_project *project,
                                               tly_speed_reader *speed, struct tly_error *error);
const struct tly_value *tly_system_rows_value(const struct tly_system_rows *rows, uint32_t row, uint32_t column);

/* A row as it is made: add it, then give each column's value in order. A text is copied; NULL, where the column may be,
 * is an SQL NULL. */
TLY_CHECK enum tly_status tly_system_rows_add(struct tly_system_rows *rows, struct tly_error *error);
void tly_system_rows_integer(struct tly_system_rows *rows, int64_t value);
void tly_system_rows_text(struct tly_system_rows *rows, const char *text);
/* Microseconds since 1970. */
void tly_system_rows_time(struct tly_system_rows *rows, int64_t us);
void tly_system_rows_boolean(struct tly_system_rows *rows, bool value);
void tly_system_rows_hash(struct tly_system_rows *rows, const struct tly_hash *hash);
void tly_system_rows_null(struct tly_system_rows *rows);

#endif
