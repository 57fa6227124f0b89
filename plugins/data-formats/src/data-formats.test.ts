import { compose } from '@glulam/plugin';
import { testDataFormat } from '@glulam/testing';
import { dataFormats as point } from '@glulam/trainer';
import { expect, test } from 'vitest';
import {
  dataFormats,
  messagesFormat,
  orcaChatFormat,
  promptCompletionFormat,
  questionAnswerFormat,
  shareGptFormat,
  textFormat,
} from './index.js';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const system = (content: string) => ({ role: 'system', content });
const human = (value: unknown) => ({ from: 'human', value });
const gpt = (value: unknown) => ({ from: 'gpt', value });

const rows = {
  messages: { messages: [user('Hi'), assistant('Hello')], id: 7 },
  sharegpt: { id: 'a', conversations: [human('Hi'), gpt('Hello')] },
  orca_chat: { instruction: 'Be brief.', conversation: [{ input: 'Hi', output: 'Hello' }] },
  question_answer: { question: '1 + 1?', answer: '2' },
  prompt_completion: { prompt: 'One, two,', completion: ' three' },
  text: { text: 'Once upon a time' },
};
const othersOf = (kind: keyof typeof rows) => [
  {},
  ...Object.entries(rows).flatMap(([each, row]) => (each === kind ? [] : [row])),
];

testDataFormat(messagesFormat, {
  valid: [
    { row: rows.messages, text: { messages: rows.messages.messages } },
    {
      row: { chat: [system('Be brief.'), user(''), assistant('!'), { role: 'tool', content: 'x', name: 'y' }] },
      options: { column: 'chat' },
      text: { messages: [system('Be brief.'), user(''), assistant('!'), { role: 'tool', content: 'x' }] },
    },
  ],
  skipped: [
    { row: { messages: [] }, reason: /conversation is empty/ },
    { row: { messages: 'Hi' }, reason: /"messages" is not a list/ },
    { row: { messages: [{ content: 'Hi' }] }, reason: /has no role/ },
    { row: { messages: ['Hi'] }, reason: /has no role/ },
    { row: { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }, reason: /content is not a text/ },
    { row: { messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] }, reason: /calls tools/ },
    { row: rows.messages, options: { column: 'turns' }, reason: /"turns" is not a list/ },
  ],
  others: [...othersOf('messages'), { messages: [human('Hi')] }, { messages: 'Hi' }],
});

testDataFormat(shareGptFormat, {
  valid: [
    { row: rows.sharegpt, text: { messages: [user('Hi'), assistant('Hello')], notes: [] } },
    {
      row: { conversations: [gpt('cut'), gpt('off'), human('Hi'), gpt('Hello')] },
      text: { messages: [user('Hi'), assistant('Hello')], notes: ["the first turn was the assistant's: left out"] },
    },
    {
      row: { conversations: [{ from: 'system', value: 'Be brief.' }, gpt('cut'), { from: 'user', value: 'Hi' }] },
      text: { messages: [system('Be brief.'), user('Hi')], notes: ["the first turn was the assistant's: left out"] },
    },
    {
      row: { conversations: [human('a'), human('b'), gpt('c'), { from: 'bing', value: 'd' }, human('e')] },
      text: {
        messages: [user('a\n\nb'), assistant('c\n\nd'), user('e')],
        notes: ['turns of one speaker in a row: joined'],
      },
    },
    {
      row: { conversations: [human('a'), gpt(' '), human('b'), gpt('c')] },
      text: {
        messages: [user('a\n\nb'), assistant('c')],
        notes: ['a turn without text: left out', 'turns of one speaker in a row: joined'],
      },
    },
    {
      row: { chat: [human('Hi'), gpt('Hello')] },
      options: { column: 'chat' },
      text: { messages: [user('Hi'), assistant('Hello')], notes: [] },
    },
  ],
  skipped: [
    { row: { conversations: [] }, reason: /conversation is empty$/ },
    { row: { conversations: [gpt('only')] }, reason: /empty but for what answers nothing/ },
    {
      row: { conversations: [human('Hi'), { from: 'narrator', value: 'x' }] },
      reason: /"from" is none of system, human/,
    },
    { row: { conversations: [human('Hi'), { from: 'constructor', value: 'x' }] }, reason: /"from" is none of/ },
    { row: { conversations: [human('Hi'), gpt(null)] }, reason: /"value" is not a text/ },
    { row: { conversations: 'x' }, reason: /"conversations" is not a list/ },
  ],
  others: [...othersOf('sharegpt'), { conversations: [user('Hi')] }],
});

testDataFormat(orcaChatFormat, {
  valid: [
    {
      row: rows.orca_chat,
      text: { messages: [system('Be brief.'), user('Hi'), assistant('Hello')], notes: [] },
    },
    {
      row: { instruction: '', conversation: [{ input: 'a', output: 'b' }, { input: 'c', output: '' }] }, // prettier-ignore
      text: { messages: [user('a'), assistant('b')], notes: ['an exchange without output: left out'] },
    },
    {
      row: { instruction: null, conversation: [{ input: '', output: 'b' }] },
      text: { messages: [user(''), assistant('b')], notes: [] },
    },
  ],
  skipped: [
    { row: { instruction: 'x', conversation: [] }, reason: /conversation is empty/ },
    { row: { instruction: 'x', conversation: [{ input: 'a', output: ' ' }] }, reason: /conversation is empty/ },
    { row: { instruction: 'x', conversation: [{ input: 'a' }] }, reason: /not \{ input, output \} as texts/ },
    { row: { instruction: 'x', conversation: [null] }, reason: /not \{ input, output \} as texts/ },
    { row: { instruction: 5, conversation: [{ input: 'a', output: 'b' }] }, reason: /"instruction" is not a text/ },
    { row: { instruction: 'x', conversation: 'y' }, reason: /"conversation" is not a list/ },
  ],
  others: [...othersOf('orca_chat'), { instruction: 'x', input: 'y', output: 'z' }],
});

testDataFormat(questionAnswerFormat, {
  valid: [
    { row: rows.question_answer, text: rows.question_answer },
    { row: { user: 'a', assistant: 'b' }, text: { question: 'a', answer: 'b' } },
    { row: { question: 'a', answer: 'b', user: 'c', assistant: 'd' }, text: { question: 'a', answer: 'b' } },
    {
      row: { query: 'a', response: 'b' },
      options: { question: 'query', answer: 'response' },
      text: { question: 'a', answer: 'b' },
    },
  ],
  skipped: [
    { row: { question: 'a', answer: ' \n' }, reason: /the answer is empty/ },
    { row: { question: 1, answer: 'b' }, reason: /"question" and "answer" are not both texts/ },
    { row: { user: 'a', assistant: null }, reason: /"user" and "assistant" are not both texts/ },
    { row: rows.question_answer, options: { answer: 'reply' }, reason: /"question" and "reply" are not/ },
  ],
  others: [...othersOf('question_answer'), { question: 'a' }],
});

testDataFormat(promptCompletionFormat, {
  valid: [
    { row: rows.prompt_completion, text: rows.prompt_completion },
    {
      row: { in: 'a', out: ' b' },
      options: { prompt: 'in', completion: 'out' },
      text: { prompt: 'a', completion: ' b' },
    },
  ],
  skipped: [
    { row: { prompt: 'a', completion: '' }, reason: /the completion is empty/ },
    { row: { prompt: [user('a')], completion: [assistant('b')] }, reason: /not both texts/ },
  ],
  others: othersOf('prompt_completion'),
});

testDataFormat(textFormat, {
  valid: [
    { row: rows.text, text: rows.text },
    { row: { body: 'a' }, options: { column: 'body' }, text: { text: 'a' } },
  ],
  skipped: [
    { row: { text: ' ' }, reason: /the text is empty/ },
    { row: { text: null }, reason: /"text" is not a text/ },
    { row: { text: 'a' }, options: { column: 'body' }, reason: /"body" is not a text/ },
  ],
  others: othersOf('text'),
});

test('a row that fits several formats is read by the one that says most', () => {
  const formats = compose([dataFormats()]).all(point);
  expect(formats.map(({ kind }) => kind)).toEqual(Object.keys(rows));
  const first = (row: object) => formats.find((each) => each.matches(row as Record<string, unknown>))?.kind;
  for (const [kind, row] of Object.entries(rows)) expect(first({ ...rows.text, ...row })).toBe(kind);
  expect(first({ ...rows.prompt_completion, ...rows.messages })).toBe('messages');
  expect(first({ prompt: 'x' })).toBeUndefined();
});
