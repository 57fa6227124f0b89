import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { mergeCheckpoint, readAdapter, writeAdapter } from '@glulam/export';
import { openSafetensors, readFloats, writeSafetensors } from '@glulam/files';
import {
  openDecoder,
  openCheckpoint,
  packTokens,
  unexpandedLayers,
  type Checkpoint,
  type Decoder,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine, createTape, normals, scope, type Engine, type FrozenWeight } from '@glulam/tensors';
import { labelBatch } from '@glulam/trainer';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import {
  answersOf,
  answersOfCheckpoint,
  difference,
  families,
  freshFolder,
  ia3,
  logitsAt,
  randomValues,
  root,
} from '../support/expanded.js';

// What holds of every expanded model, on random maps over bases of 2 to 4 layers, with random adapters, gates and scales.
const bases = new Map<number, Checkpoint>();
beforeAll(async () => {
  const from = path.join(root, 'fixtures/golden/mistral-base/base');
  const weights = openSafetensors(path.join(from, 'model.safetensors'));
  const config = JSON.parse(readFileSync(path.join(from, 'config.json'), 'utf8')) as object;
  for (const layers of [2, 3, 4]) {
    const folder = path.join(freshFolder(), 'base');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: layers }));
    const kept = weights.names().filter((name) => Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0) < layers);
    await writeSafetensors(
      path.join(folder, 'model.safetensors'),
      kept.map((name) => {
        const source = weights.source(name);
        return { name, shape: source.shape, dtype: 'float32' as const, values: readFloats(source) };
      }),
    );
    bases.set(layers, await openCheckpoint(folder, families));
  }
});

const linears = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const lowRank = fc.record({
  r: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom({ first: 0, repeats: 2 }, { first: 2, repeats: 3 })),
  lora_alpha: fc.integer({ min: 1, max: 8 }),
  use_rslora: fc.boolean(),
  target_modules: fc.oneof(fc.constant('all-linear'), fc.subarray(linears, { minLength: 1 })),
  exclude_modules: fc.constantFrom(null, ['layers.1.mlp.up_proj'], '.*\\.0\\..*'),
  init_lora_weights: fc.constantFrom(true, 'pissa'),
});
const kinds = [loraContribution, doraContribution, ia3];
const loras = lowRank.map((options) => ({ kind: 'lora', options: options }));
const doras = fc
  .record({ options: lowRank, on: fc.constantFrom('all', 'repeats') })
  .map(({ options, on }) => ({ kind: 'dora', options: { ...options, on } }));
const rescalings = fc.constant({ kind: 'ia3', options: {} });
/** A choice as a config has it, made. */
function made({ kind, options }: { readonly kind: string; readonly options: object }) {
  const contribution = kinds.find((each) => each.kind === kind)!;
  const parsed = contribution.schema.parse(options);
  return { adapter: contribution.create(parsed), choice: { kind, options: parsed } };
}

const model = (adapters = fc.oneof(loras, doras, rescalings)) =>
  fc.record({
    physical: fc.integer({ min: 2, max: 4 }),
    uses: fc.array(
      fc.record({
        layer: fc.nat(3),
        residualScale: fc.option(fc.float({ min: -1.5, max: 1.5, noNaN: true }), { nil: undefined, freq: 2 }),
        gate: fc.option(fc.constant('learned' as const), { nil: undefined, freq: 2 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    adapter: adapters,
    seed: fc.nat(1e6),
  });
type Model = ReturnType<typeof model> extends fc.Arbitrary<infer T> ? T : never;

const mapOf = ({ physical, uses }: Pick<Model, 'physical' | 'uses'>): VirtualLayer[] =>
  uses.map(({ layer, residualScale, gate }) => ({
    physical: layer % physical,
    ...(residualScale === undefined ? {} : { residualScale }),
    ...(gate === undefined ? {} : { gate }),
  }));

function described(chosen: Model) {
  const checkpoint = bases.get(chosen.physical)!;
  const layers = mapOf(chosen);
  const { adapter, choice } = made(chosen.adapter);
  const values = randomValues(checkpoint, layers, adapter, chosen.seed);
  return { checkpoint, layers, adapter, values, choice };
}
const openOn = async (
  engine: Engine,
  { checkpoint, layers, adapter, values }: ReturnType<typeof described>,
): Promise<Decoder> => await openDecoder({ engine, checkpoint, layers, adapter, adapterValues: values });

const ids = [3, 44, 7, 300, 12, 44, 9, 101];
const logitsOf = (decoder: Decoder): Promise<Float32Array> => logitsAt(decoder, packTokens([ids]), [0, 3, 7]);
const check = (runs: number) => ({ numRuns: runs, seed: 20, endOnFailure: false });

test('virtual layers of one physical layer compute with the same memory', async () => {
  await fc.assert(
    fc.asyncProperty(model(), async (chosen) => {
      const engine = createReferenceEngine({ precision: 'float32' });
      const opened: string[] = [];
      let read = new Set<FrozenWeight>();
      const watched: Engine = {
        ...engine,
        openWeight: async (source) => (opened.push(source.name), await engine.openWeight(source)),
        readWeight: (weight, start, end) => (read.add(weight), engine.readWeight(weight, start, end)),
      };
      const setting = described(chosen);
      const decoder = await openOn(watched, setting);
      const byPhysical = new Map<number, Set<FrozenWeight>>();
      const onLayer = async (virtual: number): Promise<void> => {
        const weights = new Set([...read].filter(({ shape, name }) => shape.length === 2 && name.includes('layers')));
        read = new Set();
        expect(weights.size).toBe(7);
        const { physical } = setting.layers[virtual]!;
        expect(weights).toEqual(byPhysical.get(physical) ?? weights);
        for (const weight of weights) expect([...(byPhysical.get(physical) ?? weights)]).toContain(weight);
        byPhysical.set(physical, weights);
      };
      read = new Set();
      await decoder.forward(packTokens([ids]), { onLayer });
      // Each of the base's tensors was opened once, and nothing of it is held but norms.
      expect(new Set(opened).size).toBe(opened.length);
      const norms = 32 * (1 + 2 * byPhysical.size);
      const adapters = [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
      const fixed = [...new Set([...decoder.fixed.values()].map(({ tensor }) => tensor))];
      const constants = fixed.reduce((sum, { size }) => sum + size, 0);
      // DoRA's norms of frozen rows are there from the beginning, once a physical layer, as many as magnitudes.
      const rows = new Map<string, number>();
      for (const [name, { size }] of decoder.parameters) {
        const [, layer, site] = /layers\.(\d+)\.(.*)\.lora_magnitude_vector$/.exec(name) ?? [];
        if (layer !== undefined) rows.set(`${setting.layers[Number(layer)]!.physical} ${site}`, size);
      }
      const rowNorms = [...rows.values()].reduce((sum, size) => sum + size, 0);
      decoder.close();
      const again = await openOn(engine, setting);
      expect(again.parameters.size).toBe(decoder.parameters.size);
      expect(engine.memory().bytes - 4 * (norms + adapters + constants + rowNorms)).toBe(hiddenBytes);
    }),
    check(25),
  );
});
/** Of the last hidden states, which the test above keeps. */
const hiddenBytes = ids.length * 32 * 4;

test('the gradient of one virtual layer’s adapter is the change of the loss with it alone', async () => {
  // DoRA's norms are constants to its gradient, so differences of the loss tell another number.
  await fc.assert(
    fc.asyncProperty(model(fc.oneof(loras, rescalings)), fc.nat(), async (chosen, at) => {
      const setting = described(chosen);
      const engine = createReferenceEngine({ precision: 'float32' });
      const batch = labelBatch([{ ids: Int32Array.from(ids), trained: new Uint8Array(ids.length).fill(1) }]);
      const lossOf = async (decoder: Decoder, tape?: ReturnType<typeof createTape>) => {
        const hidden = await decoder.forward(batch, tape === undefined ? {} : { tape });
        return scope(() => {
          const losses = decoder.losses(hidden, batch.labels, tape);
          const sum = () => decoder.ops.affine(decoder.ops.sumAll(losses), 1 / (ids.length - 1), 0);
          return tape === undefined ? sum() : decoder.ops.recording(tape, sum);
        });
      };
      const decoder = await openOn(engine, setting);
      fc.pre(decoder.parameters.size > 0);
      const tape = createTape(engine);
      const gradients = await tape.backward(await lossOf(decoder, tape));

      // A direction in the space of one virtual layer's tensors.
      const virtual = at % setting.layers.length;
      const prefix = `model.layers.${virtual}.`;
      const names = [...decoder.parameters.keys()].filter((name) => name.startsWith(prefix));
      let expected = 0;
      let length = 0;
      const directions = new Map<string, Float32Array>();
      for (const [i, name] of names.entries()) {
        const parameter = decoder.parameters.get(name)!;
        const gradient = (await engine.read(gradients.get(parameter)!)) as Float32Array;
        const direction = normals(parameter.size, [chosen.seed, i, 0, 0]);
        directions.set(name, direction);
        gradient.forEach((value, k) => (expected += value * direction[k]!));
        length += gradient.reduce((sum, value) => sum + value * value, 0);
      }
      const epsilon = 2e-3;
      const shifted = async (sign: number): Promise<number> => {
        const decoder = await openOn(engine, setting);
        for (const [name, direction] of directions) {
          const parameter = decoder.parameters.get(name)!;
          const before = (await engine.read(parameter)) as Float32Array;
          const after = before.map((value, k) => value + sign * epsilon * direction[k]!);
          engine.write(
            parameter,
            engine.upload(after, parameter.shape),
            parameter.shape.map(() => 0),
          );
        }
        return (await engine.read(await lossOf(decoder)))[0]!;
      };
      const numeric = ((await shifted(1)) - (await shifted(-1))) / (2 * epsilon);
      expect(Math.abs(numeric - expected)).toBeLessThan(1e-2 * Math.abs(expected) + 1e-2 * Math.sqrt(length) + 1e-3);
      // Tensors of its own: what other virtual layers have was not touched.
      const tensors = [...decoder.parameters.values()];
      expect(new Set(tensors).size).toBe(tensors.length);
    }),
    check(25),
  );
});

test('with gates at 0 the expanded model is its base, bit for bit', async () => {
  const additions = fc.array(fc.record({ at: fc.nat(8), layer: fc.nat(3) }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(model(), additions, async ({ physical, adapter, seed }, added) => {
      const checkpoint = bases.get(physical)!;
      const layers: VirtualLayer[] = unexpandedLayers(physical);
      for (const { at, layer } of added)
        layers.splice(at % (layers.length + 1), 0, { physical: layer % physical, gate: 'learned' });
      const { adapter: created } = made(adapter);
      // Adapters on what was added alone.
      const onAdded = {
        ...created,
        at: (site: Parameters<typeof created.at>[0]) => layers[site.virtual]!.gate && created.at(site),
      };
      const values = new Map(randomValues(checkpoint, layers, onAdded, seed));
      layers.forEach(({ gate }, virtual) => {
        if (gate !== undefined) values.set(`model.layers.${virtual}.gate`, { shape: [1], values: new Float32Array(1) });
      });
      const logits = async (open: Partial<Parameters<typeof openDecoder>[0]>) =>
        logitsOf(await openDecoder({ engine: createReferenceEngine({ precision: 'float32' }), checkpoint, ...open }));
      expect(await logits({ layers, adapter: onAdded, adapterValues: values })).toEqual(await logits({}));
    }),
    check(25),
  );
});

test('what is merged computes what the adapters did', async () => {
  await fc.assert(
    fc.asyncProperty(model(), async (chosen) => {
      const setting = described(chosen);
      const { checkpoint, layers, adapter, choice, values } = setting;
      const out = path.join(freshFolder(), 'merged');
      await mergeCheckpoint({ checkpoint, layers, saved: { adapter, choice, values } }, { out, dtype: 'float32' });
      const [expected, got] = [await answersOf((engine) => openOn(engine, setting)), await answersOfCheckpoint(out)];
      expect(difference(got.logits, expected.logits)).toBeLessThan(1e-4);
    }),
    check(25),
  );
});

test('adapters come back from their files exactly, and are written the same again', async () => {
  await fc.assert(
    fc.asyncProperty(model(), async (chosen) => {
      const engine = createReferenceEngine({ precision: 'float32' });
      const setting = described(chosen);
      const { checkpoint, choice } = setting;
      const decoder = await openOn(engine, setting);
      fc.pre(decoder.parameters.size > 0);
      const expected = await logitsOf(decoder);
      const [first, second, alone] = ['first', 'second', 'alone'].map((name) => path.join(freshFolder(), name)) as [
        string,
        string,
        string,
      ];
      await writeAdapter(decoder, first, { base: 'base', adapter: choice });
      const read = readAdapter(first, kinds, checkpoint.spec);
      expect(read.layers).toEqual(setting.layers);
      expect(read.choice).toEqual(choice);
      const again = await openDecoder({
        engine,
        checkpoint,
        layers: read.layers!,
        adapter: read.adapter,
        adapterValues: read.values,
      });
      expect(await logitsOf(again)).toEqual(expected);
      await writeAdapter(again, second, { base: 'base', adapter: read.choice });
      const filesOf = (folder: string) =>
        ['glulam.json', 'adapter_model.safetensors', 'adapter_config.json'].map((name) => {
          try {
            return readFileSync(path.join(folder, name)).toString('base64');
          } catch {
            return 'none';
          }
        });
      expect(filesOf(second)).toEqual(filesOf(first));

      // PEFT's files beside it say the same where they are there.
      if (filesOf(first)[2] === 'none') return;
      cpSync(first, alone, { recursive: true, filter: (name) => !name.endsWith('glulam.json') });
      const peft = readAdapter(alone, kinds, checkpoint.spec);
      const layers = peft.layers ?? unexpandedLayers(checkpoint.spec.layers.length);
      expect(layers).toEqual(setting.layers);
      const third = await openDecoder({
        engine,
        checkpoint,
        layers,
        adapter: peft.adapter,
        adapterValues: peft.values,
      });
      expect(difference(await logitsOf(third), expected)).toBeLessThan(1e-6);
    }),
    check(40),
  );
});
