#!/usr/bin/env python3
"""Write postgresql_expressions.tsv: expressions at the boundaries of every kernel, with the answers of a PostgreSQL 15.

    PGHOST=... PGUSER=... tests/common/engine/generate_expressions.py > tests/common/engine/postgresql_expressions.tsv

The cluster must be made with --locale=C.UTF-8 and run with TimeZone UTC. Each line is an expression and its answer as psql
shows it, separated by a tab; \\N is NULL, and what starts with ! is a SQLSTATE."""
import subprocess
import sys

cases = []
COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
INTEGERS = {"smallint": (-2**15, 2**15 - 1), "integer": (-2**31, 2**31 - 1), "bigint": (-2**63, 2**63 - 1)}


def add(*expressions):
    cases.extend(expressions)


def literal(value, of):
    return f"'{value}'::{of}"


def integer_cases():
    for left, (left_min, left_max) in INTEGERS.items():
        for right, (right_min, right_max) in INTEGERS.items():
            for sign in "+-*/":
                for a, b in [(7, 3), (-7, 3), (left_max, 1), (left_min, 1), (left_min, -1), (left_max, right_max),
                             (left_min, right_min), (left_max, right_min), (5, 0), (0, 5)]:
                    add(f"{literal(a, left)} {sign} {literal(b, right)}")
            for sign in COMPARISONS:
                for a, b in [(1, 2), (2, 2), (3, 2), (left_min, right_max), (left_max, right_min)]:
                    add(f"{literal(a, left)} {sign} {literal(b, right)}")
            for a in [0, -1, left_min, left_max, right_min, right_max, right_max + 1, right_min - 1]:
                if left_min <= a <= left_max:
                    add(f"{literal(a, left)}::{right}")
        for a, b in [(7, 3), (-7, 3), (7, -3), (left_min, -1), (5, 0)]:
            add(f"{literal(a, left)} % {literal(b, left)}", f"mod({literal(a, left)}, {literal(b, left)})")
        for a in [0, 5, -5, left_min, left_max]:
            add(f"- {literal(a, left)}", f"+ {literal(a, left)}", f"abs({literal(a, left)})", f"@ {literal(a, left)}",
                f"{literal(a, left)}::numeric", f"{literal(a, left)}::double precision", f"{literal(a, left)}::text")
        # casts of constants are folded by the front end; of a sum they are not
        for to in list(INTEGERS) + ["numeric", "double precision", "numeric(12,3)"]:
            add(f"({literal(7, left)} - {literal(9, left)})::{to}")
    add("true::integer", "false::integer", "5::boolean", "0::boolean", "true::text", "false::varchar", "true::varchar(2)")
    for sign in COMPARISONS:
        for a, b in [("true", "false"), ("false", "false"), ("false", "true")]:
            add(f"{a}::boolean {sign} {b}::boolean")


def numeric_cases():
    numbers = ["0", "1.5", "-1.50", "2", "100.000", "99999999999999999.99", "12345678901234567890.12345", "-0.001",
               "99999999999999999999999999999999999999", "1e30", "0.00000000000000000000000000000000000000000001"]
    typed = [f"{n}" if n[0] != "-" else f"({n})" for n in numbers]
    typed += ["1.25::numeric(18,2)", "(-99.99)::numeric(5,2)", "12345.678::numeric(30,10)", "7::numeric(38,0)", "'1.10'::numeric"]
    for a in typed:
        for b in typed:
            for sign in ["+", "-", "*", "/", "%"]:
                add(f"{a} {sign} {b}")
            for sign in COMPARISONS:
                add(f"{a} {sign} {b}")
        add(f"- {a}", f"+ {a}", f"abs({a})", f"@ {a}", f"floor({a})", f"ceil({a})", f"round({a})", f"round({a}, 1)",
            f"round({a}, -1)", f"round({a}, 5)", f"({a})::integer", f"({a})::bigint", f"({a})::smallint",
            f"({a})::double precision", f"({a})::numeric(10,2)", f"({a})::numeric(38,6)", f"({a})::numeric(3,1)",
            f"({a})::numeric", f"({a})::text", f"mod({a}, 3)")
    for a in ["2.5", "-2.5", "0.5", "-0.5", "32767.4", "32767.5", "-32768.5", "-32768.4", "2147483647.5", "-2147483648.5",
              "9223372036854775807.4", "9223372036854775807.5", "-9223372036854775808.5"]:
        add(f"({a})::smallint", f"({a})::integer", f"({a})::bigint", f"round({a})", f"({a})::numeric(20,0)",
            f"({a})::double precision")
    for a in ["1.25 + 1.25", "1e40 + 0.5", "12345678901234567890.5 - 1"]:
        for to in ["smallint", "integer", "bigint", "double precision", "numeric(6,1)", "numeric(30,0)", "numeric"]:
            add(f"({a})::{to}")
    add("1 + 1.5", "round(5)", "round(5, 1)", "mod(5, 1.5)", "1e3", "3000000000", "1e3::bigint", "round(1234.567, -2)",
        "round(0.05::numeric(4,2), 1)", "999.995::numeric(5,2)", "999.994::numeric(5,2)", "1 / 3000.00", "0.00 / 7")


def double_cases():
    doubles = ["0", "1.5", "-1.5", "2.5", "-2.5", "1e300", "1e-300", "123456789012345678.9", "32767.5", "-32768.5",
               "2147483647.5", "9223372036854775807", "-9223372036854775808"]
    for a in doubles:
        f = literal(a, "double precision")
        for b in doubles:
            g = literal(b, "double precision")
            for sign in ["+", "-", "*", "/"] + COMPARISONS:
                add(f"{f} {sign} {g}")
        add(f"- {f}", f"+ {f}", f"abs({f})", f"@ {f}", f"ceil({f})", f"floor({f})", f"round({f})", f"{f}::smallint",
            f"{f}::integer", f"{f}::bigint", f"{f}::numeric", f"{f}::numeric(30,3)")
    add("1e300::double precision * 1e10", "1e-300::double precision * 1e-300::double precision",
        "9007199254740993::bigint = 9007199254740992::double precision", "1 + 1.5::double precision",
        "- '0'::double precision = '0'::double precision", "ceil(-0.5::double precision) = 0")


def text_cases():
    texts = ["''", "'abc'", "'ABC'", "'äÖü€'", "'  pad  '", "'a%b_c'", "'xxabcxx'", "'ß'"]
    for a in texts:
        for b in texts:
            for sign in COMPARISONS:
                add(f"{a}::text {sign} {b}::text")
        add(f"length({a}::text)", f"upper({a}::text)", f"lower({a}::text)", f"trim({a}::text)", f"ltrim({a}::text)",
            f"rtrim({a}::text)", f"btrim({a}::text, 'xa')", f"ltrim({a}::text, 'xa ')", f"rtrim({a}::text, 'xc ')",
            f"trim(both 'x' from {a}::text)", f"{a}::text || '?'", f"{a}::varchar(2)", f"{a}::varchar(2)::text",
            f"{a}::text::varchar", f"char_length({a}::text)")
        for n in ["2", "-1", "0", "9"]:
            add(f"left({a}::text, {n})", f"right({a}::text, {n})", f"substring({a}::text from {n})",
                f"substring({a}::text from {n} for 2)", f"substr({a}::text, {n})", f"substr({a}::text, {n}, 1)")
        for pattern in ["'a%'", "'%b%'", "'A__'", "'%'", "''", "'a\\%b%'", "'%Ö%'", "'%ö%'"]:
            add(f"{a}::text LIKE {pattern}", f"{a}::text NOT LIKE {pattern}", f"{a}::text ILIKE {pattern}",
                f"{a}::text NOT ILIKE {pattern}")
    add("substring('abc' from -2 for 5)", "substring('abc' from 2 for -1)", "'abc' LIKE 'abc\\'", "'ab' LIKE 'abc\\'",
        "'a' || 1", "1.50 || 'x'", "'12'::integer", "'x12'::integer", "' 7 '::bigint", "'1.5'::integer", "'t'::boolean",
        "'nope'::boolean", "'1e2'::numeric", "'99999'::smallint", "'2026-02-30'::date", "'abc'::varchar(2) = 'ab'")
    ids = ["'11111111-2222-3333-4444-555555555555'::uuid", "'11111111-2222-3333-4444-555555555556'::uuid"]
    for a in ids:
        for b in ids:
            for sign in COMPARISONS:
                add(f"{a} {sign} {b}")
    add("'{11111111222233334444555555555555}'::uuid", "'no-uuid'::uuid", ids[0] + "::text")


def zone_cases(dates, stamps, zoned):
    moves = ["'2026-03-29 02:30'::timestamp", "'2026-10-25 02:30'::timestamp", "'2026-10-25 00:30+00'::timestamptz",
             "'0001-01-01 12:00+00'::timestamptz", "NULL::timestamptz"]
    for zone in ["Europe/Berlin", "america/NEW_YORK", "Asia/Kathmandu", "UTC", "zulu", "Europe/Nowhere", "", "Europe"]:
        add(*[f"{a} AT TIME ZONE '{zone}'" for a in dates + stamps + zoned + moves])
        for unit in ["microseconds", "minute", "hour", "day", "week", "month", "century", "fortnight"]:
            add(*[f"date_trunc('{unit}', {a}, '{zone}')" for a in zoned + ["'2026-10-25 22:45:07.25+00'::timestamptz"]])
    for offset in ["2 hours", "-05:45", "1 day", "1 mon", "00:00:59.9", "1000 hours"]:
        add(f"{stamps[0]} AT TIME ZONE '{offset}'::interval", f"{zoned[0]} AT TIME ZONE '{offset}'::interval")
    add(f"{zoned[0]} AT TIME ZONE NULL", f"timezone('Europe/Berlin', {stamps[0]})", f"date_trunc('day', {zoned[0]}, NULL)")


def time_cases():
    dates = ["'2026-03-02'::date", "'1969-12-31'::date", "'2024-02-29'::date"]
    stamps = ["'2026-03-02 10:11:12.345678'::timestamp", "'1969-12-31 23:59:59.999999'::timestamp", "'2026-03-02'::timestamp"]
    zoned = ["'2026-03-02 10:11:12.345678+00'::timestamptz", "'2026-03-02 00:00+02'::timestamptz", "'2024-02-29'::timestamptz"]
    intervals = ["'1 day'::interval", "'1 mon'::interval", "'-36:00:00.5'::interval", "'1 year 2 mons 3 days 04:05:06'::interval"]
    for a in dates + stamps + zoned:
        for b in dates + stamps + zoned:
            for sign in COMPARISONS:
                add(f"{a} {sign} {b}")
        for i in intervals:
            add(f"{a} + {i}", f"{a} - {i}")
        for unit in ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year",
                     "decade", "century", "millennium", "DAY", "fortnight"]:
            add(f"date_trunc('{unit}', {a})")
        for field in ["epoch", "year", "month", "day", "hour", "minute", "second", "milliseconds", "microseconds", "dow",
                      "isodow", "doy", "week", "quarter", "isoyear", "decade", "century", "millennium", "nonsense"]:
            add(f"extract({field} from {a})")
        add(f"({a} + '1 hour')::timestamptz", f"({a} + '1 hour')::timestamp", f"({a} + '1 hour')::date")
        add(f"{a}::date", f"{a}::timestamp", f"{a}::timestamptz", f"{a}::text")
        for stride in ["15 minutes", "1 day 2 hours", "1 mon", "0 s", "-1 s"]:
            add(f"date_bin('{stride}', {a}, '2000-01-01')", f"date_bin('{stride}', {a}, '2030-01-01 00:07')")
    zone_cases(dates, stamps, zoned)
    for a in dates:
        add(f"{a} + 1", f"{a} - 1", f"{a} + 2147483647", f"{a} - 700000", f"{a} - '2000-01-01'::date")
    for a in stamps[:2]:
        for b in stamps:
            add(f"({a} - {b}) < '1 day'::interval", f"extract(epoch from {a} - {b})")
    add(f"extract(epoch from {zoned[0]} - {zoned[1]})", "'294246-01-01'::timestamp + '100000 years'::interval",
        "'5874897-12-31'::date::timestamp", "'5874897-12-31'::date > '2026-01-01'::timestamp",
        "'5874897-12-31'::date::timestamptz", "'5874897-12-31'::date + 1", "'5874897-12-31'::date + '1 day'::interval")
    for a in intervals:
        for b in intervals:
            for sign in COMPARISONS:
                add(f"{a} {sign} {b}")
            add(f"'2026-01-31'::timestamp + ({a} + {b})", f"'2026-01-31'::timestamp + ({a} - {b})")
        for factor in ["2", "0.5", "-1.5", "0", "0.1"]:
            add(f"'2026-01-31'::timestamp + {a} * {factor}", f"'2026-01-31'::timestamp + {factor} * {a}",
                f"'2026-01-31'::timestamp + {a} / {factor}")
        add(f"'2026-01-31'::timestamp + (- {a})", f"extract(epoch from {a})", f"extract(hour from {a})",
            f"extract(day from {a})", f"extract(month from {a})")


def branch_cases():
    add("true AND NULL", "false AND NULL", "NULL AND false", "NULL OR true", "false OR NULL", "NOT NULL::boolean",
        "NOT true", "1 IS NULL", "NULL IS NULL", "NULL IS NOT NULL", "NULL::boolean IS TRUE", "NULL::boolean IS NOT TRUE",
        "NULL::boolean IS UNKNOWN", "false IS FALSE", "true IS NOT FALSE", "NULL::boolean IS NOT FALSE",
        "NULL::boolean IS FALSE", "true IS TRUE", "false IS NOT TRUE", "true IS NOT UNKNOWN",
        "1 IS DISTINCT FROM NULL", "NULL::integer IS DISTINCT FROM NULL", "1 IS NOT DISTINCT FROM 1", "1.5 IS DISTINCT FROM 1.50",
        "CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END", "CASE WHEN 1 = 2 THEN 1 WHEN 2 = 2 THEN 2.50 END", "CASE WHEN 1 = 2 THEN 1 END",
        "CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END", "coalesce(NULL, 2)", "coalesce(NULL, 1.5, 2)",
        "coalesce(NULL, NULL)::integer", "nullif(1, 1)", "nullif(1, 2)", "nullif(1.50, 1.5)", "nullif('a', 'b')",
        "greatest(1, 2.5, NULL)", "least(3, 2.5, NULL)", "greatest(NULL, NULL)::integer", "greatest('a', 'B')",
        "greatest(1.0, 1)", "least(1, 1.0)", "3 IN (1, 2, 3)", "3 IN (1, NULL)", "3 IN (3, NULL)", "NULL IN (1)",
        "3 NOT IN (1, 2)", "3 NOT IN (1, NULL)", "'b' IN ('a', 'b')", "1.5 IN (1, 1.50)", "5 BETWEEN 1 AND 5",
        "5 NOT BETWEEN 1 AND 4", "NULL + 1", "1 / 0 = 1 OR true", "'2026-03-02'::date IN ('2026-03-02')")


def main():
    for fill in [integer_cases, numeric_cases, double_cases, text_cases, time_cases, branch_cases]:
        fill()
    script = """SET client_min_messages = error;
CREATE FUNCTION pg_temp.answer(e text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE a text; BEGIN
  EXECUTE 'SELECT format(''%s'', x) FROM (SELECT (' || e || ') AS x OFFSET 0) s WHERE x IS NOT NULL' INTO a;
  RETURN coalesce(a, '\\N');
EXCEPTION WHEN OTHERS THEN RETURN '!' || SQLSTATE; END $$;
"""
    script += "".join("SELECT pg_temp.answer($case$%s$case$);\n" % case for case in cases)
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1"], input=script.encode(), capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    answers = done.stdout.decode().split("\n")[:-1]
    assert len(answers) == len(cases), (len(answers), len(cases))
    for case, answer in dict(zip(cases, answers)).items():
        print(f"{case}\t{answer}")


main()
