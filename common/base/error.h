/* common/base/error.h -- the words that go with a failed status, and where it was born.
 *
 * Path of an event: everywhere. The caller owns a struct tly_error (usually on its stack) and passes it down; whoever
 * fails first fills it by TLY_FAIL and returns the status. NULL is allowed: then only the status travels.
 * Thread: pure. */
#ifndef TLY_BASE_ERROR_H
#define TLY_BASE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

#include "common/base/status.h"

#define TLY_CHECK            __attribute__((warn_unused_result))
#define TLY_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

enum { TLY_ERROR_MESSAGE_SIZE = 640, TLY_ERROR_HINT_SIZE = 256 };

struct tly_error {
  enum tly_status status;
  int32_t position;      /* 1-based character position in the SQL text; 0: none */
  const char *born_file; /* static */
  int born_line;
  char message[TLY_ERROR_MESSAGE_SIZE]; /* always terminated; longer words are cut */
  char hint[TLY_ERROR_HINT_SIZE];       /* "" if there is none */
};

/* An initialiser for "nothing wrong yet". */
#define TLY_ERROR_NONE                                                                                                 \
  (struct tly_error) {                                                                                                 \
    .status = TLY_OK                                                                                                   \
  }

/* Fill *error (which may be NULL) and return `status`, so that a function can `return TLY_FAIL(...)`. */
#define TLY_FAIL(error, status, ...) tly_error_set((error), (status), __FILE__, __LINE__, __VA_ARGS__)

enum tly_status tly_error_set(struct tly_error *error, enum tly_status status, const char *file, int line,
                              const char *format, ...) TLY_PRINTF(5, 6);
/* As TLY_FAIL, with the words of errno behind ": "; ENOSPC and EDQUOT become TLY_E_DISK_FULL whatever `status` says. */
#define TLY_FAIL_ERRNO(error, status, ...) tly_error_set_errno((error), (status), __FILE__, __LINE__, __VA_ARGS__)
enum tly_status tly_error_set_errno(struct tly_error *error, enum tly_status status, const char *file, int line,
                                    const char *format, ...) TLY_PRINTF(5, 6);
void tly_error_hint(struct tly_error *error, const char *format, ...) TLY_PRINTF(2, 3);

/* Return early with any status but TLY_OK. */
#define TLY_TRY(expression)                                                                                            \
  do {                                                                                                                 \
    enum tly_status tly_try_status_ = (expression);                                                                    \
    if (tly_try_status_ != TLY_OK)                                                                                     \
      return tly_try_status_;                                                                                          \
  } while (0)

#endif
