/* common/base/assert.h -- assertions that stay on in release: a wrong total is worse than a restart.
 * Thread: pure. */
#ifndef TLY_BASE_ASSERT_H
#define TLY_BASE_ASSERT_H

/* Log the failed condition and abort. */
_Noreturn void tly_assert_failed(const char *condition, const char *file, int line);

#define TLY_ASSERT(condition)                                                                                          \
  do {                                                                                                                 \
    if (__builtin_expect(!(condition), 0))                                                                             \
      tly_assert_failed(#condition, __FILE__, __LINE__);                                                               \
  } while (0)

#define TLY_UNREACHABLE() tly_assert_failed("unreachable", __FILE__, __LINE__)

#endif
