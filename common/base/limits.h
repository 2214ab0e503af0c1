/* common/base/limits.h -- every bound of the product, in one place, with what must hold between them.
 * Thread: constants. */
#ifndef TLY_BASE_LIMITS_H
#define TLY_BASE_LIMITS_H

enum {
  TLY_LINE_BYTES_MAX = 1 << 20,  /* one protocol line, one event */
  TLY_BULK_BYTES_MAX = 16 << 20, /* one bulk ingest request */
  TLY_CSV_FIELDS_MAX = 4096,     /* of a CSV header */
  TLY_JSON_DEPTH_MAX = 64,       /* nesting of an event or a request */
  TLY_SQL_BYTES_MAX = 64 << 10,  /* one statement */
  TLY_SQL_EXPR_NODES_MAX = 2000, /* expression nodes of a statement */
  TLY_SQL_FROM_ITEMS_MAX = 64,   /* after every WITH is expanded at each use */
  TLY_SQL_JOINS_MAX = 8,         /* joined relations a level */
  TLY_SQL_PARAMETERS_MAX = 100,
  TLY_SQL_SHORT_BYTES = 1024,          /* a text that may be parsed on the caller's stack, */
  TLY_SQL_SHORT_STACK_BYTES = 2 << 20, /* when so much of it is left */
  TLY_SQL_STACK_BYTES = 8 << 20,       /* of the thread that parses: 64 KiB of text need about half */
  TLY_DEFINITION_BYTES_MAX = 1 << 20,  /* one *.sql file of a project */
  TLY_NAME_BYTES_MAX = 63,             /* as NAMEDATALEN - 1 in PostgreSQL */
  TLY_COLUMNS_MAX = 256,               /* of a stream or a view */
  TLY_STREAMS_MAX = 64,
  TLY_VIEWS_MAX = 256,
  TLY_LEDGERS_MAX = 64,
  TLY_PARTITIONS_MAX = 1024,
  TLY_ZONE_NAME_BYTES_MAX = 255,      /* of a time zone, as TZ_STRLEN_MAX in PostgreSQL */
  TLY_ZONE_FILE_BYTES_MAX = 64 << 10, /* its rules; real ones have at most 4 KiB */
  TLY_ZONE_TRANSITIONS_MAX = 2000,    /* as TZ_MAX_TIMES in PostgreSQL */
  TLY_ZONE_TYPES_MAX = 256,           /* a byte numbers them */
  TLY_DECIMAL_DIGITS_MAX = 1000,
  TLY_EVENT_DECIMAL_DIGITS_MAX = 400,   /* of an event's unconstrained numeric: any sum of them fits a decimal */
  TLY_KEY_BYTES_MAX = 1 << 20,          /* an encoded group key */
  TLY_BATCH_EVENTS_MAX = 65536,         /* events of one archive block and of one event batch */
  TLY_TEXT_BYTES_MAX = 16 << 20,        /* a text that || makes */
  TLY_SUMMAND_DIGITS_MAX = 480,         /* of a numeric without proof in sum and avg: all sums then fit a decimal */
  TLY_SUMMAND_SQUARED_DIGITS_MAX = 240, /* the same in var and stddev */
  TLY_SLICE_BYTES_MAX = 4 << 20,        /* a slice of groups ends early when its keys and texts reach this */
  TLY_EVALUATE_ROWS = 2048,             /* rows an expression is evaluated over at once */
  TLY_LOOKUP_CELLS_FREE = 1 << 16,      /* cells of four bytes in which a fold looks groups up by place: so many ... */
  TLY_LOOKUP_CELLS_PER_GROUP = 4,       /* ... and so many more a group; else it hashes */
  TLY_GROUPS_PER_BLOCK = 512,           /* groups of one block of a run file */
  TLY_RUN_CHAPTER_GROUPS = 8192,        /* groups between two places where a run file's blocks start anew, on average */
  TLY_RUN_PIECES_MAX = 64,              /* files of one part of a view */
  TLY_RUN_SCANS_MAX = 64,               /* scans of one run reader that are open at a time */
  TLY_RUN_CACHE_BYTES = 8 << 20,        /* decoded blocks a run reader keeps */
  TLY_RECOMPUTE_THREADS_MAX = 64,
  TLY_RECOMPUTE_BYTES = 160 << 20, /* groups of a recompute in memory, all threads; above that they are spilled ... */
  TLY_RECOMPUTE_THREAD_BYTES = 64 << 20, /* ... but each thread may have this much */
  TLY_RECOMPUTE_SPILLS_MAX = 64,         /* sorted spills of a thread and view part that are merged into one */
  TLY_PARTIAL_MS = 2000,                 /* a thread folds for so long, a view, before it keeps a partial result, ... */
  TLY_PARTIAL_GROUP_EVENTS = 16,         /* ... if that was so many events for each group, ... */
  TLY_PARTIAL_GROWTH = 16,               /* ... and this part, at least, of the time it has kept: so partials are few */
  TLY_RUN_BASES_MAX = 30,                /* runs that stand on each other; the next one is folded from the archive */
  TLY_BATCH_CLIENTS_MAX = 64,            /* connections to the scheduler */
  TLY_BATCH_JOBS_MAX = 64,               /* runs that wait for their turn */
  TLY_RUN_ATTEMPTS_MAX = 5,              /* runs for one scheduled minute; then it is left to the next one */
  TLY_WHO_BYTES_MAX = 128,               /* who paused a schedule or cancelled a run, as a client says it */
  TLY_QUEUE_WAIT_MS = 1000,              /* the serving layer waits this long to be told what waits */
  TLY_ROLLBACKS_MAX = 16,                /* rollbacks that somebody waits for */
  TLY_REASON_BYTES_MAX = 1000,           /* of an operator's reason, and of the name */
  TLY_BATCH_OUTPUT_BYTES = 1 << 20,      /* unsent replies of one connection; progress is dropped before */
  TLY_MANIFEST_BYTES_MAX = 256 << 20,    /* runs/<run>/manifest.json */
  TLY_DRIFT_WAIT_MS = 60000,             /* the drift check waits this long for a speed layer that does not move */
  TLY_PUBLISH_ORDERS_MAX = 16,           /* held runs that are being published */
  TLY_HOLD_BYTES = 16 << 10,             /* of why a run is held; above it views are counted */
  TLY_CHECK_TEXT_BYTES = 4096,           /* of a check's condition */
  TLY_CHECK_BYTES = 64 << 20,            /* distinct values that a check counts, in memory */
  TLY_CHECK_WORDS_BYTES = 2048,          /* of what a check was computed from ... */
  TLY_CHECK_VALUE_BYTES = 256,           /* ... and of one value in it */
  TLY_PART_ROWS = 1000,                  /* rows of one part of a large answer */
  TLY_PART_BYTES = 256 << 10,
  TLY_CONNECTIONS_MAX = 1024,
  TLY_PIPELINE_MAX = 1000,         /* requests of one connection that wait */
  TLY_SET_ASIDE_LISTED_MAX = 1000, /* events listed a view; all are counted */
  TLY_DRIFT_LISTED_MAX = 1000,     /* keys listed a run; all are counted */
  TLY_DRIFT_EXPLAINED_MAX = 16,    /* of these, a view: whose events are searched for what explains the drift, ... */
  TLY_DRIFT_EVENTS_MAX = 1 << 16,  /* ... events of one key among which is searched, */
  TLY_DRIFT_SEARCH_MS = 15000,     /* time for it, a view, */
  TLY_DRIFT_EVENTS_LISTED = 10,    /* events shown as evidence, a key, */
  TLY_DRIFT_RAW_BYTES = 1000,      /* and of each so much of what was received */
  TLY_LEDGER_JOBS_MAX = 16,        /* reconciliations with ledgers: the one under way, and those that wait */
  TLY_BREAKS_LISTED_MAX = 1000,    /* breaks listed a reconciliation with a ledger; all are counted ... */
  TLY_BREAKS_LISTED_BYTES = 384 << 10, /* ... and no more than so much of JSON */
  TLY_BREAK_MARKS_BYTES = 256,         /* what is said of a listed break besides: number, status, age */
  TLY_LEDGER_REPORT_BYTES = 192 << 10, /* everything else of a reconciliation; totals are most of it */
  TLY_BREAKS_KEPT_MAX = 100000,        /* breaks kept a reconciliation ... */
  TLY_BREAKS_KEPT_BYTES = 64 << 20,    /* ... and no more than so much of JSON; all are counted */
  TLY_BREAKS_PAGE_MAX = 1000,          /* breaks of one answer; the next one goes on behind them */
  TLY_BREAK_WORDS_BYTES_MAX = 4096,    /* why the status of a break was changed */
  TLY_REPORT_ROWS_MAX = 1000,          /* rows of a list on a page of tally report; its other forms have all */
  TLY_RECONCILE_LEDGERS_MAX = 16,      /* ledgers that a view is reconciled with by itself */
  TLY_RECONCILE_TRIES_MAX = 5,         /* of a scheduled reconciliation that stays incomplete */
  TLY_CURRENCIES_MAX = 256,            /* currencies with totals of their own; the others share theirs */
  TLY_DOORBELL_POLL_MS = 100,
  TLY_KEY_CODER_KEPT_BYTES = 16 << 20, /* interned values of a key column that stay known between commits */
  TLY_DELTA_FAN_IN = 8,                /* live deltas of one size class that are merged into one */
  TLY_DELTA_CACHE_BYTES = 32 << 20,    /* decoded blocks of live deltas a reader holds */
  TLY_QUERY_TIMEOUT_MS = 10000,
  TLY_IMPORTS_MAX = 16384,            /* imports of a stream; none is ever forgotten */
  TLY_IMPORT_NAME_BYTES_MAX = 1024,   /* the name of an import */
  TLY_IMPORT_PLACE_BYTES_MAX = 256,   /* its content's mark, and a place in it */
  TLY_BACKFILL_BYTES = 64 << 10,      /* one request of a backfill: small, so that live ones do not wait behind it */
  TLY_EXPORT_CHUNK_BYTES = 256 << 10, /* an export is compressed and written in pieces of exactly this size */
  TLY_EXPORT_BLOCKS_LISTED = 512,     /* and lists so many blocks of a partition at once */
};

_Static_assert(TLY_PART_BYTES < TLY_BULK_BYTES_MAX, "a part is smaller than a bulk");
_Static_assert(TLY_KEY_BYTES_MAX >= TLY_LINE_BYTES_MAX, "any text of one event can be a key");
_Static_assert(2 * TLY_SUMMAND_DIGITS_MAX + 20 <= TLY_DECIMAL_DIGITS_MAX, "2^63 summands at any two scales fit");
_Static_assert(2 * TLY_SUMMAND_SQUARED_DIGITS_MAX <= TLY_SUMMAND_DIGITS_MAX, "a square is a summand");
_Static_assert(TLY_BREAKS_LISTED_BYTES + TLY_BREAKS_LISTED_MAX * TLY_BREAK_MARKS_BYTES + 2 * TLY_LEDGER_REPORT_BYTES <=
                   TLY_LINE_BYTES_MAX,
               "breaks, and totals of what is accepted beside the others, fit a reply line");
_Static_assert(TLY_BREAKS_KEPT_MAX >= TLY_BREAKS_LISTED_MAX && TLY_BREAKS_KEPT_BYTES >= TLY_BREAKS_LISTED_BYTES,
               "every break that is listed is kept, and so has a number");
_Static_assert(TLY_BREAKS_PAGE_MAX <= TLY_BREAKS_LISTED_MAX, "a page fits a reply line as a list does");
_Static_assert(TLY_BATCH_OUTPUT_BYTES >= TLY_LINE_BYTES_MAX, "a reply is never lost for its size");
_Static_assert(TLY_BATCH_EVENTS_MAX % TLY_EVALUATE_ROWS == 0, "a batch is whole evaluations");
_Static_assert(TLY_GROUPS_PER_BLOCK < 65536, "what a group block can hold");

#endif
