import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readQuestions, rowsOf } from './read-questions.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-questions-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(path.join(folder, 'a.jsonl'), '{"labels":[1.0,0],"big":9007199254740993}\n{"labels":"x","big":1}\n');
writeFileSync(path.join(folder, 'b.csv'), 'labels,big\n1,2\n');
const { signal } = new AbortController();
const read = rowsOf(z.object({ labels: z.array(z.number()), big: z.number() }));

test('questions of a folder and of a pattern; a schema sees numbers of any kind as numbers', async () => {
  const warnings: string[] = [];
  const context = { warn: (line: string) => void warnings.push(line), signal };
  const { rows, skipped } = await readQuestions(folder, read, context);
  expect(rows).toEqual([{ labels: [1, 0], big: 2 ** 53 }]);
  expect(skipped).toBe(2);
  expect(warnings).toEqual([expect.stringMatching(/2 of 3 rows are left out/)]);
  expect(await readQuestions(path.join(folder, '*.jsonl'), read, { signal })).toMatchObject({ rows, skipped: 1 });
  await expect(readQuestions(path.join(folder, '*.tsv'), read, { signal })).rejects.toMatchObject({
    code: 'DATA_UNREADABLE',
  });
});
