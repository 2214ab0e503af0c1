"""scripts/bench floors: what the machine does at best of the things that the data path is made of (floors.c)."""
import os
import re
import subprocess
import time

import harness
import peers
import product
from harness import EVENTS, ROOT, quiet

COUNTER = os.path.join(ROOT, 'tests', 'instructions', 'run')


def best_start_ms():
    """From exec to exit of the program that says its version."""
    taken = []
    for _ in range(20):
        started = time.perf_counter()
        subprocess.run([product.tally.BINARY, '--version'], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return min(taken) * 1000


def stages():
    """[stage, CPU nanoseconds, unit]: the data path over a small fixed input, in one process."""
    out = subprocess.run([COUNTER, '--times'], capture_output=True, text=True, check=True,
                         env=dict(os.environ, TALLY_BUILD=os.path.dirname(product.tally.BINARY))).stdout
    found = (re.fullmatch(r'(\S+) +([\d,.]+) ns per (.*)', line) for line in out.splitlines())
    return [[match[1], float(match[2].replace(',', '')), match[3]] for match in found if match]


def recorded_counts():
    """{stage: instructions per unit}, as tests/instructions has them on record."""
    with open(os.path.join(os.path.dirname(COUNTER), 'counts')) as file:
        found = (re.match(r'(\S+) +([\d,.]+) per ', line) for line in file)
        return {match[1]: match[2] for match in found if match}


def take():
    path = product.payments_file(min(EVENTS, 1_000_000))
    folder = os.path.join(harness.CACHE, 'data', 'floors')
    os.makedirs(folder, exist_ok=True)
    stamp = quiet()
    out = subprocess.run([os.path.join(peers.TOOLS, 'floors'), path, folder], capture_output=True, text=True, check=True).stdout
    floors = [[what, float(value), unit] for value, unit, what in (line.split('\t') for line in out.splitlines())]
    seconds = min(harness.timed(peers.parse_loop, path, product.PAYMENT_COLUMNS) for _ in range(5))
    floors.insert(4, ['payments parsed by simdjson On-Demand: six members fetched', min(EVENTS, 1_000_000) / seconds / 1e6, 'M events/s'])
    floors.append(['a process that says its version, from exec to exit', best_start_ms(), 'ms'])
    harness.keep({'key': 'floors', 'floors': floors, 'stages': stages(), **stamp})


def text_of(row):
    counts = recorded_counts()
    lines = ['## Stages and floors', '', f'By `scripts/bench floors` ({row["date"]}, commit {row["commit"]}). What the stages of the data '
             'path cost in CPU time, each taken alone over a million payments, and in instructions, as recorded and checked by '
             '`tests/instructions/run`:', '', '| stage | CPU | instructions | per |', '|---|---|---|---|']
    lines += [f'| {name} | {duration(value)} | {counts.get(name, "")} | {unit} |' for name, value, unit in row['stages']]
    lines += ['', 'What this machine does at best of the things that the path is made of. Nothing gets below these; '
              '[COSTS.md](COSTS.md) says what lies between.', '', '| what | |', '|---|---|']
    lines += [f'| {what} | {value:,.3g} {unit} |' for what, value, unit in row['floors']]
    return '\n'.join([*lines, ''])


def duration(nanoseconds):
    for unit, size in (('ms', 1e6), ('us', 1e3)):
        if nanoseconds >= size:
            return f'{nanoseconds / size:.3g} {unit}'
    return f'{nanoseconds:.3g} ns'
