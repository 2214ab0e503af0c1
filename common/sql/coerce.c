/* Conversions between types: parse_coerce.c of PostgreSQL 15, restated (manual, 10.4 and 10.5).
 *
 * A literal or a parameter comes without a type (TLY_TYPE_UNKNOWN). The first conversion decides: a literal is read by
 * the input function of the type it meets, at once, so that '1x' beside an integer is an error of the statement; a
 * parameter gets that type for the whole statement. Casts of constants are carried out at once where they succeed,
 * since a narrower constant gives a better numeric proof; one that would raise stays in the tree and raises where
 * PostgreSQL raises, on a row that reaches it. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

char tly_type_category(enum tly_type_id type) {
  switch (type) {
  case TLY_TYPE_BOOLEAN: return 'B';
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
  case TLY_TYPE_NUMERIC:
  case TLY_TYPE_DOUBLE: return 'N';
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR: return 'S';
  case TLY_TYPE_DATE:
  case TLY_TYPE_TIMESTAMP:
  case TLY_TYPE_TIMESTAMPTZ: return 'D';
  case TLY_TYPE_INTERVAL: return 'T';
  case TLY_TYPE_UUID: return 'U';
  case TLY_TYPE_UNKNOWN:
  case TLY_TYPE_COUNT: break;
  }
  return 'X';
}

bool tly_type_is_preferred(enum tly_type_id type) {
  return type == TLY_TYPE_BOOLEAN || type == TLY_TYPE_DOUBLE || type == TLY_TYPE_TEXT || type == TLY_TYPE_TIMESTAMPTZ ||
         type == TLY_TYPE_INTERVAL;
}

static const struct tly_catalog_cast *find_cast(enum tly_type_id source, enum tly_type_id target) {
  for (size_t i = 0; i < tly_catalog_cast_count; i++)
    if (tly_catalog_casts[i].source == source && tly_catalog_casts[i].target == target)
      return &tly_catalog_casts[i];
  return NULL;
}

static bool is_allowed(const struct tly_catalog_cast *cast, enum tly_coercion context) {
  return cast->context == 'i' || (cast->context == 'a' && context >= TLY_COERCION_ASSIGNMENT) ||
         context == TLY_COERCION_EXPLICIT;
}

/* Without a row in pg_cast there are still the input and output functions, to and from text. */
static bool by_text(enum tly_type_id source, enum tly_type_id target, enum tly_coercion context) {
  return (context >= TLY_COERCION_ASSIGNMENT && tly_type_is_text(target)) ||
         (context == TLY_COERCION_EXPLICIT && tly_type_is_text(source));
}

bool tly_coerce_can(enum tly_type_id source, enum tly_type_id target, enum tly_coercion context) {
  if (source == target || source == TLY_TYPE_UNKNOWN)
    return true;
  const struct tly_catalog_cast *cast = find_cast(source, target);
  return cast != NULL ? is_allowed(cast, context) : by_text(source, target, context);
}

/* ---- literals and parameters ------------------------------------------------------------------------------------- */

static enum tly_status read_literal(struct tly_resolver *resolver, enum tly_type_id target,
                                    struct tly_expr **expression) {
  const struct tly_expr *literal = *expression;
  struct tly_value value = tly_value_null(TLY_TYPE_OF(target));
  if (!literal->constant.is_null) {
    enum tly_status status = tly_value_parse(TLY_TYPE_OF(target), literal->constant.text.data,
                                             literal->constant.text.size, resolver->arena, &value, resolver->error);
    if (status != TLY_OK)
      return tly_resolver_place(resolver, literal->location, status);
    if (target == TLY_TYPE_NUMERIC) {
      struct tly_decimal decimal = tly_value_decimal(&value);
      value = tly_value_of_decimal(tly_proof_of_decimal(decimal), decimal);
    }
  }
  *expression = tly_expr_constant(resolver, value, literal->location);
  return TLY_OK;
}

static enum tly_status give_parameter_type(struct tly_resolver *resolver, enum tly_type_id target,
                                           struct tly_expr **expression) {
  struct tly_expr *parameter = *expression;
  struct tly_type *known = &resolver->parameters[parameter->column];
  if (known->id == TLY_TYPE_UNKNOWN)
    known->id = target;
  if (known->id != target)
    return TLY_FAIL_AT(resolver, parameter->location, TLY_E_AMBIGUOUS_PARAMETER,
                       "inconsistent types deduced for parameter $%u: %s versus %s", (unsigned)parameter->column + 1,
                       tly_type_name(*known), tly_type_name(TLY_TYPE_OF(target)));
  parameter->type = *known;
  return TLY_OK;
}

static enum tly_status give_type(struct tly_resolver *resolver, enum tly_type_id target, struct tly_expr **expression) {
  return (*expression)->kind == TLY_EXPR_PARAMETER ? give_parameter_type(resolver, target, expression)
                                                   : read_literal(resolver, target, expression);
}

/* ---- constants --------------------------------------------------------------------------------------------------- */

static bool fold_to_integer(enum tly_type_id target, int64_t value, struct tly_value *out) {
  int64_t limit = target == TLY_TYPE_SMALLINT ? INT16_MAX : target == TLY_TYPE_INTEGER ? INT32_MAX : INT64_MAX;
  out->i64 = value;
  return value <= limit && value >= -limit - 1;
}

static bool fold_numeric(struct tly_resolver *resolver, const struct tly_value *in, struct tly_type target,
                         struct tly_value *out) {
  struct tly_decimal decimal = in->type.id == TLY_TYPE_NUMERIC ? tly_value_decimal(in) : tly_decimal_of_i64(in->i64, 0);
  if (target.precision > 0 &&
      tly_decimal_to_typmod(decimal, target.precision, target.scale, resolver->arena, &decimal, NULL) != TLY_OK)
    return false;
  *out = tly_value_of_decimal(tly_proof_of_decimal(decimal), decimal);
  return true;
}

static bool fold_double(const struct tly_value *in, struct tly_value *out) {
  if (in->type.id != TLY_TYPE_NUMERIC)
    out->f64 = (double)in->i64;
  else if (tly_decimal_to_double(tly_value_decimal(in), &out->f64, NULL) != TLY_OK)
    return false;
  return true;
}

static bool is_number(enum tly_type_id id) {
  return tly_type_is_integer(id) || id == TLY_TYPE_NUMERIC;
}

/* The value of a cast of a constant; false when there is none (it raises) or it is not worth it. */
static bool fold(struct tly_resolver *resolver, const struct tly_value *in, struct tly_type target,
                 struct tly_value *out) {
  enum tly_type_id from = in->type.id;
  *out = tly_value_null(TLY_TYPE_OF(target.id));
  if (in->is_null)
    return true;
  out->is_null = false;
  if (tly_type_is_text(from) && tly_type_is_text(target.id)) {
    out->text = target.precision > 0 ? tly_text_left(in->text, target.precision) : in->text;
    return true;
  }
  if (is_number(from) && target.id == TLY_TYPE_NUMERIC)
    return fold_numeric(resolver, in, target, out);
  if (is_number(from) && target.id == TLY_TYPE_DOUBLE)
    return fold_double(in, out);
  int64_t integer = in->i64;
  if (from == TLY_TYPE_NUMERIC && tly_type_is_integer(target.id))
    return tly_decimal_to_i64(tly_value_decimal(in), &integer, NULL) == TLY_OK &&
           fold_to_integer(target.id, integer, out);
  if (tly_type_is_integer(from) && tly_type_is_integer(target.id))
    return fold_to_integer(target.id, integer, out);
  if (from == TLY_TYPE_DATE && (target.id == TLY_TYPE_TIMESTAMP || target.id == TLY_TYPE_TIMESTAMPTZ))
    return !__builtin_mul_overflow(in->i64, TLY_US_PER_DAY, &out->i64) && tly_timestamp_check(out->i64, NULL) == TLY_OK;
  if ((from == TLY_TYPE_TIMESTAMP && target.id == TLY_TYPE_TIMESTAMPTZ) ||
      (from == TLY_TYPE_TIMESTAMPTZ && target.id == TLY_TYPE_TIMESTAMP)) {
    out->i64 = in->i64;
    return true;
  }
  return false;
}

/* ---- conversions ------------------------------------------------------------------------------------------------- */

struct tly_expr *tly_coerce_relabel(struct tly_resolver *resolver, struct tly_type type, struct tly_expr *expression) {
  struct tly_type is = expression->type;
  if (is.id == type.id && is.precision == type.precision && is.scale == type.scale)
    return expression;
  struct tly_expr *relabel = tly_expr_new(resolver, TLY_EXPR_RELABEL, type, expression->location);
  tly_expr_copy_arguments(resolver, relabel, &expression, 1);
  return relabel;
}

static struct tly_expr *through_text(struct tly_resolver *resolver, enum tly_type_id target,
                                     struct tly_expr *expression, uint32_t location) {
  bool to_text = tly_type_is_text(target);
  struct tly_expr *cast =
      tly_expr_new(resolver, to_text ? TLY_EXPR_TO_TEXT : TLY_EXPR_FROM_TEXT, TLY_TYPE_OF(target), location);
  cast->can_raise = !to_text;
  tly_expr_copy_arguments(resolver, cast, &expression, 1);
  return cast;
}

/* From one type to another, where the path is known to exist. */
static void convert(struct tly_resolver *resolver, enum tly_type_id target, uint32_t location,
                    struct tly_expr **expression) {
  struct tly_expr *source = *expression;
  if (source->type.id == target)
    return;
  const struct tly_catalog_cast *cast = find_cast(source->type.id, target);
  struct tly_value folded;
  if (tly_expr_is_constant(source) && fold(resolver, &source->constant, TLY_TYPE_OF(target), &folded))
    *expression = tly_expr_constant(resolver, folded, source->location);
  else if (cast == NULL)
    *expression = through_text(resolver, target, source, location);
  else if (cast->kernel == TLY_KERNEL_NONE)
    *expression = tly_coerce_relabel(resolver, TLY_TYPE_OF(target), source);
  else
    *expression = tly_expr_call(resolver, cast->kernel, TLY_TYPE_OF(target), location, &source, 1);
}

enum tly_status tly_coerce_implicit(struct tly_resolver *resolver, enum tly_type_id target,
                                    struct tly_expr **expression) {
  TLY_ASSERT(tly_coerce_can((*expression)->type.id, target, TLY_COERCION_IMPLICIT));
  if (tly_expr_is_unknown(*expression))
    return give_type(resolver, target, expression);
  convert(resolver, target, (*expression)->location, expression);
  return TLY_OK;
}

/* numeric(p,s) and varchar(n), which cut and check. */
static void apply_typmod(struct tly_resolver *resolver, struct tly_type target, uint32_t location,
                         struct tly_expr **expression) {
  struct tly_expr *source = *expression;
  struct tly_value folded;
  if (tly_expr_is_constant(source) && fold(resolver, &source->constant, target, &folded)) {
    *expression = tly_expr_constant(resolver, folded, source->location);
    return;
  }
  bool holds_already =
      target.id == TLY_TYPE_NUMERIC && source->type.precision == target.precision && source->type.scale == target.scale;
  if (holds_already)
    return;
  enum tly_kernel kernel = target.id == TLY_TYPE_NUMERIC ? TLY_KERNEL_numeric : TLY_KERNEL_varchar;
  *expression = tly_expr_call(resolver, kernel, target, location, &source, 1);
}

enum tly_status tly_coerce_cast(struct tly_resolver *resolver, struct tly_type target, bool has_typmod,
                                uint32_t location, struct tly_expr **expression) {
  if (!tly_coerce_can((*expression)->type.id, target.id, TLY_COERCION_EXPLICIT))
    return TLY_FAIL_AT(resolver, location, TLY_E_CANNOT_COERCE, "cannot cast type %s to %s",
                       tly_type_name((*expression)->type), tly_type_name(target));
  if (tly_expr_is_unknown(*expression))
    TLY_TRY(give_type(resolver, target.id, expression));
  else
    convert(resolver, target.id, location, expression);
  if (has_typmod)
    apply_typmod(resolver, target, location, expression);
  return TLY_OK;
}

enum tly_status tly_coerce_boolean(struct tly_resolver *resolver, const char *where, struct tly_expr **expression) {
  if (!tly_coerce_can((*expression)->type.id, TLY_TYPE_BOOLEAN, TLY_COERCION_ASSIGNMENT))
    return TLY_FAIL_AT(resolver, tly_expr_location(*expression), TLY_E_DATATYPE_MISMATCH,
                       "argument of %s must be type boolean, not type %s", where, tly_type_name((*expression)->type));
  return tly_coerce_implicit(resolver, TLY_TYPE_BOOLEAN, expression);
}

/* ---- one type for several ---------------------------------------------------------------------------------------- */

static bool all_same(struct tly_expr *const *expressions, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (expressions[i]->type.id != expressions[0]->type.id || tly_expr_is_unknown(expressions[i]))
      return false;
  return true;
}

enum tly_status tly_coerce_common_type(struct tly_resolver *resolver, struct tly_expr *const *expressions,
                                       uint32_t count, const char *what, enum tly_type_id *out) {
  enum tly_type_id chosen = expressions[0]->type.id;
  *out = chosen;
  if (all_same(expressions, count))
    return TLY_OK;
  for (uint32_t i = 1; i < count; i++) {
    enum tly_type_id next = expressions[i]->type.id;
    if (next == TLY_TYPE_UNKNOWN || next == chosen)
      continue;
    if (chosen == TLY_TYPE_UNKNOWN)
      chosen = next;
    else if (tly_type_category(next) != tly_type_category(chosen))
      return TLY_FAIL_AT(resolver, tly_expr_location(expressions[i]), TLY_E_DATATYPE_MISMATCH,
                         "%s types %s and %s cannot be matched", what, tly_type_name(TLY_TYPE_OF(chosen)),
                         tly_type_name(TLY_TYPE_OF(next)));
    else if (!tly_type_is_preferred(chosen) && tly_coerce_can(chosen, next, TLY_COERCION_IMPLICIT) &&
             !tly_coerce_can(next, chosen, TLY_COERCION_IMPLICIT))
      chosen = next;
  }
  *out = chosen == TLY_TYPE_UNKNOWN ? TLY_TYPE_TEXT : chosen;
  return TLY_OK;
}

/* A NULL constant fits any proof, so it does not spoil one. */
static bool is_null_constant(const struct tly_expr *expression) {
  return tly_expr_is_constant(expression) && expression->constant.is_null;
}

enum tly_status tly_coerce_all(struct tly_resolver *resolver, struct tly_expr **expressions, uint32_t count,
                               enum tly_type_id target, const char *what, struct tly_type *type) {
  bool has_type = false;
  *type = TLY_TYPE_OF(target);
  for (uint32_t i = 0; i < count; i++) {
    if (!tly_coerce_can(expressions[i]->type.id, target, TLY_COERCION_IMPLICIT))
      return TLY_FAIL_AT(resolver, tly_expr_location(expressions[i]), TLY_E_CANNOT_COERCE,
                         "%s could not convert type %s to %s", what, tly_type_name(expressions[i]->type),
                         tly_type_name(TLY_TYPE_OF(target)));
    TLY_TRY(tly_coerce_implicit(resolver, target, &expressions[i]));
    if (is_null_constant(expressions[i]))
      continue;
    *type = has_type ? tly_proof_union(*type, expressions[i]->type) : expressions[i]->type;
    has_type = true;
  }
  if (target == TLY_TYPE_VARCHAR)
    *type = TLY_TYPE_OF(target);
  for (uint32_t i = 0; i < count; i++) {
    if (is_null_constant(expressions[i]))
      expressions[i] = tly_expr_constant(resolver, tly_value_null(*type), expressions[i]->location);
    else
      expressions[i] = tly_coerce_relabel(resolver, *type, expressions[i]);
  }
  return TLY_OK;
}

enum tly_status tly_coerce_unknown_to_text(struct tly_resolver *resolver, struct tly_expr **expression) {
  return tly_expr_is_unknown(*expression) ? give_type(resolver, TLY_TYPE_TEXT, expression) : TLY_OK;
}
