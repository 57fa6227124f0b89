import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { openTfjsEngine, planTfjsEngine } from '@glulam/engine-tfjs';
import { openDecoder, families, openCheckpoint } from '@glulam/model';
import { checkMemory, createOptimizer, describeModel, labelBatch, planRun, train, trainStep } from '@glulam/trainer';
import type { Engine } from '@glulam/tensors';
import type * as tfjsCore from '@tensorflow/tfjs-core';
import { resolveConfig } from 'glulam';
import { describe, expect, test } from 'vitest';
import { namedBackends } from '../support/tfjs-engines.js';
import { eventsOf, tinyRun } from '../support/tiny.js';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs-core') as typeof tfjsCore;

/** The tiny model trains on so many tokens a step; `afterStep` is called after each. */
async function trainTiny(engine: Engine, tokens: number, steps: number, afterStep: () => void): Promise<void> {
  const { config, composition } = tinyRun({
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 1],
        [0, 2],
      ],
    },
  });
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const decoder = await openDecoder({ engine, checkpoint, ...describeModel(config, composition, checkpoint.spec) });
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
  });
  const ids = Int32Array.from({ length: tokens }, (_, i) => (i * 31) % 200);
  const batch = labelBatch([{ ids, trained: new Uint8Array(tokens).fill(1) }]);
  for (let step = 0; step < steps; step++) {
    const settings = { step, seed: 0, learningRate: 1e-3, maxGradientNorm: 1, recompute: step % 2 === 1 };
    await trainStep(decoder, optimizer, [batch], settings);
    afterStep();
  }
  optimizer.close();
  decoder.close();
}

describe.each(['cpu', 'wasm'] as const)('tfjs on %s', (backend) => {
  test('50 steps leave as many tensors and bytes in TensorFlow.js as each began with', async () => {
    const engine = await openTfjsEngine({ backend, precision: 'bfloat16' });
    const seen: unknown[] = [];
    await trainTiny(engine, 6, 50, () => {
      const { numTensors, numDataBuffers, numBytes } = tf.memory();
      seen.push([numTensors, numDataBuffers, numBytes, engine.memory()]);
    });
    expect(seen).toHaveLength(50);
    // The first step brings the weights.
    for (const [step, memory] of seen.entries()) expect(memory, `after step ${step}`).toEqual(seen[0]);
    expect(tf.memory().numTensors).toBeGreaterThan(0);
    await engine.close();
    expect(tf.memory()).toMatchObject({ numTensors: 0, numDataBuffers: 0, numBytes: 0 });
  });
});

const onTensorflow = namedBackends.filter((backend) => backend.startsWith('node'));
if (onTensorflow.length === 0)
  test('tensors that steps leave in TensorFlow', ({ skip }) =>
    skip('GLULAM_TFJS_BACKENDS names neither node nor node-gpu'));
describe.each(onTensorflow)('tfjs on %s', (backend) => {
  // 6 tokens by TensorFlow's operations; 70 by programs, which pad them to 72.
  test.each([6, 70])('steps of %d tokens leave no tensor in TensorFlow', async (tokens) => {
    const addon = createRequire(import.meta.url)(`@tensorflow/tfjs-${backend}/lib/napi-v8/tfjs_binding.node`) as {
      getNumOfTensors(): number;
    };
    const before = addon.getNumOfTensors();
    const engine = await openTfjsEngine({ backend, precision: 'bfloat16' });
    const seen: unknown[] = [];
    await trainTiny(engine, tokens, 50, () => seen.push(engine.memory()));
    for (const [step, memory] of seen.entries()) expect(memory, `after step ${step}`).toEqual(seen[0]);
    expect(addon.getNumOfTensors()).toBeGreaterThan(before);
    await engine.close();
    expect(addon.getNumOfTensors()).toBe(before);
  });
});

const quickstart = path.resolve(import.meta.dirname, '../../examples/quickstart/glulam.config.ts');

// Its steps have other numbers of tokens each, to which passes on TensorFlow are padded.
test('the quickstart trains on TensorFlow.js as on the native engine', async () => {
  const { loadConfig } = await import('../../packages/glulam/src/config/load-config.js');
  const backends = ['wasm', ...namedBackends] as const;
  const losses: number[][] = [];
  for (const engine of [...backends.map((backend) => ({ kind: 'tfjs', backend })), { kind: 'native' }]) {
    const { out } = tinyRun();
    const { config, composition } = await loadConfig(quickstart, {
      ...{ engine, precision: 'float32', out, reporters: [] },
      ...{ 'train.steps': 4, 'train.batch': 2, 'train.warmupSteps': 0, 'data.heldOut': 2 },
    });
    await train(config, composition);
    losses.push(eventsOf(out).flatMap((event) => (event.type === 'step.finished' ? [event.loss] : [])));
    expect(existsSync(path.join(out, 'adapter/adapter_model.safetensors'))).toBe(true);
  }
  const native = losses.pop()!;
  expect(native).toHaveLength(4);
  for (const [i, backend] of backends.entries()) {
    expect(losses[i]).toHaveLength(4);
    // As far as 20 steps of the reference's own float32 and float64 runs may differ.
    losses[i]!.forEach((loss, step) =>
      expect(Math.abs(loss - native[step]!), `${backend}, step ${step}`).toBeLessThan(2e-3),
    );
  }
});

describe('a plan on tfjs', () => {
  const precision = 'bfloat16';
  const examples = path.resolve(import.meta.dirname, '../../examples/plans');
  const mistral = (backend: string) =>
    resolveConfig(
      {
        base: 'mistral-7b',
        data: { train: 'none.jsonl', maxTokens: 64 },
        train: { batch: 1 },
        engine: { kind: 'tfjs', backend },
      },
      [],
      examples,
    );

  test('refuses what 4 GiB of WebAssembly cannot hold, whatever the machine has', async () => {
    const { config, composition } = mistral('wasm');
    const plan = await planRun(config, composition);
    expect(plan.verdict).toBe('does not fit');
    expect(plan.engine.limit).toBe(2 ** 32);
    // Without the embedding, whose rows are read from the file, in float32.
    expect(plan.bytes.weightCopies).toBe(4 * (7_241_732_096 - 32000 * 4096 - 65 * 4096));
    const roomy = { ...plan, memory: { ...plan.memory, available: 2 ** 50 } };
    expect(() => checkMemory(roomy, () => undefined)).toThrow(
      /copies of the base's weights 28\.\d+ GB.*the engine tfjs holds at most 4\.29 GB.*choose another engine or backend/,
    );
  });

  test('on TensorFlow keeps bfloat16 weights in their file', async () => {
    const { config, composition } = mistral('node');
    const { bytes, engine } = await planRun(config, composition);
    expect(bytes.weightCopies).toBe(0);
    expect(bytes.weights).toBe(2 * (7_241_732_096 - 32000 * 4096 - 65 * 4096));
    expect(engine.limit).toBeUndefined();
  });

  test.each(['wasm', ...namedBackends] as const)(
    'counts the live bytes of %s after each layer as the engine does',
    async (backend) => {
      const live: number[][] = [];
      const { config, composition } = tinyRun();
      const checkpoint = await openCheckpoint(config.base, composition.all(families));
      for (const engine of [await openTfjsEngine({ backend, precision }), planTfjsEngine(backend, precision)]) {
        const decoder = await openDecoder({
          engine,
          checkpoint,
          ...describeModel(config, composition, checkpoint.spec),
        });
        const bytes = [engine.memory().bytes];
        const ids = Int32Array.from({ length: 7 }, (_, i) => i * 31);
        const onLayer = async (): Promise<void> => void bytes.push(engine.memory().bytes);
        const hidden = await decoder.forward(labelBatch([{ ids, trained: new Uint8Array(7).fill(1) }]), { onLayer });
        hidden.release();
        decoder.close();
        await engine.close();
        live.push(bytes);
      }
      expect(live[1]).toEqual(live[0]);
    },
  );
});
