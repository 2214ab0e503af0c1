#include "common/base/assert.h"

#include <stdlib.h>

#include "common/base/log.h"

_Noreturn void tly_assert_failed(const char *condition, const char *file, int line) {
  tly_log(TLY_LOG_ERROR, "assertion failed", "condition=\"%s\" file=%s line=%d", condition, file, line);
  abort();
}
