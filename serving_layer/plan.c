/* From a typed statement to the SQL that SQLite executes.
 *
 * SQLite is the relational executor and nothing else: it scans merged tables, joins, groups, sorts, runs windows.
 * Client text never reaches it: names are ours (v<view>(<use>), f<scope>_<item>, r<scope>_<column>, ...), literals and
 * parameters are bound, and every expression that is more than a column, a connective or a comparison of two operands
 * of one form is one call tly(?k, column, ...): the evaluator that also folds events.
 *
 * A query level becomes up to three nested SELECTs, each using the columns of the one below:
 *   rows     SELECT ... FROM items WHERE condition
 *   groups   SELECT keys AS k0.., aggregates AS a0.. FROM items WHERE condition GROUP BY keys, seen as g<scope>;
 *            HAVING is the WHERE above it
 *   result   SELECT targets AS r<scope>_0.. [DISTINCT, ORDER BY, LIMIT]
 * What differs from plain emission, and why, stands at each place; the list of traps is in docs/SQL.md. */
#include "serving_layer/plan.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "serving_layer/plan_internal.h"

struct tly_programs *tly_programs_new(const struct tly_project *project) {
  struct tly_programs *programs = tly_calloc(1, sizeof *programs);
  programs->project = project;
  programs->programs = tly_calloc(project->view_count, sizeof(struct tly_view_program *));
  for (uint32_t i = 0; i < project->view_count; i++)
    programs->programs[i] = tly_view_program_new(&project->views[i]);
  return programs;
}

void tly_programs_free(struct tly_programs *programs) {
  if (programs == NULL)
    return;
  for (uint32_t i = 0; i < programs->project->view_count; i++)
    tly_view_program_free(programs->programs[i]);
  tly_free(programs->programs);
  tly_free(programs);
}

uint32_t tly_programs_index(const struct tly_programs *programs, const struct tly_view *view) {
  const struct tly_project *project = programs->project;
  TLY_ASSERT(view >= project->views && view < project->views + project->view_count);
  return (uint32_t)(view - project->views);
}

enum tly_status tly_plan_new(const struct tly_statement *statement, const struct tly_programs *programs,
                             const struct tly_arguments *arguments, struct tly_plan **out, struct tly_error *error) {
  struct tly_plan *plan = tly_calloc(1, sizeof *plan);
  struct tly_planner planner = {.plan = plan, .programs = programs, .arguments = arguments, .error = error};
  uint32_t number;
  tly_arena_init(&plan->arena);
  plan->statement = statement;
  *out = plan;
  enum tly_status status = tly_plan_query(&planner, statement->query, &number, &plan->sql);
  if (status == TLY_OK)
    return TLY_OK;
  tly_plan_free(plan);
  *out = NULL;
  return status;
}

void tly_plan_free(struct tly_plan *plan) {
  if (plan == NULL)
    return;
  for (uint32_t i = 0; i < plan->use_count; i++)
    tly_view_use_free(&plan->uses[i]);
  tly_free(plan->uses);
  tly_free(plan->bindings);
  tly_free(plan->aggregates);
  tly_buffer_free(&plan->sql);
  tly_arena_free(&plan->arena);
  tly_free(plan);
}
