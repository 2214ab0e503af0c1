/* WITH (reconcile_with = 'bank, statement', reconcile = '30 2 * * *', tolerance = '0.05') of a view.
 *
 * A ledger may be defined behind the views that name it, as files are read in name order: its name is looked up when
 * everything has been read. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/cron.h"
#include "common/sql/definitions.h"
#include "common/value/decimal.h"

static enum tly_status check_tolerance(struct tly_resolver *resolver, const struct tly_option *tolerance) {
  struct tly_decimal amount;
  if (tly_decimal_parse(tolerance->value, strlen(tolerance->value), resolver->arena, &amount, NULL) == TLY_OK &&
      tly_decimal_sign(amount) >= 0)
    return TLY_OK;
  return TLY_FAIL_AT(resolver, tolerance->location, TLY_E_INVALID_PARAMETER,
                     "a tolerance is an amount of 0 or more, as '0.05', not \"%s\"", tolerance->value);
}

static enum tly_status check_schedule(struct tly_resolver *resolver, const struct tly_option *reconcile) {
  struct tly_cron cron;
  enum tly_status status = tly_cron_parse(reconcile->value, &cron, resolver->error);
  return status == TLY_OK ? TLY_OK : tly_resolver_place(resolver, reconcile->location, status);
}

/* One without the other would do nothing, without a word. */
static enum tly_status check_both(struct tly_resolver *resolver, const struct tly_option *reconcile,
                                  const struct tly_option *with) {
  if (reconcile != NULL && with == NULL)
    return TLY_FAIL_AT(resolver, reconcile->location, TLY_E_INVALID_PARAMETER,
                       "reconcile without reconcile_with: it names the ledgers, as 'bank' or 'bank, statement'");
  if (with != NULL && reconcile == NULL)
    return TLY_FAIL_AT(resolver, with->location, TLY_E_INVALID_PARAMETER,
                       "reconcile_with without reconcile: it says when, as '30 2 * * *'");
  return TLY_OK;
}

enum tly_status tly_define_reconcile(struct tly_definitions *definitions, const struct tly_option *options,
                                     uint32_t count, struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  const struct tly_option *reconcile = tly_option_find(options, count, "reconcile");
  const struct tly_option *with = tly_option_find(options, count, "reconcile_with");
  const struct tly_option *tolerance = tly_option_find(options, count, "tolerance");
  uint32_t number = definitions->project->view_count;
  TLY_TRY(check_both(resolver, reconcile, with));
  if (tolerance != NULL) {
    TLY_TRY(check_tolerance(resolver, tolerance));
    view->tolerance = tolerance->value;
  }
  if (reconcile == NULL)
    return TLY_OK;
  TLY_TRY(check_schedule(resolver, reconcile));
  view->reconcile = reconcile->value;
  view->reconcile_with = with->value;
  if (number < TLY_VIEWS_MAX) /* one more is refused later */
    definitions->reconcile_places[number] = (struct tly_place){
        .file = definitions->file, .text = definitions->text, .location = definitions->piece_offset + with->location};
  return TLY_OK;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static enum tly_status no_ledger(struct tly_definitions *definitions, const char *name) {
  const struct tly_project *project = definitions->project;
  struct tly_suggestion suggestion = {.best = NULL};
  (void)TLY_FAIL(&definitions->error, TLY_E_UNDEFINED_TABLE, "ledger \"%s\" does not exist", name);
  for (uint32_t i = 0; i < project->ledger_count; i++)
    tly_suggest(&suggestion, name, project->ledgers[i].name);
  if (suggestion.best != NULL)
    tly_error_hint(&definitions->error, "did you mean %s?", suggestion.best);
  else
    tly_error_hint(&definitions->error, "a ledger is a CREATE FOREIGN TABLE on a server of postgres, sqlite or file");
  return TLY_E_UNDEFINED_TABLE;
}

static enum tly_status add_ledger(struct tly_definitions *definitions, struct tly_view *view, const char *name) {
  const struct tly_ledger *ledger = tly_project_ledger(definitions->project, name);
  if (ledger == NULL)
    return tly_definitions_is_broken(definitions, name) ? TLY_OK : no_ledger(definitions, name);
  for (uint32_t i = 0; i < view->ledger_count; i++)
    if (view->ledgers[i] == ledger)
      return TLY_FAIL(&definitions->error, TLY_E_DUPLICATE_OBJECT, "ledger \"%s\" specified more than once", name);
  if (view->ledger_count == TLY_RECONCILE_LEDGERS_MAX)
    return TLY_FAIL(&definitions->error, TLY_E_TOO_MANY, "a view is reconciled with at most %d ledgers",
                    TLY_RECONCILE_LEDGERS_MAX);
  view->ledgers[view->ledger_count++] = ledger;
  return TLY_OK;
}

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The names between the commas of view->reconcile_with. */
static enum tly_status add_ledgers(struct tly_definitions *definitions, struct tly_view *view) {
  struct tly_arena *arena = definitions->resolver.arena;
  const char *at = view->reconcile_with, *end;
  view->ledgers = (const struct tly_ledger **)TLY_ARENA_ARRAY(arena, void *, TLY_RECONCILE_LEDGERS_MAX);
  for (;; at = end + 1) {
    const char *stop = end = at + strcspn(at, ",");
    while (at < stop && is_space(*at))
      at++;
    while (stop > at && is_space(stop[-1]))
      stop--;
    if (at == stop)
      return TLY_FAIL(&definitions->error, TLY_E_INVALID_PARAMETER,
                      "reconcile_with names ledgers, with commas between them, as 'bank' or 'bank, statement'");
    TLY_TRY(add_ledger(definitions, view, tly_arena_copy(arena, at, (size_t)(stop - at))));
    if (*end == '\0')
      return TLY_OK;
  }
}

void tly_define_reconcile_ledgers(struct tly_definitions *definitions) {
  struct tly_project *project = definitions->project;
  for (uint32_t v = 0; v < project->view_count; v++) {
    const struct tly_place *place = &definitions->reconcile_places[v];
    if (project->views[v].reconcile_with != NULL && add_ledgers(definitions, &project->views[v]) != TLY_OK)
      tly_diagnostics_add(definitions->diagnostics, place->file, place->text, true, place->location,
                          &definitions->error);
  }
}
