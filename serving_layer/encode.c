#include "serving_layer/encode.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/limits.h"

static void member(struct tly_buffer *out, const char *name) {
  tly_json_print_text(name, strlen(name), out);
  tly_buffer_append_byte(out, ':');
}

void tly_encode_columns(const struct tly_query *query, struct tly_buffer *out) {
  tly_buffer_append_text(out, "\"columns\":[");
  for (uint32_t i = 0; i < query->column_count; i++) {
    tly_buffer_append_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
    tly_json_print_text(query->columns[i].name, strlen(query->columns[i].name), out);
    tly_buffer_append_text(out, ",\"type\":\"");
    tly_buffer_append_text(out, tly_type_protocol_name(query->columns[i].type));
    tly_buffer_append_text(out, "\"}");
  }
  tly_buffer_append_byte(out, ']');
}

void tly_encode_row(const struct tly_value *values, uint32_t count, struct tly_buffer *out) {
  tly_buffer_append_byte(out, '[');
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0)
      tly_buffer_append_byte(out, ',');
    tly_value_print_json(&values[i], out);
  }
  tly_buffer_append_byte(out, ']');
}

static void append_offsets(const int64_t *values, uint32_t count, struct tly_buffer *out) {
  tly_buffer_append_byte(out, '[');
  for (uint32_t i = 0; i < count; i++)
    tly_buffer_print(out, i > 0 ? ",%" PRId64 : "%" PRId64, values[i]);
  tly_buffer_append_byte(out, ']');
}

static void offsets(const char *name, const char *stream, const int64_t *values, uint32_t count,
                    struct tly_buffer *out) {
  tly_buffer_append_byte(out, ',');
  member(out, name);
  tly_buffer_append_byte(out, '{');
  member(out, stream);
  append_offsets(values, count, out);
  tly_buffer_append_byte(out, '}');
}

static void state_members(const struct tly_view *view, const struct tly_view_state *state, struct tly_buffer *out) {
  tly_buffer_print(out, "\"run\":%" PRId64, state->run);
  offsets("cut", view->stream->name, state->cut_offsets, state->cut_partitions, out);
  if (state->has_live)
    offsets("live", view->stream->name, state->live_offsets, state->live_partitions, out);
  tly_buffer_append_text(out, ",\"definition\":\"");
  for (int i = 0; i < TLY_HASH_BYTES; i++)
    tly_buffer_print(out, "%02x", view->hash.bytes[i]);
  tly_buffer_append_byte(out, '"');
  if (state->set_aside > 0)
    tly_buffer_print(out, ",\"set_aside\":%" PRIu64, state->set_aside);
}

void tly_encode_view_state(const struct tly_view *view, const struct tly_view_state *state, struct tly_buffer *out) {
  tly_buffer_append_byte(out, '{');
  state_members(view, state, out);
  tly_buffer_append_byte(out, '}');
}

/* Is use `index` the first one of its view and run? */
static bool is_first_use(const struct tly_plan *plan, uint32_t index) {
  for (uint32_t i = 0; i < index; i++)
    if (plan->uses[i].program == plan->uses[index].program && plan->uses[i].run == plan->uses[index].run)
      return false;
  return true;
}

/* "archive":{"payments":[1200,...]}: where the streams ended, by partition. */
static void archive_ends(const struct tly_plan *plan, struct tly_buffer *out) {
  member(out, "archive");
  tly_buffer_append_byte(out, '{');
  for (uint32_t s = 0; s < plan->stream_count; s++) {
    const struct tly_stream_use *use = &plan->streams[s];
    int64_t ends[TLY_PARTITIONS_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < use->head_count; i++) {
      ends[use->heads[i].partition] = use->heads[i].next_offset;
      count = use->heads[i].partition >= count ? use->heads[i].partition + 1 : count;
    }
    tly_buffer_append_text(out, s > 0 ? "," : "");
    member(out, use->stream->name);
    append_offsets(ends, count, out);
  }
  tly_buffer_append_byte(out, '}');
}

/* The members of one view's state, or of all under "views". */
static void view_states(const struct tly_plan *plan, uint32_t different, struct tly_buffer *out) {
  tly_buffer_append_text(out, different > 1 ? "\"views\":{" : "");
  for (uint32_t i = 0; i < plan->use_count; i++) {
    const struct tly_view_use *use = &plan->uses[i];
    if (!is_first_use(plan, i))
      continue;
    if (different > 1) {
      struct tly_buffer name = {0};
      if (use->run > 0)
        tly_buffer_print(&name, "run_%" PRId64 ".", use->run);
      tly_buffer_append_text(&name, use->program->view->name);
      tly_buffer_append_text(out, i > 0 ? "," : "");
      member(out, tly_buffer_text(&name));
      tly_buffer_free(&name);
    }
    if (different > 1)
      tly_encode_view_state(use->program->view, &use->state, out);
    else
      state_members(use->program->view, &use->state, out);
  }
  tly_buffer_append_text(out, different > 1 ? "}" : "");
}

void tly_encode_as_of(const struct tly_plan *plan, struct tly_buffer *out) {
  uint32_t different = 0;
  for (uint32_t i = 0; i < plan->use_count; i++)
    different += is_first_use(plan, i);
  tly_buffer_append_byte(out, '{');
  if (different > 0)
    view_states(plan, different, out);
  if (plan->stream_count > 0) {
    tly_buffer_append_text(out, different > 0 ? "," : "");
    archive_ends(plan, out);
  }
  tly_buffer_append_byte(out, '}');
}

/* ---- answers in parts -------------------------------------------------------------------------------------------- */

static enum tly_status send_part(struct tly_answer *answer, struct tly_error *error) {
  struct tly_buffer line = {0};
  tly_buffer_append_text(&line, "{\"id\":");
  tly_buffer_append_text(&line, answer->id);
  tly_buffer_append_byte(&line, ',');
  if (answer->sent_rows == 0) {
    tly_encode_columns(answer->query, &line);
    tly_buffer_append_byte(&line, ',');
  }
  tly_buffer_append_text(&line, "\"rows\":[");
  tly_buffer_append(&line, answer->rows.data, answer->rows.size);
  tly_buffer_append_text(&line, "]}\n");
  answer->sent_rows += answer->row_count;
  answer->row_count = 0;
  tly_buffer_clear(&answer->rows);
  enum tly_status status = answer->send(answer->context, &line, error);
  tly_buffer_free(&line);
  return status;
}

static enum tly_status add_row(void *context, const struct tly_value *values, uint32_t count, struct tly_error *error) {
  struct tly_answer *answer = context;
  if (answer->row_count >= TLY_PART_ROWS || answer->rows.size >= TLY_PART_BYTES)
    TLY_TRY(send_part(answer, error));
  if (answer->row_count++ > 0)
    tly_buffer_append_byte(&answer->rows, ',');
  tly_encode_row(values, count, &answer->rows);
  return TLY_OK;
}

struct tly_row_sink tly_answer_sink(struct tly_answer *answer) {
  return (struct tly_row_sink){.row = add_row, .context = answer};
}

void tly_answer_end(struct tly_answer *answer, const struct tly_plan *plan, struct tly_buffer *out) {
  tly_buffer_append_text(out, "{\"id\":");
  tly_buffer_append_text(out, answer->id);
  tly_buffer_append_text(out, ",\"result\":{");
  tly_encode_columns(plan->statement->query, out);
  tly_buffer_append_text(out, ",\"rows\":[");
  tly_buffer_append(out, answer->rows.data, answer->rows.size);
  tly_buffer_append_text(out, "],\"as_of\":");
  tly_encode_as_of(plan, out);
  tly_buffer_append_text(out, "}}\n");
}

void tly_answer_free(struct tly_answer *answer) {
  tly_buffer_free(&answer->rows);
}
