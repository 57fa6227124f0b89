import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distinctText, numberText, parseJson, toPlain } from './parse-json.js';

const number = (value: number): unknown => Object(value);

describe('parseJson', () => {
  test.each<[string, unknown]>([
    ['1', 1],
    ['-0', -0],
    ['0.5', 0.5],
    ['1.0', number(1)],
    ['-0.0', number(-0)],
    ['[1e3, 1E400]', [number(1000), Infinity]],
    ['9007199254740991', 9007199254740991],
    ['[9007199254740993]', [9007199254740993n]],
    ['-123456789012345678901234567890', -123456789012345678901234567890n],
    [
      '{"b":1,"1":{"x":[1.0]},"0":null}',
      new Map<string, unknown>([
        ['b', 1],
        ['1', { x: [number(1)] }],
        ['0', null],
      ]),
    ],
    ['{"0":1,"10":2,"a":"1.0"}', { 0: 1, 10: 2, a: '1.0' }],
    ['{"a":1,"b":2,"a":3.0}', { a: number(3), b: 2 }],
    [
      ' { "\\u0061\\\\\\"" : [ true , false , null , "]" , { } , [ ] , 1 ] } ',
      { 'a\\"': [true, false, null, ']', {}, [], 1] },
    ],
  ])('%s', (text, value) => {
    expect(parseJson(text)).toEqual(value);
    expect(structuredClone(parseJson(text))).toEqual(value);
  });

  test('"__proto__" is a key like any other', () => {
    expect(Object.keys(parseJson('{"__proto__":{"a":1},"b":1}') as object)).toEqual(['__proto__', 'b']);
  });

  test('is JSON.parse but for what that loses', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(toPlain(parseJson(text))).toEqual(JSON.parse(text));
      }),
      { seed: 1 },
    );
  });

  test('refuses what no text is, what is nested too deep, and a number without end', () => {
    expect(() => parseJson('{"a":1.}')).toThrow(SyntaxError);
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(() => parseJson(nested(1001))).not.toThrow();
    expect(() => parseJson(nested(100_000))).toThrow(/nested deeper than 1000 levels/);
    expect(() => parseJson(`[${'9'.repeat(4301)}]`)).toThrow(/a number of more than 4300 digits/);
  });
});

// As Python's str() prints json.loads of them.
test.each([
  ['5', '5'],
  ['-0', '0'],
  ['1.0', '1.0'],
  ['-0.0', '-0.0'],
  ['0.1', '0.1'],
  ['1e15', '1000000000000000.0'],
  ['1e16', '1e+16'],
  ['1.5e300', '1.5e+300'],
  ['0.0001', '0.0001'],
  ['0.00001', '1e-05'],
  ['2.5e-10', '2.5e-10'],
  ['1e400', 'inf'],
  ['-1e400', '-inf'],
  ['9007199254740993', '9007199254740993'],
])('the number %s is printed as %s', (text, printed) => {
  expect(numberText(parseJson(text))).toBe(printed);
});

test('what is no number has no such text', () => {
  for (const value of ['1', null, undefined, true, [1]]) expect(numberText(value)).toBeUndefined();
});

test('bigints and the entries of Maps tell values apart', () => {
  const texts = ['[1]', '[9007199254740993]', '[9007199254740995]', '{"b":1,"1":2}', '{"b":1,"1":3}'];
  expect(new Set(texts.map((text) => distinctText(parseJson(text)))).size).toBe(texts.length);
});
