import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSampleLog, type EvaluationIdentity } from './open-sample-log.js';
import type { Sample } from './sample.js';

const place = (): string => path.join(mkdtempSync(path.join(tmpdir(), 'glulam-samples-')), 'folder/quiz.jsonl');
const evaluation: EvaluationIdentity = { evaluator: 'quiz', kind: 'quiz', options: { limit: 3 }, model: 'abc' };
const sample = (id: number, output = `text ${id}`): Sample => {
  return { id, prompt: `p${id}\nü`, expected: [id], output, scores: { right: id % 2 } };
};
const write = async (file: string, samples: readonly Sample[], finish = true): Promise<void> => {
  const log = openSampleLog(file, evaluation, { onOther: 'refuse' });
  for (const each of samples) log.write(each);
  if (finish) await log.finish();
  log.close();
};

test('samples are found again, and the file of an evaluation in sittings is that of one without', async () => {
  const order = [2, 0, 1, 4, 3];
  const whole = place();
  await write(
    whole,
    order.map((id) => sample(id)),
  );
  expect(
    readFileSync(whole, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as Sample),
  ).toEqual([0, 1, 2, 3, 4].map((id) => sample(id)));
  await fc.assert(
    fc.asyncProperty(fc.nat(order.length), fc.nat(40), async (count, cut) => {
      const file = place();
      await write(
        file,
        order.slice(0, count).map((id) => sample(id)),
        false,
      );
      // What a kill leaves of the line that was being written.
      appendFileSync(file, JSON.stringify(sample(4)).slice(0, cut));
      const log = openSampleLog(file, evaluation, { onOther: 'refuse' });
      expect(log.size).toBe(count);
      for (const [at, id] of order.entries())
        expect(log.recall(sample(id))).toEqual(at < count ? sample(id) : undefined);
      log.close();
      await write(
        file,
        order.map((id) => sample(id)),
      );
      expect(readFileSync(file, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    }),
    { numRuns: 40 },
  );
});

test('a header that was cut short is written again', async () => {
  const file = place();
  await write(file, []);
  const header = readFileSync(file, 'utf8');
  writeFileSync(file, header.slice(0, 20));
  await write(file, []);
  expect(readFileSync(file, 'utf8')).toBe(header);
});

test('of a sample that came out otherwise the later one counts', async () => {
  const file = place();
  await write(file, [sample(0), sample(1, 'first')], false);
  await write(file, [sample(0), sample(1, 'second')]);
  const log = openSampleLog(file, evaluation, { onOther: 'refuse' });
  expect([0, 1].map((id) => log.recall(sample(id)))).toEqual([sample(0), sample(1, 'second')]);
  expect(readFileSync(file, 'utf8')).not.toContain('first');
  log.close();
});

test('samples of another evaluation are refused with the difference, or replaced', async () => {
  const file = place();
  await write(file, [sample(0)]);
  const other = { ...evaluation, options: { limit: 4 }, model: 'abd' };
  expect(() => openSampleLog(file, other, { onOther: 'refuse' })).toThrow(
    /another evaluation:\n {2}options.limit: was 3, is 4\n {2}model: was "abc", is "abd"\nName another place/,
  );
  expect(readFileSync(file, 'utf8')).toContain('text 0');
  const log = openSampleLog(file, other, { onOther: 'replace' });
  expect(log.size).toBe(0);
  log.close();
  expect(readFileSync(file, 'utf8')).toBe(`${JSON.stringify({ evaluation: other })}\n`);
});

test('a question that is asked otherwise now is refused, or answered anew', async () => {
  const file = place();
  await write(file, [sample(0), sample(1), sample(2)]);
  const changed = { ...sample(1), expected: [7] };
  const refusing = openSampleLog(file, evaluation, { onOther: 'refuse' });
  expect(() => refusing.recall(changed)).toThrow(/has sample 1 with another expected \(\[1\]; now \[7\]\)/);
  refusing.close();
  const log = openSampleLog(file, evaluation, { onOther: 'replace' });
  expect([sample(0), changed].map((each) => log.recall(each))).toEqual([sample(0), undefined]);
  log.write(changed);
  await log.finish();
  log.close();
  // The third was not asked.
  expect(
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as Sample),
  ).toEqual([sample(0), changed]);
});

test('what is no file of samples is refused and left as it is', async () => {
  const file = place();
  await write(file, [sample(0)]);
  const good = readFileSync(file, 'utf8');
  for (const [text, message] of [
    [`${good}{"id": \n`, /line 3 that is not JSON/],
    [`${good}{"identity": 1}\n`, /line 3 that is no sample/],
    ['{"question": "x"}\n', /its first line does not say what was evaluated/],
    ['notes\n', /its first line does not say what was evaluated/],
    // Nothing is cut off a file that is somebody else's.
    ['notes', /its first line does not say what was evaluated/],
  ] as const) {
    writeFileSync(file, text);
    expect(() => openSampleLog(file, evaluation, { onOther: 'refuse' })).toThrow(message);
    expect(readFileSync(file, 'utf8')).toBe(text);
  }
  const folder = place();
  mkdirSync(folder, { recursive: true });
  expect(() => openSampleLog(folder, evaluation, { onOther: 'refuse' })).toThrow(/cannot be read and written/);
});
