import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { createNormalizer } from './normalizers.js';
import { createPreTokenizer } from './pre-tokenizers.js';

// What single steps of Python's tokenizers make of texts: fixtures/tokenizers/kinds/make_steps.py.
type Case = ['normalizer' | 'pre_tokenizer', { type: string }, (string | string[])[]];
const file = new URL('../../../../../../fixtures/tokenizers/kinds/steps.json.gz', import.meta.url);
const { texts, cases } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { texts: string[]; cases: Case[] };

function run([part, spec]: Case, text: string): string | string[] {
  if (part === 'normalizer') return createNormalizer(spec)!(text);
  return text === '' ? [] : createPreTokenizer(spec)!([{ text, atStart: 1 }]).map((piece) => piece.text);
}

it.each(cases.map((each) => ({ each, name: JSON.stringify(each[1]) })))(
  '$name: as the tokenizers library',
  ({ each }) => {
    expect(texts.map((text) => run(each, text))).toEqual(each[2]);
  },
);
