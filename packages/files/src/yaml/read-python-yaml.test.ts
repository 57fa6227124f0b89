import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { describe, expect, test } from 'vitest';
import { readPythonYaml } from './read-python-yaml.js';

const cases = JSON.parse(
  readFileSync(path.resolve(import.meta.dirname, '../../../../fixtures/mergekit/pyyaml.json'), 'utf8'),
) as { text: string; value?: unknown; refused?: true }[];

/** Numbers that JSON cannot say, as the cases have them. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'number' && !Number.isFinite(each)
        ? { float: Number.isNaN(each) ? 'nan' : each > 0 ? 'inf' : '-inf' }
        : each,
    ),
  );

describe('YAML as PyYAML reads it', () => {
  test.each(cases.filter(({ refused }) => !refused))('$text', ({ text, value }) => {
    expect(plain(readPythonYaml(text))).toEqual(value);
  });

  test.each(cases.filter(({ refused }) => refused))('refuses $text', ({ text }) => {
    expect(() => readPythonYaml(text)).toThrow(FilesError);
  });

  test.each([
    ['a date, which is no text', 'a: 2020-01-01', /"2020-01-01" of the YAML type timestamp/],
    ['an alias inside of what it refers to', 'a: &x [*x]', /an alias stands inside of what it refers to/],
    ['a merge of itself', 'a: &x {<<: *x}', /an alias stands inside of what it refers to/],
    ['an anchor twice', 'a: &x 1\nb: &x 2', /the anchor &x twice/],
    ['several documents', 'a: 1\n---\nb: 2', /several YAML documents/],
  ])('refuses %s', (_, text, message) => {
    expect(() => readPythonYaml(text)).toThrow(message);
  });

  test.each([
    ['lists of lists', (name: string, before: string) => `${name}: &${name} [${`*${before},`.repeat(9)}]`],
    [
      'merges of merges',
      (name: string, before: string) => `${name}: &${name} {x: *${before}, y: *${before}, <<: *${before}}`,
    ],
  ])('a bomb of %s ends at once', (_, line) => {
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
    const text = ['n: &n {x: 1}', ...names.map((name, i) => line(name, names[i - 1] ?? 'n'))].join('\n');
    expect(() => readPythonYaml(text)).toThrow(/stands for more than 100000 values/);
  });

  test('a chain of aliases does not nest without end', () => {
    const chain = Array.from({ length: 3000 }, (_, i) => `n${i}: &n${i} [${i === 0 ? 1 : `*n${i - 1}`}]`).join('\n');
    expect(() => readPythonYaml(chain)).toThrow(/nests lists or records deeper than 64, with its aliases/);
  });

  test('keys of an object’s own are values like others', () => {
    const value = readPythonYaml('__proto__: {a: 1}\nconstructor: 2') as object;
    expect(Object.entries(value)).toEqual([
      ['__proto__', { a: 1 }],
      ['constructor', 2],
    ]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});
