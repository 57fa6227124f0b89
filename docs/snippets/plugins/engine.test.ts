import { testEngine } from '@glulam/testing';
import { expect, test } from 'vitest';
import { createCountingEngine } from './engine.js';

testEngine('counting', async (precision) => createCountingEngine(precision), { precisions: ['float32'] });

test('multiplications are counted', async () => {
  const engine = createCountingEngine('float32');
  const x = engine.full([2, 2], 3);
  const product = engine.matmul(x, x);
  expect(Array.from(await engine.read(product))).toEqual([18, 18, 18, 18]);
  expect(engine.multiplications()).toBe(8);
  await engine.close();
});
