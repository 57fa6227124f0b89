import { testAdapter } from '@glulam/testing';
import { doraContribution } from './index.js';

testAdapter(doraContribution, {
  options: [
    {},
    { r: 4, lora_alpha: 16, lora_dropout: 0.1, target_modules: ['q_proj', 'down_proj'], use_rslora: true },
    { target_modules: '.*mlp.*', r: 3 },
  ],
  foreign: [{ peft_type: 'IA3' }, { peft_type: 'LORA' }, { peft_type: 'LORA', use_dora: false }],
  refused: [
    { config: { peft_type: 'LORA', use_dora: true, bias: 'all' }, message: /bias is "all"/ },
    { config: { peft_type: 'LORA', use_dora: true, r: 0 }, message: /r:/ },
  ],
});
