import {
  checkTensor,
  scope,
  TensorsError,
  type FrozenWeight,
  type FusedOperations,
  type Tensor,
} from '@glulam/tensors';
import type { Device } from '../device.js';
import { product } from '../product.js';
import { expectShape, stored } from './checks.js';

/** Rows of logits that exist at a time: with a vocabulary of 32,000, 32 MB. */
const chunkRows = 256;

/** Rows are read from where the weight lies. */
export function embedding({ make, run, upload }: Device): FusedOperations['embedding'] {
  return (weight, ids) => {
    const [rows, width] = weight.shape as [number, number];
    checkIds('embedding', ids, 0, rows);
    return scope(() => {
      const y = make([ids.length, width]);
      run('embedding', [y, weight, upload(ids, [ids.length])], [rows, width, ids.length]);
      return y;
    });
  };
}

/**
 * Only rows with a label are computed, some at a time, and the gradient to x at once with them while their logits are
 * there: [tokens, vocabulary] never exists whole, and backward does not multiply by the head's weight again.
 */
export function tokenLosses(device: Device): FusedOperations['tokenLosses'] {
  const { make, run, upload, precision } = device;
  const bfloat16 = precision === 'bfloat16';

  const chunk = (
    x: Tensor,
    weight: FrozenWeight,
    rows: Int32Array,
    labels: Int32Array,
    losses: Tensor,
    dx: Tensor | undefined,
    at: number,
  ): void =>
    scope(() => {
      const [vocabulary, hidden] = weight.shape as [number, number];
      const count = rows.length;
      const chosen = make([count, hidden]);
      run('gather', [chosen, x, upload(rows, [count])], [x.shape[0]!, hidden, count]);
      const logits = make([count, vocabulary]);
      product(device, 'tokenLosses', logits, chosen, weight, {
        m: count,
        n: vocabulary,
        k: hidden,
        transposeB: true,
        bfloat16,
      });
      // Leaves the gradient of each row's loss where its logits were.
      run(
        'crossEntropy',
        [losses, logits, upload(labels, [count])],
        [count, vocabulary, at, losses.size, Number(dx !== undefined)],
      );
      if (dx === undefined) return;
      product(device, 'tokenLosses', dx, logits, weight, {
        m: count,
        n: hidden,
        k: vocabulary,
        bfloat16,
        into: { beta: 0, row: at },
      });
    });

  return {
    forward({ x }, { weight, labels }, keep) {
      const [tokens, hidden] = stored('tokenLosses', x);
      const vocabulary = weight.shape[0]!;
      expectShape('tokenLosses', weight.name, weight, [vocabulary, hidden]);
      if (labels.length !== tokens) {
        throw new TensorsError(
          'SHAPE_MISMATCH',
          `tokenLosses got ${labels.length} labels; expected one for each of ${tokens} rows`,
        );
      }
      checkIds('tokenLosses', labels, -Infinity, vocabulary);
      const rows = Int32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
      return scope(() => {
        const losses = empty(device, [rows.length, 1]);
        const dRows = keep ? empty(device, [rows.length, hidden]) : undefined;
        for (let at = 0; at < rows.length; at += chunkRows) {
          const some = rows.subarray(at, at + chunkRows);
          chunk(
            x,
            weight,
            some,
            some.map((row) => labels[row]!),
            losses,
            dRows,
            at,
          );
        }
        const places = upload(rows, [rows.length]);
        const output = make([tokens]);
        run('scatterAdd', [output, places, losses], [tokens, 1, rows.length]);
        return { output, saved: keep ? { dRows, places } : {} };
      });
    },
    backward({ dRows, places }, gradient) {
      checkTensor('tokenLosses', gradient, 'float32');
      const [count, hidden] = dRows!.shape as [number, number];
      const tokens = gradient.size;
      return scope(() => {
        const factors = make([count, 1]);
        run('gather', [factors, gradient, places], [tokens, 1, count]);
        const scaled = make([count, hidden]);
        run('scaleRows', [scaled, dRows, factors], [count, hidden]);
        const dx = make([tokens, hidden]);
        run('scatterAdd', [dx, places, scaled], [tokens, hidden, count]);
        return { x: dx };
      });
    },
  };
}

function empty({ make, run }: Device, shape: readonly number[]): Tensor {
  const y = make(shape);
  run('empty', [y], [0, y.size]);
  return y;
}

function checkIds(operation: string, ids: Int32Array, from: number, to: number): void {
  const at = ids.findIndex((id) => id < from || id >= to);
  if (at < 0) return;
  throw new TensorsError(
    'BAD_ARGUMENT',
    `${operation} got token ${ids[at]} at ${at}; the vocabulary has ${to}: the tokenizer and the checkpoint do not belong together`,
  );
}
