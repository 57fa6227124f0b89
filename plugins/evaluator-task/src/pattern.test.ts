import { expect, test } from 'vitest';
import { createPattern } from './pattern.js';

// What Python's findall gives, and the harness takes of it.
test.each([
  ['#### (\\-?[0-9\\.\\,]+)', 'a\n#### 1,000\n#### 7', 0, '1,000'],
  ['#### (\\-?[0-9\\.\\,]+)', 'a\n#### 1,000\n#### 7', -1, '7'],
  ['(-?[$0-9.,]{2,})|(-?[0-9]+)', 'it is 5', -1, '5'],
  ['(?s)<a>(.*)</a>', '<a>x\ny</a>', 0, 'x\ny'],
  ['(?i)answer: (?P<letter>[a-d])', 'ANSWER: C', 0, 'C'],
  // Without a group all of the match counts.
  ['[0-9]+', 'it is 42 ', 0, '42'],
  ['([a-z])*[0-9]', '7', 0, null],
  ['x(.)', 'abc', 0, null],
  ['([0-9])', '1 2', 2, null],
  ['()', 'abc', 0, null],
])('%j in %j, number %d: %j', (source, text, which, expected) =>
  expect(createPattern(source, 'here').find(text, which)).toBe(expected),
);

test('what is no regular expression is refused with the place', () =>
  expect(() => createPattern('(', 'filter_list: the regex_pattern of x')).toThrow(
    /^filter_list: the regex_pattern of x is no regular expression: /,
  ));

test('a match that does not end is stopped, with the place and the length of the text', () => {
  const pattern = createPattern('(([a-zA-Z0-9 .=+,#\\n*]+)+)+@$', 'metric_list: regexes_to_ignore');
  const message =
    /^metric_list: regexes_to_ignore, ".*", was stopped after 1 s on a text of 40 characters; expected a match within this time/;
  expect(() => pattern.remove('a'.repeat(40))).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
  expect(() => pattern.find('a'.repeat(40), 0)).toThrow(message);
  expect(pattern.remove('12 @')).toBe('');
});

test('a pattern that would take long to compile is refused', () =>
  expect(() => createPattern('a|'.repeat(10_000), 'here')).toThrow(/it has 20000 characters; expected at most 10000/));
