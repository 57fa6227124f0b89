import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openTokenizer } from './tokenizer.js';

const tiny = path.resolve(import.meta.dirname, '../../../../examples/models/tiny-mistral-gsm8k');

function withAddedTokens(tokens: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-tokenizer-'));
  cpSync(tiny, folder, { recursive: true });
  const file = path.join(folder, 'tokenizer.json');
  const fields = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(
    file,
    JSON.stringify({ ...fields, added_tokens: [] }).replace('"added_tokens":[]', `"added_tokens":[${tokens}]`),
  );
  return folder;
}

test('a tokenizer of millions of values is refused before they are looked at', () => {
  const folder = withAddedTokens('1,'.repeat(3_000_000) + '1');
  expect(() => openTokenizer(folder)).toThrow(/tokenizer.json: it has more than 3000000 values/);
});

test('of many faults the first are told', () => {
  const folder = withAddedTokens('1,'.repeat(10_000) + '1');
  const fault = (() => {
    try {
      return openTokenizer(folder);
    } catch (error) {
      return error as Error;
    }
  })();
  expect(fault).toMatchObject({ code: 'TOKENIZER_INVALID' });
  expect((fault as Error).message.length).toBeLessThan(10_000);
});

test('an id that is nested beyond any stack is refused like another', () => {
  const token = { content: 'x', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const id = '['.repeat(6000) + ']'.repeat(6000);
  const folder = withAddedTokens(JSON.stringify({ ...token, id: 0 }).replace('"id":0', `"id":${id}`));
  expect(() => openTokenizer(folder)).toThrow(
    /gives the token "x" the id \[\[\[\["…"\]\]\]\]; expected a whole number/,
  );
});
