"""The figures, one function each. A function returns rows (dicts) for harness.keep, or raises Different: then there is none."""
import os
import re
import subprocess
import threading
import time
from decimal import Decimal

import harness
import peers
import product
from harness import EVENTS, PAIRS, Different, pairs, quiet, say, summary, tell
from product import Tally, compare_view, definitions, parquet_of, payments_file, prepare_sealed, reopen, select_of, tally

POINT_SQL = 'SELECT account, payments, total FROM account_totals WHERE account = $1'
POINT_SECONDS = float(os.environ.get('TALLY_BENCH_POINT_S', '3'))


def row(key, what, unit, ours, goal, reached, **more):
    return {'key': key, 'what': what, 'unit': unit, 'ours': ours, 'goal': goal, 'reached': bool(reached), **more}


def payments_text():
    return definitions(product.PAYMENTS_FOLDER)


class SealedPayments:
    """The data folder that F1, F2, F8 and F9 start from, made once an invocation."""
    server = None

    @classmethod
    def text(cls):
        return payments_text() + product.HOURS

    @classmethod
    def open(cls):
        if cls.server is None:
            cls.server = prepare_sealed('sealed', cls.text(), payments_file(EVENTS), EVENTS)
            with reopen(cls.server, cls.text()) as server:  # a first run of each view, for later ones to be compared with
                server.recompute()
        return reopen(cls.server, cls.text())

    @classmethod
    def forget(cls):
        if cls.server is not None:
            cls.server.forget()
            cls.server = None


# ---- F1, F2: recompute against DuckDB -----------------------------------------------------------------------------------

def recompute_figure(key, what, server, source, view, goal, slices):
    """`source`: stream, SQL text, NDJSON file, its columns and number of events."""
    stream, text, path, columns, count = source
    select = select_of(text, view)
    with server, peers.DuckDB() as duckdb:
        parquet = parquet_of(duckdb, path, columns)
        duckdb.rows(f"CREATE OR REPLACE VIEW {stream} AS SELECT * FROM '{parquet}'")

        def ours():
            started = time.perf_counter()
            events = server.recompute(view)
            seconds = time.perf_counter() - started
            if events != count:
                raise Different(f'the run of {view} read {events} events')
            return seconds

        def theirs(keeps_order):
            duckdb.rows(f'SET preserve_insertion_order = {keeps_order}')
            started = time.perf_counter()
            duckdb.rows(f'CREATE OR REPLACE TABLE {view} AS {select}')
            duckdb.rows('CHECKPOINT')
            return time.perf_counter() - started

        stamp = quiet()
        mine, *others = pairs(ours, lambda: theirs('true'), lambda: theirs('false'))
        other, setting = min(zip(others, ('', ', insertion order not kept')), key=lambda side: side[0]['median'])
        groups = compare_view(server, duckdb, view, view, slices)
        server.verify()
        ratio = other['median'] / mine['median']
        return row(key, f'recompute of {what}, exec to exit ({groups:,} groups)', 's', mine, goal and f'>= {goal} x faster',
                   ratio >= (goal or 0), peer=other, peer_name=f'DuckDB {duckdb.version}{setting}', ratio=ratio, events=count,
                   notes=[f'DuckDB keeping insertion order {others[0]["median"]:.3f} s, not keeping it {others[1]["median"]:.3f} s; '
                          'the ratio is to the faster'],
                   checks=f'all {groups:,} rows equal in both, every run without drift, archive verified', **stamp,
                   commands=[f'tally recompute --full {view}',
                             f'CREATE OR REPLACE TABLE {view} AS {" ".join(select.split())}; CHECKPOINT'])


def payments_source():
    return 'payments', SealedPayments.text(), payments_file(EVENTS), product.PAYMENT_COLUMNS, EVENTS


def flights_source():
    """The real flights, or None without npm."""
    path, count = product.flights_file(), 3_000_000
    if path is None:
        say('flights left out: the data needs npm')
        return None
    if EVENTS < harness.FULL_EVENTS:
        path, count = head_of(path, min(count, EVENTS))
    return 'flights', product.flights_text(), path, product.FLIGHT_COLUMNS, count


def sealed_flights(source):
    """A data folder of the flights, with a first run of each view."""
    stream, text, path, _, count = source
    server = prepare_sealed('flights', text, path, count, stream)
    with reopen(server, text) as first:
        first.recompute()
    return server


def f1():
    source = payments_source()
    yield recompute_figure('F1a', 'account totals', SealedPayments.open(), source, 'account_totals', 5, 1)
    yield recompute_figure('F1b', 'currency x minute', SealedPayments.open(), source, 'currency_minutes', 5, 1)
    yield from flights_figure('F1f', 'flights by route', 'flight_routes')


def f2():
    yield recompute_figure('F2', 'account x hour', SealedPayments.open(), payments_source(), 'account_hours', 2, 20)
    yield from flights_figure('F2f', 'flights by airport x hour', 'flight_hours')


def flights_figure(key, what, view):
    """The same on real data, for comparison: the goals are stated for ten million events."""
    source = flights_source()
    if source is not None:
        server = sealed_flights(source)
        yield recompute_figure(key, what, reopen(server, source[1]), source, view, None, 1)
        server.forget()


# ---- F3: ingest against a bare parsing loop -------------------------------------------------------------------------------

TOTALS_SQL = ('SELECT (SELECT sum(payments) FROM account_totals), (SELECT sum(total) FROM account_totals), '
              '(SELECT sum(payments) FROM currency_minutes), (SELECT sum(total) FROM currency_minutes)')
TIMED_SQL = 'SELECT (SELECT sum(total) FROM account_totals), (SELECT sum(total) FROM currency_minutes)'
FLIGHT_TOTALS_SQL = ('SELECT (SELECT sum(flights) FROM flight_routes), (SELECT sum(delay_minutes) FROM flight_routes), '
                     '(SELECT sum(departures) FROM flight_hours), (SELECT sum(delay_minutes) FROM flight_hours)')
FLIGHT_TIMED_SQL = ('SELECT (SELECT sum(delay_minutes) FROM flight_routes), '
                    '(SELECT sum(delay_minutes) FROM flight_hours)')


def expected_totals(duckdb, parquet):
    return duckdb.rows(
        f"SELECT count(*) FILTER (WHERE status <> 'failed'), sum(amount) FILTER (WHERE status <> 'failed'), count(*), "
        f"sum(amount) FROM '{parquet}'")[0]


def ingest_once(source, timed_sql, totals_sql, wanted):
    """Seconds until timed_sql gives the totals of both views. After that the counts are looked at, too."""
    stream, text, path, _, _ = source
    server = Tally('ingest', text)
    with server:
        started = time.perf_counter()
        last = server.run('ingest', stream, path, '--format', 'json').strip().splitlines()[-1]
        timed_totals = server.csv(timed_sql)[0]
        seconds = time.perf_counter() - started
        totals = server.csv(totals_sql)[0]
        if timed_totals != totals[1::2] or totals != [str(value) for value in wanted] or not last.endswith('rejected 0'):
            raise Different(f'{last}; the views say {totals}, DuckDB {wanted}')
        server.verify()
    server.forget()
    return seconds


def ingest_figure(key, what, source, timed_sql, totals_sql, wanted, goal):
    stream, _, path, columns, count = source

    def loop():
        started = time.perf_counter()
        found = peers.parse_loop(path, columns)
        seconds = time.perf_counter() - started
        if found != count:
            raise Different('the parsing loop lost events')
        return count / seconds

    stamp = quiet()
    mine, other = pairs(lambda: count / ingest_once(source, timed_sql, totals_sql, wanted), loop)
    ratio = mine['median'] / other['median']
    return row(key, f'ingest of {count:,} {what} from a file until both views answer', 'events/s', mine, goal and f'>= {goal} x',
               ratio >= (goal or 0), peer=other, peer_name='simdjson On-Demand loop, one core', ratio=ratio, events=count,
               checks='both views\' counts and totals equal DuckDB\'s, archive verified, each time', **stamp,
               commands=[f'tally ingest {stream} FILE --format json && tally query --wait --format csv "{timed_sql}"',
                         f'parse_loop FILE {" ".join(columns)}'])


def f3():
    source = ('payments', payments_text(), *payments_source()[2:])
    with peers.DuckDB() as duckdb:
        wanted = expected_totals(duckdb, parquet_of(duckdb, source[2], source[3]))
    yield ingest_figure('F3', 'payments', source, TIMED_SQL, TOTALS_SQL, wanted, 0.3)
    source = flights_source()
    if source is not None:
        with peers.DuckDB() as duckdb:
            parquet = parquet_of(duckdb, source[2], source[3])
            wanted = 2 * duckdb.rows(f"SELECT count(*), sum(delay) FROM '{parquet}'")[0]
        yield ingest_figure('F3f', 'flights', source, FLIGHT_TIMED_SQL, FLIGHT_TOTALS_SQL, wanted, None)


# ---- F5: point queries against Redis -----------------------------------------------------------------------------------

def write_answers(duckdb, parquets, path, keys_max=None):
    """Line "key TAB row" for every account (or keys_max of them, here and there), from DuckDB: what each reply must hold.
    The pairs, too, for Redis, and the number of all accounts."""
    sources = ' UNION ALL '.join(f"SELECT * FROM '{parquet}'" for parquet in parquets)
    duckdb.rows("CREATE OR REPLACE TABLE answers AS SELECT account, count(*) AS payments, sum(amount) AS total FROM "
                f"({sources}) WHERE status <> 'failed' GROUP BY account")
    count = int(duckdb.rows('SELECT count(*) FROM answers')[0][0])
    chosen = '' if keys_max is None else f' ORDER BY hash(account) LIMIT {keys_max}'
    rows = duckdb.rows(f'SELECT * FROM (SELECT * FROM answers{chosen}) ORDER BY account')
    found = [(account, f'["{account}",{payments},"{total}"]') for account, payments, total in rows]
    with open(path, 'w') as file:
        file.writelines(f'{account}\t{answer}\n' for account, answer in found)
    return found, count


def redis_rows(found):
    """Each row under the account's name, and under the twelve digits that redis-benchmark draws."""
    plain = [(account.encode(), answer.encode()) for account, answer in found]
    return plain + [(b'A-%012d' % number, answer.encode()) for number, (_, answer) in enumerate(found)]


def half_live(text, first, second):
    """The first file in a published run, the second, which touches half of the accounts, live on top."""
    server = prepare_sealed('points', text, first, EVENTS)
    server = reopen(server, text)
    server.start()
    server.recompute()
    server.ingest_file(second)
    server.csv(TOTALS_SQL)
    return server


def point_rates(window, goal, server, redis, floor, floor_answers, answers, accounts):
    seen = {'tally': [], 'resp': [], 'line': []}

    def client(protocol, socket_path, file=answers):
        def run():
            result = peers.load('point', socket_path, protocol=protocol, sql=POINT_SQL, answers=file, connections=50,
                                window=window, seconds=POINT_SECONDS)
            seen[protocol].append(result)
            return result['rate']
        return run

    def benchmark():
        requests = max(100_000, int(seen['resp'][-1]['rate'] * POINT_SECONDS))
        return peers.redis_benchmark(redis, window, requests, accounts)

    stamp = quiet()
    mine, theirs, bench, empty = pairs(client('tally', server.socket_path), client('resp', redis.socket_path), benchmark,
                                       client('line', floor.socket_path, floor_answers))
    best, name = max(((theirs, 'GET from the same client'), (bench, 'redis-benchmark GET')), key=lambda side: side[0]['median'])
    p99 = summary([result['p99_us'] for result in seen['tally'][1:]])
    ratio = mine['median'] / best['median']
    flight = 'one request in flight each' if window == 1 else f'{window} in flight each'
    notes = [f'p99 {p99["median"]:,.0f} us (min {p99["min"]:,.0f}, max {p99["max"]:,.0f}); Redis '
             f'{summary([result["p99_us"] for result in seen["resp"][1:]])["median"]:,.0f} us',
             f'Redis: same client {theirs["median"]:,.0f}/s, redis-benchmark {bench["median"]:,.0f}/s; the ratio is to the '
             f'faster, {name}',
             f'empty libuv server with replies as long as tally\'s: {empty["median"]:,.0f}/s '
             f'({empty["min"]:,.0f} to {empty["max"]:,.0f})']
    fast_enough = window > 1 or p99['median'] <= 2000
    return row(f'F5-{window}', f'merged point queries by key, 50 connections, {flight}', 'requests/s', mine,
               f'>= {goal} x' + ('; p99 <= 2 ms' if window == 1 else ''), ratio >= goal and fast_enough, peer=best,
               peer_name=f'Redis {redis.version}, {name}', ratio=ratio, notes=notes, **stamp,
               checks='every reply compared with the row that DuckDB computed; archive verified after both rounds',
               commands=[f'load point --protocol tally --connections 50 --window {window} --seconds {POINT_SECONDS:g} '
                         f'--sql "{POINT_SQL}"',
                         f'load point --protocol resp --connections 50 --window {window} --seconds {POINT_SECONDS:g}; '
                         f'redis-benchmark -s SOCKET -c 50 -P {window} -r {accounts} GET A-__rand_int__'])


def f5():
    text = payments_text()
    live = max(EVENTS // 50, 20_000)
    first, second = payments_file(EVENTS), payments_file(live, seed=7, accounts=50_000)
    answers = os.path.join(harness.CACHE, 'answers.tsv')
    with peers.DuckDB() as duckdb:
        found, _ = write_answers(duckdb, [parquet_of(duckdb, path, product.PAYMENT_COLUMNS) for path in (first, second)],
                                 answers)
    server = half_live(text, first, second)
    try:
        probe = peers.load('point', server.socket_path, protocol='tally', sql=POINT_SQL, connections=1, window=1, seconds=0.2,
                           answers=answers)
        filler = found[0][1]
        floor_answers = os.path.join(harness.CACHE, 'floor.tsv')
        with open(floor_answers, 'w') as file:
            file.writelines(f'{account}\t{filler}\n' for account, _ in found)
        reply = 'x' * (int(probe['reply_bytes']) - 1 - len(filler)) + filler
        with peers.Redis(redis_rows(found)) as redis, peers.Floor(reply) as floor:
            for window, goal in ((1, 1.0), (32, 0.2)):
                yield point_rates(window, goal, server, redis, floor, floor_answers, answers, len(found))
        server.verify()
    finally:
        server.stop()
    server.forget()


# ---- F7: freshness -----------------------------------------------------------------------------------------------------

RATE = 100_000
FRESH_SQL = "SELECT payments FROM all_payments WHERE kind = 'P'"


class Recomputing:
    """`tally recompute`, again and again, while the block runs."""

    def __init__(self, server):
        self.server, self.stop, self.runs, self.problem = server, threading.Event(), 0, None
        self.thread = threading.Thread(target=self._loop)

    def _loop(self):
        try:
            while not self.stop.is_set():
                self.server.recompute()
                self.runs += 1
        except Exception as problem:  # told by the main thread
            self.problem = problem

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if self.problem is not None and kind is None:
            raise self.problem


def freshness(server, path, events, rate=RATE):
    return peers.load('open', server.socket_path, events=path, count=events, skip=0, rate=rate, tick_us=1000, poll_us=250,
                      sql=FRESH_SQL)


def f7(seconds):
    text = payments_text() + product.ONE_ROW
    events = int(seconds * RATE)
    stored, fresh = payments_file(EVENTS), payments_file(events, seed=8)
    with peers.DuckDB() as duckdb:
        before, added = (expected_totals(duckdb, parquet_of(duckdb, path, product.PAYMENT_COLUMNS)) for path in (stored, fresh))
    server = reopen(prepare_sealed('fresh', text, stored, EVENTS), text)
    rounds = 0
    with server:
        server.recompute()
        for key, what, goal, busy in (('F7a', 'idle otherwise', 10, False), ('F7b', 'a recompute running all the time', 50, True)):
            stamp = quiet()
            results, runs = [], 0
            for round_number in range(PAIRS + 1 if seconds < 60 else 2):
                if busy:
                    with Recomputing(server) as recomputing:
                        result = freshness(server, fresh, events)
                    runs += recomputing.runs
                else:
                    result = freshness(server, fresh, events)
                rounds += 1
                tell(f'{what}: {result}')
                if round_number > 0:
                    results.append(result)
                check_fresh_totals(server, before, added, rounds)
            yield freshness_row(key, what, goal, seconds, results, runs, stamp)
        server.verify()
    server.forget()


def check_fresh_totals(server, before, added, rounds):
    wanted = [str(Decimal(old) + rounds * Decimal(new)) for old, new in zip(before, added)]
    totals = server.csv(TOTALS_SQL)[0]
    if totals != wanted:
        raise Different(f'after {rounds} rounds the views say {totals}, DuckDB {wanted}')


def freshness_row(key, what, goal, seconds, results, runs, stamp):
    p99 = summary([result['p99_ms'] for result in results])
    middle = {name: summary([result[name] for result in results])['median']
              for name in ('p50_ms', 'p999_ms', 'max_ms', 'queries', 'sender_late_ms')}
    notes = [f'p50 {middle["p50_ms"]:.2f} ms, p99.9 {middle["p999_ms"]:.2f} ms, max {middle["max_ms"]:.1f} ms; the client was at most '
             f'{middle["sender_late_ms"]:.1f} ms late; {middle["queries"]:,.0f} queries a round']
    if runs:
        notes.append(f'{runs} recomputes of all views of {EVENTS:,} events and more were published meanwhile')
    return row(key, f'freshness at {RATE:,} events/s for {seconds:g} s, p99, {what}', 'ms', p99, f'<= {goal} ms', p99['median'] <= goal,
               notes=notes, **stamp, checks='every event counted once; both views\' totals equal DuckDB\'s after each round, archive verified at the end',
               commands=[f'load open --rate {RATE} --count {int(seconds * RATE)} --tick-us 1000 --poll-us 250 --sql "{FRESH_SQL}"'])


# ---- F7c: freshness beside a backfill ----------------------------------------------------------------------------------

BESIDE_RATE = 50_000


class Backfilling:
    """`tally backfill` while the block runs: killed at its end, resumed by the next block, begun under a new name when all is in."""

    def __init__(self, server, path):
        self.server, self.path, self.done, self.client, self.stop, self.problem = server, path, 0, None, threading.Event(), None

    def _start(self):
        self.client = subprocess.Popen([tally.BINARY, 'backfill', 'payments', self.path, '--name', f'history {self.done}', '--data',
                                        self.server.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def _loop(self):
        while not self.stop.is_set():
            out, words = self.client.communicate()
            if self.client.returncode == 0:
                self.done += 1
                self._start()
            elif not self.stop.is_set():
                self.problem = Different(f'the backfill failed: {out} {words}')
                return

    def __enter__(self):
        self.stop.clear()
        self._start()
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.client.kill()
        self.thread.join()
        self.client.kill()
        self.client.communicate()
        if self.problem is not None and kind is None:
            raise self.problem

    def finish(self):
        """The last one to its end; how many times the file is in then, and the rate of what was left of it."""
        started = time.perf_counter()
        out = self.server.run('backfill', 'payments', self.path, '--name', f'history {self.done}').strip().splitlines()[-1]
        match = re.fullmatch(rf'imported {EVENTS}, rejected 0, resumed at (\d+)', out)
        rest = EVENTS - int(match[1]) if match else 0
        if match is None and out != f'already imported: {EVENTS} events':
            raise Different(out)
        return self.done + 1, rest / (time.perf_counter() - started)


def f7c(seconds):
    text = payments_text() + product.ONE_ROW
    events = int(seconds * BESIDE_RATE)
    stored, fresh, history = payments_file(EVENTS), payments_file(events, seed=8), payments_file(EVENTS, seed=9, days=30)
    with peers.DuckDB() as duckdb:
        before, added, past = (expected_totals(duckdb, parquet_of(duckdb, path, product.PAYMENT_COLUMNS))
                               for path in (stored, fresh, history))
    server = reopen(prepare_sealed('beside', text, stored, EVENTS), text)
    alone, beside = [], []
    with server:
        server.recompute()
        stamp = quiet()
        backfilling = Backfilling(server, product.history_of(history))
        for round_number in range(PAIRS + 1):
            alone.append(freshness(server, fresh, events, BESIDE_RATE)['p99_ms'])
            with backfilling:
                beside.append(freshness(server, fresh, events, BESIDE_RATE)['p99_ms'])
            tell(f'round {round_number}: p99 {alone[-1]:.2f} ms alone, {beside[-1]:.2f} ms beside a backfill')
        times, rate = backfilling.finish()
        wanted = [str(Decimal(old) + len(alone) * 2 * Decimal(new) + times * Decimal(long_ago))
                  for old, new, long_ago in zip(before, added, past)]
        if server.csv(TOTALS_SQL)[0] != wanted:
            raise Different(f'the views say {server.csv(TOTALS_SQL)[0]}, DuckDB {wanted}')
        server.recompute()
        server.verify()
    server.forget()
    mine, other = summary(beside[1:]), summary(alone[1:])
    ratio = mine['median'] / other['median']
    yield row('F7c', f'freshness at {BESIDE_RATE:,} events/s for {seconds:g} s, p99, a backfill of {EVENTS:,} events running all the time',
              'ms', mine, '<= 1.20 x without', ratio <= 1.2, peer=other, peer_name='tally without a backfill', ratio=ratio,
              notes=[f'the backfill at its default rate (100,000 events/s at most, giving way), killed at the end of each round and resumed in '
                     f'the next; {times} imports of the file in all; {rate:,.0f} events/s where nothing else ran'], **stamp,
              checks='every live event counted once; both views\' totals equal DuckDB\'s over everything that was ingested and imported; '
                     'recomputed without drift; archive verified at the end',
              commands=['tally backfill payments FILE.gz', f'load open --rate {BESIDE_RATE} --count {events} --tick-us 1000 --poll-us 250 --sql "{FRESH_SQL}"'])


# ---- F8: size ----------------------------------------------------------------------------------------------------------

def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def size_row(key, what, server, path, columns, events):
    """`what` is the stream's name."""
    with peers.DuckDB() as duckdb:
        parquet = os.path.getsize(parquet_of(duckdb, path, columns))
    sealed = sum(segment['file_bytes'] for segment in server.segments() if segment['state'].startswith('s'))
    server.verify()
    server.compare_export(what, path)
    ratio = sealed / parquet
    raw = os.path.getsize(path)
    return row(key, f'sealed archive of {events:,} {what}', 'bytes', summary([sealed]), '<= 1.2 x', ratio <= 1.2,
               peer=summary([parquet]), peer_name='zstd Parquet of the same columns', ratio=ratio, idle=None, load=None,
               events=events, checks='archive verified: every event\'s bytes and checksums; the SHA-256 of `tally archive export` is '
               'that of the file that was ingested',
               notes=[f'{sealed / events:.2f} bytes an event; {sealed / raw:.3f} of the JSON, Parquet {parquet / raw:.3f}'],
               commands=['tally archive stat', f'tally archive export {what}', "COPY ... TO FILE (FORMAT parquet, COMPRESSION zstd)"])


def f8():
    with SealedPayments.open() as server:
        yield size_row('F8a', 'payments', server, payments_file(EVENTS), product.PAYMENT_COLUMNS, EVENTS)
    source = flights_source()
    if source is not None:
        stream, text, path, columns, events = source
        with reopen(prepare_sealed('flights', text, path, events, stream), text) as server:
            yield size_row('F8b', stream, server, path, columns, events)
        server.forget()


def head_of(path, count):
    """The first lines of a file, in .cache/bench."""
    part = os.path.join(harness.CACHE, f'flights-{count}.ndjson')
    if not os.path.exists(part):
        with open(path, 'rb') as source, open(part, 'wb') as target:
            for _ in range(count):
                target.write(source.readline())
    return part, count


# ---- F9: start, idle memory, peak memory ---------------------------------------------------------------------------------

def memory_kib(pid, file, name):
    try:
        with open(f'/proc/{pid}/{file}') as source:
            for line in source:
                if line.startswith(name + ':'):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class PeakWatch(threading.Thread):
    """The largest resident memory of the batch layer's child processes."""

    def __init__(self, batch_pid):
        super().__init__(daemon=True)
        self.batch_pid, self.stop, self.peak_kib = batch_pid, threading.Event(), 0

    def run(self):
        while not self.stop.is_set():
            with open(f'/proc/{self.batch_pid}/task/{self.batch_pid}/children') as file:
                for pid in file.read().split():
                    self.peak_kib = max(self.peak_kib, memory_kib(pid, 'status', 'VmHWM'))
            time.sleep(0.001)


def first_answer(server, wanted):
    """Seconds from the start of `tally run` to the first answer, which must be right."""
    started = time.perf_counter()
    server.start(wait=False)
    while True:
        try:
            connection = server.connect()
            rows = connection.query(POINT_SQL, wanted[0])['rows']
            connection.close()
            break
        except (OSError, product.tally.TallyError):
            if server.process.poll() is not None or time.perf_counter() - started > 60:
                raise
            time.sleep(0.0005)
    seconds = time.perf_counter() - started
    if rows != [wanted]:
        raise Different(f'the first answer was {rows}, not {wanted}')
    return seconds


def f9():
    with peers.DuckDB() as duckdb:
        parquet = parquet_of(duckdb, payments_file(EVENTS), product.PAYMENT_COLUMNS)
        account, payments, total = duckdb.rows(f"SELECT account, count(*), sum(amount) FROM '{parquet}' WHERE status <> 'failed' "
                                               'AND account = \'A-000017\' GROUP BY account')[0]
    wanted = [account, int(payments), total]
    server = SealedPayments.open()
    stamp = quiet()

    def start_and_stop():
        milliseconds = first_answer(server, wanted) * 1000
        wait_for_ready(server)
        server.stop()
        return milliseconds

    start, = pairs(start_and_stop)
    yield row('F9a', f'start of `tally run` on {EVENTS:,} events to the first right answer', 'ms', start, '<= 200 ms',
              start['median'] <= 200, **stamp, checks='the answer is DuckDB\'s; archive verified at the end', commands=['tally run PROJECT'])
    with server:
        stamp = quiet()
        idle = summary([sum(memory_kib(pid, 'smaps_rollup', 'Pss') for pid in server.pids()) / 1024 for _ in range(PAIRS)])
        yield row('F9b', 'idle memory of all processes (PSS)', 'MiB', idle, '<= 40 MB', idle['median'] * 1.048576 <= 40, **stamp,
                  commands=['/proc/PID/smaps_rollup'], notes=['beside it: ksqlDB idles at 461 MB'])
        yield peak_row(server)
        server.verify()


def wait_for_ready(server):
    if server.process.stdout.readline() != b'ready\n':
        raise Different('no "ready": ' + server.log()[-1000:])


def peak_row(server):
    stamp, batch = quiet(), server.children()['batch']

    def once():
        watch = PeakWatch(batch)
        watch.start()
        server.recompute()
        watch.stop.set()
        watch.join()
        if watch.peak_kib == 0:
            raise Different('no recompute process was seen')
        return watch.peak_kib / 1024
    peak, = pairs(once)
    return row('F9c', 'peak resident memory of recomputing the F1 and F2 views', 'MiB', peak, '<= 256 MB',
               peak['median'] * 1.048576 <= 256, **stamp, checks='without drift; archive verified at the end', commands=['tally recompute --full'])


FIGURES = {'F1': f1, 'F2': f2, 'F3': f3, 'F5': f5, 'F7': f7, 'F7c': f7c, 'F8': f8, 'F9': f9}
