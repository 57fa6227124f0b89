import { uniforms } from '@glulam/tensors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBatches } from './batch-source.js';
import { createDraws, type Draw, type DrawSource } from './draws.js';
import { createEndlessShuffle, shuffled } from './shuffle.js';

const take = (sources: readonly DrawSource[], count: number, { seed = 0, from = 0 } = {}): Draw[] => {
  const draws = createDraws(sources, seed, from);
  return Array.from({ length: count }, () => draws.next());
};
const unweighted = (...counts: number[]) => counts.map((count) => ({ count, weight: undefined }));

describe('shuffles', () => {
  test('are permutations, others for another seed, epoch and stream, and begin as they did with 24 bits a draw', () => {
    const sorted = (order: Uint32Array) => [...order].sort((a, b) => a - b);
    for (const count of [0, 1, 2, 3, 4, 5, 1000])
      expect(sorted(shuffled(count, 1, 2, 3))).toEqual(Array.from({ length: count }, (_, i) => i));
    const first = shuffled(1000, 0, 0, 0);
    for (const other of [shuffled(1000, 1, 0, 0), shuffled(1000, 0, 1, 0), shuffled(1000, 0, 0, 1)])
      expect(other).not.toEqual(first);
    // The algorithm written out once more.
    const uniform = uniforms(800, [0, 0x64617461, 0, 0]);
    const order = Array.from({ length: 800 }, (_, i) => i);
    for (let i = 799; i > 0; i--) {
      const j = Math.floor(uniform[i]! * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    expect([...shuffled(800, 0, 0, 0)]).toEqual(order);
  });

  test('of millions reach every place: ends and middle are hit evenly', () => {
    const count = 5_000_000;
    const order = shuffled(count, 7, 0, 0);
    const seen = new Uint8Array(count);
    for (const index of order) seen[index] = 1;
    expect(seen.every((flag) => flag === 1)).toBe(true);
    // Numbers from 2^22 on, which float32 no longer tells from their halves, land in both halves.
    const late = order.subarray(0, count / 2).filter((index) => index >= 2 ** 22).length;
    expect(Math.abs(late / (count - 2 ** 22) - 0.5)).toBeLessThan(0.005);
    // Neither even nor odd ones are favoured anywhere (standard deviation 0.0005).
    const odd = order.subarray(0, 1_000_000).filter((index) => index % 2 === 1).length;
    expect(Math.abs(odd / 1_000_000 - 0.5)).toBeLessThan(0.003);
  });

  test('without end: every epoch holds everything once, in another order', () => {
    const at = createEndlessShuffle(50, 3, 0);
    const [first, second] = [0, 1].map((epoch) => Array.from({ length: 50 }, (_, i) => at(epoch * 50 + i)));
    expect(new Set(first).size).toBe(50);
    expect(new Set(second).size).toBe(50);
    expect(second).not.toEqual(first);
    expect(at(7)).toBe(first![7]);
  });
});

describe('mixtures', () => {
  test('without weights all examples come once an epoch, sources by their sizes', () => {
    const sources = unweighted(30, 0, 70);
    const epoch = take(sources, 100);
    expect(new Set(epoch.map(({ source, index }) => `${source} ${index}`)).size).toBe(100);
    expect(epoch.filter(({ source }) => source === 0)).toHaveLength(30);
    expect(epoch.slice(0, 50).filter(({ source }) => source === 0).length).toBeGreaterThan(8);
  });

  test('with weights every source keeps within one example of its share, at any time', () => {
    const weights = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 1, maxLength: 7 });
    fc.assert(
      fc.property(weights, (given) => {
        const sum = given.reduce((a, b) => a + b);
        const counts = given.map(() => 0);
        const sources = given.map((weight) => ({ count: 10, weight }));
        take(sources, 2000).forEach(({ source }, i) => {
          counts[source]! += 1;
          for (const [each, count] of counts.entries())
            expect(Math.abs(count - ((i + 1) * given[each]!) / sum)).toBeLessThan(1 + 1e-9);
        });
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  test('with weights each source is shuffled by itself and begins again when it was seen whole', () => {
    const drawn = take(
      [
        { count: 5, weight: 3 },
        { count: 400, weight: 1 },
      ],
      200,
    );
    const small = drawn.filter(({ source }) => source === 0).map(({ index }) => index);
    expect(small).toHaveLength(150);
    for (let i = 0; i < 150; i += 5) expect(new Set(small.slice(i, i + 5)).size).toBe(5);
    expect(new Set(drawn.filter(({ source }) => source === 1).map(({ index }) => index)).size).toBe(50);
  });

  test('any position follows from the number of draws alone, and soon', () => {
    for (const sources of [
      unweighted(13, 8),
      [
        { count: 13, weight: 1 },
        { count: 8, weight: 2.5 },
        { count: 3, weight: 0.1 },
      ],
    ]) {
      const all = take(sources, 300, { seed: 5 });
      for (const from of [0, 1, 20, 21, 22, 150])
        expect(take(sources, 300 - from, { seed: 5, from })).toEqual(all.slice(from));
    }
    const begun = performance.now();
    take(unweighted(1_000_000, 500_000), 1, { from: 80_000_000_001 });
    take(
      [
        { count: 1_000_000, weight: 1 },
        { count: 7, weight: 2 },
      ],
      1,
      { from: 5_000_000 },
    );
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});

describe('batches', () => {
  const lengths = Array.from({ length: 40 }, (_, i) => 1 + ((i * 7919) % 23));
  const batchesOf = (size: number | { tokens: number }, from = 0) =>
    createBatches(
      createDraws(unweighted(40), 1, from),
      from,
      size,
      ({ index }) => lengths[index]!,
      ({ index }) => index,
    );

  test('a count: as many in each', () => {
    const batches = batchesOf(3);
    const all = Array.from({ length: 10 }, () => batches.next());
    expect(all.every((batch) => batch.length === 3)).toBe(true);
    expect(batches.drawn).toBe(30);
  });

  test.each([1, 10, 25, 60])('%i tokens: next fit in drawing order; a longer example alone', (tokens) => {
    const order = take(unweighted(40), 200, { seed: 1 }).map(({ index }) => index);
    const expected: number[][] = [[]];
    for (const index of order) {
      const batch = expected.at(-1)!;
      const sum = batch.reduce((total, each) => total + lengths[each]!, 0);
      if (batch.length > 0 && sum + lengths[index]! > tokens) expected.push([index]);
      else batch.push(index);
    }
    const batches = batchesOf({ tokens });
    // The last one may have been cut by the end of the list.
    for (const [i, batch] of expected.slice(0, -2).entries()) {
      expect(batches.next()).toEqual(batch);
      // A run that stopped here goes on in the same way.
      expect(batchesOf({ tokens }, batches.drawn).next()).toEqual(expected[i + 1]);
    }
  });
});
