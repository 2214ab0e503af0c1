/* tests/batch_layer/break_rig.h -- a batch.db with a break store on it, a view `v` and a ledger `l`; reconciliations
 * are written as the breaks that they see. */
#ifndef TLY_TESTS_BREAK_RIG_H
#define TLY_TESTS_BREAK_RIG_H

#include "tests/common/store/view_fixture.h"

#include "batch_layer/break_store.h"

#define BREAK_RIG_PROJECT                                                                                              \
  "CREATE FOREIGN TABLE e (k text, n bigint) SERVER embedded; CREATE SERVER files FOREIGN DATA WRAPPER file;"          \
  "CREATE FOREIGN TABLE l (k text, n bigint) SERVER files OPTIONS (filename 'l.csv');"                                 \
  "CREATE FOREIGN TABLE m (k text, n bigint) SERVER files OPTIONS (filename 'm.csv');"                                 \
  "CREATE MATERIALIZED VIEW v WITH (reconcile = '0 * * * *', reconcile_with = 'l, m') AS"                              \
  " SELECT k, sum(n) AS n FROM e GROUP BY k;"

enum { BREAK_RIG_HEARD_MAX = 16 };

static struct break_rig {
  char folder[64];
  struct tly_project *project;
  tly_batch_store *store;
  tly_break_store *breaks;
  tly_break_reader *reader;
  struct tly_arena arena;
  struct tly_break_mark heard[BREAK_RIG_HEARD_MAX]; /* of the last reconciliation */
  int heard_count;
} break_rig;

static inline void break_rig_open(void) {
  memset(&break_rig, 0, sizeof break_rig);
  snprintf(break_rig.folder, sizeof break_rig.folder, "/tmp/tally-test-breaks-XXXXXX");
  assert_non_null(mkdtemp(break_rig.folder));
  tly_arena_init(&break_rig.arena);
  break_rig.project = parse_project(BREAK_RIG_PROJECT);
  CHECK_OK(tly_batch_store_open(break_rig.folder, 0, &break_rig.store, &test_error));
  CHECK_OK(tly_break_store_open(break_rig.store, &break_rig.breaks, &test_error));
  CHECK_OK(tly_break_reader_open(break_rig.folder, &break_rig.reader, &test_error));
}

static inline void break_rig_close(void) {
  tly_break_reader_close(break_rig.reader);
  tly_break_store_close(break_rig.breaks);
  tly_batch_store_close(break_rig.store);
  tly_project_free(break_rig.project);
  tly_arena_free(&break_rig.arena);
  CHECK_OK(tly_file_remove_tree(break_rig.folder, &test_error));
}

static inline enum tly_status break_rig_hear(void *context, const struct tly_break_record *record,
                                             const struct tly_break_mark *mark, struct tly_error *error) {
  (void)context;
  (void)record;
  (void)error;
  if (break_rig.heard_count < BREAK_RIG_HEARD_MAX)
    break_rig.heard[break_rig.heard_count++] = *mark;
  return TLY_OK;
}

static inline void break_rig_conclude(void *context, struct tly_reconciliation *end) {
  (void)context;
  end->totals = "[]";
}

/* "a 5 b -1": key a has a break of 5, key b one of -1; "over" and "short" are their kinds. Gives how many. */
static inline int64_t break_rig_write(const char *seen) {
  tly_break_writer *writer;
  char key[32], json_key[64], difference[64];
  int64_t amount, count = 0;
  int size;
  CHECK_OK(tly_break_writer_open(break_rig.folder, &writer, &test_error));
  for (; sscanf(seen, " %31s %" SCNd64 "%n", key, &amount, &size) == 2; seen += size, count++) {
    snprintf(json_key, sizeof json_key, "{\"k\":\"%s\"}", key);
    snprintf(difference, sizeof difference, "{\"n\":\"%" PRId64 "\"}", amount);
    struct tly_break_record record = {.kind = amount > 0 ? TLY_BREAK_OVER : TLY_BREAK_SHORT,
                                      .column = tly_text_of("n"),
                                      .key = tly_text_of(json_key),
                                      .tally = tly_text_of("{\"n\":9}"),
                                      .ledger = tly_text_of("{\"n\":1}"),
                                      .difference = tly_text_of(difference),
                                      .ledger_rows = 1};
    memcpy(record.fingerprint.bytes, &amount, sizeof amount);
    CHECK_OK(tly_break_writer_add(writer, &record, &test_error));
  }
  CHECK_OK(tly_break_writer_flush(writer, &test_error));
  tly_break_writer_close(writer);
  return count;
}

/* A reconciliation of v with `ledger` at `at_us` that sees these breaks, and `beyond` more that are not handed over;
 * NULL: an incomplete one. */
static inline struct tly_reconciliation break_rig_reconcile(const char *ledger, const char *seen, int64_t beyond,
                                                            int64_t at_us) {
  struct tly_reconciliation end = {.view = "v",
                                   .ledger = ledger,
                                   .reason = "manual",
                                   .started_at_us = at_us - 1,
                                   .finished_at_us = at_us,
                                   .result = "INCOMPLETE",
                                   .tolerance = "0",
                                   .columns = "{}",
                                   .as_of = "{}",
                                   .keys = -1,
                                   .matched = -1,
                                   .within_tolerance = -1,
                                   .broken = -1,
                                   .tally_keys = -1,
                                   .ledger_rows = -1,
                                   .breaks = -1,
                                   .kept = -1};
  tly_break_source *source = NULL;
  break_rig.heard_count = 0;
  if (seen == NULL) {
    end.error = "nobody is there";
    end.sqlstate = "08006";
  } else {
    end.kept = break_rig_write(seen);
    end.breaks = end.kept + beyond;
    end.result = end.breaks > 0 ? "BREAKS" : "OK";
    CHECK_OK(tly_break_source_open(break_rig.folder, &source, &test_error));
  }
  struct tly_break_listener listener = {.hear = break_rig_hear, .conclude = break_rig_conclude};
  struct tly_fired_minute none = {.view = NULL};
  CHECK_OK(tly_break_store_end(break_rig.breaks, &end, source, listener, none, &test_error));
  tly_break_source_close(source);
  return end;
}

#endif
