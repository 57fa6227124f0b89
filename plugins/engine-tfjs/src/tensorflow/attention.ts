import { scope, type AttentionOptions, type FusedOperations, type Segment } from '@glulam/tensors';
import type { TfTensor } from './binding.js';
import { tfTypeOf, type Bench } from './fused.js';

/**
 * Grouped-query attention, a segment after the other: query heads that share keys are one matrix. What softmax gave is
 * computed again in backward, since it is the largest of all activations.
 */
export function attention(bench: Bench): FusedOperations['attention'] {
  const { ops, wide, makeMany } = bench;
  const { matmul, mul, sub, add, reshape, transpose, slice } = ops;
  const name = 'attention';

  /** Rows [start, start + length) of [.., heads * size] as [heads, length, size]. */
  const split = (x: TfTensor, start: number, length: number, heads: number): TfTensor => {
    const width = x.shape[1]!;
    const rows = slice(x, [start, 0], [length, width]);
    return transpose(reshape(rows, [length, heads, width / heads]), [1, 0, 2]);
  };
  /** The way back, to [length, heads * size]. */
  const join = (x: TfTensor, length: number): TfTensor => {
    const heads = (x.shape[0]! * x.shape[1]!) / length;
    const size = x.shape[2]!;
    return reshape(transpose(reshape(x, [heads, length, size]), [1, 0, 2]), [length, heads * size]);
  };
  const concatenate = (parts: readonly TfTensor[]): TfTensor =>
    parts.length === 1 ? parts[0]! : ops.concatenate(parts, 0);
  /** Parts at their rows; rows that no part covers are 0, what lies on one another is summed. */
  const assemble = (parts: readonly TfTensor[], starts: readonly number[], rows: number): TfTensor => {
    const all = concatenate(parts);
    const places = parts.flatMap((part, i) => Array.from({ length: part.shape[0]! }, (_, row) => starts[i]! + row));
    if (places.length === rows && places.every((place, row) => place === row)) return all;
    const [indices, count] = [ops.list(places), ops.ints(Int32Array.of(rows), [])];
    return ops.run('UnsortedSegmentSum', [all, indices, count]);
  };

  /** Scaled queries, keys, values and shares of one segment. */
  const shares = (q: TfTensor, k: TfTensor, v: TfTensor, segment: Segment, options: AttentionOptions) => {
    const { heads, keyValueHeads, headSize, scale, window } = options;
    const { queryStart, queryLength, keyStart, keyLength } = segment;
    const groups = heads / keyValueHeads;
    const grouped = [keyValueHeads, groups * queryLength, headSize];
    const queries = mul(reshape(split(q, queryStart, queryLength, heads), grouped), ops.scalar(scale));
    const keys = split(k, keyStart, keyLength, keyValueHeads);
    const values = split(v, keyStart, keyLength, keyValueHeads);
    const scores = reshape(matmul(queries, keys, false, true), [heads, queryLength, keyLength]);
    const mask = ops.floats(hidden(segment, window), [1, queryLength, keyLength]);
    const softmax = ops.run('Softmax', [add(scores, mask)]);
    return {
      queries,
      keys,
      values,
      grouped,
      softmax: reshape(softmax, [keyValueHeads, groups * queryLength, keyLength]),
    };
  };

  return {
    forward({ q, k, v }, options, keep) {
      const { segments, type, heads, headSize } = options;
      return scope(() => {
        const rows = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
        const output = bench.make(name, [rows, heads * headSize], type, () => {
          const [wideQ, wideK, wideV] = [wide(q), wide(k), wide(v)];
          const outputs = segments.map((segment) =>
            ops.arena(() => {
              const { softmax, values } = shares(wideQ, wideK, wideV, segment, options);
              return join(matmul(softmax, values), segment.queryLength);
            }),
          );
          return ops.cast(concatenate(outputs), tfTypeOf(type));
        });
        return { output, saved: keep ? { q, k, v } : {} };
      });
    },

    backward({ q, k, v }, gradient, options) {
      const { segments, scale } = options;
      const [queries, keys, values] = [q!, k!, v!];
      const shapes = [queries, keys, values].map(({ shape }) => ({ shape, dtype: 'float32' as const }));
      const gradients = makeMany(name, shapes, () => {
        const [wideQ, wideK, wideV, dOut] = [wide(queries), wide(keys), wide(values), wide(gradient)];
        const parts = segments.map((segment) =>
          ops.arena(() => {
            const { queryLength, keyLength } = segment;
            const part = shares(wideQ, wideK, wideV, segment, options);
            const out = split(dOut, segment.queryStart, queryLength, options.heads);
            const dMixed = reshape(out, part.grouped);
            const dValues = matmul(part.softmax, dMixed, true, false);
            const dShares = matmul(dMixed, part.values, false, true);
            const inner = ops.sum(mul(dShares, part.softmax), 2);
            const dScores = mul(sub(dShares, inner), part.softmax);
            const dQueries = mul(matmul(dScores, part.keys), ops.scalar(scale));
            const dKeys = matmul(dScores, part.queries, true, false);
            return [join(dQueries, queryLength), join(dKeys, keyLength), join(dValues, keyLength)];
          }),
        );
        return [0, 1, 2].map((i) => {
          const starts = segments.map(({ queryStart, keyStart }) => (i === 0 ? queryStart : keyStart));
          return assemble(
            parts.map((part) => part[i]!),
            starts,
            shapes[i]!.shape[0]!,
          );
        });
      });
      return { q: gradients[0], k: gradients[1], v: gradients[2] };
    },
  };
}

/** 0 where a query sees a key, a large negative number where not. */
function hidden({ queryLength, keyLength }: Segment, window: number): Float32Array {
  const mask = new Float32Array(queryLength * keyLength);
  for (let i = 0; i < queryLength; i++) {
    const position = keyLength - queryLength + i;
    const row = mask.subarray(i * keyLength, (i + 1) * keyLength);
    row.fill(-1e30, position + 1);
    if (window > 0) row.fill(-1e30, 0, Math.max(0, position - window + 1));
  }
  return mask;
}
