#!/usr/bin/env python3
"""Write postgresql_cases.tsv: random and hand-picked calls with the answers of a real PostgreSQL 15.

    PGHOST=... PGUSER=... PGDATABASE=... tests/common/value/generate_cases.py > tests/common/value/postgresql_cases.tsv

The cluster must be made with --locale=C.UTF-8 and run with TimeZone UTC. Each line is an operation, its arguments and the
answer, separated by tabs; an answer that starts with ! is a SQLSTATE. The seed is fixed, so a new file differs only
where PostgreSQL does. What tally refuses on purpose (BC, NaN, month names) is left out; the tests name those cases."""
import random
import subprocess
import sys

R = random.Random(20260302)
cases = []


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def add(operation, arguments, sql):
    cases.append((operation, [str(a) for a in arguments], sql))


def psql(script):
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1"], input=script.encode(), capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return done.stdout.decode()


# --- numeric ----------------------------------------------------------------------------------------------------------

def number():
    count = R.choice([1, 2, 3, 5, 9, 15, 18, 19, 20, 30, 37, 38, 39, 40, 60, 100])
    digits = "".join(R.choice("0123456789" if R.random() < 0.8 else "0009") for _ in range(R.randint(1, count)))
    if R.random() < 0.1:
        digits = R.choice("59") + "0" * (len(digits) - 1)
    if R.random() < 0.05:
        digits = "9" * len(digits)
    scale = R.choice([0, 0, 1, 2, 2, 4, 6, len(digits), len(digits) + R.randint(0, 10)])
    padded = digits.rjust(scale + 1, "0")
    text = padded[: len(padded) - scale] + ("." + padded[len(padded) - scale:] if scale else "")
    return R.choice(["", "-"]) + text


def amounts():
    digits, scale = R.choice([3, 8, 15, 25, 40]), R.choice([0, 1, 2, 4, 6])
    values = []
    for _ in range(R.choice([2, 3, 5, 10])):
        padded = str(R.randint(0, 10 ** digits if R.random() < 0.8 else 10)).rjust(scale + 1, "0")
        values.append(R.choice(["", "-"]) + padded[: len(padded) - scale] + ("." + padded[len(padded) - scale:] if scale else ""))
    return values[:1] * len(values) if R.random() < 0.1 else values


def numeric_cases():
    binary = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulo": "%"}
    for operation, sign in binary.items():
        for _ in range(80):
            a, b = number(), number()
            add(operation, [a, b], f"{quote(a)}::numeric {sign} {quote(b)}::numeric")
    for a, b in [("1", "3000.00"), ("0", "7.50"), ("1", "0"), ("5", "0.00"), ("-7", "2"), ("7.5", "-2"), ("1e500", "3"),
                 ("100000.00", "2"), ("200000.01", "2"), ("9999", "10000"), ("10000", "9999"), ("0.0001", "3")]:
        for operation, sign in binary.items():
            add(operation, [a, b], f"{quote(a)}::numeric {sign} {quote(b)}::numeric")
    for _ in range(100):
        a, scale = number(), R.choice([0, 1, 2, -1, -2, -5, 5, 10, 20, -20, 60])
        add("round", [a, scale], f"round({quote(a)}::numeric, {scale})")
    for a in ["2.5", "-2.5", "0.5", "-0.5", "1.45", "-0.49", "99.995", "0", "-0.0"] + [number() for _ in range(40)]:
        for operation in ["floor", "ceil"]:
            add(operation, [a], f"{operation}({quote(a)}::numeric)")
        add("round", [a, 0], f"round({quote(a)}::numeric, 0)")
        add("to_bigint", [a], f"{quote(a)}::numeric::bigint")
        add("to_double", [a], f"{quote(a)}::numeric::float8")
        add("normalize", [a], f"trim_scale({quote(a)}::numeric)")
    for a in ["9223372036854775807.49", "9223372036854775807.5", "-9223372036854775808.49", "-9223372036854775808.5"]:
        add("to_bigint", [a], f"{quote(a)}::numeric::bigint")
    for _ in range(80):
        a, precision = number(), R.randint(1, 40)
        scale = R.randint(-3, precision)
        add("typmod", [a, precision, scale], f"{quote(a)}::numeric({precision},{scale})")
    for name in ["avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"]:
        for _ in range(30):
            values = amounts()
            rows = ",".join(f"({quote(v)}::numeric)" for v in values)
            add(name, values, f"select {name}(x) from (values {rows}) t(x)")
    for value in ["1.5", "1e20", "1e-5", "123456789012345678.9", "1.7976931348623157e308", "0.1", "1e300", "1e-300"]:
        add("of_double", [value], f"{quote(value)}::float8::numeric")
    pieces = ["1", "0", "9", "12", ".", ".", "e", "E", "-", "+", " ", "e5", "e-3", "00", "_", "x", "1e", "5.", ".5", "e+2",
              "123456789012345678901234567890", "e400"]
    texts = ["".join(R.choice(pieces) for _ in range(R.randint(1, 5))) for _ in range(150)]
    for text in texts + ["", " ", "1e 5", "1.e5", ".e5", "1..2", "0e5000", "0.0e-3", "1_000", "1e1234567890123", "0e1234567890123x"]:
        add("parse", ["numeric", text], f"{quote(text)}::numeric")


# --- time -------------------------------------------------------------------------------------------------------------

UNITS = ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade",
         "century", "millennium"]
WORDS = ["MICROSECONDS", "us", "usec", "ms", "sec", "secs", "min", "mins", "h", "hrs", "hr", "d", "days", "w", "mon",
         "mons", "qtr", "y", "yr", "yrs", "decs", "dec", "c", "cent", "mil", "mils", "millenniumx", "m", "s", "foo",
         "microsecondsabc", "timezone", "timezone_hour", "timezone_minute", "day ", "millennia", "centuries"]
FIELDS = ["epoch", "dow", "doy", "isodow", "isoyear"]


def date():
    year = R.choice([R.randint(11, 9999), R.randint(1900, 2100), R.choice([100, 400, 1582, 1899, 1900, 2000, 2024, 2026, 9999])])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    month = R.randint(1, 12)
    last = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    return "%04d-%02d-%02d" % (year, month, R.choice([1, last, R.randint(1, last)]))


def clock():
    text = "%02d:%02d:%02d" % (R.choice([0, 23, R.randint(0, 23)]), R.randint(0, 59), R.randint(0, 59))
    return text + ("." + "".join(R.choice("0123456789") for _ in range(R.randint(1, 9))) if R.random() < 0.6 else "")


def timestamp():
    return date() + " " + clock()


def plain_interval():
    units = ["day", "week", "hour", "minute", "second"]
    return " ".join(f"{R.randint(-40, 40)} {unit}" for unit in R.sample(units, R.choice([1, 2, 3])))


def any_interval():
    units = ["year", "years", "y", "mon", "months", "week", "w", "day", "d", "hour", "hours", "h", "min", "m", "sec", "s",
             "ms", "us", "decade", "century", "microsecond", "millisecond", "millennium", "fortnight"]
    shapes = [str(R.randint(-100, 100)), "%.3f" % R.uniform(-50, 50), "%.1f" % R.uniform(-10, 10), "0.5", ".5", "1.",
              "1.0000005", "+3"]
    parts = [R.choice(shapes) + R.choice([" ", " ", ""]) + R.choice(units) for _ in range(R.choice([1, 1, 2, 3]))]
    kind = R.random()
    if kind < 0.3:
        parts.append(R.choice(["", "-", "+"]) + R.choice([clock(), "1:2:3", "100:00:00", "12:34.5", "7:30"]))
    elif kind < 0.4:
        parts.append("ago")
    elif kind < 0.45:
        parts = [str(R.randint(-99, 99))]
    elif kind < 0.5:
        parts = ["%d-%d" % (R.randint(-9, 9), R.randint(0, 13))]
    elif kind < 0.55:
        parts = [str(R.randint(0, 9)), clock()]
    elif kind < 0.65:
        text = "P" + "".join(R.choice([str(R.randint(-5, 20)), "%.2f" % R.uniform(-3, 3)]) + u for u in "YMWD" if R.random() < 0.5)
        parts = [text + "T" + "".join(R.choice([str(R.randint(-5, 70)), "%.3f" % R.uniform(-3, 99)]) + u for u in "HMS" if R.random() < 0.6)]
    return " ".join(parts)


def stamp_text():
    separator = R.choice("---/.")
    text = R.choice(["2026", "2026", "0999", "999", "12345", "0000", "0001"]) + separator
    text += R.choice(["01", "1", "12", "02", "13", "00", "3"]) + separator + R.choice(["01", "1", "28", "29", "30", "31", "32", "0"])
    if R.random() < 0.1:
        text = R.choice(["20260302", "20260230", "20261301", "abc", "2026", "2026-03"])
    if R.random() < 0.8:
        text += R.choice([" ", " ", "T", "t", "  "]) + R.choice(
            [clock(), clock(), "10:00", "1:2:3", "24:00:00", "24:00:00.000001", "23:59:60", "23:59:60.5", "23:59:59.9999999",
             "25:00:00", "10:60:00", "10:00:61", "100000", "1000", "10", "100000.5", "10:00:00."])
    if R.random() < 0.5:
        text += R.choice(["", " "]) + R.choice(["Z", "z", "+00", "+01", "-05:30", "+0530", "-3", "+15:59", "+16", "-16:00",
                                                "+05:60", "UTC", "utc", "GMT", "+01:02:03", "+", "+00:00Z", "+123"])
    return text


def time_cases():
    for unit in UNITS * 4 + WORDS + FIELDS:
        at = timestamp()
        add("date_trunc", [unit, at], f"date_trunc({quote(unit)}, {quote(at)}::timestamp)")
    for unit in UNITS * 3 + WORDS + FIELDS * 4:
        at, day = timestamp(), date()
        add("extract_date", [unit, day], f'extract("{unit}" from {quote(day)}::date)')
        add("extract_timestamp", [unit, at], f'extract("{unit}" from {quote(at)}::timestamp)')
        add("extract_timestamptz", [unit, at], f'extract("{unit}" from {quote(at)}::timestamptz)')
        interval = any_interval()
        add("extract_interval", [unit, interval], f'extract("{unit}" from {quote(interval)}::interval)')
    for _ in range(80):
        stride, at, origin = plain_interval(), timestamp(), R.choice(["2000-01-01 00:00:00", timestamp()])
        add("date_bin", [stride, at, origin], f"date_bin({quote(stride)}::interval, {quote(at)}::timestamp, {quote(origin)}::timestamp)")
        span = plain_interval() + R.choice(["", " 1 month", " -13 months", " 7 years"])
        add("timestamp_add", [at, span], f"{quote(at)}::timestamp + {quote(span)}::interval")
        add("timestamp_minus", [at, span], f"{quote(at)}::timestamp - {quote(span)}::interval")
        add("timestamp_subtract", [at, origin], f"{quote(at)}::timestamp - {quote(origin)}::timestamp")
    for at, span in [("2026-01-31 10:00:00", "1 month"), ("2024-02-29 00:00:00", "1 year"), ("2024-02-29 00:00:00", "-1 year")]:
        add("timestamp_add", [at, span], f"{quote(at)}::timestamp + {quote(span)}::interval")
    for at in ["2026-03-02 10:07:30", "2026-03-02 10:00:00", "2001-02-16 20:38:40"]:
        for stride in ["15 minutes", "1 month", "0 seconds", "-5 minutes", "1 day 2 hours"]:
            add("date_bin", [stride, at, "2026-06-01 00:02:30"],
                f"date_bin({quote(stride)}::interval, {quote(at)}::timestamp, '2026-06-01 00:02:30'::timestamp)")
    for _ in range(200):
        text = any_interval()
        add("parse", ["interval", text], f"{quote(text)}::interval")
    for _ in range(80):
        a, b, factor = any_interval(), any_interval(), R.choice(["%.3f" % R.uniform(-5, 5), str(R.randint(-100, 100)), "0.1", "1e10"])
        add("interval_add", [a, b], f"{quote(a)}::interval + {quote(b)}::interval")
        add("interval_subtract", [a, b], f"{quote(a)}::interval - {quote(b)}::interval")
        add("interval_multiply", [a, factor], f"{quote(a)}::interval * {quote(factor)}::float8")
        add("interval_is_less", [a, b], f"{quote(a)}::interval < {quote(b)}::interval")
    for _ in range(150):
        text = stamp_text()
        for name in ["date", "timestamp", "timestamptz"]:
            add("parse", [name, text], f"{quote(text)}::{name}")


# --- text and the small types -----------------------------------------------------------------------------------------

LETTERS = ["a", "b", "A", "B", "ü", "Ü", "ß", "İ", "ı", "é", "你", "😀", "%", "_", "\\", " ", "x", "ſ", "Ⱥ", "ǅ", "Σ", "ς", "1"]


def text(longest=8, letters=LETTERS):
    return "".join(R.choice(letters) for _ in range(R.randint(0, longest)))


def text_cases():
    for _ in range(60):
        value, count, length = text(), R.choice([0, 1, 2, 3, -1, -2, -3, 20, -20, 2147483647]), R.choice([0, 1, 2, -1, 5, 2147483647])
        add("upper", [value], f"upper({quote(value)})")
        add("lower", [value], f"lower({quote(value)})")
        add("length", [value], f"length({quote(value)})")
        add("left", [value, count], f"left({quote(value)}, {count})")
        add("right", [value, count], f"right({quote(value)}, {count})")
        add("substring", [value, count, length], f"substring({quote(value)}, {count}, {length})")
        add("substring", [value, count], f"substring({quote(value)}, {count})")
        letters = text(3)
        for name in ["ltrim", "rtrim", "btrim"]:
            add(name, [value, letters], f"{name}({quote(value)}, {quote(letters)})")
    for _ in range(150):
        value, pattern = text(8, ["a", "b", "A", "ü", "Ü"]), text(7, ["a", "b", "A", "ü", "Ü", "%", "%", "_", "\\", "\\a", "\\%"])
        add("like", [value, pattern], f"{quote(value)} like {quote(pattern)}")
        add("ilike", [value, pattern], f"{quote(value)} ilike {quote(pattern)}")
        value = text()
        pattern = "".join(R.choice([c, c, "%", "_", "\\" + c, c.upper(), c.lower()]) for c in value)
        add("like", [value, pattern], f"{quote(value)} like {quote(pattern)}")
        add("ilike", [value, pattern], f"{quote(value)} ilike {quote(pattern)}")


def small_type_cases():
    for value in ["", "1", "-1", "+5", " 7 ", "00012", "32767", "32768", "-32768", "-32769", "2147483647", "2147483648",
                  "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                  "-9223372036854775809", "99999999999999999999x", "1.0", "1e3", "--1", "+-1", "- 1", "0x10", "1_0", "12 3"]:
        for name in ["smallint", "integer", "bigint"]:
            add("parse", [name, value], f"{quote(value)}::{name}")
    for value in ["t", "T", "tr", "true", "TRUE", "truex", "f", "fa", "y", "ye", "yess", "n", "no", "on", "o", "of", "off", "1",
                  "0", "2", "", " true ", "10", "01"]:
        add("parse", ["boolean", value], f"{quote(value)}::boolean::text::char")
    for value in ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
                  "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
                  "a0-eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-", "g0eebc999c0b4ef8bb6d6bb9bd380a11",
                  " a0eebc999c0b4ef8bb6d6bb9bd380a11", ""]:
        add("parse", ["uuid", value], f"{quote(value)}::uuid")
    for value in ["1e400", "1e-400", "5e-324", "2e-324", "0", " 1 ", "1x", "", ".5", "5.", "1e5", "1e22", "9007199254740993", "1e23",
                  "-", "1 2", "123456789012345.678e7", "1.7976931348623159e308", "1e15", "123456789012345", "0.0001", "0.00001",
                  "1e14", "999999999999999", "1234567890.12", "1e-7", "3.14", "100"]:
        add("parse", ["double", value], f"{quote(value)}::float8")


def main():
    numeric_cases()
    time_cases()
    text_cases()
    small_type_cases()
    script = """create function pg_temp.attempt(expression text) returns text language plpgsql as $f$
declare answer text;
begin
  execute 'select (' || expression || ')::text' into answer;
  return answer;
exception when others then
  return '!' || sqlstate;
end $f$;
create temp table call(id int, expression text);
copy call from stdin;
"""
    escaped = [sql.replace("\\", "\\\\") for _, _, sql in cases]
    script += "".join(f"{i}\t{sql}\n" for i, sql in enumerate(escaped)) + "\\.\n"
    script += "copy (select pg_temp.attempt(expression) from call order by id) to stdout;\n"
    answers = [line.replace("\\\\", "\\") for line in psql(script).split("\n")[:-1]]
    assert len(answers) == len(cases)
    seen = set()
    for (operation, arguments, _), answer in zip(cases, answers):
        line = "\t".join([operation, *arguments, answer])
        if line not in seen and " BC" not in answer and len(line) < 2000:
            print(line)
        seen.add(line)


main()
