/* A merged view as a SQLite table: v<view>(<use>).
 *
 * One eponymous module a view of the project; columns c0, c1, ... are the view's outputs, and the hidden column `use`
 * says which use of the running plan is meant (so a self-join's two sides are two uses with a key range each). SQLite
 * pushes equalities on leading key columns and an interval on the next down to xFilter, which narrows the use's range
 * by them; they are checked again by SQLite, so a range may only be too wide. Rows come in key order: where ORDER BY
 * asks for just that, on keys that are never NULL, SQLite is told so and does not sort.
 *
 * idxStr: "<columns used, hex>:" and then a letter and a key number for each pushed constraint, in the order of the
 * arguments of xFilter: e = equal, g >, G >=, l <, L <=. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"
#include "serving_layer/forms.h"
#include "serving_layer/read_only_table.h"

struct merged_cursor {
  sqlite3_vtab_cursor base;
  tly_view_scan *scan;
  struct tly_view_rows rows;
  uint32_t index; /* into rows.rows */
  int64_t rowid;
};

enum { PUSHED_MAX = 16, ROWS_ASSUMED = 1000000 };

static const struct tly_view_program *program_of(const struct tly_read_only_table *table) {
  return table->subject;
}

static uint32_t use_column(const struct tly_read_only_table *table) {
  return program_of(table)->view->output_count;
}

/* ---- xBestIndex -------------------------------------------------------------------------------------------------- */

/* The key that output `column` is, or -1. */
static int key_of_column(const struct tly_read_only_table *table, int column) {
  if (column < 0 || (uint32_t)column >= use_column(table))
    return -1;
  const struct tly_expr *output = program_of(table)->view->outputs[column].expression;
  return output->kind == TLY_EXPR_KEY ? (int)output->column : -1;
}

static int find_constraint(const struct tly_read_only_table *table, const sqlite3_index_info *info, uint32_t key,
                           const unsigned char *operators) {
  for (int i = 0; i < info->nConstraint; i++)
    if (info->aConstraint[i].usable && key_of_column(table, info->aConstraint[i].iColumn) == (int)key &&
        strchr((const char *)operators, info->aConstraint[i].op) != NULL)
      return i;
  return -1;
}

static char letter_of(unsigned char operator) {
  switch (operator) {
  case SQLITE_INDEX_CONSTRAINT_EQ: return 'e';
  case SQLITE_INDEX_CONSTRAINT_GT: return 'g';
  case SQLITE_INDEX_CONSTRAINT_GE: return 'G';
  case SQLITE_INDEX_CONSTRAINT_LT: return 'l';
  default: return 'L';
  }
}

struct pushed {
  char text[8 * PUSHED_MAX];
  int count;
};

static void push(sqlite3_index_info *info, struct pushed *pushed, int constraint, uint32_t key) {
  info->aConstraintUsage[constraint].argvIndex = pushed->count + 2; /* the first is `use` */
  size_t size = strlen(pushed->text);
  snprintf(pushed->text + size, sizeof pushed->text - size, "%c%u", letter_of(info->aConstraint[constraint].op), key);
  pushed->count++;
}

/* Equalities on the first keys, then bounds on the next. Returns how many rows that is likely to leave. */
static double push_constraints(const struct tly_read_only_table *table, sqlite3_index_info *info,
                               struct pushed *pushed) {
  static const unsigned char equal[] = {SQLITE_INDEX_CONSTRAINT_EQ, 0};
  static const unsigned char low[] = {SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE, 0};
  static const unsigned char high[] = {SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE, 0};
  uint32_t key_count = program_of(table)->view->key_count, key = 0;
  double rows = ROWS_ASSUMED;
  int constraint;
  while (key < key_count && pushed->count < PUSHED_MAX - 2 &&
         (constraint = find_constraint(table, info, key, equal)) >= 0) {
    push(info, pushed, constraint, key++);
    rows = rows / 1000 > 1 ? rows / 1000 : 1;
  }
  if (key == key_count)
    return 1;
  if ((constraint = find_constraint(table, info, key, low)) >= 0) {
    push(info, pushed, constraint, key);
    rows /= 4;
  }
  if ((constraint = find_constraint(table, info, key, high)) >= 0) {
    push(info, pushed, constraint, key);
    rows /= 4;
  }
  return rows;
}

/* Is the order asked for that of the keys? NULLs stand last in keys and first in SQLite, so only keys without them. */
static bool is_key_order(const struct tly_read_only_table *table, const sqlite3_index_info *info) {
  const struct tly_view *view = program_of(table)->view;
  for (int i = 0; i < info->nOrderBy; i++) {
    int key = key_of_column(table, info->aOrderBy[i].iColumn);
    if (info->aOrderBy[i].desc || key != i || view->keys[key]->nullable)
      return false;
  }
  return info->nOrderBy > 0;
}

/* Tell the use, before its live groups are copied, what may be asked of it. (SQLite asks for more than one plan;
 * columns are those of the statement in each.) */
static void note_used(const struct tly_read_only_table *table, sqlite3_index_info *info, int constraint) {
  struct tly_plan *plan = table->runtime->plan;
  sqlite3_value *number = NULL;
  TLY_ASSERT(plan != NULL);
  if (sqlite3_vtab_rhs_value(info, constraint, &number) != SQLITE_OK) {
    for (uint32_t i = 0; i < plan->use_count; i++)
      plan->uses[i].used = UINT64_MAX; /* never seen: the number is a literal of our SQL */
    return;
  }
  uint32_t use = (uint32_t)sqlite3_value_int(number);
  TLY_ASSERT(use < plan->use_count);
  plan->uses[use].used |= info->colUsed;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
  struct tly_read_only_table *table = (struct tly_read_only_table *)base;
  struct pushed pushed = {.count = 0};
  int use = -1;
  for (int i = 0; i < info->nConstraint; i++)
    if (info->aConstraint[i].iColumn == (int)use_column(table) && info->aConstraint[i].usable &&
        info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_EQ)
      use = i;
  if (use < 0)
    return SQLITE_CONSTRAINT; /* our SQL always says which use it is */
  note_used(table, info, use);
  info->aConstraintUsage[use].argvIndex = 1;
  info->aConstraintUsage[use].omit = 1;
  double rows = push_constraints(table, info, &pushed);
  info->estimatedRows = (sqlite3_int64)rows;
  info->estimatedCost = 20 + rows;
  if (rows == 1)
    info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
  info->orderByConsumed = is_key_order(table, info);
  info->idxStr = sqlite3_mprintf("%llx:%s", (unsigned long long)info->colUsed, pushed.text);
  info->needToFreeIdxStr = 1;
  return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- cursors ----------------------------------------------------------------------------------------------------- */

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  (void)base;
  struct merged_cursor *cursor = tly_calloc(1, sizeof *cursor);
  *out = &cursor->base;
  return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
  struct merged_cursor *cursor = (struct merged_cursor *)base;
  tly_view_scan_close(cursor->scan);
  tly_free(cursor);
  return SQLITE_OK;
}

/* What xFilter's arguments say, as encoded keys. */
struct key_filter {
  struct tly_buffer prefix, low, high;
  bool is_nothing; /* compared with NULL: no row */
};

static enum tly_status add_constraint(struct key_filter *filter, char letter, struct tly_type type,
                                      sqlite3_value *argument, struct tly_arena *arena, struct tly_error *error) {
  struct tly_value value;
  struct tly_buffer key = {0};
  TLY_TRY(tly_form_read(argument, type, arena, &value, error));
  if (value.is_null) {
    filter->is_nothing = true;
    return TLY_OK;
  }
  if (letter == 'e') {
    tly_key_append(&filter->prefix, &value);
    return TLY_OK;
  }
  tly_buffer_append(&key, filter->prefix.data, filter->prefix.size);
  tly_key_append(&key, &value);
  struct tly_buffer *bound = letter == 'g' || letter == 'G' ? &filter->low : &filter->high;
  if (letter == 'g' || letter == 'L')
    tly_key_append_successor(key.data, key.size, bound);
  else
    tly_buffer_append(bound, key.data, key.size);
  tly_buffer_free(&key);
  return TLY_OK;
}

static enum tly_status read_filter(const struct tly_read_only_table *table, const char *text, int count,
                                   sqlite3_value **arguments, struct key_filter *filter, struct tly_error *error) {
  struct tly_runtime *runtime = table->runtime;
  tly_arena_reset(&runtime->arena);
  for (int i = 1; i < count && !filter->is_nothing; i++) {
    char letter = *text++;
    char *end;
    unsigned long key = strtoul(text, &end, 10);
    text = end;
    TLY_ASSERT(key < program_of(table)->view->key_count);
    TLY_TRY(add_constraint(filter, letter, program_of(table)->parts[0].key_types[key], arguments[i], &runtime->arena,
                           error));
  }
  if (filter->low.size == 0)
    tly_buffer_append(&filter->low, filter->prefix.data, filter->prefix.size);
  if (filter->high.size == 0)
    tly_key_append_successor(filter->prefix.data, filter->prefix.size, &filter->high);
  return TLY_OK;
}

static int next_rows(struct tly_read_only_table *table, struct merged_cursor *cursor) {
  struct tly_error error = TLY_ERROR_NONE;
  cursor->index = 0;
  if (tly_view_scan_next(cursor->scan, &cursor->rows, &error) != TLY_OK)
    return tly_read_only_fail(table->runtime, &error);
  return SQLITE_OK;
}

static int filter_cursor(sqlite3_vtab_cursor *base, int number, const char *text, int count,
                         sqlite3_value **arguments) {
  struct merged_cursor *cursor = (struct merged_cursor *)base;
  struct tly_read_only_table *table = (struct tly_read_only_table *)base->pVtab;
  struct tly_runtime *runtime = table->runtime;
  struct key_filter filter = {.is_nothing = false};
  struct tly_error error = TLY_ERROR_NONE;
  char *end;
  (void)number;
  TLY_ASSERT(runtime->plan != NULL && count >= 1);
  uint64_t used = strtoull(text, &end, 16);
  uint32_t use = (uint32_t)sqlite3_value_int(arguments[0]);
  TLY_ASSERT(use < runtime->plan->use_count && runtime->plan->uses[use].program == program_of(table));
  tly_view_scan_close(cursor->scan);
  *cursor = (struct merged_cursor){.base = cursor->base};
  bool *wanted = tly_calloc(program_of(table)->view->output_count, sizeof *wanted);
  TLY_ASSERT((used & ~runtime->plan->uses[use].used) == 0); /* what was copied is enough */
  tly_view_wanted_outputs(program_of(table), used, wanted);
  enum tly_status status = read_filter(table, end + 1, count, arguments, &filter, &error);
  if (status == TLY_OK && !filter.is_nothing)
    status = tly_view_scan_open(&runtime->plan->uses[use], runtime->source, runtime->control,
                                (struct tly_text){(const char *)filter.low.data, (uint32_t)filter.low.size},
                                (struct tly_text){(const char *)filter.high.data, (uint32_t)filter.high.size}, wanted,
                                &cursor->scan, &error);
  int code = status != TLY_OK    ? tly_read_only_fail(runtime, &error)
             : filter.is_nothing ? SQLITE_OK
                                 : next_rows(table, cursor);
  tly_free(wanted);
  tly_buffer_free(&filter.prefix);
  tly_buffer_free(&filter.low);
  tly_buffer_free(&filter.high);
  return code;
}

static int next_row(sqlite3_vtab_cursor *base) {
  struct merged_cursor *cursor = (struct merged_cursor *)base;
  cursor->rowid++;
  if (++cursor->index < cursor->rows.row_count)
    return SQLITE_OK;
  return next_rows((struct tly_read_only_table *)base->pVtab, cursor);
}

static int is_at_end(sqlite3_vtab_cursor *base) {
  const struct merged_cursor *cursor = (struct merged_cursor *)base;
  return cursor->index >= cursor->rows.row_count;
}

static int give_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const struct merged_cursor *cursor = (struct merged_cursor *)base;
  const struct tly_read_only_table *table = (struct tly_read_only_table *)base->pVtab;
  if ((uint32_t)column >= use_column(table))
    return SQLITE_OK; /* `use`: nobody reads it */
  struct tly_value value = tly_vector_value(&cursor->rows.outputs[column], cursor->rows.rows[cursor->index]);
  tly_form_result(context, &value);
  return SQLITE_OK;
}

static int give_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
  *out = ((struct merged_cursor *)base)->rowid;
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

enum tly_status tly_merged_table_register(struct tly_runtime *runtime, struct tly_error *error) {
  for (uint32_t i = 0; i < runtime->programs->project->view_count; i++) {
    const struct tly_view_program *program = runtime->programs->programs[i];
    TLY_TRY(tly_read_only_table_register(runtime, 'v', i, program->view->output_count, true, program, &module_methods,
                                         error));
  }
  return TLY_OK;
}
