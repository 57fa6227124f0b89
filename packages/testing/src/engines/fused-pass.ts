import type { DType } from '@glulam/files';
import { createOperations, createTape, scope, type Engine, type Operations, type Tensor } from '@glulam/tensors';
import { assertClose, randomValues, type Computed } from './engine-check.js';

/** One input of a named operation; random unless its values are given. */
export interface FusedInput {
  /** Length of each axis. */
  readonly shape: readonly number[];
  /** float32 unless said. */
  readonly dtype?: DType;
  /** Default: standard normal numbers, the same at each call. */
  readonly values?: Float32Array;
}

export interface FusedCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, FusedInput>>;
  /** Inputs that take no gradient. */
  readonly constants?: Readonly<Record<string, FusedInput>>;
  run(ops: Operations, inputs: Readonly<Record<string, Tensor>>): Tensor;
}

/**
 * Relative distances (Frobenius) that may lie between an override and its composition. A gradient that is 0 but for
 * cancellation (of a softmax over one key, say) has no relative distance: there 1e-6 of the norm of the gradient that
 * backward began with, a few roundings of what cancels, is allowed.
 */
export interface FusedTolerance {
  readonly forward: number;
  readonly gradient: number;
}

const cancellation = 1e-6;

interface Pass {
  /** Norm of the gradient that backward began with. */
  readonly seedNorm: number;
  readonly output: Computed;
  readonly gradients: Readonly<Record<string, Computed>>;
}

/** Forward, and backward from a random gradient to the `watched` inputs. */
async function pass(engine: Engine, ops: Operations, example: FusedCase, watched: readonly string[]): Promise<Pass> {
  const make = ([name, { shape, dtype = 'float32', values }]: [string, FusedInput], i: number): [string, Tensor] => [
    name,
    scope(() => engine.cast(engine.upload(values ?? randomValues(shape, i), shape), dtype)),
  ];
  const given = { ...example.inputs, ...example.constants };
  const inputs = Object.fromEntries(Object.entries(given).map(make));
  const tape = createTape(engine);
  for (const name of watched) tape.watch(inputs[name]!);
  const y = ops.recording(tape, () => scope(() => example.run(ops, inputs)));
  const output = { shape: y.shape, dtype: y.dtype, values: await engine.read(y) };
  const gradients: Record<string, Computed> = {};
  const seedValues = randomValues(y.shape, 77);
  if (watched.length > 0) {
    const seed = engine.upload(seedValues, y.shape);
    const results = await tape.backward(y, seed);
    for (const name of watched) {
      const gradient = results.get(inputs[name]!);
      if (gradient === undefined) throw new Error(`${example.name}: no gradient came for ${name}`);
      gradients[name] = { shape: gradient.shape, dtype: gradient.dtype, values: await engine.read(gradient) };
    }
    for (const gradient of results.values()) gradient.release();
    seed.release();
  }
  for (const tensor of [y, ...Object.values(inputs)]) tensor.release();
  return { output, gradients, seedNorm: Math.hypot(...seedValues) };
}

/**
 * The engine's override computes what the composition computes on the same engine: the output, all gradients together,
 * each gradient alone (an override may skip what is not asked for), and the output when no gradient is wanted.
 */
export async function assertFusedMatches(engine: Engine, example: FusedCase, tolerance: FusedTolerance): Promise<void> {
  const fused = createOperations(engine);
  const composed = createOperations(engine, { composed: true });
  const names = Object.keys(example.inputs);
  const expected = await pass(engine, composed, example, names);
  const floor = cancellation * expected.seedNorm;
  for (const watched of [names, ...(names.length > 1 ? names.map((name) => [name]) : []), []]) {
    const { output, gradients } = await pass(engine, fused, example, watched);
    const what = `${example.name}, gradients of ${watched.join(', ') || 'nothing'}`;
    assertClose(`${what}: output`, output, expected.output, tolerance.forward);
    for (const name of watched) {
      assertClose(`${what}: d ${name}`, gradients[name]!, expected.gradients[name]!, tolerance.gradient, floor);
    }
  }
}
