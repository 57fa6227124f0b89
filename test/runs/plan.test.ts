import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { createNativeEngine, planNativeEngine } from '@glulam/engine-native';
import { families, openDecoder, openCheckpoint, readFirstValues, type Decoder } from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import {
  createPlanningEngine,
  createReferenceEngine,
  engines,
  type Engine,
  type EngineContribution,
  type Precision,
} from '@glulam/tensors';
import {
  checkMemory,
  createOptimizer,
  describeModel,
  describePlan,
  labelBatch,
  meanLoss,
  planRun,
  train,
  trainStep,
  type Example,
  type RunConfigInput,
  type RunPlan,
} from '@glulam/trainer';
import { plan, resolveConfig } from 'glulam';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { randomValues, root } from '../support/expanded.js';
import { tinyRun } from '../support/tiny.js';

const example = (tokens: number, labelled = tokens): Example => ({
  // Not 0: the embedding of that one is zero, and a row of zeros has gradients without bound.
  ids: Int32Array.from({ length: tokens }, (_, i) => 1 + ((i * 37) % 900)),
  trained: Uint8Array.from({ length: tokens }, (_, i) => Number(i >= tokens - labelled)),
});

/** What a run does with a model, short: two steps and an evaluation. */
async function goThrough(decoder: Decoder, examples: readonly Example[], recompute: boolean, accumulate: number) {
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
  });
  const batches = Array.from({ length: accumulate }, () => labelBatch(examples));
  for (let step = 0; step < 2; step++)
    await trainStep(decoder, optimizer, batches, { step, seed: 0, learningRate: 1e-3, maxGradientNorm: 1, recompute });
  await meanLoss(decoder, [example(300)]);
  await decoder.engine.drain();
  optimizer.close();
  decoder.close();
}

const mergekitFile = (name: string): string => path.join(root, `fixtures/mergekit/files/${name}.yml`);

interface Shape {
  readonly name: string;
  readonly changes?: Partial<RunConfigInput>;
  readonly examples: readonly Example[];
  readonly precision?: Precision;
  readonly recompute?: boolean;
  readonly accumulate?: number;
  /** It goes on from saved tensors. */
  readonly saved?: boolean;
}
const shapes: readonly Shape[] = [
  { name: 'one short sequence', examples: [example(5)] },
  { name: 'four sequences', examples: [100, 80, 120, 99].map((tokens) => example(tokens, 40)) },
  { name: 'one long sequence', examples: [example(1500)] },
  { name: 'float32', examples: [example(200), example(300)], precision: 'float32' },
  { name: 'recomputation', examples: [example(700)], recompute: true },
  { name: 'accumulation', examples: [example(150)], accumulate: 3 },
  { name: 'a large rank', examples: [example(20)], changes: { adapter: { kind: 'lora', r: 64 } } },
  { name: 'the base as it is', examples: [example(64)], changes: { expansion: undefined } },
  {
    name: 'gates and scales',
    examples: [example(64)],
    changes: { expansion: { kind: 'interleave', every: 2, gate: 'learned', residualScale: 0.5 } },
  },
  {
    name: 'LLaMA-Pro',
    examples: [example(64), example(90)],
    changes: { expansion: { kind: 'llama_pro', layers: 10 }, adapter: { kind: 'none' } },
    recompute: true,
  },
  {
    name: 'the whole model',
    examples: [example(300, 290), example(40)],
    changes: { adapter: { kind: 'full' } },
    accumulate: 2,
  },
  {
    name: 'modules to save and biases',
    examples: [example(64)],
    changes: { adapter: { kind: 'dora', modules_to_save: ['embed_tokens', 'lm_head', 'norm'], bias: 'all' } },
  },
  {
    name: 'PiSSA',
    examples: [example(64)],
    changes: { adapter: { kind: 'lora', init_lora_weights: 'pissa_niter_1', r: { first: 4, repeats: 6 } } },
  },
  { name: 'DoRA', examples: [example(64)], changes: { adapter: { kind: 'dora' } } },
  { name: 'DoRA that was saved', examples: [example(64)], changes: { adapter: { kind: 'dora' } }, saved: true },
  {
    name: 'PiSSA with DoRA',
    examples: [example(64)],
    changes: { adapter: { kind: 'dora', init_lora_weights: 'pissa_niter_1' } },
  },
  {
    name: 'PiSSA with DoRA and dropout',
    examples: [example(64)],
    changes: {
      adapter: { kind: 'dora', init_lora_weights: 'pissa_niter_1', lora_dropout: 0.1, r: { first: 4, repeats: 6 } },
    },
  },
  {
    name: 'PiSSA with DoRA on repeats',
    examples: [example(64)],
    recompute: true,
    changes: { adapter: { kind: 'dora', on: 'repeats', init_lora_weights: 'pissa_niter_1', r: 4 } },
  },
  {
    name: 'scaled linear layers',
    examples: [example(64)],
    changes: {
      expansion: { kind: 'mergekit', file: mergekitFile('qk') },
      adapter: { kind: 'dora', lora_dropout: 0.1 },
    },
  },
  {
    name: 'linear layers scaled by 0',
    examples: [example(64)],
    recompute: true,
    changes: { expansion: { kind: 'mergekit', file: mergekitFile('blockexp') } },
  },
  {
    name: 'few targets and dropout',
    examples: [example(64)],
    changes: { adapter: { kind: 'lora', lora_dropout: 0.2, target_modules: ['v_proj'] } },
  },
];

async function decoderOf({ changes, saved }: Shape, engine: Engine): Promise<Decoder> {
  const { config, composition } = tinyRun(changes);
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const model = { engine, checkpoint, ...describeModel(config, composition, checkpoint.spec) };
  if ('peakBytes' in engine) return openDecoder({ ...model, adapterValues: 'zeros' });
  if (saved) return openDecoder({ ...model, adapterValues: randomValues(checkpoint, model.layers, model.adapter) });
  return openDecoder({ ...model, firstValues: await readFirstValues(model) });
}

describe('an engine that only counts takes what the engine itself takes', () => {
  test.each(shapes)('native, to the byte: $name', async (shape) => {
    const { examples, precision = 'bfloat16', recompute = false, accumulate = 1 } = shape;
    const engine = createNativeEngine({ precision, threads: 2 });
    await goThrough(await decoderOf(shape, engine), examples, recompute, accumulate);
    const { peakBytes, heldPeakBytes } = engine.stats();
    await engine.close();
    const counting = planNativeEngine({ precision, threads: 2 });
    await goThrough(await decoderOf(shape, counting), examples, recompute, accumulate);
    expect(counting.peakBytes).toBe(peakBytes);
    // Beside what it holds: scratch of the threads, and what a product packs.
    expect(counting.reservedPeakBytes - heldPeakBytes).toBeGreaterThanOrEqual(6 * 2 ** 20);
    expect(counting.reservedPeakBytes - heldPeakBytes).toBeLessThan((6 + 8) * 2 ** 20);
    expect(counting.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('reference: the live bytes after each part of a step are the same', async () => {
    const live: number[][] = [];
    for (const engine of [createReferenceEngine(), createPlanningEngine({ precision: 'float32' })]) {
      const decoder = await decoderOf(shapes[0]!, engine);
      const bytes = [engine.memory().bytes];
      const onLayer = async (): Promise<void> => void bytes.push(engine.memory().bytes);
      const hidden = await decoder.forward(labelBatch([example(7)]), { onLayer });
      bytes.push(engine.memory().bytes);
      hidden.release();
      decoder.close();
      live.push(bytes);
    }
    expect(live[1]).toEqual(live[0]);
    expect(live[0]).toHaveLength(14);
  });
});

describe('plans from config.json alone', () => {
  const examples = path.resolve(import.meta.dirname, '../../examples/plans');

  test('Mistral 7B by the card’s map', async () => {
    const { parameters, layers, hasWeights, batch, bytes, recompute } = await plan(
      path.join(examples, 'mistral-7b.config.ts'),
    );
    expect(layers).toHaveLength(48);
    expect(hasWeights).toBe(false);
    // 7,241,732,096 is what the checkpoint has; each of 16 layers more has 218,112,000.
    expect(parameters).toEqual({
      stored: 7_241_732_096,
      effective: 7_241_732_096 + 16 * 218_112_000,
      trainable: 31_457_280,
    });
    expect(batch).toEqual({ sequences: 1, tokens: 2048, perStep: 4, fromData: false });
    expect(bytes).toMatchObject({
      weights: 2 * 7_241_732_096,
      adapters: 4 * 31_457_280,
      gradients: 4 * 31_457_280,
      optimizer: 8 * 31_457_280,
      keyValuesPerToken: 48 * 2 * 8 * 128 * 2,
    });
    // With recomputation each virtual layer leaves its input, float32, and little else.
    expect(recompute).toBe(true);
    expect(bytes.activations / (48 * 2048 * 4096 * 4)).toBeCloseTo(1, 1);
    // The peak holds at least what is alive all the time.
    expect(bytes.peak).toBeGreaterThan(bytes.process + bytes.adapters + bytes.optimizer + bytes.activations);
  });

  test('the same number is trained by r=12 without expansion', async () => {
    const { parameters } = await plan(
      {
        base: 'mistral-7b',
        adapter: { kind: 'lora', r: 12 },
        data: { train: 'none.jsonl' },
        train: { batch: { tokens: 64 } },
      },
      { folder: examples },
    );
    expect(parameters.trainable).toBe(31_457_280);
    expect(parameters.effective).toBe(parameters.stored);
  });

  test('Llama 2 70B as 140 layers', async () => {
    const { parameters, layers } = await plan(path.join(examples, 'llama-2-70b.config.ts'));
    expect(layers).toHaveLength(140);
    expect((parameters.stored / 1e9).toFixed(1)).toBe('69.0');
    expect((parameters.effective / 1e9).toFixed(1)).toBe('120.3');
  });
});

describe('what does not fit', () => {
  // A rank whose adapters, gradients and optimizer (16 bytes a parameter) take twice the memory of this machine: each of
  // 12 layers has linear layers of 3,392 inputs and outputs in all.
  const rank = Math.ceil((2 * totalmem()) / 16 / 12 / 3392);
  const huge = { adapter: { kind: 'lora', r: rank }, train: { steps: 2, batch: 1 } };

  test('is refused before anything is written, with the parts and a way out', async () => {
    const { out, config, composition } = tinyRun(huge);
    await expect(train(config, composition)).rejects.toMatchObject({
      code: 'MEMORY_INSUFFICIENT',
      message: expect.stringMatching(
        /takes [\d.]+ GB that cannot be evicted \(.*optimizer [\d.]+ GB.*GB are available; train fewer parameters: lower adapter.r/,
      ),
    });
    expect(existsSync(out)).toBe(false);
  });

  test('is planned all the same', async () => {
    const { config, composition } = tinyRun(huge);
    const { verdict, bytes, memory } = await planRun(config, composition);
    expect(verdict).toBe('does not fit');
    expect(bytes.peak).toBeGreaterThan(memory.available);
  });

  const planned = (changes: Partial<RunPlan>): RunPlan =>
    ({
      bytes: {
        weights: 10e9,
        activations: 6e9,
        logits: 1e6,
        adapters: 1e6,
        gradients: 1e6,
        optimizer: 2e6,
        process: 1e8,
        peak: 7e9,
        device: 0,
      },
      memory: { available: 8e9, total: 9e9, limit: undefined },
      engine: { kind: 'native', precision: 'bfloat16', hasPlan: true },
      batch: { sequences: 4, tokens: 8192, perStep: 1, fromData: true },
      recompute: false,
      ...changes,
    }) as RunPlan;

  test('mapped weights beyond the memory are warned of, and so is what is only estimated', () => {
    const warnings: string[] = [];
    checkMemory(planned({ verdict: 'fits' }), (message) => warnings.push(message));
    expect(warnings).toEqual([]);
    checkMemory(planned({ verdict: 'weights are read again' }), (message) => warnings.push(message));
    expect(warnings.pop()).toMatch(
      /takes 6.90 GB .* 10.00 GB of mapped weights, while 8.00 GB are available: .* read from disk again/,
    );
    const engine = { kind: 'other', precision: 'float32' as const, hasPlan: false };
    checkMemory(planned({ verdict: 'does not fit', engine }), (message) => warnings.push(message));
    expect(warnings.pop()).toMatch(/The engine other foresees no memory itself: an estimate/);
  });

  test('the way out is the part that is largest', () => {
    const refused = (changes: Partial<RunPlan>) =>
      expect(() => checkMemory(planned({ verdict: 'does not fit', ...changes }), () => {}));
    refused({}).toThrow(/set train.recompute to true, or use a smaller train.batch \(now 8,192 tokens\)/);
    refused({ recompute: true }).toThrow(/available; use a smaller train.batch/);
  });
});

describe('an engine with memory of its own', () => {
  const planOn = async (availableBytes: number | undefined) => {
    const contribution: EngineContribution = {
      kind: 'device',
      schema: z.strictObject({}),
      open: async (_, { precision }) => createReferenceEngine({ precision }),
      plan: (_, { precision }) => planNativeEngine({ precision, threads: 1 }),
      deviceMemory: async () => ({ name: 'GPU 7', availableBytes }),
    };
    const plugin = definePlugin({
      name: 'glulam-plugin-engine-device',
      contract: 2,
      register: (registry) => registry.contribute(engines, { create: () => contribution }),
    });
    const resolved = resolveConfig({ ...tinyRun().config, engine: { kind: 'device' } }, [plugin], '/');
    return planRun(resolved.config, resolved.composition);
  };

  test('takes what it computes with from that, and the machine is judged apart', async () => {
    const { config, composition } = tinyRun();
    const onHost = await planRun(config, composition);
    const plan = await planOn(8e9);
    expect(plan.verdict).toBe('fits');
    expect(plan.bytes.device).toBeGreaterThan(5e6);
    expect(plan.bytes.peak - plan.bytes.process).toBeLessThan(onHost.bytes.peak - onHost.bytes.process - 4e6);
    expect(onHost.bytes.device).toBe(0);
    const text = describePlan(plan);
    expect(text).toMatch(/on the device +[\d.]+ MB {2}at once, of its own memory/);
    expect(text).toContain('device: GPU 7, 8.00 GB available');
    expect(text).toMatch(/It fits this machine, which it takes [\d.]+ MB more of; of GPU 7 it takes [\d.]+ MB\.$/);
  });

  test('that has too little is refused, whatever the machine has', async () => {
    const plan = await planOn(1e6);
    expect(plan.verdict).toBe('does not fit');
    expect(describePlan(plan)).toMatch(/the run takes [\d.]+ MB of GPU 7, which has 1.0 MB available/);
    expect(() => checkMemory(plan, () => {})).toThrow(/takes [\d.]+ MB of GPU 7 .* which has 1.0 MB available; /);
  });

  test('that does not say what it has is not judged', async () => {
    const plan = await planOn(undefined);
    expect(plan.verdict).toBe('fits');
    expect(describePlan(plan)).toMatch(/of GPU 7 it takes [\d.]+ MB, which does not say what it has\.$/);
  });
});
