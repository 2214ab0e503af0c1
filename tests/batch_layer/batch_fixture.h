/* tests/batch_layer/batch_fixture.h -- a data folder with an archive that a test fills and cuts. */
#ifndef TLY_TESTS_BATCH_FIXTURE_H
#define TLY_TESTS_BATCH_FIXTURE_H

#include "tests/common/store/view_fixture.h"

#include <unistd.h>

#include "batch_layer/archive_writer.h"
#include "batch_layer/recompute.h"
#include "batch_layer/seal.h"
#include "common/base/limits.h"
#include "common/sqlite/sqlite.h"
#include "common/store/run_reader.h"

/* Append JSON lines as one synced group, one block. */
static inline void append_lines(tly_archive_writer *writer, const struct tly_stream *stream, uint32_t partition,
                                const struct tly_buffer *lines) {
  tly_decoder *decoder = tly_decoder_new(stream, TLY_FORMAT_JSON);
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t line_count;
  tly_event_batch_init(&batch, stream);
  CHECK_OK(tly_decoder_decode(decoder, (const char *)lines->data, lines->size, 0, &batch, &consumed, &line_count,
                              &test_error));
  if (batch.rejection_count > 0)
    fail_msg("rejected: %s", batch.rejections[0].message);
  assert_int_equal(consumed, lines->size);
  CHECK_OK(tly_archive_writer_begin(writer, stream, &test_error));
  CHECK_OK(tly_archive_writer_append(writer, partition, &batch, TLY_FORMAT_JSON, (struct tly_text){.data = NULL},
                                     &test_error));
  CHECK_OK(tly_archive_writer_commit(writer, &test_error));
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
}

/* Record a cut for all views of the project. */
static inline int64_t make_cut(tly_archive_writer *writer, const struct tly_project *project, struct tly_arena *arena,
                               struct tly_cut *cut) {
  const char *names[TLY_VIEWS_MAX];
  for (uint32_t v = 0; v < project->view_count; v++)
    names[v] = project->views[v].name;
  CHECK_OK(tly_archive_writer_cut(writer, names, project->view_count, arena, cut, &test_error));
  return cut->number;
}

/* Seal every file of the stream. */
static inline void seal_stream(tly_archive_writer *writer, const char *directory, const struct tly_stream *stream) {
  const struct tly_stream *waiting;
  int64_t number, sealed_number;
  bool spoilt, has_events;
  CHECK_OK(tly_archive_writer_rotate(writer, stream, &test_error));
  while (tly_archive_writer_next_to_seal(writer, &waiting, &number, &sealed_number, &spoilt)) {
    struct tly_seal_job job = {
        .directory = directory, .stream = waiting, .number = number, .sealed_number = sealed_number};
    CHECK_OK(tly_seal_run(&job, &has_events, &test_error));
    CHECK_OK(tly_archive_writer_sealed(writer, waiting, number, has_events ? sealed_number : 0, &test_error));
  }
}

/* The folder of a run, with its lock. */
static inline void make_run_folder(const char *directory, int64_t run) {
  char path[300];
  snprintf(path, sizeof path, "%s/runs/%" PRId64, directory, run);
  CHECK_OK(tly_file_make_folder(path, &test_error));
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/lock", directory, run);
  CHECK_OK(tly_file_replace(path, "", 0, &test_error));
}

struct difference {
  tly_run_reader *reader;
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  uint32_t row;
  uint64_t count;
};

static inline enum tly_status compare_slice(void *context, const struct tly_group_slice *slice,
                                            struct tly_error *error) {
  struct difference *difference = context;
  for (uint32_t i = 0; i < slice->count; i++, difference->row++) {
    if (difference->slice == NULL || difference->row == difference->slice->count) {
      TLY_TRY(difference->source.next(difference->source.context, &difference->slice, error));
      difference->row = 0;
    }
    if (difference->slice == NULL)
      return TLY_FAIL(error, TLY_E_INTERNAL, "the run has fewer groups");
    bool equal = tly_text_equal(slice->keys[i], difference->slice->keys[difference->row]) &&
                 (slice->part > 0 ||
                  tly_states_equal(slice->program, slice->states, i, difference->slice->states, difference->row));
    difference->count += equal ? 0 : 1;
  }
  return TLY_OK;
}

/* The number of groups in which a run differs from `fold`, over all parts; the fold is drained. */
static inline uint64_t differing_groups(const char *directory, int64_t run, const struct tly_view_program *program,
                                        tly_fold *fold) {
  struct difference difference = {0};
  struct tly_text open_bound = {.data = NULL};
  CHECK_OK(tly_run_reader_open(directory, run, program, &difference.reader, &test_error));
  for (uint32_t p = 0; p < program->part_count; p++) {
    assert_int_equal(tly_run_reader_groups(difference.reader, p), tly_group_table_count(tly_fold_part(fold, p)));
    difference.slice = NULL;
    difference.row = 0;
    CHECK_OK(tly_run_reader_scan(difference.reader, p, open_bound, open_bound, &difference.source, &test_error));
    CHECK_OK(tly_group_table_drain(tly_fold_part(fold, p), 333, compare_slice, &difference, &test_error));
    tly_run_reader_end_scan(difference.reader, &difference.source);
  }
  tly_run_reader_close(difference.reader);
  return difference.count;
}

#endif
