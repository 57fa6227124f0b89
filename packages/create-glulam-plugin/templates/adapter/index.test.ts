import type { ModelSpec } from '@glulam/model';
import { testAdapter } from '@glulam/testing';
import { expect, test } from 'vitest';
import { myKindAdapter } from './index.js';

testAdapter(myKindAdapter, {
  options: [{}, { targets: ['mlp.down_proj'] }],
  foreign: [{ peft_type: 'LORA' }],
  refused: [],
});

test('options that it cannot follow are refused', () => {
  const spec = { layers: [] } as unknown as ModelSpec;
  expect(myKindAdapter.faults?.({ targets: ['c_attn'] }, spec)).toEqual([
    expect.stringMatching(/targets names c_attn; the linear layers of the base are/),
  ]);
  expect(myKindAdapter.schema.safeParse({ targets: [] }).success).toBe(false);
});
