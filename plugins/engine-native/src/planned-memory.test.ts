import { type Tensor } from '@glulam/tensors';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createNativeEngine } from './native-engine.js';
import { PlannedMemory, type PlannedBlock } from './planned-memory.js';

const KiB = 2 ** 10;
const sizes = [300, 40 * KiB, 200 * KiB, 256 * KiB, 704 * KiB, 2816 * KiB, 3000 * KiB, 6 * KiB * KiB, 9 * KiB * KiB];

it('foresees what the engine holds of the system, to the byte', async () => {
  // Which size is taken, or, of what is live, which is freed.
  const use = fc.oneof(
    { weight: 1, arbitrary: fc.constant({ freeAll: true }) },
    { weight: 50, arbitrary: fc.record({ take: fc.integer({ min: 0, max: sizes.length - 1 }) }) },
    { weight: 40, arbitrary: fc.record({ free: fc.nat() }) },
  );
  const runs = fc.array(use, { minLength: 200, maxLength: 600 });
  const property = fc.asyncProperty(runs, async (uses) => {
    const engine = createNativeEngine({ threads: 1 });
    const planned = new PlannedMemory();
    const live: { tensor: Tensor; block: PlannedBlock }[] = [];
    const free = (place: number): void => {
      const [gone] = live.splice(place, 1);
      gone!.tensor.release();
      planned.give(gone!.block);
    };
    for (const each of uses) {
      if ('take' in each && planned.live < 150 * KiB * KiB) {
        const bytes = sizes[each.take]!;
        live.push({ tensor: engine.full([bytes / 4], 0), block: planned.take(bytes) });
      } else if ('freeAll' in each) {
        while (live.length > 0) free(live.length - 1);
      } else if (live.length > 0) {
        free('free' in each ? each.free % live.length : 0);
      }
    }
    await engine.drain();
    const { liveBytes, heldBytes, heldPeakBytes } = engine.stats();
    expect([liveBytes, heldBytes, heldPeakBytes]).toEqual([planned.live, planned.held, planned.heldPeak]);
    for (const { tensor } of live) tensor.release();
    await engine.close();
  });
  await fc.assert(property, { numRuns: 25 });
});
