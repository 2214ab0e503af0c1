/* common/base/limits.h -- every bound of the product, in one place, with what must hold between them.
 * Thread: constants. */
#ifndef TLY_BASE_LIMITS_H
#define TLY_BASE_LIMITS_H

enum {
  TLY_LINE_BYTES_MAX = 1 << 20,          /* one protocol line, one event */
  TLY_BULK_BYTES_MAX = 16 << 20,         /* one bulk ingest request */
  TLY_JSON_DEPTH_MAX = 64,               /* nesting of an event or a request */
  TLY_SQL_BYTES_MAX = 64 << 10,          /* one statement */
  TLY_SQL_EXPR_NODES_MAX = 2000,         /* expression nodes of a statement */
  TLY_SQL_FROM_ITEMS_MAX = 64,           /* after every WITH is expanded at each use */
  TLY_SQL_JOINS_MAX = 8,                 /* joined relations a level */
  TLY_SQL_PARAMETERS_MAX = 100,
  TLY_SQL_STACK_BYTES = 8 << 20,         /* of the thread that parses: 64 KiB of text need about half */
  TLY_DEFINITION_BYTES_MAX = 1 << 20,    /* one *.sql file of a project */
  TLY_NAME_BYTES_MAX = 63,               /* as NAMEDATALEN - 1 in PostgreSQL */
  TLY_COLUMNS_MAX = 256,                 /* of a stream or a view */
  TLY_STREAMS_MAX = 64,
  TLY_VIEWS_MAX = 256,
  TLY_PARTITIONS_MAX = 1024,
  TLY_DECIMAL_DIGITS_MAX = 1000,
  TLY_EVENT_DECIMAL_DIGITS_MAX = 400,    /* of an event's unconstrained numeric: its squares and their sums still fit */
  TLY_KEY_BYTES_MAX = 1 << 20,           /* an encoded group key */
  TLY_BATCH_EVENTS_MAX = 65536,          /* events of one archive block and of one event batch */
  TLY_EVALUATE_ROWS = 2048,              /* rows an expression is evaluated over at once */
  TLY_GROUPS_PER_BLOCK = 512,            /* groups of one block of a run file */
  TLY_PART_ROWS = 1000,                  /* rows of one part of a large answer */
  TLY_PART_BYTES = 256 << 10,
  TLY_CONNECTIONS_MAX = 1024,
  TLY_PIPELINE_MAX = 1000,               /* requests of one connection that wait */
  TLY_SET_ASIDE_LISTED_MAX = 1000,       /* events listed a view; all are counted */
  TLY_DRIFT_LISTED_MAX = 1000,           /* keys listed a run; all are counted */
  TLY_DOORBELL_POLL_MS = 100,
  TLY_QUERY_TIMEOUT_MS = 10000,
};

_Static_assert(TLY_PART_BYTES < TLY_BULK_BYTES_MAX, "a part is smaller than a bulk");
_Static_assert(TLY_KEY_BYTES_MAX >= TLY_LINE_BYTES_MAX, "any text of one event can be a key");
_Static_assert(TLY_BATCH_EVENTS_MAX % TLY_EVALUATE_ROWS == 0, "a batch is whole evaluations");

#endif
