import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordedRun, testReporter } from '@glulam/testing';
import { createRunEvents } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { myKindReporter } from './index.js';

const read = (folder: string): string => {
  const file = path.join(folder, 'losses.csv');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

testReporter(myKindReporter, { written: ({ folder }) => read(folder) });

test('a step is a line under the heading', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'losses-'));
  const events = createRunEvents((_, error) => expect.unreachable(String(error)));
  const end = myKindReporter.open(myKindReporter.schema.parse({}), events);
  for (const event of recordedRun(folder, 2)) events.emit(event);
  await end();
  expect(read(folder)).toBe('step,loss,learning_rate\n1,2,0.0002\n2,1.3333333333333333,0.0002\n');
});
