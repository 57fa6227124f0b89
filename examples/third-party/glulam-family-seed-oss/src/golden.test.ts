import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mergeCheckpoint, readPeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats, type CheckpointFiles } from '@glulam/files';
import { adapters, openCheckpoint, unexpandedLayers, type AdapterContribution } from '@glulam/model';
import { compose } from '@glulam/plugin';
import { createReferenceEngine } from '@glulam/tensors';
import { expectGradients, expectLogits, expectTraining, frobenius, openGolden } from '@glulam/testing';
import { preset } from 'glulam';
import { expect, test } from 'vitest';
import { seedOssFamily } from './index.js';

// golden/make_golden.py says what is in these folders; transformers and PEFT computed it.
const root = path.resolve(import.meta.dirname, '../golden');
const kinds: readonly AdapterContribution[] = compose(preset()).all(adapters);
const open = async (name: string, config?: string) => {
  const golden = openGolden(path.join(root, name));
  const engine = createReferenceEngine({ precision: 'float32' });
  return { golden, engine, decoder: await golden.open(engine, [seedOssFamily], kinds, config) };
};
const json = (...file: string[]) => JSON.parse(readFileSync(path.join(...file), 'utf8')) as Record<string, unknown>;

test.each(['tied', 'biased', 'expanded'])(
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

test.each(['tied', 'biased', 'expanded'])('%s: merged it is the checkpoint that transformers wrote', async (name) => {
  const folder = path.join(root, name);
  const checkpoint = await openCheckpoint(path.join(folder, 'base'), [seedOssFamily]);
  const saved = readPeftAdapter(path.join(folder, 'adapter'), kinds, checkpoint.spec);
  const layers = saved.layers ?? unexpandedLayers(checkpoint.spec.layers.length);
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'seed-oss-')), 'merged');
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
  expect(json(out, 'config.json')).toEqual(json(folder, 'merged/config.json'));
  expect((await openCheckpoint(out, [seedOssFamily])).spec.layers).toHaveLength(layers.length);
});
