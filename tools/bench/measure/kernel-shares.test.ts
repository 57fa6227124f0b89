import { expect, test } from 'vitest';
import { kernelShares, kernelTable } from './kernel-shares.mjs';

const line = (pass: string, operands: string, rows: number, rate: number) =>
  `${pass.padEnd(16)} ${operands.padEnd(9)} ${String(rows).padStart(5)}   2048   7168  ${rate.toFixed(1).padStart(8)} GFLOP/s  88.0%     5.0 GB/s of B     12345 us\n`;
const cases = ['bfloat16', 'float32'].flatMap((operands) =>
  [1, 32, 256, 512].flatMap((rows) => [
    line('forward', operands, rows, rows),
    line('input gradient', operands, rows, 2 * rows),
  ]),
);
const printed = `avx2, 2 threads: peak float32 236, bfloat16 236 GFLOP/s\n${cases.join('')}${line("u = x A'", 'float32', 512, 9)}`;
const limits = (gflops: number) => ({
  threads: 2,
  units: [{ unit: 'AVX2', operands: 'float32' as const, gflops }],
  readGigabytesPerSecond: 1,
});

test('figures are shares of the larger of the limits measured beside them', () => {
  const shares = kernelShares('avx2', printed, [limits(500), limits(640)]);
  expect(shares).toHaveLength(12);
  expect(shares[1]).toEqual({
    isa: 'avx2',
    pass: 'input gradient',
    operands: 'bfloat16',
    rows: 32,
    weight: '2048 x 7168',
    gflops: 64,
    share: 0.1,
  });
  const lines = kernelTable(shares).split('\n').slice(2);
  expect(lines.filter((each) => /80% \| (yes|\*\*no\*\*) \|$/.test(each))).toEqual([
    '| avx2 | bfloat16 | forward | 256 | 2048 x 7168 | 256 | 40% | 80% | **no** |',
    '| avx2 | bfloat16 | input gradient | 256 | 2048 x 7168 | 512 | 80% | 80% | yes |',
    '| avx2 | bfloat16 | forward | 512 | 2048 x 7168 | 512 | 80% | 80% | yes |',
    '| avx2 | bfloat16 | input gradient | 512 | 2048 x 7168 | 1024 | 160% | 80% | yes |',
  ]);
});

test('output of another form is an error, not an empty table', () => {
  expect(() => kernelShares('avx2', 'forward: fast', [limits(1)])).toThrow('printed no figures');
});
