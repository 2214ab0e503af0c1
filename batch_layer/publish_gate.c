#include "batch_layer/publish_gate.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/limits.h"

/* A view that the project does not have (any more) has nobody who could say that its drift does not matter. */
static bool drifted(const struct tly_project *project, const struct tly_run_view_result *result) {
  const struct tly_view *view = tly_project_view(project, result->view);
  return result->drift > 0 && (view == NULL || !view->publish_with_drift);
}

static bool is_unmet(const struct tly_run_check *check) {
  return check->text != NULL && strcmp(check->verdict, "true") != 0;
}

static void append_check(struct tly_buffer *words, const struct tly_run_check *check) {
  bool is_error = strcmp(check->verdict, "error") == 0;
  tly_buffer_print(words, "check %s %s%s%s%s", check->text, is_error ? "cannot be computed" : "is ",
                   is_error ? "" : check->verdict, *check->found != '\0' ? ": " : "", check->found);
}

/* The words of one view, behind those before. */
static void append_view(struct tly_buffer *words, const struct tly_run_view_result *view, bool has_drifted) {
  tly_buffer_print(words, "%sview %s: ", words->size > 0 ? "; " : "", view->view);
  if (is_unmet(&view->check))
    append_check(words, &view->check);
  if (has_drifted)
    tly_buffer_print(words, "%s%" PRId64 " key%s drifted against the live totals", is_unmet(&view->check) ? "; " : "",
                     view->drift, view->drift == 1 ? "" : "s");
}

const char *tly_publish_gate_judge(const struct tly_project *project, const struct tly_run_result *result,
                                   struct tly_arena *arena) {
  struct tly_buffer words = {0};
  uint32_t left_out = 0;
  for (uint32_t v = 0; v < result->view_count; v++) {
    const struct tly_run_view_result *view = &result->views[v];
    bool has_drifted = drifted(project, view);
    if (!has_drifted && !is_unmet(&view->check))
      continue;
    if (words.size < TLY_HOLD_BYTES)
      append_view(&words, view, has_drifted);
    else
      left_out++;
  }
  if (left_out > 0)
    tly_buffer_print(&words, "; and %u more views", left_out);
  const char *why = words.size > 0 ? tly_arena_copy(arena, words.data, words.size) : NULL;
  tly_buffer_free(&words);
  return why;
}
