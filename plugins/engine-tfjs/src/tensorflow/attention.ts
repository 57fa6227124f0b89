import { scope, type AttentionOptions, type FusedOperations, type Segment } from '@glulam/tensors';
import type { TfTensor } from './binding.js';
import { tfTypeOf, type Bench } from './fused.js';

/** Rows of queries that are multiplied with the keys that any of them sees: a causal half needs no arithmetic. */
const blockRows = 128;

/** Queries [row, row + rows) of a segment, and its keys [key, key + keys): the first query stands at key + before. */
interface Block {
  readonly row: number;
  readonly rows: number;
  readonly key: number;
  readonly keys: number;
  readonly before: number;
}

/**
 * Grouped-query attention, a segment after the other, each in blocks of queries: heads that share keys are one matrix.
 * What softmax gave is computed again in backward, since it is the largest of all activations.
 */
export function attention(bench: Bench): FusedOperations['attention'] {
  const { ops, wide, makeMany } = bench;
  const { matmul, mul, sub, add, reshape, transpose, slice } = ops;
  const name = 'attention';

  /** Rows [start, start + length) of [.., heads * size] as [keyValueHeads, length * groups, size]. */
  const split = (
    x: TfTensor,
    start: number,
    length: number,
    { keyValueHeads, headSize }: AttentionOptions,
  ): TfTensor => {
    const [rows, width] = x.shape as [number, number];
    const own = length === rows ? x : slice(x, [start, 0], [length, width]);
    const byHeads = transpose(reshape(own, [length, keyValueHeads, width / keyValueHeads]), [1, 0, 2]);
    return reshape(byHeads, [keyValueHeads, (length * width) / keyValueHeads / headSize, headSize]);
  };
  /** The way back, to [length, heads * size]. */
  const join = (x: TfTensor, length: number): TfTensor => {
    const [keyValueHeads, rows, size] = x.shape as [number, number, number];
    const width = (rows / length) * size;
    return reshape(transpose(reshape(x, [keyValueHeads, length, width]), [1, 0, 2]), [length, keyValueHeads * width]);
  };
  const concatenate = (parts: readonly TfTensor[], axis: number): TfTensor =>
    parts.length === 1 ? parts[0]! : ops.concatenate(parts, axis);
  /** Rows [start, start + length) of each matrix. */
  const rowsOf = (x: TfTensor, start: number, length: number): TfTensor =>
    length === x.shape[1] ? x : slice(x, [0, start, 0], [x.shape[0]!, length, x.shape[2]!]);
  /** Parts at their rows; rows that no part covers are 0, what lies on one another is summed. */
  const assemble = (parts: readonly TfTensor[], starts: readonly number[], rows: number): TfTensor => {
    const all = concatenate(parts, 0);
    const places = parts.flatMap((part, i) => Array.from({ length: part.shape[0]! }, (_, row) => starts[i]! + row));
    if (places.length === rows && places.every((place, row) => place === row)) return all;
    const [indices, count] = [ops.ints(Int32Array.from(places), [places.length]), ops.integer(rows)];
    return ops.run('UnsortedSegmentSum', [all, indices, count]);
  };

  /** What all blocks of a segment read. */
  const prepare = (wides: readonly [TfTensor, TfTensor, TfTensor], segment: Segment, options: AttentionOptions) => {
    const { queryStart, queryLength, keyStart, keyLength } = segment;
    const [q, k, v] = wides;
    return {
      queries: mul(split(q, queryStart, queryLength, options), ops.scalar(options.scale)),
      keys: split(k, keyStart, keyLength, options),
      values: split(v, keyStart, keyLength, options),
    };
  };
  /** Queries, keys, values and shares of one block. */
  const sharesOf = (whole: ReturnType<typeof prepare>, band: Band, block: Block, groups: number) => {
    const queries = rowsOf(whole.queries, block.row * groups, block.rows * groups);
    const keys = rowsOf(whole.keys, block.key, block.keys);
    const values = rowsOf(whole.values, block.key, block.keys);
    const scores = matmul(queries, keys, false, true);
    // A single query sees all that is left of its keys.
    if (block.rows === 1) return { queries, keys, values, shares: ops.softmax(scores) };
    const mask = slice(band.mask, [0, 0, band.before - block.before], [1, block.rows * groups, block.keys]);
    return { queries, keys, values, shares: ops.softmax(add(scores, mask)) };
  };
  const bandOf = (segments: readonly Segment[], { window }: AttentionOptions, groups: number): Band => {
    const blocks = segments.flatMap((segment) => blocksOf(segment, window));
    const before = Math.max(...blocks.map((block) => block.before));
    const rows = Math.max(...blocks.map((block) => block.rows));
    const mask = ops.floats(hidden(before, rows, groups, window), [1, rows * groups, before + rows]);
    return { mask, before };
  };

  return {
    forward({ q, k, v }, options, keep) {
      const { segments, type, heads, headSize, keyValueHeads, window } = options;
      const groups = heads / keyValueHeads;
      return scope(() => {
        const rows = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
        const output = bench.make(name, [rows, heads * headSize], type, () => {
          const wides = [wide(q), wide(k), wide(v)] as const;
          const band = bandOf(segments, options, groups);
          const outputs = segments.map((segment) =>
            ops.arena(() => {
              const whole = prepare(wides, segment, options);
              const mixed = blocksOf(segment, window).map((block) =>
                ops.arena(() => {
                  const { shares, values } = sharesOf(whole, band, block, groups);
                  return matmul(shares, values);
                }),
              );
              return join(concatenate(mixed, 1), segment.queryLength);
            }),
          );
          return ops.cast(concatenate(outputs, 0), tfTypeOf(type));
        });
        return { output, saved: keep ? { q, k, v } : {} };
      });
    },

    backward({ q, k, v }, gradient, options) {
      const { segments, scale, heads, keyValueHeads, window } = options;
      const groups = heads / keyValueHeads;
      const [queries, keys, values] = [q!, k!, v!];
      const shapes = [queries, keys, values].map(({ shape }) => ({ shape, dtype: 'float32' as const }));
      /** Gradients of one block to its queries, its keys and its values. */
      const blockGradients = (whole: ReturnType<typeof prepare>, out: TfTensor, band: Band, block: Block) =>
        ops.arena(() => {
          const part = sharesOf(whole, band, block, groups);
          const dMixed = rowsOf(out, block.row * groups, block.rows * groups);
          const dValues = matmul(part.shares, dMixed, true, false);
          const dShares = matmul(dMixed, part.values, false, true);
          const inner = ops.sum(mul(dShares, part.shares), 2);
          const dScores = mul(sub(dShares, inner), part.shares);
          return [matmul(dScores, part.keys), matmul(dScores, part.queries, true, false), dValues] as const;
        });
      /** The sum of what the blocks give to their keys. */
      const overKeys = (parts: readonly TfTensor[], blocks: readonly Block[], length: number): TfTensor =>
        parts
          .map((part, i) => {
            const { key, keys: covered } = blocks[i]!;
            return covered === length ? part : ops.pad(part, 1, key, length - key - covered);
          })
          .reduce((sum, part) => add(sum, part));
      const gradients = makeMany(name, shapes, () => {
        const wides = [wide(queries), wide(keys), wide(values)] as const;
        const dOut = wide(gradient);
        const band = bandOf(segments, options, groups);
        const parts = segments.map((segment) =>
          ops.arena(() => {
            const { queryStart, queryLength, keyLength } = segment;
            const whole = prepare(wides, segment, options);
            const out = split(dOut, queryStart, queryLength, options);
            const blocks = blocksOf(segment, window);
            const each = blocks.map((block) => blockGradients(whole, out, band, block));
            const dQueries = concatenate(
              each.map(([dQuery]) => dQuery),
              1,
            );
            const dKeys = each.map(([, dKey]) => dKey);
            const dValues = each.map(([, , dValue]) => dValue);
            return [
              join(mul(dQueries, ops.scalar(scale)), queryLength),
              join(overKeys(dKeys, blocks, keyLength), keyLength),
              join(overKeys(dValues, blocks, keyLength), keyLength),
            ];
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

/** A segment's blocks; keys that no query of a block sees are left out. */
function blocksOf({ queryLength, keyLength }: Segment, window: number): readonly Block[] {
  return Array.from({ length: Math.ceil(queryLength / blockRows) }, (_, i) => {
    const row = i * blockRows;
    const rows = Math.min(blockRows, queryLength - row);
    const position = keyLength - queryLength + row;
    const key = window === 0 ? 0 : Math.max(0, position - window + 1);
    return { row, rows, key, keys: position + rows - key, before: position - key };
  });
}

/**
 * Masks of all blocks are parts of one: what a query sees depends on its distance alone. A row a query and head of a
 * group, a column a key from `before` ahead of the first query; 0 where it is seen, a large negative number where not.
 */
interface Band {
  readonly mask: TfTensor;
  readonly before: number;
}

function hidden(before: number, rows: number, groups: number, window: number): Float32Array {
  const width = before + rows;
  const mask = new Float32Array(rows * groups * width);
  for (let i = 0; i < rows * groups; i++) {
    const own = before + Math.floor(i / groups);
    const row = mask.subarray(i * width, (i + 1) * width);
    row.fill(-1e30, own + 1);
    if (window > 0) row.fill(-1e30, 0, Math.max(0, own - window + 1));
  }
  return mask;
}
