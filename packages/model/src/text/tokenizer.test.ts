import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenizer } from './tokenizer.js';

const mistralFolder = fileURLToPath(new URL('../../../../fixtures/tokenizers/mistral-7b-v0.1', import.meta.url));
const tinyFolder = fileURLToPath(new URL('../../../../examples/models/tiny-mistral-gsm8k', import.meta.url));
const mistral = openTokenizer(mistralFolder, { vocabularySize: 32000 });
const tiny = openTokenizer(tinyFolder, { vocabularySize: 1536 });

const scratch = mkdtempSync(join(tmpdir(), 'glulam-tokenizer-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A copy of the tiny model's tokenizer with files replaced; null leaves one out. */
function folderWith(name: string, files: Record<string, unknown>): string {
  const folder = join(scratch, name);
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) cpSync(join(tinyFolder, file), join(folder, file));
  for (const [file, value] of Object.entries(files)) {
    if (value === null) rmSync(join(folder, file));
    else writeFileSync(join(folder, file), typeof value === 'string' ? value : JSON.stringify(value));
  }
  return folder;
}

function faultOf(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('expected an error');
}

describe('Mistral 7B v0.1', () => {
  interface Row {
    text: string;
    ids: number[];
    decoded: string;
  }
  const rows = JSON.parse(readFileSync(join(mistralFolder, 'encodings.json'), 'utf8')) as Row[];

  it('has reference encodings', () => expect(rows.length).toBeGreaterThanOrEqual(16));

  it.each(rows)('encodes and decodes $text as SentencePiece does', ({ text, ids, decoded }) => {
    expect(mistral.encode(text)).toEqual(ids);
    expect(mistral.decode(ids)).toBe(decoded);
    expect(mistral.encode(text, { addSpecialTokens: false })).toEqual(ids.slice(1));
  });

  it('knows its special tokens and its template', () => {
    expect(mistral).toMatchObject({ vocabularySize: 32000, bosId: 1, eosId: 2, padId: undefined, eosIds: [2] });
    const text = mistral.chatTemplate!.render([{ role: 'user', content: 'hi' }]);
    expect(text).toBe('<s>[INST] hi [/INST]');
    expect(mistral.encode(text, { addSpecialTokens: false })).toEqual(rows.find((r) => r.text === text)!.ids.slice(1));
  });
});

describe('the tiny model', () => {
  it('splits digits, adds <s> and gives the text back unchanged', () => {
    const text = 'Question: Tom has 12 apples , he said .\nAnswer:';
    const ids = tiny.encode(text);
    expect(ids[0]).toBe(1);
    expect(ids.filter((id) => ['1', '2'].includes(tiny.decode([id])))).toHaveLength(2);
    expect(tiny.decode(ids)).toBe(text);
  });

  it('shows special tokens only when asked', () => {
    const ids = tiny.encode('<|user|>\nhi</s>');
    expect(ids.slice(0, 2)).toEqual([1, 4]);
    expect(tiny.decode(ids)).toBe('\nhi');
    expect(tiny.decode(ids, { skipSpecialTokens: false })).toBe('<s><|user|>\nhi</s>');
  });

  it('knows its special tokens and reads chat_template.jinja', () => {
    expect(tiny).toMatchObject({ vocabularySize: 1536, bosId: 1, eosId: 2, padId: 0, eosIds: [2] });
    expect(tiny.chatTemplate!.render([{ role: 'user', content: 'hi' }], { addGenerationPrompt: true })).toBe(
      '<s><|user|>\nhi<|assistant|>\n',
    );
  });

  it('decodes nothing to nothing, passes over padding ids and refuses what is no id of the model', () => {
    expect(tiny.decode([])).toBe('');
    expect(tiny.decode([1, 2])).toBe('');
    const [a] = tiny.encode('a', { addSpecialTokens: false });
    const padded = openTokenizer(tinyFolder, { vocabularySize: 1700 });
    for (const opened of [padded, openTokenizer(tinyFolder)]) expect(opened.decode([a!, 1600, a!])).toBe('aa');
    expect(padded.stream().push(1600)).toBe('');
    for (const [opened, id, last] of [
      [tiny, 1536, 1535],
      [padded, 1700, 1699],
      [padded, 999999, 1699],
    ] as const)
      expect(faultOf(() => opened.decode([a!, id]))).toMatchObject({
        code: 'BAD_ARGUMENT',
        message: `decode: got the token id ${id}, but the vocabulary of ${tinyFolder} ends at ${last}; were the ids made by another model's tokenizer?`,
      });
    expect(faultOf(() => tiny.decode([a!, -100]))).toMatchObject({
      code: 'BAD_ARGUMENT',
      message: 'decode: got the token id -100, expected a whole number of at least 0.',
    });
  });
});

describe('files', () => {
  it('takes token records, the map before the config, and generation_config.json', () => {
    const tokenizer = openTokenizer(
      folderWith('records', {
        'tokenizer_config.json': { eos_token: { content: '</s>', lstrip: false }, pad_token: null },
        'special_tokens_map.json': { bos_token: '<s>', eos_token: '<|user|>' },
        'generation_config.json': { eos_token_id: [2, 5] },
      }),
    );
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 4, padId: undefined, eosIds: [4, 2, 5] });
    expect(tokenizer.chatTemplate).toBeUndefined();
  });

  it.each<[string, object, number[]]>([
    ['config.json alone', { 'config.json': { eos_token_id: 7 } }, [2, 7]],
    ['a list in it', { 'config.json': { eos_token_id: [2, 7, 9] } }, [2, 7, 9]],
    [
      'generation_config.json without any',
      { 'config.json': { eos_token_id: 7 }, 'generation_config.json': {} },
      [2, 7],
    ],
    [
      'a null in that',
      { 'config.json': { eos_token_id: 7 }, 'generation_config.json': { eos_token_id: null } },
      [2, 7],
    ],
    ['both', { 'config.json': { eos_token_id: 7 }, 'generation_config.json': { eos_token_id: 5 } }, [2, 5]],
    ['none, which some write as -1', { 'config.json': { eos_token_id: -1 } }, [2]],
    ['neither', { 'config.json': { eos_token_id: null } }, [2]],
  ])('ends texts at the tokens of %s', (name, files, ids) => {
    const folder = folderWith(`eos ${name}`, { 'tokenizer_config.json': { eos_token: '</s>' }, ...files });
    expect(openTokenizer(folder).eosIds).toEqual(ids);
  });

  it('takes the default of several named templates, and the own file before it', () => {
    const named = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'plain {{ eos_token }}' },
    ];
    const config = { 'tokenizer_config.json': { eos_token: '</s>', chat_template: named } };
    expect(openTokenizer(folderWith('named', config)).chatTemplate!.render([])).toBe('plain </s>');
    const both = folderWith('both', { ...config, 'chat_template.jinja': 'file' });
    expect(openTokenizer(both).chatTemplate!.render([])).toBe('file');
  });

  it('works with tokenizer.json alone', () => {
    const tokenizer = openTokenizer(folderWith('alone', { 'tokenizer_config.json': null }));
    expect(tokenizer).toMatchObject({ bosId: undefined, eosId: undefined, eosIds: [], chatTemplate: undefined });
    expect(tokenizer.decode(tokenizer.encode('a , b'))).toBe('a , b');
  });

  it('says how to make a tokenizer.json from a tokenizer.model', () => {
    const folder = folderWith('sentencepiece', { 'tokenizer.json': null, 'tokenizer.model': 'x' });
    const fault = faultOf(() => openTokenizer(folder));
    expect(fault.code).toBe('TOKENIZER_INVALID');
    expect(fault.message).toContain(`${join(folder, 'tokenizer.json')}: there is no such file`);
    expect(fault.message).toContain('only tokenizer.json is read');
    expect(fault.message).toContain(`AutoTokenizer.from_pretrained("${folder}").save_pretrained("${folder}")`);
    const mistral = faultOf(() => openTokenizer(folderWith('tekken', { 'tokenizer.json': null, 'tekken.json': {} })));
    expect(mistral.message).toContain('The folder has tekken.json, but only tokenizer.json is read');
    const bare = faultOf(() => openTokenizer(folderWith('bare', { 'tokenizer.json': null })));
    expect(bare.message).toContain('Hugging Face Hub');
  });

  it.each([
    ['cut', { 'tokenizer.json': '{"model": ' }, 'tokenizer.json: not JSON'],
    ['not-a-record', { 'tokenizer.json': '[]' }, 'tokenizer.json: ✖ Invalid input: expected object, received array'],
    ['no-model', { 'tokenizer.json': '{}' }, 'tokenizer.json cannot be used'],
    ['bad-token', { 'tokenizer_config.json': { eos_token: 7 } }, 'eos_token'],
    ['bad-model-eos', { 'config.json': { eos_token_id: '</s>' } }, 'eos_token_id'],
    ['bad-eos', { 'generation_config.json': { eos_token_id: '2' } }, 'eos_token_id'],
  ])('refuses a folder that is %s, naming the fault', (name, files, words) => {
    const fault = faultOf(() => openTokenizer(folderWith(name, files)));
    expect(fault.code).toBe('TOKENIZER_INVALID');
    expect(fault.message).toContain(join(scratch, name));
    expect(fault.message).toContain(words);
  });

  it('adds named tokens that tokenizer.json does not hold, after its own', () => {
    const folder = folderWith('named-new', { 'tokenizer_config.json': { bos_token: '<x>', eos_token: '</s>' } });
    const tokenizer = openTokenizer(folder);
    expect(tokenizer).toMatchObject({ bosId: 1536, eosId: 2, vocabularySize: 1537, warnings: [] });
    expect(tokenizer.encode('<x>a', { addSpecialTokens: false })[0]).toBe(1536);
    expect(openTokenizer(folder, { vocabularySize: 1536 }).warnings).toEqual([
      expect.stringContaining('"<x>" (id 1536)'),
    ]);
  });

  it('reports ids that files give and the library does not', () => {
    const files = { 'added_tokens.json': { '<x>': 1540, '<y>': 1541, '<z>': 1538 } };
    expect(openTokenizer(folderWith('other-ids', files)).warnings).toEqual([
      'added_tokens.json gives the token "<x>" the id 1540, and the tokenizers library gives it 1537 (and 2 more such tokens): the library is followed',
    ]);
  });

  it('reports clean_up_tokenization_spaces where transformers would apply it', () => {
    const config = { 'tokenizer_config.json': { clean_up_tokenization_spaces: true } };
    expect(openTokenizer(folderWith('clean-bpe', config)).warnings).toEqual([]);
    const model = { type: 'WordLevel', vocab: { a: 0 }, unk_token: 'a' };
    const folder = folderWith('clean-words', { ...config, 'tokenizer.json': { model } });
    expect(openTokenizer(folder).warnings).toEqual([
      expect.stringContaining('clean_up_tokenization_spaces: it is not applied'),
    ]);
  });

  it('reports fix_mistral_regex where transformers follows it, and code of the checkpoint', () => {
    const tokenizer = JSON.parse(readFileSync(join(tinyFolder, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: Record<string, number> };
    };
    const fix = { 'tokenizer_config.json': { fix_mistral_regex: true } };
    expect(openTokenizer(folderWith('small-regex', fix)).warnings).toEqual([]);
    for (let id = 1536; id <= 100_000; id++) tokenizer.model.vocab[`<${id}>`] = id;
    expect(openTokenizer(folderWith('large-regex', { ...fix, 'tokenizer.json': tokenizer })).warnings).toEqual([
      expect.stringContaining('fix_mistral_regex, for which transformers replaces the pre_tokenizer'),
    ]);
    const code = { 'tokenizer_config.json': { auto_map: { AutoTokenizer: ['a.B', null] } } };
    expect(openTokenizer(folderWith('own-code', code)).warnings).toEqual([
      expect.stringContaining('names code that comes with the checkpoint (auto_map): it is not run'),
    ]);
  });

  it('refuses ids that are no whole numbers', () => {
    const good = readFileSync(join(tinyFolder, 'tokenizer.json'), 'utf8');
    for (const id of ['"two"', '1.5', '-1']) {
      const text = good.replace(/"id": ?2,/, `"id":${id},`);
      expect(text).not.toBe(good);
      const fault = faultOf(() => openTokenizer(folderWith(`id${id}`.replaceAll('"', ''), { 'tokenizer.json': text })));
      expect(fault.code).toBe('TOKENIZER_INVALID');
      expect(fault.message).toContain(`the id ${id}; expected a whole number of at least 0`);
    }
  });

  describe('tokens beyond the embedding', () => {
    const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    const withAdded = (name: string, files: Record<string, unknown> = {}): string => {
      const tokenizer = JSON.parse(readFileSync(join(tinyFolder, 'tokenizer.json'), 'utf8')) as {
        added_tokens: object[];
      };
      tokenizer.added_tokens.push({ id: 1536, content: '<more>', ...special });
      return folderWith(name, { 'tokenizer.json': tokenizer, ...files });
    };

    it('are reported in one line, and refused where a text has one', () => {
      const folder = withAdded('added');
      const tokenizer = openTokenizer(folder, { vocabularySize: 1536 });
      expect(tokenizer).toMatchObject({ vocabularySize: 1537, embeddingRows: 1536, eosIds: [2] });
      expect(tokenizer.warnings).toEqual([
        `${folder}: the tokenizer has a token beyond the model's embedding, which has 1536 rows (vocab_size): "<more>" (id 1536); a text that has one is refused`,
      ]);
      expect(tokenizer.encode('one more')).toEqual(tiny.encode('one more'));
      const fault = faultOf(() => tokenizer.encode('one <more>'));
      expect(fault.code).toBe('TOKENIZER_MISMATCH');
      expect(fault.message).toContain(
        'the token "<more>" (id 1536) is beyond the model\'s embedding, which has 1536 rows',
      );
      expect(fault.message).toContain('it is in the text "one <more>"');
      expect(openTokenizer(folder, { vocabularySize: 1537 }).encode('<more>')).toContain(1536);
      expect(openTokenizer(folder).warnings).toEqual([]);
    });

    it('are no fault of a model whose embedding is larger', () => {
      expect(openTokenizer(tinyFolder, { vocabularySize: 1600 })).toMatchObject({ vocabularySize: 1536, warnings: [] });
    });

    it('are those of the vocabulary too, of which the first are named', () => {
      const tokenizer = openTokenizer(tinyFolder, { vocabularySize: 1000 });
      const { vocab } = (
        JSON.parse(readFileSync(join(tinyFolder, 'tokenizer.json'), 'utf8')) as { model: { vocab: object } }
      ).model;
      const [first] = Object.entries(vocab).find(([, id]) => id === 1000)!;
      expect(tokenizer.warnings).toEqual([
        expect.stringContaining(
          `the tokenizer has 536 tokens beyond the model's embedding, which has 1000 rows (vocab_size): ${JSON.stringify(first)} (id 1000), `,
        ),
      ]);
      expect(tokenizer.warnings[0]).toMatch(/ and 533 more; a text that has one is refused$/);
      expect(faultOf(() => tokenizer.encode(`${tiny.decode([1000])} `))).toMatchObject({ code: 'TOKENIZER_MISMATCH' });
    });

    it('end no text', () => {
      const end = withAdded('end', { 'generation_config.json': { eos_token_id: [2, 1536] } });
      const tokenizer = openTokenizer(end, { vocabularySize: 1536 });
      expect(tokenizer.eosIds).toEqual([2]);
      expect(tokenizer.warnings).toEqual([
        expect.stringMatching(/; a text that has one is refused, and the model never ends a text with id 1536$/),
      ]);
      const alone = folderWith('end-alone', { 'generation_config.json': { eos_token_id: [2, 1536] } });
      expect(openTokenizer(alone, { vocabularySize: 1536 }).warnings).toEqual([
        expect.stringMatching(
          /generation_config\.json names an end token \(id 1536\) beyond the model's embedding, .*; the model never ends a text with id 1536$/,
        ),
      ]);
    });

    it('are refused in every text where the post-processor adds one', () => {
      const tokenizer = JSON.parse(readFileSync(join(tinyFolder, 'tokenizer.json'), 'utf8')) as Record<string, unknown>;
      const folder = folderWith('post', {
        'tokenizer.json': {
          ...tokenizer,
          added_tokens: [...(tokenizer['added_tokens'] as object[]), { id: 1536, content: '<more>', ...special }],
          post_processor: {
            type: 'TemplateProcessing',
            single: [{ SpecialToken: { id: '<more>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
            pair: [],
            special_tokens: { '<more>': { id: '<more>', ids: [1536], tokens: ['<more>'] } },
          },
        },
      });
      const opened = openTokenizer(folder, { vocabularySize: 1536 });
      for (const text of ['', 'a'])
        expect(faultOf(() => opened.encode(text)).message).toContain('its post-processor adds it to every text');
      expect(opened.encode('a', { addSpecialTokens: false })).toEqual(tiny.encode('a', { addSpecialTokens: false }));
    });
  });
});
