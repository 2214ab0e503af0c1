/* tests/common/engine/test_views.c -- views.sql over events.ndjson: PostgreSQL's rows, whatever the order, the batches,
 * the cuts and the way of merging; and the same bytes of every part. */
#include "tests/common/engine/engine_fixture.h"

#include <stdio.h>
#include <time.h>

#include "common/base/file.h"
#include "common/engine/group_row.h"

static uint64_t random_state;

/* xorshift64* */
static uint32_t random_below(uint32_t bound) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (uint32_t)((random_state * UINT64_C(2685821657736338717) >> 33) % bound);
}

struct fixture {
  struct tly_buffer definitions, lines, answers;
  struct tly_project *project;
  struct tly_event_batch events;
};

static void read_file(const char *name, struct tly_buffer *out) {
  char path[200];
  snprintf(path, sizeof path, "tests/common/engine/%s", name);
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_file_read(path, 16 << 20, out, &error) != TLY_OK)
    fail_msg("%s", error.message);
  tly_buffer_text(out);
}

static int open_fixture(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  read_file("views.sql", &fixture->definitions);
  read_file("events.ndjson", &fixture->lines);
  read_file("postgresql_views.tsv", &fixture->answers);
  fixture->project = fixture_project((const char *)fixture->definitions.data);
  fixture_decode(tly_project_stream(fixture->project, "trades"), (const char *)fixture->lines.data, fixture->lines.size,
                 &fixture->events);
  const char *seed = getenv("TALLY_SEED");
  random_state = seed != NULL ? strtoull(seed, NULL, 10) : 20260302;
  print_message("TALLY_SEED=%llu\n", (unsigned long long)random_state);
  *state = fixture;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *fixture = *state;
  tly_event_batch_free(&fixture->events);
  tly_project_free(fixture->project);
  tly_buffer_free(&fixture->definitions);
  tly_buffer_free(&fixture->lines);
  tly_buffer_free(&fixture->answers);
  free(fixture);
  return 0;
}

/* --- against PostgreSQL ------------------------------------------------------------------------------------------- */

struct lines {
  char **line;
  uint32_t count;
};

static int compare_lines(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_line(struct lines *lines, const char *text, size_t size) {
  lines->line = realloc(lines->line, (lines->count + 1) * sizeof *lines->line);
  lines->line[lines->count++] = strndup(text, size);
}

static void free_lines(struct lines *lines) {
  for (uint32_t i = 0; i < lines->count; i++)
    free(lines->line[i]);
  free(lines->line);
}

/* The lines of `text` that begin with `prefix`, without it, sorted. */
static struct lines lines_of(const char *text, const char *prefix) {
  struct lines lines = {.count = 0};
  size_t prefix_size = strlen(prefix);
  for (const char *end; *text != '\0'; text = end + 1) {
    end = strchr(text, '\n');
    assert_non_null(end);
    if (strncmp(text, prefix, prefix_size) == 0)
      add_line(&lines, text + prefix_size, (size_t)(end - text) - prefix_size);
  }
  qsort(lines.line, lines.count, sizeof *lines.line, compare_lines);
  return lines;
}

/* A group key is shown in the least scale here and as first seen there: drop zeros at the end of decimals. */
static void drop_zeros(struct lines *lines) {
  for (uint32_t i = 0; i < lines->count; i++) {
    char *out = lines->line[i], *point = NULL;
    for (const char *in = lines->line[i]; *in != '\0'; in++) {
      if (*in == '|')
        point = NULL;
      *out++ = *in;
      if (*in == '.')
        point = out - 1;
      bool ends = in[1] == '|' || in[1] == '\0';
      for (; point != NULL && ends && (out[-1] == '0' || out[-1] == '.'); out--) {
        if (out[-1] == '.') {
          out--;
          break;
        }
      }
    }
    *out = '\0';
  }
  qsort(lines->line, lines->count, sizeof *lines->line, compare_lines);
}

static char *rows_of(const struct fixture *fixture, const char *view_name) {
  return fixture_rows(fixture->project, view_name, (const char *)fixture->lines.data, NULL);
}

static void every_view_equals_postgresql(void **state) {
  struct fixture *fixture = *state;
  unsigned different = 0;
  for (uint32_t v = 0; v < fixture->project->view_count; v++) {
    const char *name = fixture->project->views[v].name;
    char prefix[80];
    snprintf(prefix, sizeof prefix, "%s\t", name);
    char *rows = rows_of(fixture, name);
    struct lines ours = lines_of(rows, ""), theirs = lines_of((const char *)fixture->answers.data, prefix);
    if (strcmp(name, "keys_of_all_kinds") == 0) {
      drop_zeros(&ours);
      drop_zeros(&theirs);
    }
    assert_true(theirs.count > 0);
    if (ours.count != theirs.count)
      fail_msg("%s: %u rows, PostgreSQL has %u", name, ours.count, theirs.count);
    for (uint32_t i = 0; i < ours.count; i++) {
      if (strcmp(ours.line[i], theirs.line[i]) != 0) {
        print_error("%s:\n  %s\n  %s (PostgreSQL)\n", name, ours.line[i], theirs.line[i]);
        different++;
      }
    }
    free_lines(&ours);
    free_lines(&theirs);
    free(rows);
  }
  assert_int_equal(different, 0);
}

/* --- orders, batches, cuts and merges ----------------------------------------------------------------------------- */

enum { PIECES_MAX = 64 };

/* All the stored pieces of one part while they are merged into one. */
struct pieces {
  struct stored_part piece[PIECES_MAX];
  uint32_t count;
};

static void shuffle(uint32_t *rows, uint32_t count) {
  for (uint32_t i = count; i > 1; i--) {
    uint32_t other = random_below(i), row = rows[i - 1];
    rows[i - 1] = rows[other];
    rows[other] = row;
  }
}

static void drain_into(const struct tly_view_program *program, tly_fold *fold, struct pieces *pieces) {
  for (uint32_t part = 0; part < program->part_count; part++) {
    assert_true(pieces[part].count < PIECES_MAX);
    pieces[part].piece[pieces[part].count++] =
        stored_part_of_table(program, part, tly_fold_part(fold, part), 1 + random_below(70));
  }
  if (random_below(2) == 0)
    tly_fold_clear(fold);
}

/* Fold all events in random order and batches with a fold that is drained now and then; some batches come coded. */
static void fold_at_random(const struct fixture *fixture, const struct tly_view_program *program,
                           struct pieces *pieces) {
  uint32_t total = fixture->events.count, *rows = calloc(total, sizeof *rows);
  for (uint32_t i = 0; i < total; i++)
    rows[i] = i;
  shuffle(rows, total);
  tly_fold *fold = tly_fold_new(program);
  struct tly_fold_counts counts = {0};
  for (uint32_t done = 0, size; done < total; done += size) {
    size = 1 + random_below(random_below(3) == 0 ? 5 : 200);
    size = size < total - done ? size : total - done;
    struct tly_event_batch batch;
    fixture_select(&fixture->events, rows + done, size, &batch);
    if (random_below(2) == 0)
      fixture_code_texts(&batch, random_below(2) == 0 ? 0 : 1000 * (uint64_t)(done + 1));
    tly_fold_batch(fold, &batch, NULL, NULL);
    tly_event_batch_free(&batch);
    if (random_below(6) == 0 && pieces[0].count < PIECES_MAX - 1)
      drain_into(program, fold, pieces);
    counts = tly_fold_counts(fold);
    assert_int_equal(counts.set_aside, 0);
  }
  drain_into(program, fold, pieces);
  tly_fold_free(fold);
  free(rows);
}

/* Merge random pieces until one is left. */
static struct stored_part merge_at_random(const struct tly_view_program *program, uint32_t part,
                                          struct pieces *pieces) {
  while (pieces->count > 1) {
    uint32_t fan_in = 2 + random_below(4);
    if (fan_in > pieces->count)
      fan_in = pieces->count;
    for (uint32_t i = 0; i < fan_in; i++) { /* bring random ones to the end */
      uint32_t other = random_below(pieces->count - i), last = pieces->count - 1 - i;
      struct stored_part piece = pieces->piece[other];
      pieces->piece[other] = pieces->piece[last];
      pieces->piece[last] = piece;
    }
    pieces->count -= fan_in;
    struct stored_part *chosen = &pieces->piece[pieces->count];
    struct stored_part merged = fixture_merge_stored(program, part, chosen, fan_in, 1 + random_below(300));
    for (uint32_t i = 0; i < fan_in; i++)
      stored_part_free(&chosen[i]);
    pieces->piece[pieces->count++] = merged;
  }
  return pieces->piece[0];
}

static enum tly_status add_to_table(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  tly_group_table_add_slice(context, slice);
  return TLY_OK;
}

/* A part in blocks of a fixed size: equal parts give equal bytes. */
static struct tly_buffer canonical_bytes(const struct tly_view_program *program, const struct stored_part *stored) {
  tly_group_table *table = tly_group_table_new(program, stored->part);
  fixture_merge(program, stored->part, stored, 1, 1000, add_to_table, table);
  struct stored_part blocks = stored_part_of_table(program, stored->part, table, 64);
  struct tly_buffer bytes = {0};
  for (uint32_t b = 0; b < blocks.block_count; b++)
    tly_buffer_append(&bytes, blocks.blocks[b].body.data, blocks.blocks[b].body.size);
  stored_part_free(&blocks);
  tly_group_table_free(table);
  return bytes;
}

static struct stored_part *fold_in_order(const struct fixture *fixture, const struct tly_view_program *program) {
  tly_fold *fold = tly_fold_new(program);
  tly_fold_batch(fold, &fixture->events, NULL, NULL);
  struct stored_part *stored = calloc(program->part_count, sizeof *stored);
  for (uint32_t part = 0; part < program->part_count; part++)
    stored[part] = stored_part_of_table(program, part, tly_fold_part(fold, part), 512);
  tly_fold_free(fold);
  return stored;
}

/* Add the rows of `key` in all blocks of a stored part. */
static void add_rows_of(struct tly_group_row *row, const struct stored_part *stored) {
  struct stored_source source = {.stored = stored};
  const struct tly_group_slice *slice;
  tly_group_slice_init(&source.slice, stored->program, 0);
  while (stored_source_next(&source, &slice, NULL) == TLY_OK && slice != NULL)
    for (uint32_t i = 0; i < slice->count; i++)
      if (tly_text_equal(slice->keys[i], row->key))
        tly_group_row_add(row, slice, i);
  tly_group_slice_free(&source.slice);
}

/* Any group put together from the pieces has the states it has in the whole, and finishes to the same values. */
static void check_some_rows(const struct tly_view_program *program, const struct pieces *pieces,
                            const struct stored_part *reference) {
  struct stored_source source = {.stored = reference};
  const struct tly_group_slice *slice;
  struct tly_group_row row;
  tly_group_row_init(&row, program, NULL);
  tly_group_slice_init(&source.slice, program, 0);
  while (stored_source_next(&source, &slice, NULL) == TLY_OK && slice != NULL)
    for (int tries = 0; tries < 3; tries++) {
      uint32_t chosen = random_below(slice->count);
      tly_group_row_begin(&row, slice->keys[chosen]);
      for (uint32_t piece = 0; piece < pieces->count; piece++)
        add_rows_of(&row, &pieces->piece[piece]);
      assert_int_equal(row.slice.count, 1);
      assert_true(tly_states_equal(program, row.slice.states, 0, slice->states, chosen));
    }
  tly_group_slice_free(&source.slice);
  tly_group_row_free(&row);
}

static void check_one_split(const struct fixture *fixture, const struct tly_view_program *program,
                            const struct stored_part *reference) {
  struct pieces *pieces = calloc(program->part_count, sizeof *pieces);
  fold_at_random(fixture, program, pieces);
  if (random_below(4) == 0)
    check_some_rows(program, &pieces[0], &reference[0]);
  for (uint32_t part = 0; part < program->part_count; part++) {
    struct stored_part merged = merge_at_random(program, part, &pieces[part]);
    struct tly_buffer ours = canonical_bytes(program, &merged), expected = canonical_bytes(program, &reference[part]);
    if (ours.size != expected.size || (ours.size > 0 && memcmp(ours.data, expected.data, ours.size) != 0))
      fail_msg("%s, part %u: %zu bytes, in order %zu", program->view->name, part, ours.size, expected.size);
    tly_buffer_free(&ours);
    tly_buffer_free(&expected);
    stored_part_free(&merged);
  }
  free(pieces);
}

static void any_order_split_and_merge_gives_the_same_bytes(void **state) {
  struct fixture *fixture = *state;
  uint32_t rounds = getenv("TALLY_LONG") != NULL ? 300 : 12;
  for (uint32_t v = 0; v < fixture->project->view_count; v++) {
    struct tly_view_program *program = tly_view_program_new(&fixture->project->views[v]);
    struct stored_part *reference = fold_in_order(fixture, program);
    for (uint32_t round = 0; round < rounds; round++)
      check_one_split(fixture, program, reference);
    for (uint32_t part = 0; part < program->part_count; part++)
      stored_part_free(&reference[part]);
    free(reference);
    tly_view_program_free(program);
  }
}

/* --- states ------------------------------------------------------------------------------------------------------- */

static enum tly_status states_equal_themselves(void *context, const struct tly_group_slice *slice,
                                               struct tly_error *error) {
  (void)error;
  uint32_t *different_neighbours = context;
  for (uint32_t row = 0; row < slice->count; row++) {
    assert_true(tly_states_equal(slice->program, slice->states, row, slice->states, row));
    if (row > 0 && !tly_states_equal(slice->program, slice->states, row - 1, slice->states, row))
      (*different_neighbours)++;
  }
  return TLY_OK;
}

static void states_are_equal_exactly_when_they_show_alike(void **state) {
  struct fixture *fixture = *state;
  struct tly_view_program *program = tly_view_program_new(tly_project_view(fixture->project, "by_account"));
  struct stored_part *stored = fold_in_order(fixture, program);
  uint32_t different = 0;
  fixture_merge(program, 0, stored, 1, 1000, states_equal_themselves, &different);
  assert_int_equal(different, 15); /* 16 accounts, no two alike */
  stored_part_free(&stored[0]);
  free(stored);
  tly_view_program_free(program);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_view_equals_postgresql),
      cmocka_unit_test(any_order_split_and_merge_gives_the_same_bytes),
      cmocka_unit_test(states_are_equal_exactly_when_they_show_alike),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
