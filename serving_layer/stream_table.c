/* The archive of a stream as a SQLite table: e<stream>, a row an event in the order of partition and offset. Columns
 * c0, c1, ... are the stream's; behind them stand _partition and _offset.
 *
 * Comparisons of the event time and of the position with something that is known when the scan begins are pushed down:
 * they decide which blocks are decoded. SQLite checks them again.
 *
 * idxStr: "<columns used, hex>:" and then, for each pushed constraint in the order of the arguments of xFilter, t, p or
 * o (time, partition, offset) and = < l > g (l: <=, g: >=). */
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "serving_layer/forms.h"
#include "serving_layer/read_only_table.h"
#include "serving_layer/stream_scan.h"

enum { PUSHED_MAX = 16, ROWS_ASSUMED = 10000000, LAST_SEEN_COLUMN = 63 };

struct stream_cursor {
  sqlite3_vtab_cursor base;
  tly_stream_scan *scan;
  bool has_event;
  int64_t rowid;
};

/* ---- xBestIndex -------------------------------------------------------------------------------------------------- */

/* What a constraint on the column narrows: t, p, o; 0: nothing. */
static char range_of_column(const struct tly_stream *stream, int column) {
  if (column < 0)
    return 0;
  if (column == stream->event_time)
    return 't';
  if ((uint32_t)column == stream->column_count + TLY_STREAM_PARTITION)
    return 'p';
  return (uint32_t)column == stream->column_count + TLY_STREAM_OFFSET ? 'o' : 0;
}

static char letter_of(unsigned char operator) {
  switch (operator) {
  case SQLITE_INDEX_CONSTRAINT_EQ: return '=';
  case SQLITE_INDEX_CONSTRAINT_GT: return '>';
  case SQLITE_INDEX_CONSTRAINT_GE: return 'g';
  case SQLITE_INDEX_CONSTRAINT_LT: return '<';
  case SQLITE_INDEX_CONSTRAINT_LE: return 'l';
  default: return 0;
  }
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
  const struct tly_stream *stream = ((struct tly_read_only_table *)base)->subject;
  char pushed[2 * PUSHED_MAX + 1];
  int count = 0;
  double rows = ROWS_ASSUMED;
  for (int i = 0; i < info->nConstraint && count < PUSHED_MAX; i++) {
    char range = range_of_column(stream, info->aConstraint[i].iColumn), letter = letter_of(info->aConstraint[i].op);
    if (!info->aConstraint[i].usable || range == 0 || letter == 0)
      continue;
    pushed[2 * count] = range;
    pushed[2 * count + 1] = letter;
    info->aConstraintUsage[i].argvIndex = ++count;
    rows /= letter == '=' ? 100 : 4;
  }
  pushed[2 * count] = '\0';
  info->estimatedRows = (sqlite3_int64)rows + 1;
  info->estimatedCost = rows + 100;
  info->idxStr = sqlite3_mprintf("%llx:%s", (unsigned long long)info->colUsed, pushed);
  info->needToFreeIdxStr = 1;
  return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- cursors ----------------------------------------------------------------------------------------------------- */

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  (void)base;
  struct stream_cursor *cursor = tly_calloc(1, sizeof *cursor);
  *out = &cursor->base;
  return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
  struct stream_cursor *cursor = (struct stream_cursor *)base;
  tly_stream_scan_close(cursor->scan);
  tly_free(cursor);
  return SQLITE_OK;
}

/* Microseconds of an event time in the form of its column; a day that has none stays out of reach. */
static int64_t microseconds_of(const struct tly_stream *stream, int64_t value) {
  if (stream->columns[stream->event_time].type.id != TLY_TYPE_DATE)
    return value;
  if (value > INT64_MAX / TLY_US_PER_DAY)
    return INT64_MAX;
  return value < INT64_MIN / TLY_US_PER_DAY ? INT64_MIN : value * TLY_US_PER_DAY;
}

/* false: compared with NULL, or with what is no integer: SQLite's own check decides then. */
static bool narrow(const struct tly_stream *stream, const char *text, int count, sqlite3_value **arguments,
                   struct tly_stream_range *range) {
  bool is_something = true;
  for (int i = 0; i < count; i++) {
    char column = text[2 * i], operator= text[2 * i + 1];
    int type = sqlite3_value_type(arguments[i]);
    int64_t value = sqlite3_value_int64(arguments[i]);
    is_something = is_something && type != SQLITE_NULL;
    if (type != SQLITE_INTEGER)
      continue;
    if (column == 'p')
      tly_stream_range_partition(range, operator, value);
    else if (column == 'o')
      tly_stream_range_offset(range, operator, value);
    else
      tly_stream_range_time(range, operator, microseconds_of(stream, value));
  }
  return is_something;
}

static int next_event(struct stream_cursor *cursor, struct tly_runtime *runtime) {
  struct tly_error error = TLY_ERROR_NONE;
  return tly_stream_scan_next(cursor->scan, &cursor->has_event, &error) == TLY_OK ? SQLITE_OK
                                                                                  : tly_read_only_fail(runtime, &error);
}

static const struct tly_stream_use *use_of(const struct tly_plan *plan, const struct tly_stream *stream) {
  for (uint32_t i = 0; i < plan->stream_count; i++)
    if (plan->streams[i].stream == stream)
      return &plan->streams[i];
  TLY_UNREACHABLE(); /* planned with every e<stream> */
}

static int filter_cursor(sqlite3_vtab_cursor *base, int number, const char *text, int count,
                         sqlite3_value **arguments) {
  struct stream_cursor *cursor = (struct stream_cursor *)base;
  const struct tly_read_only_table *table = (struct tly_read_only_table *)base->pVtab;
  const struct tly_stream *stream = table->subject;
  struct tly_runtime *runtime = table->runtime;
  struct tly_stream_range range = tly_stream_range_all();
  struct tly_error error = TLY_ERROR_NONE;
  bool wanted[TLY_COLUMNS_MAX];
  char *end;
  (void)number;
  uint64_t used = strtoull(text, &end, 16);
  for (uint32_t i = 0; i < stream->column_count; i++)
    wanted[i] = used >> (i < LAST_SEEN_COLUMN ? i : LAST_SEEN_COLUMN) & 1;
  tly_stream_scan_close(cursor->scan);
  *cursor = (struct stream_cursor){.base = cursor->base};
  if (!narrow(stream, end + 1, count, arguments, &range))
    return SQLITE_OK; /* compared with NULL: no row */
  if (tly_stream_scan_open(use_of(runtime->plan, stream), runtime->source, runtime->control, &range, wanted,
                           &cursor->scan, &error) != TLY_OK)
    return tly_read_only_fail(runtime, &error);
  return next_event(cursor, runtime);
}

static int next_row(sqlite3_vtab_cursor *base) {
  struct stream_cursor *cursor = (struct stream_cursor *)base;
  cursor->rowid++;
  return next_event(cursor, ((struct tly_read_only_table *)base->pVtab)->runtime);
}

static int is_at_end(sqlite3_vtab_cursor *base) {
  return !((struct stream_cursor *)base)->has_event;
}

static int give_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const struct stream_cursor *cursor = (struct stream_cursor *)base;
  const struct tly_stream *stream = ((struct tly_read_only_table *)base->pVtab)->subject;
  if ((uint32_t)column == stream->column_count + TLY_STREAM_PARTITION)
    sqlite3_result_int64(context, tly_stream_scan_partition(cursor->scan));
  else if ((uint32_t)column == stream->column_count + TLY_STREAM_OFFSET)
    sqlite3_result_int64(context, tly_stream_scan_offset(cursor->scan));
  else {
    struct tly_value value = tly_stream_scan_column(cursor->scan, (uint32_t)column);
    tly_form_result(context, &value);
  }
  return SQLITE_OK;
}

static int give_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
  *out = ((struct stream_cursor *)base)->rowid;
  return SQLITE_OK;
}

static const sqlite3_module module_methods = {
    .iVersion = 1,
    .xConnect = tly_read_only_connect,
    .xBestIndex = best_index,
    .xDisconnect = tly_read_only_disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter_cursor,
    .xNext = next_row,
    .xEof = is_at_end,
    .xColumn = give_column,
    .xRowid = give_rowid,
};

enum tly_status tly_stream_table_register(struct tly_runtime *runtime, struct tly_error *error) {
  const struct tly_project *project = runtime->programs->project;
  for (uint32_t i = 0; i < project->stream_count; i++) {
    const struct tly_stream *stream = &project->streams[i];
    TLY_TRY(tly_read_only_table_register(runtime, 'e', i, stream->column_count + TLY_STREAM_POSITIONS, false, stream,
                                         &module_methods, error));
  }
  return TLY_OK;
}
