"""scripts/bench growth: what a thing costs as it grows. Numbers, a plot, and for each curve what it must show, decided by
its own numbers. No peers. Medians of ROUNDS; the load on a processor is told in its own time, which noise hardly touches.

A curve is a function that gives points {"x": size, "<value>": number, ..., "memory": {process: [PSS, peak RSS] in MiB}},
and a rule that turns points into (holds, words). Rules are constants of this file; none is computed from a result."""
import os
import subprocess
import time

import figures
import harness
import peers
import plot
import product
from harness import EVENTS, Different, summary, tell, wait_until_idle
from product import Tally, payments_file

ROUNDS = 3
INGESTED = max(EVENTS // 5, 20_000)
GROUPED = max(2 * EVENTS // 5, 40_000)
POINT_CONNECTIONS = 8
GENERATION_EVENTS, GENERATION_ACCOUNTS = 1000, 10_000  # the events of a generation are nearly all of different accounts
MEMORY_MAX_MIB = 256 * 1e6 / 2**20  # of any one process but serve: the bound that F9 states for a recompute
QUERY_MIB = 256                     # a statement's bound by default (query_memory)
MANY_GROUPS_QUERY_MIB = 512         # a statement copies the live groups of its views; millions are more than the default
SERVE_CACHE_MIB = 256 + 32          # decoded blocks of runs, and of live groups
CHECK_SQL = 'SELECT sum(payments), sum(total) FROM account_totals'
SCAN_SQL = 'SELECT count(*), sum(payments), sum(total) FROM account_totals'


# ---- projects ----------------------------------------------------------------------------------------------------------------

VIEWS = ['SELECT account, count(*) AS payments, sum(amount) AS total FROM payments WHERE status <> \'failed\' GROUP BY account',
         'SELECT currency, date_trunc(\'minute\', paid_at) AS minute, count(*) AS payments, sum(amount) AS total FROM payments '
         'GROUP BY currency, minute',
         'SELECT account, min(amount) AS smallest, max(amount) AS largest FROM payments GROUP BY account',
         'SELECT status, currency, date_trunc(\'hour\', paid_at) AS hour, avg(amount) AS mean FROM payments '
         'GROUP BY status, currency, hour']


def views(count):
    """account_totals and others: half of them by account, half with few groups."""
    text = figures.payments_text()
    text = text[:text.index('-- The balance')] if '-- The balance' in text else text[:text.index('CREATE MATERIALIZED VIEW')]
    for number in range(count):
        name = 'account_totals' if number == 0 else f'view_{number}'
        text += f'CREATE MATERIALIZED VIEW {name} AS {VIEWS[number % len(VIEWS)]};\n'
    return text


# ---- what is read off a server -----------------------------------------------------------------------------------------------

def memory_of(server):
    """{process: [PSS, peak resident]} in MiB."""
    pids = {'supervisor': server.process.pid, **server.children()}
    return {name.removesuffix('-child'): [round(figures.memory_kib(pid, 'smaps_rollup', 'Pss') / 1024, 1),
                   round(figures.memory_kib(pid, 'status', 'VmHWM') / 1024, 1)] for name, pid in sorted(pids.items())}


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat') as file:
        words = file.read().rsplit(')', 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')


def totals_of(duckdb, path, where='true', times=1):
    """What CHECK_SQL has to say about `times` times the events of `path`."""
    parquet = product.parquet_of(duckdb, path, product.PAYMENT_COLUMNS)
    return duckdb.rows(f"SELECT {times} * count(*), {times} * sum(amount) FROM '{parquet}' WHERE status <> 'failed' AND {where}")[0]


def check(server, wanted):
    seen = server.csv(CHECK_SQL)[0]
    if seen != [str(value) for value in wanted]:
        raise Different(f'the view says {seen}, DuckDB {wanted}')


def milliseconds(connection, sql, wanted_count=None):
    """Median time of a query, asked by one client."""
    taken = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        rows = connection.query(sql)['rows']
        taken.append((time.perf_counter() - started) * 1000)
        if wanted_count is not None and rows[0][0] != wanted_count:
            raise Different(f'{sql} says {rows[0]}, not {wanted_count}')
    return summary(taken[1:])['median']


def point_costs(server, answers):
    """Latency of point queries of some busy clients, and what one costs the serving process."""
    found, serve = [], server.children()['serve']
    for _ in range(ROUNDS + 1):
        before = cpu_seconds(serve)
        result = peers.load('point', server.socket_path, protocol='tally', sql=figures.POINT_SQL, answers=answers,
                            connections=POINT_CONNECTIONS, window=1, seconds=1)
        found.append((result['p50_us'], result['p99_us'], (cpu_seconds(serve) - before) * 1e6 / result['requests']))
    return [summary([row[i] for row in found[1:]])['median'] for i in range(3)]


# ---- recompute over events ---------------------------------------------------------------------------------------------------

class Slices:
    """Lines first .. end - 1 of a file as a file of their own, for a moment."""

    def __init__(self, path):
        self.path, self.part, self.line, self.offset = path, os.path.join(harness.CACHE, 'slice.ndjson'), 0, 0

    def next_until(self, end):
        with open(self.path, 'rb') as source, open(self.part, 'wb') as target:
            source.seek(self.offset)
            while self.line < end:
                chunk = source.read(8 << 20)
                lines = chunk.count(b'\n')
                if self.line + lines > end:
                    kept = chunk.split(b'\n', end - self.line)
                    chunk = chunk[:len(chunk) - len(kept[-1])]
                    lines = end - self.line
                target.write(chunk)
                self.offset += len(chunk)
                self.line += lines
        return self.part


def recompute_over_events():
    """One archive that grows; its events are the first ones of the figures' input, at last all of them three times."""
    path = payments_file(EVENTS)
    slices = Slices(path)
    server = Tally('growth', figures.payments_text(), options=['--seal-age-s', '1'])
    with server, peers.DuckDB() as duckdb:
        for size in (EVENTS // 10, 3 * EVENTS // 10, EVENTS, 3 * EVENTS):
            if size <= EVENTS:
                server.ingest_file(slices.next_until(size))
                wanted = totals_of(duckdb, path, f"payment_id < 'P{size:07d}'" if size < EVENTS else 'true')
            else:
                os.unlink(slices.part)
                server.ingest_file(path)
                server.ingest_file(path)
                wanted = totals_of(duckdb, path, times=3)
            product.wait_for(lambda count=size: product.is_settled(server.segments(), count), 'the sealing of the archive')
            server.recompute()
            wait_until_idle()
            yield recompute_point(server, size)
            check(server, wanted)
        server.verify()
    server.forget()


def recompute_point(server, size):
    seconds, peaks = [], []
    for _ in range(ROUNDS):
        watch = figures.PeakWatch(server.children()['batch'])
        watch.start()
        seconds.append(harness.timed(server.recompute))
        watch.stop.set()
        watch.join()
        peaks.append(watch.peak_kib / 1024)
    seconds, peak = summary(seconds)['median'], summary(peaks)['median']
    tell(f'recompute of {size:,} events: {seconds:.3f} s, peak {peak:.0f} MiB')
    return {'x': size, 'seconds': seconds, 'ns per event': seconds * 1e9 / size, 'memory': {
        **memory_of(server), 'recompute': [None, round(peak, 1)]}}


def recompute_is_linear(points):
    before, last = points[-2], points[-1]
    ratio = last['ns per event'] / before['ns per event']
    return ratio <= 1.25, (f'an event costs {ratio:.2f} times as much at {short(last["x"])} as at {short(before["x"])} '
                           f'({last["ns per event"]:.0f} and {before["ns per event"]:.0f} ns)')


# ---- ingest ------------------------------------------------------------------------------------------------------------------

def ingest_once(server, path, count, clients, wanted):
    """Events a second until the totals are right."""
    started = time.perf_counter()
    if clients is None:
        server.ingest_file(path)
    else:
        peers.load('bulk', server.socket_path, connections=clients, events=path, count=count, bulk_bytes=16384)
    check(server, wanted)
    return count / (time.perf_counter() - started)


def ingest(text, path, count, clients=None):
    rates, memory = [], {}
    with peers.DuckDB() as duckdb:
        wanted = totals_of(duckdb, path)
    for _ in range(ROUNDS):
        server = Tally('growth', text)
        with server:
            wait_until_idle()
            rates.append(ingest_once(server, path, count, clients, wanted))
            memory = memory_of(server)
        server.forget()
    return {'events/s': summary(rates)['median'], 'memory': memory}


def ingest_over_views():
    for count in (1, 2, 4, 8, 20):
        point = {'x': count, **ingest(views(count), payments_file(INGESTED), INGESTED)}
        tell(f'ingest, {count} views: {point["events/s"]:,.0f} events/s')
        yield point


def views_cost_little(points):
    rate = {point['x']: point['events/s'] for point in points}
    return rate[8] > rate[1] / 2, f'8 views take {rate[8] / rate[1]:.2f} of the rate of 1; 20 take {rate[20] / rate[1]:.2f}'


def ingest_over_clients():
    for clients in (1, 10, 100, 1000):
        count = min(INGESTED, EVENTS // 40 * clients)
        point = {'x': clients, **ingest(views(1), payments_file(count), count, clients)}
        tell(f'ingest, {clients:,} clients: {point["events/s"]:,.0f} events/s')
        yield point


def clients_do_no_harm(points):
    best, last = max(points, key=lambda point: point['events/s']), points[-1]
    share = last['events/s'] / best['events/s']
    return share >= 0.5, (f'{last["x"]:,} clients reach {share:.2f} of the best rate, that of {best["x"]:,} '
                          '(each waits for the acknowledgement of its bulk of 16 KiB)')


# ---- groups: ingest, recompute, point queries and scans on one data folder ------------------------------------------------------

def over_groups():
    """Points for four curves."""
    for accounts in sorted({10, 1_000, min(100_000, EVENTS // 100), EVENTS // 10, 7 * EVENTS // 10}):
        path, live = payments_file(GROUPED, accounts=accounts), payments_file(INGESTED // 10, seed=7, accounts=accounts)
        with peers.DuckDB() as duckdb:
            wanted, answers, groups = answers_over_groups(duckdb, path, live)
            rates, times = [], []
            for number in range(ROUNDS):
                server = Tally('growth', views(1), options=['--query-memory-bytes', str(MANY_GROUPS_QUERY_MIB << 20)])
                with server:
                    wait_until_idle()
                    rates.append(ingest_once(server, path, GROUPED, None, wanted))
                    if number < ROUNDS - 1:
                        continue
                    memory = memory_of(server)
                    times = [harness.timed(server.recompute) for _ in range(ROUNDS + 1)][1:]
                    point = queries_point(server, live, answers, groups)
                server.forget()
        remove_inputs(path, live)
        point = {'x': groups, 'events/s': summary(rates)['median'], 'us per event': 1e6 / summary(rates)['median'],
                 'recompute s': summary(times)['median'], 'memory': memory, **point}
        tell(f'{groups:,} groups: {point}')
        yield point


def answers_over_groups(duckdb, path, live):
    """The totals of the first file; the file of keys and rows of both; the number of groups of both."""
    wanted = totals_of(duckdb, path)
    parquets = [product.parquet_of(duckdb, name, product.PAYMENT_COLUMNS) for name in (path, live)]
    answers = os.path.join(harness.CACHE, 'answers-growth.tsv')
    groups = figures.write_answers(duckdb, parquets, answers, keys_max=100_000)[1]
    return wanted, answers, groups


def queries_point(server, live, answers, groups):
    """A published run, and a twentieth as many events live on top."""
    server.ingest_file(live)
    server.csv(CHECK_SQL)
    wait_until_idle()
    p50, p99, cpu = point_costs(server, answers)
    connection = server.connect()
    scan = milliseconds(connection, SCAN_SQL, groups)
    connection.close()
    return {'p50 us': p50, 'p99 us': p99, 'cpu us': cpu, 'scan ms': scan,
            'scan us per group': scan * 1000 / groups, 'query memory': memory_of(server)}


def remove_inputs(*paths):
    """Inputs of hundreds of megabytes that nothing else uses."""
    for path in paths:
        for name in (path, path.removesuffix('.ndjson') + '.parquet'):
            if os.path.exists(name) and f'-{harness.EVENTS}-' not in name:
                os.unlink(name)


def grows_with_groups(points, value, what):
    """From the last but one size to the last, what is added grows no faster than the groups do. (What is added to the
    smaller one may be lost in the noise: then a tenth of the whole stands for it.)"""
    base, before, last = points[0], points[-2], points[-1]
    more = (last[value] - base[value]) / max(before[value] - base[value], base[value] / 10)
    times = (last['x'] - base['x']) / (before['x'] - base['x'])
    return more <= 1.25 * times, (f'what groups add to {what} grows {max(more, 0):.2f} times from {short(before["x"])} to '
                                  f'{short(last["x"])} groups, {times:.2f} times as many')


def groups_cost_ingest_linearly(points):
    return grows_with_groups(points, 'us per event', 'an event')


def groups_cost_recompute_linearly(points):
    return grows_with_groups(points, 'recompute s', 'a recompute')


def points_ignore_groups(points):
    few, last = points[1], points[-1]
    ratio = last['cpu us'] / few['cpu us']
    return ratio <= 2, (f'a query by key costs {ratio:.2f} times as much over {short(last["x"])} groups as over {short(few["x"])} '
                        f'({last["cpu us"]:.1f} and {few["cpu us"]:.1f} us of the serving process)')


def scans_are_linear(points):
    before, last = points[-2], points[-1]
    ratio = last['scan us per group'] / before['scan us per group']
    return ratio <= 1.25, (f'a group costs a scan {ratio:.2f} times as much among {short(last["x"])} as among '
                           f'{short(before["x"])} ({last["scan us per group"]:.2f} us)')


# ---- live generations ----------------------------------------------------------------------------------------------------------

def queries_over_generations():
    """Recomputes that are killed leave their cuts behind: each adds a generation above the published run."""
    accounts, path = GENERATION_ACCOUNTS, payments_file(INGESTED, accounts=GENERATION_ACCOUNTS)
    answers = os.path.join(harness.CACHE, 'answers-growth.tsv')
    paths, generations = [path], 0
    server = Tally('growth', views(1))
    with server:
        server.ingest_file(path)
        server.recompute()
    server = Tally('growth', views(1), kept=True, environment={'TALLY_CRASH_AT': 'recompute.after_fold'})
    with server, peers.DuckDB() as duckdb:
        for wanted in (1, 4, 16, 64):
            while generations < wanted:
                paths.append(payments_file(GENERATION_EVENTS, seed=100 + generations, accounts=accounts))
                server.ingest_file(paths[-1])
                generations += 1
                if generations < wanted:
                    server.run('recompute', check=False)
            parquets = [product.parquet_of(duckdb, name, product.PAYMENT_COLUMNS) for name in paths]
            groups = figures.write_answers(duckdb, parquets, answers)[1]
            server.csv(CHECK_SQL)
            wait_until_idle()
            p50, p99, cpu = point_costs(server, answers)
            connection = server.connect()
            point = {'x': generations, 'p50 us': p50, 'p99 us': p99, 'cpu us': cpu,
                     'scan ms': milliseconds(connection, SCAN_SQL, groups), 'memory': memory_of(server)}
            connection.close()
            server.run('recompute', check=False)
            tell(f'{generations} generations: {point}')
            yield point
        server.verify()
    server.forget()


def generations_cost_little(points):
    first, last = points[0], points[-1]
    more = last['x'] - first['x']
    share = (last['cpu us'] / first['cpu us'] - 1) / more
    live = (last['scan ms'] - first['scan ms']) * 1000 / (more * GENERATION_EVENTS)
    group = first['scan ms'] * 1000 / GENERATION_ACCOUNTS
    return share <= 0.1 and live <= group, (f'each further generation adds {share:.1%} of its cost to a query by key; of a scan '
                                            f'a group that is live once more costs {live:.2f} us, a group {group:.2f} us')


# ---- memory ----------------------------------------------------------------------------------------------------------------------

def memory_bound(key, name):
    if name != 'serve':
        return MEMORY_MAX_MIB
    return SERVE_CACHE_MIB + (MANY_GROUPS_QUERY_MIB if key == 'groups' else QUERY_MIB)


def memory_is_bounded(curves):
    """Over all curves: no process's peak is above its bound. The words are about the one nearest to it."""
    share, words = 0.0, ''
    for key, points in curves.items():
        for point in points:
            for name, (_, peak) in (*point['memory'].items(), *point.get('query memory', {}).items()):
                bound = memory_bound(key, name)
                if peak / bound > share:
                    share, words = peak / bound, (f'nearest to its bound of {bound:.0f} MiB is {name} with {peak:.0f} MiB '
                                                  f'({CURVES[key]["title"].lower()}, at {short(point["x"])})')
    return share <= 1, words


# ---- the curves --------------------------------------------------------------------------------------------------------------------

CURVES = {
    'events': {'title': 'Recompute over events', 'x': 'events', 'measure': recompute_over_events,
               'values': ['seconds', 'ns per event'],
               'rules': [('time is linear in events: an event costs at most 1.25 times as much among three times as many',
                          recompute_is_linear)]},
    'views': {'title': 'Ingest over views', 'x': 'views', 'measure': ingest_over_views, 'values': ['events/s'],
              'rules': [('8 views take more than half the rate of 1', views_cost_little)]},
    'clients': {'title': 'Ingest over clients', 'x': 'clients', 'measure': ingest_over_clients, 'values': ['events/s'],
                'rules': [('a thousand clients reach at least half of the best rate', clients_do_no_harm)]},
    'groups': {'title': 'Ingest, recompute and queries over groups', 'x': 'groups', 'measure': over_groups,
               'values': ['events/s', 'recompute s', 'cpu us', 'p50 us', 'p99 us', 'scan ms'],
               'rules': [('ingest: what groups add to an event grows no faster than the groups', groups_cost_ingest_linearly),
                         ('recompute: what groups add grows no faster than the groups', groups_cost_recompute_linearly),
                         ('queries by key do not depend on the number of groups (at most twice a thousand groups\' cost)',
                          points_ignore_groups),
                         ('scans are linear in groups', scans_are_linear)]},
    'generations': {'title': 'Queries over live generations', 'x': 'generations', 'measure': queries_over_generations,
                    'values': ['cpu us', 'p50 us', 'p99 us', 'scan ms'],
                    'rules': [('a live generation more adds at most a tenth to a query by key, and to a scan no more than so many groups',
                               generations_cost_little)]},
}


def take(keys):
    """Measure curves; each is kept as soon as it is there, then the plot is drawn from all that are."""
    for key in keys:
        harness.say(f'growth: {CURVES[key]["title"]}')
        stamp = harness.quiet()
        harness.keep({'key': f'growth-{key}', 'points': list(CURVES[key]['measure']()), **stamp})


def rows():
    """The curves that were measured at this size, in order."""
    results = harness.load_results()
    return {key: results[f'growth-{key}'] for key in CURVES if f'growth-{key}' in results}


# ---- the page ------------------------------------------------------------------------------------------------------------------------

def short(value):
    for unit, size in (('M', 1e6), ('k', 1e3)):
        if value >= size:
            return f'{value / size:.3g} {unit}'
    return f'{value:.3g}'


def number(value):
    return '' if value is None else f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'


def verdicts(found):
    lines = ['| curve | must hold | found | verdict |', '|---|---|---|---|']
    for key, row in found.items():
        for must, rule in CURVES[key]['rules']:
            holds, words = rule(row['points'])
            lines.append(f'| {CURVES[key]["title"]} | {must} | {words} | {"holds" if holds else "**does not hold**"} |')
    holds, words = memory_is_bounded({key: row['points'] for key, row in found.items()})
    lines.append(f'| Memory | no process ever holds more than 256 MB, serve not more than a statement may and {SERVE_CACHE_MIB} MiB of blocks | {words} | {"holds" if holds else "**does not hold**"} |')
    return lines


def table(key, points):
    values = CURVES[key]['values']
    processes = sorted({name for point in points for name in point['memory']})
    lines = [f'| {CURVES[key]["x"]} | {" | ".join(values)} | {" | ".join(f"{name} MiB" for name in processes)} |',
             '|' + '---|' * (1 + len(values) + len(processes))]
    for point in points:
        cells = [f'{point["x"]:,}', *(number(point[value]) for value in values),
                 *(memory_cell(point, name) for name in processes)]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return lines


def memory_cell(point, name):
    """PSS afterwards and peak; of both ingest and queries where there are both."""
    pss, peak = point['memory'].get(name, (None, None))
    if 'query memory' in point and name in point['query memory']:
        peak = max(peak, point['query memory'][name][1])
    return number(peak) if pss is None else f'{number(pss)}, peak {number(peak)}'


def text_of(found, plot_name):
    lines = ['## Growth', '',
             f'Cost against size, by `scripts/bench growth`; medians of {ROUNDS}. All totals were compared with DuckDB\'s, every reply '
             f'to a query by key with its row. Inputs: {INGESTED:,} payments over views and generations, {GROUPED:,} over groups. '
             '`cpu us` is what a query by key costs the serving process, `p50` and `p99` what '
             f'{POINT_CONNECTIONS} busy clients see. Memory is PSS afterwards and peak resident size.', '',
             f'![cost against size]({plot_name})', '', *verdicts(found), '']
    for key, row in found.items():
        mark = '' if row['idle'] >= harness.IDLE_WANTED else ', **on a machine that was not quiet**'
        lines += [f'### {CURVES[key]["title"]}', '', f'Taken {row["date"]} at commit {row["commit"]}{mark}.', '',
                  *table(key, row['points']), '']
    return '\n'.join(lines)


def series(points, value):
    return [(point['x'], point[value]) for point in points if point.get(value) is not None]


def memory_series(points, part='memory'):
    names = sorted({name for point in points for name in point.get(part, {})} - {'supervisor'})
    return [(name, [(point['x'], point[part][name][1]) for point in points if name in point.get(part, {})]) for name in names]


def panels(found):
    """What is drawn of each curve that is there."""
    points = {key: row['points'] for key, row in found.items()}
    drawn = []
    if 'events' in points:
        drawn.append(plot.Panel('Recompute', 'events', 's', [('time', series(points['events'], 'seconds'))], linear_from=-2))
        drawn.append(plot.Panel('Peak memory of a recompute', 'events', 'MiB', memory_series(points['events']),
                                bound=MEMORY_MAX_MIB))
    if 'views' in points:
        drawn.append(plot.Panel('Ingest over views', 'views', 'events/s', [('rate', series(points['views'], 'events/s'))]))
    if 'clients' in points:
        drawn.append(plot.Panel('Ingest over clients', 'clients', 'events/s', [('rate', series(points['clients'], 'events/s'))]))
    if 'groups' in points:
        groups = points['groups']
        drawn.append(plot.Panel('Ingest over groups', 'groups', 'events/s', [('rate', series(groups, 'events/s'))]))
        drawn.append(plot.Panel('Peak memory of ingest', 'groups', 'MiB', memory_series(groups), bound=MEMORY_MAX_MIB,
                                bound_text='bound of all but serve'))
        drawn.append(plot.Panel('Query by key over groups', 'groups', 'us', [
            ('p99', series(groups, 'p99 us')), ('p50', series(groups, 'p50 us')), ('cpu', series(groups, 'cpu us'))]))
        drawn.append(plot.Panel('Scan and recompute over groups', 'groups', 'ms', [
            ('scan', series(groups, 'scan ms')), ('recompute', [(x, 1000 * y) for x, y in series(groups, 'recompute s')])]))
    if 'generations' in points:
        live = points['generations']
        drawn.append(plot.Panel('Query by key over live generations', 'generations', 'us', [
            ('p99', series(live, 'p99 us')), ('p50', series(live, 'p50 us')), ('cpu', series(live, 'cpu us'))]))
        drawn.append(plot.Panel('Scan over live generations', 'generations', 'ms', [('scan', series(live, 'scan ms'))]))
    return drawn


def write(folder):
    """growth.svg in `folder`, and the page's part; None when nothing was measured."""
    found = rows()
    if not found:
        return None
    with open(os.path.join(folder, 'growth.svg'), 'w') as file:
        file.write(plot.draw(panels(found)))
    return text_of(found, 'growth.svg')
