/* tests/serving_layer/fixture.h -- views over events in memory, as a source: each view's events up to a cut are its
 * run, those after it are live. Everything here asserts instead of returning errors. */
#ifndef TESTS_SERVING_FIXTURE_H
#define TESTS_SERVING_FIXTURE_H

#include "tests/common/engine/engine_fixture.h"

#include "common/base/file.h"
#include "common/base/memory.h"
#include "serving_layer/encode.h"
#include "serving_layer/executor.h"
#include "serving_layer/memory.h"

/* One view's groups, a list a part. */
struct fixture_view {
  struct tly_group_list *run, *live;
};

struct fixture_store {
  struct tly_project *project;
  struct tly_programs *programs;
  struct fixture_view *views;
  int64_t cut_offset, live_offset;
  bool has_run;
  int looks; /* begins without their end */
  struct tly_group_list_scan scans[64];
  uint32_t open_scans;
};

static inline void fixture_fold(struct tly_fold *fold, const struct tly_stream *stream, const char *lines, size_t size,
                                struct tly_group_list **out, const struct tly_view_program *program) {
  struct tly_event_batch batch;
  fixture_decode(stream, lines, size, &batch);
  tly_fold_batch(fold, &batch, NULL, NULL);
  *out = tly_calloc(program->part_count, sizeof **out);
  for (uint32_t part = 0; part < program->part_count; part++) {
    struct tly_error error = TLY_ERROR_NONE;
    tly_group_list_init(&(*out)[part], program, part);
    assert_int_equal(tly_group_list_take(&(*out)[part], tly_fold_part(fold, part), &error), TLY_OK);
  }
  tly_fold_clear(fold);
  tly_event_batch_free(&batch);
}

/* The end of the `count`-th line. */
static inline size_t fixture_lines(const char *text, size_t size, int64_t count) {
  size_t at = 0;
  while (at < size && count > 0)
    count -= text[at++] == '\n';
  return at;
}

/* `sql` is a project's text; the first `cut` events are the run (0: there is none). */
static inline void fixture_store_init(struct fixture_store *store, const char *sql, const char *events, size_t size,
                                      int64_t cut) {
  tly_memory_setup();
  memset(store, 0, sizeof *store);
  store->project = fixture_project(sql);
  store->programs = tly_programs_new(store->project);
  store->views = tly_calloc(store->project->view_count, sizeof *store->views);
  store->has_run = cut > 0;
  store->cut_offset = cut;
  size_t split = fixture_lines(events, size, cut);
  for (size_t i = 0; i < size; i++)
    store->live_offset += events[i] == '\n';
  for (uint32_t i = 0; i < store->project->view_count; i++) {
    const struct tly_view_program *program = store->programs->programs[i];
    struct tly_fold *fold = tly_fold_new(program);
    fixture_fold(fold, program->view->stream, events, split, &store->views[i].run, program);
    fixture_fold(fold, program->view->stream, events + split, size - split, &store->views[i].live, program);
    tly_fold_free(fold);
  }
}

static inline void fixture_lists_free(struct tly_group_list *lists, uint32_t count) {
  for (uint32_t part = 0; part < count; part++)
    tly_group_list_free(&lists[part]);
  tly_free(lists);
}

static inline void fixture_store_free(struct fixture_store *store) {
  assert_int_equal(store->looks, 0);
  assert_int_equal(store->open_scans, 0);
  for (uint32_t i = 0; i < store->project->view_count; i++) {
    fixture_lists_free(store->views[i].run, store->programs->programs[i]->part_count);
    fixture_lists_free(store->views[i].live, store->programs->programs[i]->part_count);
  }
  tly_free(store->views);
  tly_programs_free(store->programs);
  tly_project_free(store->project);
}

/* ---- as a source ------------------------------------------------------------------------------------------------- */

static inline struct fixture_view *fixture_view_of(struct fixture_store *store,
                                                   const struct tly_view_program *program) {
  return &store->views[tly_programs_index(store->programs, program->view)];
}

static inline enum tly_status fixture_begin(void *context, struct tly_error *error) {
  (void)error;
  ((struct fixture_store *)context)->looks++;
  return TLY_OK;
}

static inline void fixture_end(void *context) {
  ((struct fixture_store *)context)->looks--;
}

static inline enum tly_status fixture_state(void *context, const struct tly_view_program *program, int64_t run,
                                            struct tly_view_state *out, struct tly_error *error) {
  struct fixture_store *store = context;
  (void)program;
  assert_int_equal(store->looks, 1);
  *out = (struct tly_view_state){.has_live = run == 0};
  if (run > 1)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "no run %d", (int)run);
  out->run = out->cut = store->has_run ? 1 : 0;
  out->cut_offsets = &store->cut_offset;
  out->cut_partitions = store->has_run ? 1 : 0;
  out->live_offsets = &store->live_offset;
  out->live_partitions = 1;
  return TLY_OK;
}

static inline enum tly_status fixture_live(void *context, const struct tly_view_program *program,
                                           const struct tly_view_state *state, uint32_t part, struct tly_text low,
                                           struct tly_text high, tly_group_table *table, struct tly_error *error) {
  struct fixture_view *view = fixture_view_of(context, program);
  struct tly_group_list_scan scan;
  const struct tly_group_slice *slice;
  (void)state;
  assert_true((low.size == 0) == (low.data == NULL) && (high.size == 0) == (high.data == NULL));
  tly_group_list_scan_init(&scan, &view->live[part], low, high);
  struct tly_group_source source = tly_group_list_scan_source(&scan);
  while (source.next(source.context, &slice, error) == TLY_OK && slice != NULL)
    tly_group_table_add_slice(table, slice);
  tly_group_list_scan_free(&scan);
  return TLY_OK;
}

static inline enum tly_status fixture_scan(void *context, const struct tly_view_program *program, int64_t run,
                                           uint32_t part, struct tly_text low, struct tly_text high,
                                           struct tly_group_source *out, struct tly_error *error) {
  struct fixture_store *store = context;
  (void)error;
  assert_int_equal(run, 1);
  struct tly_group_list_scan *scan = tly_calloc(1, sizeof *scan);
  store->open_scans++;
  tly_group_list_scan_init(scan, &fixture_view_of(store, program)->run[part], low, high);
  *out = tly_group_list_scan_source(scan);
  return TLY_OK;
}

static inline void fixture_end_scan(void *context, const struct tly_view_program *program, int64_t run,
                                    struct tly_group_source *source) {
  (void)program;
  (void)run;
  ((struct fixture_store *)context)->open_scans--;
  tly_group_list_scan_free(source->context);
  tly_free(source->context);
}

static inline void fixture_release(void *context) {
  (void)context;
}

static inline struct tly_source fixture_source(struct fixture_store *store) {
  return (struct tly_source){.context = store,
                             .begin = fixture_begin,
                             .end = fixture_end,
                             .view = fixture_state,
                             .live = fixture_live,
                             .scan = fixture_scan,
                             .end_scan = fixture_end_scan,
                             .release = fixture_release};
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

struct fixture_answer {
  struct tly_buffer text; /* rows as psql shows them: fields ended by 0x1f, NULL as 0x02, rows ended by 0x1e */
  struct tly_buffer as_of, sql;
  uint32_t row_count;
  struct tly_error error;
};

static inline enum tly_status fixture_row(void *context, const struct tly_value *values, uint32_t count,
                                          struct tly_error *error) {
  struct fixture_answer *answer = context;
  (void)error;
  for (uint32_t i = 0; i < count; i++) {
    if (values[i].is_null)
      tly_buffer_append_byte(&answer->text, 2);
    else
      tly_value_print(&values[i], &answer->text);
    tly_buffer_append_byte(&answer->text, 0x1f);
  }
  tly_buffer_append_byte(&answer->text, 0x1e);
  answer->row_count++;
  return TLY_OK;
}

static inline void fixture_answer_free(struct fixture_answer *answer) {
  tly_buffer_free(&answer->text);
  tly_buffer_free(&answer->as_of);
  tly_buffer_free(&answer->sql);
}

/* Execute `sql` over any source, with parameters given as texts (NULL: a NULL). *answer is to be freed in every case.
 */
static inline enum tly_status fixture_query_source(const struct tly_source *source, const struct tly_programs *programs,
                                                   const char *sql, const char *const *parameters,
                                                   struct tly_control *control, struct fixture_answer *answer) {
  struct tly_row_sink sink = {.row = fixture_row, .context = answer};
  struct tly_arguments arguments = {.now_us = INT64_C(1772445600000000)};
  struct tly_statement *statement;
  struct tly_value values[16];
  struct tly_arena arena;
  tly_executor *executor;
  struct tly_plan *plan = NULL;
  memset(answer, 0, sizeof *answer);
  tly_arena_init(&arena);
  assert_int_equal(tly_executor_new(programs, source, &executor, &answer->error), TLY_OK);
  enum tly_status status = tly_query_parse(programs->project, sql, strlen(sql), &arena, &statement, &answer->error);
  for (uint32_t i = 0; status == TLY_OK && i < statement->parameter_count; i++) {
    if (parameters[i] == NULL)
      values[i] = tly_value_null(statement->parameters[i]);
    else
      status = tly_value_parse(statement->parameters[i], parameters[i], strlen(parameters[i]), &arena, &values[i],
                               &answer->error);
  }
  arguments.parameters = values;
  if (status == TLY_OK)
    status = tly_plan_new(statement, programs, &arguments, &plan, &answer->error);
  if (status == TLY_OK) {
    tly_buffer_append_text(&answer->sql, tly_buffer_text(&plan->sql));
    status = tly_executor_run(executor, plan, control, &sink, &answer->error);
  }
  if (status == TLY_OK)
    tly_encode_as_of(plan, &answer->as_of);
  tly_plan_free(plan);
  tly_executor_free(executor);
  tly_arena_free(&arena);
  return status;
}

static inline enum tly_status fixture_query_within(struct fixture_store *store, const char *sql,
                                                   const char *const *parameters, struct tly_control *control,
                                                   struct fixture_answer *answer) {
  struct tly_source source = fixture_source(store);
  return fixture_query_source(&source, store->programs, sql, parameters, control, answer);
}

static inline enum tly_status fixture_query(struct fixture_store *store, const char *sql, const char *const *parameters,
                                            struct fixture_answer *answer) {
  struct tly_control control;
  tly_control_init(&control, 10000, 256 << 20);
  return fixture_query_within(store, sql, parameters, &control, answer);
}

#endif
