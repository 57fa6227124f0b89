import {
  checkTensor,
  scope,
  TensorsError,
  type FrozenWeight,
  type Fused,
  type FusedOperations,
  type Tensor,
  type TokenLossesOptions,
} from '@glulam/tensors';
import { expectShape, stored } from './checks.js';
import type { FusedCommands } from './commands.js';
import { product } from './product.js';

/** Rows of logits that exist at a time: with a vocabulary of 32,000, 32 MB. */
const chunkRows = 256;

/** Rows are read from where the weight lies. */
export function embedding({ make, run, upload }: FusedCommands): FusedOperations['embedding'] {
  return (weight, ids) => {
    const [rows, width] = weight.shape as [number, number];
    checkIds('embedding', ids, 0, rows);
    return scope(() => {
      const y = make([ids.length, width]);
      const indices = upload(ids, [ids.length]);
      run('embedding', { y, table: weight, indices, rows, width, count: ids.length });
      return y;
    });
  };
}

type TokenLossesPair = Fused<{ x: Tensor }, TokenLossesOptions & { readonly softCap?: number | undefined }>;

/**
 * Only rows with a label are computed, some at a time, and the gradient to x at once with them while their logits are
 * there: [tokens, vocabulary] never exists whole, and backward does not multiply by the head's weight again.
 */
export function tokenLosses(commands: FusedCommands): TokenLossesPair {
  const { make, run, upload, precision } = commands;
  const bfloat16 = precision === 'bfloat16';

  const chunk = (
    x: Tensor,
    weight: FrozenWeight,
    rows: Int32Array,
    labels: Int32Array,
    losses: Tensor,
    dx: Tensor | undefined,
    { at, softCap }: { readonly at: number; readonly softCap: number },
  ): void =>
    scope(() => {
      const [vocabulary, hidden] = weight.shape as [number, number];
      const count = rows.length;
      const chosen = make([count, hidden]);
      const indices = upload(rows, [count]);
      run('gather', { y: chosen, table: x, indices, rows: x.shape[0]!, width: hidden, count });
      const logits = make([count, vocabulary]);
      product(commands, 'tokenLosses', logits, chosen, weight, {
        m: count,
        n: vocabulary,
        k: hidden,
        transposeB: true,
        bfloat16,
      });
      // Leaves the gradient of each row's loss where its logits were.
      run('crossEntropy', {
        losses,
        logits,
        targets: upload(labels, [count]),
        rows: count,
        vocabulary,
        first: at,
        available: losses.size,
        softCap,
        gradient: dx !== undefined,
      });
      if (dx === undefined) return;
      product(commands, 'tokenLosses', dx, logits, weight, {
        m: count,
        n: hidden,
        k: vocabulary,
        bfloat16,
        into: { beta: 0, row: at },
      });
    });

  return {
    forward({ x }, { weight, labels, softCap = 0 }, keep) {
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
        const losses = empty(commands, [rows.length, 1]);
        const dRows = keep ? empty(commands, [rows.length, hidden]) : undefined;
        for (let at = 0; at < rows.length; at += chunkRows) {
          const some = rows.subarray(at, at + chunkRows);
          chunk(
            x,
            weight,
            some,
            some.map((row) => labels[row]!),
            losses,
            dRows,
            { at, softCap },
          );
        }
        const places = upload(rows, [rows.length]);
        const output = make([tokens]);
        run('scatterAdd', {
          y: output,
          indices: places,
          values: losses,
          rows: tokens,
          width: 1,
          count: rows.length,
        });
        return { output, saved: keep ? { dRows, places } : {} };
      });
    },
    backward({ dRows, places }, gradient) {
      checkTensor('tokenLosses', gradient, 'float32');
      const [count, hidden] = dRows!.shape as [number, number];
      const tokens = gradient.size;
      return scope(() => {
        const factors = make([count, 1]);
        run('gather', { y: factors, table: gradient, indices: places!, rows: tokens, width: 1, count });
        const scaled = make([count, hidden]);
        run('scaleRows', { y: scaled, x: dRows!, factors, rows: count, columns: hidden });
        const dx = make([tokens, hidden]);
        run('scatterAdd', { y: dx, indices: places!, values: scaled, rows: tokens, width: hidden, count });
        return { x: dx };
      });
    },
  };
}

function empty({ make, run }: FusedCommands, shape: readonly number[]): Tensor {
  const y = make(shape);
  run('empty', { y, type: 'float32', elements: y.size });
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
