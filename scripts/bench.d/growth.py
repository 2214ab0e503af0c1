"""scripts/bench growth: what a thing costs as it grows. Medians of three; numbers and a plot, no peers and no goals."""
import math
import os
import time

import figures
import harness
import peers
import product
from harness import EVENTS, summary, tell, wait_until_idle
from product import Tally, payments_file, prepare_sealed, reopen

ROUNDS = 3
INGESTED = max(EVENTS // 10, 20_000)
ACCOUNT_VIEW = '''
CREATE MATERIALIZED VIEW {name} AS
SELECT account, count(*) AS payments, sum(amount) AS total FROM payments WHERE status <> 'failed' GROUP BY account;
'''
MINUTE_VIEW = '''
CREATE MATERIALIZED VIEW {name} AS
SELECT currency, date_trunc('minute', paid_at) AS minute, count(*) AS payments, sum(amount) AS total
FROM payments GROUP BY currency, minute;
'''
CHECK_SQL = 'SELECT sum(payments), sum(total) FROM account_totals'


def stream():
    text = product.definitions(product.PAYMENTS_FOLDER)
    return text[:text.index('CREATE MATERIALIZED VIEW')]


def views(count):
    """account_totals, and others, by turns of many and of few groups."""
    text = stream() + ACCOUNT_VIEW.format(name='account_totals')
    for number in range(1, count):
        text += (MINUTE_VIEW if number % 2 else ACCOUNT_VIEW).format(name=f'view_{number}')
    return text


def memory_mib(server):
    return sum(figures.memory_kib(pid, 'smaps_rollup', 'Pss') for pid in server.pids()) / 1024


def totals_of(path):
    with peers.DuckDB() as duckdb:
        parquet = product.parquet_of(duckdb, path, product.PAYMENT_COLUMNS)
        return [str(value) for value in figures.expected_totals(duckdb, parquet)[:2]]


def check(server, wanted):
    seen = server.csv(CHECK_SQL)[0]
    if seen != wanted:
        raise harness.Different(f'the view says {seen}, DuckDB {wanted}')


# ---- recompute over events -------------------------------------------------------------------------------------------------

def recompute_over_events():
    for share in (0.1, 0.3, 1, 3):
        count = int(EVENTS * share)
        path, text = payments_file(count), views(1)
        server = reopen(prepare_sealed('growth', text, path, count), text)
        with server:
            server.recompute()
            wait_until_idle()
            seconds, peaks = [], []
            for _ in range(ROUNDS):
                watch = figures.PeakWatch(server.children()['batch'])
                watch.start()
                seconds.append(harness.timed(server.recompute))
                watch.stop.set()
                watch.join()
                peaks.append(watch.peak_kib / 1024)
            check(server, totals_of(path))
        server.forget()
        tell(f'recompute of {count:,} events: {summary(seconds)["median"]:.3f} s')
        yield count, summary(seconds)['median'], summary(peaks)['median']


# ---- ingest ------------------------------------------------------------------------------------------------------------------

def ingest(text, path, clients=None):
    """Events a second until the totals are right, and the memory after that."""
    rates, memory, wanted = [], [], totals_of(path)
    for _ in range(ROUNDS):
        server = Tally('growth', text)
        with server:
            wait_until_idle()
            started = time.perf_counter()
            if clients is None:
                server.ingest_file(path)
            else:
                peers.load('bulk', server.socket_path, connections=clients, events=path, count=INGESTED, bulk_bytes=16384)
            check(server, wanted)
            rates.append(INGESTED / (time.perf_counter() - started))
            memory.append(memory_mib(server))
        server.forget()
    return summary(rates)['median'], summary(memory)['median']


def ingest_over_views():
    for count in (1, 5, 10, 20):
        yield count, *told('views', count, ingest(views(count), payments_file(INGESTED)))


def ingest_over_groups():
    for groups in (10, 1_000, 100_000, 3_000_000):
        yield groups, *told('groups', groups, ingest(views(1), payments_file(INGESTED, accounts=groups)))


def ingest_over_clients():
    for clients in (1, 10, 100, 1000):
        yield clients, *told('clients', clients, ingest(views(1), payments_file(INGESTED), clients))


def told(what, size, result):
    tell(f'ingest, {size:,} {what}: {result[0]:,.0f} events/s, {result[1]:.1f} MiB')
    return result


# ---- point queries -----------------------------------------------------------------------------------------------------------

def points(server, paths):
    """p50 and p99 in microseconds of two connections with one request each."""
    answers = os.path.join(harness.CACHE, 'answers.tsv')
    with peers.DuckDB() as duckdb:
        parquets = [product.parquet_of(duckdb, path, product.PAYMENT_COLUMNS) for path in paths]
        figures.write_answers(duckdb, parquets, answers)
    server.csv(CHECK_SQL)
    wait_until_idle()
    results = [peers.load('point', server.socket_path, protocol='tally', sql=figures.POINT_SQL, answers=answers, connections=2,
                          window=1, seconds=1) for _ in range(ROUNDS)]
    return tuple(summary([result[name] for result in results])['median'] for name in ('p50_us', 'p99_us'))


def queries_over_groups():
    for groups in (10, 1_000, 100_000, 1_000_000):
        path = payments_file(INGESTED, accounts=groups)
        server = Tally('growth', views(1))
        with server:
            server.ingest_file(path)
            server.recompute()
            p50, p99 = points(server, [path])
        server.forget()
        tell(f'point queries, {groups:,} groups: p50 {p50:.0f} us, p99 {p99:.0f} us')
        yield groups, p50, p99


def queries_over_live_commits():
    """A published run of 10,000 groups, and on top of it a growing number of small acknowledged bulks."""
    path = payments_file(INGESTED, accounts=10_000)
    server = Tally('growth', views(1))
    with server:
        server.ingest_file(path)
        server.recompute()
        paths = [path]
        for bulks in (0, 1, 9, 99):
            for seed in range(len(paths), bulks + 1):
                paths.append(payments_file(1000, seed=100 + seed, accounts=10_000))
                server.ingest_file(paths[-1])
                server.csv(CHECK_SQL)
            p50, p99 = points(server, paths)
            tell(f'point queries, {bulks} live bulks: p50 {p50:.0f} us, p99 {p99:.0f} us')
            yield max(bulks, 0), p50, p99
    server.forget()


# ---- the page ----------------------------------------------------------------------------------------------------------------

SERIES = [
    ('recompute', 'Recompute of account totals', 'events', ('seconds', 'peak MiB'), recompute_over_events),
    ('views', 'Ingest over views', 'views', ('events/s', 'MiB of all processes'), ingest_over_views),
    ('groups', 'Ingest over groups', 'accounts', ('events/s', 'MiB of all processes'), ingest_over_groups),
    ('clients', 'Ingest over clients', 'clients', ('events/s', 'MiB of all processes'), ingest_over_clients),
    ('point-groups', 'Point query over groups', 'accounts', ('p50 us', 'p99 us'), queries_over_groups),
    ('point-live', 'Point query over live bulks on top of a run', 'bulks', ('p50 us', 'p99 us'), queries_over_live_commits),
]


def short(value):
    for unit, size in (('M', 1e6), ('k', 1e3)):
        if value >= size:
            return f'{value / size:.3g}{unit}'
    return f'{value:.3g}'


def scale(values):
    """Where a value stands between the smallest and the largest, by its logarithm."""
    logs = [math.log10(max(value, 0.5)) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs) + 1e-9)
    return lambda value: (math.log10(max(value, 0.5)) - low) / max(1, high - low)


def panel(left, top, title, unit, labels, rows):
    """One small plot, both axes logarithmic: both lines of a series, each on its own scale, with its values beside it."""
    width, height = 300, 130
    parts = [f'<text x="{left}" y="{top - 10}" font-weight="bold">{title}</text>',
             f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#888"/>']
    place_x = scale([row[0] for row in rows])
    for column, colour in ((1, '#1f77b4'), (2, '#d62728')):
        place_y = scale([row[column] for row in rows])
        spots = [(left + 10 + place_x(row[0]) * (width - 40), top + height - 10 - place_y(row[column]) * (height - 30), row)
                 for row in rows]
        line = ' '.join(f'{x:.1f},{y:.1f}' for x, y, _ in spots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        for x, y, row in spots:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
                         f'<text x="{x + 4:.1f}" y="{y - 4:.1f}" fill="{colour}" font-size="9">{short(row[column])}</text>')
            if column == 1:
                parts.append(f'<text x="{x:.1f}" y="{top + height + 12}" font-size="9" text-anchor="middle">{short(row[0])}</text>')
        parts.append(f'<text x="{left + 110 * (column - 1)}" y="{top + height + 26}" fill="{colour}" font-size="10">'
                     f'{labels[column - 1]}</text>')
    parts.append(f'<text x="{left + width}" y="{top + height + 26}" text-anchor="end" font-size="10">{unit}</text>')
    return '\n'.join(parts)


def plot(found):
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="740" height="650" font-family="sans-serif" font-size="12">',
             '<rect width="740" height="650" fill="white"/>']
    for number, (_, title, unit, labels, _) in enumerate(SERIES):
        rows = found[SERIES[number][0]]
        parts.append(panel(30 + number % 2 * 365, 40 + number // 2 * 205, title, unit, labels, rows))
    return '\n'.join([*parts, '</svg>', ''])


def text_of(found, plot_name, date, commit):
    lines = ['## Growth', '', f'Taken {date} at commit {commit} by `scripts/bench growth`. Medians of {ROUNDS}. The inputs of the '
             f'ingest and query rows have {INGESTED:,} events; every total was compared with DuckDB\'s, every reply with its row.',
             '', f'![cost against size]({plot_name})', '']
    for key, title, unit, labels, _ in SERIES:
        lines += [f'### {title}', '', f'| {unit} | {labels[0]} | {labels[1]} |', '|---|---|---|']
        lines += [f'| {row[0]:,} | {number(row[1])} | {number(row[2])} |' for row in found[key]]
        lines.append('')
    return '\n'.join(lines)


def number(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def take():
    found = {}
    for key, title, *_, measure in SERIES:
        harness.say(f'growth: {title}')
        found[key] = [list(row) for row in measure()]
    folder = os.path.join(harness.ROOT, 'docs') if EVENTS >= harness.FULL_EVENTS else harness.CACHE
    with open(os.path.join(folder, 'growth.svg'), 'w') as file:
        file.write(plot(found))
    row = {'key': 'growth', 'found': found}
    harness.keep(row)
    row['text'] = text_of(found, 'growth.svg', row['date'], row['commit'])
    harness.keep(row)
