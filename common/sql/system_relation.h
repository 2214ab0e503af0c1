/* common/sql/system_relation.h -- the relations of schema tally: what the system knows of itself, to be asked in SQL.
 *
 * Path of a query: SELECT ... FROM tally.runs -> [which columns there are] -> typed tree -> serving_layer/system_rows,
 * which gives the rows.
 *
 * To add one: its number here, its columns in system_relation.c, its rows in serving_layer/system_rows.c, and its table
 * in docs/SQL.md (a test compares the two). Thread: constants. */
#ifndef TLY_SQL_SYSTEM_RELATION_H
#define TLY_SQL_SYSTEM_RELATION_H

#include "common/value/type.h"

#define TLY_SYSTEM_SCHEMA "tally"

enum tly_system_relation_id {
  TLY_SYSTEM_RUNS,
  TLY_SYSTEM_RUN_VIEWS,
  TLY_SYSTEM_RUN_POSITIONS,
  TLY_SYSTEM_DRIFT,
  TLY_SYSTEM_SET_ASIDE,
  TLY_SYSTEM_VIEWS,
  TLY_SYSTEM_STREAMS,
  TLY_SYSTEM_PARTITIONS,
  TLY_SYSTEM_RECONCILIATIONS,
  TLY_SYSTEM_BREAKS,
  TLY_SYSTEM_RELATION_COUNT
};

struct tly_system_column {
  const char *name;
  enum tly_type_id type; /* no numeric: nothing here needs a scale */
  bool nullable;
  const char *about; /* a line for people */
};

struct tly_system_relation {
  const char *name;
  const char *about;
  const struct tly_system_column *columns;
  enum tly_system_relation_id id;
  uint32_t column_count;
};

/* By number: tly_system_relations[id].id == id. */
extern const struct tly_system_relation tly_system_relations[TLY_SYSTEM_RELATION_COUNT];

/* By its name without the schema; NULL when there is none. */
const struct tly_system_relation *tly_system_relation(const char *name);

#endif
