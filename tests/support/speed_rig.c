#include "tests/support/speed_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/batch_store.h"
#include "batch_layer/recompute.h"
#include "batch_layer/seal.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/fold.h"
#include "common/engine/group_block.h"
#include "common/event/decoder.h"
#include "common/store/run_reader.h"

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    struct tly_error error = TLY_ERROR_NONE;                                                                           \
    enum tly_status must_status = (call);                                                                              \
    if (must_status != TLY_OK)                                                                                         \
      fail_msg("%s: %s (%s)", #call, tly_status_name(must_status), error.message);                                     \
  } while (0)

/* ---- folder and project ------------------------------------------------------------------------------------------ */

static struct tly_project *parse(const char *definitions) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  struct tly_buffer text = {0};
  tly_diagnostics_init(&diagnostics);
  if (tly_project_parse("test.sql", definitions, &diagnostics, &project) != TLY_OK) {
    tly_diagnostics_print(&diagnostics, &text);
    fail_msg("%s", tly_buffer_text(&text));
  }
  tly_diagnostics_free(&diagnostics);
  return project;
}

void rig_open(struct rig *rig, const char *definitions) {
  memset(rig, 0, sizeof *rig);
  tly_sqlite_setup();
  strcpy(rig->directory, "/tmp/tally-speed-XXXXXX");
  assert_non_null(mkdtemp(rig->directory));
  rig->project = parse(definitions);
  rig->clock = &tly_clock_real;
  rig->given = tly_calloc(rig->project->stream_count, sizeof *rig->given);
}

static void stop_writer(struct rig *rig) {
  tly_archive_writer_close(rig->writer);
  rig->writer = NULL;
}

void rig_change_project(struct rig *rig, const char *definitions) {
  assert_null(rig->speed);
  stop_writer(rig);
  struct tly_project *changed = parse(definitions);
  assert_int_equal(changed->stream_count, rig->project->stream_count); /* `given` is by stream number */
  tly_project_free(rig->project);
  rig->project = changed;
}

void rig_close(struct rig *rig) {
  rig_stop(rig);
  stop_writer(rig);
  for (uint32_t s = 0; s < rig->project->stream_count; s++)
    tly_buffer_free(&rig->given[s]);
  tly_free(rig->given);
  tly_project_free(rig->project);
  MUST(tly_file_remove_tree(rig->directory, &error));
}

/* ---- the archive ------------------------------------------------------------------------------------------------- */

static void start_writer(struct rig *rig) {
  if (rig->writer == NULL)
    MUST(tly_archive_writer_open(rig->directory, rig->project, rig->clock, &rig->writer, &error));
}

static void append(struct rig *rig, const struct tly_stream *stream, uint32_t partition, const char *bytes,
                   size_t size) {
  tly_decoder *decoder = tly_decoder_new(stream, TLY_FORMAT_JSON);
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  tly_event_batch_init(&batch, stream);
  for (size_t at = 0; at < size; at += consumed) {
    MUST(tly_decoder_decode(decoder, bytes + at, size - at, 0, &batch, &consumed, &lines, &error));
    assert_int_equal(batch.rejection_count, 0);
    if (batch.count == 0)
      continue;
    MUST(tly_archive_writer_begin(rig->writer, stream, &error));
    MUST(tly_archive_writer_append(rig->writer, partition, &batch, TLY_FORMAT_JSON, (struct tly_text){0}, &error));
    MUST(tly_archive_writer_commit(rig->writer, &error));
  }
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
}

void rig_ingest(struct rig *rig, const char *stream_name, uint32_t partition, const char *lines) {
  const struct tly_stream *stream = tly_project_stream(rig->project, stream_name);
  assert_non_null(stream);
  start_writer(rig);
  append(rig, stream, partition, lines, strlen(lines));
  tly_buffer_append_text(&rig->given[stream - rig->project->streams], lines);
}

void rig_ingest_payments(struct rig *rig, uint32_t partition, int first, int count, int accounts) {
  struct tly_buffer lines = {0};
  for (int n = first; n < first + count; n++)
    tly_buffer_print(&lines, "{\"account\":\"A-%d\",\"amount\":\"%d.%02d\",\"kind\":\"k%d\",\"parts\":%d}\n",
                     (int)((unsigned)n * 2654435761u % (unsigned)accounts), n % 977, n % 100, n % 7, n % 11);
  rig_ingest(rig, "payments", partition, tly_buffer_text(&lines));
  tly_buffer_free(&lines);
}

void rig_seal(struct rig *rig, const char *stream_name) {
  const struct tly_stream *stream = tly_project_stream(rig->project, stream_name);
  int64_t number, sealed_number;
  bool has_events, is_spoilt;
  start_writer(rig);
  MUST(tly_archive_writer_rotate(rig->writer, stream, &error));
  while (tly_archive_writer_next_to_seal(rig->writer, &stream, &number, &sealed_number, &is_spoilt)) {
    struct tly_seal_job job = {
        .directory = rig->directory, .stream = stream, .number = number, .sealed_number = sealed_number};
    MUST(tly_seal_run(&job, &has_events, &error));
    MUST(tly_archive_writer_sealed(rig->writer, stream, number, has_events ? sealed_number : 0, &error));
  }
}

int64_t rig_cut(struct rig *rig, const char *const *views) {
  struct tly_arena arena;
  struct tly_cut cut;
  uint32_t count = 0;
  while (views[count] != NULL)
    count++;
  tly_arena_init(&arena);
  start_writer(rig);
  MUST(tly_archive_writer_cut(rig->writer, views, count, &arena, &cut, &error));
  tly_arena_free(&arena);
  return cut.number;
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static void make_run_folder(struct rig *rig, int64_t run) {
  char path[512];
  int lock;
  snprintf(path, sizeof path, "%s/runs/%lld", rig->directory, (long long)run);
  MUST(tly_file_make_folder(path, &error));
  snprintf(path, sizeof path, "%s/runs/%lld/lock", rig->directory, (long long)run);
  MUST(tly_file_lock(path, true, &lock, &error)); /* makes the file */
  close(lock);
}

/* A run has the positions of the streams that its views read. */
static void drop_other_streams(struct tly_cut *cut, const struct tly_view *const *views, uint32_t count) {
  uint32_t kept = 0;
  for (uint32_t p = 0; p < cut->position_count; p++) {
    bool is_read = false;
    for (uint32_t v = 0; v < count; v++)
      is_read |= strcmp(views[v]->stream->name, cut->positions[p].stream) == 0;
    if (is_read)
      cut->positions[kept++] = cut->positions[p];
  }
  cut->position_count = kept;
}

void rig_run(struct rig *rig, int64_t number, const char *const *names) {
  const struct tly_view *views[TLY_VIEWS_MAX];
  int64_t fired[TLY_VIEWS_MAX] = {0};
  uint32_t count = 0;
  struct tly_arena arena;
  struct tly_cut cut;
  struct tly_run_result result;
  tly_archive_reader *archive;
  tly_batch_store *store;
  tly_arena_init(&arena);
  for (; names[count] != NULL; count++)
    views[count] = tly_project_view(rig->project, names[count]);
  MUST(tly_archive_reader_open(rig->directory, rig->project, &archive, &error));
  MUST(tly_archive_reader_cut(archive, number, &arena, &cut, &error));
  drop_other_streams(&cut, views, count);
  make_run_folder(rig, number);
  MUST(tly_batch_store_open(rig->directory, 1, &store, &error));
  struct tly_run_start start = {
      .cut = &cut, .reason = "manual", .started_at_us = 1, .views = views, .fired_at_us = fired, .view_count = count};
  MUST(tly_batch_store_begin(store, &start, &error));
  struct tly_recompute_job job = {.directory = rig->directory,
                                  .project = rig->project,
                                  .cut = &cut,
                                  .views = views,
                                  .view_count = count,
                                  .threads = 1,
                                  .group_bytes_max = 64 << 20};
  MUST(tly_recompute(&job, &arena, &result, &error));
  MUST(tly_batch_store_ready(store, &result, 2, &error));
  tly_batch_store_close(store);
  tly_archive_reader_close(archive);
  tly_arena_free(&arena);
}

int64_t rig_cut_and_run(struct rig *rig, const char *const *views) {
  int64_t cut = rig_cut(rig, views);
  rig_run(rig, cut, views);
  return cut;
}

/* ---- the speed layer --------------------------------------------------------------------------------------------- */

void rig_roll_back(struct rig *rig, int64_t target, const char *const *names) {
  const struct tly_view *views[TLY_VIEWS_MAX];
  int64_t targets[TLY_VIEWS_MAX];
  uint32_t count = 0, rejected;
  tly_batch_store *store;
  for (; names[count] != NULL; count++) {
    views[count] = tly_project_view(rig->project, names[count]);
    targets[count] = target;
  }
  struct tly_rollback_order order = {
      .at_us = 3, .by = "ops", .reason = "test", .views = views, .targets = targets, .view_count = count};
  MUST(tly_batch_store_open(rig->directory, 3, &store, &error));
  MUST(tly_batch_store_roll_back(store, &order, &rejected, &error));
  assert_int_not_equal(rejected, 0);
  tly_batch_store_close(store);
}

void rig_start(struct rig *rig) {
  assert_null(rig->speed);
  start_writer(rig); /* makes the archive */
  MUST(tly_speed_open(rig->directory, rig->project, rig->clock, NULL, false, &rig->speed, &error));
}

void rig_stop(struct rig *rig) {
  tly_speed_close(rig->speed);
  rig->speed = NULL;
}

void rig_settle(struct rig *rig) {
  bool did_work = true;
  if (rig->speed == NULL)
    rig_start(rig);
  for (int step = 0; did_work; step++) {
    assert_true(step < 10000);
    MUST(tly_speed_step(rig->speed, &did_work, &error));
    if (rig->speed->disagrees) {
      rig_stop(rig);
      rig_start(rig);
      did_work = true;
    }
  }
}

bool rig_dies_at(struct rig *rig, const char *point) {
  int result;
  assert_null(rig->speed);
  stop_writer(rig);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    setenv("TALLY_CRASH_AT", point, 1);
    rig_settle(rig);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &result, 0), child);
  if (WIFSIGNALED(result)) {
    assert_int_equal(WTERMSIG(result), SIGKILL);
    return true;
  }
  assert_int_equal(WEXITSTATUS(result), 0);
  return false;
}

/* ---- what is shown, what should be ------------------------------------------------------------------------------- */

static enum tly_status dump_slice(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  tly_group_block_encode(slice, context);
  return TLY_OK;
}

static void dump(tly_group_table *table, struct tly_buffer *out) {
  tly_buffer_append_u64(out, tly_group_table_count(table));
  MUST(tly_group_table_drain(table, TLY_GROUPS_PER_BLOCK, dump_slice, out, &error));
}

static void add_run(struct rig *rig, const struct tly_view_program *program, int64_t run, uint32_t part,
                    tly_group_table *table) {
  tly_run_reader *reader;
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  struct tly_text open = {0};
  MUST(tly_run_reader_open(rig->directory, run, program, &reader, &error));
  MUST(tly_run_reader_scan(reader, part, open, open, &source, &error));
  for (;;) {
    MUST(source.next(source.context, &slice, &error));
    if (slice == NULL)
      break;
    tly_group_table_add_slice(table, slice);
  }
  tly_run_reader_close(reader);
}

void rig_merged(struct rig *rig, const char *name, struct tly_buffer *out) {
  const struct tly_view *view = tly_project_view(rig->project, name);
  struct tly_view_program *program = tly_view_program_new(view);
  struct tly_published published;
  tly_speed_reader *reader;
  struct tly_text open = {0};
  MUST(tly_speed_reader_open(rig->directory, rig->project, &reader, &error));
  MUST(tly_speed_snapshot_begin(reader, &error));
  MUST(tly_speed_snapshot_view(reader, view, &published, &error));
  assert_true(published.is_ready);
  for (uint32_t part = 0; part < program->part_count; part++) {
    tly_group_table *table = tly_group_table_new(program, part);
    MUST(tly_speed_snapshot_groups(reader, program, published.view_id, part, published.cut, INT64_MAX, open, open,
                                   table, &error));
    if (published.run > 0)
      add_run(rig, program, published.run, part, table);
    dump(table, out);
    tly_group_table_free(table);
  }
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  tly_view_program_free(program);
}

void rig_expected(struct rig *rig, const char *name, struct tly_buffer *out) {
  const struct tly_view *view = tly_project_view(rig->project, name);
  const struct tly_buffer *given = &rig->given[view->stream - rig->project->streams];
  struct tly_view_program *program = tly_view_program_new(view);
  tly_fold *fold = tly_fold_new(program);
  tly_decoder *decoder = tly_decoder_new(view->stream, TLY_FORMAT_JSON);
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  tly_event_batch_init(&batch, view->stream);
  for (size_t at = 0; at < given->size; at += consumed) {
    MUST(tly_decoder_decode(decoder, (const char *)given->data + at, given->size - at, 0, &batch, &consumed, &lines,
                            &error));
    tly_fold_batch(fold, &batch, NULL, NULL);
  }
  for (uint32_t part = 0; part < program->part_count; part++)
    dump(tly_fold_part(fold, part), out);
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  tly_fold_free(fold);
  tly_view_program_free(program);
}

void rig_assert_right(struct rig *rig) {
  for (uint32_t v = 0; v < rig->project->view_count; v++) {
    struct tly_buffer merged = {0}, expected = {0};
    rig_merged(rig, rig->project->views[v].name, &merged);
    rig_expected(rig, rig->project->views[v].name, &expected);
    if (merged.size != expected.size || memcmp(merged.data, expected.data, merged.size) != 0)
      fail_msg("view %s: what it shows is not the fold of all events", rig->project->views[v].name);
    tly_buffer_free(&merged);
    tly_buffer_free(&expected);
  }
}

struct tly_published rig_published(struct rig *rig, const char *name) {
  struct tly_published published;
  tly_speed_reader *reader;
  MUST(tly_speed_reader_open(rig->directory, rig->project, &reader, &error));
  MUST(tly_speed_snapshot_begin(reader, &error));
  MUST(tly_speed_snapshot_view(reader, tly_project_view(rig->project, name), &published, &error));
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  return published;
}

int64_t rig_store_integer(struct rig *rig, const char *sql) {
  char path[512];
  sqlite3 *database;
  sqlite3_stmt *statement;
  bool has_row;
  snprintf(path, sizeof path, "%s/speed-%lld.db", rig->directory, (long long)tly_speed_store_current(rig->directory));
  MUST(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &database, &error));
  MUST(tly_sqlite_prepare(database, sql, &statement, &error));
  MUST(tly_sqlite_step(statement, &has_row, &error));
  int64_t value = has_row ? sqlite3_column_int64(statement, 0) : -1;
  sqlite3_finalize(statement);
  tly_sqlite_close(database);
  return value;
}
