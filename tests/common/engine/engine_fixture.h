/* tests/common/engine/engine_fixture.h -- a project in SQL, events in JSON, and a view's way from them to its rows.
 *
 * A *stored part* stands for a run file or a live delta: encoded blocks in key order. Everything here asserts instead
 * of returning errors. */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/engine/finish.h"
#include "common/engine/fold.h"
#include "common/engine/group_block.h"
#include "common/engine/merge.h"
#include "common/event/decoder.h"
#include "common/sql/project.h"
#include "common/value/ordered_key.h"

/* --- projects and events ------------------------------------------------------------------------------------------ */

static inline struct tly_project *fixture_project(const char *sql) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  tly_diagnostics_init(&diagnostics);
  if (tly_project_parse("test.sql", sql, &diagnostics, &project) != TLY_OK) {
    struct tly_buffer words = {0};
    tly_diagnostics_print(&diagnostics, &words);
    fail_msg("%s", tly_buffer_text(&words));
  }
  tly_diagnostics_free(&diagnostics);
  return project;
}

/* Decode JSON lines; none may be rejected. `lines` must outlive the batch. */
static inline void fixture_decode(const struct tly_stream *stream, const char *lines, size_t size,
                                  struct tly_event_batch *batch) {
  tly_decoder *decoder = tly_decoder_new(stream, TLY_FORMAT_JSON);
  size_t consumed;
  uint64_t line_count;
  struct tly_error error = TLY_ERROR_NONE;
  tly_event_batch_init(batch, stream);
  assert_int_equal(tly_decoder_decode(decoder, lines, size, 0, batch, &consumed, &line_count, &error), TLY_OK);
  if (batch->rejection_count > 0)
    fail_msg("line %u: %s", (unsigned)batch->rejections[0].line, batch->rejections[0].message);
  assert_int_equal(consumed, size);
  tly_decoder_free(decoder);
}

/* Make the batch's text columns dictionary-coded, as the archive gives them. `id` as in struct tly_dictionary. */
static inline void fixture_code_column(struct tly_event_batch *batch, struct tly_vector *column, uint64_t id) {
  struct tly_text *entries = TLY_ARENA_ARRAY(&batch->arena, struct tly_text, batch->count + 1);
  uint32_t *codes = TLY_ARENA_ARRAY(&batch->arena, uint32_t, batch->count);
  uint32_t entry_count = 0;
  for (uint32_t row = 0; row < batch->count; row++) {
    uint32_t code = 0;
    struct tly_text text = tly_vector_text(column, row);
    if (tly_vector_is_null(column, row))
      continue;
    while (code < entry_count && !tly_text_equal(entries[code], text))
      code++;
    if (code == entry_count)
      entries[entry_count++] = text;
    codes[row] = code;
  }
  struct tly_dictionary *dictionary = TLY_ARENA_NEW(&batch->arena, struct tly_dictionary);
  *dictionary = (struct tly_dictionary){.entries = entries, .count = entry_count, .id = id};
  column->text = NULL;
  column->codes = codes;
  column->dictionary = dictionary;
}

static inline void fixture_code_texts(struct tly_event_batch *batch, uint64_t id) {
  for (uint32_t c = 0; c < batch->stream->column_count; c++) {
    if (tly_type_form(batch->columns[c].type) == TLY_FORM_TEXT && batch->columns[c].count > 0)
      fixture_code_column(batch, &batch->columns[c], id == 0 ? 0 : id + c);
  }
}

/* Events rows[0 .. count) of `from` as a batch of their own, which borrows from's texts. Free with
 * tly_event_batch_free. */
static inline void fixture_select(const struct tly_event_batch *from, const uint32_t *rows, uint32_t count,
                                  struct tly_event_batch *batch) {
  tly_event_batch_init(batch, from->stream);
  batch->count = count;
  for (uint32_t c = 0; c < from->stream->column_count; c++) {
    const struct tly_vector *source = &from->columns[c];
    struct tly_vector *column = &batch->columns[c];
    size_t size = tly_form_size(tly_type_form(source->type));
    uint8_t *null = tly_arena_zero(&batch->arena, count);
    *column = (struct tly_vector){.type = source->type, .count = count};
    uint32_t *codes = TLY_ARENA_ARRAY(&batch->arena, uint32_t, count);
    if (source->codes != NULL) {
      column->codes = codes;
      column->dictionary = source->dictionary;
    } else {
      *column = tly_vector_new(source->type, count, &batch->arena);
    }
    for (uint32_t row = 0; row < count; row++) {
      null[row] = tly_vector_is_null(source, rows[row]);
      if (source->codes != NULL)
        codes[row] = source->codes[rows[row]];
      else
        memcpy((char *)column->i64 + row * size, (char *)source->i64 + rows[row] * size, size);
    }
    column->null = null;
  }
}

/* --- stored parts ------------------------------------------------------------------------------------------------- */

struct stored_block {
  struct tly_buffer body;
  uint32_t group_count;
};

struct stored_part {
  const struct tly_view_program *program;
  uint32_t part;
  struct stored_block *blocks;
  uint32_t block_count;
};

static inline enum tly_status stored_part_add(void *context, const struct tly_group_slice *slice,
                                              struct tly_error *error) {
  (void)error;
  struct stored_part *stored = context;
  stored->blocks = realloc(stored->blocks, (stored->block_count + 1) * sizeof *stored->blocks);
  struct stored_block *block = &stored->blocks[stored->block_count++];
  *block = (struct stored_block){.group_count = slice->count};
  for (uint32_t row = 1; row < slice->count; row++)
    assert_true(tly_key_compare(slice->keys[row - 1].data, slice->keys[row - 1].size, slice->keys[row].data,
                                slice->keys[row].size) < 0);
  tly_group_block_encode(slice, &block->body);
  return TLY_OK;
}

static inline void stored_part_free(struct stored_part *stored) {
  for (uint32_t b = 0; b < stored->block_count; b++)
    tly_buffer_free(&stored->blocks[b].body);
  free(stored->blocks);
}

static inline struct stored_part stored_part_of_table(const struct tly_view_program *program, uint32_t part,
                                                      tly_group_table *table, uint32_t slice_groups) {
  struct stored_part stored = {.program = program, .part = part};
  assert_int_equal(tly_group_table_drain(table, slice_groups, stored_part_add, &stored, NULL), TLY_OK);
  tly_group_table_clear(table);
  return stored;
}

struct stored_source {
  const struct stored_part *stored;
  uint32_t next;
  struct tly_group_slice slice;
};

static inline enum tly_status stored_source_next(void *context, const struct tly_group_slice **out,
                                                 struct tly_error *error) {
  struct stored_source *source = context;
  *out = NULL;
  if (source->next == source->stored->block_count)
    return TLY_OK;
  const struct stored_block *block = &source->stored->blocks[source->next++];
  TLY_TRY(tly_group_block_decode(block->body.data, block->body.size, block->group_count, &source->slice, error));
  *out = &source->slice;
  return TLY_OK;
}

/* Merge `count` stored parts (0: a part without groups) and hand the slices to `visit`. */
static inline void fixture_merge(const struct tly_view_program *program, uint32_t part,
                                 const struct stored_part *stored, uint32_t count, uint32_t group_max,
                                 tly_group_slice_visit visit, void *context) {
  struct stored_source *sources = calloc(count + 1, sizeof *sources);
  struct tly_group_source *links = calloc(count + 1, sizeof *links);
  for (uint32_t i = 0; i < count; i++) {
    sources[i].stored = &stored[i];
    tly_group_slice_init(&sources[i].slice, program, part);
    links[i] = (struct tly_group_source){.next = stored_source_next, .context = &sources[i]};
  }
  tly_merge *merge = tly_merge_new(program, part, links, count);
  struct tly_error error = TLY_ERROR_NONE;
  const struct tly_group_slice *slice;
  do {
    if (tly_merge_next(merge, group_max, &slice, &error) != TLY_OK)
      fail_msg("%s", error.message);
    if (slice != NULL) {
      assert_true(slice->count > 0 && slice->count <= group_max);
      assert_int_equal(visit(context, slice, &error), TLY_OK);
    }
  } while (slice != NULL);
  tly_merge_free(merge);
  for (uint32_t i = 0; i < count; i++)
    tly_group_slice_free(&sources[i].slice);
  free(sources);
  free(links);
}

static inline struct stored_part fixture_merge_stored(const struct tly_view_program *program, uint32_t part,
                                                      const struct stored_part *stored, uint32_t count,
                                                      uint32_t group_max) {
  struct stored_part merged = {.program = program, .part = part};
  fixture_merge(program, part, stored, count, group_max, stored_part_add, &merged);
  return merged;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* The groups of part 0, for finish: all of a small view in one slice. */
struct finished {
  const struct tly_view_program *program;
  const struct stored_part *sets; /* parts 1 .. */
  struct tly_buffer *rows;        /* printed: fields separated by |, rows by newlines */
  enum tly_status status;
  struct tly_error error;
};

struct prefix_counts {
  const struct tly_group_slice *groups;
  int64_t *counts;
};

static inline enum tly_status count_prefixes(void *context, const struct tly_group_slice *set,
                                             struct tly_error *error) {
  (void)error;
  struct prefix_counts *counting = context;
  for (uint32_t member = 0; member < set->count; member++) {
    struct tly_text key = set->keys[member];
    for (uint32_t group = 0; group < counting->groups->count; group++) {
      struct tly_text prefix = counting->groups->keys[group];
      if (prefix.size <= key.size && (prefix.size == 0 || memcmp(prefix.data, key.data, prefix.size) == 0))
        counting->counts[group]++;
    }
  }
  return TLY_OK;
}

/* A direct output finished by itself is what the vectors have. */
static inline void check_direct_value(const struct tly_group_slice *slice, uint32_t row, uint32_t output,
                                      const struct tly_value *wanted) {
  struct tly_arena arena;
  struct tly_buffer expected = {0}, found = {0};
  struct tly_value value;
  if (!tly_finish_is_direct(slice->program, output))
    return;
  tly_arena_init(&arena);
  assert_int_equal(tly_finish_value(slice, row, output, &arena, &value, NULL), TLY_OK);
  assert_int_equal(value.type.id, wanted->type.id);
  assert_int_equal(value.is_null, wanted->is_null);
  tly_value_print_json(&value, &found);
  tly_value_print_json(wanted, &expected);
  assert_string_equal(tly_buffer_text(&found), tly_buffer_text(&expected));
  tly_buffer_free(&found);
  tly_buffer_free(&expected);
  tly_arena_free(&arena);
}

static inline enum tly_status finish_slice(void *context, const struct tly_group_slice *slice,
                                           struct tly_error *error) {
  (void)error;
  struct finished *finished = context;
  const struct tly_view *view = finished->program->view;
  uint32_t set_count = finished->program->part_count - 1;
  int64_t **counts = calloc(set_count + 1, sizeof *counts);
  for (uint32_t s = 0; s < set_count; s++) {
    counts[s] = calloc(slice->count, sizeof **counts);
    struct prefix_counts counting = {.groups = slice, .counts = counts[s]};
    fixture_merge(finished->program, s + 1, &finished->sets[s], 1, 100, count_prefixes, &counting);
  }
  tly_finisher *finisher = tly_finisher_new(finished->program);
  const struct tly_vector *outputs;
  const uint32_t *rows;
  uint32_t row_count;
  finished->status =
      tly_finish(finisher, slice, (const int64_t *const *)counts, NULL, &outputs, &rows, &row_count, &finished->error);
  for (uint32_t i = 0; finished->status == TLY_OK && i < row_count; i++) {
    for (uint32_t o = 0; o < view->output_count; o++) {
      struct tly_value value = tly_vector_value(&outputs[o], rows[i]);
      check_direct_value(slice, rows[i], o, &value);
      if (o > 0)
        tly_buffer_append_byte(finished->rows, '|');
      if (value.is_null)
        tly_buffer_append_text(finished->rows, "\\N");
      else
        tly_value_print(&value, finished->rows);
    }
    tly_buffer_append_byte(finished->rows, '\n');
  }
  tly_finisher_free(finisher);
  for (uint32_t s = 0; s < set_count; s++)
    free(counts[s]);
  free(counts);
  return TLY_OK;
}

/* Print the view's rows, in key order, into `rows`: from one stored part a part of the program. */
static inline enum tly_status fixture_finish(const struct tly_view_program *program, const struct stored_part *stored,
                                             struct tly_buffer *rows, struct tly_error *error) {
  struct finished finished = {.program = program, .sets = stored + 1, .rows = rows};
  if (program->parts[0].key_count == 0 && stored[0].block_count == 0) {
    struct tly_group_slice slice;
    tly_group_slice_init(&slice, program, 0);
    tly_finish_empty_group(program, &slice);
    assert_int_equal(finish_slice(&finished, &slice, NULL), TLY_OK);
    tly_group_slice_free(&slice);
  } else {
    fixture_merge(program, 0, stored, 1, TLY_EVALUATE_ROWS, finish_slice, &finished);
  }
  if (error != NULL)
    *error = finished.error;
  return finished.status;
}

/* The rows of `view` over JSON lines, printed; asserts that nothing raises in the result. */
static inline char *fixture_rows(const struct tly_project *project, const char *view_name, const char *lines,
                                 struct tly_fold_counts *counts) {
  const struct tly_view *view = tly_project_view(project, view_name);
  assert_non_null(view);
  struct tly_view_program *program = tly_view_program_new(view);
  struct tly_event_batch batch;
  fixture_decode(view->stream, lines, strlen(lines), &batch);
  tly_fold *fold = tly_fold_new(program);
  tly_fold_batch(fold, &batch, NULL, NULL);
  if (counts != NULL)
    *counts = tly_fold_counts(fold);
  struct stored_part *stored = calloc(program->part_count, sizeof *stored);
  for (uint32_t part = 0; part < program->part_count; part++)
    stored[part] = stored_part_of_table(program, part, tly_fold_part(fold, part), 100);
  struct tly_buffer rows = {0};
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = fixture_finish(program, stored, &rows, &error);
  if (status != TLY_OK)
    tly_buffer_print(&rows, "!%s", tly_status_sqlstate(status));
  for (uint32_t part = 0; part < program->part_count; part++)
    stored_part_free(&stored[part]);
  free(stored);
  tly_fold_free(fold);
  tly_event_batch_free(&batch);
  tly_view_program_free(program);
  return tly_buffer_text(&rows); /* the caller frees */
}

#endif
