import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openData, openRunTokenizer } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { describeData } from './describe-data.js';
import { resolveConfig } from '../../config/load-config.js';

const base = path.resolve(import.meta.dirname, '../../../../../examples/models/tiny-mistral-gsm8k');

test('files with what was left out and mended, lengths, shares and samples', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-data-'));
  const file = (name: string, rows: readonly unknown[]) => {
    writeFileSync(path.join(folder, name), rows.map((row) => JSON.stringify(row)).join('\n'));
    return path.join(folder, name);
  };
  const chat = (first: string, words: number) => ({
    conversations: [
      { from: first, value: 'Hi' },
      { from: 'human', value: 'Go on' },
      { from: 'gpt', value: 'word '.repeat(words) },
    ],
  });
  const a = file('a.jsonl', [...Array.from({ length: 16 }, (_, i) => chat('gpt', 1 + i)), { conversations: [] }]);
  const b = file('b.jsonl', [{ text: 'one two' }, { text: 'three' }]);
  const data = {
    train: [
      { file: a, weight: 2 },
      { file: b, weight: 1 },
    ],
    heldOut: b,
  };
  const { config, composition } = resolveConfig({ base, data, train: { epochs: 2, batch: 4 } }, [], folder);
  const tokenizer = openRunTokenizer(config, config.base);
  const opened = await openData(config, composition, tokenizer);
  const describe = (samples: number) =>
    describeData(opened, config, tokenizer, { samples, colour: false, columns: 80 }).join('\n');
  const text = describe(3);
  expect(text).toMatch(
    /a\.jsonl: training, read as sharegpt\n {2}17 rows, 1 of them left out\n {4}1 row \(17\): the conversation is empty/,
  );
  expect(text).toMatch(
    /in 16 rows: the first turn was the assistant's: left out\n {2}16 examples of [\d,]+ tokens, [\d,]+ of them learnt \(\d+\.\d%\)/,
  );
  expect(text).toMatch(/b\.jsonl: held out, read as text\n {2}2 rows\n/);
  expect(text).toMatch(
    /shares:\n +66\.7% {2}\S*a\.jsonl\n +33\.3% {2}\S*b\.jsonl\na pass over the data is 18 examples, 5 steps; this run takes 9\n/,
  );
  // All examples are in the histogram.
  const classes = [...text.split('b.jsonl')[0]!.matchAll(/^ +[\d,]+ to +[\d,]+ {2}█* ?(\d+)$/gm)];
  expect(classes.reduce((sum, [, amount]) => sum + Number(amount), 0)).toBe(16);
  expect(classes.length).toBeGreaterThan(1);
  expect([...text.matchAll(/, example (\d) of (\d+):/g)].map(([, n, of]) => `${n}/${of}`)).toEqual([
    '1/16',
    '1/2',
    '2/16',
  ]);
  expect(describe(0)).not.toMatch(/⟦|model reads them/);
  expect(describe(99).match(/, example /g)).toHaveLength(18);
  opened.close();
});
