import { createOperations, detach, scope, type Engine, type FrozenWeight, type Tensor } from '@glulam/tensors';
import type { FrozenRows } from './adapter.js';

/** Elements of a weight that are widened to float32 at a time. */
const blockElements = 2 ** 20;

/**
 * What adapters may know of frozen weights; the squares of each are computed once, and held until `close`. `byBlocks`:
 * products too read some rows at a time, for engines that would widen a whole weight for them.
 */
export function createFrozenRows(
  engine: Engine,
  { byBlocks = false }: { readonly byBlocks?: boolean } = {},
): { of(weight: FrozenWeight): FrozenRows; close(): void } {
  // Operations of its own, which no tape ever notes.
  const ops = createOperations(engine);
  const known = new Map<FrozenWeight, Tensor>();

  /** What `body` makes of some rows at a time, put together along `axis`. */
  const eachBlock = (weight: FrozenWeight, axis: number, body: (rows: Tensor) => Tensor): Tensor => {
    const [rows, columns] = weight.shape as [number, number];
    const step = Math.max(1, Math.floor(blockElements / columns));
    const blocks: Tensor[] = [];
    for (let start = 0; start < rows; start += step)
      blocks.push(scope(() => body(engine.readWeight(weight, start, Math.min(rows, start + step)))));
    return blocks.length === 1 ? blocks[0]! : engine.concatenate(blocks, axis);
  };
  const squaresOf = (weight: FrozenWeight): Tensor =>
    scope(() => {
      const sums = eachBlock(weight, 0, (rows) => engine.reduce('sum', engine.binary('mul', rows, rows), 1));
      return engine.reshape(sums, [weight.shape[0]!]);
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
      times: (x) =>
        byBlocks
          ? scope(() => eachBlock(weight, 1, (rows) => engine.matmul(x, rows, { transposeB: true })))
          : ops.frozenLinear(x, weight, {}, 'float32'),
    }),
    close() {
      for (const squares of known.values()) squares.release();
      known.clear();
    },
  };
}
