"""duckdb_peer.py DATABASE: what duckdb.mjs does, on PyPI's duckdb, for a machine without npm."""
import json
import os
import sys

import duckdb

connection = duckdb.connect(sys.argv[1], config={'threads': os.environ.get('BENCH_THREADS', '2')})
for line in sys.stdin:
    try:
        rows = connection.execute(json.loads(line)['sql']).fetchall()
        reply = {'rows': [[value if value is None or isinstance(value, (bool, float)) else str(value) for value in row]
                          for row in rows]}
    except duckdb.Error as error:
        reply = {'error': str(error)}
    print(json.dumps(reply), flush=True)
