import { testDataFormat } from '@glulam/testing';
import { myKindFormat } from './index.js';

testDataFormat(myKindFormat, {
  valid: [
    { row: { title: 'Add.', body: '2 and 3', reply: '5' }, text: { question: 'Add.\n\n2 and 3', answer: '5' } },
    {
      row: { title: 'Say hello.', body: '', reply: 'Hello' },
      text: { question: 'Say hello.', answer: 'Hello' },
    },
    { row: { title: 'Say hello.', reply: 'Hello' }, text: { question: 'Say hello.', answer: 'Hello' } },
    {
      row: { title: 'Add.', body: '2 and 3', reply: '5' },
      options: { separator: ' ' },
      text: { question: 'Add. 2 and 3', answer: '5' },
    },
  ],
  skipped: [
    { row: { title: 5, reply: 'x' }, reason: /"title" is not a text/ },
    { row: { title: 'x', reply: ' ' }, reason: /"reply" is not a text, or empty/ },
    { row: { title: 'x', body: [], reply: 'y' }, reason: /"body" is not a text/ },
  ],
  others: [{ question: 'x', answer: 'y' }, { text: 'x' }, { messages: [] }],
});
