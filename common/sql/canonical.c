/* One text for equal definitions, and its hash.
 *
 * The text is written from the typed tree, so spelling, white space, comments, aliases of the stream, ordinals, the
 * order of options and where a cast was left to the type rules make no difference; names of columns, types, constants,
 * and the order of keys and outputs do. Stores are keyed by the hash: a definition that changes in any way that could
 * change a total gets another hash, and a rewording does not throw a computed view away.
 *
 * FORMAT. Prefix notation in parentheses: (kind:type detail arguments...), e.g.
 *   (call:boolean numeric_gt (column:numeric(18,2) "amount") (constant:numeric(3,0) "100")).
 * A call with a time zone has the hash of the zone's rules behind its kernel: an update of them is a change of the
 * view. Names and values are in JSON quotes. A change of this format changes every hash: raise nothing else for it. */
#include <string.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/buffer.h"
#include "common/sql/resolve.h"
#include "common/value/zone_folder.h"

static const char *const kind_names[] = {
    [TLY_EXPR_COLUMN] = "column",
    [TLY_EXPR_KEY] = "key",
    [TLY_EXPR_CONSTANT] = "constant",
    [TLY_EXPR_PARAMETER] = "parameter",
    [TLY_EXPR_NOW] = "now",
    [TLY_EXPR_CALL] = "call",
    [TLY_EXPR_FROM_TEXT] = "from_text",
    [TLY_EXPR_TO_TEXT] = "to_text",
    [TLY_EXPR_RELABEL] = "relabel",
    [TLY_EXPR_AND] = "and",
    [TLY_EXPR_OR] = "or",
    [TLY_EXPR_NOT] = "not",
    [TLY_EXPR_IS_NULL] = "is_null",
    [TLY_EXPR_IS_NOT_NULL] = "is_not_null",
    [TLY_EXPR_IS_TRUE] = "is_true",
    [TLY_EXPR_IS_NOT_TRUE] = "is_not_true",
    [TLY_EXPR_IS_FALSE] = "is_false",
    [TLY_EXPR_IS_NOT_FALSE] = "is_not_false",
    [TLY_EXPR_IS_DISTINCT] = "is_distinct",
    [TLY_EXPR_IS_NOT_DISTINCT] = "is_not_distinct",
    [TLY_EXPR_CASE] = "case",
    [TLY_EXPR_COALESCE] = "coalesce",
    [TLY_EXPR_NULLIF] = "nullif",
    [TLY_EXPR_GREATEST] = "greatest",
    [TLY_EXPR_LEAST] = "least",
    [TLY_EXPR_IN] = "in",
    [TLY_EXPR_AGGREGATE] = "aggregate",
};

static const char *const aggregate_names[] = {
    [TLY_AGGREGATE_COUNT] = "count",
    [TLY_AGGREGATE_SUM] = "sum",
    [TLY_AGGREGATE_AVG] = "avg",
    [TLY_AGGREGATE_MIN] = "min",
    [TLY_AGGREGATE_MAX] = "max",
    [TLY_AGGREGATE_BOOL_AND] = "bool_and",
    [TLY_AGGREGATE_BOOL_OR] = "bool_or",
    [TLY_AGGREGATE_VAR_SAMP] = "var_samp",
    [TLY_AGGREGATE_VAR_POP] = "var_pop",
    [TLY_AGGREGATE_STDDEV_SAMP] = "stddev_samp",
    [TLY_AGGREGATE_STDDEV_POP] = "stddev_pop",
};

static void print_name(const char *name, struct tly_buffer *out) {
  tly_json_print_text(name, strlen(name), out);
}

static void print_type(struct tly_type type, struct tly_buffer *out) {
  tly_buffer_append_text(out, tly_type_protocol_name(type));
  if (type.id == TLY_TYPE_VARCHAR)
    tly_buffer_print(out, "/varchar(%d)", type.precision);
  if (type.id == TLY_TYPE_NUMERIC && type.precision > 0)
    tly_buffer_print(out, "(%d,%d)", type.precision, type.scale);
}

static void print_constant(const struct tly_value *value, struct tly_buffer *out) {
  if (value->is_null) {
    tly_buffer_append_text(out, " null");
    return;
  }
  struct tly_buffer text = {.data = NULL};
  tly_value_print(value, &text);
  tly_buffer_append_byte(out, ' ');
  tly_json_print_text(tly_buffer_text(&text), text.size, out);
  tly_buffer_free(&text);
}

static struct tly_hash hash_of(const void *bytes, size_t size) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
  struct tly_hash hash;
  _Static_assert(sizeof canonical.digest == sizeof hash.bytes, "XXH3-128");
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}

/* When a zone's rules change, so do the totals made with them. That the zone exists was checked when it was resolved.
 */
static void print_rules(const struct tly_expr *zone, struct tly_buffer *out) {
  const tly_time_zone *rules;
  if (zone == NULL || zone->constant.is_null)
    return;
  TLY_ASSERT(tly_expr_is_constant(zone));
  enum tly_status status = tly_time_zone_find(zone->constant.text, &rules, NULL);
  TLY_ASSERT(status == TLY_OK);
  size_t size;
  const void *bytes = tly_time_zone_bytes(rules, &size);
  struct tly_hash hash = hash_of(bytes, size);
  tly_buffer_append_text(out, " rules ");
  for (int i = 0; i < TLY_HASH_BYTES; i++)
    tly_buffer_print(out, "%02x", hash.bytes[i]);
}

static void print_expression(const struct tly_expr *expression, const struct tly_stream *stream,
                             struct tly_buffer *out) {
  TLY_ASSERT((size_t)expression->kind < sizeof kind_names / sizeof kind_names[0]);
  tly_buffer_print(out, "(%s:", kind_names[expression->kind]);
  print_type(expression->type, out);
  if (expression->kind == TLY_EXPR_COLUMN) {
    tly_buffer_append_byte(out, ' ');
    print_name(stream->columns[expression->column].name, out);
  } else if (expression->kind == TLY_EXPR_KEY || expression->kind == TLY_EXPR_AGGREGATE) {
    tly_buffer_print(out, " %u", (unsigned)expression->column);
  } else if (expression->kind == TLY_EXPR_CONSTANT) {
    print_constant(&expression->constant, out);
  } else if (expression->kernel != TLY_KERNEL_NONE) {
    tly_buffer_print(out, " %s", tly_kernel_name(expression->kernel));
    print_rules(tly_expr_zone(expression), out);
  }
  for (uint32_t i = 0; i < expression->argument_count; i++) {
    tly_buffer_append_byte(out, ' ');
    print_expression(expression->arguments[i], stream, out);
  }
  tly_buffer_append_byte(out, ')');
}

static void print_optional(const char *label, const struct tly_expr *expression, const struct tly_stream *stream,
                           struct tly_buffer *out) {
  if (expression == NULL)
    return;
  tly_buffer_print(out, "%s ", label);
  print_expression(expression, stream, out);
  tly_buffer_append_byte(out, '\n');
}

static void print_aggregate(const struct tly_aggregate *aggregate, const struct tly_stream *stream,
                            struct tly_buffer *out) {
  tly_buffer_print(out, "aggregate %s%s:", aggregate_names[aggregate->function],
                   aggregate->distinct ? " distinct" : "");
  print_type(aggregate->type, out);
  tly_buffer_append_byte(out, '\n');
  print_optional("  argument", aggregate->argument, stream, out);
  print_optional("  filter", aggregate->filter, stream, out);
}

void tly_canonical_stream(struct tly_resolver *resolver, struct tly_stream *stream) {
  static const char *const units[] = {"rfc3339", "s", "ms", "us"};
  struct tly_buffer out = {.data = NULL};
  tly_buffer_append_text(&out, "stream ");
  print_name(stream->name, &out);
  tly_buffer_print(&out, " %s\n", stream->format == TLY_FORMAT_CSV ? "csv" : "json");
  for (uint32_t i = 0; i < stream->column_count; i++) {
    const struct tly_stream_column *column = &stream->columns[i];
    tly_buffer_append_text(&out, "column ");
    print_name(column->name, &out);
    tly_buffer_append_byte(&out, ' ');
    print_type(column->type, &out);
    tly_buffer_print(&out, "%s %s", column->not_null ? " not null" : "", units[column->unit]);
    if (stream->format == TLY_FORMAT_CSV) {
      tly_buffer_append_text(&out, " header ");
      print_name(column->header, &out);
    }
    for (uint32_t p = 0; p < column->path_count && stream->format == TLY_FORMAT_JSON; p++) {
      tly_buffer_append_text(&out, p == 0 ? " path " : ".");
      print_name(column->path[p], &out);
    }
    tly_buffer_append_byte(&out, '\n');
  }
  stream->hash = hash_of(out.data, out.size);
  stream->canonical = tly_arena_copy(resolver->arena, out.data, out.size);
  tly_buffer_free(&out);
}

void tly_canonical_view(struct tly_resolver *resolver, struct tly_view *view) {
  const struct tly_stream *stream = view->stream;
  struct tly_buffer out = {.data = NULL};
  tly_buffer_append_text(&out, "view ");
  print_name(view->name, &out);
  tly_buffer_append_text(&out, " over ");
  print_name(stream->name, &out);
  tly_buffer_append_byte(&out, '\n');
  print_optional("where", view->where, stream, &out);
  for (uint32_t i = 0; i < view->key_count; i++)
    print_optional("key", view->keys[i], stream, &out);
  for (uint32_t i = 0; i < view->aggregate_count; i++)
    print_aggregate(&view->aggregates[i], stream, &out);
  print_optional("having", view->having, stream, &out);
  for (uint32_t i = 0; i < view->output_count; i++) {
    tly_buffer_append_text(&out, "output ");
    print_name(view->outputs[i].name, &out);
    print_optional("", view->outputs[i].expression, stream, &out);
  }
  view->canonical = tly_arena_copy(resolver->arena, out.data, out.size);
  tly_buffer_append_text(&out, stream->canonical);
  tly_buffer_print(&out, "decoder %d\n", TLY_DECODER_VERSION);
  view->hash = hash_of(out.data, out.size);
  tly_buffer_free(&out);
}
