import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { readPeftAdapter } from '@glulam/export';
import { llamaFamily } from '@glulam/family-llama';
import { generateTokens, openCheckpoint, openDecoder, packTokens, scoreContinuations } from '@glulam/model';
import { createEngine, createReferenceDevice } from '@glulam/tensors';
import { createOptimizer, trainStep, type LabelledBatch } from '@glulam/trainer';
import { expect, test } from 'vitest';

// An engine's kernel may fail at any call: out of memory, a lost device. Whatever was going on must hold no tensor after it.
const folder = path.resolve(import.meta.dirname, '../../fixtures/golden/looped');
const checkpoint = await openCheckpoint(path.join(folder, 'base'), [llamaFamily]);
const ids = [3, 1, 4, 1, 5];
const batch: LabelledBatch = { ...packTokens([ids]), labels: Int32Array.of(1, 4, 1, 5, -1) };

/** The reference device, whose n-th call of a kernel from `arm` on throws. */
function failingDevice() {
  let left = Infinity;
  let calls = 0;
  const inner = createReferenceDevice();
  const kernels = Object.fromEntries(
    Object.entries(inner.kernels).map(([name, kernel]) => [
      name,
      (...args: unknown[]) => {
        calls += 1;
        if (left-- <= 0) throw new Error('the device is lost');
        return (kernel as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  ) as unknown as typeof inner.kernels;
  return { device: { ...inner, kernels }, calls: () => calls, arm: (after: number) => void (left = after) };
}

async function opened() {
  const failing = failingDevice();
  const engine = createEngine(failing.device, { kind: 'failing', precision: 'float32' });
  const { adapter, values } = readPeftAdapter(path.join(folder, 'adapter-shared'), [loraContribution], checkpoint.spec);
  const decoder = await openDecoder({ engine, checkpoint, adapter, adapterValues: values });
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
    ...{ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  });
  return { ...failing, engine, decoder, optimizer };
}
type Opened = Awaited<ReturnType<typeof opened>>;

const settings = { step: 0, seed: 0, learningRate: 1e-3, maxGradientNorm: 1 };
const works: [string, (opened: Opened) => Promise<unknown>][] = [
  ['a step', ({ decoder, optimizer }) => trainStep(decoder, optimizer, [batch], { ...settings, recompute: false })],
  [
    'a step with recomputation and accumulation',
    ({ decoder, optimizer }) => trainStep(decoder, optimizer, [batch, batch], { ...settings, recompute: true }),
  ],
  [
    'generation',
    async ({ decoder }) => {
      for await (const _ of generateTokens(decoder, ids, { maxNewTokens: 3 }));
    },
  ],
  [
    'scores',
    ({ decoder }) =>
      scoreContinuations(decoder, { encode: (text) => [...text].map((each) => each.charCodeAt(0) - 32) }, 'AB', [
        'CDE',
        'CF',
      ]),
  ],
];

test.each(works)('%s holds nothing after a kernel failed, whichever it was', async (_, work) => {
  const whole = await opened();
  const before = whole.calls();
  const live = whole.engine.memory();
  await work(whole);
  const calls = whole.calls() - before;
  // Optimizer steps keep their moments; nothing else stays.
  expect(calls).toBeGreaterThan(100);
  const step = Math.ceil(calls / 40);
  for (let after = 0; after < calls; after += step) {
    const each = await opened();
    expect(each.engine.memory()).toEqual(live);
    each.arm(after);
    await expect(work(each), `call ${after}`).rejects.toThrow(/the device is lost/);
    expect(each.engine.memory().tensors, `call ${after}`).toBe(live.tensors);
  }
});
