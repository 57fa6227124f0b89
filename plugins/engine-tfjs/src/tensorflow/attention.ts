import { scope, type AttentionOptions, type FusedOperations, type Segment, type Tensor } from '@glulam/tensors';
import { assemble, blocksOf, hidden, type Block } from './attention-blocks.js';
import { bfloat16Parts } from './bfloat16-parts.js';
import { tfTypeOf, tfTypes, type TfTensor } from './binding.js';
import type { FusedContext } from './fused-context.js';

/**
 * Masks of all blocks are parts of one: what a query sees depends on its distance alone. A row a query and head of a
 * group, a column a key from `before` ahead of the first query; 0 where it is seen, a large negative number where not.
 */
interface Band {
  readonly mask: TfTensor;
  readonly before: number;
}

/** [tokens, heads * size] each. */
interface Inputs {
  readonly queries: TfTensor;
  readonly keys: TfTensor;
  readonly values: TfTensor;
}

interface SegmentInputs {
  readonly inputs: Inputs;
  readonly band: Band;
  readonly options: AttentionOptions;
  readonly queryStart: number;
  /** [keyValueHeads, keyLength, size] */
  readonly keys: TfTensor;
  readonly values: TfTensor;
}

/** The gradients of some blocks that follow on one another: to their keys [key, key + keys), and to each block's queries. */
interface BlockGradients {
  readonly key: number;
  readonly keys: number;
  /** [keyValueHeads, size, keys], as values' too. */
  readonly dKeys: TfTensor;
  readonly dValues: TfTensor;
  readonly dQueries: readonly TfTensor[];
}

/**
 * Grouped-query attention, a segment after the other, each in blocks of queries: heads that share keys are one matrix.
 * Forward is float32 between its inputs and its output. Backward computes again what softmax gave, since that is the
 * largest of all activations, and in the type that activations are kept in: bfloat16 takes half the time.
 */
export function attention(context: FusedContext): FusedOperations['attention'] {
  const { ops, of, wide, makeMany } = context;
  const { matmul, mul, add, cast, reshape, transpose, slice } = ops;
  const { float32 } = tfTypes;
  const name = 'attention';

  /** Rows [start, start + length) of [.., heads * size] as [keyValueHeads, length * groups, size]. */
  const split = (x: TfTensor, start: number, length: number, keyValueHeads: number, size: number): TfTensor => {
    const [rows, width] = x.shape as [number, number];
    const own = length === rows ? x : slice(x, [start, 0], [length, width]);
    const byHeads = transpose(reshape(own, [length, keyValueHeads, width / keyValueHeads]), [1, 0, 2]);
    return reshape(byHeads, [keyValueHeads, (length * width) / keyValueHeads / size, size]);
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
  /** All in one type, the keys, which are fewest, times the scale. */
  const inputsOf = (q: Tensor, k: Tensor, v: Tensor, scale: number, type: number): Inputs => {
    const keys = cast(mul(wide(k), ops.scalar(scale)), type);
    return { queries: cast(of(q), type), keys, values: cast(of(v), type) };
  };
  /** Queries, keys and shares of one block. */
  const sharesOf = (segment: SegmentInputs, { row, rows, key, keys: covered, before }: Block) => {
    const { inputs, keys, options, band } = segment;
    const { headSize, keyValueHeads, heads } = options;
    const queries = split(inputs.queries, segment.queryStart + row, rows, keyValueHeads, headSize);
    const seen = rowsOf(keys, key, covered);
    const scores = matmul(queries, seen, false, true);
    // A single query sees all that is left of its keys.
    if (rows === 1) return { queries, keys: seen, shares: ops.softmax(scores) };
    const groups = heads / keyValueHeads;
    const mask = slice(band.mask, [0, 0, band.before - before], [1, rows * groups, covered]);
    return { queries, keys: seen, shares: ops.softmax(add(scores, mask)) };
  };
  const bandOf = (
    segments: readonly Segment[],
    { window, heads, keyValueHeads }: AttentionOptions,
    type: number,
  ): Band => {
    const groups = heads / keyValueHeads;
    const blocks = segments.flatMap((segment) => blocksOf(segment, window));
    const before = Math.max(...blocks.map((block) => block.before));
    const rows = Math.max(...blocks.map((block) => block.rows));
    const [mask] = context.keep(`mask ${type}`, [before, rows, groups, window], () => [
      cast(ops.floats(hidden(before, rows, groups, window), [1, rows * groups, before + rows]), type),
    ]);
    return { mask: mask!, before };
  };
  /** What all blocks of a segment read. */
  const segmentOf = (inputs: Inputs, band: Band, segment: Segment, options: AttentionOptions): SegmentInputs => {
    const { queryStart, keyStart, keyLength } = segment;
    const { keyValueHeads, headSize } = options;
    const [keys, values] = [inputs.keys, inputs.values].map((x) =>
      split(x, keyStart, keyLength, keyValueHeads, headSize),
    ) as [TfTensor, TfTensor];
    return { inputs, band, options, queryStart, keys, values };
  };

  /** Two ranges of keys as one: each is given zeros where only the other has keys. */
  const merged = (one: BlockGradients, other: BlockGradients): BlockGradients => {
    const key = Math.min(one.key, other.key);
    const keys = Math.max(one.key + one.keys, other.key + other.keys) - key;
    const sum = (of: 'dKeys' | 'dValues'): TfTensor => {
      const [left, right] = [one, other].map((part) =>
        part.keys === keys ? part[of] : ops.pad(part[of], 2, part.key - key, key + keys - part.key - part.keys),
      ) as [TfTensor, TfTensor];
      return add(left, right);
    };
    return { key, keys, dKeys: sum('dKeys'), dValues: sum('dValues'), dQueries: [...one.dQueries, ...other.dQueries] };
  };
  /** By halves, so that few sums are alive at a time. */
  const gradientsOf = (blocks: readonly Block[], each: (block: Block) => BlockGradients): BlockGradients => {
    let result: BlockGradients | undefined;
    ops.arena(() => {
      const half = Math.ceil(blocks.length / 2);
      result =
        blocks.length === 1
          ? each(blocks[0]!)
          : merged(gradientsOf(blocks.slice(0, half), each), gradientsOf(blocks.slice(half), each));
      return [result.dKeys, result.dValues, ...result.dQueries];
    });
    return result!;
  };

  return {
    forward({ q, k, v }, options, keep) {
      const { segments, type, heads, headSize, window } = options;
      return scope(() => {
        const rows = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
        const output = context.make(name, [rows, heads * headSize], type, () => {
          const inputs = inputsOf(q, k, v, options.scale, float32);
          const band = bandOf(segments, options, float32);
          const outputs = segments.map((segment) =>
            ops.arena(() => {
              const whole = segmentOf(inputs, band, segment, options);
              const mixed = blocksOf(segment, window).map((block) =>
                ops.arena(() => matmul(sharesOf(whole, block).shares, rowsOf(whole.values, block.key, block.keys))),
              );
              return join(concatenate(mixed, 1), segment.queryLength);
            }),
          );
          return cast(concatenate(outputs, 0), tfTypeOf(type));
        });
        return { output, saved: keep ? { q, k, v, output } : {} };
      });
    },

    backward({ q, k, v, output }, gradient, options) {
      const { segments, scale, heads, headSize, keyValueHeads, window } = options;
      const shapes = [q!, k!, v!].map(({ shape }) => ({ shape, dtype: 'float32' as const }));
      const gradients = makeMany(name, shapes, () => {
        const type = tfTypeOf(q!.dtype);
        const inputs = inputsOf(q!, k!, v!, scale, type);
        const band = bandOf(segments, options, type);
        const dOut = cast(of(gradient), type);
        // Softmax takes from each gradient of a share the mean over all keys, which is the product of the output and its
        // gradient. As further columns beside ones it is taken within the product that gives the gradients.
        const byHeads = (x: TfTensor): TfTensor => reshape(x, [gradient.shape[0]!, heads, headSize]);
        const mean = ops.sum(mul(byHeads(cast(dOut, float32)), byHeads(wide(output!))), 2);
        const columns = type === float32 ? [mean] : bfloat16Parts(ops, mean, 3);
        const wideSize = headSize + columns.length;
        const less = columns.map((column) => ops.run('Neg', [column]));
        const dLess = reshape(ops.concatenate([byHeads(dOut), ...less], 2), [gradient.shape[0]!, heads * wideSize]);

        const parts = segments.map((segment) =>
          ops.arena(() => {
            const { queryStart, queryLength, keyLength } = segment;
            const whole = segmentOf(inputs, band, segment, options);
            const ones = ops.run('Fill', [
              ops.list([keyValueHeads, keyLength, columns.length]),
              cast(ops.scalar(1), type),
            ]);
            const valuesAndOnes = ops.concatenate([whole.values, ones], 2);
            const { dKeys, dValues, dQueries } = gradientsOf(blocksOf(segment, window), (block) => {
              const { row, rows, key, keys } = block;
              const part = sharesOf(whole, block);
              const dMixed = split(dOut, queryStart + row, rows, keyValueHeads, headSize);
              const dMixedLess = split(dLess, queryStart + row, rows, keyValueHeads, wideSize);
              const dShares = matmul(dMixedLess, rowsOf(valuesAndOnes, key, keys), false, true);
              const dScores = mul(dShares, part.shares);
              return {
                key,
                keys,
                // Transposed: the larger operand is then read as it lies.
                dKeys: cast(matmul(part.queries, dScores, true, false), float32),
                dValues: cast(matmul(dMixed, part.shares, true, false), float32),
                dQueries: [matmul(dScores, part.keys)],
              };
            });
            // Keys before the first that a window lets in have none.
            const overAll = (x: TfTensor): TfTensor => {
              const missing = keyLength - x.shape[2]!;
              const all = transpose(missing === 0 ? x : ops.pad(x, 2, missing, 0), [2, 0, 1]);
              return reshape(all, [keyLength, keyValueHeads * headSize]);
            };
            return [
              cast(join(concatenate(dQueries, 1), queryLength), float32),
              mul(overAll(dKeys), ops.scalar(scale)),
              overAll(dValues),
            ];
          }),
        );
        return [0, 1, 2].map((i) => {
          const starts = segments.map(({ queryStart, keyStart }) => (i === 0 ? queryStart : keyStart));
          return assemble(
            ops,
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
