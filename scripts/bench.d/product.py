"""The product's side: projects, inputs, data folders in the state that a figure starts from, comparisons of answers."""
import csv
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time

from harness import CACHE, ROOT, Different, tell

sys.path.insert(0, os.path.join(ROOT, 'tests', 'python'))
import tally  # noqa: E402
from tally import Server, wait_for  # noqa: E402

tally.DEADLINE_S = float(os.environ.get('TALLY_BENCH_DEADLINE_S', '600'))

SEED = 42
PAYMENTS_FOLDER = os.path.join(ROOT, 'schemas', 'examples', 'payments')
FLIGHTS_FOLDER = os.path.join(ROOT, 'schemas', 'examples', 'flights')
HOURS = '''
CREATE MATERIALIZED VIEW account_hours AS
SELECT account, date_trunc('hour', paid_at) AS hour, count(*) AS payments, sum(amount) AS total
FROM payments
GROUP BY account, hour;
'''
ONE_ROW = '''
CREATE MATERIALIZED VIEW all_payments AS
SELECT left(payment_id, 1) AS kind, count(*) AS payments, sum(amount) AS total
FROM payments
GROUP BY kind;
'''
FLIGHT_VIEWS = '''
CREATE MATERIALIZED VIEW flight_routes AS
SELECT origin, destination, count(*) AS flights, min(distance) AS miles, sum(delay) AS delay_minutes
FROM flights
GROUP BY origin, destination;
CREATE MATERIALIZED VIEW flight_hours AS
SELECT origin, date_trunc('hour', date) AS hour, count(*) AS departures, sum(delay) AS delay_minutes,
       max(delay) AS worst_delay, count(*) FILTER (WHERE delay >= 15) AS late
FROM flights
GROUP BY origin, hour;
'''
PAYMENT_COLUMNS = {'payment_id': 'VARCHAR', 'account': 'VARCHAR', 'amount': 'DECIMAL(18,2)', 'currency': 'VARCHAR',
                   'status': 'VARCHAR', 'paid_at': 'TIMESTAMP'}
FLIGHT_COLUMNS = {'date': 'TIMESTAMP', 'delay': 'INTEGER', 'distance': 'INTEGER', 'origin': 'VARCHAR',
                  'destination': 'VARCHAR'}


def definitions(folder):
    """The SQL of an example, without its schedules: no recompute may come in between."""
    text = ''
    for name in sorted(os.listdir(folder)):
        if name.endswith('.sql'):
            with open(os.path.join(folder, name)) as file:
                text += file.read()
    return re.sub(r"\s+WITH \(recompute = '[^']*'\)", '', text)


def flights_text():
    """The stream of the example, with views that DuckDB computes from the same words, to the digit."""
    text = definitions(FLIGHTS_FOLDER)
    return text[:text.index('CREATE MATERIALIZED VIEW')] + FLIGHT_VIEWS


def select_of(text, view):
    """The SELECT of a view, as it stands in the definitions: both sides run these same words."""
    return re.search(rf'CREATE MATERIALIZED VIEW {view}\b.*?\bAS\s+(SELECT.*?);', text, re.DOTALL)[1]


# ---- inputs ----------------------------------------------------------------------------------------------------------

def payments_file(count, seed=SEED, accounts=100_000, days=1):
    """One day of payments, in .cache/bench, and in the page cache."""
    path = os.path.join(CACHE, f'payments-{count}-{seed}-{accounts}-{days}.ndjson')
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        tell(f'generating {count:,} payments')
        with open(path + '.part', 'wb') as file:
            subprocess.run([os.path.join(ROOT, 'scripts', 'generate-payments'), str(count), str(seed), str(accounts), str(days)],
                           stdout=file, check=True)
        os.replace(path + '.part', path)
    read_whole(path)
    return path


def history_of(path):
    """The payments of `path` under numbers of another kind, which the freshness clients do not count; as gzip."""
    history = path.removesuffix('.ndjson') + '-history.ndjson.gz'
    if not os.path.exists(history):
        tell('compressing the history')
        with open(path, 'rb') as source, gzip.open(history + '.part', 'wb', compresslevel=1) as target:
            for line in source:
                target.write(line.replace(b'"payment_id":"P', b'"payment_id":"H', 1))
        os.replace(history + '.part', history)
    read_whole(history)
    return history


def flights_file():
    """The three million real flights, or None without npm."""
    done = subprocess.run([os.path.join(ROOT, 'scripts', 'fetch-data')], stdout=sys.stderr)
    path = os.path.join(os.path.dirname(CACHE), 'data', 'flights.ndjson')
    return path if done.returncode == 0 else None


def read_whole(path):
    with open(path, 'rb', buffering=0) as file:
        while file.read(8 << 20):
            pass


def parquet_of(duckdb, path, columns):
    """The same columns as zstd Parquet. Amounts go from text to decimal, never through a double."""
    parquet = path.removesuffix('.ndjson') + '.parquet'
    if not os.path.exists(parquet):
        tell('writing the same columns as zstd Parquet')
        as_read = ', '.join(f"{name}: 'VARCHAR'" for name in columns)
        casts = ', '.join(f'CAST({name} AS {kind}) AS {name}' for name, kind in columns.items())
        duckdb.rows(f"COPY (SELECT {casts} FROM read_json('{path}', format = 'newline_delimited', columns = {{{as_read}}})) "
                    f"TO '{parquet}.part' (FORMAT parquet, COMPRESSION zstd)")
        os.replace(parquet + '.part', parquet)
    read_whole(parquet)
    return parquet


# ---- data folders ----------------------------------------------------------------------------------------------------

def digest(file):
    """How many bytes it has, and their SHA-256."""
    size, sha = 0, hashlib.sha256()
    for chunk in iter(lambda: file.read(1 << 20), b''):
        size += len(chunk)
        sha.update(chunk)
    return size, sha.hexdigest()


class Tally(Server):
    """A server whose data folder lies in .cache/bench, and is empty unless `kept`."""

    def __init__(self, name, text, kept=False, options=(), environment=None):
        data = os.path.join(CACHE, 'data', name)
        if not kept:
            shutil.rmtree(data, ignore_errors=True)
        os.makedirs(os.path.dirname(data), exist_ok=True)
        super().__init__(text, data=data, options=options, environment=environment)

    @property
    def socket_path(self):
        return os.path.join(self.data, 'tally.sock')

    def forget(self):
        """Delete the data folder of a server that was stopped."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def csv(self, sql, wait=True):
        out = self.run('query', *(['--wait'] if wait else []), '--format', 'csv', sql)
        return list(csv.reader(io.StringIO(out)))[1:]

    def ingest_file(self, path, stream='payments'):
        last = self.run('ingest', stream, path, '--format', 'json').strip().splitlines()[-1]
        with open(path, 'rb') as file:
            count = sum(chunk.count(b'\n') for chunk in iter(lambda: file.read(8 << 20), b''))
        if last != f'ingested {count}, rejected 0':
            raise Different(f'{last}, of {count} events')

    def recompute(self, *views):
        """Events of the run; raises when it drifted."""
        last = self.run('recompute', '--full', *views).strip().splitlines()[-1]
        match = re.fullmatch(r'run \d+ published: (\d+) events, cut (.+), drift (\d+)', last)
        if match is None or match[3] != '0':
            raise Different(last)
        return int(match[1])

    def segments(self):
        """[] when a file was replaced by its sealed copy while stat read it: ask again."""
        done = self.run('archive', 'stat', '--format', 'json', check=False)
        return json.loads(done.stdout) if done.returncode == 0 else []

    def verify(self):
        """The stores are whole after a figure was taken from them."""
        last = self.run('archive', 'verify').strip().splitlines()[-1]
        if not last.endswith(' 0 damaged'):
            raise Different(last)

    def compare_export(self, stream, path):
        """`tally archive export` gives the bytes of the file that was ingested."""
        client = subprocess.Popen([tally.BINARY, 'archive', 'export', stream, '--data', self.data], stdout=subprocess.PIPE)
        with client, open(path, 'rb') as file:
            exported, ingested = digest(client.stdout), digest(file)
        if client.returncode != 0 or exported != ingested:
            raise Different(f'the export of {stream} (exit code {client.returncode}) is not {path}: '
                            f'{exported} and {ingested}')

    def pids(self):
        return [self.process.pid, *self.children().values()]


def is_settled(segments, events):
    """Every event lies in a sealed file, and nothing else waits."""
    sealed = sum(row['events'] for row in segments if row['state'].startswith('s'))
    return sealed == events and all(row['events'] == 0 for row in segments if not row['state'].startswith('s'))


def prepare_sealed(name, text, path, events, stream='payments'):
    """A data folder that holds the events of `path`, all sealed, all folded, the server stopped cleanly."""
    tell(f'preparing a data folder of {events:,} events')
    server = Tally(name, text, options=['--seal-age-s', '1'])
    server.start()
    try:
        server.ingest_file(path, stream)
        wait_for(lambda: is_settled(server.segments(), events), 'the sealing of the archive')
        connection = server.connect()
        connection.query('SELECT 1', wait=True)
        connection.close()
    except BaseException:
        tell(server.log()[-2000:])
        server.stop(check=False)
        raise
    server.stop()
    shutil.rmtree(server.folder)
    return server


def reopen(server, text):
    """The same data folder under default settings."""
    return Tally(os.path.basename(server.data), text, kept=True)


# ---- comparisons -----------------------------------------------------------------------------------------------------

def compare_view(server, duckdb, view, table, account_slices=1):
    """Every row of the view against every row of DuckDB's table, both ways, as exact types."""
    columns = duckdb.rows(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}' "
                          'ORDER BY column_index')
    names = ', '.join(name for name, _ in columns)
    path = os.path.join(CACHE, 'answer.csv')
    connection = server.connect()
    with open(path, 'w', newline='') as file:
        for part in range(account_slices):
            where = '' if account_slices == 1 else (
                f" WHERE account >= 'A-{part * 100000 // account_slices:06d}'" +
                (f" AND account < 'A-{(part + 1) * 100000 // account_slices:06d}'" if part + 1 < account_slices else ''))
            rows = connection.query(f'SELECT {names} FROM {view}{where}', wait=True)['rows']
            csv.writer(file).writerows(rows)
    connection.close()
    read_as = ', '.join(f"'{name}': 'VARCHAR'" for name, _ in columns)
    casts = ', '.join(f"CAST({name} AS {'TIMESTAMPTZ' if kind.startswith('TIMESTAMP') else kind}) AS {name}"
                      for name, kind in columns)
    wanted = ', '.join(f"CAST({name} AS TIMESTAMPTZ) AS {name}" if kind.startswith('TIMESTAMP') else name
                       for name, kind in columns)
    duckdb.rows("SET TimeZone = 'UTC'")
    duckdb.rows(f"CREATE OR REPLACE TABLE answer AS SELECT {casts} FROM read_csv('{path}', header = false, "
                f"columns = {{{read_as}}})")
    rows, mine, theirs = duckdb.rows(
        f'SELECT (SELECT count(*) FROM {table}), '
        f'(SELECT count(*) FROM (SELECT * FROM answer EXCEPT ALL SELECT {wanted} FROM {table})), '
        f'(SELECT count(*) FROM (SELECT {wanted} FROM {table} EXCEPT ALL SELECT * FROM answer))')[0]
    if int(mine) or int(theirs) or not int(rows):
        raise Different(f'{view}: of {rows} rows {theirs} differ from DuckDB\'s')
    os.unlink(path)
    return int(rows)
