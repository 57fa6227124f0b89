import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTimeLimit, OutOfTime, underOneLimit } from './time-limit.js';

const endless = (): boolean => /^(a+)+$/.test(`${'a'.repeat(60)}!`);
const seconds = (run: () => void): number => {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1000;
};

test('gives the result, or the error, of what ends', () => {
  const limit = createTimeLimit();
  expect(limit.run(1, () => 'done')).toBe('done');
  expect(() =>
    limit.run(1, () => {
      throw new TypeError('of the run');
    }),
  ).toThrow(new TypeError('of the run'));
});

test('a regular expression that does not end is stopped', () => {
  const limit = createTimeLimit();
  expect(() => limit.run(61, endless)).toThrow(OutOfTime);
});

test('many slow matches are stopped as one is', () => {
  const limit = createTimeLimit();
  const slow = (): void => {
    for (const start = performance.now(); performance.now() - start < 100;);
  };
  let count = 0;
  expect(() => {
    for (; count < 100; count++) limit.run(10, slow);
  }).toThrow(OutOfTime);
  expect(count).toBeGreaterThan(5);
  expect(count).toBeLessThan(25);
});

test('after a text that took too long there is time for another', () => {
  const limit = createTimeLimit();
  expect(() => limit.run(61, endless)).toThrow(OutOfTime);
  expect(limit.run(1, () => /a/.test('a'))).toBe(true);
});

test('a limit within another is the outer one', () => {
  const inner = createTimeLimit();
  let runs = 0;
  const started = performance.now();
  expect(() =>
    underOneLimit(() => {
      runs += 1;
      return inner.run(61, endless);
    }),
  ).toThrow(OutOfTime);
  // Once under the outer limit, and once more under its own.
  expect(runs).toBe(2);
  expect(performance.now() - started).toBeGreaterThan(1500);
});

test('random patterns with nested repeats end within the limit, on any text', () => {
  const atom = fc.constantFrom('a', 'b', '[ab]', '.', '\\w', 'ab?', '(?=a)a', 'a|ab', '(a)\\1');
  const repeat = fc.constantFrom('*', '+', '?', '{1,9}', '{2,}', '*?', '+?');
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 5 },
      atom,
      fc.tuple(tie('pattern'), repeat).map(([inner, times]) => `(?:${inner})${times}`),
      fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `${left}${right}`),
      fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `(?:${left}|${right})`),
    ),
  }));
  const text = fc.array(fc.constantFrom('a', 'b', 'ab', 'aaaaaaaa'), { maxLength: 40 }).map((parts) => parts.join(''));
  let stopped = 0;
  fc.assert(
    fc.property(pattern, text, (source, given) => {
      const regex = new RegExp(`^(?:${source})$`, 'v');
      const limit = createTimeLimit();
      const took = seconds(() => {
        try {
          limit.run(given.length, () => regex.test(`${given}!`));
        } catch (error) {
          if (!(error instanceof OutOfTime)) throw error;
          stopped += 1;
        }
      });
      // What it may take by the processor, and twice as much for a machine that does other things.
      expect(took).toBeLessThan(5);
    }),
    { seed: 4711, numRuns: 300 },
  );
  expect(stopped).toBeGreaterThan(0);
});
