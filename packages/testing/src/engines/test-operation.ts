import assert from 'node:assert/strict';
import {
  createOperations,
  createReferenceEngine,
  createTape,
  scope,
  type Engine,
  type Named,
  type NamedOperation,
  type Precision,
  type Tensor,
} from '@glulam/tensors';
import { describe, it } from 'vitest';
import { activations } from './fused-check.js';
import { assertFusedMatches, type FusedInput } from './fused-pass.js';
import { randomValues } from './engine-check.js';

/** Inputs and options that an operation is tried with. */
export interface OperationCase<Options> {
  /** As tests show it. */
  readonly name: string;
  /** Differentiable inputs, random unless their values are given. */
  readonly inputs: Readonly<Record<string, FusedInput>>;
  /** What `Operations.run` gets. */
  readonly options: Options;
}

/** What `testOperation` needs to know beside the operation. */
export interface TestOperationOptions<Options> {
  /** At least one. */
  readonly cases: readonly OperationCase<Options>[];
  /** Engines that the operation runs on, beside the reference engine, by the name that tests show. */
  readonly engines?: Readonly<Record<string, (precision: Precision) => Promise<Engine>>>;
}

/**
 * The contract suite of a named operation, as vitest tests: its gradients against differences of its outputs, and on every
 * engine what runs there against the composition, forward and backward. Nothing is left on an engine.
 */
export function testOperation<Inputs extends Named, Options>(
  operation: NamedOperation<Inputs, Options>,
  { cases, engines = {} }: TestOperationOptions<Options>,
): void {
  const all = { reference: async (precision: Precision) => createReferenceEngine({ precision }), ...engines };
  describe(`operation ${operation.name}`, () => {
    it.each(
      cases.flatMap((example) => Object.keys(example.inputs).map((input) => [example.name, input, example] as const)),
    )('%s: the gradient of %s is that of its outputs', (_, input, example) =>
      assertGradient(operation, example, input),
    );
    const opened = Object.entries(all).flatMap(([name, open]) =>
      (['float32', 'bfloat16'] as const).map((precision) => [name, precision, open] as const),
    );
    it.each(opened)('on %s, %s, it computes what its composition computes', async (_, precision, open) => {
      const engine = await open(precision);
      const before = engine.memory();
      const [, tolerance] = activations(engine).at(-1)!;
      for (const { name, inputs, options } of cases) {
        const run = (ops: ReturnType<typeof createOperations>, given: Readonly<Record<string, Tensor>>): Tensor =>
          ops.run(operation, given as Inputs, options);
        await assertFusedMatches(engine, { name, inputs, run }, tolerance);
      }
      await engine.drain();
      assert.deepEqual(engine.memory(), before, 'tensors or bytes were left behind');
      await engine.close();
    });
  });
}

/** Differences of float32 outputs over this step are right to about four digits, in a scalar of a few hundred terms. */
const step = 2 ** -7;
const digits = 5e-3;

/** The derivative along a random direction, of the outputs' sum weighted at random. */
async function assertGradient<Inputs extends Named, Options>(
  operation: NamedOperation<Inputs, Options>,
  { name, inputs, options }: OperationCase<Options>,
  input: string,
): Promise<void> {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const valuesOf = (key: string, use: number): Float32Array =>
    inputs[key]!.values ?? randomValues(inputs[key]!.shape, use);
  const direction = randomValues(inputs[input]!.shape, 91);
  const given = (shift: number): Record<string, Tensor> =>
    Object.fromEntries(
      Object.keys(inputs).map((key, use) => {
        const values = valuesOf(key, use);
        const moved = key === input ? values.map((value, i) => value + shift * direction[i]!) : values;
        return [key, engine.upload(moved, inputs[key]!.shape)];
      }),
    );
  const outputAt = async (shift: number): Promise<Float32Array> =>
    (await engine.read(
      scope(() => engine.cast(ops.run(operation, given(shift) as Inputs, options), 'float32')),
    )) as Float32Array;

  const there = given(0);
  const tape = createTape(engine);
  tape.watch(there[input]!);
  const y = ops.recording(tape, () => scope(() => ops.run(operation, there as Inputs, options)));
  const weights = randomValues(y.shape, 92);
  const gradient = (await tape.backward(y, engine.upload(weights, y.shape))).get(there[input]!);
  assert.ok(gradient !== undefined, `${name}: no gradient came for ${input}`);
  assert.deepEqual([...gradient.shape], [...inputs[input]!.shape], `${name}: shape of the gradient of ${input}`);
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);
  const values = (await engine.read(gradient)) as Float32Array;
  const [ahead, behind] = [dot(await outputAt(step), weights), dot(await outputAt(-step), weights)];
  const [got, expected] = [dot(values, direction), (ahead - behind) / (2 * step)];
  const scale = Math.hypot(...values) * Math.hypot(...direction);
  // Written so that a NaN fails.
  assert.ok(
    Math.abs(got - expected) <= digits * scale,
    `${name}: along a random direction the gradient of ${input} is ${got}; differences of the outputs say ${expected}`,
  );
}
