#include "common/sql/catalog.h"

#include "common/base/assert.h"

const struct tly_catalog_function tly_catalog_functions[] = {
#define TYPE(name) TLY_TYPE_##name
#define TYPES_1(a)                                                                                                     \
  { TYPE(a) }
#define TYPES_2(a, b)                                                                                                  \
  { TYPE(a), TYPE(b) }
#define TYPES_3(a, b, c)                                                                                               \
  { TYPE(a), TYPE(b), TYPE(c) }
#define TLY_CATALOG_FUNCTION(name, count, result, kernel, ...)                                                         \
  {name, count, TYPES_##count(__VA_ARGS__), TYPE(result), TLY_KERNEL_##kernel},
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_FUNCTION
};
const size_t tly_catalog_function_count = sizeof tly_catalog_functions / sizeof tly_catalog_functions[0];

const struct tly_catalog_operator tly_catalog_operators[] = {
#define TLY_CATALOG_OPERATOR(name, left, right, result, kernel)                                                        \
  {name, TYPE(left), TYPE(right), TYPE(result), TLY_KERNEL_##kernel},
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_OPERATOR
};
const size_t tly_catalog_operator_count = sizeof tly_catalog_operators / sizeof tly_catalog_operators[0];

const struct tly_catalog_cast tly_catalog_casts[] = {
#define TLY_CATALOG_CAST(source, target, context, kernel) {TYPE(source), TYPE(target), context, TLY_KERNEL_##kernel},
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_CAST
};
const size_t tly_catalog_cast_count = sizeof tly_catalog_casts / sizeof tly_catalog_casts[0];

const struct tly_catalog_aggregate tly_catalog_aggregates[] = {
#define TLY_CATALOG_AGGREGATE(name, argument, result) {name, TYPE(argument), TYPE(result)},
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_AGGREGATE
};
const size_t tly_catalog_aggregate_count = sizeof tly_catalog_aggregates / sizeof tly_catalog_aggregates[0];

const char *const tly_catalog_refused_functions[] = {
#define TLY_CATALOG_REFUSED_FUNCTION(name) name,
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_REFUSED_FUNCTION
};
const size_t tly_catalog_refused_function_count =
    sizeof tly_catalog_refused_functions / sizeof tly_catalog_refused_functions[0];

const char *const tly_catalog_refused_operators[] = {
#define TLY_CATALOG_REFUSED_OPERATOR(name) name,
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_REFUSED_OPERATOR
};
const size_t tly_catalog_refused_operator_count =
    sizeof tly_catalog_refused_operators / sizeof tly_catalog_refused_operators[0];

static const char *const kernel_names[TLY_KERNEL_COUNT] = {
    [TLY_KERNEL_NONE] = "none",
#define TLY_CATALOG_KERNEL(name) [TLY_KERNEL_##name] = #name,
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_KERNEL
};

const char *tly_kernel_name(enum tly_kernel kernel) {
  TLY_ASSERT((unsigned)kernel < TLY_KERNEL_COUNT);
  return kernel_names[kernel];
}
