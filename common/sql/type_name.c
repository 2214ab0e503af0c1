/* Names of types, in declarations and casts. */
#include <string.h>

#include "common/sql/resolve.h"

struct type_name {
  const char *name;
  enum tly_type_id id;
};

/* The grammar has turned INT, DECIMAL, DOUBLE PRECISION and the like into the short names already. */
static const struct type_name names[] = {
    {"bool", TLY_TYPE_BOOLEAN},        {"int2", TLY_TYPE_SMALLINT},           {"int4", TLY_TYPE_INTEGER},
    {"int8", TLY_TYPE_BIGINT},         {"numeric", TLY_TYPE_NUMERIC},         {"float8", TLY_TYPE_DOUBLE},
    {"text", TLY_TYPE_TEXT},           {"varchar", TLY_TYPE_VARCHAR},         {"date", TLY_TYPE_DATE},
    {"timestamp", TLY_TYPE_TIMESTAMP}, {"timestamptz", TLY_TYPE_TIMESTAMPTZ}, {"uuid", TLY_TYPE_UUID},
    {"interval", TLY_TYPE_INTERVAL},
};

/* Types of PostgreSQL that are refused by name, with what to write instead. */
static const struct {
  const char *name, *instead;
} refused[] = {
    {"float4", "use double precision"},
    {"bpchar", "use text or varchar"},
    {"char", "use text or varchar"},
    {"name", "use text"},
    {"money", "use numeric"},
    {"json", "declare a column for each member, with OPTIONS (path 'a.b')"},
    {"jsonb", "declare a column for each member, with OPTIONS (path 'a.b')"},
    {"bytea", "use text"},
    {"time", "use timestamp, or text"},
    {"timetz", "use timestamptz, or text"},
    {"xml", "use text"},
    {"inet", "use text"},
    {"cidr", "use text"},
    {"macaddr", "use text"},
    {"bit", "use text or bigint"},
    {"varbit", "use text or bigint"},
    {"oid", "use bigint"},
    {"regclass", "use text"},
    {"tsvector", NULL},
    {"tsquery", NULL},
    {"point", NULL},
    {"serial", "use integer"},
    {"bigserial", "use bigint"},
    {"int4range", NULL},
    {"int8range", NULL},
    {"numrange", NULL},
    {"tsrange", NULL},
    {"tstzrange", NULL},
    {"daterange", NULL},
};

enum { NUMERIC_DIGITS_MAX = 1000, PROOF_DIGITS_MAX = 38 };

static enum tly_type_id find(const char *name) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i].name, name) == 0)
      return names[i].id;
  return TLY_TYPE_UNKNOWN;
}

enum tly_type_id tly_type_of_function_name(const char *name) {
  return find(name);
}

static enum tly_status no_such_type(struct tly_resolver *resolver, const char *name, uint32_t location) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    if (strcmp(refused[i].name, name) != 0)
      continue;
    const char *shown = strcmp(name, "float4") == 0 ? "real" : strcmp(name, "bpchar") == 0 ? "character" : name;
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "type %s is not supported", shown);
    if (refused[i].instead != NULL)
      tly_error_hint(resolver->error, "%s", refused[i].instead);
    return TLY_E_NOT_SUPPORTED;
  }
  struct tly_suggestion suggestion = {.best = NULL};
  static const char *const spoken[] = {"boolean", "smallint", "integer", "bigint", "decimal", "double precision"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    tly_suggest(&suggestion, name, names[i].name);
  for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++)
    tly_suggest(&suggestion, name, spoken[i]);
  (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_OBJECT, "type \"%s\" does not exist", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  return TLY_E_UNDEFINED_OBJECT;
}

/* The integers in parentheses behind a type's name. */
static enum tly_status read_typmods(struct tly_resolver *resolver, struct tly_node type_name, int64_t *values,
                                    size_t *count) {
  *count = tly_node_count(type_name, "typmods");
  uint32_t location = tly_node_location(type_name);
  if (*count > 2)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "invalid type modifier");
  for (size_t i = 0; i < *count; i++) {
    struct tly_node constant = tly_node_item(type_name, "typmods", i);
    if (!tly_node_is(constant, "A_Const") || !tly_node_has(constant, "ival"))
      return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "type modifiers must be simple constants");
    values[i] = tly_node_constant_integer(constant, resolver->sql, resolver->sql_size);
  }
  return TLY_OK;
}

static enum tly_status numeric_typmod(struct tly_resolver *resolver, uint32_t location, const int64_t *values,
                                      size_t count, struct tly_type *type) {
  int64_t precision = values[0], scale = count == 2 ? values[1] : 0;
  if (precision < 1 || precision > NUMERIC_DIGITS_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "NUMERIC precision %lld must be between 1 and %d",
                       (long long)precision, NUMERIC_DIGITS_MAX);
  if (scale < -NUMERIC_DIGITS_MAX || scale > NUMERIC_DIGITS_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "NUMERIC scale %lld must be between %d and %d",
                       (long long)scale, -NUMERIC_DIGITS_MAX, NUMERIC_DIGITS_MAX);
  if (precision > PROOF_DIGITS_MAX || scale < 0 || scale > precision) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "numeric(%lld,%lld) is not supported",
                      (long long)precision, (long long)scale);
    tly_error_hint(resolver->error, "precision up to %d with a scale from 0 to the precision, or numeric alone",
                   PROOF_DIGITS_MAX);
    return TLY_E_NOT_SUPPORTED;
  }
  type->precision = (int16_t)precision;
  type->scale = (int16_t)scale;
  return TLY_OK;
}

static enum tly_status varchar_typmod(struct tly_resolver *resolver, uint32_t location, int64_t length,
                                      struct tly_type *type) {
  if (length < 1)
    return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "length for type varchar must be at least 1");
  if (length > INT16_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "varchar(%lld): at most varchar(%d) is supported",
                       (long long)length, INT16_MAX);
  type->precision = (int16_t)length;
  return TLY_OK;
}

static enum tly_status apply_typmods(struct tly_resolver *resolver, struct tly_node type_name, struct tly_type *type,
                                     bool *has_typmod) {
  int64_t values[2] = {0, 0};
  size_t count;
  uint32_t location = tly_node_location(type_name);
  TLY_TRY(read_typmods(resolver, type_name, values, &count));
  *has_typmod = count > 0;
  if (count == 0)
    return TLY_OK;
  if (type->id == TLY_TYPE_NUMERIC)
    return numeric_typmod(resolver, location, values, count, type);
  if (type->id == TLY_TYPE_VARCHAR && count == 1)
    return varchar_typmod(resolver, location, values[0], type);
  *has_typmod = false;
  if ((type->id == TLY_TYPE_TIMESTAMP || type->id == TLY_TYPE_TIMESTAMPTZ) && count == 1 && values[0] == 6)
    return TLY_OK; /* what it is anyway */
  return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "a modifier of type %s is not supported",
                     tly_type_name(*type));
}

enum tly_status tly_type_of_node(struct tly_resolver *resolver, struct tly_node type_name, struct tly_type *type,
                                 bool *has_typmod) {
  uint32_t location = tly_node_location(type_name);
  *has_typmod = false;
  if (tly_node_has(type_name, "arrayBounds"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "arrays are not supported");
  TLY_TRY(tly_resolver_expect(resolver, type_name, "names typmods typemod"));
  size_t parts = tly_node_count(type_name, "names");
  const char *name = tly_node_string(tly_node_item(type_name, "names", parts - 1));
  const char *schema = parts == 2 ? tly_node_string(tly_node_item(type_name, "names", 0)) : "pg_catalog";
  if (parts > 2 || strcmp(schema, "pg_catalog") != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_OBJECT, "type \"%s.%s\" does not exist", schema, name);
  *type = TLY_TYPE_OF(find(name));
  if (type->id == TLY_TYPE_UNKNOWN)
    return no_such_type(resolver, name, location);
  return apply_typmods(resolver, type_name, type, has_typmod);
}
