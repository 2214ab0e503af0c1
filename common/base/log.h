/* common/base/log.h -- logfmt lines on stderr: ts, level, process, msg, then key=value.
 * Thread: any; a line is one write(2). */
#ifndef TLY_BASE_LOG_H
#define TLY_BASE_LOG_H

enum tly_log_level { TLY_LOG_DEBUG, TLY_LOG_INFO, TLY_LOG_WARN, TLY_LOG_ERROR };

/* `process` ("archiver", "speed", ...) is static or outlives the process. Lines below `level` are dropped. */
void tly_log_setup(const char *process, enum tly_log_level level);
/* `fields` is a printf format that makes "key=value key=value" (quote a text value with %s inside \"...\": control
 * characters and quotes are escaped by the writer of the line); NULL: none. */
void tly_log(enum tly_log_level level, const char *message, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#endif
