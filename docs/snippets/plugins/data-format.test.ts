import { testDataFormat } from '@glulam/testing';
import { forum } from './data-format.js';

testDataFormat(forum, {
  valid: [
    {
      row: { title: 'Hello?', body: '', reply: 'Hello' },
      text: { prompt: '# Hello?\n\n## Reply\n', completion: 'Hello' },
    },
    {
      row: { title: 'A sum', body: '1 and 2', reply: '3' },
      text: { prompt: '# A sum\n\n1 and 2\n\n## Reply\n', completion: '3' },
    },
  ],
  skipped: [
    { row: { title: 'Hello?', reply: '' }, reason: /the reply is empty/ },
    { row: { title: 7, reply: 'seven' }, reason: /not both texts/ },
  ],
  others: [{}, { prompt: 'a', completion: 'b' }, { question: 'a', answer: 'b' }],
});
