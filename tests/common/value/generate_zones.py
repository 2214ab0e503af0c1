#!/usr/bin/env python3
"""Write postgresql_zones.tsv: times around the transitions of odd time zones, with the answers of a real PostgreSQL 15.

    scripts/with-postgres python3 tests/common/value/generate_zones.py > tests/common/value/postgresql_zones.tsv

The cluster must run with TimeZone UTC, on a system whose zoneinfo has the same rules as the files in zoneinfo/ beside this
script (Debian 12's tzdata 2025b; copied, so that the tests do not change with the system). Each line is an operation, its
arguments and the answer, separated by tabs; an answer that starts with ! is a SQLSTATE. The seed is fixed."""
import datetime
import os
import random
import subprocess
import sys
import zoneinfo

R = random.Random(20260302)
UTC = datetime.timezone.utc
SECOND = datetime.timedelta(seconds=1)
UNITS = ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade",
         "century", "millennium"]
HERE = os.path.dirname(os.path.abspath(__file__))
zoneinfo.reset_tzpath([os.path.join(HERE, "zoneinfo")])
cases = []
FUNCTION = """CREATE FUNCTION pg_temp.answer(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'SELECT ' || expression INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN RETURN '!' || SQLSTATE;
END $$;
"""


def zones():
    for base, _, files in sorted(os.walk(os.path.join(HERE, "zoneinfo"))):
        for file in sorted(files):
            yield os.path.relpath(os.path.join(base, file), os.path.join(HERE, "zoneinfo"))


def transitions(zone):
    """Instants at which the offset changes, found by halving days; thinned out, as most years are like their neighbours."""
    rules = zoneinfo.ZoneInfo(zone)
    def offset(at):
        return at.astimezone(rules).utcoffset()
    found, day = [], datetime.datetime(1850, 1, 1, tzinfo=UTC)
    while day.year < 2150:
        low, high = day, day + datetime.timedelta(days=1)
        if offset(low) != offset(high):
            while high - low > SECOND:
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append((high, offset(low), offset(high)))
        day += datetime.timedelta(days=1)
    kept = [t for t in found if 2010 <= t[0].year <= 2012 or t[0].year in (2026, 2037, 2038, 2087, 2100)]
    return kept + found[:6] + R.sample(found, min(len(found), 8))


def stamp(at):
    text = at.strftime("%Y-%m-%d %H:%M:%S") if at.year >= 1000 else at.isoformat(" ")[:19]
    return text + (f".{at.microsecond:06d}".rstrip("0") if at.microsecond else "")


def add(operation, *arguments):
    cases.append((operation, list(arguments)))


def around(zone):
    for at, before, after in transitions(zone):
        at = at.replace(tzinfo=None)
        for instant in [at - SECOND, at - datetime.timedelta(microseconds=1), at, at + SECOND]:
            add("wall", zone, stamp(instant))
        ends = sorted([at + before, at + after])
        middle = ends[0] + (ends[1] - ends[0]) / 2
        for wall in [ends[0] - SECOND, ends[0], middle, ends[1] - datetime.timedelta(microseconds=1), ends[1], ends[1] + SECOND]:
            add("instant", zone, stamp(wall))
        for shift in [-datetime.timedelta(hours=20), -SECOND, datetime.timedelta(minutes=29), datetime.timedelta(hours=5)]:
            add("trunc", R.choice(["day", "day", "hour", R.choice(UNITS)]), zone, stamp(at + shift))


def far(zone):
    for year in ["0001", "0002", "1500", "1883", "1901", "1970", "2099", "2400", "9999", "60000", "294245"]:
        for day in ["01-01 12:00:00", f"{R.randint(1, 12):02d}-{R.randint(1, 28):02d} 02:30:00.5", "07-01 00:00:00", "12-31 00:30:00"]:
            if (year, day[:2]) != ("0001", "01"):
                add("wall", zone, f"{year}-{day}")
                add("instant", zone, f"{year}-{day}")
                if year != "0001":
                    add("trunc", R.choice(UNITS), zone, f"{year}-{day}")


def sql(operation, arguments):
    zone, at = arguments[-2:]
    if operation == "wall":
        return f"('{at}+00'::timestamptz AT TIME ZONE '{zone}')::text"
    if operation == "instant":
        return f"('{at}'::timestamp AT TIME ZONE '{zone}')::text"
    return f"date_trunc('{arguments[0]}', '{at}+00'::timestamptz, '{zone}')::text"


def main():
    for zone in zones():
        around(zone)
        far(zone)
    for unit in ["fortnight", "dow", "timezone", "timezone_hour", "epoch", "DAY", "days", "mon"]:
        add("trunc", unit, "Europe/Berlin", "2026-03-29 12:00:00")
    script = FUNCTION + "".join(f"SELECT pg_temp.answer($q${sql(*case)}$q$);\n" for case in cases)
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    for (operation, arguments), answer in zip(cases, done.stdout.split("\n")):
        print("\t".join([operation, *arguments, answer]))


main()
