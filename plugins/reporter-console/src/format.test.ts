import { describe, expect, test } from 'vitest';
import { formatBar, formatCount, formatDuration, formatProgress } from './format.js';

test.each([
  [-1, '0s'],
  [0.4, '0s'],
  [59.4, '59s'],
  [59.6, '1m 00s'],
  [65, '1m 05s'],
  [3599.6, '1h 00m'],
  [7384, '2h 03m'],
  [360_000, '100h 00m'],
])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

test('counts are parted by thousands', () => {
  expect([0, 999, 1000, 325_632].map(formatCount)).toEqual(['0', '999', '1,000', '325,632']);
});

test('a bar is as wide as it is to be', () => {
  expect([-1, 0, 0.5, 1, 2].map((share) => formatBar(share, 4))).toEqual(['░░░░', '░░░░', '██░░', '████', '████']);
});

describe('progress', () => {
  const progress = { share: 0.5, figures: 'step 5/10  loss 1.2345', speed: '1,000 tokens/s', left: '1m 05s' };

  test.each([
    [80, '████████████░░░░░░░░░░░░ step 5/10  loss 1.2345  1,000 tokens/s  1m 05s left'],
    [60, '████░░░░ step 5/10  loss 1.2345  1,000 tokens/s  1m 05s left'],
    [56, 'step 5/10  loss 1.2345  1,000 tokens/s  1m 05s left'],
    [50, '██████░░░░░ step 5/10  loss 1.2345  1,000 tokens/s'],
    [40, 'step 5/10  loss 1.2345  1,000 tokens/s'],
    [30, '████░░░ step 5/10  loss 1.2345'],
    [22, 'step 5/10  loss 1.2345'],
    [19, 'step 5/10  loss 1.2'],
    [0, ''],
  ])('in %d columns', (width, line) => expect(formatProgress(progress, width)).toBe(line));

  test('never wider than it may be', () => {
    for (let width = 0; width < 120; width++) expect(formatProgress(progress, width).length).toBeLessThanOrEqual(width);
  });
});
