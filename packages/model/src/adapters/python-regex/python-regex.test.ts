import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keyPattern } from '../low-rank/targets.js';
import { pythonRegex, pythonRegexFault } from './python-regex.js';

// What Python 3.11 says of each pattern as PEFT uses it; null where it refuses the pattern. See fixtures/peft/README.md.
const file = path.resolve(import.meta.dirname, '../../../../../fixtures/peft/regex.json');
const { subjects, rows } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly subjects: readonly string[];
  readonly rows: readonly (readonly [pattern: string, full: string | null, key: string | null])[];
};

/** What Python follows and JavaScript cannot say. */
const notFollowed: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['conditional groups', /\(\?\([^)]+\)/],
  ['named characters', /\\N\{/],
  ['letters beyond ASCII where case is ignored', /^\(\?i\).*é/],
  ['references', /\\[12]/],
  ['atomic groups in a lookbehind', /\(\?<=\(\?>/],
  ['possessive repeats of what may be empty', /\(\?:a\|\)\*\+/],
];

const bits = (test: (text: string) => boolean): string => subjects.map((text) => (test(text) ? '1' : '0')).join('');
const follows = (pattern: string): boolean => pythonRegexFault(pattern) === undefined;

describe.each([
  ['re.fullmatch', (pattern: string) => pattern, 'fullMatch', 1],
  ['the keys of rank_pattern', keyPattern, 'match', 2],
] as const)('%s', (_, asked, how, column) => {
  test('no pattern matches other texts than in Python', () => {
    const wrong = rows.filter(([pattern, ...expected]) => {
      const source = asked(pattern);
      return follows(source) && bits(pythonRegex(source)[how]) !== expected[column - 1];
    });
    expect(wrong.map(([pattern]) => pattern)).toEqual([]);
  });

  test('what Python follows is followed, but for what JavaScript cannot say', () => {
    const refused = rows.filter((row) => row[column] !== null && !follows(asked(row[0]))).map(([pattern]) => pattern);
    expect(refused.filter((pattern) => !notFollowed.some(([, form]) => form.test(pattern)))).toEqual([]);
    expect(refused.length).toBeLessThan(rows.length / 10);
  });
});

test('some rows by hand', () => {
  const full = (pattern: string, text: string): boolean => pythonRegex(pattern).fullMatch(text);
  expect(full(String.raw`.*\.\d{,1}\.q_proj`, 'layers.7.q_proj')).toBe(true);
  expect(full(String.raw`.*\.\d{,1}\.q_proj`, 'layers.17.q_proj')).toBe(false);
  expect(full(String.raw`(?i).*Q_PROJ\Z`, 'layers.7.q_proj')).toBe(true);
  expect(full('(?P<n>a)(?P=n)', 'aa')).toBe(true);
  expect(pythonRegex('q_proj|v_proj$').match('q_proj of more')).toBe(true);
  expect(pythonRegex('(?=a)$').match('a')).toBe(false);
});

test.each([
  [String.raw`q_proj\z`, /bad escape \\z at position 8/],
  [String.raw`\p{L}`, /bad escape \\p/],
  ['q_proj(?i)', /flags of the whole pattern that are not at its start/],
  ['(?<name>a)', /unknown extension \?</],
  ['(a)?(?(1)b)', /a conditional group, which has no counterpart in JavaScript/],
  [String.raw`(a)?\1`, /the reference to group 1, which may not have taken part/],
  ['(', /"\)" is missing/],
  ['*_proj', /nothing to repeat at position 1; expected one of Python's regular expressions/],
])('%s is refused with the reason', (pattern, message) => {
  expect(() => pythonRegex(pattern)).toThrow(
    expect.objectContaining({ code: 'ADAPTER_INVALID', message: expect.stringMatching(message) }),
  );
});

describe('patterns that do not end', () => {
  const path = 'model.layers.0.self_attn.q_proj';

  test.each(['(([a-z_.0-9]+)+)+!', '(?:[a-z]|[a-z.]|.)*!', '(.*.*.*.*.*.*.*.*.*.*.*.*)!'])(
    '%s is stopped and named',
    (pattern) => {
      const message = expect.stringMatching(
        /^a pattern: the regular expression ".*", matched with "model.layers.0.self_attn.q_proj", was stopped after [\d.]+ s on a text of 31 characters; /,
      );
      for (const matching of [pattern, keyPattern(pattern)])
        expect(() => pythonRegex(matching).match(path)).toThrow(
          expect.objectContaining({ code: 'PATTERN_TIMEOUT', message }),
        );
    },
  );

  test('matches that are slow each are stopped together', () => {
    const regex = pythonRegex('(.*.*.*.*.*.*)!');
    const start = performance.now();
    expect(() => {
      for (let layer = 0; layer < 4096; layer++)
        regex.fullMatch(`model.layers.${layer}.self_attn.q_proj.${'.'.repeat(20)}`);
    }).toThrow(expect.objectContaining({ code: 'PATTERN_TIMEOUT' }));
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  test('4,096 layers and a pattern for each are matched in seconds', () => {
    const start = performance.now();
    const regex = pythonRegex(String.raw`.*layers\.\d+\..*\.(q|k|v|o)_proj`);
    for (let layer = 0; layer < 4096; layer++)
      for (const name of ['q', 'k', 'v', 'o'])
        expect(regex.fullMatch(`model.layers.${layer}.self_attn.${name}_proj`)).toBe(true);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test.each([
    ['it is too long', 'a|'.repeat(30_000), /it has 60000 characters, more than 50000/],
    ['it is nested too deep', '('.repeat(2000) + ')'.repeat(2000), /groups within groups, more than 50 deep/],
  ])('are refused where %s', (_, pattern, message) =>
    expect(() => pythonRegex(pattern)).toThrow(
      expect.objectContaining({ code: 'ADAPTER_INVALID', message: expect.stringMatching(message) }),
    ),
  );
});
