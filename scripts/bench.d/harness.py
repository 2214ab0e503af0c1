"""How a figure is taken: quiet machine, pairs A B A B, medians and spread, and what machine it was."""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get('TALLY_CACHE', os.path.join(ROOT, '.cache')), 'bench')
TOOLS = os.path.join(CACHE, 'bin')
FULL_EVENTS = 10_000_000
EVENTS = int(os.environ.get('TALLY_BENCH_EVENTS', FULL_EVENTS))
PAIRS = int(os.environ.get('TALLY_BENCH_PAIRS', '5'))
IDLE_WAIT_S = float(os.environ.get('TALLY_BENCH_IDLE_S', '60'))
IDLE_WANTED = 0.95
NOISY_SPREAD = 0.25


def say(text):
    print(f'\033[1m{text}\033[0m' if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def tell(text):
    print(f'  {text}', file=sys.stderr, flush=True)


class Different(Exception):
    """The two sides' answers differ, or the product's is wrong: there is no figure."""


# ---- the machine ---------------------------------------------------------------------------------------------------

def cpu_times():
    with open('/proc/stat') as file:
        numbers = [int(word) for word in file.readline().split()[1:]]
    return sum(numbers[:8]), numbers[3] + numbers[4]


def idle_share(seconds):
    all_before, idle_before = cpu_times()
    time.sleep(seconds)
    all_after, idle_after = cpu_times()
    return (idle_after - idle_before) / max(1, all_after - all_before)


def wait_until_idle():
    """The share of idle CPU that was waited for, or the last one seen when the time was up."""
    end = time.monotonic() + IDLE_WAIT_S
    while True:
        share = idle_share(1.0)
        if share >= IDLE_WANTED or time.monotonic() > end:
            return share
        tell(f'waiting for a quiet machine: {share:.0%} idle')


def quiet():
    """Waited for before each figure; the stamp for its row."""
    share = wait_until_idle()
    return {'idle': share, 'load': os.getloadavg()[0]}


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError:
        return ''
    return (done.stdout or done.stderr).strip()


def machine():
    facts = {'kernel': platform.release(), 'cores': os.cpu_count(), 'cpu': platform.machine(), 'system': ''}
    with open('/proc/cpuinfo') as file:
        for line in file:
            if line.startswith('model name'):
                facts['cpu'] = line.split(':', 1)[1].strip()
                break
    with open('/proc/meminfo') as file:
        facts['memory_gib'] = round(int(file.readline().split()[1]) / 2**20, 1)
    with open('/etc/os-release') as file:
        for line in file:
            if line.startswith('PRETTY_NAME='):
                facts['system'] = line.split('=', 1)[1].strip().strip('"')
    return facts


def commit():
    text = output_of('git', 'rev-parse', '--short=10', 'HEAD')
    return text + ('+' if output_of('git', 'status', '--porcelain', '--untracked-files=no') else '')


# ---- numbers ---------------------------------------------------------------------------------------------------------

def summary(values):
    middle = statistics.median(values)
    return {'median': middle, 'min': min(values), 'max': max(values), 'values': values,
            'spread': (max(values) - min(values)) / middle if middle else 0.0}


def pairs(*sides):
    """Each side a function that does its work once and returns a number. One round untimed, then PAIRS rounds."""
    taken = [[] for _ in sides]
    for round_number in range(PAIRS + 1):
        for side, values in zip(sides, taken):
            value = side()
            if round_number > 0:
                values.append(value)
        tell(('untimed round' if round_number == 0 else f'round {round_number} of {PAIRS}') + ': ' +
             ', '.join(f'{values[-1]:,.4g}' for values in taken if values))
    return [summary(values) for values in taken]


def timed(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


# ---- results, kept between invocations so that a part can be taken again -----------------------------------------------

RESULTS = os.path.join(CACHE, f'results-{EVENTS}.json')


def load_results():
    try:
        with open(RESULTS) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def keep(row):
    """Write a row into the results of this size, stamped."""
    row['date'] = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    row['commit'] = commit()
    row['events'] = row.get('events', EVENTS)
    row['size'] = EVENTS
    row['machine'] = machine()
    results = load_results()
    results[row['key']] = row
    with open(RESULTS + '.part', 'w') as file:
        json.dump(results, file, indent=1)
    os.replace(RESULTS + '.part', RESULTS)
