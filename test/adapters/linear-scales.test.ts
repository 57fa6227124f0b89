import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { fullContribution } from '@glulam/adapter-full';
import { loraContribution } from '@glulam/adapter-lora';
import { mergekitStrategy } from '@glulam/expansion-recipes';
import {
  ExportError,
  exportGguf,
  mergeCheckpoint,
  readAdapter,
  sumSaved,
  writeAdapter,
  writePeftAdapter,
} from '@glulam/export';
import { readFloats, writeSafetensors } from '@glulam/files';
import {
  openDecoder,
  layerPath,
  llamaLinears,
  openCheckpoint,
  readFirstValues,
  unexpandedLayers,
  type Adapter,
  type AdapterValues,
  type Checkpoint,
  type Decoder,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine, normals, type Engine } from '@glulam/tensors';
import { frobenius, gradientsOf } from '@glulam/testing';
import { createOptimizer, labelBatch, openModel, trainStep } from '@glulam/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  answersOfCheckpoint,
  answersOfExpanded,
  biasedBase,
  difference,
  families,
  freshFolder,
  ia3,
  logitsAt,
  root,
  tiny,
} from '../support/expanded.js';
import { nativeEngines } from '../support/native-engines.js';
import { tfjsEngines } from '../support/tfjs-engines.js';
import { tinyRun } from '../support/tiny.js';

// A scale of a linear layer multiplies the base's weight and bias. So the expanded model with an adapter is the plain one of a
// checkpoint whose weights were scaled by hand, as mergekit writes it, with the same adapter: PEFT's arithmetic on such a
// checkpoint is what fixtures/golden compares.
const everyLinear = { ...Object.fromEntries(llamaLinears.map((linear, i) => [linear, 0.4 + 0.2 * i])) };
const layers: VirtualLayer[] = [
  { physical: 0 },
  { physical: 1 },
  { physical: 1, linearScales: { 'self_attn.q_proj': 0.84, 'self_attn.k_proj': 0.84, 'mlp.down_proj': -0.5 } },
  { physical: 0, linearScales: everyLinear },
  { physical: 2 },
];
const blocks: VirtualLayer[] = [
  ...layers,
  { physical: 2, linearScales: { 'self_attn.o_proj': 0, 'mlp.down_proj': 0 } },
  { physical: 1, linearScales: { 'self_attn.v_proj': 0 } },
];

/** The checkpoint that mergekit writes of such layers. */
async function scaledByHand({ spec, files, folder }: Checkpoint, map: readonly VirtualLayer[]): Promise<Checkpoint> {
  const out = freshFolder();
  cpSync(folder, out, { recursive: true });
  const file = path.join(out, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...config, num_hidden_layers: map.length }));
  const all = files.names();
  const put = (from: string, name: string, factor: number) => ({
    name,
    shape: files.source(from).shape,
    dtype: 'float32' as const,
    values: readFloats(files.source(from)).map((value) => factor * value),
  });
  await writeSafetensors(path.join(out, 'model.safetensors'), [
    ...all.filter((name) => !name.startsWith('model.layers.')).map((name) => put(name, name, 1)),
    ...map.flatMap(({ physical, linearScales }, virtual) => {
      const [from, to] = [`${layerPath(spec, physical)}.`, `${layerPath(spec, virtual)}.`];
      return all
        .filter((name) => name.startsWith(from))
        .map((name) => {
          const linear = llamaLinears.find((each) => name.slice(from.length).startsWith(each));
          return put(name, name.replace(from, to), (linear && linearScales?.[linear]) ?? 1);
        });
    }),
  ]);
  return openCheckpoint(out, families);
}

const lora = (options: object = {}) =>
  loraContribution.create(loraContribution.schema.parse({ r: 3, lora_alpha: 5, ...options }));
const dora = (options: object = {}) =>
  doraContribution.create(doraContribution.schema.parse({ r: 3, lora_alpha: 5, ...options }));

const batch = labelBatch(
  [11, 6].map((length, row) => ({
    ids: Int32Array.from({ length }, (_, i) => (i * 31 + row * 7 + 3) % 60),
    trained: new Uint8Array(length).fill(1),
  })),
);

let base: Checkpoint;
const byHand = new Map<readonly VirtualLayer[], Checkpoint>();
beforeAll(async () => {
  base = await openCheckpoint(await biasedBase(), families);
  for (const map of [layers, blocks]) byHand.set(map, await scaledByHand(base, map));
});

/** Values of all that a model trains, moved away from what they begin as: with B = 0 gradients of A are 0. */
async function moved(decoder: Decoder): Promise<AdapterValues> {
  const values = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const [name, tensor] of decoder.parameters) {
    const noise = normals(tensor.size, [3, 1, 4, values.size]);
    const first = (await decoder.engine.read(tensor)) as Float32Array;
    values.set(name, { shape: tensor.shape, values: first.map((value, i) => value + 0.1 * noise[i]!) });
  }
  return values;
}

async function expectSame(engine: Engine, map: readonly VirtualLayer[], adapter: Adapter): Promise<void> {
  const plain = { engine, checkpoint: byHand.get(map)!, adapter, seed: 5 };
  const scaled = { engine, checkpoint: base, layers: map, adapter, seed: 5 };
  const [fresh, freshByHand] = [await openDecoder(scaled), await openDecoder(plain)];
  // What looks at the frozen weight for its first values (DoRA's magnitudes) sees the scaled one.
  expect([...fresh.parameters.keys()]).toEqual([...freshByHand.parameters.keys()]);
  for (const [name, tensor] of fresh.parameters) {
    const [got, first] = [await engine.read(tensor), await engine.read(freshByHand.parameters.get(name)!)];
    const { distance, norm } = frobenius(got as Float32Array, first as Float32Array);
    expect(distance, name).toBeLessThanOrEqual(1e-5 * norm);
  }
  const adapterValues = await moved(freshByHand);
  fresh.close();
  freshByHand.close();

  const [decoder, expected] = [
    await openDecoder({ ...scaled, adapterValues }),
    await openDecoder({ ...plain, adapterValues }),
  ];
  expect(difference(await logitsAt(decoder, batch), await logitsAt(expected, batch))).toBeLessThan(1e-4);
  const theirs = await gradientsOf(expected, batch);
  for (const recompute of [false, true]) {
    const { loss, gradients } = await gradientsOf(decoder, batch, recompute);
    expect(Math.abs(loss - theirs.loss)).toBeLessThan(1e-4);
    expect([...gradients.keys()].sort()).toEqual([...theirs.gradients.keys()].sort());
    for (const [name, gradient] of gradients) {
      const { distance, norm } = frobenius(gradient, theirs.gradients.get(name)!);
      expect(distance, name).toBeLessThan(Math.max(1e-3 * norm, 1e-6));
    }
  }
  decoder.close();
  expected.close();
  expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
}

const engines = [
  ['reference', () => Promise.resolve(createReferenceEngine())] as const,
  ...[...nativeEngines(), ...tfjsEngines()].map(([name, open]) => [name, () => open('float32')] as const),
];

describe.each(engines)('%s: scaled linear layers are those of a checkpoint that was scaled by hand', (_, open) => {
  let engine: Engine;
  beforeAll(async () => void (engine = await open()));
  afterAll(() => engine.close());

  test('without an adapter', async () => {
    const decoder = await openDecoder({ engine, checkpoint: base, layers: blocks });
    const expected = await openDecoder({ engine, checkpoint: byHand.get(blocks)! });
    expect(difference(await logitsAt(decoder, batch), await logitsAt(expected, batch))).toBeLessThan(1e-4);
    decoder.close();
    expected.close();
    expect(engine.memory().tensors).toBe(0);
  });
  test('LoRA, with scales of 0 too', () => expectSame(engine, blocks, lora()));
  test('DoRA', () => expectSame(engine, layers, dora()));
});

describe('of other adapters', () => {
  const engine = createReferenceEngine();
  test.each<[string, () => Adapter]>([
    ['LoRA of some linear layers', () => lora({ target_modules: ['q_proj', 'down_proj'] })],
    ['one that scales inputs and outputs', () => ia3.create({})],
  ])('%s', (_, adapter) => expectSame(engine, layers, adapter()));

  test.each<[string, () => Adapter]>([
    ['LoRA', () => lora({ lora_dropout: 0.4 })],
    ['DoRA, which computes its outputs itself then', () => dora({ lora_dropout: 0.4 })],
  ])('%s with dropout in training', async (_, make) => {
    const adapter = make();
    const plain = await openDecoder({ engine, checkpoint: byHand.get(layers)!, adapter });
    const adapterValues = await moved(plain);
    plain.close();
    const outputs: Float32Array[] = [];
    for (const model of [{ checkpoint: base, layers }, { checkpoint: byHand.get(layers)! }]) {
      const decoder = await openDecoder({ engine, adapter, adapterValues, ...model });
      const hidden = await decoder.forward(batch, { training: { seed: 1, step: 2 } });
      outputs.push((await engine.read(hidden)) as Float32Array);
      hidden.release();
      decoder.close();
    }
    expect(difference(outputs[0]!, outputs[1]!)).toBeLessThan(1e-4);
  });

  test('copies of scaled weights and biases begin scaled, and are trained as they are', async () => {
    // Each tensor once: copies that uses share have a gradient that is the sum of theirs.
    const once = layers.slice(2);
    byHand.set(once, await scaledByHand(base, once));
    await expectSame(engine, once, fullContribution.create({}));
    await expectSame(engine, once, lora({ target_modules: ['q_proj', 'v_proj'], bias: 'all' }));
    await expectSame(engine, once, lora({ target_modules: ['v_proj'], modules_to_save: ['q_proj', 'down_proj'] }));
    const own = once.map((layer): VirtualLayer => ({ ...layer, weights: 'own' }));
    byHand.set(own, await scaledByHand(base, own));
    const decoder = await openDecoder({ engine, checkpoint: base, layers: own });
    const expected = await openDecoder({ engine, checkpoint: byHand.get(own)! });
    expect(difference(await logitsAt(decoder, batch), await logitsAt(expected, batch))).toBeLessThan(1e-4);
  });

  test('uses whose scales differ do not share a copy', async () => {
    const { copies } = await openDecoder({
      engine,
      checkpoint: base,
      layers: [...layers, layers[2]!],
      adapter: lora({ bias: 'all' }),
    });
    const below = (layer: number) => `model.layers.${layer}.self_attn.q_proj.base_layer.bias`;
    const names = copies
      .filter(({ source }) => source === 'model.layers.1.self_attn.q_proj.bias')
      .map(({ name, aliases, startScale }) => [name, aliases, startScale]);
    expect(names).toEqual([
      [below(1), [], 1],
      [below(2), [below(5)], 0.84],
    ]);
  });

  test('PiSSA begins with the principal parts of the scaled weight', async () => {
    for (const adapter of [lora({ init_lora_weights: 'pissa' }), dora({ init_lora_weights: 'pissa' })]) {
      const values = async (checkpoint: Checkpoint, map: readonly VirtualLayer[]) =>
        readFirstValues({ engine, checkpoint, layers: map, adapter });
      const [ours, theirs] = [await values(base, layers), await values(byHand.get(layers)!, unexpandedLayers(5))];
      const rank = 3;
      for (const module of [2, 3].flatMap((layer) => llamaLinears.map((linear) => `model.layers.${layer}.${linear}`))) {
        // The sign of a pair of singular vectors is free, their product is not.
        const product = (from: AdapterValues) => {
          const [A, B] = [from.get(`${module}.lora_A.weight`)!, from.get(`${module}.lora_B.weight`)!];
          const width = A.shape[1]!;
          return Float32Array.from({ length: B.shape[0]! * width }, (_, at) => {
            const row = Math.floor(at / width) * 2 * rank;
            let sum = 0;
            for (let k = 0; k < rank; k++) sum += B.values[row + k]! * A.values[k * width + (at % width)]!;
            return sum;
          });
        };
        const { distance, norm } = frobenius(product(ours), product(theirs));
        expect(distance, module).toBeLessThan(1e-3 * norm);
      }
      const decoder = await openDecoder({ engine, checkpoint: base, layers, adapter, firstValues: ours });
      const bare = await openDecoder({ engine, checkpoint: byHand.get(layers)! });
      expect(difference(await logitsAt(decoder, batch), await logitsAt(bare, batch))).toBeLessThan(1e-4);
      decoder.close();
      bare.close();
    }
  });

  test('DoRA and PiSSA on a weight that is scaled by 0 are refused', async () => {
    const opened = (adapter: Adapter) => () => openDecoder({ engine, checkpoint: base, layers: blocks, adapter });
    await expect(opened(dora())).rejects.toThrow(
      /layers\.5\.self_attn\.o_proj has a weight that is scaled by 0: DoRA divides by .* use the kind lora/,
    );
    (await opened(dora({ target_modules: ['q_proj'] }))()).close();
    await expect(opened(lora({ init_lora_weights: 'pissa' }))).rejects.toThrow(
      /scaled by 0, and init_lora_weights "pissa"/,
    );
  });
});

describe('files', () => {
  const saved = async (adapter: Adapter, map: readonly VirtualLayer[], kind: string) => {
    const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint: base, layers: map, adapter });
    return { adapter, choice: { kind, options: {} }, values: await moved(decoder) };
  };

  test.each<[string, readonly VirtualLayer[], () => Adapter]>([
    ['lora', blocks, () => lora()],
    ['dora', layers, () => dora()],
    ['ia3', blocks, () => ia3.create({})],
    ['full', blocks, () => fullContribution.create({})],
    ['lora', blocks, () => lora({ target_modules: ['v_proj', 'o_proj'], bias: 'all' })],
  ])('%s merges into a checkpoint with the same logits and greedy tokens', async (kind, map, adapter) => {
    const source = { checkpoint: base, layers: map, saved: await saved(adapter(), map, kind) };
    const out = path.join(freshFolder(), 'merged');
    await mergeCheckpoint(source, { out, dtype: 'float32' });
    const [expected, got] = [await answersOfExpanded(source), await answersOfCheckpoint(out)];
    expect(difference(got.logits, expected.logits)).toBeLessThan(1e-4);
    expect(got.tokens).toEqual(expected.tokens);
  });

  test('a weighted sum merges as it computes', async () => {
    const parts = await Promise.all(
      [lora(), dora({ target_modules: ['q_proj', 'down_proj'] })].map(async (adapter, i) => {
        const part = await saved(adapter, layers, adapter.kind);
        return { name: `${i}`, weight: 0.5 + i, saved: { ...part, layers, base: undefined, warnings: [] } };
      }),
    );
    const source = { checkpoint: base, layers, saved: sumSaved(base, layers, parts) };
    const out = path.join(freshFolder(), 'merged');
    await mergeCheckpoint(source, { out, dtype: 'float32' });
    expect(difference((await answersOfCheckpoint(out)).logits, (await answersOfExpanded(source)).logits)).toBeLessThan(
      1e-4,
    );
    const others = layers.map(({ physical }) => ({ physical }));
    expect(() => sumSaved(base, others, parts)).toThrow(/2 with linearScales {"self_attn.q_proj":0.84,/);
  });

  test('the merge and the GGUF file are those of the checkpoint that was scaled by hand', async () => {
    const folder = freshFolder();
    const [ours, theirs] = ['ours', 'theirs'].map((name) => path.join(folder, name)) as [string, string];
    const tinyBase = await openCheckpoint(tiny, families);
    const map = mergekitStrategy.expand(8, { file: path.join(root, 'fixtures/mergekit/files/qk.yml') }, llamaLinears);
    const plain = await scaledByHand(tinyBase, map);
    await mergeCheckpoint({ checkpoint: tinyBase, layers: map }, { out: ours, dtype: 'float32' });
    const merged = await openCheckpoint(ours, families);
    const bytes = (from: Checkpoint, name: string) => Buffer.from(readFloats(from.files.source(name)).buffer);
    for (const name of plain.files.names()) expect(bytes(merged, name).equals(bytes(plain, name)), name).toBe(true);
    const gguf = async (checkpoint: Checkpoint, expansion: readonly VirtualLayer[], to: string) => {
      await exportGguf({ checkpoint, layers: expansion }, { file: `${to}.gguf`, type: 'f32' });
      return readFileSync(`${to}.gguf`);
    };
    const [got, expected] = [await gguf(tinyBase, map, ours), await gguf(plain, unexpandedLayers(12), theirs)];
    // Names in the head differ with the folders; the tensors, which end the file, do not.
    const size = plain.files
      .names()
      .reduce((sum, name) => sum + 4 * plain.files.source(name).shape.reduce((a, b) => a * b, 1), 0);
    expect(got.subarray(-size).equals(expected.subarray(-size))).toBe(true);
  });

  test('the compact form has them, and PEFT’s files cannot', async () => {
    const adapter = lora();
    const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint: base, layers: blocks, adapter });
    const folder = path.join(freshFolder(), 'adapter');
    const choice = { kind: 'lora', options: loraContribution.schema.parse({ r: 3, lora_alpha: 5 }) };
    await writeAdapter(decoder, folder, { base: 'base', adapter: choice });
    const kinds = [loraContribution];
    const read = readAdapter(folder, kinds, base.spec);
    expect(read.layers).toEqual(blocks);
    await expect(writePeftAdapter(decoder, folder, 'base')).rejects.toThrow(
      /virtual layer 2 has linearScales, which PEFT's files cannot say/,
    );
    const file = path.join(folder, 'glulam.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"self_attn.q_proj": 0.84', '"self_attn.qkv_proj": 0.84'));
    expect(() => readAdapter(folder, kinds, base.spec)).toThrow(ExportError);
  });

  test('records that scale what is no linear layer, or by no number, are refused', async () => {
    const opened = (linearScales: Readonly<Record<string, number>>) => async () =>
      await openDecoder({ engine: createReferenceEngine(), checkpoint: base, layers: [{ physical: 0, linearScales }] });
    await expect(opened({ input_layernorm: 2 })).rejects.toThrow(
      /virtual layer 0 scales input_layernorm; its linear layers are/,
    );
    await expect(opened({ 'mlp.up_proj': NaN })).rejects.toThrow(/virtual layer 0 has the scale NaN of mlp.up_proj/);
  });
});

test('a published block expansion begins as its base, and every layer learns', async () => {
  const file = path.join(root, 'fixtures/mergekit/files/blockexp.yml');
  const { config, composition } = tinyRun({
    expansion: { kind: 'mergekit', file },
    adapter: { kind: 'lora', r: 4, lora_alpha: 8 },
    precision: 'float32',
  });
  const { decoder, warnings, close } = await openModel(config, composition);
  const bare = await openDecoder({ engine: decoder.engine, checkpoint: decoder.checkpoint });
  expect(difference(await logitsAt(decoder, batch), await logitsAt(bare, batch))).toBeLessThan(1e-5);
  expect(warnings.at(-1)).toBe(`${file}: no effect here: dtype (for the files that mergekit writes)`);
  bare.close();

  const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
  });
  for (let step = 0; step < 3; step++)
    await trainStep(decoder, optimizer, [batch], {
      step,
      seed: 3,
      learningRate: 1e-2,
      maxGradientNorm: 1,
      recompute: false,
    });
  optimizer.close();
  const dead: string[] = [];
  for (const [name, tensor] of decoder.parameters)
    if (name.endsWith('lora_B.weight') && !(await decoder.engine.read(tensor)).some((value) => value !== 0))
      dead.push(name);
  expect(decoder.layers).toHaveLength(10);
  expect(dead).toEqual([]);
  await close();
});
