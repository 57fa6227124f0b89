import { FilesError } from '../errors.js';
import { describe, expect, test } from 'vitest';
import { readYaml } from './read-yaml.js';

/** Nine lists, each of nine aliases of the one before. */
const bomb = Array.from({ length: 9 }, (_, i) => `k${i}: &k${i} [${(i === 0 ? '1,' : `*k${i - 1},`).repeat(9)}]`);

describe('YAML within bounds', () => {
  test('values, aliases and merge keys come as the library has them', () => {
    expect(readYaml('a: &a {b: [1, 2.5, null]}\nc: *a\n')).toEqual({
      a: { b: [1, 2.5, null] },
      c: { b: [1, 2.5, null] },
    });
    expect(readYaml('')).toBeNull();
    const deep = `${'['.repeat(64)}1${']'.repeat(64)}`;
    expect(readYaml(`${deep}`)).toEqual(JSON.parse(deep));
    expect(readYaml(`a: "${'x'.repeat(99_995)}"`)).toEqual({ a: 'x'.repeat(99_995) });
  });

  test.each([
    ['no YAML', 'a: [', /^it is not YAML: .* at line 1, column 5/],
    ['a bomb of aliases', bomb.join('\n'), /^it is not YAML of use \(Excessive alias count/],
    ['brackets', '['.repeat(65), /^it nests lists or records deeper than 64/],
    ['records', `a: ${'{"a":'.repeat(20_000)}`.slice(0, 100_000), /^it nests lists or records deeper than 64/],
    ['lists in a row', '- '.repeat(65), /^it nests lists or records deeper than 64/],
    ['any length', ' '.repeat(100_001), /^it has 100001 characters; expected at most 100000/],
  ])('%s is refused at once', (_, text, message) => {
    const began = performance.now();
    const attempt = () => readYaml(text);
    expect(attempt).toThrow(FilesError);
    expect(attempt).toThrow(message);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
