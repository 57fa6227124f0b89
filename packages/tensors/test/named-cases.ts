import type {
  AttentionOptions,
  Engine,
  Fused,
  LinearForm,
  NamedOperation,
  RandomKey,
  Segment,
  Tensor,
} from '../src/index.js';
import { knownWeight, valuesOf, type GradientCase, type GradientInput, type KnownWeight } from './gradient-case.js';
import * as naive from './naive.js';

const key: RandomKey = [3, 1, 4, 15];
const types = ['float32', 'bfloat16'] as const;
const angles = [0.3, -1.2, 2.5, 0.7, 5.1, -0.4];

const rmsNorm = types.map((type): GradientCase => {
  const epsilon = 0.1;
  return {
    name: `${type}, with an epsilon that counts`,
    inputs: { x: { shape: [3, 4], dtype: type }, weight: { shape: [4] } },
    run: (ops, { x, weight }) => ops.rmsNorm(x!, weight!, { epsilon, type }),
    naive: ({ x, weight }) => naive.rmsNorm(x!, weight!, epsilon),
  };
});

const rope = [4, 7].flatMap((headSize) =>
  types.map((type): GradientCase => {
    const [tokens, heads, pairs] = [3, 2, 2];
    return {
      name: `${type}, two heads, 4 of ${headSize} elements turned`,
      inputs: { x: { shape: [tokens, heads * headSize], dtype: type } },
      run: (ops, { x }) => {
        const [cos, sin] = [Math.cos, Math.sin].map((of) =>
          ops.engine.upload(Float32Array.from(angles, of), [tokens, pairs]),
        );
        return ops.rope(x!, { cos: cos!, sin: sin!, headSize, type });
      },
      naive: ({ x }) => naive.rope(x!, angles, headSize, heads, pairs),
    };
  }),
);

const segment = (queryStart: number, queryLength: number, keyStart: number, keyLength: number): Segment => ({
  queryStart,
  queryLength,
  keyStart,
  keyLength,
});

interface AttentionSizes extends Partial<Pick<AttentionOptions, 'heads' | 'keyValueHeads' | 'window'>> {
  readonly type?: 'float32' | 'bfloat16';
  readonly softCap?: number;
  readonly segments: readonly Segment[];
  /** Rows of k and v. */
  readonly keys: number;
}

function attentionCase(name: string, sizes: AttentionSizes): GradientCase {
  const { heads = 1, keyValueHeads = 1, window = 0, type = 'float32', softCap, segments, keys } = sizes;
  const headSize = 2;
  const options = { heads, keyValueHeads, headSize, window, scale: 0.8, softCap, segments, type };
  const queries = segments.reduce((sum, { queryLength }) => sum + queryLength, 0);
  const input = (rows: number, width: number): GradientInput => ({
    shape: [rows, width * headSize],
    from: -2,
    to: 2,
    dtype: type,
  });
  return {
    name,
    inputs: { q: input(queries, heads), k: input(keys, keyValueHeads), v: input(keys, keyValueHeads) },
    run: (ops, { q, k, v }) => ops.attention(q!, k!, v!, options),
    naive: ({ q, k, v }) => naive.attention(q!, k!, v!, options),
  };
}

const attention = [
  attentionCase('one causal segment', { segments: [segment(0, 4, 0, 4)], keys: 4 }),
  attentionCase('grouped heads', { heads: 4, keyValueHeads: 2, segments: [segment(0, 3, 0, 3)], keys: 3 }),
  attentionCase('a window', { window: 2, segments: [segment(0, 5, 0, 5)], keys: 5 }),
  attentionCase('packed sequences', {
    segments: [segment(0, 2, 0, 2), segment(2, 1, 2, 1), segment(3, 3, 3, 3)],
    keys: 6,
  }),
  attentionCase('a cache, with rows that nobody sees before, between and after', {
    heads: 2,
    segments: [segment(0, 1, 1, 3), segment(1, 2, 5, 4)],
    keys: 11,
  }),
  attentionCase('a cache that two segments share, a window and grouped heads', {
    ...{ heads: 4, keyValueHeads: 2, window: 3 },
    segments: [segment(0, 2, 0, 5), segment(2, 1, 0, 4)],
    keys: 5,
  }),
  attentionCase('capped, a window and grouped heads', {
    ...{ heads: 4, keyValueHeads: 2, window: 3, softCap: 0.7 },
    segments: [segment(0, 2, 0, 5), segment(2, 1, 0, 4)],
    keys: 5,
  }),
  attentionCase('bfloat16', { heads: 2, type: 'bfloat16', segments: [segment(0, 4, 0, 4)], keys: 4 }),
];

const swiglu = types.map((type): GradientCase => ({
  name: type,
  inputs: { gate: { shape: [3, 4], from: -4, to: 4, dtype: type }, up: { shape: [3, 4], dtype: type } },
  run: (ops, { gate, up }) => ops.swiglu(gate!, up!, { type }),
  naive: ({ gate, up }) => gate!.map((value, i) => value * naive.sigmoid(value) * up![i]!),
}));

const gegluTanh = types.map((type): GradientCase => ({
  name: type,
  inputs: { gate: { shape: [3, 4], from: -4, to: 4, dtype: type }, up: { shape: [3, 4], dtype: type } },
  run: (ops, { gate, up }) => ops.gegluTanh(gate!, up!, { type }),
  naive: ({ gate, up }) => gate!.map((value, i) => naive.geluTanh(value) * up![i]!),
}));

const capped: GradientCase[] = [
  {
    name: 'elements far beyond the cap too',
    inputs: { x: { shape: [3, 4], from: -9, to: 9 } },
    run: (ops, { x }) => ops.capped(x!, 2.5),
    naive: ({ x }) => x!.map((value) => naive.capped(value, 2.5)),
  },
];

const [tokens, inFeatures, outFeatures, rank] = [3, 5, 4, 2];
const members = ['inScale', 'outScale', 'low rank', 'bias'] as const;
type Member = (typeof members)[number] | 'biasScale';

interface LinearCase {
  readonly has: readonly Member[];
  readonly rate?: number;
  readonly type?: 'float32' | 'bfloat16';
  readonly weight?: KnownWeight;
  readonly precision?: 'bfloat16';
}

const frozen = knownWeight([outFeatures, inFeatures], 'float32');
/** The checkpoint's own bias, which an adapter's `biasScale` multiplies before its bias is added. */
const baseBias = [0.5, -1, 0.25, 2];

/** outScale * (W (inScale * x) + scale * B A dropout(x)) + biasScale * b + bias, as the decoder asks for it. */
function linearCase(
  name: string,
  { has, rate, type = 'float32', weight = frozen, precision }: LinearCase,
): GradientCase {
  const scale = 0.75;
  const dropout = rate === undefined ? undefined : { rate, key };
  const inputs: Record<string, GradientInput> = {
    x: { shape: [tokens, inFeatures], dtype: type },
    ...(has.includes('inScale') && { inScale: { shape: [inFeatures] } }),
    ...(has.includes('outScale') && { outScale: { shape: [outFeatures] } }),
    ...(has.includes('low rank') && { A: { shape: [rank, inFeatures] }, B: { shape: [outFeatures, rank] } }),
    ...(has.includes('biasScale') && { biasScale: { shape: [outFeatures] } }),
    ...(has.includes('bias') && { bias: { shape: [outFeatures] } }),
  };
  return {
    name,
    inputs,
    ...(precision && { precision }),
    weights: [weight],
    run: (ops, { x, inScale, outScale, A, B, biasScale, bias }) => {
      const lowRank: LinearForm['lowRank'] = A && B && { A, B, scale, dropout };
      const scaled = biasScale && ops.mul(ops.engine.upload(Float32Array.from(baseBias), [outFeatures]), biasScale);
      const whole = scaled && bias ? ops.add(scaled, bias) : (scaled ?? bias);
      return ops.frozenLinear(x!, weight.on(ops.engine), { inScale, outScale, lowRank, bias: whole }, type);
    },
    naive: ({ x, inScale, outScale, A, B, biasScale, bias }) => {
      const read = x!.map((value, i) => value * (inScale?.[i % inFeatures] ?? 1));
      const product = naive.timesTransposed(read, weight.values, inFeatures);
      const kept = naive.keepFactors(x!.length, rate ?? 0, key);
      const dropped = x!.map((value, i) => value * kept[i]!);
      const low = A && B && naive.timesTransposed(naive.timesTransposed(dropped, A, inFeatures), B, rank);
      return product.map((value, i) => {
        const column = i % outFeatures;
        const sum = value + scale * (low?.[i] ?? 0);
        const own = biasScale === undefined ? 0 : baseBias[column]! * biasScale[column]!;
        return sum * (outScale?.[column] ?? 1) + own + (bias?.[column] ?? 0);
      });
    },
  };
}

/** Every subset of a form's members, then what each may have besides. */
const frozenLinear = [
  ...Array.from({ length: 2 ** members.length }, (_, bits) => {
    const has = members.filter((_, i) => (bits & (1 << i)) !== 0);
    return linearCase(has.join(', ') || 'nothing around it', { has });
  }),
  linearCase('biasScale', { has: ['biasScale'] }),
  linearCase('all, with biasScale and dropout', { has: [...members, 'biasScale'], rate: 0.4 }),
  linearCase('low rank with dropout', { has: ['low rank'], rate: 0.4 }),
  linearCase('low rank with a dropout of nothing', { has: ['low rank'], rate: 0 }),
  linearCase('all, bfloat16 activations', { has: members, type: 'bfloat16' }),
  linearCase('a float16 weight', {
    has: ['low rank'],
    weight: knownWeight([outFeatures, inFeatures], 'float16'),
  }),
  // x and W are numbers that bfloat16 holds, so products in that precision are those of float32.
  linearCase('bfloat16 products', {
    has: ['low rank', 'outScale', 'bias'],
    type: 'bfloat16',
    precision: 'bfloat16',
    weight: knownWeight([outFeatures, inFeatures], 'bfloat16'),
  }),
];

/** Rows of three adapters in one product: LoRA, none, and one like DoRA's. */
const segmentCount = 3;
const segmentedLinear = types.map((type): GradientCase => {
  const shape = [tokens * segmentCount, inFeatures];
  const first = linearCase('', { has: ['low rank'], type });
  const last = linearCase('', { has: members, type });
  const prefixed = (example: GradientCase, prefix: string): Record<string, GradientInput> =>
    Object.fromEntries(
      Object.entries(example.inputs)
        .filter(([name]) => name !== 'x')
        .map(([name, input]) => [`${prefix}.${name}`, input]),
    );
  const part = (x: readonly number[], i: number): readonly number[] =>
    x.slice(i * tokens * inFeatures, (i + 1) * tokens * inFeatures);
  return {
    name: `three segments, ${type}`,
    inputs: { x: { shape, dtype: type }, ...prefixed(first, 'first'), ...prefixed(last, 'last') },
    weights: [frozen],
    run: (ops, inputs) => {
      const lowRank = (prefix: string): LinearForm['lowRank'] => ({
        ...{ A: inputs[`${prefix}.A`]!, B: inputs[`${prefix}.B`]!, scale: 0.75 },
      });
      const all = {
        ...{ inScale: inputs['last.inScale'], outScale: inputs['last.outScale'], bias: inputs['last.bias'] },
        lowRank: lowRank('last'),
      };
      const forms = [{ lowRank: lowRank('first') }, {}, all];
      const segments = forms.map((form) => ({ rows: tokens, form }));
      return ops.frozenLinear(inputs['x']!, frozen.on(ops.engine), segments, type);
    },
    naive: (values) => {
      const own = (prefix: string, i: number): Record<string, readonly number[]> => ({
        x: part(values['x']!, i),
        ...Object.fromEntries(
          Object.entries(values)
            .filter(([name]) => name.startsWith(`${prefix}.`))
            .map(([name, given]) => [name.slice(prefix.length + 1), given]),
        ),
      });
      return [
        ...first.naive(own('first', 0)),
        ...naive.timesTransposed(part(values['x']!, 1), frozen.values, inFeatures),
        ...last.naive(own('last', 2)),
      ];
    },
  };
});

const scaleRows = types.map((dtype): GradientCase => ({
  name: `factors and a gate, ${dtype}`,
  inputs: { x: { shape: [5, 3], dtype }, gate: { shape: [1] } },
  run: (ops, { x, gate }) =>
    ops.scaleRows(x!, [
      { rows: 2, factor: -0.5 },
      { rows: 1, factor: 1 },
      { rows: 2, factor: 0.25, gate },
    ]),
  naive: ({ x, gate }) => x!.map((value, i) => value * (i < 6 ? -0.5 : i < 9 ? 1 : 0.25 * gate![0]!)),
}));

/** x^3, whose pair keeps x. */
const cubed: NamedOperation<{ x: Tensor }> = {
  name: 'test.cubed',
  compose: (ops, { x }) => ops.node(cubePair(ops.engine), { x }, undefined),
};
const cubePair = (engine: Engine): Fused<{ x: Tensor }, undefined> => {
  const mul = (a: Tensor, b: Tensor): Tensor => engine.binary('mul', a, b);
  return {
    forward: ({ x }, _, keep) => ({ output: mul(x, mul(x, x)), saved: keep ? { x } : {} }),
    backward: ({ x }, dy) => ({ x: mul(dy, engine.affine(mul(x!, x!), 3, 0)) }),
  };
};
const cube: GradientCase = {
  name: 'a pair of its own',
  inputs: { x: { shape: [2, 3] } },
  run: (ops, { x }) => ops.node(cubePair(ops.engine), { x: x! }, undefined),
  naive: ({ x }) => x!.map((value) => value ** 3),
};
const run: GradientCase = {
  ...cube,
  name: 'as a named operation',
  run: (ops, { x }) => ops.run(cubed, { x: x! }, undefined),
};

const linear = [true, false].flatMap((hasBias) =>
  types.map((type): GradientCase => ({
    name: `${type}, ${hasBias ? 'with' : 'without'} a bias`,
    inputs: {
      x: { shape: [tokens, inFeatures], dtype: type },
      weight: { shape: [outFeatures, inFeatures] },
      ...(hasBias && { bias: { shape: [outFeatures] } }),
    },
    run: (ops, { x, weight, bias }) => ops.linear(x!, weight!, bias, type),
    naive: ({ x, weight, bias }) =>
      naive.timesTransposed(x!, weight!, inFeatures).map((value, i) => value + (bias?.[i % outFeatures] ?? 0)),
  })),
);

const dropout = types.map((dtype): GradientCase => ({
  name: `of ${dtype}`,
  inputs: { x: { shape: [5, 7], dtype } },
  run: (ops, { x }) => ops.dropout(x!, { rate: 0.3, key }),
  naive: ({ x }) => {
    const kept = naive.keepFactors(x!.length, 0.3, key);
    return x!.map((value, i) => value * kept[i]!);
  },
}));

const [rows, hidden, vocabulary] = [5, 3, 6];
const labels = Int32Array.of(5, -1, 0, 3, -100);
const head = knownWeight([vocabulary, hidden], 'bfloat16');
const tokenLosses: GradientCase[] = [undefined, 1.5].flatMap((softCap) => [
  ...types.map((dtype): GradientCase => ({
    name: `a frozen head, ${dtype}, cap ${softCap}`,
    inputs: { x: { shape: [rows, hidden], from: -3, to: 3, dtype } },
    weights: [head],
    run: (ops, { x }) => ops.tokenLosses(x!, { weight: head.on(ops.engine), labels, softCap }),
    naive: ({ x }) => naive.tokenLosses(x!, head.values, hidden, labels, softCap),
  })),
  ...types.map((dtype): GradientCase => ({
    name: `a trained head, ${dtype}, cap ${softCap}`,
    inputs: { x: { shape: [rows, hidden], from: -3, to: 3, dtype }, weight: { shape: [vocabulary, hidden] } },
    run: (ops, { x, weight }) => ops.tokenLosses(x!, { weight: weight!, labels, softCap }),
    naive: ({ x, weight }) => naive.tokenLosses(x!, weight!, hidden, labels, softCap),
  })),
]);

const ids = Int32Array.of(2, 0, 2, 4, 1, 0);
const embedding = [undefined, 2, 3].map((padding): GradientCase => {
  const example: GradientCase = {
    name: padding === undefined ? 'a trained table' : `row ${padding} gets no gradient`,
    inputs: { table: { shape: [vocabulary, hidden] } },
    run: (ops, { table }) => ops.embedding(table!, ids, padding),
    naive({ table }) {
      // A row that is to get no gradient stays where it is, so its differences are 0.
      const still = valuesOf(example)['table']!;
      return [...ids].flatMap((id) => (id === padding ? still : table!).slice(hidden * id, hidden * (id + 1)));
    },
  };
  return example;
});

/** Cases of the operations that an engine may fuse or that are made of others, by the method of `Operations`. */
export const namedCases: Readonly<Record<string, readonly GradientCase[]>> = {
  rmsNorm,
  rope,
  attention,
  swiglu,
  gegluTanh,
  capped,
  frozenLinear: [...frozenLinear, ...segmentedLinear],
  scaleRows,
  node: [cube],
  run: [run],
  linear,
  dropout,
  tokenLosses,
  embedding,
};
