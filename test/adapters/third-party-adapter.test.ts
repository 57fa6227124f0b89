import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readAdapter } from '@glulam/export';
import { adapters, openDecoder, families, openCheckpoint, packTokens, type AdapterContribution } from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import { createReferenceEngine } from '@glulam/tensors';
import { testAdapter } from '@glulam/testing';
import { train } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { lossesByStep, tinyRun } from '../support/tiny.js';

// (IA)^3 (Liu et al. 2022) as a third party would write it, from the contract alone: keys, values and the MLP's inner
// activations are scaled by trained vectors that begin at 1.
const schema = z.strictObject({});
const ia3: AdapterContribution<z.infer<typeof schema>> = {
  kind: 'ia3',
  schema,
  create: () => ({
    kind: 'ia3',
    at({ linear, inFeatures, outFeatures }) {
      const onInput = linear === 'mlp.down_proj';
      if (!onInput && linear !== 'self_attn.k_proj' && linear !== 'self_attn.v_proj') return undefined;
      const size = onInput ? inFeatures : outFeatures;
      return {
        parameters: [{ name: 'ia3_l', shape: [size], initial: () => new Float32Array(size).fill(1) }],
        form: ({ ia3_l }) => (onInput ? { inScale: ia3_l! } : { outScale: ia3_l! }),
      };
    },
    peftConfig: () => ({ peft_type: 'IA3', task_type: 'CAUSAL_LM' }),
  }),
  fromPeft: (config) => (config['peft_type'] === 'IA3' ? {} : undefined),
};
const plugin = definePlugin({
  name: 'glulam-plugin-adapter-ia3',
  contract: 2,
  register: (registry) => registry.contribute(adapters, { create: () => ia3 }),
});

testAdapter(ia3, { options: [{}], foreign: [{ peft_type: 'LORA' }], refused: [] });

describe('a third party’s adapter', () => {
  test('trains on an expanded model, is saved, and comes back with the same logits', async () => {
    const { config, out } = tinyRun({
      adapter: { kind: 'ia3' },
      precision: 'float32',
      data: { train: tinyRun().config.data.train },
      train: { steps: 10, batch: 4, learningRate: 2e-2 },
    });
    const { composition } = resolveConfig(config, [plugin], '/');
    await train(config, composition);
    const losses = [...lossesByStep(out).values()];
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.2);

    const adapterFolder = path.join(out, 'adapter');
    const checkpoint = await openCheckpoint(config.base, composition.all(families));
    const { layers, adapter, values } = readAdapter(adapterFolder, composition.all(adapters), checkpoint.spec);
    expect(layers).toHaveLength(12);
    expect(values.size).toBe(12 * 3);
    const engine = createReferenceEngine();
    const logits = async (adapterValues?: typeof values) => {
      const decoder = await openDecoder({
        engine,
        checkpoint,
        layers,
        ...(adapterValues && { adapter, adapterValues }),
      });
      const hidden = await decoder.forward(packTokens([[1, 5, 9]]));
      const result = (await engine.read(decoder.logits(hidden, [2]))) as Float32Array;
      decoder.close();
      return result;
    };
    const [bare, trained] = [await logits(), await logits(values)];
    expect(trained).not.toEqual(bare);
    // PEFT expands models for LoRA alone: what it would make of the file is another model.
    expect(existsSync(path.join(adapterFolder, 'adapter_config.json'))).toBe(false);
    const compact = JSON.parse(readFileSync(path.join(adapterFolder, 'glulam.json'), 'utf8')) as object;
    expect(compact).toMatchObject({ adapter: { kind: 'ia3', options: {} } });
  });
});
