import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimate, pairedDifference } from './statistics.js';

const value = fc.double({ min: -1e3, max: 1e3, noNaN: true });

describe('estimates', () => {
  test('as worked out by hand', () => {
    // Deviations -1.5, -0.5, 0.5, 1.5: squares sum to 5.
    expect(estimate([1, 2, 3, 4])).toEqual({
      mean: 2.5,
      deviation: Math.sqrt(5 / 3),
      error: Math.sqrt(5 / 3) / 2,
      count: 4,
    });
    expect(estimate([7])).toEqual({ mean: 7, deviation: undefined, error: undefined, count: 1 });
    expect(estimate([])).toBeUndefined();
  });

  test('shifted values have a shifted mean and the same error', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 2, maxLength: 9 }), value, (values, shift) => {
        const [before, after] = [estimate(values)!, estimate(values.map((each) => each + shift))!];
        expect(after.mean).toBeCloseTo(before.mean + shift, 8);
        expect(after.error).toBeCloseTo(before.error!, 8);
      }),
    );
  });
});

describe('paired differences', () => {
  const of = (...values: number[]) => new Map(values.map((each, seed) => [seed, each]));

  test('what all seeds share does not count', () => {
    // Seeds differ by 10, pairs by 1, 2, 3: mean 2, error 1 / sqrt 3.
    const difference = pairedDifference(of(11, 22, 33), of(10, 20, 30))!;
    expect(difference).toMatchObject({ mean: 2, count: 3, chance: 4.303 });
    expect(difference.error).toBeCloseTo(1 / Math.sqrt(3), 12);
    expect(difference.inErrors).toBeCloseTo(2 * Math.sqrt(3), 12);
  });

  test('only seeds that both have are compared', () => {
    const [a, b] = [
      new Map([
        [0, 5],
        [1, 6],
      ]),
      new Map([
        [1, 4],
        [2, 9],
      ]),
    ];
    expect(pairedDifference(a, b)).toMatchObject({ mean: 2, count: 1, error: undefined, inErrors: undefined });
    expect(pairedDifference(a, new Map([[7, 1]]))).toBeUndefined();
  });

  test('equal pairs have a difference and no errors to count it in', () => {
    expect(pairedDifference(of(2, 3), of(1, 2))).toMatchObject({ mean: 1, error: 0, inErrors: undefined });
  });

  test('the bound falls with the number of seeds', () => {
    const bounds = [2, 3, 6, 11, 40].map((count) => {
      const values = Array.from({ length: count }, (_, i) => i);
      return pairedDifference(of(...values), of(...values.map((each) => 2 * each)))!.chance;
    });
    expect(bounds).toEqual([12.706, 4.303, 2.571, 2.228, 2.228]);
  });
});
