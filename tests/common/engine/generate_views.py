#!/usr/bin/env python3
"""Write events.ndjson and postgresql_views.tsv: random events, and the rows that a PostgreSQL 15 gives for views.sql.

    PGHOST=... PGUSER=... tests/common/engine/generate_views.py

The cluster must be made with --locale=C.UTF-8 and run with TimeZone UTC. A row is the view's name, a tab, and the fields
joined by |, with \\N for NULL. The seed is fixed."""
import json
import os
import random
import re
import subprocess
import sys

R = random.Random(19700101)
HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = 700


def maybe(make, part=0.2):
    return None if R.random() < part else make()


def number(digits, scale):
    value = R.choice([R.randint(0, 10 ** digits - 1), R.randint(0, 99), 10 ** digits - 1, 0])
    text = str(value).rjust(scale + 1, "0")
    return R.choice(["", "-"]) + (text[:-scale] + "." + text[-scale:] if scale else text)


def event():
    day = lambda: "2026-03-%02d" % R.randint(1, 3)
    time = lambda: "%02d:%02d:%02d.%06d" % (R.choice([0, 9, 10, 23]), R.randint(0, 59), R.randint(0, 59), R.randint(0, 999999))
    return {
        "account": R.choice(["A-%d" % R.randint(1, 12), "ä%d" % R.randint(1, 3), ""]),
        "branch": maybe(lambda: R.choice(["b1", "b2", "Nord", "süd"])),
        "amount": number(R.choice([4, 4, 9, 16]), 2),
        "fee": maybe(lambda: number(R.choice([5, 9]), 4)),
        "wide": maybe(lambda: number(R.choice([12, 30, 38]), 10)),
        "free": maybe(lambda: R.choice(["1.5", "1.50", "2", "2.0", "-7.125", "100", "0.0001", "12345678901234567890123456789012345678901.5"])),
        "small": maybe(lambda: R.choice([0, 1, 2, 3, -1, 32767, -32768])),
        "qty": R.choice([0, 1, -1, 5, 1000, -1000, 2147483, -7]),
        "big": maybe(lambda: R.choice([0, 1, 10 ** 12, -10 ** 12, 4 * 10 ** 15])),
        "price": maybe(lambda: R.choice([0.25, 1.5, -2.75, 1024.125, 0.0])),
        "ok": maybe(lambda: R.random() < 0.7),
        "day": maybe(day),
        "at": day() + "T" + time() + "Z",
        "local": maybe(lambda: day() + " " + time()),
        "token": maybe(lambda: "00000000-0000-0000-0000-%012d" % R.randint(1, 40)),
    }


def psql(script):
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-P", "null=\\N"], input=script.encode(), capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return done.stdout.decode()


def main():
    events = [event() for _ in range(COUNT)]
    lines = "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events)
    with open(os.path.join(HERE, "events.ndjson"), "w") as f:
        f.write(lines)
    sql = open(os.path.join(HERE, "views.sql")).read()
    table = re.search(r"CREATE FOREIGN TABLE (\w+) (\(.*?\n\))", sql, re.S)
    views = re.findall(r"CREATE MATERIALIZED VIEW (\w+) AS\n(.*?);", sql, re.S)
    script = "CREATE TEMP TABLE %s %s;\n" % table.groups()
    script += "".join("INSERT INTO trades SELECT * FROM json_populate_record(NULL::trades, $j$%s$j$);\n" % json.dumps(e) for e in events)
    with open(os.path.join(HERE, "postgresql_views.tsv"), "w") as f:
        answers = psql(script + "".join("\\echo == %s\n%s;\n" % view for view in views))
        name = None
        for line in answers.split("\n")[:-1]:
            if line.startswith("== "):
                name = line[3:]
            else:
                f.write(f"{name}\t{line}\n")


main()
