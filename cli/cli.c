/* The table of commands. Texts of help are written to teach: what it does, what comes out, an example. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch_layer/archiver.h"
#include "batch_layer/batch.h"
#include "batch_layer/ledger_main.h"
#include "batch_layer/recompute.h"
#include "cli/command.h"
#include "common/base/memory.h"
#include "serving_layer/serve.h"
#include "speed_layer/speed.h"

#define CLIENT_OPTIONS                                                                                                 \
  "Where the server is:\n"                                                                                             \
  "  --data DIR         its data folder (default ./tally-data)\n"                                                      \
  "  --socket PATH      its unix socket (default DIR/tally.sock)\n"                                                    \
  "  --host HOST:PORT   its TCP address, when it was started with --listen\n"

#define PROCESS_OPTIONS                                                                                                \
  "Options (flag > environment TALLY_DATA, TALLY_LISTEN, ... > tally.conf > default):\n"                               \
  "  --data DIR                data folder (./tally-data)\n"                                                           \
  "  --listen HOST:PORT        also answer on TCP (off; there is no password, so bind to a trusted address)\n"         \
  "  --config FILE             settings file (PROJECT/tally.conf if it is there): key = value under [tally]\n"         \
  "  --recompute-threads N     threads of a recompute (0: all cores)\n"                                                \
  "  --query-timeout-ms N      deadline of a query (10000)\n"                                                          \
  "  --query-memory-bytes N    memory of a query (268435456)\n"                                                        \
  "  --keep-runs N             published runs kept a view (3)\n"                                                       \
  "  --seal-bytes N            the active archive file is sealed at this size (67108864) ...\n"                        \
  "  --seal-age-s N            ... or at this age in seconds (3600)\n"                                                 \
  "  --ledger-folder DIR       where relative paths of ledgers begin (PROJECT)\n"

static int start_layer(struct tly_options *options, int (*layer)(const struct tly_settings *settings)) {
  struct tly_project *project = tly_command_load_project(options->settings.project);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  tly_project_free(project);
  return layer(&options->settings);
}

static int run_archiver(struct tly_options *options) {
  return start_layer(options, tly_archiver_main);
}

static int run_batch(struct tly_options *options) {
  return start_layer(options, tly_batch_main);
}

static int run_speed(struct tly_options *options) {
  return start_layer(options, tly_speed_main);
}

static int run_serve(struct tly_options *options) {
  return start_layer(options, tly_serve_main);
}

static int run_recompute_child(struct tly_options *options) {
  return tly_recompute_main(&options->settings);
}

static int run_ledger_child(struct tly_options *options) {
  return tly_ledger_main(&options->settings);
}

static const struct tly_command commands[] = {
    {"run", "start everything, supervised",
     "Usage: tally run PROJECT [options]\n\n"
     "Starts the archiver, the batch layer, the speed layer and the serving layer on the definitions in the folder\n"
     "PROJECT (*.sql, in name order), restarts one that dies, and prints one line `ready` on stdout when all answer.\n"
     "Ends on SIGTERM or Ctrl-C. Logs go to stderr (logfmt).\n\n" PROCESS_OPTIONS
     "  --http off, --pg off      endpoints that this version does not have yet\n\n"
     "Example:\n  tally run schemas/examples/orders --data ./tally-data\n",
     true, 1, 1, tly_command_run},
    {"check", "parse and type-check the definitions of a project",
     "Usage: tally check PROJECT\n\n"
     "Reads every *.sql file of the folder and prints every problem as file:line:col: message, with the line and a\n"
     "caret under the word, and a hint where a slip is likely. Exit code 0 when there is none, else 1.\n",
     true, 1, 1, tly_command_check},
    {"ingest", "send events to a stream",
     "Usage: tally ingest STREAM [FILE...] [--format json|csv]\n\n"
     "Sends JSON lines or CSV with a header (default: by the stream's definition, or the file's ending) from the "
     "files, or from\n"
     "stdin. Ends when everything is durable; survives a restart of the server meanwhile without losing or doubling "
     "an\n"
     "event. Lines that do not decode are listed on stderr with their reason; the others go in. The last line on\n"
     "stdout is `ingested N, rejected M`. Input that is compressed with gzip or zstd is "
     "decompressed.\n\n" CLIENT_OPTIONS "\nExample:\n  tally ingest payments payments.ndjson\n",
     false, 1, TLY_ARGUMENTS_MAX, tly_command_ingest},
    {"backfill", "import history from files beside live traffic, resumable",
     "Usage: tally backfill STREAM FILE... [--format json|csv] [--rate N] [--max-rejected N] [--name NAME]\n\n"
     "Imports files of JSON lines or CSV with a header, plain or compressed with gzip or zstd (their content tells).\n"
     "The archive remembers for each file how far it came, in the same transaction as its events: stopped or killed "
     "at\n"
     "any moment, client or server, the same command goes on there, nothing twice, nothing lost. A file that has been\n"
     "imported is not imported again, also under another name; one that has grown goes on with what is new; one that\n"
     "has changed in what was imported is refused. Lines that do not decode are counted, the first are listed; a file\n"
     "that is broken in the middle stops with the place, and goes on from there when it is repaired.\n\n"
     "The last line on stdout is `imported N, rejected M, resumed at K`: the totals of all files, whoever imported\n"
     "them, and how many of those events were there when the command began; or `already imported: N events`.\n\n"
     "Options:\n"
     "  --format json|csv    what the files are (default: by their ending, else as the stream's definition says)\n"
     "  --rate N             at most N events a second (100000). Requests are small, one at a time, each waits\n"
     "                       until the last is in the live views, and as long again: live traffic comes first\n"
     "  --max-rejected N     stop at the request with which more than N lines of a file are rejected\n"
     "  --name NAME          the import's name, for one file (default: the path without .gz and .zst). Two imports\n"
     "                       of the same events under two names are two, and count twice\n\n" CLIENT_OPTIONS
     "\nExample:\n  tally backfill payments 2024/*.ndjson.gz --rate 20000\n",
     false, 2, TLY_ARGUMENTS_MAX, tly_command_backfill},
    {"query", "ask the merged views in SQL",
     "Usage: tally query [--format table|csv|json|ndjson] [--wait] SQL\n\n"
     "Runs one SELECT of PostgreSQL's dialect over the views, and over what tally knows of itself: tally.runs,\n"
     "tally.views and others (docs/SQL.md, \"System relations\"). Every answer from a view is exact and says what it\n"
     "rests on: the published run, its cut, and the live offsets on top (on stderr with --format table; in the answer\n"
     "with json). --wait first waits until everything acknowledged so far is in the live views.\n\n" CLIENT_OPTIONS
     "\nExamples:\n  tally query --wait \"SELECT account, total FROM account_daily ORDER BY total DESC LIMIT 5\"\n"
     "  tally query \"SELECT run, state, events FROM tally.runs ORDER BY run DESC\"\n",
     false, 1, 1, tly_command_query},
    {"recompute", "recompute views from the archive now, and publish them",
     "Usage: tally recompute [VIEW... | --job JOB] [--full]\n\n"
     "Cuts the log, recomputes the views (all of them without VIEW; with --job those of the job) from the raw events\n"
     "up to the cut, compares the result with the live one, key by key, and publishes it.\n"
     "Events that the newest run of a view covers are not folded again, the later ones are added to its groups; nor\n"
     "are those that a recompute that died had kept. The result is the same, byte for byte. With --full everything is\n"
     "folded from the archive all the same; so it is by itself now and then (every 31st run of a view), and for tally\n"
     "reconcile.\n"
     "The last line on stdout is `run K published: E events, cut C, drift D`. A run whose control totals do not hold\n"
     "(a view's check, or drift; docs/SQL.md) is kept but does not go live: the line says `run K held: ...` then, and\n"
     "stderr why. Exit code 1 when it failed, drifted or is held.\n\n" CLIENT_OPTIONS,
     false, 0, TLY_ARGUMENTS_MAX, tly_command_recompute},
    {"publish", "let a held run go live after all",
     "Usage: tally publish RUN --reason TEXT\n\n"
     "A run whose control totals do not hold is held: computed and kept, but not live. This lets it go live all the\n"
     "same, with all its views at once. Who, when and why is recorded, and shown by tally runs. Refused when a newer\n"
     "run of one of its views has been published meanwhile, or when one of them is defined otherwise now.\n\n"
     "First look at it: tally query 'SELECT * FROM run_13.account_daily'\n\n" CLIENT_OPTIONS
     "\nExample:\n  tally publish 13 --reason 'the missing credits come with tomorrow''s file, ticket 4711'\n",
     false, 1, 1, tly_command_publish},
    {"reconcile", "compare a view with recomputed totals, or with a ledger",
     "Usage: tally reconcile VIEW [--last] [--format table|csv|json]\n"
     "       tally reconcile VIEW --against LEDGER [--tolerance AMOUNT] [--format table|csv|json]\n\n"
     "Without --against: recomputes the view from the archive and compares it with the live one at the same cut,\n"
     "every key and column, and prints the keys that differ with both values and, for the first 16, the events that\n"
     "explain it: those that live lacks, or has once too often (json: offsets and all). On stderr it first says what\n"
     "the last run found; --last shows that alone, with its keys and events, and computes nothing. The last line is\n"
     "`VIEW: E events, cut C, drift D`.\n\n"
     "With --against: compares the view, as it is now, with somebody else's totals: a ledger is a CREATE FOREIGN\n"
     "TABLE on a server of postgres, sqlite or file (docs/SQL.md). The key is the view's GROUP BY; compared are the\n"
     "other columns that both have by name. Each difference is a break: over (tally has more), short (less), differs\n"
     "(no amount, or NULL), missing_in_ledger, missing_in_tally, duplicate_in_ledger. Amounts that differ by no more\n"
     "than --tolerance (default: the view's tolerance, else 0) are no breaks, but counted and added up. Then come\n"
     "totals, net and gross difference, both instants, and what is new, carried, reopened or cleared against the\n"
     "complete reconciliation of the two before it. The last line is `VIEW: K keys, M matched, B breaks`, or\n"
     "`INCOMPLETE: ` and why: a side that could not be read to its end never agrees, and changes no break. csv prints\n"
     "the breaks (the first 1,000), json everything there is. Each is recorded (tally reconciliations), and so are "
     "its\n"
     "breaks (tally breaks).\n\n"
     "Exit code 0 when all agree, or all that differs is accepted (tally break); 1 when not, or when that is not\n"
     "known.\n\n" CLIENT_OPTIONS
     "\nExample:\n  tally reconcile account_totals --against bank_accounts --tolerance 0.01\n",
     false, 1, 1, tly_command_reconcile},
    {"rollback", "let views show an older run again",
     "Usage: tally rollback [VIEW...] [--to RUN] --reason TEXT\n\n"
     "The views (without VIEW: all that show the newest published run) show an older run again: RUN, or the newest\n"
     "older one of their definition. Every newer run is rejected for them, for good: who, when and why is recorded, "
     "and\n"
     "tally runs shows it. A run that is begun afterwards is published as always.\n\n"
     "No event is lost: what came after the older run's cut is folded again from the archive first, with a progress\n"
     "bar; until then answers stay what they are, and all views that showed one run switch at once. The last line is\n"
     "`run 11 published again: VIEW, ...; run 12 rejected`. An interrupted wait changes nothing about the "
     "decision.\n\n" CLIENT_OPTIONS
     "\nExample:\n  tally rollback account_daily --reason 'run 12 was computed with a broken disk, ticket 4711'\n",
     false, 0, TLY_ARGUMENTS_MAX, tly_command_rollback},
    {"reconciliations", "list the reconciliations with ledgers",
     "Usage: tally reconciliations [VIEW] [--against LEDGER] [--format table|csv|json|ndjson]\n\n"
     "One row each, newest first (20): result, who started it, keys, breaks, what changed, and why one is INCOMPLETE.\n"
     "json also has both instants, the columns, the hashes of definition and ledger, kinds and "
     "totals.\n\n" CLIENT_OPTIONS,
     false, 0, 1, tly_command_reconciliations},
    {"breaks", "list the breaks between views and ledgers",
     "Usage: tally breaks [VIEW] [--against LEDGER] [--status STATUS | --all] [--format table|csv|json|ndjson]\n\n"
     "One row a break, from when it was first seen: number, key, values when last seen, status, age (of how long it\n"
     "has been there without a gap: days, and 0-1, 2-7, 8-30, 31-90 or >90). Resolved ones are left out without "
     "--all.\n\n" CLIENT_OPTIONS,
     false, 0, 1, tly_command_breaks},
    {"break", "show a break with its history, or set its status",
     "Usage: tally break NUMBER [--format table|csv|json]\n"
     "       tally break NUMBER --status open|investigating|resolved|accepted --reason TEXT [--by NAME]\n\n"
     "A break is open until the first reconciliation that does not see it, which clears it (status resolved), or\n"
     "until somebody sets its status. Seen again after that, it is reopened under the same number; an accepted one "
     "only\n"
     "when its difference has changed. Every change stays in its history, with who (--by; default: user@host), when "
     "and\n"
     "why. A break that is gone can only get remarks (--status resolved).\n\n" CLIENT_OPTIONS
     "\nExample:\n  tally break 12 --status accepted --reason 'fee of 2 March, booked on the 3rd'\n",
     false, 1, 1, tly_command_break},
    {"report", "make the report of a reconciliation or a run, for the file",
     "Usage: tally report reconciliation NUMBER [--data DIR] [--format html|csv|json] [--output FILE]\n"
     "       tally report run NUMBER [--data DIR] [--format html|csv|json] [--output FILE]\n\n"
     "One page that needs nothing but itself, to read, print, sign and keep: inputs with their hashes, both instants,\n"
     "rules, totals by currency, breaks with status and age, what changed; of a run its views, cut, drift and events "
     "set\n"
     "aside. Everything is as it was when the reconciliation or the run ended, so the same report has the same bytes\n"
     "whenever it is made. (What was decided of a break later stands in the report of the next reconciliation.)\n\n"
     "  --format html    a page (default); of lists longer than 1,000 rows it has the first\n"
     "  --format json    everything, as one object\n"
     "  --format csv     the same in rows of section, item, field, value. Values are exact: none is changed against\n"
     "                   formulas of spreadsheets, so import the columns as text\n"
     "  --output FILE    appears when it is whole. Without it: stdout\n\n"
     "Reads the data folder (default ./tally-data) itself, whether a server runs on it or not.\n\n"
     "Example:\n  tally report reconciliation 12 --output reconciliation-12.html\n",
     false, 2, 2, tly_command_report},
    {"runs", "list the runs of the batch layer, and what waits",
     "Usage: tally runs [--queue] [--follow] [--format table|csv|json|ndjson]\n\n"
     "The run under way: stage, events done of all, events a second, seconds to go. What waits, why, since when, and\n"
     "when it is tried next: runs that queue (q1, q2, ...), failed ones that are tried again, paused schedules. Then "
     "one\n"
     "row a run, newest first: state, reason, job, scheduled minute and start, attempt, cut, events, rate, drift, "
     "error; why\n"
     "it is held, and who let it go live after all; for which views a rollback has rejected it.\n\n"
     "  --queue     only what is under way and waits (csv, json, ndjson: only what waits)\n"
     "  --follow    a progress bar of the run under way, a line for each run that ends, until nothing is left to do\n\n"
     "csv, json and ndjson are a row a run, without what waits.\n\n" CLIENT_OPTIONS,
     false, 0, 0, tly_command_runs},
    {"cancel", "end the run under way, or one that waits",
     "Usage: tally cancel [RUN]\n\n"
     "Ends the run under way; RUN is its number, or q1, q2, ... for one that waits (tally runs has them). The run is\n"
     "failed, by whom stands in its row, its files are gone, whoever waits for it gets SQLSTATE 57014; nothing else\n"
     "changes. A scheduled run is not tried again before its next minute. A run that is ready and about to be\n"
     "published cannot be cancelled any more.\n\n" CLIENT_OPTIONS,
     false, 0, 1, tly_command_cancel},
    {"pause", "stop schedules",
     "Usage: tally pause [JOB|VIEW...]\n\n"
     "Nothing is recomputed by these schedules (all of them without arguments) until tally resume, restarts or not. A\n"
     "view of a job is paused with its job. What waits for a paused schedule goes, a run under way goes on, tally\n"
     "recompute still works. tally views and tally runs show what is paused, since when and by "
     "whom.\n\n" CLIENT_OPTIONS,
     false, 0, TLY_ARGUMENTS_MAX, tly_command_pause},
    {"resume", "let schedules go on",
     "Usage: tally resume [JOB|VIEW...]\n\n"
     "Schedules (all without arguments) go on. If a minute was missed meanwhile, it is made up once, "
     "now.\n\n" CLIENT_OPTIONS,
     false, 0, TLY_ARGUMENTS_MAX, tly_command_resume},
    {"status", "show how the layers are and what they hold",
     "Usage: tally status [--format table|csv|json|ndjson]\n\n"
     "Each stream's archived and folded offsets, the layers' processes, the sizes of the stores.\n\n" CLIENT_OPTIONS,
     false, 0, 0, tly_command_status},
    {"views", "list the views, their state and definitions",
     "Usage: tally views [--format table|csv|json|ndjson]\n\n"
     "One row a view: stream, state (building or ready), published run and cut, events set aside, job, schedule, when\n"
     "it is due next, or since when and by whom it is paused.\n\n" CLIENT_OPTIONS,
     false, 0, 0, tly_command_views},
    {"archive", "verify, measure or export the archive",
     "Usage: tally archive verify|stat [PROJECT] [--data DIR] [--format table|csv|json|ndjson]\n"
     "       tally archive export STREAM [PROJECT] [--data DIR] [--format raw|ndjson|csv] [--output FILE|FOLDER] "
     "...\n\n"
     "verify re-reads every event and checks every checksum, chain and dictionary; damage is listed by file and "
     "block,\n"
     "and the exit code is then 1. stat prints sizes, a row a file. export gives the events of a stream back, in "
     "offset\n"
     "order by partition. All read the data folder directly, whether a server runs on it or not, by the definitions "
     "it\n"
     "was last started with, or those of PROJECT.\n\n"
     "Options of export:\n"
     "  --format raw           each event's bytes exactly as received, one a line, CSV under its header (default)\n"
     "  --format ndjson|csv    the typed columns as tally reads them\n"
     "  --columns A,B          these columns, in this order (ndjson, csv)\n"
     "  --positions            _partition and _offset before them (ndjson, csv)\n"
     "  --partition N          this partition alone\n"
     "  --from-offset N, --to-offset N    offsets from the first on, below the second, of each partition\n"
     "  --from TIME, --to TIME            event times from the first on, before the second (UTC unless it has a zone)\n"
     "  --cut K                exactly the events that run K was computed from (those below cut K)\n"
     "  --output FILE|FOLDER   a file that appears when it is whole, and FILE.manifest.json beside it: offsets, "
     "counts,\n"
     "                         hashes of the file and of the archive at both ends. Without it: stdout\n"
     "  --compress zstd\n"
     "A damaged or missing block ends it with exit code 1, named, and FILE stays as it was.\n\n"
     "Examples:\n"
     "  tally archive export payments --cut 12 --output payments.ndjson\n"
     "  tally archive export payments --format csv --from 2026-03-01 --to 2026-04-01 --columns account,amount | head\n"
     "For Parquet, export csv and let DuckDB copy it: COPY (FROM 'x.csv') TO 'x.parquet' (FORMAT parquet)\n",
     false, 1, 3, tly_command_archive},
    {"archiver", "run the archiver alone, in the foreground",
     "Usage: tally archiver PROJECT [options]\n\nThe writer of the archive: ingest, cuts, sealing.\n\n" PROCESS_OPTIONS,
     true, 1, 1, run_archiver},
    {"batch", "run the batch layer alone, in the foreground",
     "Usage: tally batch PROJECT [options]\n\nThe scheduler of recomputes, and their history.\n\n" PROCESS_OPTIONS,
     true, 1, 1, run_batch},
    {"speed", "run the speed layer alone, in the foreground",
     "Usage: tally speed PROJECT [options]\n\nFolds new events into the live views, publishes "
     "runs.\n\n" PROCESS_OPTIONS,
     true, 1, 1, run_speed},
    {"serve", "run the serving layer alone, in the foreground",
     "Usage: tally serve PROJECT [options]\n\nAnswers on the sockets.\n\n" PROCESS_OPTIONS, true, 1, 1, run_serve},
    {"recompute-child", NULL, "Usage: tally recompute-child PROJECT --data DIR (started by the batch layer)\n", true, 1,
     1, run_recompute_child},
    {"ledger-child", NULL, "Usage: tally ledger-child PROJECT --data DIR (started by the batch layer)\n", true, 1, 1,
     run_ledger_child},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out) {
  fputs("tally keeps totals that are fresh and right: events in, exact merged answers out.\n\n"
        "Usage: tally COMMAND [arguments]      (tally COMMAND --help tells more)\n\n",
        out);
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (commands[i].summary != NULL)
      fprintf(out, "  %-15s %s\n", commands[i].name, commands[i].summary);
  fputs("\nA first look:\n"
        "  tally run schemas/examples/orders &          # definitions in SQL, data in ./tally-data\n"
        "  tally ingest order_lines superstore.csv      # JSON lines or CSV\n"
        "  tally query --wait 'SELECT * FROM sales_by_region'\n"
        "  tally recompute                              # the authoritative result, compared with the live one\n",
        out);
}

static const struct tly_command *find(const char *name) {
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0)
      return &commands[i];
  return NULL;
}

static int usage(const struct tly_command *command, const char *words) {
  fprintf(stderr, "tally %s: %s\n", command->name, words);
  fprintf(stderr, "See tally %s --help\n", command->name);
  return TLY_EXIT_USAGE;
}

static bool has_formats_of_its_own(const struct tly_command *command) {
  return command->run == tly_command_archive || command->run == tly_command_report;
}

static int run_command(const struct tly_command *command, int argc, char **argv, const char *program) {
  struct tly_options *options = tly_calloc(1, sizeof *options);
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  if (tly_options_parse(argc, argv, command->has_project, options, &error) != TLY_OK)
    code = options->help ? (fputs(command->help, stdout), TLY_EXIT_OK) : usage(command, error.message);
  else if (options->help)
    code = (fputs(command->help, stdout), TLY_EXIT_OK);
  else if (options->is_other_format && !has_formats_of_its_own(command))
    code = usage(command, TLY_OUTPUT_WORDS);
  else if (options->argument_count < command->argument_min)
    code = usage(command, "an argument is missing");
  else if (options->argument_count > command->argument_max)
    code = usage(command, "too many arguments");
  else {
    options->settings.program = program;
    code = command->run(options);
  }
  if (fflush(stdout) != 0 && code == TLY_EXIT_OK)
    code = TLY_EXIT_FAILED;
  tly_free(options);
  return code;
}

int tly_cli_main(int argc, char **argv) {
  static char program[4096];
  ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
  program[size > 0 ? size : 0] = 0;
  if (argc < 2) {
    print_help(stderr);
    return TLY_EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    print_help(stdout);
    return TLY_EXIT_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("tally " TALLY_VERSION);
    return TLY_EXIT_OK;
  }
  const struct tly_command *command = find(argv[1]);
  if (command == NULL) {
    fprintf(stderr, "tally: unknown command \"%s\"\nSee tally --help\n", argv[1]);
    return TLY_EXIT_USAGE;
  }
  return run_command(command, argc - 2, argv + 2, program);
}
