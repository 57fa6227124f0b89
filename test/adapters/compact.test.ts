import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLora, loraContribution } from '@glulam/adapter-lora';
import { ExportError, readAdapter, writeAdapter, writePeftAdapter } from '@glulam/export';
import { mistralFamily } from '@glulam/family-mistral';
import {
  adapters,
  attentionOf,
  openDecoder,
  families,
  layerMap,
  linearSites,
  mlpOf,
  openCheckpoint,
  packTokens,
  type Decoder,
} from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { createOptimizer, labelBatch, openModel, trainStep, type RunConfigInput } from '@glulam/trainer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logitsAt } from '../support/expanded.js';
import { tinyRun } from '../support/tiny.js';

const ids = Array.from({ length: 24 }, (_, i) => (i * 37) % 900);
const batch = labelBatch([{ ids: Int32Array.from(ids), trained: new Uint8Array(ids.length).fill(1) }]);
const adamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

const logitsOf = (decoder: Decoder): Promise<Float32Array> => logitsAt(decoder, packTokens([ids]), [0, 11, 23]);
async function opened<T>(changes: Partial<RunConfigInput>, use: (decoder: Decoder) => Promise<T>): Promise<T> {
  const { config, composition } = tinyRun(changes);
  const model = await openModel(config, composition);
  try {
    return await use(model.decoder);
  } finally {
    await model.close();
  }
}
async function steps(decoder: Decoder, count: number, recompute = false): Promise<number[]> {
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, adamW);
  const losses: number[] = [];
  for (let step = 0; step < count; step++) {
    const settings = { step, seed: 3, learningRate: 1e-2, maxGradientNorm: 1, recompute };
    losses.push((await trainStep(decoder, optimizer, [batch], settings)).loss);
  }
  optimizer.close();
  return losses;
}

describe('learned gates', () => {
  const gated = { kind: 'interleave', every: 2, gate: 'learned' };

  test.each(['native', 'reference'])('an expanded model begins exactly as its base, on %s', async (kind) => {
    const engine = { kind };
    const base = await opened({ engine, expansion: undefined }, logitsOf);
    const expanded = await opened({ engine, expansion: gated }, async (decoder) => {
      expect(decoder.layers).toHaveLength(12);
      return logitsOf(decoder);
    });
    expect(expanded).toEqual(base);
    expect(await opened({ engine, expansion: { kind: 'interleave', every: 2 } }, logitsOf)).not.toEqual(base);
  });

  test('their gradient is that of a finite difference of the loss, with recomputation too', async () => {
    const changes = { expansion: { ...gated, residualScale: 0.5 }, precision: 'float32' as const };
    await opened(changes, async (decoder) => {
      const gate = decoder.parameters.get('model.layers.5.gate')!;
      const set = (value: number): void => {
        const tensor = decoder.engine.full([1], value);
        decoder.engine.write(gate, tensor, [0]);
        tensor.release();
      };
      const sum = async (): Promise<number> => {
        const hidden = await decoder.forward(batch);
        const losses = decoder.losses(hidden, batch.labels);
        const values = (await decoder.engine.read(losses)) as Float32Array;
        hidden.release();
        losses.release();
        return values.reduce((total, value) => total + value, 0);
      };
      const epsilon = 1e-2;
      set(0.3 + epsilon);
      const above = await sum();
      set(0.3 - epsilon);
      const below = await sum();
      set(0.3);
      const expected = (above - below) / (2 * epsilon) / 23;
      // An optimizer that only looks.
      for (const recompute of [false, true]) {
        const gradients = new Map<string, Float32Array>();
        const spy = {
          steps: 0,
          averages: new Map(),
          step: (given: ReadonlyMap<string, Parameters<typeof decoder.engine.read>[0]>) => {
            for (const [name, tensor] of given)
              if (name.endsWith('.gate'))
                void decoder.engine.read(tensor).then((values) => gradients.set(name, values as Float32Array));
          },
          close: () => {},
        };
        const settings = { step: 0, seed: 0, learningRate: 1, maxGradientNorm: 0, recompute };
        await trainStep(decoder, spy, [batch], settings);
        expect(gradients.size).toBe(4);
        expect(Math.abs(gradients.get('model.layers.5.gate')![0]! - expected)).toBeLessThan(
          2e-3 * Math.abs(expected) + 1e-5,
        );
      }
    });
  });

  test('open in training: the loss falls and the gates leave 0', async () => {
    await opened({ expansion: gated }, async (decoder) => {
      const losses = await steps(decoder, 6);
      expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
      const gate = await decoder.engine.read(decoder.parameters.get('model.layers.2.gate')!);
      expect(gate[0]).not.toBe(0);
    });
  });
});

describe('ranks', () => {
  const sevenB = mistralFamily.describe({
    file: 'config.json',
    modelType: 'mistral',
    fields: {
      hidden_size: 4096,
      intermediate_size: 14336,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      num_hidden_layers: 32,
      vocab_size: 32000,
      sliding_window: 4096,
      max_position_embeddings: 32768,
    },
  });
  const card = [
    [0, 16],
    [8, 24],
    [16, 32],
  ].flatMap(([start, end]) => Array.from({ length: end! - start! }, (_, i) => ({ physical: start! + i })));
  const sites = linearSites(sevenB, card);
  const resolve = (options: object) => loraContribution.resolve!(loraContribution.schema.parse(options), sites);

  test('matchTrainable finds the rank of a number of parameters: Mistral 7B as 48 layers and as 32', () => {
    expect(resolve({ matchTrainable: 31_457_280 }).r).toBe(8);
    expect(resolve({ matchTrainable: 31_457_279 }).r).toBe(7);
    const plain = linearSites(
      sevenB,
      Array.from({ length: 32 }, (_, physical) => ({ physical })),
    );
    expect(loraContribution.resolve!(loraContribution.schema.parse({ matchTrainable: 31_457_280 }), plain).r).toBe(12);
    // 16 of the 48 virtual layers are repeats: the whole budget on them is three times the rank.
    expect(resolve({ matchTrainable: 31_457_280, r: { first: 0, repeats: 1 } }).r).toEqual({ first: 0, repeats: 24 });
    expect(resolve({ matchTrainable: 31_457_280, r: { first: 4, repeats: 1 } }).r).toEqual({ first: 4, repeats: 16 });
    const biased = { lora_bias: true, target_modules: ['q_proj'] };
    expect(resolve({ ...biased, matchTrainable: 48 * (8192 * 3 + 4096) }).r).toBe(3);
    expect(resolve({ ...biased, matchTrainable: 48 * (8192 * 3 + 4096) - 1 }).r).toBe(2);
    expect(() => resolve({ matchTrainable: 1000 })).toThrow(/rank 1 makes 3932160/);
    expect(() => createLora(loraContribution.schema.parse({ matchTrainable: 9 }))).toThrow(/through `resolve` first/);
  });

  test('PEFT’s own rules find the same modules, ranks and scalings in the config of a rank by uses', () => {
    for (const r of [
      { first: 0, repeats: 6 },
      { first: 4, repeats: 2 },
      { first: 3, repeats: 0 },
    ]) {
      const options = loraContribution.schema.parse({ r, lora_alpha: 12, target_modules: ['q_proj', 'down_proj'] });
      const adapter = createLora(options);
      const config = adapter.peftConfig(sites) as {
        r: number;
        lora_alpha: number;
        target_modules: string[];
        rank_pattern: Record<string, number>;
      };
      let adapted = 0;
      for (const site of sites) {
        // PEFT 0.21: a list of targets matches by suffix; keys of rank_pattern as (.*\.)?(key)$.
        const targeted = config.target_modules.some((name) => site.path === name || site.path.endsWith(`.${name}`));
        const key = Object.keys(config.rank_pattern).find((each) => new RegExp(`^(.*\\.)?(${each})$`).test(site.path));
        const rank = key === undefined ? config.r : config.rank_pattern[key]!;
        const ours = adapter.at(site);
        expect(ours === undefined, site.path).toBe(!targeted);
        if (ours === undefined) continue;
        adapted += 1;
        expect(ours.parameters[0]!.shape[0], site.path).toBe(rank);
        expect(ours.form({}, { training: false } as never).lowRank!.scale).toBe(config.lora_alpha / rank);
      }
      expect(adapted).toBe(2 * ((r.first > 0 ? 32 : 0) + (r.repeats > 0 ? 16 : 0)));
    }
  });
});

describe('the compact form', async () => {
  const everything: Partial<RunConfigInput> = {
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
      gate: 'learned',
      residualScale: 0.7,
    },
    adapter: { kind: 'lora', r: { first: 2, repeats: 6 }, lora_alpha: 8 },
  };
  const fresh = () => path.join(mkdtempSync(path.join(tmpdir(), 'glulam-compact-')), 'adapter');

  test('gates, scales and ranks by uses come back bit for bit', async () => {
    const { config, composition } = tinyRun(everything);
    const model = await openModel(config, composition);
    await steps(model.decoder, 3);
    const folder = fresh();
    await writeAdapter(model.decoder, folder, { base: config.base, adapter: model.adapterChoice });
    const before = await logitsOf(model.decoder);
    await model.close();
    // PEFT could not run it, so nothing there looks as if it could.
    expect(readdirSync(folder).sort()).toEqual(['adapter_model.safetensors', 'glulam.json']);

    // Another config: what the folder says goes before it.
    const other = tinyRun({ expansion: undefined });
    const again = await openModel(other.config, other.composition, { adapterFolder: folder });
    expect(again.decoder.layers.filter(({ gate }) => gate === 'learned')).toHaveLength(4);
    expect(await logitsOf(again.decoder)).toEqual(before);
    await again.close();
  });

  test('a residual scale of 0, which hides adapters, is reported', async () => {
    const { config, composition } = tinyRun({ ...everything, adapter: { kind: 'lora', r: 2 } });
    const model = await openModel(config, composition);
    const folder = fresh();
    await writeAdapter(model.decoder, folder, { base: config.base, adapter: model.adapterChoice });
    const { spec } = model.decoder;
    await model.close();
    const file = path.join(folder, 'glulam.json');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"residualScale": 0.7', '"residualScale": 0'));
    expect(readAdapter(folder, composition.all(adapters), spec).warnings).toEqual([
      expect.stringMatching(
        /^residualScale is 0 in the virtual layers 4, 5, 8, 9: they and their adapters have no effect/,
      ),
    ]);
  });

  test('of what PEFT can say is PEFT’s form as well', async () => {
    const { config, composition } = tinyRun();
    const model = await openModel(config, composition);
    const folder = fresh();
    await writeAdapter(model.decoder, folder, { base: config.base, adapter: model.adapterChoice });
    await model.close();
    expect(readdirSync(folder).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors', 'glulam.json']);
    const peft = JSON.parse(readFileSync(path.join(folder, 'adapter_config.json'), 'utf8')) as object;
    expect(peft).toMatchObject({
      r: 8,
      layer_replication: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    });
  });

  test('what PEFT cannot say is refused for PEFT, by the field', async () => {
    await opened({ expansion: { kind: 'interleave', every: 4, gate: 'learned' } }, async (decoder) => {
      expect(layerMap(decoder.layers)).toEqual([
        [0, 4],
        [3, 8],
        [7, 8],
      ]);
      await expect(writePeftAdapter(decoder, fresh(), 'base')).rejects.toMatchObject({
        code: 'ADAPTER_NOT_PEFT',
        message: expect.stringMatching(/virtual layer 4 has gate/),
      });
    });
  });

  const { composition, config } = tinyRun();
  const { spec } = await openCheckpoint(config.base, composition.all(families));
  const kinds = [loraContribution as never];
  const good = {
    version: 1,
    base: config.base,
    shape: {
      physicalLayers: 8,
      hiddenSize: 192,
      intermediateSize: 512,
      heads: 6,
      keyValueHeads: 2,
      vocabularySize: 1024,
    },
    layers: [{ physical: 0 }],
    adapter: { kind: 'lora', options: {} },
  };
  const readJson = (value: unknown) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-compact-'));
    writeFileSync(path.join(folder, 'glulam.json'), typeof value === 'string' ? value : JSON.stringify(value));
    return readAdapter(folder, kinds, spec);
  };

  test.each([
    ['no JSON', '{', /cannot be read as JSON/],
    ['a newer version', { ...good, version: 2 }, /is of version 2; this Glulam reads version 1: update/],
    [
      'another base',
      { ...good, shape: { ...good.shape, hiddenSize: 64 } },
      /another base .*hiddenSize is 64, here 192/,
    ],
    [
      'an adapter that is not installed',
      { ...good, shape: dimensions(), adapter: { kind: 'x', options: {} } },
      /kind "x"; installed adapters: lora/,
    ],
    [
      'options of no use',
      { ...good, shape: dimensions(), adapter: { kind: 'lora', options: { r: -1 } } },
      /lora cannot follow/,
    ],
    [
      '300,000 layers',
      { ...good, layers: Array.from({ length: 300_000 }, () => ({ physical: -1 })) },
      /has 300000 layers; expected at most 4096/,
    ],
    ['no tensors', { ...good, shape: dimensions() }, /has no adapter_model.safetensors/],
  ])('refuses %s', (_, value, message) => expect(() => readJson(value)).toThrow(message));

  test('refuses whatever else is there with an ExportError', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => readJson(text)).toThrow(ExportError);
      }),
      { numRuns: 100, seed: 5 },
    );
  });

  function dimensions() {
    const { layers, hiddenSize, vocabularySize } = spec;
    const { heads, keyValueHeads } = attentionOf(layers[0]!)!;
    const { intermediateSize } = mlpOf(layers[0]!)!;
    return { physicalLayers: layers.length, hiddenSize, intermediateSize, heads, keyValueHeads, vocabularySize };
  }
});

test('a decoder without adapter trains its gates alone', async () => {
  const { config, composition } = tinyRun();
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const engine = createReferenceEngine({ precision: 'float32' });
  const layers = [{ physical: 0 }, { physical: 0, gate: 'learned' as const }];
  const decoder = await openDecoder({ engine, checkpoint, layers });
  expect([...decoder.parameters.keys()]).toEqual(['model.layers.1.gate']);
  decoder.close();
});
