#include "common/sql/system_relation.h"

#include <string.h>

/* Names avoid words that SQL reserves: a position's offset is event_offset. */

static const struct tly_system_column runs[] = {
    {"run", TLY_TYPE_BIGINT, false, "its number, and that of its cut"},
    {"state", TLY_TYPE_TEXT, false, "running, ready, held, failed, withdrawn (its files are deleted) or rejected"},
    {"reason", TLY_TYPE_TEXT, false, "schedule, manual, or definition (new or changed)"},
    {"started_at", TLY_TYPE_TIMESTAMPTZ, false, ""},
    {"finished_at", TLY_TYPE_TIMESTAMPTZ, true, ""},
    {"job", TLY_TYPE_TEXT, true, "whose views it computed together"},
    {"attempt", TLY_TYPE_BIGINT, true, "of a scheduled run, from 1"},
    {"events", TLY_TYPE_BIGINT, true, "events below its cut"},
    {"reused", TLY_TYPE_BIGINT, true, "of them, those that were not folded again"},
    {"is_full", TLY_TYPE_BOOLEAN, false, "all of them were to be folded again"},
    {"drift", TLY_TYPE_BIGINT, true, "groups in which live and recomputed differ; NULL: not compared"},
    {"error", TLY_TYPE_TEXT, true, "why it failed"},
    {"sqlstate", TLY_TYPE_TEXT, true, ""},
    {"note", TLY_TYPE_TEXT, true, "what else to know of it"},
    {"hold", TLY_TYPE_TEXT, true, "which control totals did not hold"},
    {"released_at", TLY_TYPE_TIMESTAMPTZ, true, "when an operator let it go live after all"},
    {"released_by", TLY_TYPE_TEXT, true, "who"},
    {"released_reason", TLY_TYPE_TEXT, true, "and why"},
};

static const struct tly_system_column run_views[] = {
    {"run", TLY_TYPE_BIGINT, false, ""},
    {"view", TLY_TYPE_TEXT, false, ""},
    {"definition", TLY_TYPE_TEXT, false, "hash of the definition it was computed by"},
    {"groups", TLY_TYPE_BIGINT, true, "NULL while it runs"},
    {"folded", TLY_TYPE_BIGINT, true, "events in the totals"},
    {"filtered", TLY_TYPE_BIGINT, true, "events that WHERE left out"},
    {"set_aside", TLY_TYPE_BIGINT, true, "events on which an expression raised"},
    {"drift", TLY_TYPE_BIGINT, true, "groups that differ; NULL: not compared"},
    {"check_text", TLY_TYPE_TEXT, true, "its check as it was then"},
    {"check_verdict", TLY_TYPE_TEXT, true, "true: it holds; false, null or error"},
    {"check_found", TLY_TYPE_TEXT, true, "the values it was computed from"},
};

static const struct tly_system_column run_positions[] = {
    {"run", TLY_TYPE_BIGINT, false, ""},
    {"stream", TLY_TYPE_TEXT, false, ""},
    {"partition", TLY_TYPE_INTEGER, false, ""},
    {"next_offset", TLY_TYPE_BIGINT, false, "events with lower offsets are in the run"},
    {"chain", TLY_TYPE_TEXT, false, "running hash over those events"},
};

static const struct tly_system_column drift[] = {
    {"run", TLY_TYPE_BIGINT, false, ""},
    {"view", TLY_TYPE_TEXT, false, ""},
    {"key", TLY_TYPE_TEXT, false, "the group's key columns, a JSON array"},
    {"live", TLY_TYPE_TEXT, true, "the columns that differ, a JSON object; NULL: no such group"},
    {"recomputed", TLY_TYPE_TEXT, true, "the same of the run"},
    {"explanation", TLY_TYPE_TEXT, true, "which events explain it, a JSON object; NULL: not searched for"},
};

static const struct tly_system_column set_aside[] = {
    {"run", TLY_TYPE_BIGINT, true, "NULL: live, above the published run's cut"},
    {"view", TLY_TYPE_TEXT, false, ""},
    {"partition", TLY_TYPE_INTEGER, false, ""},
    {"event_offset", TLY_TYPE_BIGINT, false, ""},
    {"sqlstate", TLY_TYPE_TEXT, false, "what the expression raised"},
    {"message", TLY_TYPE_TEXT, false, ""},
};

static const struct tly_system_column views[] = {
    {"view", TLY_TYPE_TEXT, false, ""},
    {"stream", TLY_TYPE_TEXT, false, ""},
    {"state", TLY_TYPE_TEXT, false, "ready, or building: it does not answer yet"},
    {"definition", TLY_TYPE_TEXT, false, "hash of its definition"},
    {"run", TLY_TYPE_BIGINT, true, "the published run"},
    {"cut", TLY_TYPE_BIGINT, true, "its cut"},
    {"groups", TLY_TYPE_BIGINT, true, "in that run"},
    {"folded", TLY_TYPE_BIGINT, false, "events in the totals, run and live together"},
    {"filtered", TLY_TYPE_BIGINT, false, "events that WHERE left out"},
    {"set_aside", TLY_TYPE_BIGINT, false, "events on which an expression raised"},
    {"recompute", TLY_TYPE_TEXT, true, "when it is recomputed, a cron text"},
    {"time_zone", TLY_TYPE_TEXT, true, "by whose clocks; NULL: UTC"},
    {"check_text", TLY_TYPE_TEXT, true, "its check"},
    {"held", TLY_TYPE_BIGINT, true, "the newest run that is held and not published"},
};

static const struct tly_system_column streams[] = {
    {"stream", TLY_TYPE_TEXT, false, ""},
    {"format", TLY_TYPE_TEXT, false, "json or csv"},
    {"event_time", TLY_TYPE_TEXT, true, "the column that has it"},
    {"definition", TLY_TYPE_TEXT, false, "hash of its definition"},
};

static const struct tly_system_column partitions[] = {
    {"stream", TLY_TYPE_TEXT, false, ""},
    {"partition", TLY_TYPE_INTEGER, false, ""},
    {"archived", TLY_TYPE_BIGINT, false, "the offset the next event gets"},
    {"folded", TLY_TYPE_BIGINT, false, "events below it are in the live views"},
    {"lag", TLY_TYPE_BIGINT, false, "events between the two"},
};

static const struct tly_system_column reconciliations[] = {
    {"reconciliation", TLY_TYPE_BIGINT, false, "its number"},
    {"view", TLY_TYPE_TEXT, false, ""},
    {"ledger", TLY_TYPE_TEXT, false, ""},
    {"reason", TLY_TYPE_TEXT, false, "manual or schedule"},
    {"started_at", TLY_TYPE_TIMESTAMPTZ, false, ""},
    {"finished_at", TLY_TYPE_TIMESTAMPTZ, false, ""},
    {"result", TLY_TYPE_TEXT, false, "OK, BREAKS or INCOMPLETE"},
    {"keys", TLY_TYPE_BIGINT, true, "of both sides together; NULL, as all counts, of an incomplete one"},
    {"matched", TLY_TYPE_BIGINT, true, ""},
    {"within_tolerance", TLY_TYPE_BIGINT, true, ""},
    {"breaks", TLY_TYPE_BIGINT, true, ""},
    {"new", TLY_TYPE_BIGINT, true, "breaks that the complete one before did not see"},
    {"carried", TLY_TYPE_BIGINT, true, "breaks that it saw, too"},
    {"reopened", TLY_TYPE_BIGINT, true, "of the new ones, those that were there before it"},
    {"cleared", TLY_TYPE_BIGINT, true, "breaks that are gone since"},
    {"tolerance", TLY_TYPE_TEXT, true, ""},
    {"definition", TLY_TYPE_TEXT, false, "hash of the view's definition"},
    {"ledger_hash", TLY_TYPE_TEXT, true, "hash of the ledger's rows as they were read"},
    {"totals", TLY_TYPE_TEXT, true, "of both sides by column and currency, JSON"},
    {"error", TLY_TYPE_TEXT, true, "why it is incomplete"},
    {"sqlstate", TLY_TYPE_TEXT, true, ""},
};

static const struct tly_system_column breaks[] = {
    {"break", TLY_TYPE_BIGINT, false, "its number"},
    {"view", TLY_TYPE_TEXT, false, ""},
    {"ledger", TLY_TYPE_TEXT, false, ""},
    {"key", TLY_TYPE_TEXT, false, "a JSON object of the group's columns"},
    {"column_name", TLY_TYPE_TEXT, true, "the one that differs; NULL: the key as a whole"},
    {"kind", TLY_TYPE_TEXT, false, "over, short, differs, missing_in_ledger, missing_in_tally, duplicate_in_ledger"},
    {"status", TLY_TYPE_TEXT, false, "open, investigating, resolved or accepted"},
    {"present", TLY_TYPE_BOOLEAN, false, "the last complete reconciliation saw it"},
    {"first_seen", TLY_TYPE_BIGINT, false, "by this reconciliation"},
    {"first_seen_at", TLY_TYPE_TIMESTAMPTZ, false, ""},
    {"last_seen", TLY_TYPE_BIGINT, false, ""},
    {"last_seen_at", TLY_TYPE_TIMESTAMPTZ, false, ""},
    {"times_seen", TLY_TYPE_BIGINT, false, ""},
    {"since", TLY_TYPE_TIMESTAMPTZ, false, "when it came, the last time it did"},
    {"gone_at", TLY_TYPE_TIMESTAMPTZ, true, "when it was seen to be gone"},
    {"tally", TLY_TYPE_TEXT, false, "tally's values when last seen, JSON"},
    {"ledger_values", TLY_TYPE_TEXT, false, "the ledger's"},
    {"difference", TLY_TYPE_TEXT, false, "of amounts, tally less ledger, JSON"},
};

#define RELATION(number, text_name, array, words)                                                                      \
  [number] = {                                                                                                         \
      .id = number, .name = text_name, .about = words, .columns = array, .column_count = sizeof array / sizeof *array}

const struct tly_system_relation tly_system_relations[TLY_SYSTEM_RELATION_COUNT] = {
    RELATION(TLY_SYSTEM_RUNS, "runs", runs, "what the batch layer has computed, or tried to"),
    RELATION(TLY_SYSTEM_RUN_VIEWS, "run_views", run_views, "the views of each run"),
    RELATION(TLY_SYSTEM_RUN_POSITIONS, "run_positions", run_positions, "the cut of each run"),
    RELATION(TLY_SYSTEM_DRIFT, "drift", drift, "groups that differed at a run, the first 1,000 of each"),
    RELATION(TLY_SYSTEM_SET_ASIDE, "set_aside", set_aside, "events in no total, the first 1,000 of a view and run"),
    RELATION(TLY_SYSTEM_VIEWS, "views", views, "the project's views"),
    RELATION(TLY_SYSTEM_STREAMS, "streams", streams, "the project's streams"),
    RELATION(TLY_SYSTEM_PARTITIONS, "partitions", partitions, "how far each partition is archived and folded"),
    RELATION(TLY_SYSTEM_RECONCILIATIONS, "reconciliations", reconciliations, "views compared with ledgers"),
    RELATION(TLY_SYSTEM_BREAKS, "breaks", breaks, "differences between views and ledgers, resolved ones too"),
};

const struct tly_system_relation *tly_system_relation(const char *name) {
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++)
    if (strcmp(tly_system_relations[i].name, name) == 0)
      return &tly_system_relations[i];
  return NULL;
}
