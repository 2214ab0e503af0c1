/* common/sql/definitions.h -- inside the front end: the statements of a project, one at a time, all problems reported.
 *
 * Path of an event: project.c (files, pieces) -> [definitions] -> servers, streams, views, ledgers of the project.
 * Thread: belongs to one thread, on a large stack. */
#ifndef TLY_SQL_DEFINITIONS_H
#define TLY_SQL_DEFINITIONS_H

#include "common/sql/resolve.h"

/* A project while it is read. */
struct tly_definitions {
  struct tly_project *project;
  struct tly_diagnostics *diagnostics;
  const char *file, *text; /* of the file being read; terminated, in the project's arena */
  uint32_t piece_offset;   /* of the statement being read in it */
  struct tly_resolver resolver;
  struct tly_error error;
  const char *broken[TLY_STREAMS_MAX + TLY_VIEWS_MAX +
                     TLY_LEDGERS_MAX]; /* names whose definition failed: no second error for their use */
  uint32_t broken_count;
  struct tly_place {
    const char *file, *text;
    uint32_t location;
  } reconcile_places[TLY_VIEWS_MAX]; /* where each view names its ledgers, which may be defined behind it */
};

/* One CREATE statement. Problems go to the diagnostics. */
void tly_define_statement(struct tly_definitions *definitions, struct tly_node statement);
void tly_define_server(struct tly_definitions *definitions, struct tly_node node);
void tly_define_stream(struct tly_definitions *definitions, struct tly_node node);
void tly_define_ledger(struct tly_definitions *definitions, struct tly_node node, const struct tly_server *server);
void tly_define_view(struct tly_definitions *definitions, struct tly_node node);
/* WITH (check = '...') of a view whose outputs are resolved: *out is NULL when `option` is. */
TLY_CHECK enum tly_status tly_define_check(struct tly_resolver *resolver, const struct tly_view *view,
                                           const struct tly_option *option, const struct tly_view_check **out);

/* reconcile_with, reconcile, tolerance of the view that is being defined; time_zone is the caller's. */
TLY_CHECK enum tly_status tly_define_reconcile(struct tly_definitions *definitions, const struct tly_option *options,
                                               uint32_t count, struct tly_view *view);
/* When everything is defined: find the ledgers that views name. */
void tly_define_reconcile_ledgers(struct tly_definitions *definitions);

/* The statement that is being read, as written, in the project's arena. */
const char *tly_definitions_source(const struct tly_definitions *definitions);

/* Hand the resolver's error to the diagnostics when `status` is one; false then. */
bool tly_definitions_report(struct tly_definitions *definitions, enum tly_status status);
/* The use of a name whose own definition failed is no further problem. */
void tly_definitions_add_broken(struct tly_definitions *definitions, const char *name);
bool tly_definitions_is_broken(const struct tly_definitions *definitions, const char *name);
/* A name that the parser has cut off is refused, instead of being taken for another one. */
TLY_CHECK enum tly_status tly_definitions_check_length(struct tly_resolver *resolver, const char *name,
                                                       uint32_t location);
/* The name of the relation a statement creates: plain, not taken, not reserved. */
TLY_CHECK enum tly_status tly_definitions_new_name(struct tly_definitions *definitions, struct tly_node relation,
                                                   const char **out);
/* A column of a foreign table without its options; `of` names the table in messages: "a stream". */
TLY_CHECK enum tly_status tly_definitions_column(struct tly_definitions *definitions, struct tly_node node,
                                                 const char *of, const char **name, struct tly_type *type,
                                                 bool *not_null);
/* Whether foreign tables on such a server are ledgers, not streams. */
bool tly_wrapper_is_ledger(enum tly_wrapper wrapper);
/* The server that a CREATE FOREIGN TABLE names, or NULL. */
const struct tly_server *tly_definitions_server(const struct tly_definitions *definitions, struct tly_node node);
/* OPTIONS (name 'text', ...) or WITH (name = 'text', ...) of `node`. Names must be among `known` (up to NULL), once. */
TLY_CHECK enum tly_status tly_definitions_options(struct tly_definitions *definitions, struct tly_node node,
                                                  const char *member, const char *const *known, struct tly_option **out,
                                                  uint32_t *count);
/* The option's value, or NULL. */
const struct tly_option *tly_option_find(const struct tly_option *options, uint32_t count, const char *name);

#endif
