import assert from 'node:assert/strict';
import type { DType } from '@glulam/files';
import {
  createOperations,
  scope,
  uniforms,
  type Engine,
  type FrozenWeight,
  type LinearForm,
  type Operations,
  type Tensor,
} from '@glulam/tensors';
import { assertClose, compute, randomTensor, randomValues, withWeights, type EngineCheck } from './engine-check.js';
import { attentionChecks } from './engine-checks-attention.js';
import { activations, bfloat16, float32, fusedCheck, wideOutput } from './fused-check.js';
import { assertFusedMatches, type FusedCase, type FusedTolerance } from './fused-pass.js';

const rmsNorm = fusedCheck('rmsNorm', '', (type) =>
  [
    [1, 1, 1],
    [1, 1, 1e-3],
    [7, 19, 1],
    [3, 257, 1],
    [33, 64, 1],
    [5, 67, 1e-3],
  ].map(([tokens, hidden, size]) => ({
    // At 1e-3 the mean square is about epsilon.
    name: `rmsNorm ${tokens} x ${hidden}, values about ${size}`,
    inputs: {
      x: { shape: [tokens!, hidden!], dtype: type, values: randomValues([tokens!, hidden!], 1, size) },
      weight: { shape: [hidden!] },
    },
    run: (ops, { x, weight }) => ops.rmsNorm(x!, weight!, { epsilon: 1e-6, type }),
  })),
);

const rope = fusedCheck('rope', '', (type) =>
  [
    [1, 1, 2],
    [7, 3, 6],
    [5, 4, 64],
    [33, 2, 38],
  ].map(([tokens, heads, headSize]) => {
    const shape = [tokens!, headSize! / 2];
    const angles = randomValues(shape, 5, 3);
    return {
      name: `rope ${tokens} x ${heads} x ${headSize}`,
      inputs: { x: { shape: [tokens!, heads! * headSize!], dtype: type } },
      constants: { cos: { shape, values: angles.map(Math.cos) }, sin: { shape, values: angles.map(Math.sin) } },
      run: (ops, { x, cos, sin }) => ops.rope(x!, { cos: cos!, sin: sin!, headSize: headSize!, type }),
    };
  }),
);

const partialRope = fusedCheck('partialRope', '', (type) =>
  [
    [1, 1, 4, 1],
    [5, 4, 64, 24],
    [33, 2, 38, 5],
  ].map(([tokens, heads, headSize, pairs]) => {
    const shape = [tokens!, pairs!];
    const angles = randomValues(shape, 5, 3);
    return {
      name: `rope ${tokens} x ${heads} x ${headSize}, ${2 * pairs!} of them turned`,
      inputs: { x: { shape: [tokens!, heads! * headSize!], dtype: type } },
      constants: { cos: { shape, values: angles.map(Math.cos) }, sin: { shape, values: angles.map(Math.sin) } },
      run: (ops, { x, cos, sin }) => ops.rope(x!, { cos: cos!, sin: sin!, headSize: headSize!, type }),
    };
  }),
);

const gated = (['swiglu', 'gegluTanh'] as const).map((operation) =>
  fusedCheck(operation, '', (type) =>
    [
      [1, 1, 1],
      [5, 23, 1],
      [3, 1025, 1],
      [7, 64, 40],
    ].map(([tokens, width, size]) => ({
      // Gates about 40 are saturated both ways.
      name: `${operation} ${tokens} x ${width}, gates about ${size}`,
      inputs: {
        gate: { shape: [tokens!, width!], dtype: type, values: randomValues([tokens!, width!], 1, size) },
        up: { shape: [tokens!, width!], dtype: type },
      },
      run: (ops, { gate, up }) => ops[operation](gate!, up!, { type }),
    })),
  ),
);

/** Every subset of the form's members: bit 0 inScale, 1 outScale, 2 low rank, 3 bias. */
export function linearCase(
  about: string,
  type: DType,
  weight: FrozenWeight,
  { tokens, rank, members, rate }: { tokens: number; rank: number; members: number; rate?: number | undefined },
): FusedCase {
  const [rows, columns] = weight.shape as [number, number];
  const has = (bit: number): boolean => (members & (1 << bit)) !== 0;
  const dropout = rate === undefined ? undefined : { rate, key: [7, 11, 13, 17] as const };
  return {
    name: `frozenLinear, ${about}`,
    inputs: {
      x: { shape: [tokens, columns], dtype: type },
      ...(has(0) && { inScale: { shape: [columns] } }),
      ...(has(1) && { outScale: { shape: [rows] } }),
      ...(has(2) && { A: { shape: [rank, columns] }, B: { shape: [rows, rank] } }),
      ...(has(3) && { bias: { shape: [rows] } }),
    },
    run: (ops, { x, inScale, outScale, A, B, bias }) => {
      const lowRank: LinearForm['lowRank'] = A && B && { A, B, scale: 0.75, dropout };
      return ops.frozenLinear(x!, weight, { inScale, outScale, lowRank, bias }, type);
    },
  };
}

/** Products with frozen weights read bfloat16 operands at that precision, backward too, whatever the output's type. */
export const productTolerance = (engine: Engine, type: DType): FusedTolerance =>
  engine.precision === 'float32' ? float32 : type === 'float32' ? wideOutput : bfloat16;

const frozenLinear: EngineCheck[] = (['bfloat16', 'float32', 'float16'] as const).map((dtype) => ({
  name: `fused frozenLinear: every form around ${dtype} weights`,
  fused: 'frozenLinear',
  run: (engine) =>
    withWeights(
      [
        { shape: [23, 19], dtype },
        { shape: [67, 131], dtype },
        { shape: [1, 1], dtype },
      ],
      async (open) => {
        const [small, large, one] = (await open(engine)) as [FrozenWeight, FrozenWeight, FrozenWeight];
        for (const [type] of activations(engine)) {
          const tolerance = productTolerance(engine, type);
          const cases = [
            ...Array.from({ length: 16 }, (_, members) =>
              linearCase(`members ${members.toString(2)}`, type, small, { tokens: 5, rank: 3, members }),
            ),
            linearCase('large', type, large, { tokens: 33, rank: 9, members: 15 }),
            linearCase('large, rank 24', type, large, { tokens: 33, rank: 24, members: 15 }),
            linearCase('large, one token', type, large, { tokens: 1, rank: 1, members: 15 }),
            linearCase('1 x 1', type, one, { tokens: 3, rank: 1, members: 15 }),
            linearCase('dropout', type, large, { tokens: 33, rank: 9, members: 15, rate: 0.3 }),
            linearCase('dropout of nothing', type, small, { tokens: 5, rank: 3, members: 4, rate: 0 }),
          ];
          for (const example of cases) {
            await assertFusedMatches(
              engine,
              { ...example, name: `${example.name}, ${dtype} weight, ${type}` },
              tolerance,
            );
          }
        }
      },
    ),
}));

/** Rows of three adapters, one of which changes nothing, in one call. */
const segments: EngineCheck[] = (['bfloat16', 'float32'] as const).map((dtype) => ({
  name: `frozenLinear of segments with forms of their own, around ${dtype} weights`,
  fused: 'frozenLinear',
  run: (engine) =>
    withWeights([{ shape: [23, 19], dtype }], async (open) => {
      const [weight] = (await open(engine)) as [FrozenWeight];
      const counts = [2, 1, 4];
      type Named = Readonly<Record<string, Tensor | undefined>>;
      const forms = ({ A, B, inScale, outScale, bias }: Named): LinearForm[] => [
        { lowRank: { A: A!, B: B!, scale: 0.75 } },
        {},
        { inScale, outScale, bias, lowRank: { A: A!, B: B!, scale: -1.5 } },
      ];
      const inputs = (type: DType): FusedCase['inputs'] => ({
        x: { shape: [7, 19], dtype: type },
        ...{ A: { shape: [3, 19] }, B: { shape: [23, 3] } },
        ...{ inScale: { shape: [19] }, outScale: { shape: [23] }, bias: { shape: [23] } },
      });
      for (const [type] of activations(engine)) {
        const tolerance = productTolerance(engine, type);
        const together = {
          name: `segments, ${dtype} weight, ${type}`,
          inputs: inputs(type),
          run: (ops: Operations, { x, ...named }: Named) =>
            ops.frozenLinear(
              x!,
              weight,
              forms(named).map((form, i) => ({ rows: counts[i]!, form })),
              type,
            ),
        };
        await assertFusedMatches(engine, together, tolerance);
        // And what calls for each segment give.
        const apart = (ops: Operations, { x, ...named }: Named): Tensor => {
          let start = 0;
          const parts = forms(named).map((form, i) => {
            const rows = ops.slice(x!, [start, 0], [counts[i]!, 19]);
            start += counts[i]!;
            return ops.frozenLinear(rows, weight, form, type);
          });
          return ops.concatenate(parts, 0);
        };
        const [one, other] = await Promise.all(
          [together.run, apart].map((run) =>
            compute(engine, () => {
              const ops = createOperations(engine);
              const named = Object.fromEntries(
                Object.entries(together.inputs).map(([name, { shape, dtype: own = 'float32' }], use) => [
                  name,
                  ops.cast(randomTensor(engine, shape, use), own),
                ]),
              );
              return run(ops, named);
            }),
          ),
        );
        assertClose(together.name, one!, other!, tolerance.forward);
      }
    }),
}));

const tokenLossesWith = (softCap: number | undefined): EngineCheck[] =>
  (['bfloat16', 'float32'] as const).map((dtype) => ({
    name: `fused ${softCap === undefined ? 'tokenLosses' : 'cappedTokenLosses'} with a ${dtype} head`,
    fused: softCap === undefined ? 'tokenLosses' : 'cappedTokenLosses',
    run: (engine) =>
      withWeights(
        [
          { shape: [37, 19], dtype },
          { shape: [1031, 64], dtype },
          { shape: [1, 5], dtype },
        ],
        async (open) => {
          for (const [type] of activations(engine)) {
            for (const weight of await open(engine)) {
              const [vocabulary, hidden] = weight.shape as [number, number];
              for (const [about, tokens, every] of [
                ['one token', 1, 1],
                ['some ignored', 35, 3],
                ['all ignored', 7, 0],
              ] as const) {
                // `every` third row has a label, the first and the last of the vocabulary among them.
                const labels = Int32Array.from(uniforms(tokens, [3, 5, tokens, vocabulary]), (u, i) =>
                  every === 0 || i % every !== 0 ? -100 : i === 0 ? vocabulary - 1 : Math.floor(u * vocabulary),
                );
                const example: FusedCase = {
                  name: `tokenLosses, ${about}, vocabulary ${vocabulary}, ${dtype} head, ${type}`,
                  inputs: { x: { shape: [tokens, hidden], dtype: type } },
                  run: (ops, { x }) => ops.tokenLosses(x!, { weight, labels, softCap }),
                };
                // Losses are float32 sums of float32 terms, whatever the operands are.
                await assertFusedMatches(engine, example, engine.precision === 'float32' ? float32 : wideOutput);
              }
            }
          }
        },
      ),
  }));

const embedding: EngineCheck = {
  name: 'fused embedding copies rows, widened',
  fused: 'embedding',
  run: (engine) =>
    withWeights(
      (['float32', 'bfloat16', 'float16'] as const).map((dtype) => ({ shape: [131, 17], dtype })),
      async (open) => {
        for (const weight of await open(engine)) {
          for (const ids of [Int32Array.of(0), Int32Array.of(5, 130, 5, 0, 129, 5), new Int32Array(0)]) {
            const [fused, composed] = await Promise.all(
              [false, true].map(async (plain) => {
                const y = createOperations(engine, { composed: plain }).embedding(weight, ids);
                const values = await engine.read(y);
                y.release();
                return { shape: y.shape, dtype: y.dtype, values };
              }),
            );
            assertClose(`embedding of ${ids.length}, ${weight.dtype}`, fused!, composed!, 0);
          }
        }
      },
    ),
};

const adamWNames = ['parameter', 'mean', 'variance'] as const;

/** Three steps; parameters that begin at 0 show the update itself. */
async function trained(engine: Engine, composed: boolean): Promise<Float32Array[]> {
  const ops = createOperations(engine, { composed });
  const shapes = [[], [1], [7], [3, 5], [1031]];
  const states = shapes.map((shape, i) => ({
    parameter: i % 2 === 0 ? engine.full(shape, 0) : randomTensor(engine, shape, 1),
    mean: engine.full(shape, 0),
    variance: engine.full(shape, 0),
    learningRate: 1e-2 / (i + 1),
    weightDecay: i % 3 === 0 ? 0.1 : 0,
  }));
  for (const step of [1, 2, 100]) {
    scope(() => {
      const updates = states.map((state, i) => ({ ...state, gradient: randomTensor(engine, shapes[i]!, 10 + step) }));
      ops.adamW(updates, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step, gradientScale: 0.5 });
    });
  }
  const results: Float32Array[] = [];
  for (const state of states) {
    for (const name of adamWNames) {
      results.push((await engine.read(state[name])) as Float32Array);
      state[name].release();
    }
  }
  return results;
}

const adamW: EngineCheck = {
  name: 'fused adamW over three steps',
  fused: 'adamW',
  async run(engine) {
    const [fused, composed] = [await trained(engine, false), await trained(engine, true)];
    assert.equal(fused.length, composed.length);
    composed.forEach((expected, i) => {
      const about = (values: Float32Array) => ({ shape: [values.length], dtype: 'float32', values });
      // A dozen float32 operations an element. Taking 1 - beta2 in float32 (1.3e-5 off) is found out.
      assertClose(`${adamWNames[i % 3]} of update ${Math.floor(i / 3)}`, about(fused[i]!), about(expected), 1e-5);
    });
  },
};

const sumOfSquares: EngineCheck = {
  name: 'fused sumOfSquares',
  fused: 'sumOfSquares',
  async run(engine) {
    for (const shapes of [[[1]], [[]], [[7], [], [3, 5]], [[129, 33], [1031], [2, 3, 4, 5]]]) {
      const tensors: Tensor[] = shapes.map((shape, i) => randomTensor(engine, shape, i));
      const results = [];
      for (const composed of [false, true]) {
        const y = createOperations(engine, { composed }).sumOfSquares(tensors);
        results.push({ shape: y.shape, dtype: y.dtype, values: await engine.read(y) });
        y.release();
      }
      // Thousands of positive float32 terms.
      assertClose(`sumOfSquares of ${shapes.length}`, results[0]!, results[1]!, 1e-5);
      for (const tensor of tensors) tensor.release();
    }
  },
};

export const fusedChecks: readonly EngineCheck[] = [
  rmsNorm,
  rope,
  partialRope,
  ...attentionChecks,
  ...gated,
  ...frozenLinear,
  ...segments,
  ...[undefined, 0.7].flatMap(tokenLossesWith),
  embedding,
  adamW,
  sumOfSquares,
];
