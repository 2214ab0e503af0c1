"""scripts/bench floors: what the machine does at best of the things that the data path is made of (floors.c)."""
import os
import subprocess
import time

import harness
import peers
import product
from harness import EVENTS, quiet


def best_start_ms():
    """From exec to exit of the program that says its version."""
    taken = []
    for _ in range(20):
        started = time.perf_counter()
        subprocess.run([product.tally.BINARY, '--version'], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return min(taken) * 1000


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
    harness.keep({'key': 'floors', 'floors': floors, **stamp})


def text_of(row):
    lines = ['## Floors', '', f'What this machine does at best of the things that the data path is made of, by `scripts/bench floors` '
             f'({row["date"]}, commit {row["commit"]}). Nothing gets below these; [COSTS.md](COSTS.md) says how far above the stages '
             'are.', '', '| what | |', '|---|---|']
    lines += [f'| {what} | {value:.3g} {unit} |' for what, value, unit in row['floors']]
    return '\n'.join([*lines, ''])
