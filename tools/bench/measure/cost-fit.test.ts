import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitCost } from './cost-fit.mjs';

const amount = fc.double({ min: 1e6, max: 1e13, noNaN: true });
const rate = fc.double({ min: 1e-13, max: 1e-9, noNaN: true });

test('rates that made the times are found again, whatever their sizes', () => {
  const all = fc.property(
    fc.array(fc.tuple(amount, amount), { minLength: 6, maxLength: 20 }),
    rate,
    rate,
    (work, a, b) => {
      // Where one term is nearly a multiple of the other, many rates explain the times.
      fc.pre(Math.max(...work.map(([x, y]) => x / y)) > 2 * Math.min(...work.map(([x, y]) => x / y)));
      const seconds = work.map(([x, y]) => a * x + b * y);
      const { predict, worst } = fitCost(
        work.map(([x, y]) => ({ x, y })),
        seconds,
      );
      expect(worst).toBeLessThan(1e-6);
      expect(predict({ x: 3, y: 5 }) / (3 * a + 5 * b)).toBeCloseTo(1, 3);
    },
  );
  fc.assert(all, { seed: 1 });
});

test('a term that would take less than no time is left out', () => {
  const work = [
    { x: 1, y: 3 },
    { x: 2, y: 2 },
    { x: 3, y: 1 },
  ];
  const { perUnit, worst } = fitCost(work, [1, 2.2, 3.3]);
  expect(Object.keys(perUnit)).toEqual(['x']);
  expect(worst).toBeGreaterThan(0);
});

test('a rate beyond what is possible is not found: such a term takes its least time, and the others what is left', () => {
  const work = [
    { x: 1, y: 3 },
    { x: 2, y: 2 },
    { x: 3, y: 1 },
  ];
  const seconds = [3.1, 2.2, 1.3];
  expect(fitCost(work, seconds).perUnit.x).toBeCloseTo(0.1, 9);
  expect(fitCost(work, seconds, { x: 0.05 }).perUnit.x).toBeCloseTo(0.1, 9);
  const { perUnit, worst } = fitCost(work, seconds, { x: 0.2 });
  expect(perUnit.x).toBe(0.2);
  // By hand: the y that makes the sum of ((0.2 x + y y_i) / s_i - 1)^2 least.
  const [above, below] = work.reduce(
    ([above, below], { x, y }, i) => [
      above + (y / seconds[i]!) * (1 - (0.2 * x) / seconds[i]!),
      below + (y / seconds[i]!) ** 2,
    ],
    [0, 0],
  );
  expect(perUnit.y).toBeCloseTo(above / below, 9);
  expect(worst).toBeGreaterThan(0);
});

test('times that no term explains are refused', () => {
  expect(() => fitCost([{ x: -1 }, { x: -2 }], [1, 2])).toThrow('no cost model fits');
});

test('the worst error is that of the point which fits least', () => {
  const { perUnit, worst } = fitCost([{ x: 1 }, { x: 1 }], [1, 2]);
  const expected = Math.max(Math.abs(perUnit.x! - 1), Math.abs(perUnit.x! / 2 - 1));
  expect(worst).toBeCloseTo(expected, 12);
});
