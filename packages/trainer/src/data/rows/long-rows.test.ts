import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { longestRow } from './data-row.js';
import { readRows } from './read-rows.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-long-rows-'));
const text = 'word '.repeat(longestRow / 5 + 10);
const long = JSON.stringify({ text });
const short = JSON.stringify({ text: 'short' });

test.each([
  [
    'a.jsonl',
    `${short}\n${long}\n${short}\n`,
    /a\.jsonl:2 is longer than 16 MiB; .*Divide a longer text into several rows/,
  ],
  ['a.jsonl.gz', gzipSync(`${short}\n${long}\n`), /a\.jsonl\.gz:2 is longer than 16 MiB/],
  ['a.json', `[${short},${long}]`, /a\.json, row 2 is longer than 16 MiB/],
  ['a.csv', `text,other\nshort,1\n"${text}",2\n`, /a\.csv, the row .* line 3 is longer than 16 MiB/],
  [
    'open.csv',
    `text,other\nshort,1\n"short,2\n${'more,3\n'.repeat(longestRow / 7 + 10)}`,
    /open\.csv, the row .*a quote may not be closed/,
  ],
] as const)('a row beyond the bound is refused with its place: %s', async (name, content, said) => {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  let seen = 0;
  await expect(async () => {
    for await (const _ of readRows(file)) seen += 1;
  }).rejects.toMatchObject({ code: 'DATA_INVALID', message: expect.stringMatching(said) as string });
  expect(seen).toBe(1);
});
