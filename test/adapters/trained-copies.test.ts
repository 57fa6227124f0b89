import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { fullContribution, noneContribution } from '@glulam/adapter-full';
import { loraContribution } from '@glulam/adapter-lora';
import { llamaProStrategy } from '@glulam/expansion-recipes';
import { describeMerged, mergeCheckpoint, readPeftAdapter, writePeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats, writeSafetensors } from '@glulam/files';
import {
  openDecoder,
  openCheckpoint,
  packTokens,
  unexpandedLayers,
  llamaLinears,
  type Adapter,
  type AdapterValues,
  type Decoder,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine, normals, type Engine } from '@glulam/tensors';
import { expectGradients, expectTraining, type GoldenCase, gradientsOf, openGolden, rowsOf } from '@glulam/testing';
import { labelBatch, type LabelledBatch } from '@glulam/trainer';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  answersOf,
  answersOfCheckpoint,
  difference,
  families,
  freshFolder,
  logitsAt,
  root,
} from '../support/expanded.js';
import { nativeEngines } from '../support/native-engines.js';
import { tfjsEngines } from '../support/tfjs-engines.js';

// Training of the base's own tensors. fixtures/trained holds what transformers and PEFT computed, tools/peer/make_trained.py
// says how; tolerances are those of fixtures/golden/README.md.
const fixtures = path.join(root, 'fixtures/trained');
const adapters = [loraContribution, doraContribution];
const peftCases = ['untied-modules', 'padding', 'tied-apart', 'tied-together', 'biases-of-some', 'all-biases'];
const full = fullContribution.create({});
const peftPrefix = 'base_model.model.';

async function openCase(golden: GoldenCase, engine: Engine): Promise<Decoder> {
  if (peftCases.includes(golden.name)) return golden.open(engine, families, adapters);
  const checkpoint = await openCheckpoint(path.join(fixtures, golden.name, 'base'), families);
  return openDecoder({ engine, checkpoint, adapter: full });
}

const engines = [
  ['reference', () => Promise.resolve(createReferenceEngine())] as const,
  ...[...nativeEngines(), ...tfjsEngines()].map(([name, open]) => [name, () => open('float32')] as const),
];

describe.each(engines)('%s computes what transformers and PEFT do', (_, open) => {
  let engine: Engine;
  beforeAll(async () => void (engine = await open()));
  afterAll(() => engine.close());

  test.each(['full', 'full-tied', 'padding-tied', ...peftCases])('%s', async (name) => {
    const golden = openGolden(path.join(fixtures, name));
    const batch = { ...golden.batch, labels: golden.labels };
    const decoder = await openCase(golden, engine);
    const trained = [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    expect(trained).toBe(golden.facts.trainable_parameters);

    expect(difference(await logitsAt(decoder, batch), rowsOf(golden, 'logits'))).toBeLessThan(1e-4);
    await expectGradients(decoder, golden, batch, peftCases.includes(name) ? peftPrefix : '');
    await expectTraining(decoder, golden, batch);
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });
});

describe('PEFT’s files', () => {
  test.each(peftCases)('%s: written as PEFT wrote it, name by name and bit for bit', async (name) => {
    const golden = openGolden(path.join(fixtures, name));
    const decoder = await golden.open(createReferenceEngine(), families, adapters);
    const folder = path.join(freshFolder(), 'adapter');
    await writePeftAdapter(decoder, folder, 'base');
    const [theirs, ours] = [path.join(fixtures, name, 'adapter'), folder].map((each) =>
      openSafetensors(path.join(each, 'adapter_model.safetensors')),
    );
    expect([...ours!.names()].sort()).toEqual([...theirs!.names()].sort());
    for (const tensor of theirs!.names())
      expect(readFloats(ours!.source(tensor)), tensor).toEqual(readFloats(theirs!.source(tensor)));
    const [before, after] = [path.join(fixtures, name, 'adapter'), folder].map(
      (each) => JSON.parse(readFileSync(path.join(each, 'adapter_config.json'), 'utf8')) as Record<string, unknown>,
    );
    for (const field of ['bias', 'modules_to_save', 'layer_replication', 'use_dora'])
      expect(after![field], field).toEqual(before![field]);
    expect(after!['ensure_weight_tying'] ?? false).toBe(before!['ensure_weight_tying']);
  });

  test('bias all with a module to save: what PEFT saves more than once is read once', async () => {
    const folder = path.join(freshFolder(), 'adapter');
    cpSync(path.join(fixtures, 'tied-together/adapter'), folder, { recursive: true });
    const config = path.join(folder, 'adapter_config.json');
    const fields = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
    writeFileSync(
      config,
      JSON.stringify({ ...fields, modules_to_save: ['model.embed_tokens', 'layers.1.self_attn.k_proj'] }),
    );
    const file = path.join(folder, 'adapter_model.safetensors');
    const saved = openSafetensors(file);
    const copy = (
      name: string,
      to = name,
      shape = saved.source(name).shape,
      values = readFloats(saved.source(name)),
    ) => ({ name: to, shape, dtype: 'float32' as const, values });
    const module = `${peftPrefix}model.layers.1.self_attn.k_proj`;
    await writeSafetensors(file, [
      ...saved.names().map((name) => copy(name)),
      copy(`${module}.bias`, `${module}.original_module.bias`),
      copy(`${module}.bias`, `${module}.modules_to_save.default.bias`),
      { name: `${module}.weight`, shape: [12, 24], dtype: 'float32', values: new Float32Array(12 * 24) },
    ]);
    const checkpoint = await openCheckpoint(path.join(fixtures, 'tied-together/base'), families);
    const { adapter, layers, values } = readPeftAdapter(folder, adapters, checkpoint.spec);
    const decoder = await openDecoder({
      engine: createReferenceEngine(),
      checkpoint,
      adapter,
      layers,
      adapterValues: values,
    });
    expect(decoder.parameters.get('model.layers.1.self_attn.k_proj.weight')?.shape).toEqual([12, 24]);
  });

  test('a shared bias that differs between virtual layers is refused', async () => {
    const folder = path.join(fixtures, 'tied-apart');
    const checkpoint = await openCheckpoint(path.join(folder, 'base'), families);
    const { adapter, layers, values } = readPeftAdapter(path.join(folder, 'adapter'), adapters, checkpoint.spec);
    const other = 'model.layers.2.self_attn.q_proj.base_layer.bias';
    const changed = new Map([...values, [other, { shape: [24], values: new Float32Array(24).fill(1) }]]);
    const options = { engine: createReferenceEngine(), checkpoint, adapter, layers };
    await expect(() => openDecoder({ ...options, adapterValues: changed })).rejects.toThrow(
      /layers\.2\.self_attn\.q_proj\.base_layer\.bias differs from model\.layers\.1\.self_attn.*one tensor/,
    );
    // One of the names is enough.
    const fewer = new Map(values);
    fewer.delete(other);
    expect((await openDecoder({ ...options, adapterValues: fewer })).parameters.size).toBe(values.size - 2);
  });
});

describe('options that do not fit', async () => {
  const checkpoint = await openCheckpoint(path.join(fixtures, 'full/base'), families);
  const opened = async (options: object, layers = unexpandedLayers(2)) =>
    await openDecoder({
      engine: createReferenceEngine(),
      checkpoint,
      layers,
      adapter: loraContribution.create(loraContribution.schema.parse(options)),
    });
  test.each<[string, object, RegExp]>([
    [
      'a misspelt module',
      { modules_to_save: ['embed_token', 'lm_head'] },
      /names "embed_token", which no module.*embed_tokens, input_layernorm/,
    ],
    ['the list of layers itself', { modules_to_save: ['model.layers'] }, /names "model.layers"/],
    [
      'a linear layer with an adapter',
      { modules_to_save: ['proj'] },
      /layers\.0\.self_attn\.q_proj\.weight would be trained as a whole and by an adapter/,
    ],
  ])('%s', async (_, options, message) => await expect(() => opened(options)).rejects.toThrow(message));
  test('a start at zero with shared weights', async () => {
    await expect(() => opened({}, [{ physical: 0, start: 'zero' }])).rejects.toThrow(
      /virtual layer 0 is to start at zero and shares/,
    );
  });
});

const batchOf = (vocabulary: number): LabelledBatch =>
  labelBatch(
    [11, 6].map((length, row) => ({
      ids: Int32Array.from({ length }, (_, i) => (i * 31 + row * 7 + 3) % vocabulary),
      trained: new Uint8Array(length).fill(1),
    })),
  );

/** Random values for all that a model trains, copies near the base's. */
async function randomTrained(decoder: Decoder): Promise<AdapterValues> {
  const values = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const [name, tensor] of decoder.parameters) {
    const before = (await decoder.engine.read(tensor)) as Float32Array;
    const noise = normals(before.length, [3, 1, 4, values.size]);
    values.set(name, { shape: tensor.shape, values: before.map((value, i) => value + 0.1 * noise[i]!) });
  }
  return values;
}

describe('virtual layers with weights of their own', async () => {
  const base = path.join(fixtures, 'full-tied/base');
  const checkpoint = await openCheckpoint(base, families);
  const { vocabularySize } = checkpoint.spec;
  const layers: VirtualLayer[] = [
    { physical: 0 },
    { physical: 0, weights: 'own', residualScale: 0.7 },
    { physical: 1 },
    { physical: 1, weights: 'own', gate: 'learned' },
  ];

  test('LLaMA-Pro’s begin as the base bit for bit, and they alone are trained', async () => {
    const engine = createReferenceEngine();
    const batch = batchOf(vocabularySize);
    const expanded = llamaProStrategy.expand(2, { layers: 4 }, llamaLinears);
    const decoder = await openDecoder({ engine, checkpoint, layers: expanded, adapter: noneContribution.create({}) });
    const bare = await openDecoder({ engine, checkpoint });
    const hidden = await Promise.all([decoder, bare].map((each) => each.forward(batch)));
    expect(await engine.read(hidden[0]!)).toEqual(await engine.read(hidden[1]!));
    expect(decoder.parameters.size).toBe(2 * 16);
    for (const name of decoder.parameters.keys()) expect(name).toMatch(/^model\.layers\.[13]\./);
    const { gradients } = await gradientsOf(decoder, batch);
    const moved = [...gradients].filter(([, gradient]) => gradient.some((value) => value !== 0));
    expect(moved.map(([name]) => name).sort()).toEqual(
      [1, 3].flatMap((layer) =>
        ['mlp.down_proj.bias', 'mlp.down_proj.weight', 'self_attn.o_proj.bias', 'self_attn.o_proj.weight'].map(
          (name) => `model.layers.${layer}.${name}`,
        ),
      ),
    );
  });

  test('have the gradients that numeric differences give', async () => {
    const engine = createReferenceEngine();
    const batch = batchOf(vocabularySize);
    const values = await randomTrained(await openDecoder({ engine, checkpoint, layers }));
    const lossAt = async (name: string, at: number, by: number): Promise<number> => {
      const { shape, values: before } = values.get(name)!;
      const changed = new Map([
        ...values,
        [name, { shape, values: before.map((value, i) => (i === at ? value + by : value)) }],
      ]);
      const decoder = await openDecoder({ engine, checkpoint, layers, adapterValues: changed });
      const { loss } = await gradientsOf(decoder, batch);
      decoder.close();
      return loss;
    };
    const decoder = await openDecoder({ engine, checkpoint, layers, adapterValues: values });
    const { gradients } = await gradientsOf(decoder, batch);
    expect(gradients.size).toBe(decoder.parameters.size);
    const step = 1e-2;
    for (const [name, gradient] of gradients) {
      const at = gradient.length >> 1;
      const numeric = ((await lossAt(name, at, step)) - (await lossAt(name, at, -step))) / (2 * step);
      expect(Math.abs(numeric - gradient[at]!), name).toBeLessThan(1e-3 + 0.05 * Math.abs(numeric));
    }
  });

  test('merge into a plain checkpoint with the same logits, whose whole training gives the same gradients', async () => {
    const engine = createReferenceEngine();
    const batch = batchOf(vocabularySize);
    const unscaled = layers.map(({ physical, weights }): VirtualLayer => ({ physical, ...(weights && { weights }) }));
    const values = await randomTrained(await openDecoder({ engine, checkpoint, layers: unscaled }));
    const out = path.join(freshFolder(), 'merged');
    const adapter = noneContribution.create({});
    const saved = { adapter, choice: { kind: 'none', options: {} }, values };
    await mergeCheckpoint({ checkpoint, layers: unscaled, saved }, { out, dtype: 'float32' });
    const decoder = await openDecoder({ engine, checkpoint, layers: unscaled, adapter, adapterValues: values });
    const merged = await openDecoder({ engine, checkpoint: await openCheckpoint(out, families), adapter: full });
    const [own, whole] = [await gradientsOf(decoder, batch), await gradientsOf(merged, batch)];
    expect(own.loss).toBe(whole.loss);
    expect(own.gradients.size).toBe(2 * 16);
    for (const [name, gradient] of own.gradients) expect(gradient, name).toEqual(whole.gradients.get(name));
  });

  test('untrained they merge as they begin', async () => {
    const source = { checkpoint, layers: llamaProStrategy.expand(2, { layers: 4 }, llamaLinears) };
    const tensors = new Map(describeMerged(source).tensors.map((tensor) => [tensor.name, tensor]));
    const read = async (name: string) => (await tensors.get(name)!.open())(3, 5);
    expect(await read('model.layers.1.mlp.down_proj.weight')).toEqual(new Float32Array(2 * 40));
    expect(await read('model.layers.1.mlp.up_proj.weight')).toEqual(
      readFloats(checkpoint.files.source('model.layers.0.mlp.up_proj.weight'), 3, 5),
    );
  });
});

describe('merged logits and greedy tokens are the trained model’s', () => {
  const check = async (folder: string, layers: readonly VirtualLayer[], adapter: Adapter): Promise<string> => {
    const checkpoint = await openCheckpoint(path.join(fixtures, folder, 'base'), families);
    const fresh = await openDecoder({ engine: createReferenceEngine(), checkpoint, layers, adapter });
    const values = await randomTrained(fresh);
    const out = path.join(freshFolder(), 'merged');
    const saved = { adapter, choice: { kind: adapter.kind, options: {} }, values };
    await mergeCheckpoint({ checkpoint, layers, saved }, { out, dtype: 'float32', shardBytes: 60_000 });
    const [expected, got] = [
      await answersOf((engine) => openDecoder({ engine, checkpoint, layers, adapter, adapterValues: values })),
      await answersOfCheckpoint(out),
    ];
    expect(difference(got.logits, expected.logits)).toBeLessThan(1e-4);
    expect(got.tokens).toEqual(expected.tokens);
    return out;
  };
  const tiedIn = (folder: string): unknown =>
    (JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as Record<string, unknown>)[
      'tie_word_embeddings'
    ];
  const lora = (options: object): Adapter =>
    loraContribution.create(loraContribution.schema.parse({ r: 2, ...options }));
  const expanded: VirtualLayer[] = [
    { physical: 0 },
    { physical: 1 },
    { physical: 0, residualScale: 0.6 },
    { physical: 1, weights: 'own', gate: 'learned' },
  ];

  test('the whole model, expanded', async () => {
    expect(tiedIn(await check('full-tied', expanded, full))).toBe(true);
    await check('full', expanded, full);
  });

  test('one of a tied pair alone: the merged model is tied no longer', async () => {
    expect(tiedIn(await check('full-tied', expanded, lora({ modules_to_save: ['embed_tokens'] })))).toBe(false);
    expect(tiedIn(await check('full-tied', expanded, lora({ modules_to_save: ['lm_head'] })))).toBe(false);
    const both = { modules_to_save: ['lm_head'], ensure_weight_tying: true, bias: 'all' };
    expect(tiedIn(await check('full-tied', expanded, lora(both)))).toBe(true);
  });

  test('any map with any of it', async () => {
    const layer = fc.record(
      {
        physical: fc.nat(1),
        weights: fc.constant('own' as const),
        gate: fc.constant('learned' as const),
        residualScale: fc.double({ min: -1, max: 1, noNaN: true }),
      },
      { requiredKeys: ['physical'] },
    );
    const modules = fc.subarray(['embed_tokens', 'lm_head', 'norm', 'mlp', 'k_proj', 'o_proj']);
    const options = fc.record({ modules_to_save: modules, bias: fc.constantFrom('none', 'all', 'lora_only') });
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), options, async (layers, chosen) => {
        // A module to save must be somewhere: not in layers that have all of their own.
        await check('full-tied', [{ physical: 1 }, ...layers], lora(chosen));
      }),
      { numRuns: 12, seed: 6 },
    );
  });

  test('the logits of PEFT’s own adapters', async () => {
    for (const name of peftCases) {
      const golden = openGolden(path.join(fixtures, name));
      const checkpoint = await openCheckpoint(path.join(fixtures, name, 'base'), families);
      const { layers, ...saved } = readPeftAdapter(path.join(fixtures, name, 'adapter'), adapters, checkpoint.spec);
      const out = path.join(freshFolder(), 'merged');
      await mergeCheckpoint({ checkpoint, layers: layers!, saved }, { out, dtype: 'float32' });
      const engine = createReferenceEngine();
      const decoder = await openDecoder({ engine, checkpoint: await openCheckpoint(out, families) });
      const hidden = await decoder.forward(packTokens([[...golden.batch.ids.subarray(0, 14)]]));
      const logits = await engine.read(
        decoder.logits(
          hidden,
          Array.from({ length: 14 }, (_, i) => i),
        ),
      );
      expect(difference(logits as Float32Array, rowsOf(golden, 'logits').subarray(0, 14 * 72)), name).toBeLessThan(
        1e-4,
      );
    }
  });
});
