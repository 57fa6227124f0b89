import { createJinjaTemplate } from '@glulam/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePythonList } from './python-list.js';

const printed = createJinjaTemplate('{{ list }}', 'task');

test('is the inverse of what a template prints of a list of texts', () => {
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 8 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(texts, (list) => {
      expect(parsePythonList(printed.render({ list }).text)).toEqual(list);
    }),
  );
});

test.each([
  [`['yes', "it's", 3]`, ['yes', "it's", '3']],
  [`('a',  'b',)`, ['a', 'b']],
  [`[ 'a, b' , "c]" ]\n`, ['a, b', 'c]']],
  [`[]`, []],
  [`['\\x41\\u00e9\\U0001f642\\n']`, ['Aé🙂\n']],
])('%j', (text, list) => expect(parsePythonList(text)).toEqual(list));

test.each([
  'yes, no',
  "['a' 'b']",
  "['a', ['b']]",
  "['a', None]",
  "['a'",
  '[x for x in y]',
  "['a\\q']",
  "{'a': 1}",
  "['a',, 'b']",
  '',
])('%j is no such list', (text) => expect(parsePythonList(text)).toBeUndefined());
