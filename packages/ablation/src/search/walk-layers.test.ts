import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidateMaps } from './candidate-maps.js';
import { walkLayers } from './walk-layers.js';

/** States are the layers that made them: what is finished says whether the right ones ran. */
async function walk(sequences: readonly (readonly number[])[], most: number, failAt = Infinity) {
  const alive = new Set<{ layers: readonly number[] }>();
  const finished = new Map<number, readonly number[]>();
  let runs = 0;
  let held = 0;
  const make = (layers: readonly number[]) => {
    const state = { layers };
    alive.add(state);
    return state;
  };
  const walking = walkLayers(sequences, most, {
    begin: () => make([]),
    run: (state, layer) => {
      expect(alive.has(state)).toBe(true);
      // The state before the first layer costs nothing and is not counted.
      held = Math.max(held, [...alive].filter(({ layers }) => layers.length > 0).length);
      if (++runs > failAt) return Promise.reject(new Error('it failed'));
      return Promise.resolve(make([...state.layers, layer]));
    },
    finish: (state, sequence) => {
      expect(alive.has(state) && !finished.has(sequence)).toBe(true);
      finished.set(sequence, state.layers);
      return Promise.resolve();
    },
    release: (state) => void expect(alive.delete(state)).toBe(true),
  });
  const failed = await walking.then(
    () => false,
    () => true,
  );
  expect(alive.size).toBe(0);
  return { finished, runs, held, failed };
}

const sequences = fc.uniqueArray(fc.array(fc.nat(3), { minLength: 1, maxLength: 7 }), {
  minLength: 1,
  maxLength: 25,
  selector: (layers) => layers.join(),
});
const prefixes = (all: readonly (readonly number[])[]): number =>
  new Set(all.flatMap((layers) => layers.map((_, i) => layers.slice(0, i + 1).join()))).size;
const total = (all: readonly (readonly number[])[]): number => all.reduce((sum, { length }) => sum + length, 0);

test('every sequence ends in its own state, within the budget, and never by more work than each alone', async () => {
  await fc.assert(
    fc.asyncProperty(sequences, fc.integer({ min: 1, max: 6 }), async (all, most) => {
      const { finished, runs, held } = await walk(all, most);
      expect([...finished].sort(([a], [b]) => a - b)).toEqual([...all.entries()]);
      expect(held).toBeLessThanOrEqual(most);
      expect(runs).toBeLessThanOrEqual(total(all));
      expect(runs).toBeGreaterThanOrEqual(prefixes(all));
    }),
  );
});

test('with room enough each beginning is run once', async () => {
  await fc.assert(
    fc.asyncProperty(sequences, async (all) => {
      expect((await walk(all, 25)).runs).toBe(prefixes(all));
    }),
  );
});

test('what fails leaves no state behind', async () => {
  await fc.assert(
    fc.asyncProperty(sequences, fc.nat(20), async (all, failAt) => {
      const { failed, runs } = await walk(all, 3, failAt);
      expect(failed).toBe(runs > failAt);
    }),
  );
});

test('runs of layers laid out twice: two states are enough, and half of the passes for 32 layers', async () => {
  const all = candidateMaps(undefined, 32).map(({ layers }) => layers);
  expect([all.length, total(all)]).toEqual([1 + 528, 22_912]);
  expect(await walk(all, 2)).toMatchObject({ runs: 11_472, held: 2 });
  // With one, each begins anew.
  expect(await walk(all, 1)).toMatchObject({ held: 1 });
});
