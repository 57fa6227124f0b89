import { createOperations, detach, scope, type Engine, type FrozenWeight, type Tensor } from '@glulam/tensors';
import type { FrozenRows } from './adapter.js';

/** Elements of a weight that are widened to float32 at a time. */
const blockElements = 2 ** 20;

/** What adapters may know of frozen weights; the squares of each are computed once, and held until `close`. */
export function createFrozenRows(engine: Engine): { of(weight: FrozenWeight): FrozenRows; close(): void } {
  // Operations of its own, which no tape ever notes.
  const ops = createOperations(engine);
  const known = new Map<FrozenWeight, Tensor>();

  const squaresOf = (weight: FrozenWeight): Tensor =>
    scope(() => {
      const [rows, columns] = weight.shape as [number, number];
      const step = Math.max(1, Math.floor(blockElements / columns));
      const blocks: Tensor[] = [];
      for (let start = 0; start < rows; start += step) {
        const block = (): Tensor => {
          const values = engine.readWeight(weight, start, Math.min(rows, start + step));
          return engine.reduce('sum', engine.binary('mul', values, values), 1);
        };
        blocks.push(scope(block));
      }
      return engine.reshape(blocks.length === 1 ? blocks[0]! : engine.concatenate(blocks, 0), [rows]);
    });

  return {
    of: (weight) => ({
      squares() {
        const before = known.get(weight);
        if (before !== undefined) return before;
        const squares = detach(squaresOf(weight));
        known.set(weight, squares);
        return squares;
      },
      times: (x) => ops.frozenLinear(x, weight, {}, 'float32'),
    }),
    close() {
      for (const squares of known.values()) squares.release();
      known.clear();
    },
  };
}
