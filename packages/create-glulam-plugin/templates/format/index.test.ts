import { testDataFormat } from '@glulam/testing';
import { myKindFormat } from './index.js';

testDataFormat(myKindFormat, {
  valid: [
    { row: { instruction: 'Add.', input: '2 and 3', output: '5' }, text: { question: 'Add.\n\n2 and 3', answer: '5' } },
    {
      row: { instruction: 'Say hello.', input: '', output: 'Hello' },
      text: { question: 'Say hello.', answer: 'Hello' },
    },
    { row: { instruction: 'Say hello.', output: 'Hello' }, text: { question: 'Say hello.', answer: 'Hello' } },
    {
      row: { instruction: 'Add.', input: '2 and 3', output: '5' },
      options: { separator: ' ' },
      text: { question: 'Add. 2 and 3', answer: '5' },
    },
  ],
  skipped: [
    { row: { instruction: 5, output: 'x' }, reason: /"instruction" is not a text/ },
    { row: { instruction: 'x', output: ' ' }, reason: /"output" is not a text, or empty/ },
    { row: { instruction: 'x', input: [], output: 'y' }, reason: /"input" is not a text/ },
  ],
  others: [{ question: 'x', answer: 'y' }, { text: 'x' }, { messages: [] }],
});
