import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { describeGenerationDefaults } from './generation-defaults.js';

function folderOf(files: Record<string, unknown>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-generation-'));
  for (const [name, value] of Object.entries(files)) writeFileSync(path.join(folder, name), JSON.stringify(value));
  return folder;
}

test('fields that change what transformers generates are named in one line', () => {
  const folder = folderOf({
    'generation_config.json': {
      do_sample: true,
      temperature: 0.6,
      top_p: 0.9,
      repetition_penalty: 1.05,
      eos_token_id: 2,
    },
  });
  expect(describeGenerationDefaults(folder)).toMatch(
    /generation_config\.json: do_sample true, repetition_penalty 1\.05, temperature 0\.6, top_p 0\.9: not followed/,
  );
  expect(describeGenerationDefaults(folder, ['do_sample', 'temperature'])).toMatch(
    /json: repetition_penalty 1\.05, top_p 0\.9: /,
  );
});

test.each([
  [
    'values that change nothing',
    { do_sample: false, repetition_penalty: 1, num_beams: 1, bad_words_ids: null, suppress_tokens: [] },
  ],
  ['options of drawing where none is drawn', { temperature: 0.6, top_p: 0.9, top_k: 20 }],
  ['tokens', { bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: 0 }],
])('%s are not reported', (_, fields) => {
  expect(describeGenerationDefaults(folderOf({ 'generation_config.json': fields }))).toBeUndefined();
});

test('config.json counts where there is no generation_config.json, as in transformers', () => {
  const config = { do_sample: true, temperature: 0.7 };
  expect(describeGenerationDefaults(folderOf({ 'config.json': config }))).toMatch(
    /[/\\]config\.json: do_sample true, temperature 0\.7/,
  );
  expect(describeGenerationDefaults(folderOf({ 'config.json': config, 'generation_config.json': {} }))).toBeUndefined();
});
