/* batch_layer/ledger_main.h -- the child process in which a view is reconciled with a ledger.
 *
 * Path of a ledger: ledger_queue -> [ledger_main: ledger_job] -> reply line -> ledger_queue -> client. */
#ifndef TLY_BATCH_LEDGER_MAIN_H
#define TLY_BATCH_LEDGER_MAIN_H

#include <jansson.h>

#include "batch_layer/ledger_match.h"
#include "common/base/process.h"
#include "common/sql/project.h"

/* `<program> ledger-child --data DIR PROJECT`: reads the definitions, then one request from stdin (as on the socket,
 * docs/PROTOCOL.md), reconciles, and writes on stdout progress lines for the client, and one reply line, whose breaks
 * are in break_file by then. It dies with its parent and writes nothing that outlives that. Calls tly_process_setup
 * itself. The exit status. */
int tly_ledger_main(const struct tly_settings *settings);

/* What a request wants, with its errors: the view "view", the ledger "against", the tolerance "tolerance" (a text that
 * is an amount; without it the view's), and their match. All lives in `arena`. */
struct tly_ledger_request {
  struct tly_ledger_match match;
  struct tly_decimal tolerance;
  bool wants_progress;
};
TLY_CHECK enum tly_status tly_ledger_request_read(const json_t *params, const struct tly_project *project,
                                                  struct tly_arena *arena, struct tly_ledger_request *out,
                                                  struct tly_error *error);

#endif
