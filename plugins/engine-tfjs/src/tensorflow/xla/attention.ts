import type { FusedOperations, Segment } from '@glulam/tensors';
import { assemble, blocksOf, type Block } from '../attention-blocks.js';
import { tfTypeOf, type TfTensor } from '../binding.js';
import type { FusedContext } from '../fused-context.js';
import { elementOf, type ProgramBuilder, type Value } from './stablehlo.js';
import { paddedRows, perRow, type Xla } from './xla.js';

/** A program has every block of queries written out: beyond this, compiling it takes seconds. */
const mostRows = 2048;

interface Heads {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly window: number;
  readonly scale: number;
}

/** Whether programs serve: sequences that see nothing but themselves, not too short and not too long. */
export function attentionTakes(xla: Xla, segments: readonly Segment[]): boolean {
  const rows = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
  return (
    xla.takes(rows / segments.length) &&
    segments.every(({ queryLength, keyLength }) => queryLength === keyLength && queryLength <= mostRows)
  );
}

/**
 * Attention of each sequence to itself, in blocks of queries, heads that share keys as one matrix. Products are of what q, k
 * and v are kept in, with float32 results, and backward shares and the gradients of scores are rounded to it; but forward
 * shares are multiplied with values in float32.
 */
export function attentionProgram(context: FusedContext, xla: Xla): FusedOperations['attention'] {
  const { ops, of, makeMany } = context;
  const name = 'attention';

  /** [rows, heads * size] as [keyValueHeads, rows * groups, size]. */
  const split = (p: ProgramBuilder, x: Value, { keyValueHeads, headSize }: Heads): Value => {
    const [rows, width] = x.shape as [number, number];
    const byHeads = p.transpose(p.reshape(x, [rows, keyValueHeads, width / keyValueHeads]), [1, 0, 2]);
    return p.asWritten(p.reshape(byHeads, [keyValueHeads, (rows * width) / keyValueHeads / headSize, headSize]));
  };
  /** The way back. */
  const join = (p: ProgramBuilder, x: Value, rows: number): Value => {
    const [keyValueHeads, length, size] = x.shape as [number, number, number];
    const width = (length / rows) * size;
    return p.reshape(p.transpose(p.reshape(x, [keyValueHeads, rows, width]), [1, 0, 2]), [rows, keyValueHeads * width]);
  };
  const keysOf = (p: ProgramBuilder, x: Value, { key, keys }: Block): Value => p.slice(x, 1, key, key + keys);
  /** A block's queries, or what there is of each. */
  const queriesOf = (
    p: ProgramBuilder,
    x: Value,
    { row, rows }: Block,
    { heads, keyValueHeads }: Heads,
    axis = 1,
  ): Value => {
    const groups = heads / keyValueHeads;
    return p.slice(x, axis, row * groups, (row + rows) * groups);
  };

  /** A block's scores; a large negative number where a query does not see a key. */
  const scoresOf = (p: ProgramBuilder, queries: Value, keys: Value, block: Block, { scale, window }: Heads): Value => {
    const scores = p.mul(p.product(queries, keys, 'columns', 'columns'), scale);
    const { shape } = scores;
    const [rows, covered] = [block.rows, block.keys];
    const groups = shape[1]! / rows;
    // [rows, groups, keys] as [rows * groups, keys]
    const places = (axis: number): Value =>
      p.reshape(p.places([rows, groups, covered], axis), [rows * groups, covered]);
    const distance = p.binary('subtract', p.add(places(0), block.before), places(2));
    let seen = p.compare('LE', 0, distance);
    if (window > 0) seen = p.binary('and', seen, p.compare('LT', distance, window));
    return p.select(p.spread(seen, [1, 2], shape), scores, -1e30);
  };
  const minus = (p: ProgramBuilder, x: Value, ofRows: Value): Value =>
    p.binary('subtract', x, p.spread(ofRows, [0, 1], x.shape));

  const blocks = (rows: number, window: number): readonly Block[] =>
    blocksOf({ queryStart: 0, queryLength: rows, keyStart: 0, keyLength: rows }, window);
  /** A window that hides nothing is none. */
  const optionsOf = ({ heads, keyValueHeads, headSize, window, scale }: Heads, rows: number): Heads => ({
    ...{ heads, keyValueHeads, headSize, scale },
    window: window >= paddedRows(rows) ? 0 : window,
  });

  const keyOf = ({ heads, keyValueHeads, headSize, window, scale }: Heads): readonly number[] => [
    ...[heads, keyValueHeads, headSize, window, scale],
  ];

  /** Products are of bfloat16 where all of it is kept so. */
  const asOne = (p: ProgramBuilder, values: readonly Value[]): Value[] => {
    const element = values.every((value) => value.element === 'bf16') ? 'bf16' : 'f32';
    return values.map((value) => p.convert(value, element));
  };

  /** The output, and the logarithm of each row's sum of powers: [rows, heads]. */
  const forward = (sequence: readonly TfTensor[], options: Heads, type: number): [TfTensor, TfTensor] => {
    const rows = sequence[0]!.shape[0]!;
    const heads = optionsOf(options, rows);
    return xla.run(`${name}_forward`, [...keyOf(heads), type], rows, sequence.map(perRow), (p, values) => {
      const [q, k, v] = asOne(p, values) as [Value, Value, Value];
      const length = q.shape[0]!;
      const [queries, keys, wideValues] = [q, k, p.convert(v, 'f32')].map((x) => split(p, x, heads)) as [
        Value,
        Value,
        Value,
      ];
      const mixed = blocks(length, heads.window).map((block) => {
        const scores = scoresOf(p, queriesOf(p, queries, block, heads), keysOf(p, keys, block), block, heads);
        const largest = p.reduce('maximum', scores, 2);
        const powers = p.unary('exponential', minus(p, scores, largest));
        const sums = p.reduce('add', powers, 2);
        const product = p.product(powers, keysOf(p, wideValues, block), 'columns', 'rows');
        const mean = p.mul(product, p.spread(p.binary('divide', 1, sums), [0, 1], product.shape));
        const logSum = p.reshape(p.add(largest, p.unary('log', sums)), [...sums.shape, 1]);
        return [join(p, p.asWritten(mean), block.rows), join(p, logSum, block.rows)];
      });
      const [means, logSums] = [0, 1].map((i) =>
        p.concatenate(
          mixed.map((part) => part[i]!),
          0,
        ),
      ) as [Value, Value];
      return [perRow(p.convert(means, elementOf(type))), perRow(logSums)];
    }) as [TfTensor, TfTensor];
  };

  /** Of q, k, v, the output, the logarithms of sums and the output's gradient. */
  const backward = (sequence: readonly TfTensor[], options: Heads): TfTensor[] => {
    const rows = sequence[0]!.shape[0]!;
    const heads = optionsOf(options, rows);
    return xla.run(`${name}_backward`, keyOf(heads), rows, sequence.map(perRow), (p, values) => {
      const [q, k, v] = asOne(p, values.slice(0, 3)) as [Value, Value, Value];
      const [output, logSums, gradient] = values.slice(3) as [Value, Value, Value];
      const length = q.shape[0]!;
      const rounded = p.convert(gradient, q.element);
      const [queries, keys, ownValues, dOut] = [q, k, v, rounded].map((x) => split(p, x, heads)) as [
        Value,
        Value,
        Value,
        Value,
      ];
      const out = split(p, p.convert(output, 'f32'), heads);
      const logSum = split(p, logSums, { ...heads, headSize: 1 });
      const ofRows = logSum.shape.slice(0, 2);
      // Softmax takes from each gradient of a share the mean over all keys: the product of the output and its gradient,
      // which is rounded as it is for what the mean is taken from.
      const means = p.reduce('add', p.mul(p.convert(dOut, 'f32'), out), 2);
      // [keyValueHeads, size, rows]: XLA is ten times as fast as with both operands' rows summed over.
      const turned = (x: Value): Value => p.asWritten(p.transpose(x, [0, 2, 1]));
      const [queryColumns, dOutColumns] = [turned(queries), turned(dOut)];
      let dKeys: Value | undefined;
      let dValues: Value | undefined;
      const dQueries = blocks(length, heads.window).map((block) => {
        const ofBlock = (x: Value, axis = 1): Value => queriesOf(p, x, block, heads, axis);
        const scores = scoresOf(p, ofBlock(queries), keysOf(p, keys, block), block, heads);
        const shares = p.unary('exponential', minus(p, scores, ofBlock(p.reshape(logSum, ofRows))));
        const dShares = p.product(ofBlock(dOut), keysOf(p, ownValues, block), 'columns', 'columns');
        const dScores = p.convert(p.mul(p.mul(shares, minus(p, dShares, ofBlock(means))), heads.scale), q.element);
        const grown = (sum: Value | undefined, part: Value): Value => {
          const all = p.pad(part, 2, block.key, length - block.key - block.keys);
          return sum === undefined ? all : p.add(sum, all);
        };
        dKeys = grown(dKeys, p.product(ofBlock(queryColumns, 2), dScores, 'columns', 'rows'));
        dValues = grown(dValues, p.product(ofBlock(dOutColumns, 2), p.convert(shares, q.element), 'columns', 'rows'));
        return p.product(dScores, keysOf(p, keys, block), 'columns', 'rows');
      });
      const back = (x: Value): Value =>
        p.reshape(p.transpose(x, [2, 0, 1]), [length, heads.keyValueHeads * heads.headSize]);
      return [join(p, p.concatenate(dQueries, 1), length), back(dKeys!), back(dValues!)].map(perRow);
    });
  };

  /** A segment's rows. */
  const rowsOf = (x: TfTensor, start: number, length: number): TfTensor =>
    length === x.shape[0] ? x : ops.slice(x, [start, 0], [length, x.shape[1]!]);

  return {
    forward({ q, k, v }, options, keep) {
      const { segments, type, heads, headSize } = options;
      const rows = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
      const results = [
        { shape: [rows, heads * headSize], dtype: type },
        { shape: [rows, heads], dtype: 'float32' as const },
      ];
      const [output, logSums] = makeMany(name, results, () => {
        const parts = segments.map(({ queryStart, keyStart, queryLength }) => {
          const sequence = [
            rowsOf(of(q), queryStart, queryLength),
            rowsOf(of(k), keyStart, queryLength),
            rowsOf(of(v), keyStart, queryLength),
          ];
          return forward(sequence, options, tfTypeOf(type));
        });
        if (parts.length === 1) return parts[0]!;
        return [0, 1].map((i) =>
          ops.concatenate(
            parts.map((part) => part[i]!),
            0,
          ),
        );
      });
      return { output: output!, saved: keep ? { q, k, v, output, logSums } : {} };
    },

    backward({ q, k, v, output, logSums }, gradient, options) {
      const results = [q!, k!, v!].map(({ shape }) => ({ shape, dtype: 'float32' as const }));
      const gradients = makeMany(name, results, () => {
        const { segments } = options;
        const parts = segments.map(({ queryStart, keyStart, queryLength }) => {
          // k and v are the second and the third.
          const sequence = [q!, k!, v!, output!, logSums!, gradient].map((x, i) =>
            rowsOf(of(x), i === 1 || i === 2 ? keyStart : queryStart, queryLength),
          );
          return backward(sequence, options);
        });
        return results.map(({ shape }, i) => {
          const starts = segments.map(({ queryStart, keyStart }) => (i === 0 ? queryStart : keyStart));
          return assemble(
            ops,
            parts.map((part) => part[i]!),
            starts,
            shape[0]!,
          );
        });
      });
      return { q: gradients[0], k: gradients[1], v: gradients[2] };
    },
  };
}
