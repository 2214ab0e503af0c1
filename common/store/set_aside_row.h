/* common/store/set_aside_row.h -- an event set aside, as batch.db and speed.db list it.
 * Thread: pure data. */
#ifndef TLY_STORE_SET_ASIDE_ROW_H
#define TLY_STORE_SET_ASIDE_ROW_H

#include <stdint.h>

struct tly_set_aside_row {
  const char *view;
  uint32_t partition;
  int64_t offset;
  const char *sqlstate, *message;
};

#endif
