import { expect, test } from 'vitest';
import { describeModel, processorSlug } from './processor.mjs';

test.each([
  [
    'AMD EPYC (family 25, model 17)',
    ['avx512', 'avx512-bf16', 'avx2', 'plain'],
    'amd-epyc-family-25-model-17-avx512-bf16',
  ],
  ['AMD EPYC', ['avx2', 'plain'], 'amd-epyc-avx2'],
  ['Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz', ['avx512', 'avx2', 'plain'], 'intel-xeon-platinum-8259cl-avx512'],
  ['Apple M2', ['neon', 'neon-bfmmla', 'neon-bfdot', 'plain'], 'apple-m2-neon-bfmmla'],
])('%s with %j is %s', (model, isas, slug) => {
  expect(processorSlug(model, isas)).toBe(slug);
});

test('a model without a number is told apart by the numbers of its processor', () => {
  const cpuinfo = 'processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n';
  expect(describeModel('AMD EPYC ', cpuinfo)).toBe('AMD EPYC (family 25, model 17)');
  expect(describeModel('AMD EPYC', '')).toBe('AMD EPYC');
  expect(describeModel('Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz', cpuinfo)).toBe(
    'Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz',
  );
});
