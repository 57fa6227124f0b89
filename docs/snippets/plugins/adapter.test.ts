import { testAdapter } from '@glulam/testing';
import { outputScale } from './adapter.js';

testAdapter(outputScale, { options: [{}, { only: 'repeats' }], foreign: [{ peft_type: 'LORA' }], refused: [] });
