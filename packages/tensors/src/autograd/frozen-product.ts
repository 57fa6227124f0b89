import type { Engine, FrozenWeight } from '../contract/engine.js';
import type { Fused } from '../contract/fused.js';
import { scope, type Tensor } from '../contract/tensor.js';

/** Elements of a frozen weight that exist widened at a time: 4 MiB. */
const blockElements = 2 ** 20;

/** The weight's rows `[start, end)`, some at a time. */
export function* rowBlocks({ shape }: FrozenWeight): Generator<readonly [start: number, end: number]> {
  const [rows, columns] = shape as [number, number];
  const step = Math.max(1, Math.floor(blockElements / Math.max(1, columns)));
  for (let start = 0; start < rows; start += step) yield [start, Math.min(rows, start + step)];
}

/** As the engine's precision has the operands of products. */
function weightOperand(engine: Engine, weight: FrozenWeight, start: number, end: number): Tensor {
  const values = engine.readWeight(weight, start, end);
  return engine.precision === 'float32' || weight.dtype === 'bfloat16'
    ? values
    : engine.cast(engine.cast(values, 'bfloat16'), 'float32');
}

/**
 * x W^T for x [tokens, in] and W [out, in], and its gradient dy W: the weight is read some rows at a time, forward and
 * backward, and never exists whole. x is rounded to the engine's precision before; the gradient is not rounded.
 */
export function frozenProduct(engine: Engine): Fused<{ x: Tensor }, { readonly weight: FrozenWeight }> {
  return {
    forward({ x }, { weight }) {
      const parts: Tensor[] = [];
      for (const [start, end] of rowBlocks(weight))
        parts.push(scope(() => engine.matmul(x, weightOperand(engine, weight, start, end), { transposeB: true })));
      if (parts.length === 0) return { output: engine.full([x.shape[0]!, 0], 0), saved: {} };
      return { output: parts.length === 1 ? parts[0]! : engine.concatenate(parts, 1), saved: {} };
    },
    backward(_saved, dy, { weight }) {
      const tokens = dy.shape[0]!;
      let dx: Tensor | undefined;
      for (const [start, end] of rowBlocks(weight)) {
        const before = dx;
        dx = scope(() => {
          const own = end - start === dy.shape[1] ? dy : engine.slice(dy, [0, start], [tokens, end - start]);
          const part = engine.matmul(own, weightOperand(engine, weight, start, end));
          return before === undefined ? part : engine.binary('add', before, part);
        });
        before?.release();
      }
      return { x: dx ?? engine.full([tokens, weight.shape[1]!], 0) };
    },
  };
}
