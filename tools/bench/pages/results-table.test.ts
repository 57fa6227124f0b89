import { expect, test } from 'vitest';
import { arithmeticLimit, type Limits } from '../measure/machine-limits.mjs';
import { median } from '../measure/median.mjs';
import { resultsTable, roundsTable, tableRows } from './results-table.mjs';

const limits: Limits = {
  threads: 2,
  units: [
    { unit: 'wide', operands: 'bfloat16', gflops: 400 },
    { unit: 'wide', operands: 'float32', gflops: 200 },
    { unit: 'narrow', operands: 'float32', gflops: 190 },
  ],
  readGigabytesPerSecond: 50,
};
const figure = (one: { figure: number }) => one.figure;
const round = (glulam: number, peft: number) => ({ glulam: { figure: glulam }, peft: { figure: peft }, limits });
const row = { label: 'work', unit: 'tokens/s', figure };

test('a row is medians, their ratio, and the share of the median limit', () => {
  const rounds = [
    round(60, 40),
    round(80, 50),
    { ...round(70, 20), limits: { ...limits, readGigabytesPerSecond: 10 } },
  ];
  const [one] = tableRows(
    { rows: [{ ...row, share: { of: 'bfloat16', perUnit: 4 }, goal: { atLeast: 1.75 } }] },
    rounds,
  );
  expect(one).toMatchObject({ glulam: 70, peft: 40, ratio: 1.75, limit: 100, share: 0.7, met: true });
  expect(one!.each).toEqual({ glulam: [60, 80, 70], peft: [40, 50, 20] });
});

test('goals bound a ratio from below, from above, or the share', () => {
  const met = (goal: object, share?: object) =>
    tableRows({ rows: [{ ...row, goal, share }] }, [round(70, 100)])[0]!.met;
  expect(met({ atLeast: 0.7 })).toBe(true);
  expect(met({ atLeast: 0.71 })).toBe(false);
  expect(met({ atMost: 0.7 })).toBe(true);
  expect(met({ atMost: 0.69 })).toBe(false);
  // 70 tokens a second of 0.6 GB each are 42 of 50 GB a second.
  expect(met({ share: 0.8 }, { of: 'reads', perUnit: 0.6 })).toBe(true);
  expect(met({ share: 0.85 }, { of: 'reads', perUnit: 0.6 })).toBe(false);
});

test('without a peer there are figures and shares, and only goals of shares are judged', () => {
  const rows = [
    { ...row, share: { of: 'float32', perUnit: 1 }, goal: { atLeast: 1 } },
    { ...row, share: { of: 'reads', perUnit: 1 }, goal: { share: 0.8 } },
  ];
  const table = tableRows({ rows }, [{ glulam: { figure: 40 }, limits }]);
  expect(table.map(({ share, met, ratio }) => ({ share, met, ratio }))).toEqual([
    { share: 0.2, met: undefined, ratio: undefined },
    { share: 0.8, met: true, ratio: undefined },
  ]);
});

test('the table says what was measured, and which goals are missed', () => {
  const rows = tableRows({ rows: [{ ...row, share: { of: 'bfloat16', perUnit: 4 }, goal: { atLeast: 2 } }] }, [
    round(70, 40),
  ]);
  expect(resultsTable(rows).split('\n').at(-1)).toBe(
    '| work | 40.0 tokens/s | 70.0 tokens/s | 1.75x | 2x | **no** | 70% | 100 (2.50x) |',
  );
  expect(roundsTable(rows).split('\n').at(-1)).toBe('| work | tokens/s | 40.0 | 70.0 |');
});

test('a machine without bfloat16 products has the limit of float32 for them', () => {
  expect(arithmeticLimit(limits, 'bfloat16')).toBe(400);
  expect(arithmeticLimit(limits, 'float32')).toBe(200);
  expect(arithmeticLimit({ ...limits, units: limits.units.slice(1) }, 'bfloat16')).toBe(200);
});

test('the median of an even number of figures lies between the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 10])).toBe(3);
});
