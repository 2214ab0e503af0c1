/* common/sql/project.h -- a project: a folder of *.sql files, applied in name order, as servers, streams, views and
 * ledgers.
 *
 * Path of an event: every process reads the project first; nothing starts on a wrong one.
 * Thread: load in any thread (parsing itself runs in one with an 8 MB stack); the result is immutable. */
#ifndef TLY_SQL_PROJECT_H
#define TLY_SQL_PROJECT_H

#include "common/sql/diagnostics.h"
#include "common/sql/typed_tree.h"

struct tly_project {
  struct tly_arena arena;
  struct tly_server *servers;
  uint32_t server_count;
  struct tly_stream *streams;
  uint32_t stream_count;
  struct tly_view *views;
  uint32_t view_count;
  struct tly_ledger *ledgers;
  uint32_t ledger_count;
};

/* Read `folder`. All problems go to `diagnostics` (not only the first); TLY_OK only when there is none, else *out is
 * NULL and the status is that of the first. The caller owns *out. */
TLY_CHECK enum tly_status tly_project_load(const char *folder, struct tly_diagnostics *diagnostics,
                                           struct tly_project **out);
/* The same for a process that ends when there are problems: they go to stderr as people read them, and *error has the
 * first one. */
TLY_CHECK enum tly_status tly_project_load_or_complain(const char *folder, struct tly_project **out,
                                                       struct tly_error *error);
/* The same from one text; `file` is its name in messages. */
TLY_CHECK enum tly_status tly_project_parse(const char *file, const char *text, struct tly_diagnostics *diagnostics,
                                            struct tly_project **out);
void tly_project_free(struct tly_project *project);
const struct tly_stream *tly_project_stream(const struct tly_project *project, const char *name);
const struct tly_view *tly_project_view(const struct tly_project *project, const char *name);
const struct tly_ledger *tly_project_ledger(const struct tly_project *project, const char *name);

/* Check a cron text (5 fields or @hourly and the like) at definition time; the scheduler has the same code behind
 * common/sql/cron.h. */

/* A query, typed against the project's views. `sql` need not be terminated; at most TLY_SQL_BYTES_MAX. Everything of
 * the result lives in `arena`. error->position counts characters from 1. */
TLY_CHECK enum tly_status tly_query_parse(const struct tly_project *project, const char *sql, size_t size,
                                          struct tly_arena *arena, struct tly_statement **out, struct tly_error *error);

#endif
