import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeFloats, fromBfloat16Bits, plainSource, sizeOf, toBfloat16Bits, type DType } from '@glulam/files';
import {
  createOperations,
  createReferenceEngine,
  createTape,
  scope,
  uniforms,
  type Engine,
  type FrozenWeight,
  type Operations,
  type Precision,
  type Tensor,
} from '../src/index.js';

/** A differentiable argument: values are uniform in [from, to], by default [-1, 1]. */
export interface GradientInput {
  readonly shape: readonly number[];
  readonly from?: number;
  readonly to?: number;
  /** float32 unless given; values of a bfloat16 input are numbers that it can hold. */
  readonly dtype?: 'float32' | 'bfloat16';
}

type Values = Readonly<Record<string, readonly number[]>>;

/** One call of an operation, with an independent definition of what it computes. */
export interface GradientCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, GradientInput>>;
  readonly precision?: Precision;
  /** Frozen weights that `run` reads. */
  readonly weights?: readonly KnownWeight[];
  run(ops: Operations, inputs: Readonly<Record<string, Tensor>>): Tensor;
  /** All values of the output in float64, without any code of this package's operations. */
  naive(inputs: Values): readonly number[];
}

/** Values of every input, the same at each call. */
export function valuesOf({ inputs }: GradientCase): Values {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, from = -1, to = 1, dtype }], use) => {
      const drawn = uniforms(sizeOf(shape), [0x67, 0x72, 0x61, use]);
      const values = drawn.map((value) => from + (to - from) * value);
      return [
        name,
        [...(dtype === 'bfloat16' ? values.map((value) => fromBfloat16Bits(toBfloat16Bits(value))) : values)],
      ];
    }),
  );
}

/** The weights of the outputs in the scalar whose gradient is taken. */
const seedOf = (size: number): Float32Array => uniforms(size, [0x73, 0x65, 0x65, 0x64]).map((value) => 2 * value - 1);

/** What the code under test computes: the output, and gradients of the sum of its values times `seedOf`. */
export interface GradientPass {
  readonly output: readonly number[];
  readonly dtype: DType;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  /** Methods of `Operations` that the case called. */
  readonly called: ReadonlySet<string>;
  /** Tensors alive after everything was released. */
  readonly left: number;
}

/** One forward and backward pass on the reference engine, with gradients of the `watched` inputs. */
export async function runCase(example: GradientCase, watched: readonly string[]): Promise<GradientPass> {
  const engine = createReferenceEngine({ precision: example.precision ?? 'float32' });
  for (const weight of example.weights ?? []) await weight.open(engine);
  const plain = createOperations(engine);
  const called = new Set<string>();
  const ops = new Proxy(plain, {
    get(target, key: keyof Operations) {
      called.add(key);
      return target[key];
    },
  });
  const values = valuesOf(example);
  const inputs = Object.fromEntries(
    Object.entries(example.inputs).map(([name, { shape, dtype = 'float32' }]) => [
      name,
      scope(() => engine.cast(engine.upload(Float32Array.from(values[name]!), shape), dtype)),
    ]),
  );
  const tape = createTape(engine);
  for (const name of watched) tape.watch(inputs[name]!);
  const y = plain.recording(tape, () => scope(() => example.run(ops, inputs)));
  const seed = engine.upload(seedOf(y.size), y.shape);
  const found = await tape.backward(y, seed);
  const output = [...(await engine.read(y))];
  const gradients: Record<string, readonly number[]> = {};
  for (const name of watched) {
    const gradient = found.get(inputs[name]!);
    if (gradient === undefined) throw new Error(`${example.name}: no gradient came for ${name}`);
    if (gradient.dtype !== 'float32' || gradient.shape.join() !== example.inputs[name]!.shape.join())
      throw new Error(`${example.name}: d ${name} is ${gradient.dtype} [${gradient.shape.join(', ')}]`);
    gradients[name] = [...(await engine.read(gradient))];
  }
  for (const tensor of [y, seed, ...found.values(), ...Object.values(inputs)]) tensor.release();
  return { output, dtype: y.dtype, gradients, called, left: engine.memory().tensors };
}

/** Central differences of the naive definition, in float64: with this step they are right to about 1e-10. */
export function finiteDifferences(example: GradientCase, name: string): number[] {
  const step = 1e-5;
  const values = valuesOf(example);
  const sumAt = (moved: readonly number[]): number => {
    const output = example.naive({ ...values, [name]: moved });
    const seed = seedOf(output.length);
    return output.reduce((sum, value, i) => sum + seed[i]! * value, 0);
  };
  return values[name]!.map((value, i) => {
    const [above, below] = [step, -step].map((by) => sumAt(values[name]!.with(i, value + by)));
    return (above! - below!) / (2 * step);
  });
}

/** A frozen weight with known values, which any engine can open. */
export interface KnownWeight {
  readonly shape: readonly [number, number];
  readonly values: readonly number[];
  open(engine: Engine): Promise<FrozenWeight>;
  /** What `open` gave for this engine. */
  on(engine: Engine): FrozenWeight;
}

/** Values are multiples of 1/64 below 1 in size: each dtype of files holds them exactly. */
export function knownWeight(shape: readonly [number, number], dtype: 'float32' | 'bfloat16' | 'float16'): KnownWeight {
  const drawn = uniforms(sizeOf(shape), [0x77, ...shape, 0]);
  const values = drawn.map((value) => Math.round(126 * value - 63) / 64);
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-weight-')), 'weight');
  const bytes = encodeFloats(values, dtype);
  writeFileSync(file, bytes);
  const source = plainSource({ name: 'weight', shape, dtype, file, byteOffset: 0 });
  const opened = new WeakMap<Engine, FrozenWeight>();
  return {
    shape,
    values: [...values],
    async open(engine) {
      const weight = await engine.openWeight(source);
      opened.set(engine, weight);
      return weight;
    },
    on: (engine) => opened.get(engine)!,
  };
}
