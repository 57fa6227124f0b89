// Two adapters for one expanded model: each alone, their weighted sum, and neither, over one set of weights. Many prompts are
// continued at a time.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { readAdapter } from '@glulam/export';
import { mistralFamily } from '@glulam/family-mistral';
import { createAdapterSet, generateMany, openCheckpoint, openTokenizer } from '@glulam/model';
import { run, type GlulamConfig } from 'glulam';

const examples = path.resolve(import.meta.dirname, '..');
const out = mkdtempSync(path.join(tmpdir(), 'glulam-example-'));
const base = path.join(examples, 'models/tiny-mistral-gsm8k');

const trained = async (name: string, seed: number) => {
  const config: GlulamConfig = {
    base,
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 4 },
    data: { train: path.join(examples, 'data/word-problems.train.jsonl') },
    train: { steps: 6, batch: 4, learningRate: 5e-3 },
    seed,
    reporters: [],
    out: path.join(out, name),
  };
  return (await run(config)).adapterFolder;
};
const folders = { first: await trained('first', 1), second: await trained('second', 2) };

const engine = createNativeEngine({ precision: 'bfloat16' });
const checkpoint = await openCheckpoint(base, [mistralFamily]);
const tokenizer = openTokenizer(base);
const read = (folder: string) => readAdapter(folder, [loraContribution], checkpoint.spec);
const first = read(folders.first);

const set = createAdapterSet({ engine, checkpoint, layers: first.layers! });
await set.add('first', first);
await set.add('second', read(folders.second));

const prompts = ['Question: What is 2 + 3?\nAnswer:', 'Question: Ann has 9 pens and gives 4 away.\nAnswer:'];
const requests = prompts.map((text) => ({ prompt: tokenizer.encode(text) }));
for (const selection of [
  [{ name: 'first', weight: 1 }],
  [
    { name: 'first', weight: 0.7 },
    { name: 'second', weight: 0.3 },
  ],
  'none',
  'base',
] as const) {
  const answers: string[] = [];
  for await (const { index, text } of generateMany(await set.decoder(selection), tokenizer, requests, {
    maxNewTokens: 12,
  }))
    answers[index] = text;
  console.log(JSON.stringify(selection), JSON.stringify(answers));
}

set.close();
await engine.close();
