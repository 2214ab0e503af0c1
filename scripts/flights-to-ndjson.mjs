// flights-to-ndjson.mjs PARQUET OUT: the flights of vega-datasets 3.2.1 as JSON lines, in file order.
// Run with .cache/npm as the working folder, where hyparquet is installed.
import { createRequire } from 'node:module';
import { createWriteStream } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { once } from 'node:events';

const [parquet, out] = process.argv.slice(2);
const resolve = createRequire(process.cwd() + '/').resolve;
const { parquetRead, asyncBufferFromFile } = await import(pathToFileURL(resolve('hyparquet')));
const { compressors } = await import(pathToFileURL(resolve('hyparquet-compressors')));

const file = await asyncBufferFromFile(parquet);
const stream = createWriteStream(out, { highWaterMark: 1 << 20 });
const step = 200000;
let written = 0;
for (let start = 0; ; start += step) {
  let rows = [];
  await parquetRead({ file, compressors, rowStart: start, rowEnd: start + step, rowFormat: 'object', onComplete: (data) => { rows = data; } });
  if (rows.length === 0) break;
  const lines = rows.map((r) => `{"date":"${r.date.toISOString().replace('.000Z', 'Z')}","delay":${r.delay},"distance":${r.distance},"origin":"${r.origin}","destination":"${r.destination}"}\n`);
  if (!stream.write(lines.join(''))) await once(stream, 'drain');
  written += rows.length;
  process.stderr.write(`\r${written} flights`);
  if (rows.length < step) break;
}
stream.end();
await once(stream, 'finish');
process.stderr.write('\n');
