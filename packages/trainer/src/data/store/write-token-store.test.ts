import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeTokenStore } from './write-token-store.js';

const report = { format: 'text', rows: 0, examples: 0, tokens: 0, trained: 0, skipped: [], unused: [], notes: [] };

test('of old temporary files only those that are stores of this cache are removed', async () => {
  const cache = mkdtempSync(path.join(tmpdir(), 'glulam-cache-'));
  const key = 'ab'.repeat(32);
  const own = `.${key}.tokens.123-0123abcd.tmp`;
  const others = [
    'notes.tmp',
    '.notes.tmp',
    `${key}.tokens.123-0123abcd.tmp`,
    `.${key}.tokens.123-0123abcd.tmp.old`,
    `.${key}.other.123-0123abcd.tmp`,
    `.${key.slice(1)}.tokens.123-0123abcd.tmp`,
    `.${key}.tokens.tmp`,
    `.report.md.123-0123abcd.tmp`,
  ];
  const folder = `.${key}.tokens.456-0123abcd.tmp`;
  const link = `.${key}.tokens.789-0123abcd.tmp`;
  const young = `.${key}.tokens.124-0123abcd.tmp`;
  for (const name of [own, young, ...others]) writeFileSync(path.join(cache, name), name);
  mkdirSync(path.join(cache, folder));
  symlinkSync('notes.tmp', path.join(cache, link));
  const earlier = Date.now() / 1000 - 2 * 24 * 60 * 60;
  for (const name of [own, ...others, folder]) utimesSync(path.join(cache, name), earlier, earlier);

  await writeTokenStore(path.join(cache, `${key}.tokens`), () => Promise.resolve(report as never));
  expect(readdirSync(cache).sort()).toEqual([`${key}.tokens`, young, folder, link, ...others].sort());
});
