"""What tally is compared with. Each peer runs at the best of its settings that docs/BENCHMARKS.md lists."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from harness import CACHE, ROOT, TOOLS, Different, output_of, say

HERE = os.path.dirname(os.path.abspath(__file__))
DUCKDB_PACKAGE = '@duckdb/node-api@1.5.6-r.1'
NPM = os.path.join(CACHE, 'npm')
PIP = os.path.join(CACHE, 'python')
ENVIRONMENT = dict(os.environ, BENCH_NPM=NPM, PYTHONPATH=PIP)


def shell(command):
    """A line with the functions of scripts/lib.sh at hand."""
    subprocess.run(['bash', '-c', f'source scripts/lib.sh; {command}'], cwd=ROOT, check=True, stdout=sys.stderr)


def compile_tool(name, source, command):
    path, source = os.path.join(TOOLS, name), os.path.join(HERE, source)
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        os.makedirs(TOOLS, exist_ok=True)
        subprocess.run([*command[0].split(), '-o', path, source, *command[1].split()], check=True)
    return path


def set_up():
    """Everything that the figures need, but the product: packages from Debian and npm, the small programs beside this."""
    shell('need gcc g++ libc6-dev libuv1-dev libsqlite3-dev libxxhash-dev libsimdjson-dev redis-server redis-tools python3')
    compile_tool('load', 'load.c', ('gcc -O2 -D_GNU_SOURCE', ''))
    compile_tool('floor', 'floor.c', ('gcc -O2', '-luv'))
    compile_tool('floors', 'floors.c', ('gcc -O2 -D_GNU_SOURCE', '-lsqlite3 -lxxhash -lpthread'))
    compile_tool('parse_loop', 'parse_loop.cpp', ('g++ -O3 -march=native -DNDEBUG -std=c++17', '-lsimdjson'))


def duckdb_command():
    """DuckDB from npm; where npm can't be had, from PyPI."""
    if not os.path.isdir(os.path.join(NPM, 'node_modules', '@duckdb')):
        os.makedirs(NPM, exist_ok=True)
        try:
            shell('need_npm')
            subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--no-save', DUCKDB_PACKAGE],
                           cwd=NPM, check=True, stdout=sys.stderr)
        except (subprocess.CalledProcessError, OSError):
            shutil.rmtree(NPM, ignore_errors=True)
    if os.path.isdir(os.path.join(NPM, 'node_modules', '@duckdb')):
        return ['node', os.path.join(HERE, 'duckdb.mjs')]
    if not os.path.isdir(os.path.join(PIP, 'duckdb')):
        say('DuckDB from PyPI, since npm cannot be had')
        subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--target', PIP, 'duckdb'], check=True,
                       stdout=sys.stderr)
    return [sys.executable, os.path.join(HERE, 'duckdb_peer.py')]


class DuckDB:
    """An open connection to a database file; the process does nothing but wait between statements."""

    def __init__(self, name='peer', threads=2):
        path = os.path.join(CACHE, f'{name}.duckdb')
        for stale in (path, path + '.wal'):
            if os.path.exists(stale):
                os.unlink(stale)
        self.process = subprocess.Popen([*duckdb_command(), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=dict(ENVIRONMENT, BENCH_THREADS=str(threads)))
        self.version = self.rows('SELECT version()')[0][0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def rows(self, sql):
        self.process.stdin.write(json.dumps({'sql': sql}).encode() + b'\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {'error': 'DuckDB ended'}
        if 'error' in reply:
            raise RuntimeError(f'DuckDB: {reply["error"]}\n{sql}')
        return reply['rows']


class Redis:
    """A server on a unix socket, without persistence: its fastest setting."""

    def __init__(self, pairs_of_key_and_value):
        self.socket_path = os.path.join(CACHE, 'redis.sock')
        self.process = subprocess.Popen(['redis-server', '--port', '0', '--unixsocket', 'redis.sock', '--save', '',
                                         '--appendonly', 'no'], cwd=CACHE, stdout=subprocess.DEVNULL)
        try:
            self._fill(pairs_of_key_and_value)
        except BaseException:
            self.__exit__()
            raise
        self.version = re.search(r'v=([\d.]+)', output_of('redis-server', '--version'))[1]

    def _fill(self, rows):
        client = self._connect()
        count = 0
        for begin in range(0, len(rows), 10000):
            part = rows[begin:begin + 10000]
            client.sendall(b''.join(b'*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' % (len(key), key, len(value), value)
                                    for key, value in part))
            wanted = b'+OK\r\n' * len(part)
            got = b''
            while len(got) < len(wanted):
                got += client.recv(1 << 20)
            if got != wanted:
                raise Different(f'redis answered SET with {got[:100]!r}')
            count += len(part)
        client.close()

    def _connect(self):
        end = time.monotonic() + 20
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            folder = os.open(CACHE, os.O_PATH)
            try:
                client.connect(f'/proc/self/fd/{folder}/redis.sock')
                return client
            except OSError:
                client.close()
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.01)
            finally:
                os.close(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Floor:
    """A libuv server that answers every line with the same one."""

    def __init__(self, reply):
        self.socket_path = os.path.join(CACHE, 'floor.sock')
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
        self.process = subprocess.Popen([os.path.join(TOOLS, 'floor'), 'floor.sock', reply], cwd=CACHE)
        end = time.monotonic() + 20
        while not os.path.exists(self.socket_path):
            if time.monotonic() > end:
                raise RuntimeError('the floor server does not start')
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def load(mode, socket_path, **options):
    """The load client; its JSON line. The socket's folder is its working folder, so no path is too long."""
    arguments = [os.path.join(TOOLS, 'load'), mode, '--socket', os.path.basename(socket_path)]
    for name, value in options.items():
        arguments += ['--' + name.replace('_', '-'), str(value)]
    done = subprocess.run(arguments, cwd=os.path.dirname(socket_path), capture_output=True, text=True)
    if done.returncode != 0:
        raise Different(done.stderr.strip())
    return json.loads(done.stdout)


def redis_benchmark(redis, window, requests, keys):
    """Requests a second of redis-benchmark's GET of a random key."""
    done = subprocess.run(['redis-benchmark', '-s', 'redis.sock', '-c', '50', '-P', str(window), '-n', str(requests), '-r',
                           str(keys), '--csv', 'GET', 'A-__rand_int__'], cwd=CACHE, capture_output=True, text=True,
                          check=True)
    return float(done.stdout.strip().splitlines()[-1].split('","')[1])


def parse_loop(path, names):
    """The number of events that the bare parsing loop found; `names` are those of their members, in order."""
    done = subprocess.run([os.path.join(TOOLS, 'parse_loop'), path, *names], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])
