/* Point queries.
 *
 * A statement is looked at once: its text, without its literals, is the key of a table whose entry says how it is
 * answered, or that it is none of ours. What is left to do for each request is to read the arguments, encode the key,
 * merge two states, finish and print.
 *
 * One read transaction of speed.db (a look) serves all requests of about a millisecond (point.h). What a view's state
 * says is kept until the store's version changes.
 *
 * INVARIANTS
 *   (1) The output holds whole replies only: what was printed of one that fails is taken back.
 *   (2) Whatever is not quite right (unknown statement, odd request, a value that does not parse, a result that raises)
 * is left to the pool, which answers every query: so there is one wording of each error. */
#include "serving_layer/point.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/finish.h"
#include "common/value/ordered_key.h"
#include "serving_layer/encode.h"
#include "serving_layer/forms.h"
#include "serving_layer/literals.h"
#include "serving_layer/request_line.h"

enum { POINTS_MAX = 1024, SLOTS = 4096, FORMS = 4, POINT_SQL_MAX = 2048, MEMORY_MAX = 64 << 20, TIMEOUT_MS = 1000 };

/* What statements are known by: their text, or what is left of it without its literals, and which of these are
 * integers.
 */
struct name {
  const char *sql;
  size_t size;
  uint32_t integers;
  bool is_template;
  uint64_t hash;
};

/* A statement seen before. */
struct point {
  struct name name; /* with a text of its own */
  bool is_point;    /* false: for the pool */
  struct tly_arena arena;
  struct tly_statement *statement;
  uint32_t view;                /* number in the project */
  const struct tly_expr **keys; /* constant or parameter, one a key */
  struct tly_buffer head;       /* ,"result":{"columns":[..],"rows":[ */
  bool *wanted;
  bool is_plain;  /* one group of part 0 is all that is needed: */
  bool is_direct; /* and each output is a key or an aggregate of it, without HAVING */
  struct tly_group_row row;
};

/* A view while the store's version stays. */
struct point_view {
  struct tly_view_use use;
  bool was_used;          /* since the last rest */
  uint64_t version;       /* of `use.state` and as_of; 0: none */
  struct tly_buffer tail; /* ],"as_of":{..}}} and the line's end */
  tly_finisher *finisher;
  const int64_t **no_counts; /* for parts that are not needed */
};

/* What the lines that ask the same thing look like, but for their values. */
struct form {
  struct tly_request_shape shape;
  struct point *point; /* NULL: none is known */
};

struct tly_points {
  const struct tly_programs *programs;
  tly_store_source *stores;
  struct tly_source source;
  bool is_looking;
  int64_t looked_at_us;
  uint64_t version;
  struct point *slots[SLOTS];
  uint32_t count;
  struct form forms[FORMS]; /* of the statements with arguments, or none, that came last */
  uint32_t form;            /* the one that fitted last */
  struct point_view *views;
  struct tly_arena arena; /* of one request */
  struct tly_buffer key;
  struct tly_literals literals;
};

tly_points *tly_points_new(const struct tly_programs *programs, tly_store_source *source) {
  tly_points *points = tly_calloc(1, sizeof *points);
  points->programs = programs;
  points->stores = source;
  points->source = tly_store_source_of(source);
  points->views = tly_calloc(programs->project->view_count, sizeof *points->views);
  tly_arena_init(&points->arena);
  for (uint32_t i = 0; i < programs->project->view_count; i++) {
    struct point_view *view = &points->views[i];
    tly_view_use_init(&view->use, programs->programs[i], 0);
    view->finisher = tly_finisher_new(programs->programs[i]);
    view->no_counts = tly_calloc(programs->programs[i]->part_count, sizeof(const int64_t *));
  }
  return points;
}

static void forget_all(tly_points *points) {
  for (uint32_t i = 0; i < SLOTS; i++) {
    struct point *point = points->slots[i];
    if (point == NULL)
      continue;
    if (point->is_plain)
      tly_group_row_free(&point->row);
    tly_arena_free(&point->arena);
    tly_buffer_free(&point->head);
    tly_free((char *)(uintptr_t)point->name.sql);
    tly_free(point);
    points->slots[i] = NULL;
  }
  points->count = 0;
  for (uint32_t i = 0; i < FORMS; i++)
    points->forms[i].point = NULL;
}

void tly_points_free(tly_points *points) {
  tly_points_end_look(points);
  forget_all(points);
  for (uint32_t i = 0; i < FORMS; i++)
    tly_request_shape_free(&points->forms[i].shape);
  for (uint32_t i = 0; i < points->programs->project->view_count; i++) {
    struct point_view *view = &points->views[i];
    tly_view_use_free(&view->use);
    tly_buffer_free(&view->tail);
    tly_finisher_free(view->finisher);
    tly_free(view->no_counts);
  }
  tly_free(points->views);
  tly_arena_free(&points->arena);
  tly_buffer_free(&points->key);
  tly_buffer_free(&points->literals.sql);
  tly_free(points);
}

/* ---- looks --------------------------------------------------------------------------------------------- */

static enum tly_status look(tly_points *points) {
  if (points->is_looking)
    return TLY_OK;
  TLY_TRY(points->source.begin(points->source.context, NULL));
  points->is_looking = true;
  points->looked_at_us = tly_clock_monotonic_us(&tly_clock_real);
  return tly_store_source_version(points->stores, &points->version, NULL);
}

void tly_points_end_look(tly_points *points) {
  if (points->is_looking)
    points->source.end(points->source.context);
  points->is_looking = false;
}

void tly_points_rest(tly_points *points) {
  for (uint32_t i = 0; i < points->programs->project->view_count; i++) {
    struct point_view *view = &points->views[i];
    if (!view->was_used) {
      tly_store_source_forget(points->stores, view->use.program);
      view->version = 0;
    }
    view->was_used = false;
  }
}

bool tly_points_keep_look(tly_points *points) {
  if (points->is_looking && tly_clock_monotonic_us(&tly_clock_real) - points->looked_at_us >= TLY_LOOK_US_MAX)
    tly_points_end_look(points);
  return points->is_looking;
}

enum tly_status tly_points_positions(tly_points *points, struct tly_arena *arena, struct tly_position **out,
                                     uint32_t *count) {
  tly_speed_reader *speed;
  TLY_TRY(look(points));
  TLY_TRY(tly_store_source_speed(points->stores, &speed, NULL));
  return tly_speed_snapshot_positions(speed, NULL, arena, out, count, NULL);
}

static enum tly_status look_at_view(tly_points *points, struct point_view *view) {
  view->was_used = true;
  if (view->version == points->version)
    return TLY_OK;
  view->version = 0;
  TLY_TRY(tly_view_use_look(&view->use, &points->source, NULL));
  tly_buffer_clear(&view->tail);
  tly_buffer_append_text(&view->tail, "],\"as_of\":");
  tly_encode_view_state(view->use.program->view, &view->use.state, &view->tail);
  tly_buffer_append_text(&view->tail, "}}\n");
  view->version = points->version;
  return TLY_OK;
}

/* ---- which statements are points --------------------------------------------------------------------------------- */

static const struct tly_expr *without_relabel(const struct tly_expr *expression) {
  while (expression->kind == TLY_EXPR_RELABEL)
    expression = expression->arguments[0];
  return expression;
}

static bool is_given(const struct tly_expr *expression) {
  return expression->kind == TLY_EXPR_CONSTANT || expression->kind == TLY_EXPR_PARAMETER;
}

/* `key column = given`: note it. False: something else. */
static bool take_term(struct point *point, const struct tly_view *view, const struct tly_expr *term) {
  const char *operator= term->kind == TLY_EXPR_CALL ? tly_plan_comparison(term->kernel) : NULL;
  if (operator== NULL || strcmp(operator, "=") != 0)
    return false;
  const struct tly_expr *left = without_relabel(term->arguments[0]), *right = without_relabel(term->arguments[1]);
  if (is_given(left)) {
    const struct tly_expr *other = left;
    left = right;
    right = other;
  }
  if (left->kind != TLY_EXPR_COLUMN || !is_given(right))
    return false;
  const struct tly_expr *output = view->outputs[left->column].expression;
  if (output->kind != TLY_EXPR_KEY || point->keys[output->column] != NULL)
    return false;
  bool is_same_kind = left->type.id == right->type.id ||
                      (tly_type_is_integer(left->type.id) && tly_type_is_integer(right->type.id)) ||
                      (tly_type_is_text(left->type.id) && tly_type_is_text(right->type.id));
  point->keys[output->column] = right;
  return is_same_kind;
}

static bool take_where(struct point *point, const struct tly_view *view, const struct tly_expr *where) {
  point->keys = TLY_ARENA_ARRAY(&point->arena, const struct tly_expr *, view->key_count + 1);
  if (where == NULL)
    return view->key_count == 0;
  uint32_t count = where->kind == TLY_EXPR_AND ? where->argument_count : 1;
  for (uint32_t i = 0; i < count; i++)
    if (!take_term(point, view, where->kind == TLY_EXPR_AND ? where->arguments[i] : where))
      return false;
  return count == view->key_count; /* each key once */
}

static bool is_point_query(struct point *point, const struct tly_programs *programs) {
  const struct tly_query *query = point->statement->query;
  if (query->cte_count > 0 || query->member_count > 0 || query->distinct || query->from_count != 1 ||
      query->is_grouped || query->having != NULL || query->order_count > 0 || query->limit != NULL ||
      query->offset != NULL || query->from[0].kind != TLY_FROM_VIEW || query->from[0].run != 0)
    return false;
  const struct tly_view *view = query->from[0].view;
  point->view = tly_programs_index(programs, view);
  point->wanted = TLY_ARENA_ARRAY(&point->arena, bool, view->output_count);
  for (uint32_t i = 0; i < query->column_count; i++) {
    if (query->targets[i]->kind != TLY_EXPR_COLUMN)
      return false;
    point->wanted[query->targets[i]->column] = true;
  }
  return take_where(point, view, query->where);
}

/* Eight bytes at a time, multiplied and folded. Whoever makes statements collide makes only his own look-ups long, and
 * the table starts anew after POINTS_MAX of them. */
static uint64_t hash_of(const char *text, size_t size) {
  uint64_t hash = size, word;
  for (; size >= sizeof word; text += sizeof word, size -= sizeof word) {
    memcpy(&word, text, sizeof word);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
  }
  word = 0;
  memcpy(&word, text, size);
  hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 32;
}

static struct name name_of(const char *sql, size_t size, bool is_template, uint32_t integers) {
  return (struct name){.sql = sql,
                       .size = size,
                       .integers = integers,
                       .is_template = is_template,
                       .hash = hash_of(sql, size) + integers};
}

static bool is_named(const struct point *point, const struct name *name) {
  const struct name *own = &point->name;
  return own->hash == name->hash && own->size == name->size && own->integers == name->integers &&
         own->is_template == name->is_template && memcmp(own->sql, name->sql, name->size) == 0;
}

/* The slot of a statement: its entry, or the empty place for it. */
static struct point **slot_of(tly_points *points, const struct name *name) {
  for (uint64_t i = name->hash;; i++) {
    struct point **slot = &points->slots[i % SLOTS];
    if (*slot == NULL || is_named(*slot, name))
      return slot;
  }
}

/* Look the statement up by its text; else, when it has no arguments, by what is left without its literals, which are
 * then the arguments. *name is what it is to be learned by. */
static struct point *find(tly_points *points, const char *sql, size_t size,
                          const struct tly_request_argument **arguments, uint32_t *count, struct name *name,
                          bool *is_hopeless) {
  struct tly_literals *literals = &points->literals;
  *is_hopeless = false;
  *name = name_of(sql, size, false, 0);
  struct point *point = *slot_of(points, name);
  if (point != NULL || *count > 0)
    return point;
  enum tly_literals_found found = tly_literals_take(sql, size, literals);
  *is_hopeless = found == TLY_LITERALS_TOO_MANY;
  if (found != TLY_LITERALS_TAKEN)
    return NULL;
  *name = name_of((const char *)literals->sql.data, literals->sql.size, true, literals->integers);
  *arguments = literals->values;
  *count = literals->count;
  return *slot_of(points, name);
}

static bool needs_groups_only(const struct tly_view_program *program, const bool *wanted) {
  bool *needed = tly_calloc(program->part_count, sizeof *needed);
  uint32_t count = 0;
  tly_view_needed_parts(program, wanted, needed);
  for (uint32_t part = 0; part < program->part_count; part++)
    count += needed[part];
  tly_free(needed);
  return count == 1 && program->view->key_count > 0;
}

/* What of a point query depends on nothing but its statement. */
static void prepare(struct point *point, const struct tly_view_program *program) {
  const struct tly_view *view = program->view;
  point->is_plain = needs_groups_only(program, point->wanted);
  point->is_direct = point->is_plain && view->having == NULL;
  for (uint32_t o = 0; point->is_direct && o < view->output_count; o++)
    point->is_direct = !point->wanted[o] || tly_finish_is_direct(program, o);
  if (point->is_plain)
    tly_group_row_init(&point->row, program, point->wanted);
  tly_buffer_append_text(&point->head, ",\"result\":{");
  tly_encode_columns(point->statement->query, &point->head);
  tly_buffer_append_text(&point->head, ",\"rows\":[");
}

/* A text literal has the type that a parameter in its place has, and is read as it is, where that is not rounded to
 * what a column can hold; an integer is one only beside an integer. */
static bool literals_fit(const struct point *point) {
  const struct tly_statement *statement = point->statement;
  for (uint32_t i = 0; i < statement->parameter_count; i++) {
    enum tly_type_id type = statement->parameters[i].id;
    bool is_integer = (point->name.integers >> i & 1) != 0;
    if (type == TLY_TYPE_NUMERIC || type == TLY_TYPE_DOUBLE || statement->parameters[i].precision > 0 ||
        (is_integer && !tly_type_is_integer(type)))
      return false;
  }
  return true;
}

static struct point *learn(tly_points *points, const struct name *name) {
  struct point *point = tly_calloc(1, sizeof *point);
  char *sql = memcpy(tly_malloc(name->size + 1), name->sql, name->size);
  sql[name->size] = 0;
  tly_arena_init(&point->arena);
  point->name = *name;
  point->name.sql = sql;
  if (tly_query_parse(points->programs->project, sql, name->size, &point->arena, &point->statement, NULL) == TLY_OK)
    point->is_point = is_point_query(point, points->programs) && (!name->is_template || literals_fit(point));
  if (point->is_point) {
    prepare(point, points->programs->programs[point->view]);
  } else {
    tly_arena_free(&point->arena);
    tly_arena_init(&point->arena);
    point->statement = NULL;
  }
  if (points->count == POINTS_MAX)
    forget_all(points);
  *slot_of(points, &point->name) = point;
  points->count++;
  return point;
}

/* ---- one answer -------------------------------------------------------------------------------------------------- */

/* The key of the request in points->key. *is_null: a key is compared with NULL. False: leave it to the pool. */
static bool encode_key(tly_points *points, const struct point *point, const struct tly_request_argument *arguments,
                       uint32_t count, bool *is_null) {
  const struct tly_view_program *program = points->programs->programs[point->view];
  tly_buffer_clear(&points->key);
  *is_null = false;
  if (count != point->statement->parameter_count)
    return false;
  for (uint32_t key = 0; key < program->view->key_count; key++) {
    const struct tly_expr *given = point->keys[key];
    struct tly_value value = given->constant;
    if (given->kind == TLY_EXPR_PARAMETER) {
      const struct tly_request_argument *argument = &arguments[given->column];
      if (argument->is_null)
        value = tly_value_null(given->type);
      else if (given->type.id == TLY_TYPE_TEXT) /* what any text is, and it was checked when the request was read */
        value = (struct tly_value){.type = given->type, .text = {.data = argument->text, .size = argument->size}};
      else if (tly_value_parse(given->type, argument->text, argument->size, &points->arena, &value, NULL) != TLY_OK)
        return false;
    }
    *is_null |= value.is_null;
    if (!value.is_null && value.type.id != TLY_TYPE_NUMERIC)
      value.type = program->parts[0].key_types[key];
    if (!value.is_null)
      tly_key_append(&points->key, &value);
  }
  return true;
}

static struct tly_text bound_of(const struct tly_buffer *buffer) {
  return (struct tly_text){.data = buffer->size > 0 ? (const char *)buffer->data : NULL,
                           .size = (uint32_t)buffer->size};
}

static void print_vectors(const struct tly_query *query, const struct tly_vector *outputs, uint32_t row,
                          struct tly_buffer *out) {
  for (uint32_t i = 0; i < query->column_count; i++) {
    struct tly_value value = tly_vector_value(&outputs[query->targets[i]->column], row);
    tly_buffer_append_byte(out, i == 0 ? '[' : ',');
    tly_value_print_json(&value, out);
  }
  tly_buffer_append_byte(out, ']');
}

/* The merged group is a row of the view as it stands. */
static enum tly_status print_direct(tly_points *points, const struct point *point, struct tly_buffer *out) {
  const struct tly_query *query = point->statement->query;
  for (uint32_t i = 0; i < query->column_count; i++) {
    struct tly_value value;
    TLY_TRY(tly_finish_value(&point->row.slice, 0, query->targets[i]->column, &points->arena, &value, NULL));
    tly_buffer_append_byte(out, i == 0 ? '[' : ',');
    tly_value_print_json(&value, out);
  }
  tly_buffer_append_byte(out, ']');
  return TLY_OK;
}

static enum tly_status print_finished(const struct point *point, struct point_view *view, struct tly_buffer *out) {
  const struct tly_vector *outputs;
  const uint32_t *rows;
  uint32_t row_count = 0;
  TLY_TRY(
      tly_finish(view->finisher, &point->row.slice, view->no_counts, point->wanted, &outputs, &rows, &row_count, NULL));
  if (row_count > 0)
    print_vectors(point->statement->query, outputs, rows[0], out);
  return TLY_OK;
}

/* The view's row of the key; nothing when there is none. */
static enum tly_status print_group(tly_points *points, struct point *point, struct point_view *view,
                                   struct tly_buffer *out) {
  struct tly_group_row *row = &point->row;
  struct tly_text key = {.data = (const char *)points->key.data, .size = (uint32_t)points->key.size};
  tly_group_row_begin(row, key);
  TLY_TRY(tly_store_source_look_up(points->stores, view->use.program, &view->use.state, row, NULL));
  if (row->slice.count == 0)
    return TLY_OK;
  return point->is_direct ? print_direct(points, point, out) : print_finished(point, view, out);
}

/* The same through a scan: for views with distinct sets, and for the one row of a view without GROUP BY. */
static enum tly_status print_scanned(tly_points *points, const struct point *point, struct point_view *view,
                                     struct tly_buffer *out) {
  struct tly_view_use *use = &view->use;
  struct tly_control control;
  struct tly_view_rows rows;
  tly_view_scan *scan;
  tly_control_init(&control, TIMEOUT_MS, MEMORY_MAX);
  tly_buffer_clear(&use->low);
  tly_buffer_clear(&use->high);
  tly_buffer_append(&use->low, points->key.data, points->key.size);
  tly_key_append_successor(points->key.data, points->key.size, &use->high);
  TLY_TRY(tly_view_use_copy(use, &points->source, &control, NULL));
  TLY_TRY(tly_view_scan_open(use, &points->source, &control, bound_of(&use->low), bound_of(&use->high), point->wanted,
                             &scan, NULL));
  enum tly_status status = tly_view_scan_next(scan, &rows, NULL);
  if (status == TLY_OK && rows.row_count > 0)
    print_vectors(point->statement->query, rows.outputs, rows.rows[0], out);
  tly_view_scan_close(scan);
  return status;
}

static bool answer(tly_points *points, struct point *point, struct tly_text id,
                   const struct tly_request_argument *arguments, uint32_t count, struct tly_buffer *out) {
  struct point_view *view = &points->views[point->view];
  size_t before = out->size;
  bool is_null;
  tly_arena_reset(&points->arena);
  if (!encode_key(points, point, arguments, count, &is_null) || look(points) != TLY_OK ||
      look_at_view(points, view) != TLY_OK)
    return false;
  tly_buffer_append(out, "{\"id\":", strlen("{\"id\":"));
  tly_buffer_append(out, id.data, id.size);
  tly_buffer_append(out, point->head.data, point->head.size);
  if (!is_null &&
      (point->is_plain ? print_group(points, point, view, out) : print_scanned(points, point, view, out)) != TLY_OK) {
    out->size = before;
    return false;
  }
  tly_buffer_append(out, view->tail.data, view->tail.size);
  return true;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* The point that lines like this one ask for, with the request read; NULL: not known. */
static struct point *read_by_form(tly_points *points, const char *line, size_t size, struct tly_request_line *request) {
  for (uint32_t i = 0; i < FORMS; i++) {
    uint32_t number = (points->form + i) % FORMS;
    struct form *form = &points->forms[number];
    if (form->point != NULL && tly_request_shape_read(&form->shape, line, size, request)) {
      points->form = number;
      return form->point;
    }
  }
  return NULL;
}

/* In the place of the statement's last one, else of any. */
static void learn_form(tly_points *points, const char *line, size_t size, const struct tly_request_line *request,
                       struct point *point) {
  uint32_t number = 0;
  while (number < FORMS && points->forms[number].point != point)
    number++;
  number = number < FORMS ? number : (points->form + 1) % FORMS;
  struct form *form = &points->forms[number];
  form->point = tly_request_shape_learn(&form->shape, line, size, request) ? point : NULL;
  points->form = number;
}

bool tly_points_answer_line(tly_points *points, const char *line, size_t size, struct tly_buffer *out) {
  struct tly_request_line request;
  struct name name;
  bool is_hopeless;
  struct point *point = read_by_form(points, line, size, &request);
  if (point != NULL)
    return answer(points, point, request.id, request.arguments, request.argument_count, out);
  if (!tly_request_line_read(line, size, &request) || request.sql.size > POINT_SQL_MAX)
    return false;
  const struct tly_request_argument *arguments = request.arguments;
  uint32_t count = request.argument_count;
  point = find(points, request.sql.data, request.sql.size, &arguments, &count, &name, &is_hopeless);
  if (point == NULL || !point->is_point)
    return false;
  if (arguments == request.arguments) /* and not the literals of a text that comes once */
    learn_form(points, line, size, &request, point);
  return answer(points, point, request.id, arguments, count, out);
}

/* "args" as texts. False: something that the pool has to complain of. */
static bool take_arguments(const json_t *args, struct tly_request_argument *arguments, struct tly_arena *arena) {
  for (size_t i = 0; i < json_array_size(args); i++) {
    const json_t *arg = json_array_get(args, i);
    struct tly_request_argument *argument = &arguments[i];
    *argument = (struct tly_request_argument){.is_null = json_is_null(arg), .text = ""};
    if (json_is_string(arg)) {
      argument->text = json_string_value(arg);
      argument->size = (uint32_t)json_string_length(arg);
    } else if (json_is_integer(arg)) {
      argument->text = tly_arena_print(arena, "%lld", (long long)json_integer_value(arg));
      argument->size = (uint32_t)strlen(argument->text);
    } else if (json_is_boolean(arg)) {
      argument->text = json_is_true(arg) ? "true" : "false";
      argument->size = (uint32_t)strlen(argument->text);
    } else if (!json_is_null(arg))
      return false;
  }
  return true;
}

bool tly_points_answer(tly_points *points, const struct tly_request *request, struct tly_buffer *out) {
  const json_t *sql = json_object_get(request->params, "sql"), *args = json_object_get(request->params, "args");
  struct tly_request_argument given[TLY_SQL_PARAMETERS_MAX];
  const struct tly_request_argument *arguments = given;
  uint32_t count = (uint32_t)json_array_size(args);
  struct tly_arena arena;
  struct name name;
  bool is_hopeless;
  if (!json_is_string(sql) || json_string_length(sql) > POINT_SQL_MAX || (args != NULL && !json_is_array(args)) ||
      json_array_size(args) > TLY_SQL_PARAMETERS_MAX)
    return false;
  struct point *point =
      find(points, json_string_value(sql), json_string_length(sql), &arguments, &count, &name, &is_hopeless);
  if (point == NULL && !is_hopeless)
    point = learn(points, &name);
  if (point == NULL || !point->is_point)
    return false;
  tly_arena_init(&arena);
  bool done = (arguments != given || take_arguments(args, given, &arena)) &&
              answer(points, point, tly_text_of(request->id), arguments, count, out);
  tly_arena_free(&arena);
  return done;
}
