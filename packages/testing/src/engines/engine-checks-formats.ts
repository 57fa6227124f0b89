import assert from 'node:assert/strict';
import {
  bytesPerElement,
  createWeightSource,
  memoryBytes,
  plainFormats,
  readFloats,
  type DType,
  type WeightSource,
} from '@glulam/files';
import { createOperations, type FusedOperations } from '@glulam/tensors';
import { assertClose, compute, type EngineCheck } from './engine-check.js';
import { linearCase, productTolerance } from './engine-checks-fused.js';
import { activations, float32, wideOutput } from './fused-check.js';
import { assertFusedMatches, type FusedCase } from './fused-pass.js';
import { withEncodedWeights } from './weight-sources.js';

const readWeight: EngineCheck = {
  name: 'readWeight decodes rows of every storage format and view, bit for bit',
  run: (engine) =>
    withEncodedWeights(async (sources) => {
      for (const { about, source } of sources) {
        const weight = await engine.openWeight(source);
        const [rows, columns] = source.shape as [number, number];
        for (const [start, end] of [
          [0, rows],
          [7, 8],
          [rows - 3, rows],
        ] as const) {
          const got = await compute(engine, () => engine.readWeight(weight, start, end));
          const expected = { shape: [end - start, columns], dtype: 'float32', values: readFloats(source, start, end) };
          assertClose(`${about}, rows ${start} to ${end}`, got, expected, 0);
        }
      }
    }),
};

const refusals: EngineCheck = {
  name: 'openWeight refuses integers, and a view beyond its stored tensor',
  async run(engine) {
    const stored = (dtype: DType): WeightSource =>
      createWeightSource({
        ...{ name: 'w', shape: [4, 6], format: plainFormats[dtype], origin: 'memory' },
        parts: [memoryBytes(new Uint8Array(24 * bytesPerElement[dtype]))],
      });
    await assert.rejects(engine.openWeight(stored('int32')), { code: 'DTYPE_MISMATCH', message: /w holds integers/ });
    for (const change of [{ firstElement: 6 }, { shape: [5, 6] }, { rowOrder: Int32Array.of(0, 1, 2, 4) }])
      await assert.rejects(engine.openWeight({ ...stored('float32'), ...change }), {
        code: 'BAD_ARGUMENT',
        message: /tensor w of memory is .* make views with viewRows/,
      });
  },
};

/** The override of an operation, with weights in every storage format and view. */
const overrides = (fused: keyof FusedOperations, run: EngineCheck['run']): EngineCheck => ({
  name: `fused ${fused} with weights in every storage format and view`,
  fused,
  run,
});

export const formatChecks: readonly EngineCheck[] = [
  readWeight,
  refusals,
  overrides('frozenLinear', (engine) =>
    withEncodedWeights(async (sources) => {
      for (const { about, source } of sources) {
        const weight = await engine.openWeight(source);
        for (const [type] of activations(engine))
          for (const tokens of [1, 5, 70])
            await assertFusedMatches(
              engine,
              linearCase(`${about}, ${tokens} tokens, ${type}`, type, weight, { tokens, rank: 3, members: 15 }),
              productTolerance(engine, type),
            );
      }
    }),
  ),
  overrides('tokenLosses', (engine) =>
    withEncodedWeights(async (sources) => {
      for (const { about, source } of sources) {
        const weight = await engine.openWeight(source);
        const [vocabulary, hidden] = source.shape as [number, number];
        const labels = Int32Array.of(vocabulary - 1, 0, -100, 5);
        const example: FusedCase = {
          name: `tokenLosses, ${about}`,
          inputs: { x: { shape: [4, hidden] } },
          run: (ops, { x }) => ops.tokenLosses(x!, { weight, labels }),
        };
        await assertFusedMatches(engine, example, engine.precision === 'float32' ? float32 : wideOutput);
      }
    }),
  ),
  overrides('embedding', (engine) =>
    withEncodedWeights(async (sources) => {
      for (const { about, source } of sources) {
        const weight = await engine.openWeight(source);
        const ids = Int32Array.of(source.shape[0]! - 1, 0, 3, 3);
        const rows = Array.from(ids, (id) => [...readFloats(source, id, id + 1)]).flat();
        const got = await compute(engine, () => createOperations(engine).embedding(weight, ids));
        const expected = { shape: [4, source.shape[1]!], dtype: 'float32', values: Float32Array.from(rows) };
        assertClose(`embedding, ${about}`, got, expected, 0);
      }
    }),
  ),
];
