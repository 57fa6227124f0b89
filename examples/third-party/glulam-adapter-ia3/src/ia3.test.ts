import { testAdapter } from '@glulam/testing';
import { expect, test } from 'vitest';
import { ia3Contribution } from './index.js';

const ia3 = { peft_type: 'IA3', target_modules: ['k_proj', 'down_proj'], feedforward_modules: ['down_proj'] };

testAdapter(ia3Contribution, {
  options: [
    {},
    { target_modules: ['q_proj', 'layers.5.mlp.up_proj'], feedforward_modules: [] },
    { target_modules: 'all-linear', feedforward_modules: '.*\\.mlp\\..*', exclude_modules: ['o_proj'] },
    { target_modules: '.*\\.layers\\.5\\..*', feedforward_modules: ['proj'] },
  ],
  foreign: [{ peft_type: 'LORA' }, {}],
  refused: [
    { config: { ...ia3, modules_to_save: ['lm_head'] }, message: /modules_to_save is \["lm_head"\]/ },
    { config: { ...ia3, a_new_field: 3 }, message: /a_new_field is 3/ },
    { config: { ...ia3, target_modules: null }, message: /target_modules is null/ },
    { config: { ...ia3, feedforward_modules: ['up_proj'] }, message: /feedforward_modules: names up_proj/ },
    { config: { ...ia3, target_modules: '(' }, message: /target_modules: expected a regular expression/ },
  ],
});

test('all that is wrong with a file is told together', () => {
  const config = { peft_type: 'IA3', modules_to_save: ['norm'] };
  expect(() => ia3Contribution.fromPeft(config)).toThrow(/target_modules[^]*feedforward_modules[^]*modules_to_save/);
});
