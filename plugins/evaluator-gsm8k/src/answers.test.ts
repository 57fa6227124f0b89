import { describe, expect, test } from 'vitest';
import { flexibleAnswer, sameAnswer, sameFirstAnswer, strictAnswer } from './answers.js';

// What the harness's regular expressions give, worked out by hand.
describe('answers in texts', () => {
  test.each([
    ['6 * 3 = 18\n#### 18', '18', '18'],
    ['#### 1,234.\nQuestion', '1,234.', '1,234.'],
    ['#### -7 and then #### 8', '-7', '8'],
    ['####18', '[invalid]', '18'],
    ['#### $18', '[invalid]', '$18'],
    ['the answer is $1,200.50.', '[invalid]', '$1,200.50.'],
    ['it is -5', '[invalid]', '-5'],
    ['3', '[invalid]', '3'],
    ['about 3 or so.', '[invalid]', '3'],
    ['so, well, no number', '[invalid]', '[invalid]'],
    ['wait... 4 ,,', '[invalid]', ',,'],
    ['', '[invalid]', '[invalid]'],
  ])('%j: strict %j, flexible %j', (text, strict, flexible) => {
    expect(strictAnswer(text)).toBe(strict);
    expect(flexibleAnswer(text)).toBe(flexible);
  });

  test.each([
    ['18', 'She has 6 * 3 = <<6*3=18>>18 eggs.\n#### 18', true],
    ['1,234.', 'Some\nlines\n#### 1234', true],
    ['$18', '#### 18', true],
    ['18.0', '#### 18', false],
    ['-18', '#### 18', false],
    ['[invalid]', '#### 18', false],
    // Only what stands before the last mark goes, on both sides.
    ['#### 5 #### 6', '#### 6', true],
  ])('%j for %j: %s', (given, expected, same) => expect(sameAnswer(given, expected)).toBe(same));

  test.each([
    ['#### 1,234', '#### 1234', true],
    ['#### 18.', '#### 18', false],
    ['#### 18 then #### 19', '#### 19', false],
    ['18', '#### 18', false],
    ['18', '18', false],
  ])('as the first leaderboard: %j for %j: %s', (given, expected, same) =>
    expect(sameFirstAnswer(given, expected)).toBe(same),
  );
});
