#include "serving_layer/control.h"

#include "common/base/clock.h"

void tly_control_init(struct tly_control *control, int64_t timeout_ms, int64_t memory_max) {
  atomic_init(&control->is_cancelled, false);
  control->deadline_us = tly_clock_monotonic_us(&tly_clock_real) + timeout_ms * 1000;
  control->timeout_ms = timeout_ms;
  control->memory_max = memory_max;
  control->memory_used = 0;
}

void tly_control_cancel(struct tly_control *control) {
  atomic_store_explicit(&control->is_cancelled, true, memory_order_relaxed);
}

enum tly_status tly_control_check(const struct tly_control *control, struct tly_error *error) {
  if (atomic_load_explicit(&control->is_cancelled, memory_order_relaxed))
    return TLY_FAIL(error, TLY_E_CANCELLED, "canceling statement: the connection was closed or tally is stopping");
  if (tly_clock_monotonic_us(&tly_clock_real) < control->deadline_us)
    return TLY_OK;
  enum tly_status status = TLY_FAIL(error, TLY_E_CANCELLED, "canceling statement due to statement timeout (%lld ms)",
                                    (long long)control->timeout_ms);
  tly_error_hint(error, "restrict the leading columns of the view's GROUP BY, or raise query_timeout");
  return status;
}

enum tly_status tly_control_charge(struct tly_control *control, int64_t bytes, struct tly_error *error) {
  control->memory_used += bytes;
  if (control->memory_used <= control->memory_max)
    return TLY_OK;
  enum tly_status status = TLY_FAIL(error, TLY_E_NO_MEMORY, "the query needs more than %lld MiB of memory",
                                    (long long)(control->memory_max >> 20));
  tly_error_hint(error, "restrict the leading columns of the view's GROUP BY, or raise query_memory");
  return status;
}
