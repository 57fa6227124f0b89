import { copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../prepare.mjs';
import { makeCheckpoint } from './make-checkpoint.mjs';

/**
 * The folder of a benchmark checkpoint with the tokenizer of its vocabulary, so that runs can train on it.
 *
 * @param {keyof typeof import('./make-checkpoint.mjs').shapes} shape
 */
export async function makeTrainable(shape) {
  const folder = path.join(root, 'bench/work', shape);
  await makeCheckpoint(folder, shape);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    const file = path.join(folder, name);
    if (!existsSync(file)) copyFileSync(path.join(root, 'fixtures/tokenizers/mistral-7b-v0.1', name), file);
  }
  return folder;
}
