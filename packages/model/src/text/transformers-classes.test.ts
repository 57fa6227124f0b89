import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenizer } from './tokenizer.js';

// Where transformers' classes give other ids than tokenizer.json says (fixtures/tokenizers/kinds), there is a warning.
const { configs, tokenizers, cases } = JSON.parse(
  readFileSync(new URL('../../../../fixtures/tokenizers/kinds/classes.json', import.meta.url), 'utf8'),
) as {
  configs: Record<string, object>;
  tokenizers: Record<string, object>;
  /** `same` is the name of Python's exception where the class cannot be opened. */
  cases: [kind: string, name: string, config: string, same: boolean | string][];
};
const folder = mkdtempSync(join(tmpdir(), 'glulam-classes-'));
afterAll(() => rmSync(folder, { recursive: true }));

function warningsOf(kind: string, config: object, modelType = 'llama'): readonly string[] {
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizers[kind]));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: modelType }));
  return openTokenizer(folder).warnings.filter((each) => each.includes("the tokenizer's class is"));
}

describe("transformers' classes", () => {
  const names = [...new Set(cases.map(([, name]) => name))];

  it.each(names)('%s: a warning wherever ids or texts differ', (name) => {
    const silent = cases
      .filter(([, each, , same]) => each === name && same !== true)
      .filter(([kind, , config]) => warningsOf(kind, { ...configs[config], tokenizer_class: name }).length === 0);
    expect(silent).toEqual([]);
  });

  it.each([
    ['LlamaTokenizer', 'llama', 'named'],
    ['GemmaTokenizer', 'gemma', 'named'],
    ['CohereTokenizerFast', 'cohere', 'named'],
    ['Qwen2TokenizerFast', 'qwen2', 'no-prefix'],
    ['GPT2TokenizerFast', 'gpt2', 'legacy'],
    ['GPTNeoXTokenizerFast', 'neox', 'plain'],
    ['CodeGenTokenizer', 'gpt2', 'named'],
  ])('%s: no warning for what it makes itself', (name, kind, config) => {
    expect(cases).toContainEqual([kind, name, config, true]);
    expect(warningsOf(kind, { ...configs[config], tokenizer_class: name })).toEqual([]);
  });

  it('have no part in a checkpoint of the type mistral', () => {
    const config = { ...configs['plain'], tokenizer_class: 'GemmaTokenizer' };
    expect(warningsOf('gpt2', config)).toEqual([
      "the tokenizer's class is GemmaTokenizer, for which transformers 5 replaces the normalizer, pre_tokenizer, decoder, " +
        'model and special tokens of tokenizer.json: tokenizer.json is followed, so token ids or decoded texts can differ from transformers 5',
    ]);
    expect(warningsOf('gpt2', config, 'mistral')).toEqual([]);
  });
});
