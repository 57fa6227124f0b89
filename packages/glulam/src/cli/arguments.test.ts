import { homedir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseArguments } from './arguments.js';

const steps = { 'train.steps': '3' };

test.each<[string, string[], Partial<ReturnType<typeof parseArguments>>]>([
  ['nothing', [], {}],
  ['words', ['a', '', 'b c'], { positional: ['a', '', 'b c'] }],
  ['any key of a config with its value', ['a', '--train.steps', '3'], { positional: ['a'], options: steps }],
  ['a value after =', ['--train.steps=3', 'a'], { positional: ['a'], options: steps }],
  ['one dash', ['-train.steps', '3'], { options: steps }],
  ['one dash and =', ['-train.steps=3'], { options: steps }],
  ['an empty value', ['--suffix=', '--prompt', ''], { options: { suffix: '', prompt: '' } }],
  ['a value with = and line ends', ['--prompt=a=b\nc'], { options: { prompt: 'a=b\nc' } }],
  ['an option at the end', ['a', '--out'], { positional: ['a'], options: { out: true } }],
  ['an option before an option', ['--out', '--seed', '3'], { options: { out: true, seed: '3' } }],
  ['a flag takes no value', ['--resume', 'a', '-h'], { positional: ['a'], options: { resume: true, h: true } }],
  ['the value of a flag after =', ['--json=3'], { options: { json: '3' } }],
  ['--no- is a part of the name', ['--no-adapter', 'a'], { positional: ['a'], options: { 'no-adapter': true } }],
  ['negative numbers', ['--x', '-5', '--y', '-.5', '--z=-1e3'], { options: { x: '-5', y: '-.5', z: '-1e3' } }],
  ['- as a value', ['--data.train', '-'], { options: { 'data.train': '-' } }],
  ['a name that every object has', ['--constructor', 'a'], { options: { constructor: 'a' } }],
])('reads %s', (_, words, expected) => {
  expect(parseArguments(words)).toEqual({ positional: [], options: {}, lists: {}, ...expected });
});

test('options that may be repeated make lists', () => {
  expect(parseArguments(['--adapter', 'a', 'b', '--adapter=c', '--out', 'd'], ['adapter'])).toEqual({
    positional: ['b'],
    options: { out: 'd' },
    lists: { adapter: ['a', 'c'] },
  });
});

test('~ is the home folder in words and in options that name files', () => {
  expect(parseArguments(['~/a', '--out=~/b', '--adapter', '~/c', '--prompt', '~/d'], ['adapter'])).toEqual({
    positional: [path.join(homedir(), 'a')],
    options: { out: path.join(homedir(), 'b'), prompt: '~/d' },
    lists: { adapter: [path.join(homedir(), 'c')] },
  });
});

test.each<[string, string[], string]>([
  ['an option given twice', ['--out', 'a', '--out=b'], '--out is given twice; give it once'],
  ['one that is first without a value', ['--out', '--json', '--out', 'b'], '--out is given twice; give it once'],
  ['a repeated option without a value', ['--adapter', 'a', '--adapter'], '--adapter is without a value'],
  ['the same before an option', ['--adapter', '--json', '--adapter', 'a'], '--adapter is without a value'],
  ...['-', '--', '-5', '-0.5', '--5', '--=a', '--a/b', '--a/b=c', '-x is negative', '--ä'].map(
    (word): [string, string[], string] => [
      `the word ${word}`,
      ['a', word, 'b'],
      `cannot read the option ${word}; options look like --name value`,
    ],
  ),
])('refuses %s', (_, words, message) => {
  expect(() => parseArguments(words, ['adapter'])).toThrow(
    expect.objectContaining({ code: 'USAGE', message }) as Error,
  );
});
