import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bestOf, stepReaching, type Point } from './best.js';

const points = (...values: number[]): Point[] => values.map((value, index) => ({ step: index * 10, value }));

test('the first of the best, without the untrained model', () => {
  expect(bestOf(points(1, 5, 3, 3, 4), 'lower')).toEqual({ step: 20, value: 3 });
  expect(bestOf(points(9, 5, 3, 5, 4), 'higher')).toEqual({ step: 10, value: 5 });
  expect(bestOf(points(2), 'lower')).toEqual({ step: 0, value: 2 });
  expect(bestOf(points(1, NaN, Infinity), 'lower')).toBeUndefined();
  expect(bestOf([], 'lower')).toBeUndefined();
});

test('the first step that is as good', () => {
  expect(stepReaching(points(1, 5, 3, 2), 3, 'lower')).toBe(20);
  expect(stepReaching(points(9, 5, 3, 6), 5.5, 'higher')).toBe(30);
  expect(stepReaching(points(1, 5, 3), 2, 'lower')).toBeUndefined();
});

test('every run reaches its own best, at the step where it is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 2 }),
      fc.constantFrom('lower' as const, 'higher' as const),
      (values, better) => {
        const curve = points(...values);
        const best = bestOf(curve, better)!;
        expect(stepReaching(curve, best.value, better)).toBe(best.step);
      },
    ),
  );
});
