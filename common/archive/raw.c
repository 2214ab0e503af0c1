/* The bytes `raw`: version, format, varint header size, header, form; then for
 *
 *   BYTES    the payloads (bytes.c)
 *   TEMPLATES  varint count, the templates, packed integers: which template each event has (0: none), varint count of
 * those with none, their payloads (bytes.c)
 *
 * and padding for the unpacker. */
#include "common/archive/raw.h"

#include <string.h>

#include "common/archive/bytes.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { RAW_VERSION = 1 };
enum raw_form { RAW_BYTES, RAW_TEMPLATES };

enum {
  TEMPLATE_EVENTS_MIN = 8, /* with fewer events the template itself is longer than what it saves */
  LEARN_FREE = 4,          /* events a block may try to learn from ... */
  EVENT_SLACK = 24,
  RENDER_ROOM_MAX = 16 << 20,
  LEARN_EVERY = 256 /* ... and one more for so many events */
};

static bool matches(struct tly_templates *templates, uint32_t item, const struct tly_raw_source *source, uint32_t row) {
  if (!tly_template_matches(&templates->items[item], source->columns, row, source->payloads[row]))
    return false;
  templates->last = item;
  return true;
}

/* The template that gives the event, 1 and up; 0 when none does. */
static uint32_t find_template(struct tly_templates *templates, const struct tly_raw_source *source, uint32_t row) {
  uint32_t last = templates->last;
  if (last < templates->count && matches(templates, last, source, row))
    return last + 1;
  for (uint32_t i = 0; i < templates->count; i++)
    if (i != last && matches(templates, i, source, row))
      return i + 1;
  return 0;
}

/* A place for a new template that no event of this block refers to; TLY_TEMPLATES_MAX when there is none. */
static uint32_t place_for_template(const struct tly_templates *templates, uint64_t block_start) {
  uint32_t oldest = TLY_TEMPLATES_MAX;
  if (templates->count < TLY_TEMPLATES_MAX)
    return templates->count;
  for (uint32_t i = 0; i < TLY_TEMPLATES_MAX; i++)
    if (templates->used[i] < block_start &&
        (oldest == TLY_TEMPLATES_MAX || templates->used[i] < templates->used[oldest]))
      oldest = i;
  return oldest;
}

static uint32_t learn_template(struct tly_templates *templates, const struct tly_raw_source *source, uint32_t row,
                               uint64_t block_start) {
  uint32_t place = place_for_template(templates, block_start);
  struct tly_template template;
  if (place == TLY_TEMPLATES_MAX ||
      !tly_template_learn(source->stream, source->columns, row, source->payloads[row], &template) ||
      !tly_template_matches(&template, source->columns, row, source->payloads[row]))
    return 0;
  templates->items[place] = template;
  templates->last = place;
  if (place == templates->count)
    templates->count++;
  return place + 1;
}

/* What is known of the shapes of a block's events; 0 stands for events without a shape. */
struct known_shapes {
  uint32_t template[TLY_SHAPES_MAX + 1]; /* that gives all events of the shape, 1 and up; 0: not known */
  uint32_t last_row[TLY_SHAPES_MAX + 1]; /* the last event for which it was taken as read */
};

static void note_shape(const struct tly_templates *templates, const struct tly_raw_source *source, uint32_t row,
                       uint32_t template, struct known_shapes *known) {
  uint32_t shape = source->shape_of == NULL ? 0 : source->shape_of[row];
  if (shape > 0 && template > 0 &&
      tly_template_has_shape(&templates->items[template - 1], &source->shapes[shape - 1])) {
    known->template[shape] = template;
    known->last_row[shape] = row;
  }
}

/* That an event of a shape fits without being tried is the decoder's word. One event a shape and block is tried all the
 * same: better to stop here than to find out that bytes are gone. */
static void check_shapes(const struct tly_templates *templates, const struct tly_raw_source *source,
                         const struct known_shapes *known) {
  for (uint32_t shape = 1; shape <= TLY_SHAPES_MAX; shape++)
    if (known->template[shape] > 0)
      TLY_ASSERT(tly_template_matches(&templates->items[known->template[shape] - 1], source->columns,
                                      known->last_row[shape], source->payloads[known->last_row[shape]]));
}

/* choice[row]: the template, or 0. Returns how many have none. */
static uint32_t choose_templates(struct tly_templates *templates, const struct tly_raw_source *source,
                                 int64_t *choice) {
  uint64_t block_start = ++templates->clock;
  uint32_t without = 0, tries = LEARN_FREE + source->count / LEARN_EVERY;
  struct known_shapes known = {.template = {0}};
  for (uint32_t row = 0; row < source->count; row++) {
    uint32_t shape = source->shape_of == NULL ? 0 : source->shape_of[row];
    uint32_t template = known.template[shape];
    if (template > 0) {
      known.last_row[shape] = row;
      choice[row] = template;
      continue;
    }
    template = find_template(templates, source, row);
    if (template == 0 && tries > 0) {
      tries--;
      template = learn_template(templates, source, row, block_start);
    }
    if (template > 0)
      templates->used[template - 1] = templates->clock;
    else
      without++;
    choice[row] = template;
    note_shape(templates, source, row, template, &known);
  }
  check_shapes(templates, source, &known);
  return without;
}

static void write_templates(const struct tly_templates *templates, const struct tly_raw_source *source, int64_t *choice,
                            uint32_t without, enum tly_compression compression, struct tly_buffer *out) {
  int64_t number[TLY_TEMPLATES_MAX + 1] = {0};
  uint32_t count = 0;
  struct tly_text *rest = tly_malloc((without + 1) * sizeof *rest);
  uint32_t rest_count = 0;
  for (uint32_t i = 0; i < templates->count; i++)
    if (templates->used[i] == templates->clock)
      number[i + 1] = ++count;
  tly_buffer_append_varint(out, count);
  for (uint32_t i = 0; i < templates->count; i++)
    if (number[i + 1] > 0)
      tly_template_write(&templates->items[i], out);
  for (uint32_t row = 0; row < source->count; row++) {
    choice[row] = number[choice[row]];
    if (choice[row] == 0)
      rest[rest_count++] = source->payloads[row];
  }
  TLY_ASSERT(rest_count == without);
  tly_pack_integers(choice, source->count, 1, TLY_EFFORT_LIVE, out);
  tly_buffer_append_varint(out, without);
  tly_bytes_write(rest, without, compression, out);
  tly_free(rest);
}

void tly_raw_write(const struct tly_raw_source *source, struct tly_templates *templates, enum tly_effort effort,
                   struct tly_buffer *out) {
  enum tly_compression compression = effort == TLY_EFFORT_SEALED ? TLY_COMPRESS_WELL : TLY_COMPRESS_QUICKLY;
  int64_t *choice = tly_malloc((source->count + 1) * sizeof *choice);
  uint32_t without = source->count;
  if (source->format == TLY_FORMAT_JSON && source->count >= TEMPLATE_EVENTS_MIN)
    without = choose_templates(templates, source, choice);
  bool use_templates = without <= source->count / 2 && source->count > 0;
  tly_buffer_append_byte(out, RAW_VERSION);
  tly_buffer_append_byte(out, (uint8_t)source->format);
  tly_buffer_append_varint(out, source->header.size);
  tly_buffer_append(out, source->header.data, source->header.size);
  tly_buffer_append_byte(out, use_templates ? RAW_TEMPLATES : RAW_BYTES);
  if (use_templates)
    write_templates(templates, source, choice, without, compression, out);
  else
    tly_bytes_write(source->payloads, source->count, compression, out);
  memset(tly_buffer_reserve(out, TLY_PACK_PADDING), 0, TLY_PACK_PADDING);
  out->size += TLY_PACK_PADDING;
  tly_free(choice);
}

static enum raw_form read_head(struct tly_cursor *in, struct tly_raw_header *out) {
  uint8_t version = tly_cursor_byte(in), format = tly_cursor_byte(in);
  uint64_t header_size = tly_cursor_varint(in);
  const uint8_t *header = tly_cursor_bytes(in, header_size);
  uint8_t form = tly_cursor_byte(in);
  if (version != RAW_VERSION || format > TLY_FORMAT_CSV || form > RAW_TEMPLATES || header_size > TLY_LINE_BYTES_MAX)
    in->failed = 1;
  out->format = format;
  out->header = (struct tly_text){.data = (const char *)header, .size = (uint32_t)header_size};
  out->needs_columns = form == RAW_TEMPLATES;
  return form;
}

bool tly_raw_read_header(const void *bytes, size_t size, struct tly_raw_header *out) {
  struct tly_cursor in = tly_cursor_of(bytes, size);
  read_head(&in, out);
  return !in.failed;
}

/* Render the events that have a template; they point into `room` by offset until it has stopped growing. */
static bool render_all(const struct tly_template *templates, const int64_t *choice, uint32_t count,
                       const struct tly_vector *columns, struct tly_buffer *room, struct tly_text *out) {
  for (uint32_t row = 0; row < count; row++) {
    size_t start = room->size;
    if (choice[row] == 0)
      continue;
    if (!tly_template_render(&templates[choice[row] - 1], columns, row, room))
      return false;
    out[row].size = (uint32_t)(room->size - start);
    if (start == 0) { /* most events are about as long as the first: instead of growing by doubling */
      size_t likely = (size_t)(count - row) * (out[row].size + EVENT_SLACK);
      tly_buffer_reserve(room, likely < RENDER_ROOM_MAX ? likely : RENDER_ROOM_MAX);
    }
  }
  return true;
}

static bool check_templates(const struct tly_template *templates, uint64_t template_count, const int64_t *choice,
                            uint32_t count, const struct tly_vector *columns, uint64_t without) {
  for (uint64_t i = 0; i < template_count; i++)
    if (!tly_template_fits(&templates[i], columns))
      return false;
  for (uint32_t row = 0; row < count; row++) {
    if (choice[row] < 0 || (uint64_t)choice[row] > template_count || (choice[row] == 0 && without-- == 0))
      return false;
  }
  return without == 0;
}

static bool read_templates(struct tly_cursor *in, uint32_t count, const struct tly_vector *columns,
                           uint32_t column_count, struct tly_arena *arena, struct tly_text *out) {
  uint64_t template_count = tly_cursor_varint(in);
  if (in->failed || template_count > TLY_TEMPLATES_MAX)
    return false;
  struct tly_template *templates = tly_arena_alloc(arena, (template_count + 1) * sizeof *templates);
  for (uint64_t i = 0; i < template_count; i++)
    tly_template_read(in, column_count, &templates[i]);
  int64_t *choice = tly_arena_alloc(arena, (count + 1) * sizeof *choice);
  tly_unpack_integers(in, count, choice);
  uint64_t without = tly_cursor_varint(in);
  if (in->failed || without > count || !check_templates(templates, template_count, choice, count, columns, without))
    return false;
  struct tly_text *rest = tly_arena_alloc(arena, (without + 1) * sizeof *rest);
  tly_bytes_read(in, (uint32_t)without, arena, rest);
  struct tly_buffer room = {0};
  bool good = !in->failed && render_all(templates, choice, count, columns, &room, out);
  const char *next = good ? tly_arena_copy(arena, room.data, room.size) : NULL;
  for (uint32_t row = 0; row < count && good; row++) {
    if (choice[row] == 0) {
      out[row] = *rest++;
    } else {
      out[row].data = next;
      next += out[row].size;
    }
  }
  tly_buffer_free(&room);
  return good;
}

bool tly_raw_read(const void *bytes, size_t size, uint32_t count, const struct tly_vector *columns,
                  uint32_t column_count, struct tly_arena *arena, struct tly_text *out) {
  struct tly_cursor in = tly_cursor_of(bytes, size);
  struct tly_raw_header header;
  enum raw_form form = read_head(&in, &header);
  if (in.failed || count > TLY_BATCH_EVENTS_MAX)
    return false;
  if (form == RAW_BYTES) {
    tly_bytes_read(&in, count, arena, out);
  } else {
    TLY_ASSERT(columns != NULL);
    if (!read_templates(&in, count, columns, column_count, arena, out))
      return false;
  }
  return !in.failed && tly_cursor_left(&in) == TLY_PACK_PADDING;
}
