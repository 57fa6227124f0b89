import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeMerged, readAdapter, readPeftAdapter, writeAdapter, writePeftAdapter } from '@glulam/export';
import { llamaFamily } from '@glulam/family-llama';
import { mistralFamily } from '@glulam/family-mistral';
import { openSafetensors, readFloats } from '@glulam/files';
import { combineAdapters, openDecoder, openCheckpoint, unexpandedLayers } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { expectGradients, expectLogits, expectTraining, frobenius, openGolden } from '@glulam/testing';
import { describe, expect, test } from 'vitest';
import { ia3Contribution } from './index.js';

// golden/make_golden.py says what is in these folders; transformers and PEFT computed it.
const root = path.resolve(import.meta.dirname, '../golden');
const kinds = [ia3Contribution];
const fresh = () => path.join(mkdtempSync(path.join(tmpdir(), 'ia3-')), 'adapter');
const json = (...file: string[]) => JSON.parse(readFileSync(path.join(...file), 'utf8')) as Record<string, unknown>;

async function open(name: string) {
  const folder = path.join(root, name);
  const checkpoint = await openCheckpoint(path.join(folder, 'base'), [mistralFamily, llamaFamily]);
  const saved = readPeftAdapter(path.join(folder, 'adapter'), kinds, checkpoint.spec);
  const { order } = json(folder, 'expected.json') as { order: number[] };
  const layers = order.map((physical) => ({ physical }));
  const engine = createReferenceEngine({ precision: 'float32' });
  const decoder = await openDecoder({
    engine,
    checkpoint,
    layers,
    adapter: saved.adapter,
    adapterValues: saved.values,
  });
  return { folder, golden: openGolden(folder), checkpoint, saved, layers, engine, decoder };
}

describe.each(['mistral', 'biased', 'expanded'])('%s', (name) => {
  test('logits, every gradient and training steps are PEFT’s', async () => {
    const { golden, engine, decoder } = await open(name);
    const batch = { ...golden.batch, labels: golden.labels };
    await expectLogits(decoder, golden);
    await expectGradients(decoder, golden, batch, 'base_model.model.');
    await expectTraining(decoder, golden, batch);
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('what is saved comes back', async () => {
    const { decoder, saved, checkpoint, layers } = await open(name);
    const folder = fresh();
    await writeAdapter(decoder, folder, { base: 'base', adapter: saved.choice });
    const again = readAdapter(folder, kinds, checkpoint.spec);
    expect(again.layers).toEqual(layers);
    expect([...again.values].map(([key, { values }]) => [key, values])).toEqual(
      [...saved.values].map(([key, { values }]) => [key, values]),
    );
    decoder.close();
  });
});

test.each(['mistral', 'biased'])('%s: the files are PEFT’s own, to the last value', async (name) => {
  const { folder, decoder } = await open(name);
  const out = fresh();
  await writePeftAdapter(decoder, out, 'base');
  decoder.close();
  const { base_model_name_or_path: base, ...fields } = json(out, 'adapter_config.json');
  expect(base).toBe('base');
  expect(json(folder, 'adapter/adapter_config.json')).toMatchObject(fields);
  const [ours, theirs] = [out, path.join(folder, 'adapter')].map((each) =>
    openSafetensors(path.join(each, 'adapter_model.safetensors')),
  );
  expect(ours!.names().toSorted()).toEqual(theirs!.names().toSorted());
  for (const tensor of theirs!.names()) {
    expect(ours!.source(tensor).shape).toEqual(theirs!.source(tensor).shape);
    expect(readFloats(ours!.source(tensor))).toEqual(readFloats(theirs!.source(tensor)));
  }
});

test('an expanded one is none of PEFT’s files: PEFT would put it on the base as it is', async () => {
  const { decoder } = await open('expanded');
  await expect(writePeftAdapter(decoder, fresh(), 'base')).rejects.toThrow(/PEFT expands models for LORA alone/);
  decoder.close();
});

test.each(['mistral', 'biased'])('%s: merged weights and biases are those that PEFT merges', async (name) => {
  const { golden, checkpoint, layers, saved, decoder } = await open(name);
  decoder.close();
  const { tensors } = describeMerged({ checkpoint, layers, saved });
  const expected = golden.tensors.names().filter((each) => each.startsWith('merged.'));
  expect(expected.length).toBeGreaterThan(20);
  for (const each of expected) {
    const { open, shape } = tensors.find((tensor) => `merged.${tensor.name}` === each)!;
    const { distance, norm } = frobenius(await (await open())(0, shape[0]!), readFloats(golden.tensors.source(each)));
    expect(distance, each).toBeLessThan(1e-6 * norm);
  }
});

test('a sum of weights 0.25 and 0.75 of one adapter is that adapter, biases too', async () => {
  const { checkpoint, saved, golden, decoder } = await open('biased');
  const adapter = combineAdapters([
    { adapter: saved.adapter, weight: 0.25 },
    { adapter: saved.adapter, weight: 0.75 },
  ]);
  const adapterValues = new Map(
    [...saved.values].flatMap(([name, values]) =>
      [0, 1].map((part) => [name.replace(/ia3_l$/, `${part}.ia3_l`), values] as const),
    ),
  );
  const sum = await openDecoder({
    engine: decoder.engine,
    checkpoint,
    layers: unexpandedLayers(checkpoint.spec.layers.length),
    adapter,
    adapterValues,
  });
  // Its input scales stand beside output scales at other sites only.
  await expectLogits(sum, golden);
  sum.close();
  decoder.close();
});
