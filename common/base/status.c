#include "common/base/status.h"

#include "common/base/assert.h"

struct status_row {
  const char *name;
  const char *sqlstate;
  bool is_retriable;
};

static const struct status_row rows[TLY_STATUS_COUNT] = {
#define STATUS_ROW(name, sqlstate, retriable) {#name, sqlstate, retriable},
    TLY_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row *row_of(enum tly_status status) {
  TLY_ASSERT((unsigned)status < TLY_STATUS_COUNT);
  return &rows[status];
}

const char *tly_status_name(enum tly_status status) {
  return row_of(status)->name;
}

const char *tly_status_sqlstate(enum tly_status status) {
  return row_of(status)->sqlstate;
}

bool tly_status_is_retriable(enum tly_status status) {
  return row_of(status)->is_retriable;
}
