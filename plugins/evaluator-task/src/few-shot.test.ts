import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSampler } from './few-shot.js';

const pool = (count: number) => Array.from({ length: count }, (_, i) => ({ text: `t${i}`, key: `k${i}` }));
const task = (count: number, sampler: 'default' | 'first_n' = 'default') => {
  return { num_fewshot: count, fewshot_config: { sampler } };
};

// CPython: random.Random(1234), sample(range(7473), 5) again and again.
test('draws go on from question to question', () => {
  const sample = createSampler(task(5), pool(7473), { excludesOwn: false });
  expect([0, 1].map((i) => sample({ key: `k${i}` }).map(({ text }) => Number(text.slice(1))))).toEqual([
    [6374, 3610, 957, 61, 742],
    [7462, 6610, 4769, 286, 5501],
  ]);
});

test('a question is never among its own examples, and there are as many as asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 6 }), fc.boolean(), (count, more, first) => {
      // Two rows are the same.
      const rows = [...pool(count + 1 + more), { text: 't0', key: 'k0' }];
      const sample = createSampler(task(count, first ? 'first_n' : 'default'), rows, { excludesOwn: true });
      for (const row of rows) {
        const drawn = sample(row);
        expect(drawn).toHaveLength(count);
        expect(drawn.map(({ key }) => key)).not.toContain(row.key);
      }
    }),
  );
});

test('the first are always the same; too few are refused', () => {
  const first = createSampler(task(2, 'first_n'), pool(3), { excludesOwn: false });
  expect([first({ key: 'a' }), first({ key: 'b' })].map((drawn) => drawn.map(({ text }) => text))).toEqual([
    ['t0', 't1'],
    ['t0', 't1'],
  ]);
  expect(createSampler(task(0), [], { excludesOwn: true })({ key: 'a' })).toEqual([]);
  expect(() => createSampler(task(3), pool(3), { excludesOwn: true })).toThrow(
    /3 examples to draw 3 from; expected at least 4/,
  );
});
