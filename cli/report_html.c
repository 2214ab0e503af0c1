/* Everything is a heading, a list of facts, a text as written, or a table; a table is its columns and its rows, and a
 * cell is a JSON value: an object in it is printed a member a line. */
#include "cli/report_html.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/limits.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#16191d;--soft:#5b6470;--line:#d5dae0;--paper:#fff;--band:#f3f5f7;"
    "--good:#11633a;--bad:#a01c1c;--open:#8a4b00}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa4b1;--line:#39414b;--paper:#14171b;"
    "--band:#1d2228;--good:#5fd394;--bad:#ff8d85;--open:#f2b45c}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--paper);color:var(--ink);"
    "font:15px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem;padding-bottom:.25rem;"
    "border-bottom:2px solid var(--line)}h3{font-size:1rem;margin:1rem 0 .25rem}\n"
    "p{margin:.35rem 0}.soft{color:var(--soft)}\n"
    ".verdict{margin:1rem 0;padding:.8rem 1rem;border:2px solid;border-left-width:.6rem}\n"
    ".verdict strong{display:block;font-size:2.2rem;line-height:1.1;letter-spacing:.02em}\n"
    ".verdict p{color:var(--ink);overflow-wrap:anywhere}\n"
    ".good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--open)}\n"
    "dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.2rem 1rem;margin:.5rem 0}\n"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
    ".mono,pre{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:.86em}\n"
    "pre{margin:.25rem 0;padding:.7rem;background:var(--band);white-space:pre-wrap;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
    "th{background:var(--band);font-weight:600;vertical-align:bottom}\n"
    "th.n,td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "td .soft{font-size:.86em}td{overflow-wrap:break-word}td.long{overflow-wrap:anywhere;min-width:6rem}"
    ".few{width:auto;min-width:20rem}\n"
    "footer{margin-top:2rem;padding-top:.5rem;border-top:1px solid var(--line);color:var(--soft);font-size:.86em}\n"
    ".sign{display:none}\n"
    "@media(max-width:40rem){body{padding:.8rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}"
    ".verdict strong{font-size:1.7rem}}\n"
    "@page{size:A4;margin:15mm}\n"
    "@media print{body{max-width:none;padding:0;font-size:9.5pt}.wide{overflow:visible}tr,dt,dd,.verdict{break-inside:"
    "avoid}thead{display:table-header-group}h2,h3{break-after:avoid}th,td{padding:.2rem .35rem}"
    ".sign{display:grid;grid-template-columns:1fr 1fr 1fr;gap:2rem;margin-top:3rem;break-inside:avoid}"
    ".sign p{border-top:1px solid;padding-top:.2rem}}\n";

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* The next character of valid UTF-8. */
static uint32_t next_character(const char **text) {
  const unsigned char *at = (const unsigned char *)*text;
  int size = at[0] < 0x80 ? 1 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
  uint32_t character = size == 1 ? at[0] : at[0] & (0xFFu >> (size + 1));
  for (int i = 1; i < size; i++)
    character = character << 6 | (at[i] & 0x3Fu);
  *text += size;
  return character;
}

/* Characters that are not seen, or make others seen elsewhere. */
static bool is_deceptive(uint32_t character) {
  return character < 0x20 || (character >= 0x7F && character < 0xA0) || character == 0x61C ||
         (character >= 0x200B && character <= 0x200F) || (character >= 0x2028 && character <= 0x202E) ||
         (character >= 0x2060 && character <= 0x206F) || character == 0xFEFF || character == 0xFFFE ||
         character == 0xFFFF;
}

/* `is_written`: a text with lines of its own. */
static void print_escaped(const char *text, bool is_written, struct tly_buffer *out) {
  while (*text != '\0') {
    const char *start = text;
    uint32_t character = next_character(&text);
    if (character == '&')
      tly_buffer_append_text(out, "&amp;");
    else if (character == '<')
      tly_buffer_append_text(out, "&lt;");
    else if (character == '>')
      tly_buffer_append_text(out, "&gt;");
    else if (character == '"')
      tly_buffer_append_text(out, "&quot;");
    else if (character == '\'')
      tly_buffer_append_text(out, "&#39;");
    else if (is_deceptive(character) && !(is_written && (character == '\n' || character == '\t')))
      tly_buffer_print(out, "<span class=\"bad mono\">U+%04X</span>", character);
    else
      tly_buffer_append(out, start, (size_t)(text - start));
  }
}

static void print_value(const json_t *value, struct tly_buffer *out);

/* A member a line: "n 5". */
static void print_members(const json_t *object, struct tly_buffer *out) {
  const char *name, *separator = "";
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)object, name, value) {
    tly_buffer_append_text(out, separator);
    tly_buffer_append_text(out, "<span class=\"soft\">");
    print_escaped(name, false, out);
    tly_buffer_append_text(out, "</span> ");
    print_value(value, out);
    separator = "<br>";
  }
}

static void print_list(const json_t *list, struct tly_buffer *out) {
  size_t i;
  json_t *value;
  if (json_array_size(list) == 0)
    tly_buffer_append_text(out, "<span class=\"soft\">none</span>");
  json_array_foreach((json_t *)(uintptr_t)list, i, value) {
    tly_buffer_append_text(out, i > 0 ? ", " : "");
    print_value(value, out);
  }
}

static void print_value(const json_t *value, struct tly_buffer *out) {
  if (json_is_string(value) && json_string_length(value) == 0)
    tly_buffer_append_text(out, "<span class=\"soft\">(empty)</span>");
  else if (json_is_string(value))
    print_escaped(json_string_value(value), false, out);
  else if (json_is_object(value))
    print_members(value, out);
  else if (json_is_array(value))
    print_list(value, out);
  else if (value == NULL || json_is_null(value))
    tly_buffer_append_text(out, "<span class=\"soft\">&ndash;</span>");
  else {
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    tly_buffer_append_text(out, text);
    free(text);
  }
}

/* ---- facts ------------------------------------------------------------------------------------------------------- */

static void print_fact(const char *title, const json_t *value, const char *class, struct tly_buffer *out) {
  tly_buffer_print(out, "<dt>%s</dt><dd%s%s%s>", title, *class != '\0' ? " class=\"" : "", class,
                   *class != '\0' ? "\"" : "");
  print_value(value, out);
  tly_buffer_append_text(out, "</dd>\n");
}

static void print_written(const char *title, const json_t *text, struct tly_buffer *out) {
  tly_buffer_print(out, "<h3>%s</h3>\n", title);
  if (!json_is_string(text)) {
    tly_buffer_append_text(out,
                           "<p class=\"soft\">The text is not known; the hash is that of the definition used.</p>\n");
    return;
  }
  tly_buffer_append_text(out, "<pre>");
  print_escaped(json_string_value(text), true, out);
  tly_buffer_append_text(out, "</pre>\n");
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

enum shape { TEXT, NUMBER, LONG }; /* LONG: breaks anywhere, so that a key never makes a table too wide to print */

struct column {
  const char *title, *member;
  enum shape shape;
  const char *beside; /* a member that is printed small below it, or NULL */
};

enum { FEW_COLUMNS = 5 }; /* a table of so many is no wider than it has to be */

static void print_head(const struct column *columns, size_t count, struct tly_buffer *out) {
  tly_buffer_print(out, "<div class=\"wide\"><table%s>\n<thead><tr>", count <= FEW_COLUMNS ? " class=\"few\"" : "");
  for (size_t c = 0; c < count; c++)
    tly_buffer_print(out, "<th%s>%s</th>", columns[c].shape == NUMBER ? " class=\"n\"" : "", columns[c].title);
  tly_buffer_append_text(out, "</tr></thead>\n<tbody>\n");
}

static void print_cell(const struct column *column, const json_t *row, struct tly_buffer *out) {
  const json_t *beside = column->beside != NULL ? json_object_get(row, column->beside) : NULL;
  tly_buffer_append_text(out, column->shape == NUMBER ? "<td class=\"n\">"
                              : column->shape == LONG ? "<td class=\"long\">"
                                                      : "<td>");
  print_value(json_object_get(row, column->member), out);
  if (beside != NULL && !json_is_null(beside)) {
    tly_buffer_append_text(out, "<br><span class=\"soft\">");
    print_value(beside, out);
    tly_buffer_append_text(out, "</span>");
  }
  tly_buffer_append_text(out, "</td>");
}

static void print_table(const struct column *columns, size_t count, const json_t *rows, struct tly_buffer *out) {
  size_t r, all = json_array_size(rows);
  json_t *row;
  print_head(columns, count, out);
  json_array_foreach((json_t *)(uintptr_t)rows, r, row) {
    if (r == TLY_REPORT_ROWS_MAX)
      break;
    tly_buffer_append_text(out, "<tr>");
    for (size_t c = 0; c < count; c++)
      print_cell(&columns[c], row, out);
    tly_buffer_append_text(out, "</tr>\n");
  }
  tly_buffer_append_text(out, "</tbody></table></div>\n");
  if (all > TLY_REPORT_ROWS_MAX)
    tly_buffer_print(out,
                     "<p class=\"bad\">These are the first %d of %zu rows; the json and csv forms of this report "
                     "have all of them.</p>\n",
                     TLY_REPORT_ROWS_MAX, all);
}

#define PRINT_TABLE(columns, rows, out) print_table(columns, sizeof(columns) / sizeof(columns)[0], rows, out)

/* A table under its heading, or that there is nothing to list. */
static void print_heading(const char *title, struct tly_buffer *out) {
  tly_buffer_print(out, "<h2>%s</h2>\n", title);
}

static void print_nothing(const char *words, struct tly_buffer *out) {
  tly_buffer_print(out, "<p class=\"soft\">%s</p>\n", words);
}

/* ---- both reports ------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "";
}

static long long integer_of(const json_t *object, const char *name) {
  return (long long)json_integer_value(json_object_get(object, name));
}

static bool is_run(const json_t *report) {
  return strcmp(text_of(report, "report"), "run") == 0;
}

static bool is_incomplete(const json_t *report) {
  return !json_is_null(json_object_get(report, "reason"));
}

/* "Reconciliation 12: balances against book" */
static void print_name(const json_t *report, struct tly_buffer *out) {
  const json_t *inputs = json_object_get(report, "inputs");
  tly_buffer_print(out, "%s %lld", is_run(report) ? "Run" : "Reconciliation", integer_of(report, "number"));
  if (is_run(report))
    return;
  tly_buffer_append_text(out, ": ");
  print_escaped(text_of(json_object_get(inputs, "tally"), "view"), false, out);
  tly_buffer_append_text(out, " against ");
  print_escaped(text_of(json_object_get(inputs, "ledger"), "name"), false, out);
}

static void print_top(const json_t *report, struct tly_buffer *out) {
  tly_buffer_append_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
  print_name(report, out);
  tly_buffer_print(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
  print_name(report, out);
  tly_buffer_append_text(out, "</h1>\n");
}

/* The result in big letters; the caller adds what it means and closes the box. */
static void begin_verdict(const json_t *report, const char *class, struct tly_buffer *out) {
  tly_buffer_print(out, "<div class=\"verdict %s\"><strong>", class);
  print_escaped(text_of(report, "result"), false, out);
  tly_buffer_append_text(out, "</strong>\n");
  if (!is_incomplete(report))
    return;
  const json_t *reason = json_object_get(report, "reason");
  tly_buffer_append_text(out, "<p><b>");
  print_escaped(text_of(reason, "message"), false, out);
  tly_buffer_append_text(out, "</b> (SQLSTATE ");
  print_escaped(text_of(reason, "sqlstate"), false, out);
  tly_buffer_append_text(out, ")</p>\n");
}

static void print_end(const json_t *report, struct tly_buffer *out) {
  tly_buffer_print(out,
                   "<div class=\"sign\"><p>Reviewed by</p><p>Date</p><p>Signature</p></div>\n"
                   "<footer>tally report %s %lld. Made of what was recorded when it ended: the same report has the "
                   "same bytes whenever it is made. Times are UTC, hashes XXH3-128, amounts exact.</footer>\n"
                   "</body>\n</html>\n",
                   text_of(report, "report"), integer_of(report, "number"));
}

/* ---- a reconciliation -------------------------------------------------------------------------------------------- */

static void print_reconciliation_verdict(const json_t *report, struct tly_buffer *out) {
  const json_t *counts = json_object_get(report, "counts"), *changes = json_object_get(report, "changes");
  bool is_ok = strcmp(text_of(report, "result"), "OK") == 0;
  begin_verdict(report, is_ok ? "good" : "bad", out);
  if (is_incomplete(report))
    tly_buffer_append_text(out,
                           "<p>Nothing was found to agree or to differ: one side was not read to its end. No break "
                           "was changed.</p>\n</div>\n");
  else
    tly_buffer_print(out,
                     "<p>%lld keys: %lld matched, %lld within tolerance, %lld with breaks. Match rate %s %%.</p>\n"
                     "<p>%lld breaks, of which %lld accepted.</p>\n</div>\n",
                     integer_of(counts, "keys"), integer_of(counts, "matched"), integer_of(counts, "within_tolerance"),
                     integer_of(counts, "broken"), text_of(counts, "match_rate"), integer_of(counts, "breaks"),
                     integer_of(changes, "accepted"));
}

static void print_reconciliation_facts(const json_t *report, struct tly_buffer *out) {
  tly_buffer_append_text(out, "<dl>\n");
  print_fact("Started by", json_object_get(report, "started_by"), "", out);
  print_fact("Scheduled for", json_object_get(report, "scheduled_for"), "", out);
  print_fact("Started", json_object_get(report, "started_at"), "", out);
  print_fact("Finished", json_object_get(report, "finished_at"), "", out);
  tly_buffer_append_text(out, "</dl>\n");
}

static void print_totals(const json_t *report, struct tly_buffer *out) {
  static const struct column with_currency[] = {
      {"Total of", "column", TEXT, NULL},     {"Currency", "currency", TEXT, NULL},
      {"Tally", "tally", NUMBER, NULL},       {"Ledger", "ledger", NUMBER, NULL},
      {"Net", "net", NUMBER, NULL},           {"Gross", "gross", NUMBER, NULL},
      {"Accepted", "accepted", NUMBER, NULL}, {"Within tolerance", "within_tolerance", NUMBER, NULL}};
  static const struct column without[] = {{"Total of", "column", TEXT, NULL},
                                          {"Tally", "tally", NUMBER, NULL},
                                          {"Ledger", "ledger", NUMBER, NULL},
                                          {"Net", "net", NUMBER, NULL},
                                          {"Gross", "gross", NUMBER, NULL},
                                          {"Accepted", "accepted", NUMBER, NULL},
                                          {"Within tolerance", "within_tolerance", NUMBER, NULL}};
  const json_t *totals = json_object_get(report, "totals");
  print_heading("Totals of both sides", out);
  if (json_array_size(totals) == 0) {
    print_nothing(is_incomplete(report) ? "Not known." : "No amount is compared.", out);
    return;
  }
  if (json_object_get(json_array_get(totals, 0), "currency") != NULL)
    PRINT_TABLE(with_currency, totals, out);
  else
    PRINT_TABLE(without, totals, out);
  print_nothing(
      "Net is tally less ledger. Gross adds up the size of every difference; accepted and within tolerance say "
      "how much of that was.",
      out);
}

/* {"over":2,...} as rows. */
static void print_kinds(const json_t *report, struct tly_buffer *out) {
  static const struct column columns[] = {{"Kind", "kind", TEXT, NULL}, {"Breaks", "breaks", NUMBER, NULL}};
  json_t *rows = json_array(), *count;
  const char *kind;
  json_object_foreach(json_object_get(report, "kinds"), kind, count) {
    json_array_append_new(rows, json_pack("{s:s,s:O}", "kind", kind, "breaks", count));
  }
  print_heading("Breaks by kind", out);
  PRINT_TABLE(columns, rows, out);
  json_decref(rows);
}

static void print_changes(const json_t *report, struct tly_buffer *out) {
  static const struct column columns[] = {{"New", "new", NUMBER, NULL},
                                          {"Carried", "carried", NUMBER, NULL},
                                          {"Reopened", "reopened", NUMBER, NULL},
                                          {"Cleared", "cleared", NUMBER, NULL}};
  const json_t *changes = json_object_get(report, "changes");
  json_t *rows = json_pack("[O]", changes);
  if (json_is_integer(json_object_get(changes, "previous")))
    tly_buffer_print(out, "<h2>Since reconciliation %lld, the last complete one</h2>\n",
                     integer_of(changes, "previous"));
  else
    print_heading("The first complete reconciliation of the two", out);
  PRINT_TABLE(columns, rows, out);
  json_decref(rows);
}

static void print_aging(const json_t *report, struct tly_buffer *out) {
  static const struct column columns[] = {{"Age in days", "age", TEXT, NULL},
                                          {"Breaks", "breaks", NUMBER, NULL},
                                          {"Open", "open", NUMBER, NULL},
                                          {"Investigating", "investigating", NUMBER, NULL},
                                          {"Accepted", "accepted", NUMBER, NULL}};
  print_heading("Breaks by age", out);
  PRINT_TABLE(columns, json_object_get(report, "aging"), out);
}

static void print_breaks(const json_t *report, const char *title, const char *member, const char *none,
                         struct tly_buffer *out) {
  static const struct column columns[] = {{"No.", "id", NUMBER, NULL},
                                          {"Break", "break", TEXT, "column"},
                                          {"Key", "key", LONG, NULL},
                                          {"Tally", "tally", NUMBER, NULL},
                                          {"Ledger", "ledger", NUMBER, NULL},
                                          {"Difference", "difference", NUMBER, NULL},
                                          {"Change, since", "change", LONG, "since"},
                                          {"Status", "status", TEXT, "status_by"},
                                          {"Why", "status_reason", LONG, "status_at"},
                                          {"Days", "age_days", NUMBER, "age"}};
  const json_t *rows = json_object_get(report, member);
  print_heading(title, out);
  if (json_array_size(rows) == 0)
    print_nothing(none, out);
  else
    PRINT_TABLE(columns, rows, out);
}

static void print_rules(const json_t *report, struct tly_buffer *out) {
  const json_t *rules = json_object_get(report, "rules");
  print_heading("Rules", out);
  tly_buffer_append_text(out, "<dl>\n");
  print_fact("Matched by", json_object_get(rules, "key"), "", out);
  print_fact("Compared", json_object_get(rules, "compared"), "", out);
  print_fact("Only in the view", json_object_get(rules, "only_in_view"), "", out);
  print_fact("Only in the ledger", json_object_get(rules, "only_in_ledger"), "", out);
  print_fact("Tolerance", json_object_get(rules, "tolerance"), "mono", out);
  tly_buffer_append_text(out, "</dl>\n");
  print_nothing(
      "An amount that differs by no more than the tolerance is no break; it is counted and added up above. The "
      "schedule stands in the view's definition.",
      out);
}

static void print_inputs(const json_t *report, struct tly_buffer *out) {
  const json_t *inputs = json_object_get(report, "inputs"), *tally = json_object_get(inputs, "tally"),
               *ledger = json_object_get(inputs, "ledger"), *at = json_object_get(tally, "as_of"),
               *there = json_object_get(ledger, "as_of");
  print_heading("Inputs, and where both sides stood", out);
  tly_buffer_append_text(out, "<h3>Tally</h3>\n<dl>\n");
  print_fact("Published run", json_object_get(at, "run"), "", out);
  print_fact("Cut of that run", json_object_get(at, "cut"), "mono", out);
  print_fact("Archive hash there", json_object_get(at, "cut_chain"), "mono", out);
  print_fact("Live to offset", json_object_get(at, "live"), "mono", out);
  print_fact("Archive hash there", json_object_get(at, "live_chain"), "mono", out);
  if (json_object_get(at, "set_aside") != NULL)
    print_fact("Events set aside", json_object_get(at, "set_aside"), "", out);
  print_fact("Keys", json_object_get(tally, "keys"), "", out);
  print_fact("Definition hash", json_object_get(tally, "definition_hash"), "mono", out);
  tly_buffer_append_text(out, "</dl>\n<h3>Ledger</h3>\n<dl>\n");
  print_fact("Place", json_object_get(there, "place"), "", out);
  print_fact("As of", json_object_get(there, "as_of"), "", out);
  print_fact("Rows", json_object_get(ledger, "rows"), "", out);
  print_fact("Content hash", json_object_get(ledger, "content_hash"), "mono", out);
  tly_buffer_append_text(out, "</dl>\n");
  print_written("Definition of the view, as written", json_object_get(tally, "definition"), out);
  print_written("Definition of the ledger, as written", json_object_get(ledger, "definition"), out);
}

static void print_reconciliation(const json_t *report, struct tly_buffer *out) {
  const json_t *counts = json_object_get(report, "counts");
  print_reconciliation_verdict(report, out);
  print_reconciliation_facts(report, out);
  if (!is_incomplete(report)) {
    print_totals(report, out);
    print_kinds(report, out);
    print_changes(report, out);
    print_aging(report, out);
    print_breaks(report, "Breaks", "breaks", "None: every key agrees, or differs within the tolerance.", out);
    if (integer_of(counts, "kept") < integer_of(counts, "breaks"))
      tly_buffer_print(out,
                       "<p class=\"bad\">Of %lld breaks the first %lld are kept and listed; none was cleared.</p>\n",
                       integer_of(counts, "breaks"), integer_of(counts, "kept"));
    print_breaks(report, "Cleared", "cleared", "No break has gone.", out);
  }
  print_rules(report, out);
  print_inputs(report, out);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static void print_run_verdict(const json_t *report, struct tly_buffer *out) {
  const char *result = text_of(report, "result");
  begin_verdict(report,
                strcmp(result, "NO DRIFT") == 0       ? "good"
                : strcmp(result, "NOT COMPARED") == 0 ? "open"
                                                      : "bad",
                out);
  if (json_is_string(json_object_get(report, "note"))) {
    tly_buffer_append_text(out, "<p>");
    print_value(json_object_get(report, "note"), out);
    tly_buffer_append_text(out, "</p>\n");
  }
  if (strcmp(result, "HELD") == 0) {
    tly_buffer_append_text(out, "<p>When it ended its control totals did not hold, and nothing of it was published: ");
    print_value(json_object_get(report, "hold"), out);
    tly_buffer_append_text(out, "</p>\n");
  }
  if (strcmp(result, "FAILED") == 0)
    tly_buffer_append_text(out, "<p>Nothing of this run was published.</p>\n");
  else if (json_is_null(json_object_get(report, "drift")))
    tly_buffer_append_text(out, "<p>There was nothing under these definitions that the result could be compared "
                                "with.</p>\n");
  else
    tly_buffer_print(out, "<p>Keys whose live totals at the cut differ from the recomputed ones: %lld.</p>\n",
                     integer_of(report, "drift"));
  tly_buffer_append_text(out, "</div>\n");
}

static void print_run_facts(const json_t *report, struct tly_buffer *out) {
  tly_buffer_append_text(out, "<dl>\n");
  print_fact("Started by", json_object_get(report, "started_by"), "", out);
  print_fact("Job", json_object_get(report, "job"), "", out);
  print_fact("Attempt", json_object_get(report, "attempt"), "", out);
  print_fact("Started", json_object_get(report, "started_at"), "", out);
  print_fact("Finished", json_object_get(report, "finished_at"), "", out);
  print_fact("Duration in ms", json_object_get(report, "duration_ms"), "", out);
  print_fact("Events", json_object_get(report, "events"), "", out);
  print_fact("Of these, folded by earlier runs", json_object_get(report, "reused"), "", out);
  tly_buffer_append_text(out, "</dl>\n");
}

static bool has_checks(const json_t *views) {
  size_t i;
  json_t *view;
  json_array_foreach((json_t *)(uintptr_t)views, i, view) {
    if (json_is_string(json_object_get(view, "check")))
      return true;
  }
  return false;
}

static void print_checks(const json_t *report, struct tly_buffer *out) {
  static const struct column checks[] = {{"View", "view", TEXT, NULL},
                                         {"Must be true", "check", LONG, NULL},
                                         {"Is", "verdict", TEXT, NULL},
                                         {"Found", "found", LONG, NULL}};
  const json_t *views = json_object_get(report, "views");
  print_heading("Control totals", out);
  if (has_checks(views))
    PRINT_TABLE(checks, views, out);
  else
    print_nothing("The views have none but their drift.", out);
}

static void print_run_tables(const json_t *report, struct tly_buffer *out) {
  static const struct column views[] = {{"View", "view", TEXT, NULL},
                                        {"Groups", "groups", NUMBER, NULL},
                                        {"Folded", "folded", NUMBER, NULL},
                                        {"Filtered", "filtered", NUMBER, NULL},
                                        {"Set aside", "set_aside", NUMBER, NULL},
                                        {"Drift", "drift", NUMBER, NULL},
                                        {"Scheduled for", "scheduled_for", TEXT, NULL}};
  static const struct column drift[] = {{"View", "view", TEXT, NULL},
                                        {"Key", "key", LONG, NULL},
                                        {"Live", "live", NUMBER, NULL},
                                        {"Recomputed", "recomputed", NUMBER, NULL}};
  static const struct column aside[] = {{"View", "view", TEXT, NULL},
                                        {"Partition", "partition", NUMBER, NULL},
                                        {"Offset", "offset", NUMBER, NULL},
                                        {"SQLSTATE", "sqlstate", TEXT, NULL},
                                        {"Message", "message", LONG, NULL}};
  print_heading("Views", out);
  PRINT_TABLE(views, json_object_get(report, "views"), out);
  print_checks(report, out);
  print_heading("Drift", out);
  if (json_array_size(json_object_get(report, "drift_rows")) == 0)
    print_nothing("No key is listed.", out);
  else
    PRINT_TABLE(drift, json_object_get(report, "drift_rows"), out);
  print_heading("Events set aside", out);
  if (json_array_size(json_object_get(report, "set_aside_events")) == 0)
    print_nothing("None.", out);
  else
    PRINT_TABLE(aside, json_object_get(report, "set_aside_events"), out);
}

static void print_run(const json_t *report, struct tly_buffer *out) {
  static const struct column cut[] = {{"Stream", "stream", TEXT, NULL},
                                      {"Partition", "partition", NUMBER, NULL},
                                      {"Events below offset", "next_offset", NUMBER, NULL},
                                      {"Archive hash there", "chain", LONG, NULL}};
  size_t i;
  json_t *view;
  print_run_verdict(report, out);
  print_run_facts(report, out);
  print_run_tables(report, out);
  tly_buffer_print(out, "<h2>Inputs: cut %lld</h2>\n", integer_of(report, "number"));
  PRINT_TABLE(cut, json_object_get(report, "cut"), out);
  json_array_foreach(json_object_get(report, "views"), i, view) {
    tly_buffer_append_text(out, "<h2>View ");
    print_value(json_object_get(view, "view"), out);
    tly_buffer_append_text(out, "</h2>\n<dl>\n");
    print_fact("Definition hash", json_object_get(view, "definition_hash"), "mono", out);
    print_fact("Content hash", json_object_get(view, "content_hash"), "mono", out);
    tly_buffer_append_text(out, "</dl>\n");
    print_written("Definition, as written", json_object_get(view, "definition"), out);
  }
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

void tly_report_html(const json_t *report, struct tly_buffer *out) {
  print_top(report, out);
  if (is_run(report))
    print_run(report, out);
  else
    print_reconciliation(report, out);
  print_end(report, out);
}
