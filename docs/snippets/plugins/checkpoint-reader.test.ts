import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCheckpointFiles, readFloats, writeSafetensors } from '@glulam/files';
import { openCheckpoint, openTokenizer } from '@glulam/model';
import { mistralFamily } from '@glulam/family-mistral';
import { expect, test } from 'vitest';
import { languageModel } from './checkpoint-reader.js';

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
