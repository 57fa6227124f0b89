import { expect, test } from 'vitest';
import { fourRows, madeOutcome, watch } from '../../test/made-outcomes.js';
import { reachTable, scoresTable, sizesTable } from './tables.js';

test('scores with errors over seeds, and in brackets over samples', () => {
  // Last tenths of 20 steps: the losses of steps 19 and 20, 2.1 and 2.05.
  expect(scoresTable(fourRows(), watch)).toEqual({
    kind: 'table',
    head: ['variant', 'seeds', 'training loss', 'best held-out loss', 'at step', 'held-out loss', 'quiz accuracy'],
    rows: [
      ['base', '1', '–', '–', '–', '2.2000', '0.0100 (± 0.0200)'],
      ['expanded base', '1', '–', '–', '–', '2.4000', '0.0000 (± 0.0200)'],
      [
        'base + lora r=12',
        '3',
        '2.0750 ± 0.0000',
        '1.4500 ± 0.0289',
        '20',
        '1.4500 ± 0.0289',
        '0.1200 ± 0.0115 (± 0.0200)',
      ],
      [
        'expanded + lora r=8',
        '3',
        '2.0750 ± 0.0000',
        '1.3433 ± 0.0260',
        '20',
        '1.3433 ± 0.0260',
        '0.1267 ± 0.0120 (± 0.0200)',
      ],
    ],
  });
});

test('sizes and speed', () => {
  expect(sizesTable(fourRows())).toMatchObject({
    rows: [
      ['base', '4', '10,000', '0', '200 MB', '200 MB', '–'],
      ['expanded base', '4 as 6', '15,000', '0', '200 MB', '200 MB', '–'],
      ['base + lora r=12', '4', '10,000', '1,000', '200 MB', '200 MB', '250 ms'],
      ['expanded + lora r=8', '4 as 6', '15,000', '1,000', '200 MB', '200 MB', '250 ms'],
    ],
  });
});

test('who reaches whose best, where there are two that are trained', () => {
  expect(reachTable(fourRows(), watch)).toMatchObject({
    head: ['variant', 'best of base + lora r=12', 'best of expanded + lora r=8'],
    rows: [
      ['base + lora r=12', '–', 'with none of 3 seeds'],
      ['expanded + lora r=8', 'with 3 of 3 seeds, at step 20 on average', '–'],
    ],
  });
  expect(reachTable([madeOutcome({ name: 'a', losses: [[2, 1]] })], watch)).toBeUndefined();
});
