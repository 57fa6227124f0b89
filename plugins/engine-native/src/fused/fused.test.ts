import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { plainSource, sizeOf, toBfloat16Bits, type DType } from '@glulam/files';
import {
  createOperations,
  createReferenceEngine,
  createTape,
  normals,
  type Engine,
  type FrozenWeight,
  type Operations,
  type Precision,
  type Tensor,
} from '@glulam/tensors';
import { afterAll, describe, expect, it } from 'vitest';
import { isaNames, loadAddon } from '../addon.js';
import { createNativeEngine } from '../native-engine.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-fused-'));
afterAll(() => rmSync(folder, { recursive: true }));

const values = (shape: readonly number[], use: number, scale = 1): Float32Array =>
  normals(sizeOf(shape), [7, 0, 0, use]).map((value) => value * scale);

/** A bfloat16 matrix in a file. */
async function weightOf(engine: Engine, rows: number, columns: number): Promise<FrozenWeight> {
  const file = path.join(folder, `${rows}x${columns}`);
  const bits = Uint16Array.from(values([rows, columns], 99, 1 / Math.sqrt(columns)), toBfloat16Bits);
  // Once: a file that is cut while it is mapped ends the process that reads it.
  if (!existsSync(file)) writeFileSync(file, bits);
  return engine.openWeight(
    plainSource({ name: 'weight', shape: [rows, columns], dtype: 'bfloat16', file, byteOffset: 0 }),
  );
}

interface Case {
  /** Inputs that take gradients, by name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Of the frozen weight, [out, in]. */
  readonly weight?: readonly [number, number];
  readonly run: (ops: Operations, inputs: Record<string, Tensor>, type: DType, weight: FrozenWeight) => Tensor;
}

const tokens = 37;
const cases: Readonly<Record<string, Case>> = {
  'frozenLinear alone': {
    shapes: { x: [tokens, 40] },
    weight: [24, 40],
    run: (ops, { x }, type, weight) => ops.frozenLinear(x!, weight, {}, type),
  },
  'frozenLinear with LoRA and dropout': {
    shapes: { x: [tokens, 40], A: [4, 40], B: [24, 4] },
    weight: [24, 40],
    run: (ops, { x, A, B }, type, weight) =>
      ops.frozenLinear(
        x!,
        weight,
        { lowRank: { A: A!, B: B!, scale: 0.5, dropout: { rate: 0.25, key: [1, 2, 3, 4] } } },
        type,
      ),
  },
  'frozenLinear with a whole form': {
    shapes: { x: [tokens, 40], A: [4, 40], B: [24, 4], inScale: [40], outScale: [24], bias: [24] },
    weight: [24, 40],
    run: (ops, { x, A, B, inScale, outScale, bias }, type, weight) =>
      ops.frozenLinear(
        x!,
        weight,
        { inScale, outScale, bias, lowRank: { A: A!, B: B!, scale: 2, dropout: { rate: 0.5, key: [1, 2, 3, 4] } } },
        type,
      ),
  },
  'frozenLinear with scales alone': {
    shapes: { x: [tokens, 40], inScale: [40], outScale: [24] },
    weight: [24, 40],
    run: (ops, { x, inScale, outScale }, type, weight) => ops.frozenLinear(x!, weight, { inScale, outScale }, type),
  },
  // More rows than one chunk of logits has.
  tokenLosses: {
    shapes: { x: [700, 16] },
    weight: [50, 16],
    run: (ops, { x }, _type, weight) => {
      const labels = Int32Array.from({ length: 700 }, (_, i) => (i % 5 === 0 ? -100 : (i * 13) % 50));
      return ops.tokenLosses(x!, { weight, labels });
    },
  },
  'tokenLosses of no label': {
    shapes: { x: [5, 16] },
    weight: [50, 16],
    run: (ops, { x }, _type, weight) => ops.tokenLosses(x!, { weight, labels: new Int32Array(5).fill(-1) }),
  },
  attention: {
    shapes: { q: [tokens, 32], k: [tokens, 16], v: [tokens, 16] },
    run: (ops, { q, k, v }, type) =>
      ops.attention(q!, k!, v!, {
        ...{ heads: 4, keyValueHeads: 2, headSize: 8, window: 6, scale: 0.35, type },
        segments: [
          { queryStart: 0, queryLength: 10, keyStart: 0, keyLength: 10 },
          { queryStart: 10, queryLength: 27, keyStart: 10, keyLength: 27 },
        ],
      }),
  },
  rmsNorm: {
    shapes: { x: [tokens, 40], weight: [40] },
    run: (ops, { x, weight }, type) => ops.rmsNorm(x!, weight!, { epsilon: 1e-5, type }),
  },
  rope: {
    shapes: { x: [tokens, 32] },
    run: (ops, { x }, type) => {
      const angles = values([tokens, 4], 50);
      const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)].map((table) =>
        ops.engine.upload(table, [tokens, 4]),
      );
      return ops.rope(x!, { cos: cos!, sin: sin!, headSize: 8, type });
    },
  },
  swiglu: {
    shapes: { gate: [tokens, 40], up: [tokens, 40] },
    run: (ops, { gate, up }, type) => ops.swiglu(gate!, up!, { type }),
  },
};

/** The output and the gradient of every input; activations go in as `type`, like a decoder's. */
async function everything(
  engine: Engine,
  { shapes, weight: size = [1, 1], run }: Case,
  type: DType,
): Promise<Record<string, Float32Array>> {
  const weight = await weightOf(engine, ...size);
  const ops = createOperations(engine);
  const tape = createTape(engine);
  const leaves = Object.entries(shapes).map(([name, shape], use) => {
    const tensor = engine.upload(values(shape, use), shape);
    tape.watch(tensor);
    return [name, tensor] as const;
  });
  const output = ops.recording(tape, () => {
    const activations = leaves.map(([name, leaf]) => [
      name,
      /^[xqkv]$|gate|up/.test(name) ? ops.cast(leaf, type) : leaf,
    ]);
    return run(ops, Object.fromEntries(activations) as Record<string, Tensor>, type, weight);
  });
  const result: Record<string, Float32Array> = { output: (await engine.read(output)) as Float32Array };
  const gradients = await tape.backward(output, engine.upload(values(output.shape, 77), output.shape));
  for (const [name, leaf] of leaves) result[name] = (await engine.read(gradients.get(leaf)!)) as Float32Array;
  await engine.close();
  return result;
}

function distance(a: Float32Array, b: Float32Array): number {
  const norm = (x: Float32Array): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return norm(a.map((value, i) => value - b[i]!)) / Math.max(norm(b), 1e-6);
}

// bfloat16 rounds by up to 2^-9; both sides round, at places that need not be the same.
const tolerance: Readonly<Record<Precision, number>> = { float32: 2e-6, bfloat16: 2 ** -7 };

const { isas } = loadAddon();
for (const isa of isaNames) {
  if (!isas.includes(isa)) {
    it(`overrides on ${isa}`, ({ skip }) => skip(`this machine has only ${isas.join(', ')}`));
    continue;
  }
  describe(`overrides on ${isa}`, () => {
    describe.each(['float32', 'bfloat16'] as const)('in %s agree with the compositions', (precision) => {
      it.each(Object.entries(cases))('%s', async (_name, example) => {
        const expected = await everything(createReferenceEngine({ precision }), example, precision);
        const got = await everything(createNativeEngine({ precision, isa, threads: 2 }), example, precision);
        for (const [name, reference] of Object.entries(expected)) {
          expect(got[name]!.length).toBe(reference.length);
          expect(distance(got[name]!, reference), name).toBeLessThan(tolerance[precision]);
        }
      });
    });

    it.each(Object.entries(cases))('%s gives the same bits again, on one thread and on two', async (_name, example) => {
      const bits = (values: Float32Array): number[] => [...new Uint32Array(values.buffer)];
      const [first, ...others] = await Promise.all(
        [2, 2, 1].map((threads) =>
          everything(createNativeEngine({ precision: 'bfloat16', isa, threads }), example, 'bfloat16'),
        ),
      );
      for (const other of others) {
        for (const [name, values] of Object.entries(first!)) expect(bits(other[name]!), name).toEqual(bits(values));
      }
    });

    it('step AdamW and add up squares', async () => {
      const shapes = [[3, 50], [7], [1000]];
      const results = await Promise.all(
        [createReferenceEngine({ precision: 'float32' }), createNativeEngine({ isa, threads: 2 })].map(
          async (engine) => {
            const ops = createOperations(engine);
            const updates = shapes.map((shape, i) => {
              const [parameter, gradient, mean] = [0, 1, 2].map((use) =>
                engine.upload(values(shape, i * 3 + use), shape),
              );
              const variance = engine.upload(values(shape, 60 + i).map(Math.abs), shape);
              return {
                ...{ parameter: parameter!, gradient: gradient!, mean: mean!, variance },
                ...{ learningRate: 0.01 * (i + 1), weightDecay: 0.1 * i },
              };
            });
            ops.adamW(updates, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 3, gradientScale: 0.5 });
            const after = updates.flatMap(({ parameter, mean, variance }) => [parameter, mean, variance]);
            const all = await Promise.all([ops.sumOfSquares(after), ...after].map((tensor) => engine.read(tensor)));
            await engine.close();
            return all as Float32Array[];
          },
        ),
      );
      const [expected, got] = results as [Float32Array[], Float32Array[]];
      expected.forEach((reference, i) => expect(distance(got[i]!, reference)).toBeLessThan(1e-6));
    });
  });
}
