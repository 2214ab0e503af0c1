/* common/base/status.h -- every way a call can end, with its SQLSTATE.
 *
 * Path of an event: everywhere. One list; the enum, the names and the SQLSTATEs are made from it, so they cannot
 * disagree. SQLSTATEs are PostgreSQL's (appendix A of its manual).
 * Thread: pure. */
#ifndef TLY_BASE_STATUS_H
#define TLY_BASE_STATUS_H

#include <stdbool.h>

/* X(name, sqlstate, retriable): retriable means that the same call may succeed later without a change by the caller. */
#define TLY_STATUS_LIST(X)                                                                                             \
  X(OK, "00000", false)                                                                                                \
  X(E_INTERNAL, "XX000", false)                                                                                        \
  X(E_CORRUPT, "XX001", false) /* stored bytes are not what was written */                                             \
  X(E_IO, "58030", false)      /* a system call on a file failed */                                                    \
  X(E_DISK_FULL, "53100", true)                                                                                        \
  X(E_NO_MEMORY, "53200", true)  /* a memory bound was reached */                                                      \
  X(E_TOO_MANY, "53300", true)   /* connections, queue entries */                                                      \
  X(E_TOO_LARGE, "54000", false) /* a line, a row, a file over its bound */                                            \
  X(E_TOO_COMPLEX, "54001", false)                                                                                     \
  X(E_NOT_READY, "55000", true) /* view still building, layer still starting */                                        \
  X(E_IN_USE, "55006", true)    /* another process holds the store */                                                  \
  X(E_CANCELLED, "57014", true) /* deadline or shutdown */                                                             \
  X(E_CONNECTION, "08006", true)                                                                                       \
  X(E_PROTOCOL, "08P01", false)                                                                                        \
  X(E_SEQUENCE, "22000", false) /* a producer's sequence has a gap */                                                  \
  X(E_CONFIG, "F0000", false)                                                                                          \
  X(E_NOT_SUPPORTED, "0A000", false)                                                                                   \
  X(E_STRING_TRUNCATION, "22001", false)                                                                               \
  X(E_NUMERIC_OUT_OF_RANGE, "22003", false)                                                                            \
  X(E_NULL_NOT_ALLOWED, "22004", false)                                                                                \
  X(E_DATETIME_FORMAT, "22007", false)                                                                                 \
  X(E_DATETIME_OVERFLOW, "22008", false)                                                                               \
  X(E_TIME_ZONE_DISPLACEMENT, "22009", false)                                                                          \
  X(E_SUBSTRING, "22011", false)                                                                                       \
  X(E_DIVISION_BY_ZERO, "22012", false)                                                                                \
  X(E_FRAME_OFFSET, "22013", false) /* a window frame's offset is negative */                                          \
  X(E_NTILE_ARGUMENT, "22014", false)                                                                                  \
  X(E_NTH_VALUE_ARGUMENT, "22016", false)                                                                              \
  X(E_INTERVAL_OVERFLOW, "22015", false)                                                                               \
  X(E_ESCAPE_CHARACTER, "22019", false)                                                                                \
  X(E_CHARACTER_NOT_IN_REPERTOIRE, "22021", false)                                                                     \
  X(E_INVALID_PARAMETER, "22023", false)                                                                               \
  X(E_ESCAPE_SEQUENCE, "22025", false)                                                                                 \
  X(E_INVALID_JSON, "22032", false)                                                                                    \
  X(E_POWER_ARGUMENT, "2201F", false)                                                                                  \
  X(E_LIMIT_NEGATIVE, "2201W", false)                                                                                  \
  X(E_OFFSET_NEGATIVE, "2201X", false)                                                                                 \
  X(E_TEXT_REPRESENTATION, "22P02", false) /* 'abc'::integer */                                                        \
  X(E_FILE_FORMAT, "22P04", false)         /* a CSV record or header that does not fit */                              \
  X(E_CARDINALITY, "21000", false)         /* a scalar sub-select gave two rows */                                     \
  X(E_NOT_NULL, "23502", false)                                                                                        \
  X(E_SYNTAX, "42601", false)                                                                                          \
  X(E_AMBIGUOUS_COLUMN, "42702", false)                                                                                \
  X(E_UNDEFINED_COLUMN, "42703", false)                                                                                \
  X(E_UNDEFINED_OBJECT, "42704", false)                                                                                \
  X(E_DUPLICATE_OBJECT, "42710", false)                                                                                \
  X(E_DUPLICATE_ALIAS, "42712", false)                                                                                 \
  X(E_DUPLICATE_COLUMN, "42701", false)                                                                                \
  X(E_AMBIGUOUS_FUNCTION, "42725", false)                                                                              \
  X(E_GROUPING, "42803", false)                                                                                        \
  X(E_DATATYPE_MISMATCH, "42804", false)                                                                               \
  X(E_WRONG_OBJECT_TYPE, "42809", false)                                                                               \
  X(E_CANNOT_COERCE, "42846", false)                                                                                   \
  X(E_UNDEFINED_FUNCTION, "42883", false)                                                                              \
  X(E_UNDEFINED_TABLE, "42P01", false)                                                                                 \
  X(E_UNDEFINED_PARAMETER, "42P02", false)                                                                             \
  X(E_DUPLICATE_TABLE, "42P07", false)                                                                                 \
  X(E_COLUMN_REFERENCE, "42P10", false)                                                                                \
  X(E_AMBIGUOUS_PARAMETER, "42P08", false)                                                                             \
  X(E_INDETERMINATE_DATATYPE, "42P18", false)                                                                          \
  X(E_INVALID_OBJECT_DEFINITION, "42P17", false)                                                                       \
  X(E_WINDOWING, "42P20", false)                                                                                       \
  X(E_INVALID_RECURSION, "42P19", false)

enum tly_status {
#define TLY_STATUS_ENUM(name, sqlstate, retriable) TLY_##name,
  TLY_STATUS_LIST(TLY_STATUS_ENUM)
#undef TLY_STATUS_ENUM
      TLY_STATUS_COUNT
};

/* "E_IO" and the like, for logs. Static. */
const char *tly_status_name(enum tly_status status);
/* Five characters, static. */
const char *tly_status_sqlstate(enum tly_status status);
bool tly_status_is_retriable(enum tly_status status);

#endif
