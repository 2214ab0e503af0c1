"""docs/BENCHMARKS.md: written from the rows that runs of scripts/bench left in .cache/bench, and from nothing else."""
import os

import floors
import growth
import harness
from harness import FULL_EVENTS, NOISY_SPREAD, ROOT, load_results, output_of

ORDER = ['F1a', 'F1b', 'F1f', 'F2', 'F2f', 'F3', 'F3f', 'F5-1', 'F5-32', 'F7a', 'F7b', 'F7c', 'F8a', 'F8b', 'F9a', 'F9b', 'F9c']
HOW = '''## How a figure is taken

- Server, client and peer share the machine, and nothing else runs: before each figure the script waits for 95 % idle CPU,
  for {wait:g} s at most. What it then saw stands in the row's notes; a row that began with less says so.
- As shipped: Release build, no `-march=native`, asserts on, default settings (`--seal-age-s 1` while a data folder is
  prepared, so that its archive is sealed). The peers run at the best of their settings: DuckDB on two threads, an open
  connection, zstd Parquet of typed columns in the page cache, the better of keeping insertion order or not; Redis on a unix
  socket without persistence, the better of two clients; the parsing loop with `-march=native`.
- One untimed round, then {pairs} rounds A B A B; medians, min and max; ratio of medians. A spread (max - min) of more than
  25 % of the median is marked as noise.
- Both sides' answers are compared in the same run. Different answers: no figure.
- All sides are timed as a user would: from the start of a process or request to the answer that proves the work.
- `load`, `floor` and `parse_loop` are small programs in `scripts/bench.d/`; inputs come from `scripts/generate-payments`
  with fixed seeds (42; 7 and 8 for what is added on top), and from `scripts/fetch-data`.

To take them again: `scripts/bench`, or a part: `scripts/bench F1 F3`. `TALLY_BENCH_EVENTS=200000` makes it small, for trying
the script out; such a run writes a trial page into `.cache/bench/` and leaves this one alone.
'''
MISSING = '''## Not measured yet

- F4, Kafka: this version has no Kafka source.
- F6, the PostgreSQL protocol: this version has no such endpoint.
'''


def number(value, unit):
    if unit == 's':
        return f'{value:.3f}' if value < 10 else f'{value:.1f}'
    if unit in ('ms', 'MiB'):
        return f'{value:.1f}'
    return f'{value:,.0f}'


def spread_of(side, unit):
    text = f'{number(side["median"], unit)} {unit}'
    if len(side['values']) > 1:
        text += f' ({number(side["min"], unit)} to {number(side["max"], unit)})'
    return text


def is_noisy(row):
    return any(side and side['spread'] > NOISY_SPREAD for side in (row['ours'], row.get('peer')))


def verdict(row):
    words = 'no goal stated' if not row['goal'] else 'reached' if row['reached'] else '**missed**'
    return words + (' (noise)' if is_noisy(row) else '')


def table(rows):
    lines = ['| # | what | tally: median (min to max) | beside it | ratio | goal | verdict |',
             '|---|---|---|---|---|---|---|']
    for row in rows:
        peer = f'{spread_of(row["peer"], row["unit"])} {row["peer_name"]}' if row.get('peer') else ''
        ratio = f'{row["ratio"]:.2f}' if row.get('ratio') else ''
        lines.append(f'| {row["key"]} | {row["what"]} | {spread_of(row["ours"], row["unit"])} | {peer} | {ratio} | {row["goal"] or ""} | '
                     f'{verdict(row)} |')
    return '\n'.join(lines) + '\n'


def detail(row):
    lines = [f'### {row["key"]}: {row["what"]}', '', f'Taken {row["date"]} at commit {row["commit"]}, {row["events"]:,} events.']
    if row.get('idle') is not None:
        mark = '' if row['idle'] >= harness.IDLE_WANTED else ' (**the machine was not quiet**)'
        lines.append(f'Before: {row["idle"]:.0%} of the CPU idle{mark}, load {row["load"]:.2f}.')
    lines.append('')
    values = ', '.join(number(value, row['unit']) for value in row['ours']['values'])
    lines.append(f'- tally, {row["unit"]}: {values}')
    if row.get('peer'):
        values = ', '.join(number(value, row['unit']) for value in row['peer']['values'])
        lines.append(f'- {row["peer_name"]}, {row["unit"]}: {values}')
    if row.get('checks'):
        lines.append(f'- checked: {row["checks"]}')
    lines += [f'- {note}' for note in row.get('notes', [])]
    lines += ['', '```', *row.get('commands', []), '```', '']
    return '\n'.join(lines)


def versions():
    node = output_of('node', '--version')
    return ', '.join(filter(None, [output_of('gcc', '--version').splitlines()[0], f'node {node}' if node else '',
                                   output_of('redis-server', '--version').split(' sha')[0]]))


def commits(rows):
    """A sentence about rows of more than one commit, or machine."""
    found = sorted({row['commit'] for row in rows})
    machines = {str(row['machine']) for row in rows}
    words = ''
    if len(found) > 1:
        words += f'These rows were taken at different commits ({", ".join(found)}); each figure below says its own. '
    if any(commit.endswith('+') for commit in found):
        words += 'A commit with a + had changes on top of it. '
    if len(machines) > 1:
        words += '**Not all rows were taken on this machine.** '
    return words


def compose(rows, floors_row, growth_text, is_trial):
    machine = harness.machine()
    parts = ['# Benchmarks\n',
             'Written by `scripts/bench`; do not edit. Goals and peers were fixed before the figures were taken. '
             'What is behind the figures, and what is left: [COSTS.md](COSTS.md).\n']
    if is_trial:
        parts.append(f'**A TRIAL with {harness.EVENTS:,} events, to test the script. These are no figures.**\n')
    parts.append(f'Machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB; {machine["system"]}, kernel '
                 f'{machine["kernel"]}. {versions()}.\n')
    if rows:
        parts += [table(rows), commits(rows) + '\n' if commits(rows) else '', HOW.format(wait=harness.IDLE_WAIT_S, pairs=harness.PAIRS),
                  MISSING]
    if growth_text:
        parts.append(growth_text)
    if floors_row:
        parts.append(floors.text_of(floors_row))
    if rows:
        parts += ['## Each figure\n', *[detail(row) for row in rows]]
    return '\n'.join(part for part in parts if part)


def write():
    """The page's path, from the root. Trials never touch docs/."""
    is_trial = harness.EVENTS < FULL_EVENTS
    results = load_results()
    rows = [results[key] for key in ORDER if key in results and results[key]['size'] == harness.EVENTS]
    folder = harness.CACHE if is_trial else os.path.join(ROOT, 'docs')
    growth_text = growth.write(folder)
    if not rows and not growth_text and 'floors' not in results:
        return None
    path = os.path.join(folder, 'BENCHMARKS-trial.md' if is_trial else 'BENCHMARKS.md')
    with open(path, 'w') as file:
        file.write(compose(rows, results.get('floors'), growth_text, is_trial))
    return path
