/* Producers write their events by one piece of code: line after line has the same keys in the same order with the same
 * spaces; only the values differ. A layout is such a line with holes: literal bytes (keys, colons, brackets, spaces,
 * the line end), then one scalar value, then literal bytes again. A line fits when every literal is there and every
 * hole has a value its column takes. So keys are not parsed but compared, the line's end is met rather than searched,
 * and each byte is looked at about once.
 *
 * WHY IT AGREES WITH THE STRICT PATH. The line a layout was learned from was accepted by the strict path, so its
 * literals are well-formed JSON around its values, its keys are unique where that matters, its nesting is allowed and
 * every NOT NULL column has a value. Another line with the same literals differs in scalars only. Of these it takes:
 *   (1) strings: plain ASCII found here, others checked and unescaped by the strict scanner's own code;
 *   (2) numbers in JSON's grammar, for the next literal must follow, and that begins with none of 0-9 . e E + -;
 *   (3) the words true, false and null, likewise followed by the next literal.
 * Values are made by tly_convert_*, or by a shorter way here that takes a subset and gives the same. Whatever is not
 * taken is "no fit", never a rejection: the strict path then says what is wrong.
 *
 * A line may also lack members that the layout has, if they are whole members of an object behind another one (the
 * literal is a comma, a key and a colon) and their columns may be NULL. So one layout serves all lines that differ in
 * optional members, as long as their order is the same.
 *
 * SHAPES. Where every value of a layout is a column's and has a spelling that gives its bytes back, a line that fits
 * has the layout's shape (shape.h), as long as (1) texts have no escapes, numbers no quotes and no minus before a zero,
 * nothing is NULL and no member left out; (2) times are whole seconds in UTC ("2026-03-02T10:00:00Z"); (3) numbers have
 * just the digits behind the point that the shape's spelling gives them. What (3) asks for is learned from the lines: a
 * layout begins with all digits of the scale, and changes to the next spelling that all lines since had when one comes
 * that has fewer. A line for which any of this does not hold fits all the same and has no shape: the archive then tries
 * its bytes.
 *
 * SPEED. Bytes are compared and searched 16 at a time (SSE2), digits made numbers 8 at a time, which reads past the
 * value: within MARGIN bytes of the input's end nothing fits, and the last lines go the strict way.
 *
 * LEARNING. Up to LAYOUTS_MAX layouts, tried in an order in which those that hit move forward. A line that fits none is
 * learned, in place of the last one. When layouts are replaced without ever having been used, the shapes do not repeat:
 * patience doubles, so that learning costs next to nothing.
 *
 * INVARIANTS (check_invariants)
 *   (1) the last step, and only it, is OP_END.
 *   (2) literal bytes are padded: 16 bytes may be read at any literal's start and at each further 16. */
#include "common/event/learned_layout.h"

#include <emmintrin.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/event/convert.h"
#include "common/event/line.h"
#include "common/event/plain_time.h"
#include "common/event/walk_json.h"

enum { FEWEST_DIGITS = UINT8_MAX };

enum {
  LAYOUTS_MAX = 4,
  STEPS_MAX = 512,
  LITERAL_BYTES_MAX = 64 << 10,
  PATIENCE_MAX = 1 << 16,
  MARGIN = 96,
  CHUNK = 16,
  SCALED_DIGITS_MAX = 18
};

enum op {
  OP_END,
  OP_NOTHING, /* no value stands here */
  OP_IGNORE,  /* no column wants it */
  OP_TEXT,
  OP_SCALED, /* a number as a scaled 64-bit integer: integers, numeric(p,s) up to 18 digits, epoch times */
  OP_TIME,   /* a text as timestamp */
  OP_OTHER
};

/* A literal, then what stands behind it. */
struct step {
  uint32_t literal; /* its place in layout->literals */
  uint32_t literal_size;
  uint32_t first_bytes; /* a bit for each byte of the literal's first chunk */
  uint32_t column;
  uint8_t op;
  uint8_t scale;           /* OP_SCALED */
  uint8_t fraction_digits; /* OP_SCALED: that a line of the layout's shape has; FEWEST_DIGITS: as few as will do */
  uint8_t spellings;       /* OP_SCALED numerics: a bit for each that is not ruled out; the shape has the first */
  bool is_optional;        /* the rest of a member behind another one: a line without it may fit too */
  int64_t low, high;       /* OP_SCALED: what is certainly in range */
};

struct layout {
  struct tly_buffer literals;
  struct step steps[STEPS_MAX];
  uint32_t step_count;
  uint32_t absent[TLY_COLUMNS_MAX]; /* columns that have no value in such a line: NULL */
  uint32_t absent_count;
  uint32_t line_end_size;
  uint64_t hit_count;
  struct tly_shape shape; /* no holes: lines of this layout have none */
  uint64_t run;           /* the shape has `shape_number` in the batch of this run */
  uint32_t shape_number;
};

struct tly_layouts {
  const struct tly_path_tree *tree;
  struct layout *order[LAYOUTS_MAX];
  uint32_t count;
  uint32_t misses;   /* accepted lines that fitted nothing, since the last learning */
  uint32_t patience; /* how many of them it takes */
  struct tly_plain_time_cache time_cache;
  uint64_t run; /* number of the batch under work */
};

static const int64_t powers_of_ten[SCALED_DIGITS_MAX + 1] = {INT64_C(1),
                                                             INT64_C(10),
                                                             INT64_C(100),
                                                             INT64_C(1000),
                                                             INT64_C(10000),
                                                             INT64_C(100000),
                                                             INT64_C(1000000),
                                                             INT64_C(10000000),
                                                             INT64_C(100000000),
                                                             INT64_C(1000000000),
                                                             INT64_C(10000000000),
                                                             INT64_C(100000000000),
                                                             INT64_C(1000000000000),
                                                             INT64_C(10000000000000),
                                                             INT64_C(100000000000000),
                                                             INT64_C(1000000000000000),
                                                             INT64_C(10000000000000000),
                                                             INT64_C(100000000000000000),
                                                             INT64_C(1000000000000000000)};

static void check_invariants(const struct layout *layout) {
  TLY_ASSERT(layout->step_count > 0 && layout->step_count <= STEPS_MAX);
  TLY_ASSERT(layout->steps[layout->step_count - 1].op == OP_END);
  TLY_ASSERT(layout->literals.size % CHUNK == 0);
}

struct tly_layouts *tly_layouts_new(const struct tly_path_tree *tree) {
  struct tly_layouts *layouts = tly_calloc(1, sizeof *layouts);
  layouts->tree = tree;
  layouts->patience = 1;
  return layouts;
}

void tly_layouts_free(struct tly_layouts *layouts) {
  if (layouts == NULL)
    return;
  for (uint32_t i = 0; i < layouts->count; i++) {
    tly_buffer_free(&layouts->order[i]->literals);
    tly_free(layouts->order[i]);
  }
  tly_free(layouts);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static uint8_t spelling_bit(enum tly_spelling spelling) {
  return (uint8_t)(1u << spelling);
}

static uint8_t numeric_spellings(void) {
  return (uint8_t)(spelling_bit(TLY_SPELL_NUMERIC) | spelling_bit(TLY_SPELL_NUMERIC_SHORT) |
                   spelling_bit(TLY_SPELL_NUMERIC_POINT));
}

/* The hole of a step's value in a shape; false when lines with such a value have no shape. */
static bool describe_hole(struct step *step, const struct tly_stream_column *column, struct tly_shape_hole *hole) {
  *hole = (struct tly_shape_hole){.column = (uint16_t)step->column};
  step->fraction_digits = 0;
  step->spellings = 0;
  if (step->op == OP_TEXT) {
    hole->spelling = TLY_SPELL_TEXT;
  } else if (step->op == OP_TIME) {
    hole->spelling = TLY_SPELL_TIME;
  } else if (step->op == OP_SCALED && tly_type_is_integer(column->type.id)) {
    hole->spelling = TLY_SPELL_INTEGER;
  } else if (step->op == OP_SCALED && column->type.id == TLY_TYPE_NUMERIC) {
    hole->spelling = TLY_SPELL_NUMERIC;
    step->fraction_digits = step->scale;
    step->spellings = numeric_spellings();
  } else if (step->op == OP_SCALED) {
    hole->spelling = TLY_SPELL_EPOCH;
    hole->parameter = step->scale;
  } else {
    return false;
  }
  return true;
}

static void describe_shape(const struct tly_path_tree *tree, struct layout *layout) {
  layout->shape.hole_count = 0;
  layout->run = 0;
  for (uint32_t i = 0; i + 1 < layout->step_count; i++) {
    struct step *step = &layout->steps[i];
    if (step->op == OP_NOTHING)
      continue;
    if (layout->shape.hole_count == TLY_SHAPE_HOLES_MAX || step->op == OP_IGNORE ||
        !describe_hole(step, &tree->stream->columns[step->column], &layout->shape.holes[layout->shape.hole_count])) {
      layout->shape.hole_count = 0;
      return;
    }
    layout->shape.hole_count++;
  }
}

/* The spellings of a numeric that give these digits back. */
static uint8_t spellings_of(const struct step *step, uint32_t fraction_count, char last_digit) {
  uint8_t spellings = 0;
  if (fraction_count == step->scale)
    spellings |= spelling_bit(TLY_SPELL_NUMERIC);
  if (fraction_count == 0 || last_digit != '0')
    spellings |= spelling_bit(TLY_SPELL_NUMERIC_SHORT);
  if (fraction_count == 1 || (fraction_count > 1 && last_digit != '0'))
    spellings |= spelling_bit(TLY_SPELL_NUMERIC_POINT);
  return spellings;
}

/* A line had its number at step `index` in none but `spellings`: from the next line on, the shape is one that takes
 * both this line and those before, if there is such a spelling. */
static void respell(struct layout *layout, uint32_t index, uint8_t spellings) {
  struct step *step = &layout->steps[index];
  uint32_t hole = 0;
  if ((step->spellings & spellings) == 0)
    return;
  step->spellings &= spellings;
  for (uint32_t i = 0; i < index; i++)
    hole += layout->steps[i].op != OP_NOTHING;
  enum tly_spelling spelling = TLY_SPELL_NUMERIC;
  while ((step->spellings & spelling_bit(spelling)) == 0)
    spelling++;
  layout->shape.holes[hole].spelling = (uint8_t)spelling;
  step->fraction_digits = spelling == TLY_SPELL_NUMERIC ? step->scale : FEWEST_DIGITS;
  layout->run = 0;
}

/* The number of the layout's shape in the writer's batch; 0 when it has none. */
static uint32_t shape_number(const struct tly_layouts *layouts, struct layout *layout,
                             struct tly_batch_writer *writer) {
  if (layout->run != layouts->run) {
    layout->run = layouts->run;
    layout->shape_number = layout->shape.hole_count == 0 ? 0 : tly_batch_writer_add_shape(writer, &layout->shape);
  }
  return layout->shape_number;
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

static void describe_column(struct step *step, const struct tly_stream_column *column) {
  step->op = OP_OTHER;
  switch (column->type.id) {
  case TLY_TYPE_TEXT: step->op = OP_TEXT; return;
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
    step->op = OP_SCALED;
    step->high = column->type.id == TLY_TYPE_SMALLINT  ? INT16_MAX
                 : column->type.id == TLY_TYPE_INTEGER ? INT32_MAX
                                                       : powers_of_ten[SCALED_DIGITS_MAX] - 1;
    step->low = column->type.id == TLY_TYPE_BIGINT ? -step->high : -step->high - 1;
    return;
  case TLY_TYPE_NUMERIC:
    if (tly_type_form(column->type) != TLY_FORM_I64)
      return;
    step->op = OP_SCALED;
    step->scale = (uint8_t)column->type.scale;
    step->high = powers_of_ten[column->type.precision] - 1;
    step->low = -step->high;
    return;
  case TLY_TYPE_TIMESTAMP:
  case TLY_TYPE_TIMESTAMPTZ:
    step->op = OP_TIME;
    if (column->unit != TLY_TIME_RFC3339) {
      step->op = OP_SCALED;
      step->scale = column->unit == TLY_TIME_EPOCH_S ? 6 : column->unit == TLY_TIME_EPOCH_MS ? 3 : 0;
      step->high = powers_of_ten[17]; /* the year 5138: far inside a timestamp's range */
      step->low = -powers_of_ten[16]; /* the year 1653 */
    }
    return;
  default: return;
  }
}

static bool add_step(struct layout *layout, enum op op, const char *literal, size_t size) {
  if (layout->step_count == STEPS_MAX || layout->literals.size + size > LITERAL_BYTES_MAX)
    return false;
  struct step *step = &layout->steps[layout->step_count++];
  *step = (struct step){.literal = (uint32_t)layout->literals.size,
                        .literal_size = (uint32_t)size,
                        .first_bytes = (1u << (size < CHUNK ? size : CHUNK)) - 1,
                        .op = (uint8_t)op};
  tly_buffer_append(&layout->literals, literal, size);
  while (layout->literals.size % CHUNK != 0 || layout->literals.size == step->literal)
    tly_buffer_append_byte(&layout->literals, 0);
  return true;
}

static const char *skip_blanks(const char *next, const char *end) {
  while (next < end && (*next == ' ' || *next == '\t'))
    next++;
  return next;
}

/* Whether a literal is a comma, a key and a colon: then the value behind it makes a whole member, and the bytes without
 * the member would be well-formed too. */
static bool is_member_start(const char *literal, const char *end) {
  bool is_escaped;
  const char *next = literal;
  if (next == end || *next != ',')
    return false;
  next = skip_blanks(next + 1, end);
  if (next == end || *next != '"')
    return false;
  next = tly_json_string_end(next + 1, end, &is_escaped);
  if (next == NULL)
    return false;
  next = skip_blanks(next, end);
  return next < end && *next == ':' && skip_blanks(next + 1, end) == end;
}

static bool is_scalar(enum tly_json_kind kind) {
  return kind == TLY_JSON_STRING || kind == TLY_JSON_NUMBER || kind == TLY_JSON_TRUE || kind == TLY_JSON_FALSE ||
         kind == TLY_JSON_NULL;
}

static bool is_inner(const struct tly_path_tree *tree, uint32_t node) {
  return node != TLY_PATH_NONE && tree->nodes[node].some_below != TLY_PATH_NONE;
}

/* Columns whose value is in no step. */
static void find_absent(const struct tly_path_tree *tree, struct layout *layout) {
  bool is_present[TLY_COLUMNS_MAX] = {false};
  for (uint32_t i = 0; i + 1 < layout->step_count; i++)
    if (layout->steps[i].op > OP_IGNORE)
      is_present[layout->steps[i].column] = true;
  layout->absent_count = 0;
  for (uint32_t i = 0; i < tree->stream->column_count; i++)
    if (!is_present[i])
      layout->absent[layout->absent_count++] = i;
}

/* Add the step to the scalar `token`, which belongs to `node`; `literal` is what stands before it and behind the value
 * before. When the member is optional but brackets of the value before are in the way, they become their own step. */
static bool add_value(const struct tly_path_tree *tree, struct layout *layout, const char *literal,
                      const struct tly_json_token *token, uint32_t node) {
  uint32_t column = node == TLY_PATH_NONE ? TLY_PATH_NONE : tree->nodes[node].column;
  const char *value = token->data - (token->kind == TLY_JSON_STRING);
  const char *comma = literal;
  while (comma < value && strchr("]} \t", *comma) != NULL)
    comma++;
  bool is_optional =
      (column == TLY_PATH_NONE || !tree->stream->columns[column].not_null) && is_member_start(comma, value);
  if (is_optional && comma > literal) {
    if (!add_step(layout, OP_NOTHING, literal, (size_t)(comma - literal)))
      return false;
    literal = comma;
  }
  if (!add_step(layout, OP_IGNORE, literal, (size_t)(value - literal)))
    return false;
  struct step *step = &layout->steps[layout->step_count - 1];
  step->is_optional = is_optional;
  if (column != TLY_PATH_NONE) {
    step->column = column;
    describe_column(step, &tree->stream->columns[column]);
  }
  return true;
}

/* Make `layout` that of the line; false when it has too many values. A null where the paths of columns go on, which
 * leaves them without a value, is part of the literal bytes. */
static bool describe_line(const struct tly_path_tree *tree, struct layout *layout, const char *line, size_t size,
                          struct tly_buffer *scratch) {
  struct tly_json_walk walk;
  struct tly_json_token token;
  const char *literal = line;
  size_t payload_size = tly_line_payload_size(line, line + size);
  layout->step_count = 0;
  layout->hit_count = 0;
  layout->line_end_size = (uint32_t)(size - payload_size);
  tly_buffer_clear(&layout->literals);
  tly_json_walk_init(&walk, tree, scratch, line, payload_size);
  do {
    enum tly_status status = tly_json_walk_next(&walk, &token, NULL);
    TLY_ASSERT(status == TLY_OK); /* it was accepted a moment ago */
    if (!is_scalar(token.kind) || is_inner(tree, walk.node))
      continue;
    if (!add_value(tree, layout, literal, &token, walk.node))
      return false;
    literal = token.data + token.size + (token.kind == TLY_JSON_STRING);
  } while (token.kind != TLY_JSON_END);
  if (!add_step(layout, OP_END, literal, (size_t)(line + size - literal)))
    return false;
  find_absent(tree, layout);
  describe_shape(tree, layout);
  check_invariants(layout);
  return true;
}

void tly_layouts_learn(struct tly_layouts *layouts, const char *line, const char *behind, const char *end,
                       struct tly_buffer *scratch) {
  bool can_learn =
      behind[-1] == '\n' && !layouts->tree->has_shared_paths && layouts->tree->stream->column_count <= TLY_COLUMNS_MAX;
  bool was_tried = end - behind > MARGIN; /* close to the end every line is a miss, and perhaps of a known shape */
  if (!can_learn || !was_tried || ++layouts->misses < layouts->patience)
    return;
  layouts->misses = 0;
  if (layouts->count < LAYOUTS_MAX) {
    layouts->order[layouts->count++] = tly_calloc(1, sizeof(struct layout));
  } else {
    bool was_used = layouts->order[LAYOUTS_MAX - 1]->hit_count > 0;
    layouts->patience = was_used ? 1 : layouts->patience * 2;
    if (layouts->patience > PATIENCE_MAX)
      layouts->patience = PATIENCE_MAX;
  }
  struct layout *layout = layouts->order[layouts->count - 1];
  if (!describe_line(layouts->tree, layout, line, (size_t)(behind - line), scratch))
    layout->step_count = 0; /* fits nothing */
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

/* Where a line is being read. Each take_ function returns the first byte behind what it took, or NULL. */
struct reader {
  struct tly_plain_time_cache *time_cache;
  const char *safe_end; /* MARGIN bytes may be read at any place up to here: a short literal and a value's start */
  struct tly_batch_writer *writer;
  uint32_t row;
  bool is_odd;               /* something is not spelled as in the layout's shape; when that is a number's digits, */
  uint8_t spellings;         /* the ones it has, */
  const struct step *misfit; /* and where */
};

static inline uint32_t equal_bytes(const uint8_t *literal, const char *next) {
  __m128i wanted = _mm_loadu_si128((const __m128i *)(const void *)literal);
  __m128i found = _mm_loadu_si128((const __m128i *)(const void *)next);
  return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(wanted, found));
}

/* The chunks of a long literal behind the first. */
static bool rest_fits(const struct reader *reader, const uint8_t *literal, uint32_t size, const char *next) {
  for (; size > CHUNK; size -= CHUNK) {
    if (next > reader->safe_end || equal_bytes(literal, next) != 0xFFFF)
      return false;
    literal += CHUNK;
    next += CHUNK;
  }
  uint32_t needed = (1u << size) - 1;
  return next + size <= reader->safe_end && (equal_bytes(literal, next) & needed) == needed;
}

static inline bool literal_fits(const struct reader *reader, const uint8_t *literal, const struct step *step,
                                const char *next) {
  if (next > reader->safe_end || (equal_bytes(literal, next) & step->first_bytes) != step->first_bytes)
    return false;
  return step->literal_size <= CHUNK || rest_fits(reader, literal + CHUNK, step->literal_size - CHUNK, next + CHUNK);
}

/* `next` is behind the opening quote of a string of plain ASCII: returns its closing quote. NULL: it may be another
 * kind of string, or none. */
static inline const char *plain_string_end(const char *next, const char *safe_end) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(' ');
  for (; next <= safe_end; next += CHUNK) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
    /* compared as signed bytes, both control characters and those outside ASCII are below the space */
    __m128i odd = _mm_or_si128(_mm_cmplt_epi8(bytes, space), _mm_cmpeq_epi8(bytes, backslash));
    uint32_t odd_bits = (uint32_t)_mm_movemask_epi8(odd);
    uint32_t quote_bits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quote));
    if ((odd_bits & (quote_bits - 1)) != 0) /* before the first quote, or anywhere without one: no quote is odd */
      return NULL;
    if (quote_bits != 0)
      return next + __builtin_ctz(quote_bits);
  }
  return NULL;
}

/* A string that leaves ASCII or has escapes. As take_string. */
static __attribute__((noinline)) const char *take_odd_string(struct reader *reader, const char *next,
                                                             struct tly_text *text) {
  bool is_escaped;
  const char *behind = next < reader->safe_end ? tly_json_string_end(next, reader->safe_end, &is_escaped) : NULL;
  if (behind == NULL)
    return NULL;
  *text = (struct tly_text){.data = next, .size = (uint32_t)(behind - 1 - next)};
  if (is_escaped) {
    char *out = tly_arena_alloc(&reader->writer->batch->arena, text->size);
    reader->is_odd = true;
    text->size = tly_json_unescape(next, text->size, out);
    text->data = out;
  }
  return behind;
}

/* `next` is behind the opening quote; *text becomes what the string says. */
static inline const char *take_string(struct reader *reader, const char *next, struct tly_text *text) {
  const char *quote = plain_string_end(next, reader->safe_end);
  if (quote == NULL)
    return take_odd_string(reader, next, text);
  *text = (struct tly_text){.data = next, .size = (uint32_t)(quote - next)};
  return quote + 1;
}

/* The digits at the front of eight bytes: how many, and with *value what they say. */
static inline uint32_t eight_digits(const char *next, uint64_t *value) {
  uint64_t digits;
  memcpy(&digits, next, sizeof digits);
  digits ^= UINT64_C(0x3030303030303030);
  uint64_t others = ((digits + UINT64_C(0x7676767676767676)) | digits) & UINT64_C(0x8080808080808080);
  uint32_t count = others == 0 ? 8 : (uint32_t)__builtin_ctzll(others) / 8;
  digits = count == 0 ? 0 : digits << (64 - 8 * count); /* leading zeros for those that are missing */
  digits = digits * 10 + (digits >> 8);
  *value = ((digits & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
            (digits >> 16 & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001)) >>
           32;
  return count;
}

/* Up to 24 digits; *count is how many. The value is right for up to 18. */
static inline const char *take_digits(const char *next, uint64_t *value, uint32_t *count) {
  uint32_t run = eight_digits(next, value);
  *count = run;
  while (__builtin_expect(run == 8 && *count < 24, 0)) {
    uint64_t more;
    run = eight_digits(next + *count, &more);
    *value = *value * (uint64_t)powers_of_ten[run] + more;
    *count += run;
  }
  return next + *count;
}

static const char *take_null(struct reader *reader, struct tly_column_target *target, const char *next) {
  if (memcmp(next, "null", 4) != 0 || target->null == NULL)
    return NULL;
  reader->is_odd = true;
  tly_batch_writer_set_null(target, reader->row);
  return next + 4;
}

static inline const char *take_text(struct reader *reader, struct tly_column_target *target, const char *next) {
  if (*next != '"')
    return take_null(reader, target, next);
  return take_string(reader, next + 1, &target->text[reader->row]);
}

static inline const char *take_converted(struct reader *reader, struct tly_column_target *target, const char *next) {
  struct tly_text text;
  reader->is_odd = true;
  if (*next != '"')
    return take_null(reader, target, next);
  const char *behind = take_string(reader, next + 1, &text);
  if (behind == NULL ||
      tly_convert_text(target, reader->row, text, TLY_TEXT_OF_JSON, &reader->writer->batch->arena, NULL) != TLY_OK)
    return NULL;
  return behind;
}

static inline const char *take_time(struct reader *reader, struct tly_column_target *target, const char *next) {
  if (*next == '"' && tly_plain_timestamp_utc(next + 1, reader->time_cache, &target->i64[reader->row]))
    return next + sizeof "2026-03-02T10:00:00Z" + 1;
  return take_converted(reader, target, next);
}

/* Any scalar that is not a string; `target` is NULL when no column wants it. */
static const char *take_number_or_word(struct reader *reader, struct tly_column_target *target, const char *next) {
  reader->is_odd = true;
  bool is_true = *next == 't';
  if (is_true || *next == 'f') {
    const char *word = is_true ? "true" : "false";
    size_t size = is_true ? 4 : 5;
    if (memcmp(next, word, size) != 0 ||
        (target != NULL && tly_convert_boolean(target, reader->row, is_true, NULL) != TLY_OK))
      return NULL;
    return next + size;
  }
  if (*next == 'n') {
    if (target != NULL)
      return take_null(reader, target, next);
    return memcmp(next, "null", 4) == 0 ? next + 4 : NULL;
  }
  const char *behind = tly_json_number_end(next, reader->safe_end);
  if (behind == NULL || target == NULL)
    return behind;
  struct tly_text number = {.data = next, .size = (uint32_t)(behind - next)};
  struct tly_arena *arena = &reader->writer->batch->arena;
  return tly_convert_number(target, reader->row, number, arena, NULL) == TLY_OK ? behind : NULL;
}

static const char *take_ignored(struct reader *reader, const char *next) {
  struct tly_text text;
  if (*next == '"')
    return take_string(reader, next + 1, &text);
  return take_number_or_word(reader, NULL, next);
}

static const char *take_other(struct reader *reader, struct tly_column_target *target, const char *next) {
  return *next == '"' ? take_converted(reader, target, next) : take_number_or_word(reader, target, next);
}

/* A number was read in `fraction_count` digits that are not as many as its step says. */
static __attribute__((noinline)) void note_digits(struct reader *reader, const struct step *step,
                                                  uint32_t fraction_count, char last_digit) {
  uint8_t spellings = spellings_of(step, fraction_count, last_digit);
  bool is_shapes = (spellings & step->spellings & -step->spellings) != 0; /* the shape has the first that is left */
  if (step->fraction_digits == FEWEST_DIGITS && is_shapes)
    return;
  reader->is_odd = true;
  reader->spellings = spellings;
  reader->misfit = step;
}

/* The plain spelling of a number that certainly fits: sign, up to 18 digits with those of the scale, no exponent, with
 * or without quotes. NULL: another spelling, or none. */
static inline const char *take_plain_scaled(struct reader *reader, const struct step *step, const char *next,
                                            int64_t *out) {
  uint64_t whole;
  uint64_t fraction = 0;
  uint32_t whole_count;
  uint32_t fraction_count = 0;
  bool is_quoted = *next == '"';
  next += is_quoted;
  bool is_negative = *next == '-';
  next += is_negative;
  const char *first = next;
  next = take_digits(next, &whole, &whole_count);
  if (whole_count == 0 || whole_count + step->scale > SCALED_DIGITS_MAX || (*first == '0' && whole_count > 1))
    return NULL;
  if (*next == '.') {
    next = take_digits(next + 1, &fraction, &fraction_count);
    if (fraction_count == 0 || fraction_count > step->scale)
      return NULL;
  }
  if (fraction_count != step->fraction_digits)
    note_digits(reader, step, fraction_count, next[-1]);
  if (is_quoted ? *next++ != '"' : *next == 'e' || *next == 'E')
    return NULL;
  int64_t value =
      (int64_t)whole * powers_of_ten[step->scale] + (int64_t)fraction * powers_of_ten[step->scale - fraction_count];
  if (is_negative)
    value = -value;
  if (is_quoted || (is_negative && value == 0))
    reader->is_odd = true;
  if (value < step->low || value > step->high)
    return NULL;
  *out = value;
  return next;
}

static inline const char *take_scaled(struct reader *reader, struct tly_column_target *target, const struct step *step,
                                      const char *next) {
  const char *behind = take_plain_scaled(reader, step, next, &target->i64[reader->row]);
  return behind != NULL ? behind : take_other(reader, target, next);
}

/* The line does not have this member: its column is NULL. */
static void skip_member(struct reader *reader, const struct step *step) {
  reader->is_odd = true;
  if (step->op != OP_IGNORE)
    tly_batch_writer_set_null(&reader->writer->targets[step->column], reader->row);
}

/* The first byte behind the line, or NULL. */
static const char *fit(const struct layout *layout, struct reader *reader, const char *next) {
  const uint8_t *literals = layout->literals.data;
  for (const struct step *step = layout->steps;; step++) {
    if (!literal_fits(reader, literals + step->literal, step, next)) {
      if (!step->is_optional)
        return NULL;
      skip_member(reader, step);
      continue;
    }
    next += step->literal_size;
    struct tly_column_target *target = &reader->writer->targets[step->column];
    switch ((enum op)step->op) {
    case OP_END: return next;
    case OP_NOTHING: break;
    case OP_IGNORE: next = take_ignored(reader, next); break;
    case OP_TEXT: next = take_text(reader, target, next); break;
    case OP_SCALED: next = take_scaled(reader, target, step, next); break;
    case OP_TIME: next = take_time(reader, target, next); break;
    case OP_OTHER: next = take_other(reader, target, next); break;
    }
    if (next == NULL)
      return NULL;
  }
}

static void fill_absent(const struct layout *layout, const struct reader *reader) {
  for (uint32_t i = 0; i < layout->absent_count; i++)
    tly_batch_writer_set_null(&reader->writer->targets[layout->absent[i]], reader->row);
}

/* The event that was committed last fitted the layout: its shape, and what the layout learns of it. */
static inline void take_shape(const struct tly_layouts *layouts, struct layout *layout, const struct reader *reader) {
  if (!reader->is_odd)
    tly_batch_writer_set_shape(reader->writer, shape_number(layouts, layout, reader->writer));
  else if (reader->misfit != NULL && layout->shape.hole_count > 0)
    respell(layout, (uint32_t)(reader->misfit - layout->steps), reader->spellings);
}

void tly_layouts_begin(struct tly_layouts *layouts) {
  layouts->run++;
}

const char *tly_layouts_match(struct tly_layouts *layouts, const char *next, const char *end,
                              struct tly_batch_writer *writer) {
  if (layouts->count == 0 || end - next <= MARGIN)
    return NULL;
  struct reader reader = {
      .time_cache = &layouts->time_cache, .safe_end = end - MARGIN, .writer = writer, .row = writer->batch->count};
  for (uint32_t i = 0; i < layouts->count; i++) {
    struct layout *layout = layouts->order[i];
    reader.is_odd = false;
    reader.misfit = NULL;
    const char *behind = layout->step_count > 0 ? fit(layout, &reader, next) : NULL;
    size_t size = behind == NULL ? 0 : (size_t)(behind - next) - layout->line_end_size;
    if (behind == NULL || size > TLY_LINE_BYTES_MAX) {
      tly_batch_writer_clear(writer);
      continue;
    }
    fill_absent(layout, &reader);
    tly_batch_writer_commit(writer, next, size);
    take_shape(layouts, layout, &reader);
    layout->hit_count++;
    if (i > 0) {
      layouts->order[i] = layouts->order[i - 1];
      layouts->order[i - 1] = layout;
    }
    return behind;
  }
  return NULL;
}
