/* A line is one event. The learned layouts are asked first; a line that none of them takes goes to the strict path
 * here, which alone decides what is wrong with it. So the two can only differ if a layout accepts what the strict path
 * would not, or reads another value: learned_layout.c says why it does not, and the tests try.
 *
 * WHICH ERROR A LINE GETS. First whether it is JSON at all (22032, 22021, 54001), whatever its values; then the first
 * duplicate key or value that does not convert, in the order of the line; then the first NOT NULL column, in the order
 * of the definition, that has no value. */
#include "common/event/decode_json.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/event/convert.h"
#include "common/event/learned_layout.h"
#include "common/event/line.h"
#include "common/event/walk_json.h"

struct tly_json_decoder {
  struct tly_path_tree tree;
  struct tly_buffer scratch;
  struct tly_layouts *layouts;
  bool uses_layouts;
  uint64_t event; /* number of the line under work, for path_tree's `seen` */
};

/* One line on the strict path. */
struct event_work {
  struct tly_json_decoder *decoder;
  struct tly_batch_writer *writer;
  struct tly_json_walk walk;
  enum tly_status status; /* of the first value that failed; the rest of the line is only scanned */
};

tly_json_decoder *tly_json_decoder_new(const struct tly_stream *stream) {
  struct tly_json_decoder *decoder = tly_calloc(1, sizeof *decoder);
  tly_path_tree_init(&decoder->tree, stream);
  tly_buffer_init(&decoder->scratch);
  decoder->layouts = tly_layouts_new(&decoder->tree);
  decoder->uses_layouts = true;
  return decoder;
}

void tly_json_decoder_free(tly_json_decoder *decoder) {
  if (decoder == NULL)
    return;
  tly_layouts_free(decoder->layouts);
  tly_buffer_free(&decoder->scratch);
  tly_path_tree_free(&decoder->tree);
  tly_free(decoder);
}

void tly_json_decoder_use_learned_layout(tly_json_decoder *decoder, bool use) {
  decoder->uses_layouts = use;
}

/* ---- a column that is missing ------------------------------------------------------------------------------------ */

/* Look for a member whose path is `column`'s but for case and underscores; its true names come to names[]. */
static bool find_similar(const struct tly_stream_column *column, const char *line, size_t size,
                         struct tly_text names[TLY_JSON_DEPTH_MAX + 1]) {
  struct tly_json_scanner scanner;
  struct tly_json_token token;
  bool is_alike[TLY_JSON_DEPTH_MAX + 1] = {true};
  tly_json_scanner_init(&scanner, line, size);
  while (tly_json_scan(&scanner, &token, NULL) == TLY_OK && token.kind != TLY_JSON_END) {
    uint32_t depth = scanner.depth;
    if (token.kind == TLY_JSON_ARRAY_BEGIN)
      is_alike[depth] = false;
    if (token.kind != TLY_JSON_KEY)
      continue;
    is_alike[depth] =
        depth <= column->path_count && is_alike[depth - 1] &&
        tly_path_names_alike(token.data, token.size, column->path[depth - 1], strlen(column->path[depth - 1]));
    names[depth - 1] = (struct tly_text){.data = token.data, .size = token.size};
    if (is_alike[depth] && depth == column->path_count)
      return true;
  }
  return false;
}

static void print_path(struct tly_buffer *out, const struct tly_text *names, uint32_t count) {
  tly_buffer_clear(out);
  for (uint32_t i = 0; i < count; i++)
    tly_buffer_print(out, "%s%.*s", i > 0 ? "." : "", tly_convert_quoted_size(names[i]), names[i].data);
}

static enum tly_status fail_missing(struct event_work *work, const struct tly_stream_column *column,
                                    struct tly_error *error) {
  struct tly_buffer *scratch = &work->decoder->scratch;
  const struct tly_json_scanner *scanner = &work->walk.scanner;
  struct tly_text names[TLY_JSON_DEPTH_MAX + 1];
  if (error == NULL)
    return TLY_E_NOT_NULL;
  if (find_similar(column, scanner->begin, (size_t)(scanner->end - scanner->begin), names)) {
    print_path(scratch, names, column->path_count);
    const char *path = tly_buffer_text(scratch);
    return TLY_FAIL(
        error, TLY_E_NOT_NULL,
        "column \"%s\": it is NOT NULL, but the event has no value for it. It has \"%s\": to read the column "
        "from there, write OPTIONS (path '%s') behind its type",
        column->name, path, path);
  }
  for (uint32_t i = 0; i < column->path_count && i <= TLY_JSON_DEPTH_MAX; i++)
    names[i] = tly_text_of(column->path[i]);
  print_path(scratch, names, column->path_count <= TLY_JSON_DEPTH_MAX ? column->path_count : TLY_JSON_DEPTH_MAX);
  return TLY_FAIL(error, TLY_E_NOT_NULL, "column \"%s\": it is NOT NULL, but the event has no value for it (no \"%s\")",
                  column->name, tly_buffer_text(scratch));
}

/* Columns without a value are NULL. */
static enum tly_status fill_missing(struct event_work *work, struct tly_error *error) {
  struct tly_json_decoder *decoder = work->decoder;
  uint32_t row = work->writer->batch->count;
  for (uint32_t i = 0; i < work->writer->target_count; i++) {
    struct tly_column_target *target = &work->writer->targets[i];
    if (decoder->tree.nodes[decoder->tree.node_of_column[i]].seen == decoder->event)
      continue;
    if (target->column->not_null)
      return fail_missing(work, target->column, error);
    tly_batch_writer_set_null(target, row);
  }
  return TLY_OK;
}

/* ---- a value ----------------------------------------------------------------------------------------------------- */

static struct tly_text text_of_token(struct tly_arena *arena, const struct tly_json_token *token) {
  if (!token->is_escaped)
    return (struct tly_text){.data = token->data, .size = token->size};
  char *out = tly_arena_alloc(arena, token->size);
  uint32_t size = tly_json_unescape(token->data, token->size, out);
  return (struct tly_text){.data = out, .size = size};
}

static enum tly_status convert_token(struct event_work *work, uint32_t column, const struct tly_json_token *token,
                                     struct tly_error *error) {
  struct tly_column_target *target = &work->writer->targets[column];
  struct tly_arena *arena = &work->writer->batch->arena;
  uint32_t row = work->writer->batch->count;
  switch (token->kind) {
  case TLY_JSON_STRING:
    return tly_convert_text(target, row, text_of_token(arena, token), TLY_TEXT_OF_JSON, arena, error);
  case TLY_JSON_NUMBER:
    return tly_convert_number(target, row, (struct tly_text){.data = token->data, .size = token->size}, arena, error);
  case TLY_JSON_TRUE:
  case TLY_JSON_FALSE: return tly_convert_boolean(target, row, token->kind == TLY_JSON_TRUE, error);
  case TLY_JSON_NULL: return tly_convert_null(target, row, "null", error);
  default: return tly_convert_refuse(target->column, tly_json_kind_words(token->kind), error);
  }
}

/* A value (or the beginning of a container) that stands where a column's path ends, or goes on. */
static enum tly_status take_value(struct event_work *work, const struct tly_path_node *node,
                                  const struct tly_json_token *token, struct tly_error *error) {
  const struct tly_path_tree *tree = &work->decoder->tree;
  for (uint32_t column = node->column; column != TLY_PATH_NONE; column = tree->next_of_column[column])
    TLY_TRY(convert_token(work, column, token, error));
  if (node->some_below == TLY_PATH_NONE || token->kind == TLY_JSON_OBJECT_BEGIN || token->kind == TLY_JSON_NULL)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_DATATYPE_MISMATCH,
                  "column \"%s\": its path goes through \"%s\", but the event has %s there, not an object",
                  tree->stream->columns[node->some_below].name, node->name, tly_json_kind_words(token->kind));
}

static enum tly_status take_key(struct event_work *work, struct tly_path_node *node, struct tly_error *error) {
  if (node->seen == work->decoder->event)
    return TLY_FAIL(
        error, TLY_E_INVALID_JSON, "duplicate key \"%s\", which column \"%s\" is read from", node->name,
        work->decoder->tree.stream->columns[node->column != TLY_PATH_NONE ? node->column : node->some_below].name);
  node->seen = work->decoder->event;
  return TLY_OK;
}

static enum tly_status decode_strictly(struct tly_json_decoder *decoder, const char *line, size_t size,
                                       struct tly_batch_writer *writer, struct tly_error *error) {
  struct event_work work; /* `walk` is large and needs no zeros */
  struct tly_json_token token;
  if (size > TLY_LINE_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "the event has %zu bytes, more than the %d an event may have", size,
                    TLY_LINE_BYTES_MAX);
  decoder->event++;
  work.decoder = decoder;
  work.writer = writer;
  work.status = TLY_OK;
  tly_json_walk_init(&work.walk, &decoder->tree, &decoder->scratch, line, size);
  do {
    TLY_TRY(tly_json_walk_next(&work.walk, &token, error));
    if (work.walk.node == TLY_PATH_NONE || work.status != TLY_OK)
      continue;
    struct tly_path_node *node = &decoder->tree.nodes[work.walk.node];
    work.status = token.kind == TLY_JSON_KEY ? take_key(&work, node, error) : take_value(&work, node, &token, error);
  } while (token.kind != TLY_JSON_END);
  return work.status != TLY_OK ? work.status : fill_missing(&work, error);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* A file that begins with a byte order mark loses its first event: its owner should learn why. (RFC 8259 forbids the
 * mark and leaves it to readers; we keep to what is forbidden.) */
static void name_byte_order_mark(const char *line, size_t size, struct tly_error *error) {
  if (size >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0)
    (void)TLY_FAIL(
        error, error->status,
        "invalid JSON: the line begins with a byte order mark (EF BB BF); save the file as UTF-8 without one");
}

/* Decode the line [line, behind) of an input that ends at `end` on the strict path: an event, a rejection, or nothing
 * (blank). */
static void take_line(struct tly_json_decoder *decoder, const char *line, const char *behind, const char *end,
                      uint64_t line_number, struct tly_batch_writer *writer) {
  struct tly_error error;
  size_t size = tly_line_payload_size(line, behind);
  if (tly_line_is_blank(line, size))
    return;
  bool wants_words = tly_batch_writer_wants_words(writer);
  enum tly_status status = decode_strictly(decoder, line, size, writer, wants_words ? &error : NULL);
  if (status != TLY_OK) {
    if (wants_words)
      name_byte_order_mark(line, size, &error);
    tly_batch_writer_reject(writer, line_number, status, wants_words ? &error : NULL);
    return;
  }
  tly_batch_writer_commit(writer, line, size);
  if (decoder->uses_layouts)
    tly_layouts_learn(decoder->layouts, line, behind, end, &decoder->scratch);
}

size_t tly_json_decoder_run(tly_json_decoder *decoder, const char *bytes, size_t size, uint64_t line_base,
                            struct tly_batch_writer *writer, uint64_t *lines) {
  const char *next = bytes;
  const char *end = bytes + size;
  *lines = 0;
  tly_layouts_begin(decoder->layouts);
  while (next < end && !tly_batch_writer_is_full(writer)) {
    const char *behind = decoder->uses_layouts ? tly_layouts_match(decoder->layouts, next, end, writer) : NULL;
    if (behind == NULL) {
      behind = tly_line_end(next, end);
      take_line(decoder, next, behind, end, line_base + *lines + 1, writer);
    }
    next = behind;
    (*lines)++;
  }
  return (size_t)(next - bytes);
}
