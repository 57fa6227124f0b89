import { expect, test } from 'vitest';
import { codeFrame, placeOf } from './code-frame.js';
import { findJsonFault } from './find-json-fault.js';

test.each([
  ['{"a": 1,}', '1:9', 'expected no comma before }'],
  ['{\n  "a": 1\n  "b": 2\n}', '3:3', 'expected a comma or }, got "\\""'],
  ['[1, 2', '1:6', 'expected a comma or ], got the end of the file'],
  ['{a: 1}', '1:2', 'expected a key in double quotes, got "a"'],
  ["{'a': 1}", '1:2', 'expected a key in double quotes, got a single quote; JSON has double quotes only'],
  ['{"a" 1}', '1:6', 'expected a colon after "a", got "1"'],
  ['{"a": True}', '1:7', 'expected a value, got "True"'],
  ['{"a": .5}', '1:7', 'expected a value, got ".5"'],
  ['{"a": 01}', '1:8', 'expected a comma or }, got "1"'],
  ['{"a": "x\ny"}', '1:7', 'expected a text that ends in the same line, with valid escapes, got "\\""'],
  ['{"a": "\\d"}', '1:7', 'expected a text that ends in the same line, with valid escapes, got "\\""'],
  ['// c\n{}', '1:1', 'expected a value, got a comment; JSON has none: remove it, or write the config as YAML'],
  ['{} {}', '1:4', 'expected the end of the file, got "{"'],
  ['{"a": 1, "b": {"a": 2}, "a": 3}', '1:25', 'the key "a" is here twice; keep one of them'],
  ['{"a": 1, "\\u0061": 3}', '1:10', 'the key "\\u0061" is here twice; keep one of them'],
  [`${'['.repeat(100_000)}`, '1:100001', 'expected a value, got the end of the file'],
])('%j', (text, place, message) => {
  const fault = findJsonFault(text)!;
  const { line, column } = placeOf(text, fault.offset);
  expect([`${line}:${column}`, fault.message]).toEqual([place, message]);
  expect(() => (message.includes('twice') ? boom() : (JSON.parse(text) as unknown))).toThrow();
});
const boom = (): never => {
  throw new Error('JSON.parse keeps the last');
};

test.each([
  '{}',
  '[]',
  ' [1, -2.5e3, "\\u00e9\\n", true, null, {"a": [{}]}]\n',
  '"x"',
  '0',
  `"${'é'.repeat(1_000_000)}"`,
])('valid JSON has no fault', (text) => expect(findJsonFault(text)).toBeUndefined());

test('a frame marks the column, behind tabs and in long lines too', () => {
  expect(codeFrame('a\n\tbad', { line: 2, column: 3 })).toBe('  \tbad\n  \t ^');
  expect(codeFrame(`${'x'.repeat(500)}!${'y'.repeat(500)}`, { line: 1, column: 501 })).toBe(
    `  …${'x'.repeat(60)}!${'y'.repeat(40)}…\n   ${' '.repeat(60)}^`,
  );
  expect(codeFrame('a {\n\n', { line: 3, column: 1 })).toBe('  a {\n  \n  ^');
});
