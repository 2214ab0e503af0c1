"""A private PostgreSQL 15: a cluster of its own under a temporary folder, reached by a unix socket only."""
import csv
import glob
import io
import os
import pwd
import re
import shutil
import subprocess
import tempfile


class PostgresError(Exception):
    def __init__(self, sqlstate, words):
        super().__init__(f'{sqlstate}: {words}')
        self.sqlstate = sqlstate


class Postgres:
    def __init__(self):
        found = sorted(glob.glob('/usr/lib/postgresql/15/bin'))
        if not found:
            raise RuntimeError('PostgreSQL 15 is not installed; scripts/test installs it')
        self.bin = found[0]
        self.folder = tempfile.mkdtemp(prefix='tally-pg-')
        self.as_user = []
        if os.getuid() == 0:  # PostgreSQL refuses root
            shutil.chown(self.folder, 'postgres', 'postgres')
            self.as_user = ['runuser', '-u', 'postgres', '--']
        self._run('initdb', '-D', f'{self.folder}/data', '--locale=C.UTF-8', '--encoding=UTF8', '-A', 'trust', '-N')
        self._run('pg_ctl', '-D', f'{self.folder}/data', '-w', '-l', f'{self.folder}/log', '-o',
                  f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c timezone=UTC -c fsync=off "
                  "-c jit=off -c max_parallel_workers_per_gather=0", 'start')

    def _run(self, program, *arguments):
        subprocess.run([*self.as_user, f'{self.bin}/{program}', *arguments], check=True, stdout=subprocess.DEVNULL,
                       cwd=self.folder)

    def close(self):
        self._run('pg_ctl', '-D', f'{self.folder}/data', '-m', 'immediate', 'stop')
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def psql(self, sql, database='postgres', *options):
        user = pwd.getpwuid(os.getuid()).pw_name if not self.as_user else 'postgres'
        return subprocess.run([*self.as_user, f'{self.bin}/psql', '-X', '-q', '-h', self.folder, '-U', user, '-d',
                               database, '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1', '-P', 'null=\\N', *options],
                              input=sql.encode(), capture_output=True, cwd='/')

    def execute(self, sql, database='postgres'):
        done = self.psql(sql, database)
        if done.returncode != 0:
            raise self._error(done)

    @staticmethod
    def _error(done):
        words = done.stderr.decode(errors='replace')
        match = re.search(r'(?:ERROR|FATAL):  ([0-9A-Z]{5}): (.*)', words)
        return PostgresError(match[1], match[2]) if match else RuntimeError(words)

    def query(self, sql, database='postgres'):
        """(column names, rows); a cell is text, or None for NULL."""
        done = self.psql(sql + ('' if sql.rstrip().endswith(';') else ';'), database, '--csv')
        if done.returncode != 0:
            raise self._error(done)
        lines = list(csv.reader(io.StringIO(done.stdout.decode(), newline='')))
        if not lines:
            return [], []
        return lines[0], [[None if cell == '\\N' else cell for cell in row] for row in lines[1:]]
