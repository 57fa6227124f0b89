import { expect, test } from 'vitest';
import { fourRows, madeOutcome, watch } from '../../test/made-outcomes.js';
import { describeReach, findings } from './findings.js';

test('who won, by how many standard errors, and whether chance would do as much', () => {
  // Differences of the best: -0.10, -0.11, -0.11; of the accuracies: 0.02, -0.01, 0.01.
  expect(findings(fourRows(), watch)).toEqual([
    '“expanded + lora r=8” won against “base + lora r=12” by its best held-out loss: 1.3433 against 1.4500, a difference of −0.1067 ± 0.0033, which is 32.0 standard errors over 3 seeds, more than the 4.3 that chance alone exceeds once in 20 times.',
    'At the end, held-out loss: 1.3433 against 1.4500, a difference of −0.1067 ± 0.0033, which is 32.0 standard errors over 3 seeds, more than the 4.3 that chance alone exceeds once in 20 times.',
    'At the end, quiz accuracy: 0.1267 against 0.1200, a difference of +0.0067 ± 0.0088, which is 0.8 standard errors over 3 seeds, within the 4.3 that chance alone exceeds once in 20 times: neither is shown to be better.',
    "The other's best held-out loss is reached by “expanded + lora r=8” with 3 of 3 seeds, at step 20 on average, by “base + lora r=12” with none of 3 seeds.",
  ]);
});

test('one seed says nothing of chance; what is not trained is compared with nothing', () => {
  const [a, b] = [madeOutcome({ name: 'a', losses: [[2, 1]] }), madeOutcome({ name: 'b', losses: [[2, 1.5]] })];
  expect(findings([a, b], watch)[0]).toMatch(
    /1\.0000 against 1\.5000, a difference of −0\.5000 with one seed: how much/,
  );
  expect(findings([a, madeOutcome({ name: 'c', losses: [[2]], trainable: 0 })], watch)).toEqual([]);
  expect(findings([], watch)).toEqual([]);
});

test('a score of which more is better', () => {
  const [a, b] = [madeOutcome({ name: 'a', losses: [[2, 1]] }), madeOutcome({ name: 'b', losses: [[2, 1.5]] })];
  expect(findings([a, b], { ...watch, better: 'higher' })[0]).toMatch(/^“b” won against “a”/);
});

test('steps to the best of another, by seed', () => {
  const goal = madeOutcome({
    name: 'goal',
    losses: [
      [9, 2, 3],
      [9, 2, 2],
    ],
  });
  const reach = (...losses: number[][]) => describeReach(madeOutcome({ name: 'x', losses }), goal, watch);
  expect(reach([9, 9, 2, 1], [9, 2])).toBe('with 2 of 2 seeds, at step 15 on average');
  expect(reach([9, 9, 2], [9, 9])).toBe('with 1 of 2 seeds, at step 20');
  expect(reach([9, 9], [9, 9])).toBe('with none of 2 seeds');
  expect(reach([9, 9])).toBe('never');
  expect(reach([9, 1])).toBe('at step 10');
});
