import { expect, test } from 'vitest';
import { processorSlug } from './processor.mjs';

test.each([
  ['AMD EPYC', ['avx512', 'avx512-bf16', 'avx2', 'plain'], 'amd-epyc-avx512-bf16'],
  ['AMD EPYC', ['avx2', 'plain'], 'amd-epyc-avx2'],
  ['Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz', ['avx512', 'avx2', 'plain'], 'intel-xeon-platinum-8259cl-avx512'],
  ['Apple M2', ['neon', 'neon-bfmmla', 'neon-bfdot', 'plain'], 'apple-m2-neon-bfmmla'],
])('%s with %j is %s', (model, isas, slug) => {
  expect(processorSlug(model, isas)).toBe(slug);
});
