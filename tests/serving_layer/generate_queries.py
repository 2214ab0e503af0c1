#!/usr/bin/env python3
"""Write queries.expected: what a PostgreSQL 15 answers to queries.sql over views.sql.

    PGHOST=... PGUSER=... tests/serving_layer/generate_queries.py

The cluster must be made with --locale=C.UTF-8 and run with TimeZone UTC. One JSON object a line, in the order of
queries.sql: {"rows":[[text or null, ..], ..]} or {"sqlstate":".."}."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EVENTS = os.path.join(HERE, "..", "common", "engine", "events.ndjson")
FIELD, RECORD, NULL = "\x1f", "\x1e", "\x02"


def psql(script, stop=True):
    args = ["psql", "-qAtX", "-F", FIELD, "-R", RECORD, "-P", "null=" + NULL, "-v", "VERBOSITY=sqlstate"]
    done = subprocess.run(args + (["-v", "ON_ERROR_STOP=1"] if stop else []), input=script.encode(), capture_output=True)
    return done.stdout.decode(), done.stderr.decode()


def main():
    sql = open(os.path.join(HERE, "views.sql")).read()
    table = re.search(r"CREATE FOREIGN TABLE (\w+) (\(.*?\n\))", sql, re.S)
    script = "DROP TABLE IF EXISTS trades CASCADE;\nCREATE TABLE %s %s;\n" % table.groups()
    script += "".join("INSERT INTO trades SELECT * FROM json_populate_record(NULL::trades, $j$%s$j$);\n" % e.strip() for e in open(EVENTS))
    script += "".join("CREATE MATERIALIZED VIEW %s AS %s;\n" % v for v in re.findall(r"CREATE MATERIALIZED VIEW (\w+) AS\n(.*?);", sql, re.S))
    out, err = psql(script)
    if "ERROR" in err:
        sys.exit(err)
    with open(os.path.join(HERE, "queries.expected"), "w") as f:
        for query in open(os.path.join(HERE, "queries.sql")):
            if query.startswith("--"):
                continue
            out, err = psql(query)
            if "ERROR" in err:
                answer = {"sqlstate": re.search(r"ERROR:\s+(\w{5})", err).group(1)}
            else:
                records = out.rstrip("\n").split(RECORD) if out else []
                answer = {"rows": [[None if v == NULL else v for v in r.split(FIELD)] for r in records]}
            f.write(json.dumps(answer, ensure_ascii=False) + "\n")


main()
