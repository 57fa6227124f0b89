import { testAdapter } from '@glulam/testing';
import { expect, test } from 'vitest';
import { myKindAdapter } from './index.js';

testAdapter(myKindAdapter, {
  options: [{}, { targets: ['mlp.down_proj'] }],
  foreign: [{ peft_type: 'LORA' }],
  refused: [],
});

test('options that it cannot follow are refused', () => {
  expect(myKindAdapter.schema.safeParse({ targets: ['c_attn'] }).success).toBe(false);
  expect(myKindAdapter.schema.safeParse({ targets: [] }).success).toBe(false);
});
