import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { plainSource, sizeOf, toBfloat16Bits, toFloat16Bits, type WeightSource } from '@glulam/files';
import {
  createReferenceEngine,
  normals,
  scope,
  TensorsError,
  type Engine,
  type FrozenWeight,
  type FusedOperations,
  type Tensor,
  type TensorsErrorCode,
} from '@glulam/tensors';
import { frobenius } from '../models/golden.js';

/** One promise of the Engine contract, as a plain function that throws where the engine breaks it. */
export interface EngineCheck {
  /** As tests and messages show it. */
  readonly name: string;
  /** Looks at the engine's override of this operation; an engine without one has nothing to check. */
  readonly fused?: keyof FusedOperations;
  /** May leave the engine failed, so it wants an engine of its own. */
  readonly breaks?: boolean;
  /** Rejects where the engine breaks the promise. Leaves no tensor behind, unless it `breaks` the engine. */
  run(engine: Engine): Promise<void>;
}

/** Run one check; the engine must hold as many tensors and bytes after it as before. */
export async function runEngineCheck(check: EngineCheck, engine: Engine): Promise<void> {
  if (check.breaks) return check.run(engine);
  await engine.drain();
  const before = engine.memory();
  await check.run(engine);
  await engine.drain();
  assert.deepEqual(engine.memory(), before, `${check.name}: tensors or bytes were left behind`);
}

/** Standard normal numbers, the same for the same shape and use. */
export function randomValues(shape: readonly number[], use = 0, scale = 1): Float32Array {
  return normals(sizeOf(shape), [0x5eed, shape.length, sizeOf(shape), use]).map((value) => value * scale);
}

/** A random tensor: the same on every engine. */
export function randomTensor(engine: Engine, shape: readonly number[], use = 0, scale = 1): Tensor {
  return engine.upload(randomValues(shape, use, scale), shape);
}

/** Run a synchronous piece, read its result and free all. */
export async function compute(engine: Engine, body: () => Tensor): Promise<Computed> {
  const result = scope(body);
  try {
    return { shape: result.shape, dtype: result.dtype, values: await engine.read(result) };
  } finally {
    result.release();
  }
}

export interface Computed {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: Float32Array | Int32Array;
}

/**
 * Equal shapes and dtypes, and values within `tolerance`: the Frobenius norm of the difference over that of the expected
 * values, or a distance of `floor`. A tolerance of 0 means equal bits (any NaN for a NaN).
 */
export function assertClose(what: string, actual: Computed, expected: Computed, tolerance: number, floor = 0): void {
  assert.deepEqual([...actual.shape], [...expected.shape], `${what}: shape`);
  assert.equal(actual.dtype, expected.dtype, `${what}: dtype`);
  assert.equal(actual.values.length, expected.values.length, `${what}: number of values`);
  if (tolerance === 0) {
    const i = expected.values.findIndex((value, at) => !Object.is(actual.values[at], value));
    assert.ok(i < 0, `${what}: element ${i} is ${actual.values[i]}, expected exactly ${expected.values[i]}`);
    return;
  }
  const { distance, norm } = frobenius(Float32Array.from(actual.values), Float32Array.from(expected.values));
  // Written so that a NaN fails.
  assert.ok(
    distance <= Math.max(tolerance * norm, floor),
    `${what}: the distance is ${distance}, ${distance / norm} of the expected norm; at most ${tolerance} of it is allowed`,
  );
}

/** The engine computes what the reference engine computes. */
export async function assertMatches(
  engine: Engine,
  what: string,
  tolerance: number,
  body: (engine: Engine) => Tensor,
): Promise<void> {
  const reference = createReferenceEngine({ precision: engine.precision });
  const expected = await compute(reference, () => body(reference));
  assertClose(what, await compute(engine, () => body(engine)), expected, tolerance);
}

/** The call throws a TensorsError of this code whose message contains `words`. */
export function assertThrows(code: TensorsErrorCode, words: string, body: () => unknown): void {
  assert.throws(
    () => scope(body),
    (error: unknown) => {
      assert.ok(error instanceof TensorsError, `${words}: expected a TensorsError, got ${String(error)}`);
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(words), `"${error.message}" does not say "${words}"`);
      return true;
    },
    `${words}: expected an error ${code}`,
  );
}

type WeightDtype = 'float32' | 'bfloat16' | 'float16';

const narrow = { bfloat16: toBfloat16Bits, float16: toFloat16Bits };

/**
 * Weights with random values in one temporary file that lives while `body` runs. They begin at odd bytes: older
 * safetensors files align nothing.
 */
export async function withWeights(
  shapes: readonly { readonly shape: readonly number[]; readonly dtype: WeightDtype }[],
  body: (open: (engine: Engine) => Promise<FrozenWeight[]>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-test-engine-'));
  const file = path.join(folder, 'weights');
  const chunks: Uint8Array[] = [];
  let size = 0;
  const append = (bytes: Uint8Array): number => {
    chunks.push(bytes);
    size += bytes.length;
    return size - bytes.length;
  };
  const sources = shapes.map(({ shape, dtype }, i): WeightSource => {
    if (size % 2 === 0) append(new Uint8Array(1));
    const values = randomValues(shape, 1000 + i);
    const stored = dtype === 'float32' ? values : Uint16Array.from(values, narrow[dtype]);
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    return plainSource({ name: `weight${i}`, shape, dtype, file, byteOffset: append(bytes) });
  });
  try {
    writeFileSync(file, Buffer.concat(chunks));
    await body((engine) => Promise.all(sources.map((source) => engine.openWeight(source))));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
