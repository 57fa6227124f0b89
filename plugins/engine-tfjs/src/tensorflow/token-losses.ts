import { scope, TensorsError, type FusedOperations, type Tensor } from '@glulam/tensors';
import { tfTypes, type TfTensor } from './binding.js';
import { exact, frozenProduct } from './frozen-linear.js';
import type { FusedContext } from './fused-context.js';
import { lossesProgram } from './xla/token-losses.js';
import type { Xla } from './xla/xla.js';

/** Rows of logits that exist at a time. */
const chunkRows = 256;

/**
 * Only rows with a label are computed, some at a time, and the gradient to x at once with them: [tokens, vocabulary]
 * never exists whole.
 */
export function tokenLosses(context: FusedContext, xla: Xla | undefined): FusedOperations['tokenLosses'] {
  const { ops, of, make, makeMany } = context;
  const { float32 } = tfTypes;
  const name = 'tokenLosses';
  const gather = (table: TfTensor, rows: TfTensor): TfTensor => ops.run('GatherV2', [table, rows, ops.integer(0)]);
  const scatter = (values: TfTensor, rows: TfTensor, count: number): TfTensor =>
    ops.run('UnsortedSegmentSum', [values, rows, ops.integer(count)]);
  const concatenate = (parts: readonly Tensor[]): Tensor =>
    parts.length === 1 ? parts[0]! : context.engine.concatenate(parts, 0);

  /**
   * Losses and softmax's shares. The largest share is 1 / sum(exp(logit - largest)), so that the shares give the sum's
   * logarithm: TensorFlow's own operation for this takes three times as long.
   */
  const lossesOf = (logits: TfTensor, places: TfTensor): [losses: TfTensor, shares: TfTensor] => {
    const shares = ops.softmax(logits);
    const [largest, largestShare] = [logits, shares].map((x) => ops.reshape(ops.max(x, 1), [x.shape[0]!]));
    const below = ops.sub(largest!, ops.run('GatherNd', [logits, places]));
    return [ops.sub(below, ops.run('Log', [largestShare!])), shares];
  };

  return {
    forward({ x }, { weight, labels }, keep) {
      const [tokens, hidden] = x.shape as [number, number];
      const vocabulary = weight.shape[0]!;
      if (labels.length !== tokens) {
        throw new TensorsError(
          'SHAPE_MISMATCH',
          `tokenLosses got ${labels.length} labels; expected one for each of ${tokens} rows`,
        );
      }
      const at = labels.findIndex((label) => label >= vocabulary);
      if (at >= 0) {
        throw new TensorsError(
          'BAD_ARGUMENT',
          `tokenLosses got token ${labels[at]} at ${at}; the vocabulary has ${vocabulary}: the tokenizer and the checkpoint do not belong together`,
        );
      }
      const rows = Int32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
      return scope(() => {
        if (rows.length === 0) return { output: context.engine.full([tokens], 0), saved: {} };
        const { precision } = context.shell;
        const program = xla?.takes(rows.length) === true ? xla : undefined;
        // Widened once for all chunks; a program multiplies bfloat16 as it is.
        const widened =
          precision === 'float32'
            ? context.engine.readWeight(weight, 0, vocabulary)
            : program === undefined
              ? make(name, weight.shape, 'float32', () => exact(context, context.weight(weight)))
              : undefined;
        const head = (): TfTensor => (widened === undefined ? context.weight(weight) : of(widened));
        const losses: Tensor[] = [];
        const gradients: Tensor[] = [];
        for (let start = 0; start < rows.length; start += chunkRows) {
          const some = rows.slice(start, start + chunkRows);
          const count = some.length;
          const results = [
            { shape: [count], dtype: 'float32' as const },
            ...(keep ? [{ shape: [count, hidden], dtype: 'float32' as const }] : []),
          ];
          const [loss, dRows] = makeMany(name, results, () => {
            if (program !== undefined) {
              const chosen = gather(of(x), ops.ints(some, [count]));
              const own = ops.ints(
                Int32Array.from(some, (row) => labels[row]!),
                [count],
              );
              const inputs = {
                rows: chosen,
                head: head(),
                labels: own,
                headOfLabels: gather(head(), own),
                ones: ops.floats(new Float32Array(count).fill(1), [count]),
              };
              return lossesProgram(program, precision, inputs, keep);
            }
            const ofLabels = Array.from(some, (row, i) => [i, labels[row]!]);
            const places = ops.ints(Int32Array.from(ofLabels.flat()), [count, 2]);
            const [each, shares] = ops.arena(() => {
              const chosen = gather(of(x), ops.ints(some, [count]));
              return lossesOf(ops.matmul(exact(context, chosen), head(), false, true), places);
            });
            if (!keep) return [each];
            // Of each label's share 1 is taken: the gradient to the logits.
            const ones = ops.floats(new Float32Array(count).fill(1), [count]);
            const dLogits = ops.run('TensorScatterSub', [shares, places, ones]);
            const dx = frozenProduct(context, dLogits, weight, false);
            return [each, ops.cast(dx, float32)];
          });
          losses.push(loss!);
          if (dRows !== undefined) gradients.push(dRows);
        }
        const places = context.engine.upload(rows, [rows.length]);
        const all = concatenate(losses);
        const output = make(name, [tokens], 'float32', () => scatter(of(all), of(places), tokens));
        return { output, saved: keep ? { dRows: concatenate(gradients), places } : {} };
      });
    },
    backward({ dRows, places }, gradient, { weight }) {
      const tokens = gradient.size;
      // No row had a label.
      if (dRows === undefined || places === undefined) return { x: context.engine.full([tokens, weight.shape[1]!], 0) };
      const x = make(name, [tokens, dRows.shape[1]!], 'float32', () => {
        const factors = ops.reshape(gather(of(gradient), of(places)), [places.size, 1]);
        return scatter(ops.mul(of(dRows), factors), of(places), tokens);
      });
      return { x };
    },
  };
}
