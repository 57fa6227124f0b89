import { describe, expect, test } from 'vitest';
import { chainAnswer, firstAnswer, flexibleAnswer, sameAnswer, sameFirstAnswer, strictAnswer } from './answers.js';

// What lm-evaluation-harness 0.4.13 gives of these texts; null is its "[invalid]".
describe('answers in texts', () => {
  test.each([
    ['6 * 3 = 18\n#### 18', '18', '18'],
    ['#### 1,234.\nQuestion', '1,234.', '1,234.'],
    ['#### -7 and then #### 8', '-7', '8'],
    ['####18', null, '18'],
    ['#### $18', null, '$18'],
    ['the answer is $1,200.50.', null, '$1,200.50.'],
    ['it is -5', null, '-5'],
    ['3', null, '3'],
    ['about 3 or so.', null, '3'],
    ['so, well, no number', null, null],
    ['wait... 4 ,,', null, ',,'],
    ['', null, null],
    ['#### ,', ',', null],
    ['#### --5', null, '-5'],
    ['#### １８', null, null],
    ['x\r\n#### 5', '5', '5'],
  ])('%j: strict %j, flexible %j', (text, strict, flexible) => {
    expect(strictAnswer(text)).toBe(strict);
    expect(flexibleAnswer(text)).toBe(flexible);
  });

  test.each([
    ['5 + 4 = 9. The answer is 9.', '9', '9.'],
    // The pattern wants one more character behind the number: without a full stop it takes it from the number.
    ['The answer is 9', null, '9'],
    ['The answer is 18', '1', '18'],
    ['The answer is 18\nThe answer is 19!', '1', '19'],
    ['The answer is 18\u2028', '18', '18'],
    ['The answer is 1,234.5.\n\nQ', '1,234.5', '1,234.5.'],
    ['The answer is 18.\n', '18', '18.'],
    ['The answer is -7. The answer is 8.', '-7.', '8.'],
    ['The answer is 3 apples.', '3', '3'],
    ['The answer is $18.', null, '$18.'],
    ['the answer is 18.', null, '18.'],
    ['The answer is  18.', null, '18.'],
    ['The answer is .', null, null],
  ])('chain of thought, %j: strict %j, flexible %j', (text, strict, flexible) => {
    expect(chainAnswer(text)).toBe(strict);
    expect(flexibleAnswer(text)).toBe(flexible);
  });

  test.each([
    ['18', 'She has 6 * 3 = <<6*3=18>>18 eggs.\n#### 18', true],
    ['1,234.', 'Some\nlines\n#### 1234', true],
    ['$18', '#### 18', true],
    ['$1,000.', '1000', true],
    ['18.0', '#### 18', false],
    ['18..', '#### 18', false],
    ['-18', '#### 18', false],
    ['1.234', '#### 1,234', false],
    // Only what stands before the last mark goes, on both sides.
    ['#### 5 #### 6', '#### 6', true],
  ])('%j for %j: %s', (given, expected, same) => expect(sameAnswer(given, expected)).toBe(same));

  test.each([
    ['#### 1,234', '#### 1234', true],
    ['#### 18.', '#### 18', false],
    ['#### 18 then #### 19', '#### 19', false],
    ['18', '#### 18', false],
    ['18', '18', false],
  ])('as the first leaderboard: %j for %j: %s', (text, expected, same) => {
    const found = firstAnswer(text);
    expect(found !== null && sameFirstAnswer(found, expected)).toBe(same);
  });
});
