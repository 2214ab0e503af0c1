/* common/sql/typed_tree.h -- the narrow waist: names resolved, types checked, nothing left to guess.
 *
 * Path of an event: definitions (*.sql) -> [typed tree] -> evaluate, fold; and queries -> [typed tree] -> serving plan.
 * The tree is immutable once made and lives in one arena (of the project, or of the statement).
 * Thread: pure data; readable by any thread. */
#ifndef TLY_SQL_TYPED_TREE_H
#define TLY_SQL_TYPED_TREE_H

#include "common/sql/catalog.h"
#include "common/sql/system_relation.h"
#include "common/value/value.h"

enum {
  TLY_HASH_BYTES = 16,
  TLY_DECODER_VERSION = 1 /* raised when the decoder reads the same bytes as other values: part of a view's hash */
};

struct tly_hash {
  uint8_t bytes[TLY_HASH_BYTES]; /* XXH3-128, canonical form */
};

/* ---- expressions ------------------------------------------------------------------------------------------------- */

enum tly_expr_kind {
  TLY_EXPR_COLUMN,    /* relation, column, levels_up */
  TLY_EXPR_KEY,       /* in a view's outputs and HAVING: group key number `column` */
  TLY_EXPR_CONSTANT,  /* constant */
  TLY_EXPR_PARAMETER, /* `column` is n - 1 of $n; queries only */
  TLY_EXPR_NOW,       /* now(), current_timestamp; queries only, fixed per statement */
  TLY_EXPR_CALL,      /* kernel over arguments: operators, functions and casts of the catalogue. A NULL argument gives
                         NULL (all kernels are strict). Kernels `numeric` and `varchar` coerce to `type`'s typmod */
  TLY_EXPR_FROM_TEXT, /* argument 0 is text: the input function of `type` */
  TLY_EXPR_TO_TEXT,   /* the output function: text or varchar */
  TLY_EXPR_RELABEL,   /* the same value under another type (text <-> varchar; a numeric whose proof is dropped, or
                         widened to more digits at the same scale) */
  TLY_EXPR_AND,       /* 2 or more arguments, evaluated left to right for the rows that need them */
  TLY_EXPR_OR,
  TLY_EXPR_NOT,
  TLY_EXPR_IS_NULL,
  TLY_EXPR_IS_NOT_NULL,
  TLY_EXPR_IS_TRUE, /* IS [NOT] TRUE, FALSE, UNKNOWN: boolean tests */
  TLY_EXPR_IS_NOT_TRUE,
  TLY_EXPR_IS_FALSE,
  TLY_EXPR_IS_NOT_FALSE,
  TLY_EXPR_IS_DISTINCT, /* kernel is the equality of the two arguments */
  TLY_EXPR_IS_NOT_DISTINCT,
  TLY_EXPR_CASE,     /* when, then, when, then, ..., else: an odd count, the last is ELSE (a NULL constant if absent).
                        CASE x WHEN v is resolved to x = v */
  TLY_EXPR_COALESCE, /* the arguments here, the results of CASE, and those of GREATEST and LEAST have exactly `type` */
  TLY_EXPR_NULLIF,   /* kernel is the equality; gives argument 0 or NULL */
  TLY_EXPR_GREATEST, /* NULLs are ignored */
  TLY_EXPR_LEAST,
  TLY_EXPR_IN,        /* argument 0 = any of the others, kernel is that equality; NOT IN is NOT over it */
  TLY_EXPR_AGGREGATE, /* aggregate; in a view's outputs and HAVING `column` is its number in the view */
  TLY_EXPR_WINDOW,    /* window; queries only */
  TLY_EXPR_EXISTS,    /* query; queries only */
  TLY_EXPR_IN_QUERY,  /* argument 0 = any row of query (one column), kernel is the equality */
  TLY_EXPR_SCALAR_QUERY
};

struct tly_expr;
struct tly_query;

/* One aggregate call. `argument` is NULL for count(*). */
struct tly_aggregate {
  enum tly_aggregate_function function;
  struct tly_expr *argument;
  struct tly_expr *filter; /* FILTER (WHERE ...), or NULL */
  bool distinct;           /* count(DISTINCT x) (a DISTINCT without effect, as in min, is dropped) */
  struct tly_type type;    /* of the result */
};

enum tly_frame_bound {
  TLY_FRAME_UNBOUNDED_PRECEDING,
  TLY_FRAME_PRECEDING, /* with an offset: ROWS and GROUPS only */
  TLY_FRAME_CURRENT_ROW,
  TLY_FRAME_FOLLOWING,
  TLY_FRAME_UNBOUNDED_FOLLOWING
};
enum tly_frame_mode { TLY_FRAME_RANGE, TLY_FRAME_ROWS, TLY_FRAME_GROUPS };

struct tly_order_item {
  struct tly_expr *expression;
  bool descending;
  bool nulls_first; /* always decided: default is last for ASC, first for DESC */
};

struct tly_window {
  bool is_aggregate;
  struct tly_aggregate aggregate;    /* when is_aggregate */
  enum tly_window_function function; /* else */
  struct tly_expr **arguments;       /* of the window function */
  uint32_t argument_count;
  struct tly_expr **partition;
  uint32_t partition_count;
  struct tly_order_item *order;
  uint32_t order_count;
  bool has_frame;
  enum tly_frame_mode mode;
  enum tly_frame_bound start, end;
  struct tly_expr *start_offset, *end_offset; /* bigint constants or parameters, or NULL */
};

struct tly_expr {
  enum tly_expr_kind kind;
  struct tly_type type;
  bool nullable;     /* false is a proof: never NULL on a row that does not raise */
  bool can_raise;    /* false is a proof: no row can raise an error here or below */
  uint32_t location; /* byte offset in the statement's text, for carets */
  enum tly_kernel kernel;
  uint32_t column;
  uint16_t relation; /* which FROM item of the query `levels_up` levels above */
  uint16_t levels_up;
  struct tly_expr **arguments;
  uint32_t argument_count;
  struct tly_value constant;
  struct tly_aggregate *aggregate;
  struct tly_window *window;
  struct tly_query *query;
};

/* Structural equality, as PostgreSQL's equal(): locations do not count, two sub-selects are never one. Either may be
 * NULL. */
bool tly_expr_equal(const struct tly_expr *a, const struct tly_expr *b);

/* ---- definitions ------------------------------------------------------------------------------------------------- */

struct tly_option {
  const char *name, *value;
  uint32_t location;
};

/* What stands behind a server: a source of streams, or a ledger to reconcile with. */
enum tly_wrapper {
  TLY_WRAPPER_EMBEDDED, /* the built-in log */
  TLY_WRAPPER_KAFKA,
  TLY_WRAPPER_POSTGRES, /* ledgers: read when a reconciliation asks for them */
  TLY_WRAPPER_SQLITE,
  TLY_WRAPPER_FILE /* CSV */
};

struct tly_server {
  const char *name; /* "embedded" always exists */
  enum tly_wrapper wrapper;
  const char *wrapper_name; /* as it is written */
  struct tly_option *options;
  uint32_t option_count;
};

enum tly_timestamp_unit { TLY_TIME_RFC3339, TLY_TIME_EPOCH_S, TLY_TIME_EPOCH_MS, TLY_TIME_EPOCH_US };

/* One column of a stream and where it stands in an event. */
struct tly_stream_column {
  const char *name;
  struct tly_type type;
  bool not_null;
  const char **path; /* JSON member names from the root; {name} unless OPTIONS (path 'a.b') */
  uint32_t path_count;
  const char *header;           /* CSV column name */
  enum tly_timestamp_unit unit; /* OPTIONS (unit 'rfc3339' | 's' | 'ms' | 'us'); how a JSON number is read */
  uint32_t location;
};

enum tly_format { TLY_FORMAT_JSON, TLY_FORMAT_CSV };

struct tly_stream {
  const char *name;
  const struct tly_server *server;
  struct tly_stream_column *columns;
  uint32_t column_count;
  enum tly_format format;
  int32_t event_time;         /* column number, or -1 */
  struct tly_option *options; /* as written: `topic` of a Kafka stream */
  uint32_t option_count;
  const char *canonical; /* one text for equal definitions: name, columns, types, paths, format */
  struct tly_hash hash;  /* of it */
  const char *source;    /* its statement, as written */
  const char *file;
  uint32_t location;
};

/* A foreign table on a server of ledgers: somebody else's totals. */
struct tly_ledger_column {
  const char *name;
  const char *remote_name; /* in the ledger: OPTIONS (column_name '...'), else the same */
  struct tly_type type;
  bool not_null;
  uint32_t location;
};

struct tly_ledger {
  const char *name;
  const struct tly_server *server;
  struct tly_ledger_column *columns;
  uint32_t column_count;
  struct tly_option *options; /* as written: schema_name, table_name, filename, ... */
  uint32_t option_count;
  const char *source; /* its statement, as written */
  const char *file;
  uint32_t location;
};

struct tly_view_output {
  const char *name;
  struct tly_expr *expression; /* over KEY and AGGREGATE nodes */
};

struct tly_view;

/* A control total of a view: WITH (check = '...'), a condition over all its finished rows. */
struct tly_view_check {
  const char *text;      /* as written, on one line */
  struct tly_view *view; /* what it is computed by: a view without keys whose stream is the finished rows. Output 0 is
                            the condition, output 1 + i aggregate i, under its text as name */
};

struct tly_view {
  const char *name;
  const struct tly_stream *stream;
  const char *recompute;              /* the cron text, its own or its job's; NULL: only by hand */
  const char *time_zone;              /* by whose clocks, or NULL: UTC */
  const char *job;                    /* the views of one job are recomputed and published together; NULL: of none */
  const struct tly_view_check *check; /* what must hold before a run of the view goes live, or NULL */
  bool publish_with_drift;            /* a run goes live also when its drift check found differences */
  const char *reconcile;              /* when it is reconciled with `ledgers`: a cron text, or NULL: only by hand */
  const char *reconcile_with;         /* their names, as written, or NULL */
  const struct tly_ledger **ledgers;
  uint32_t ledger_count;
  const char *tolerance;            /* of reconciliations that name none, an amount of 0 or more; NULL: 0 */
  struct tly_expr *where;           /* over COLUMN nodes of the stream, or NULL */
  struct tly_expr **keys;           /* GROUP BY, over COLUMN nodes, in the order of GROUP BY */
  uint32_t key_count;               /* 0: one row always */
  struct tly_aggregate *aggregates; /* each distinct call once, over COLUMN nodes */
  uint32_t aggregate_count;
  struct tly_expr *having; /* over KEY and AGGREGATE nodes, or NULL */
  struct tly_view_output *outputs;
  uint32_t output_count;
  const char *canonical; /* one text for equal definitions, whatever the spelling */
  struct tly_hash hash;  /* of canonical, the stream's canonical text and the decoder version; options are not in it */
  const char *source;    /* the statements of its stream and its own, as written */
  const char *file;
  uint32_t location;
};

/* ---- queries ----------------------------------------------------------------------------------------------------- */

enum tly_from_kind { TLY_FROM_VIEW, TLY_FROM_SYSTEM, TLY_FROM_STREAM, TLY_FROM_QUERY, TLY_FROM_CTE };
enum tly_join_kind { TLY_JOIN_NONE, TLY_JOIN_CROSS, TLY_JOIN_INNER, TLY_JOIN_LEFT };

/* Where an event stands, as columns behind those of its stream: _partition (integer) and _offset (bigint). */
enum { TLY_STREAM_PARTITION, TLY_STREAM_OFFSET, TLY_STREAM_POSITIONS };

/* FROM items in written order; item 0 has TLY_JOIN_NONE, each later one is joined to all before it. (Right and nested
 * joins are refused; a comma is TLY_JOIN_CROSS; USING is resolved to ON.) */
struct tly_from_item {
  enum tly_from_kind kind;
  enum tly_join_kind join;
  struct tly_expr *on; /* INNER and LEFT */
  const char *alias;
  const struct tly_view *view;              /* TLY_FROM_VIEW */
  int64_t run;                              /* run_<n>.view: that run alone; 0: the merged view; */
  const struct tly_system_relation *system; /* TLY_FROM_SYSTEM: tally.<name> */
  const struct tly_stream
      *stream;             /* TLY_FROM_STREAM: the archive; behind its columns stand TLY_STREAM_POSITIONS more */
  struct tly_query *query; /* TLY_FROM_QUERY */
  uint32_t cte;            /* TLY_FROM_CTE: number in the list of the query `cte_levels_up` levels above */
  uint32_t cte_levels_up;
  struct tly_result_column *columns;
  uint32_t column_count;
};

struct tly_result_column {
  const char *name;
  struct tly_type type;
  bool nullable;
};

struct tly_cte {
  const char *name;
  struct tly_query *query;
  uint32_t use_count;
};

/* One SELECT, or UNION ALL of two or more (then only ctes, members, order, limit, offset and columns are used). Every
 * query below another one is one level down for levels_up and cte_levels_up: a member of a UNION ALL, a WITH query, a
 * sub-select in FROM or in an expression. */
struct tly_query {
  struct tly_cte *ctes;
  uint32_t cte_count;
  struct tly_query **members; /* UNION ALL */
  uint32_t member_count;
  bool distinct;
  struct tly_expr **targets; /* one a result column */
  struct tly_from_item *from;
  uint32_t from_count;
  struct tly_expr *where;
  struct tly_expr **group;
  uint32_t group_count;
  bool is_grouped; /* GROUP BY, or aggregates without one */
  struct tly_expr *having;
  struct tly_order_item *order; /* with UNION ALL or DISTINCT: expressions are COLUMN nodes of relation UINT16_MAX whose
                                   column is a result column number */
  uint32_t order_count;
  struct tly_expr *limit, *offset; /* bigint, no columns; or NULL */
  struct tly_result_column *columns;
  uint32_t column_count;
};

enum { TLY_RELATION_RESULT = UINT16_MAX };

/* A whole statement, ready to plan. */
struct tly_statement {
  struct tly_query *query;
  struct tly_type *parameters; /* types of $1 .. $n, from context */
  uint32_t parameter_count;
  const char *sql;
};

#endif
