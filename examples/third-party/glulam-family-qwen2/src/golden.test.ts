import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mergeCheckpoint, readPeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats, type CheckpointFiles } from '@glulam/files';
import { adapters, openCheckpoint, unexpandedLayers, windowOf, type AdapterContribution } from '@glulam/model';
import { compose } from '@glulam/plugin';
import { createReferenceEngine } from '@glulam/tensors';
import { expectGradients, expectLogits, expectTraining, frobenius, openGolden } from '@glulam/testing';
import { preset } from 'glulam';
import { expect, test } from 'vitest';
import { qwen2Family } from './index.js';

// golden/make_golden.py says what is in these folders; transformers and PEFT computed it.
const root = path.resolve(import.meta.dirname, '../golden');
const kinds: readonly AdapterContribution[] = compose(preset()).all(adapters);
const open = async (name: string, config?: string) => {
  const golden = openGolden(path.join(root, name));
  const engine = createReferenceEngine({ precision: 'float32' });
  return { golden, engine, decoder: await golden.open(engine, [qwen2Family], kinds, config) };
};
const json = (...file: string[]) => JSON.parse(readFileSync(path.join(...file), 'utf8')) as Record<string, unknown>;

test.each(['tied', 'windows', 'expanded'])(
  '%s: logits, gradients, training steps, in both styles of config',
  async (name) => {
    for (const config of ['config.json', 'config.published.json']) {
      const { golden, engine, decoder } = await open(name, config);
      const batch = { ...golden.batch, labels: golden.labels };
      expect(decoder.layers).toHaveLength(golden.facts.effective_layers);
      await expectLogits(decoder, golden);
      await expectGradients(decoder, golden, batch, 'base_model.model.');
      await expectTraining(decoder, golden, batch);
      decoder.close();
      expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
      await engine.close();
    }
  },
);

test.each(['tied', 'windows', 'expanded'])('%s: merged it is the checkpoint that transformers wrote', async (name) => {
  const folder = path.join(root, name);
  const checkpoint = await openCheckpoint(path.join(folder, 'base'), [qwen2Family]);
  const saved = readPeftAdapter(path.join(folder, 'adapter'), kinds, checkpoint.spec);
  const layers = saved.layers ?? unexpandedLayers(checkpoint.spec.layers.length);
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'qwen2-')), 'merged');
  await mergeCheckpoint({ checkpoint, layers, saved }, { out });

  const [ours, theirs]: CheckpointFiles[] = [out, path.join(folder, 'merged')].map((each) =>
    openSafetensors(path.join(each, 'model.safetensors')),
  );
  expect(ours!.names().toSorted()).toEqual(theirs!.names().toSorted());
  for (const tensor of theirs!.names()) {
    const [got, expected] = [ours!, theirs!].map((files) => readFloats(files.source(tensor)));
    const { distance, norm } = frobenius(got!, expected!);
    expect(distance, tensor).toBeLessThan(1e-6 * norm);
  }
  // It counts the base's layers. Where only some have a window, layer_types says which, and it is left out.
  const { max_window_layers: theirWindows, ...expected } = json(folder, 'merged/config.json') as Record<
    string,
    unknown
  >;
  const { max_window_layers: windows, ...written } = json(out, 'config.json') as Record<string, unknown>;
  expect(written).toEqual(expected);
  expect(windows).toBe(name === 'tied' ? theirWindows : undefined);
  const again = await openCheckpoint(out, [qwen2Family]);
  expect(again.spec.layers.map(windowOf)).toEqual(
    layers.map(({ physical }) => (name === 'tied' || physical < 2 ? 0 : 8)),
  );
});

test('a published config that is merged says which layers have a window', async () => {
  const folder = path.join(root, 'expanded');
  const checkpoint = await openCheckpoint(path.join(folder, 'base'), [qwen2Family]);
  const published = { ...checkpoint.config, fields: json(folder, 'base/config.published.json') };
  const layers = [0, 1, 2, 1, 2, 3].map((physical) => ({ physical }));
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'qwen2-')), 'merged');
  await mergeCheckpoint(
    { checkpoint: { ...checkpoint, config: published, spec: qwen2Family.describe(published) }, layers },
    { out },
  );
  expect(json(out, 'config.json')['layer_types']).toEqual(json(folder, 'merged/config.json')['layer_types']);
});
