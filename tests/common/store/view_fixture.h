/* tests/common/store/view_fixture.h -- a project from a text, and groups folded from events written as JSON lines. */
#ifndef TLY_TESTS_VIEW_FIXTURE_H
#define TLY_TESTS_VIEW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/engine/fold.h"
#include "common/event/decoder.h"
#include "common/sql/project.h"
#include "common/value/ordered_key.h"

static inline struct tly_project *parse_project(const char *text) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  struct tly_buffer words = {0};
  tly_diagnostics_init(&diagnostics);
  if (tly_project_parse("test.sql", text, &diagnostics, &project) != TLY_OK) {
    tly_diagnostics_print(&diagnostics, &words);
    fail_msg("%s", tly_buffer_text(&words));
  }
  tly_diagnostics_free(&diagnostics);
  return project;
}

/* Fold all lines (JSON, any number) into `fold`. */
static inline void fold_lines(tly_fold *fold, const struct tly_stream *stream, const char *lines, size_t size) {
  tly_decoder *decoder = tly_decoder_new(stream, TLY_FORMAT_JSON);
  struct tly_event_batch batch;
  struct tly_error error;
  tly_event_batch_init(&batch, stream);
  while (size > 0) {
    size_t consumed;
    uint64_t line_count;
    assert_int_equal(tly_decoder_decode(decoder, lines, size, 0, &batch, &consumed, &line_count, &error), TLY_OK);
    if (batch.rejection_count > 0)
      fail_msg("rejected: %s", batch.rejections[0].message);
    tly_fold_batch(fold, &batch, NULL, NULL);
    lines += consumed;
    size -= consumed;
  }
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
}

/* The key of a view whose group key is one text column. */
static inline struct tly_text text_key(struct tly_buffer *buffer, const char *text) {
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_TEXT), .text = tly_text_of(text)};
  tly_buffer_clear(buffer);
  tly_key_append(buffer, &value);
  return (struct tly_text){.data = (const char *)buffer->data, .size = (uint32_t)buffer->size};
}

#define CHECK_OK(call)                                                                                                 \
  do {                                                                                                                 \
    struct tly_error *check_error_ = &test_error;                                                                      \
    *check_error_ = TLY_ERROR_NONE;                                                                                    \
    if ((call) != TLY_OK)                                                                                              \
      fail_msg("%s: %s (%s:%d)", #call, test_error.message, test_error.born_file, test_error.born_line);               \
  } while (0)

static struct tly_error test_error __attribute__((unused));

#endif
