import { testAdapter } from '@glulam/testing';
import { expect, test } from 'vitest';
import { fullContribution, noneContribution } from './index.js';

testAdapter(fullContribution, { options: [{}], foreign: [{ peft_type: 'LORA' }], refused: [] });

test('none is nowhere, and has no options', () => {
  const none = noneContribution.create(noneContribution.schema.parse({}));
  expect(none.at({} as never)).toBeUndefined();
  expect(none.copies).toBeUndefined();
  expect(noneContribution.schema.safeParse({ r: 8 }).success).toBe(false);
});
