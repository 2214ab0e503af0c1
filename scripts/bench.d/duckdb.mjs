// duckdb.mjs DATABASE: DuckDB on an open connection. A line {"sql": "..."} in, a line {"rows": [...]} or {"error": "..."} out.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { DuckDBInstance } = createRequire(process.env.BENCH_NPM + '/')('@duckdb/node-api');
const instance = await DuckDBInstance.create(process.argv[2], { threads: process.env.BENCH_THREADS ?? '2' });
const connection = await instance.connect();
for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    const reader = await connection.runAndReadAll(JSON.parse(line).sql);
    reply = { rows: reader.getRowsJson() };
  } catch (error) {
    reply = { error: error.message };
  }
  process.stdout.write(JSON.stringify(reply) + '\n');
}
