import { readFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { readAdapter, writeAdapter } from '@glulam/export';
import { openSafetensors, readFloats } from '@glulam/files';
import {
  openDecoder,
  openCheckpoint,
  packTokens,
  readFirstValues,
  type AdapterContribution,
  type AdapterValues,
  type Decoder,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine, type Engine } from '@glulam/tensors';
import { expectGradients, expectTraining, frobenius, type GoldenCase, openGolden, rowsOf } from '@glulam/testing';
import { createOptimizer, labelBatch, trainStep } from '@glulam/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { difference, families, freshFolder, logitsAt, root, tiny } from '../support/expanded.js';
import { nativeEngines } from '../support/native-engines.js';
import { tfjsEngines } from '../support/tfjs-engines.js';

// PiSSA (Meng et al. 2024). fixtures/pissa holds what PEFT computed, tools/peer/make_pissa.py says how; tolerances are
// those of fixtures/golden/README.md. PEFT changes its base, Glulam has a constant in the adapter instead.
const fixtures = path.join(root, 'fixtures/pissa');
const peftPrefix = 'base_model.model.';
const kinds = [loraContribution, doraContribution];
const adamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

type CaseName = 'lora' | 'rslora' | 'dora';
const cases: Readonly<
  Record<CaseName, { readonly contribution: AdapterContribution; readonly options: object; readonly scale: number }>
> = {
  lora: { contribution: loraContribution, options: { r: 3, lora_alpha: 5 }, scale: 5 / 3 },
  rslora: {
    contribution: loraContribution,
    options: { r: 3, lora_alpha: 5, use_rslora: true },
    scale: 5 / Math.sqrt(3),
  },
  dora: { contribution: doraContribution, options: { r: 3, lora_alpha: 5 }, scale: 5 / 3 },
};
const names = Object.keys(cases) as CaseName[];

const choiceOf = (name: CaseName) => {
  const { contribution, options } = cases[name];
  return { kind: contribution.kind, options: contribution.schema.parse({ ...options, init_lora_weights: 'pissa' }) };
};
const adapterOf = (name: CaseName) => cases[name].contribution.create(choiceOf(name).options);
const openBase = async (name: CaseName) => await openCheckpoint(path.join(fixtures, name, 'base'), families);

/** What PEFT began with, as Glulam has it: [A; A0] and [B, -B0]. */
function peftValues(golden: GoldenCase): AdapterValues {
  const initial = golden.tensors.names().filter((name) => name.startsWith('init.'));
  return new Map(
    initial.map((name) => {
      const source = golden.tensors.source(name);
      const values = readFloats(source);
      const [rows, columns] = source.shape as [number, number];
      const short = name.slice('init.'.length + peftPrefix.length).replace(/_vector\.weight$/, '_vector');
      if (short.endsWith('lora_A.weight'))
        return [short, { shape: [2 * rows, columns], values: Float32Array.of(...values, ...values) }];
      if (!short.endsWith('lora_B.weight')) return [short, { shape: source.shape, values }];
      const whole = Float32Array.from({ length: 2 * rows * columns }, (_, at) => {
        const [row, column] = [Math.floor(at / (2 * columns)), at % (2 * columns)];
        return column < columns ? values[row * columns + column]! : -values[row * columns + column - columns]!;
      });
      return [short, { shape: [rows, 2 * columns], values: whole }];
    }),
  );
}

/** B A of the first `rank` columns and rows, times a scale. */
function product(values: AdapterValues, module: string, rank: number, scale: number): Float32Array {
  const [A, B] = [values.get(`${module}.lora_A.weight`)!, values.get(`${module}.lora_B.weight`)!];
  const [width, inner] = [A.shape[1]!, B.shape[1]!];
  return Float32Array.from({ length: B.shape[0]! * width }, (_, at) => {
    const [o, i] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += B.values[o * inner + k]! * A.values[k * width + i]!;
    return scale * sum;
  });
}

const few = packTokens([[1, 5, 9, 13, 2, 40]]);

const engines = [
  ['reference', () => Promise.resolve(createReferenceEngine())] as const,
  ...[...nativeEngines(), ...tfjsEngines()].map(([name, open]) => [name, () => open('float32')] as const),
];

describe.each(engines)('%s computes what PEFT does', (_, open) => {
  let engine: Engine;
  beforeAll(async () => void (engine = await open()));
  afterAll(() => engine.close());

  test.each(names)('%s: first values', async (name) => {
    const theirs = peftValues(openGolden(path.join(fixtures, name)));
    const { scale } = cases[name];
    const ours = await readFirstValues({ engine, checkpoint: await openBase(name), adapter: adapterOf(name) });
    const modules = [...ours.keys()]
      .filter((each) => each.endsWith('lora_A.weight'))
      .map((each) => each.replace('.lora_A.weight', ''));
    expect(modules).toHaveLength(14);
    for (const module of modules) {
      // Signs of singular vectors are free; B0 A0 is not.
      const [got, expected] = [product(ours, module, 3, scale), product(theirs, module, 3, scale)];
      const { distance, norm } = frobenius(got, expected);
      expect(distance, module).toBeLessThan(1e-4 * norm);
      // What is behind is what is in front, so that the whole begins as nothing.
      expect(product(ours, module, 6, scale).every((value) => Math.abs(value) < 1e-6)).toBe(true);
    }
    const module = 'model.layers.1.mlp.down_proj';
    const W = readFloats((await openBase(name)).files.source(`${module}.weight`));
    const taken = product(ours, module, 3, scale);
    const residual = readFloats(openGolden(path.join(fixtures, name)).tensors.source(`residual.${module}`));
    expect(
      difference(
        W.map((value, i) => value - taken[i]!),
        residual,
      ),
    ).toBeLessThan(1e-4);
    expect(engine.memory().tensors).toBe(0);
  });

  test.each(names)('%s: logits, gradients, training, and what is saved after it', async (name) => {
    const golden = openGolden(path.join(fixtures, name));
    const batch = { ...golden.batch, labels: golden.labels };
    const checkpoint = await openBase(name);
    const decoder = await openDecoder({
      engine,
      checkpoint,
      adapter: adapterOf(name),
      adapterValues: peftValues(golden),
    });
    // r counts once, whatever stands behind it.
    const trainable = [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    expect(trainable).toBe(golden.facts.trainable_parameters);
    expect(difference(await logitsAt(decoder, batch), rowsOf(golden, 'logits'))).toBeLessThan(1e-4);

    await expectGradients(decoder, golden, batch, peftPrefix);
    await expectTraining(decoder, golden, batch);
    expect(difference(await logitsAt(decoder, batch), rowsOf(golden, 'trained_logits'))).toBeLessThan(2e-3);

    const folder = path.join(freshFolder(), 'adapter');
    await writeAdapter(decoder, folder, { base: checkpoint.folder, adapter: choiceOf(name) });
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    if (name === 'dora') return;
    const theirs = path.join(fixtures, name, 'adapter');
    const [ours, expected] = [folder, theirs].map((each) =>
      openSafetensors(path.join(each, 'adapter_model.safetensors')),
    );
    expect([...ours!.names()].sort()).toEqual([...expected!.names()].sort());
    for (const tensor of ours!.names()) {
      const { distance, norm } = frobenius(readFloats(ours!.source(tensor)), readFloats(expected!.source(tensor)));
      expect(distance, tensor).toBeLessThan(2e-3 * norm);
    }
    const [config, peft] = [folder, theirs].map(
      (each) => JSON.parse(readFileSync(path.join(each, 'adapter_config.json'), 'utf8')) as Record<string, unknown>,
    );
    for (const field of ['r', 'use_rslora', 'use_dora', 'init_lora_weights', 'layer_replication'])
      expect(config![field], field).toEqual(peft![field]);
    expect(config!['lora_alpha']).toBeCloseTo(peft!['lora_alpha'] as number, 12);
  });
});

test.each(['lora', 'rslora'] as const)('%s: what PEFT converted for the unchanged base is read', async (name) => {
  const golden = openGolden(path.join(fixtures, name));
  const decoder = await golden.open(createReferenceEngine(), families, kinds);
  expect(difference(await logitsAt(decoder, golden.batch), rowsOf(golden, 'trained_logits'))).toBeLessThan(1e-4);
});

describe('on an expanded model', async () => {
  const layers: VirtualLayer[] = [0, 1, 2, 1, 2, 3].map((physical, i) =>
    i === 3 ? { physical, residualScale: 0.5 } : { physical },
  );
  const checkpoint = await openCheckpoint(tiny, families);
  const ids = Array.from({ length: 20 }, (_, i) => (i * 37) % 900);
  const batch = labelBatch([{ ids: Int32Array.from(ids), trained: new Uint8Array(ids.length).fill(1) }]);
  const chosen = (contribution: AdapterContribution, options: object) => {
    const parsed = contribution.schema.parse({ r: 4, lora_alpha: 8, init_lora_weights: 'pissa_niter_3', ...options });
    return { adapter: contribution.create(parsed), choice: { kind: contribution.kind, options: parsed } };
  };
  const fresh = async (engine: Engine, { adapter }: ReturnType<typeof chosen>) =>
    await openDecoder({
      engine,
      checkpoint,
      layers,
      adapter,
      firstValues: await readFirstValues({ engine, checkpoint, layers, adapter }),
    });
  const train = async (decoder: Decoder, from: number, to: number, state?: Parameters<typeof createOptimizer>[3]) => {
    const optimizer = createOptimizer(decoder.ops, decoder.parameters, adamW, state);
    const losses: number[] = [];
    for (let step = from; step < to; step++) {
      const settings = { step, seed: 1, learningRate: 1e-2, maxGradientNorm: 1, recompute: step % 2 === 0 };
      losses.push((await trainStep(decoder, optimizer, [batch], settings)).loss);
    }
    return { losses, optimizer };
  };

  test.each([
    ['lora', loraContribution],
    ['dora', doraContribution],
  ] as const)('%s begins as the stack without it; a save goes on bit for bit', async (_name, contribution) => {
    const engine = createNativeEngine({ precision: 'float32', threads: 2 });
    const bare = await openDecoder({ engine, checkpoint, layers });
    const expected = await logitsAt(bare, packTokens([ids]));
    bare.close();
    const picked = chosen(contribution, { lora_dropout: 0.1 });
    const decoder = await fresh(engine, picked);
    expect(difference(await logitsAt(decoder, packTokens([ids])), expected)).toBeLessThan(1e-4);

    // Trained parts one a virtual layer, the others one a physical layer.
    expect(new Set([...decoder.fixed.values()].map(({ tensor }) => tensor)).size).toBe(4 * 7 * 2);
    expect(decoder.fixed.size).toBe(6 * 7 * 2);

    const { losses, optimizer } = await train(decoder, 0, 3);
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    const folder = path.join(freshFolder(), 'adapter');
    await writeAdapter(decoder, folder, { base: tiny, adapter: picked.choice });
    const averages = new Map(
      await Promise.all(
        [...optimizer.averages].map(async ([name, { mean, variance }]) => {
          const [first, second] = await Promise.all([engine.read(mean), engine.read(variance)]);
          return [name, { mean: first as Float32Array, variance: second as Float32Array }] as const;
        }),
      ),
    );
    optimizer.close();
    const saved = readAdapter(folder, kinds, checkpoint.spec);
    expect(saved.choice).toEqual(picked.choice);
    const again = await openDecoder({
      engine,
      checkpoint,
      layers: saved.layers!,
      adapter: saved.adapter,
      adapterValues: saved.values,
    });
    const state = { steps: 3, averages };
    const [on, resumed] = [await train(decoder, 3, 6, state), await train(again, 3, 6, state)];
    expect(resumed.losses).toEqual(on.losses);
    expect(await logitsAt(again, few)).toEqual(await logitsAt(decoder, few));
    await engine.close();
  });

  test('what cannot be is refused', async () => {
    const engine = createNativeEngine({ precision: 'float32', threads: 2 });
    const picked = chosen(loraContribution, {});
    await expect(() => openDecoder({ engine, checkpoint, layers, adapter: picked.adapter })).rejects.toThrow(
      /begins as a part of the base: pass what readFirstValues returns/,
    );
    const { adapter } = chosen(loraContribution, { r: 100 });
    await expect(readFirstValues({ engine, checkpoint, layers, adapter })).rejects.toThrow(
      /k_proj has rank 100, and its weight \[64, 192\] has 64 singular values/,
    );
    const values = new Map(await readFirstValues({ engine, checkpoint, layers, adapter: picked.adapter }));
    const name = 'model.layers.3.self_attn.q_proj.lora_A.weight';
    const { shape, values: data } = values.get(name)!;
    values.set(name, { shape, values: data.map((value, i) => (i === data.length - 1 ? value + 1 : value)) });
    await expect(() =>
      openDecoder({ engine, checkpoint, layers, adapter: picked.adapter, adapterValues: values }),
    ).rejects.toThrow(
      /model.layers.3.self_attn.q_proj.lora_A.weight and model.layers.1.self_attn.q_proj.lora_A.weight differ in the part that is not trained/,
    );
  });
});
