import { createNativeEngine, planNativeEngine } from '@glulam/engine-native';
import { families, createDecoder, openCheckpoint, type Decoder } from '@glulam/model';
import { createPlanningEngine, createReferenceEngine, type Precision } from '@glulam/tensors';
import {
  createOptimizer,
  describeModel,
  labelBatch,
  meanLoss,
  trainStep,
  type Example,
  type RunConfigInput,
} from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { tinyRun } from './tiny.js';

const example = (tokens: number, labelled = tokens): Example => ({
  ids: Int32Array.from({ length: tokens }, (_, i) => (i * 37) % 900),
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

interface Shape {
  readonly name: string;
  readonly changes?: Partial<RunConfigInput>;
  readonly examples: readonly Example[];
  readonly precision?: Precision;
  readonly recompute?: boolean;
  readonly accumulate?: number;
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
  { name: 'gates and scales', examples: [example(64)], changes: { expansion: { kind: 'interleave', every: 2, gate: 'learned', residualScale: 0.5 } } },
  { name: 'few targets and dropout', examples: [example(64)], changes: { adapter: { kind: 'lora', lora_dropout: 0.2, target_modules: ['v_proj'] } } },
]; // prettier-ignore

function decoderOf({ changes }: Shape, engine: Parameters<typeof createDecoder>[0]['engine']): Decoder {
  const { config, composition } = tinyRun(changes);
  const checkpoint = openCheckpoint(config.base, composition.all(families));
  return createDecoder({ engine, checkpoint, ...describeModel(config, composition, checkpoint.shape) });
}

describe('an engine that only counts takes what the engine itself takes', () => {
  test.each(shapes)('native, to the byte: $name', async (shape) => {
    const { examples, precision = 'bfloat16', recompute = false, accumulate = 1 } = shape;
    const engine = createNativeEngine({ precision, threads: 2 });
    await goThrough(decoderOf(shape, engine), examples, recompute, accumulate);
    const { peakBytes } = engine.stats();
    await engine.close();
    const plan = planNativeEngine({ precision, threads: 2 });
    await goThrough(decoderOf(shape, plan), examples, recompute, accumulate);
    expect(plan.peakBytes).toBe(peakBytes);
    expect(plan.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('reference: the live bytes after each part of a step are the same', async () => {
    const live: number[][] = [];
    for (const engine of [createReferenceEngine(), createPlanningEngine({ precision: 'float32' })]) {
      const decoder = decoderOf(shapes[0]!, engine);
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
