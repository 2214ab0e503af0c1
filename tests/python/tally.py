"""Drive the real binary: start a server on a folder of its own, talk to its socket, kill its processes."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get('TALLY_BINARY', os.path.join(ROOT, 'build', 'tally'))
DEADLINE_S = float(os.environ.get('TALLY_TEST_DEADLINE_S', '120'))


def wait_for(condition, what, deadline_s=None):
    """Poll until condition() is true; a deadline, never a fixed sleep, decides."""
    end = time.monotonic() + (deadline_s or DEADLINE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited in vain for {what}')
        time.sleep(0.005)


class TallyError(Exception):
    def __init__(self, error):
        super().__init__(error.get('message'))
        self.error = error
        self.sqlstate = error.get('data', {}).get('sqlstate')


class Connection:
    """One connection of the NDJSON protocol."""

    def __init__(self, path, timeout=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout or DEADLINE_S)
        folder = os.open(os.path.dirname(path), os.O_PATH)  # a path may be longer than sun_path
        try:
            self.socket.connect(f'/proc/self/fd/{folder}/{os.path.basename(path)}')
        finally:
            os.close(folder)
        self.file = self.socket.makefile('rb')
        self.next_id = 0

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b'\n'):
            raise ConnectionError('the server closed the connection')
        return json.loads(line, parse_float=_Float)

    def call(self, method, body=None, **params):
        """The result; parts of a large answer are put together. Raises TallyError on an error reply."""
        self.next_id += 1
        request = {'id': self.next_id, 'method': method, 'params': params}
        self.send(json.dumps(request).encode() + b'\n' + (body or b''))
        return self.reply(self.next_id)

    def reply(self, wanted_id):
        rows = []
        while True:
            reply = self.line()
            if reply.get('id') != wanted_id:
                raise AssertionError(f'reply {reply} out of order, wanted id {wanted_id}')
            if 'error' in reply:
                raise TallyError(reply['error'])
            if 'result' in reply:
                result = reply['result']
                if isinstance(result, dict) and 'rows' in result:
                    result['rows'] = rows + result['rows']
                return result
            rows += reply.get('rows', [])

    def query(self, sql, *args, wait=False):
        params = {'sql': sql}
        if args:
            params['args'] = list(args)
        if wait:
            params['wait'] = True
        return self.call('query', **params)

    def ingest(self, stream, data, **params):
        if isinstance(data, str):
            data = data.encode()
        return self.call('ingest', body=data, stream=stream, bytes=len(data), **params)


class _Float(float):
    """A double that remembers how it was written."""

    def __new__(cls, text):
        value = super().__new__(cls, text)
        value.text = text
        return value


class Server:
    """`tally run` on a fresh (or given) data folder."""

    def __init__(self, definitions, data=None, options=(), environment=None):
        self.folder = tempfile.mkdtemp(prefix='tally-test-')
        self.project = os.path.join(self.folder, 'project')
        self.data = data or os.path.join(self.folder, 'data')
        os.makedirs(self.project)
        self.define(definitions)
        self.options = list(options)
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        self.log_path = os.path.join(self.folder, 'log')

    def define(self, definitions):
        with open(os.path.join(self.project, 'definitions.sql'), 'w') as file:
            file.write(definitions)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)
        if kind is None and not os.environ.get('TALLY_KEEP'):
            shutil.rmtree(self.folder)
        elif kind is not None:
            print(f'kept: {self.folder}')

    def start(self, wait=True):
        log = open(self.log_path, 'ab')
        self.process = subprocess.Popen([BINARY, 'run', self.project, '--data', self.data, *self.options],
                                        stdout=subprocess.PIPE, stderr=log, env=self.environment)
        log.close()
        if wait:
            line = self.process.stdout.readline()
            if line != b'ready\n':
                raise AssertionError(f'no "ready" but {line!r}; log:\n{self.log()[-3000:]}')

    def stop(self, check=True):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.process = None
        if check and code != 0:
            raise AssertionError(f'tally run ended with {code}; log:\n{self.log()[-3000:]}')

    def kill(self):
        """kill -9 of the supervisor; its children die with it."""
        children = list(self.children().values())
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None
        wait_for(lambda: not any(_is_alive(pid) for pid in children), 'the end of all child processes')

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        with open(self.log_path, 'rb') as file:
            return file.read().decode(errors='replace')

    def children(self):
        """pid of each layer's process, by name."""
        found = {}
        for pid in os.listdir('/proc'):
            if not pid.isdigit():
                continue
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as file:
                    arguments = file.read().split(b'\0')
            except OSError:
                continue
            if self.data.encode() in arguments and len(arguments) > 1 and arguments[1] != b'run':
                if _is_alive(int(pid)):
                    found[arguments[1].decode()] = int(pid)
        return found

    def kill_child(self, name):
        pid = self.children().get(name)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def connect(self, timeout=None):
        return Connection(os.path.join(self.data, 'tally.sock'), timeout)

    def connect_when_up(self):
        def attempt():
            try:
                return self.connect()
            except OSError:
                return None
        return wait_for(attempt, 'a server that answers')

    def run(self, *arguments, data=None, check=True):
        """A client command on this server: its stdout."""
        done = subprocess.run([BINARY, *arguments, '--data', self.data], input=data, capture_output=True,
                              timeout=DEADLINE_S * 5)
        if check and done.returncode != 0:
            raise AssertionError(f'tally {arguments} ended with {done.returncode}: {done.stderr.decode()}')
        return done.stdout.decode() if check else done


def _is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat', 'rb') as file:
            return file.read().rsplit(b')', 1)[1].split()[0] != b'Z'
    except OSError:
        return False


def recompute(server, *views):
    """Run and published, as (run, events, drift)."""
    last = server.run('recompute', *views).strip().splitlines()[-1]
    match = re.fullmatch(r'run (\d+) published: (\d+) events, cut (.+), drift (\d+)', last)
    assert match, last
    return int(match[1]), int(match[2]), int(match[4])


class Runner:
    """Named checks with a closing line that counts them."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, function, *args):
        started = time.monotonic()
        try:
            function(*args)
        except Exception as problem:  # a test's failure must not hide the others
            self.failed += 1
            import traceback
            print(f'FAILED {name}: {problem}')
            traceback.print_exc()
        else:
            self.passed += 1
            print(f'ok     {name} ({time.monotonic() - started:.1f} s)', flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f'SKIPPED {name}: {why}', flush=True)

    def finish(self):
        print(f'{self.passed} passed, {self.failed} failed')
        return 1 if self.failed else 0
