import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  createWeightSource,
  memoryBytes,
  openCheckpointFiles,
  readFloats,
  viewRows,
  writeSafetensors,
} from '@glulam/files';
import { openCheckpoint, openTokenizer } from '@glulam/model';
import { mistralFamily } from '@glulam/family-mistral';
import { expect, test } from 'vitest';
import { languageModel } from './checkpoint-reader.js';
import { scaledBytes } from './storage-format.js';

const tiny = path.resolve(import.meta.dirname, '../../../examples/models/tiny-mistral-gsm8k');

test('the language model of a multi-modal checkpoint is a base', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-multi-modal-'));
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(path.join(tiny, name), path.join(folder, name));
  const config = JSON.parse(readFileSync(path.join(tiny, 'config.json'), 'utf8')) as object;
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ model_type: 'llava', text_config: config }));
  const files = openCheckpointFiles(tiny);
  const vision = {
    name: 'vision_tower.patch.weight',
    shape: [1],
    dtype: 'float32' as const,
    values: new Float32Array(1),
  };
  await writeSafetensors(path.join(folder, 'model.safetensors'), [
    vision,
    ...files.names().map((name) => {
      const source = files.source(name);
      return {
        name: `language_model.${name}`,
        shape: source.shape,
        dtype: 'float32' as const,
        values: readFloats(source),
      };
    }),
  ]);
  const checkpoint = await openCheckpoint(folder, [mistralFamily], [languageModel]);
  expect(checkpoint.spec.layers).toHaveLength(8);
  expect(checkpoint.warnings).toEqual([]);
  const name = 'model.layers.3.mlp.up_proj.weight';
  expect(readFloats(checkpoint.files.source(name))).toEqual(readFloats(files.source(name)));
  expect(openTokenizer(checkpoint.documents).vocabularySize).toBe(1536);
  await expect(openCheckpoint(folder, [mistralFamily])).rejects.toMatchObject({ code: 'MODEL_TYPE_UNKNOWN' });
});

test('a tensor of signed bytes has its values times their scales, by rows too', () => {
  const scales = new Uint8Array(Float32Array.of(0.5, 2).buffer);
  const values = new Uint8Array(Int8Array.from({ length: 64 }, (_, i) => i - 32).buffer);
  const tensor = createWeightSource({
    ...{ name: 'w', shape: [2, 32], format: scaledBytes, origin: 'memory' },
    parts: [scales, values].map(memoryBytes),
  });
  const expected = Array.from({ length: 64 }, (_, i) => (i - 32) * (i < 32 ? 0.5 : 2));
  expect([...readFloats(tensor)]).toEqual(expected);
  expect([...readFloats(viewRows(tensor, 1, 2))]).toEqual(expected.slice(32));
});
