#include "batch_layer/ledger_report.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/store/run_reader.h"

/* Words that come from elsewhere may have been cut in the middle of a character. */
static void print_text(const char *text, size_t size, struct tly_buffer *out) {
  while (size > 0 && !tly_text_is_valid(text, size))
    size--;
  tly_json_print_text(text, size, out);
}

static void print_member(const char *name, const char *text, struct tly_buffer *out) {
  tly_buffer_print(out, "\"%s\":", name);
  print_text(text, strlen(text), out);
}

static void print_decimal(const char *name, struct tly_decimal value, struct tly_buffer *out) {
  tly_buffer_print(out, "\"%s\":\"", name);
  tly_decimal_print(value, out);
  tly_buffer_append_byte(out, '"');
}

/* ---- what is compared -------------------------------------------------------------------------------------------- */

static void print_names(const char *name, const char *const *names, uint32_t count, struct tly_buffer *out) {
  tly_buffer_print(out, ",\"%s\":[", name);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0)
      tly_buffer_append_byte(out, ',');
    tly_json_print_text(names[i], strlen(names[i]), out);
  }
  tly_buffer_append_byte(out, ']');
}

static void print_pairs(const char *name, const struct tly_ledger_pair *pairs, uint32_t count, struct tly_buffer *out) {
  tly_buffer_print(out, ",\"%s\":[", name);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0)
      tly_buffer_append_byte(out, ',');
    tly_json_print_text(pairs[i].name, strlen(pairs[i].name), out);
  }
  tly_buffer_append_byte(out, ']');
}

static void print_columns(const struct tly_ledger_match *match, struct tly_buffer *out) {
  print_pairs("key", match->keys, match->key_count, out);
  print_pairs("compared", match->compared, match->compared_count, out);
  print_names("only_in_view", match->only_in_view, match->only_in_view_count, out);
  print_names("only_in_ledger", match->only_in_ledger, match->only_in_ledger_count, out);
}

/* ---- what came out ----------------------------------------------------------------------------------------------- */

/* Per cent of the keys that have no break, two digits, never rounded up: 100.00 is all of them. */
static void print_match_rate(const struct tly_comparison *comparison, struct tly_buffer *out) {
  uint64_t fine = comparison->matched + comparison->within_tolerance, rate = 10000;
  if (comparison->keys > 0)
    rate = (uint64_t)((tly_u128)fine * 10000 / comparison->keys);
  tly_buffer_print(out, ",\"match_rate\":\"%" PRIu64 ".%02" PRIu64 "\"", rate / 100, rate % 100);
}

static void print_counts(const struct tly_comparison *comparison, struct tly_buffer *out) {
  const struct tly_break_list *breaks = &comparison->breaks;
  tly_buffer_print(out,
                   ",\"keys\":%" PRIu64 ",\"matched\":%" PRIu64 ",\"within_tolerance\":%" PRIu64 ",\"broken\":%" PRIu64
                   ",\"tally_keys\":%" PRIu64 ",\"ledger_rows\":%" PRIu64,
                   comparison->keys, comparison->matched, comparison->within_tolerance, comparison->broken,
                   comparison->tally_keys, comparison->ledger_rows);
  print_match_rate(comparison, out);
  tly_buffer_print(out, ",\"breaks\":%" PRIu64 ",\"kinds\":{", breaks->count);
  for (int kind = 0; kind < TLY_BREAK_KIND_COUNT; kind++)
    tly_buffer_print(out, "%s\"%s\":%" PRIu64, kind > 0 ? "," : "", tly_break_name((enum tly_break_kind)kind),
                     breaks->kinds[kind]);
  tly_buffer_print(out, "},\"kept\":%" PRIu64, breaks->kept);
}

static enum tly_status print_amount(const struct tly_amount_totals *totals, struct tly_buffer *out) {
  struct tly_decimal net;
  struct tly_arena arena;
  tly_arena_init(&arena);
  enum tly_status status = tly_decimal_subtract(totals->tally.value, totals->ledger.value, &arena, &net, NULL);
  print_decimal("tally", totals->tally.value, out);
  tly_buffer_append_byte(out, ',');
  print_decimal("ledger", totals->ledger.value, out);
  tly_buffer_append_byte(out, ',');
  if (status == TLY_OK)
    print_decimal("net", net, out);
  tly_buffer_append_byte(out, ',');
  print_decimal("gross", totals->gross.value, out);
  tly_buffer_append_byte(out, ',');
  print_decimal("within_tolerance", totals->within_tolerance.value, out);
  tly_arena_free(&arena);
  return status;
}

/* A total of one amount, by currency where there is one; without a key nothing was added up. */
static void print_totals(const struct tly_ledger_totals *totals, struct tly_buffer *out) {
  const struct tly_ledger_match *match = totals->match;
  bool is_first = true;
  tly_buffer_append_text(out, ",\"totals\":[");
  for (uint32_t e = 0; e < totals->count; e++) {
    const struct tly_currency_totals *entry = &totals->entries[e];
    for (uint32_t c = 0, amount = 0; c < match->compared_count; c++) {
      if (!match->compared[c].is_amount)
        continue;
      tly_buffer_append_text(out, is_first ? "{" : ",{");
      is_first = false;
      print_member("column", match->compared[c].name, out);
      if (match->currency >= 0)
        tly_buffer_print(out, ",\"currency\":%s", entry->currency != NULL ? entry->currency : "\"(others)\"");
      tly_buffer_append_byte(out, ',');
      TLY_ASSERT(print_amount(&entry->amounts[amount++], out) == TLY_OK); /* |net| <= gross, which is a decimal */
      tly_buffer_append_byte(out, '}');
    }
  }
  tly_buffer_append_byte(out, ']');
}

/* ---- where both sides stood -------------------------------------------------------------------------------------- */

static const struct tly_position *position_of(const struct tly_position *positions, uint32_t count,
                                              uint32_t partition) {
  for (uint32_t i = 0; i < count; i++)
    if (positions[i].partition == partition)
      return &positions[i];
  return NULL;
}

/* An offset, or the running hash of the archive there; of a partition without events 0, or null. */
static void print_position(const struct tly_position *position, bool as_chain, struct tly_buffer *out) {
  char digits[33];
  if (!as_chain) {
    tly_buffer_print(out, "%" PRId64, position != NULL ? position->next_offset : 0);
  } else if (position == NULL) {
    tly_buffer_append_text(out, "null");
  } else {
    tly_run_hash_print(&position->chain, digits);
    tly_buffer_print(out, "\"%s\"", digits);
  }
}

/* {"payments":[120000]}: by partition. */
static void print_positions(const char *name, const char *stream, const struct tly_position *positions, uint32_t count,
                            bool as_chain, struct tly_buffer *out) {
  uint32_t partitions = 0;
  for (uint32_t i = 0; i < count; i++)
    partitions = positions[i].partition >= partitions ? positions[i].partition + 1 : partitions;
  tly_buffer_print(out, ",\"%s\":{", name);
  tly_json_print_text(stream, strlen(stream), out);
  tly_buffer_append_text(out, ":[");
  for (uint32_t p = 0; p < partitions; p++) {
    if (p > 0)
      tly_buffer_append_byte(out, ',');
    print_position(position_of(positions, count, p), as_chain, out);
  }
  tly_buffer_append_text(out, "]}");
}

static void print_view_facts(const struct tly_view *view, const struct tly_merged_view_facts *facts,
                             struct tly_buffer *out) {
  char hash[33];
  tly_run_hash_print(&view->hash, hash);
  tly_buffer_print(out, "{\"run\":%" PRId64, facts->run);
  print_positions("cut", view->stream->name, facts->cut, facts->cut_count, false, out);
  print_positions("cut_chain", view->stream->name, facts->cut, facts->cut_count, true, out);
  print_positions("live", view->stream->name, facts->live, facts->live_count, false, out);
  print_positions("live_chain", view->stream->name, facts->live, facts->live_count, true, out);
  tly_buffer_print(out, ",\"definition\":\"%s\"", hash);
  if (facts->set_aside > 0)
    tly_buffer_print(out, ",\"set_aside\":%" PRIu64, facts->set_aside);
  tly_buffer_append_byte(out, '}');
}

static void print_ledger_facts(const struct tly_ledger_facts *facts, const struct tly_hash *hash,
                               struct tly_buffer *out) {
  char digits[33];
  tly_buffer_append_text(out, "{\"place\":");
  print_text((const char *)facts->place.data, facts->place.size, out);
  tly_buffer_append_text(out, ",\"as_of\":");
  print_text((const char *)facts->as_of.data, facts->as_of.size, out);
  if (hash != NULL) {
    tly_run_hash_print(hash, digits);
    tly_buffer_print(out, ",\"hash\":\"%s\"", digits);
  }
  tly_buffer_append_byte(out, '}');
}

static void print_as_of(const struct tly_ledger_report *report, struct tly_buffer *out) {
  tly_buffer_append_text(out, ",\"as_of\":{\"tally\":");
  if (report->view_facts != NULL)
    print_view_facts(report->match->view, report->view_facts, out);
  else
    tly_buffer_append_text(out, "null");
  tly_buffer_append_text(out, ",\"ledger\":");
  if (report->ledger_facts != NULL)
    print_ledger_facts(report->ledger_facts, report->ledger_hash, out);
  else
    tly_buffer_append_text(out, "null");
  tly_buffer_append_byte(out, '}');
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void print_reason(const struct tly_error *why, struct tly_buffer *out) {
  tly_buffer_print(out, ",\"reason\":{\"sqlstate\":\"%s\",", tly_status_sqlstate(why->status));
  print_member("message", why->message, out);
  if (why->hint[0] != '\0') {
    tly_buffer_append_byte(out, ',');
    print_member("hint", why->hint, out);
  }
  tly_buffer_append_byte(out, '}');
}

void tly_ledger_report_print(const struct tly_ledger_report *report, struct tly_buffer *out) {
  const struct tly_comparison *comparison = report->comparison;
  bool is_complete = report->why == NULL;
  TLY_ASSERT(is_complete == (comparison != NULL));
  tly_buffer_append_byte(out, '{');
  print_member("view", report->match->view->name, out);
  tly_buffer_append_byte(out, ',');
  print_member("against", report->match->ledger->name, out);
  tly_buffer_print(out, ",\"result\":\"%s\"",
                   !is_complete                   ? "INCOMPLETE"
                   : comparison->breaks.count > 0 ? "BREAKS"
                                                  : "OK");
  if (!is_complete)
    print_reason(report->why, out);
  print_columns(report->match, out);
  tly_buffer_append_byte(out, ',');
  print_decimal("tolerance", report->tolerance, out);
  if (is_complete) {
    print_counts(comparison, out);
    print_totals(&comparison->totals, out);
  }
  print_as_of(report, out);
  tly_buffer_append_byte(out, '}');
}
