import { testDataFormat } from '@glulam/testing';
import { alpaca } from './data-format.js';

testDataFormat(alpaca, {
  valid: [
    {
      row: { instruction: 'Say hello.', input: '', output: 'Hello' },
      text: { prompt: '### Instruction:\nSay hello.\n\n### Response:\n', completion: 'Hello' },
    },
    {
      row: { instruction: 'Add.', input: '1 and 2', output: '3' },
      text: { prompt: '### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:\n', completion: '3' },
    },
  ],
  skipped: [
    { row: { instruction: 'Say hello.', output: '' }, reason: /the output is empty/ },
    { row: { instruction: 7, output: 'seven' }, reason: /not both texts/ },
  ],
  others: [{}, { prompt: 'a', completion: 'b' }, { question: 'a', answer: 'b' }],
});
