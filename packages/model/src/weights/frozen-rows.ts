import { createOperations, detach, scope, type Engine, type FrozenWeight, type Tensor } from '@glulam/tensors';
import type { FrozenRows } from '../adapters/adapter.js';
import { principalParts, type PrincipalParts, type Products } from '../adapters/low-rank/principal-parts.js';

/** Elements of a weight that are widened to float32 at a time. */
const blockElements = 2 ** 20;

/**
 * What adapters may know of frozen weights, or of those times a factor; squares and principal parts of each are computed
 * once, and held until `close`.
 * `byBlocks`: products too read some rows at a time, for engines that would widen a whole weight for them.
 */
export function createFrozenRows(
  engine: Engine,
  { byBlocks = false }: { readonly byBlocks?: boolean } = {},
): { of(weight: FrozenWeight, factor?: number): FrozenRows; close(): void } {
  // Operations of its own, which no tape ever notes.
  const ops = createOperations(engine);
  /** Squares by the factor. */
  const known = new Map<FrozenWeight, Map<number, Tensor>>();
  const principal = new Map<FrozenWeight, Map<string, Promise<PrincipalParts>>>();

  /** What `body` makes of some rows at a time. */
  const blocksOf = (weight: FrozenWeight, body: (rows: Tensor, start: number, end: number) => Tensor): Tensor[] => {
    const [rows, columns] = weight.shape as [number, number];
    const step = Math.max(1, Math.floor(blockElements / columns));
    const blocks: Tensor[] = [];
    for (let start = 0; start < rows; start += step) {
      const end = Math.min(rows, start + step);
      blocks.push(scope(() => body(engine.readWeight(weight, start, end), start, end)));
    }
    return blocks;
  };
  const eachBlock = (weight: FrozenWeight, axis: number, body: (rows: Tensor) => Tensor): Tensor => {
    const blocks = blocksOf(weight, body);
    return blocks.length === 1 ? blocks[0]! : engine.concatenate(blocks, axis);
  };
  const timesByBlocks = (weight: FrozenWeight, x: Tensor): Tensor =>
    scope(() => eachBlock(weight, 1, (rows) => engine.matmul(x, rows, { transposeB: true })));
  const timesTransposed = (weight: FrozenWeight, y: Tensor): Tensor =>
    scope(() => {
      const parts = blocksOf(weight, (rows, start, end) =>
        engine.matmul(engine.slice(y, [0, start], [y.shape[0]!, end - start]), rows),
      );
      return parts.reduce((sum, part) => engine.binary('add', sum, part));
    });
  /** Float32 operands in any precision: `times` would round them to the engine's. */
  const productsWith = (weight: FrozenWeight): Products => {
    const [outFeatures, inFeatures] = weight.shape as [number, number];
    const read = async (product: Tensor): Promise<Float32Array> => {
      try {
        return (await engine.read(product)) as Float32Array;
      } finally {
        product.release();
      }
    };
    return {
      times: (x, rows) => read(scope(() => timesByBlocks(weight, engine.upload(x, [rows, inFeatures])))),
      timesTransposed: (y, rows) => read(scope(() => timesTransposed(weight, engine.upload(y, [rows, outFeatures])))),
    };
  };
  const squaresOf = (weight: FrozenWeight): Tensor =>
    scope(() => {
      const sums = eachBlock(weight, 0, (rows) => engine.reduce('sum', engine.binary('mul', rows, rows), 1));
      return engine.reshape(sums, [weight.shape[0]!]);
    });

  const times = (weight: FrozenWeight, x: Tensor): Tensor =>
    byBlocks ? timesByBlocks(weight, x) : ops.frozenLinear(x, weight, {}, 'float32');
  const squares = (weight: FrozenWeight, factor: number): Tensor => {
    const ofWeight = known.get(weight) ?? new Map<number, Tensor>();
    known.set(weight, ofWeight);
    const before = ofWeight.get(factor);
    if (before !== undefined) return before;
    const made = detach(factor === 1 ? squaresOf(weight) : engine.affine(squares(weight, 1), factor ** 2, 0));
    ofWeight.set(factor, made);
    return made;
  };

  return {
    of: (weight, factor = 1) => ({
      squares: () => squares(weight, factor),
      times: (x) => (factor === 1 ? times(weight, x) : scope(() => engine.affine(times(weight, x), factor, 0))),
      async principal(rank, iterations) {
        const ofWeight = principal.get(weight) ?? new Map<string, Promise<PrincipalParts>>();
        principal.set(weight, ofWeight);
        const key = `${rank} ${iterations}`;
        const parts =
          ofWeight.get(key) ?? principalParts(productsWith(weight), weight.shape as [number, number], rank, iterations);
        ofWeight.set(key, parts);
        return factor === 1 ? parts : scaledParts(await parts, factor);
      },
    }),
    close() {
      for (const ofWeight of known.values()) for (const each of ofWeight.values()) each.release();
      known.clear();
      principal.clear();
    },
  };
}

/** Singular values are not negative: the sign of the factor goes into the left vectors. */
const scaledParts = ({ left, values, right }: PrincipalParts, factor: number): PrincipalParts => ({
  left: factor < 0 ? left.map((value) => -value) : left,
  values: values.map((value) => value * Math.abs(factor)),
  right,
});
