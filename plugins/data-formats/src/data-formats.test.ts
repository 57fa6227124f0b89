import { compose } from '@glulam/plugin';
import { testDataFormat } from '@glulam/testing';
import { dataFormats as point } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import {
  alpacaFormat,
  dataFormats,
  messagesFormat,
  orcaChatFormat,
  promptCompletionFormat,
  questionAnswerFormat,
  shareGptFormat,
  textFormat,
} from './index.js';

const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown, further: object = {}) => ({ role: 'assistant', content, ...further });
const system = (content: string) => ({ role: 'system', content });
const human = (value: unknown) => ({ from: 'human', value });
const gpt = (value: unknown, further: object = {}) => ({ from: 'gpt', value, ...further });

const rows = {
  messages: { messages: [user('Hi'), assistant('Hello')], id: 7 },
  sharegpt: { id: 'a', conversations: [human('Hi'), gpt('Hello')] },
  orca_chat: { instruction: 'Be brief.', conversation: [{ input: 'Hi', output: 'Hello' }] },
  alpaca: { instruction: 'Make it a question.', input: 'The lamp is on.', output: 'Is the lamp on?' },
  question_answer: { question: '1 + 1?', answer: '2' },
  prompt_completion: { prompt: 'One, two,', completion: ' three' },
  text: { text: 'Once upon a time' },
};
const othersOf = (kind: keyof typeof rows) => [
  {},
  ...Object.entries(rows).flatMap(([each, row]) => (each === kind ? [] : [row])),
];
const call = { id: 'c', type: 'function', function: { name: 'weather', arguments: { city: 'Bern' } } };
const tool = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };
const leftOut = 'a turn of the assistant without text: left out';
const renamed = 'roles such as human, gpt or USER: read as user and assistant';

testDataFormat(messagesFormat, {
  valid: [
    { row: rows.messages, text: { messages: rows.messages.messages } },
    {
      row: { chat: [system('Be brief.'), user(''), assistant('!'), { role: 'tool', content: 'x', name: 'y' }] },
      options: { column: 'chat' },
      text: { messages: [system('Be brief.'), user(''), assistant('!'), { role: 'tool', content: 'x', name: 'y' }] },
    },
    // Everything that the template may show goes through as it is.
    {
      row: {
        messages: [
          { role: 'developer', content: 'Be brief.' },
          user([{ type: 'text', text: 'Hi' }]),
          assistant(null, { tool_calls: [call], reasoning_content: 'hm' }),
          { role: 'tool', tool_call_id: 'c', content: { sky: 'clear' } },
          { role: 'observation', content: 'clear' },
          { role: 'assistant', function_call: { name: 'x', arguments: '{}' } },
          { role: 'function', name: 'x', content: '1' },
          assistant('Clear.', { mood: 'good' }),
        ],
        tools: [tool],
      },
      text: {
        messages: [
          { role: 'developer', content: 'Be brief.' },
          user([{ type: 'text', text: 'Hi' }]),
          assistant(null, { tool_calls: [call], reasoning_content: 'hm' }),
          { role: 'tool', content: { sky: 'clear' }, tool_call_id: 'c' },
          { role: 'observation', content: 'clear' },
          { role: 'assistant', function_call: { name: 'x', arguments: '{}' } },
          { role: 'function', content: '1', name: 'x' },
          assistant('Clear.', { mood: 'good' }),
        ],
        tools: [tool],
      },
    },
    {
      row: { system: 'Be brief.', tools: JSON.stringify([tool]), conversations: [user('Hi'), assistant('Hello')] },
      text: { messages: [system('Be brief.'), user('Hi'), assistant('Hello')], tools: [tool] },
    },
    {
      row: { system_prompt: 'Be brief.', messages: [system('Be brief.'), user('Hi'), assistant('Hello')], tools: '' },
      text: { messages: [system('Be brief.'), user('Hi'), assistant('Hello')] },
    },
    { row: { messages: JSON.stringify(rows.messages.messages) }, text: { messages: rows.messages.messages } },
    {
      row: { messages: [user('Hi'), assistant('', { tool_calls: JSON.stringify([call]) }), assistant('Hello')] },
      text: { messages: [user('Hi'), assistant('', { tool_calls: [call] }), assistant('Hello')] },
    },
    {
      row: {
        messages: [
          { role: 'human', content: 'Hi' },
          { role: 'Assistant', value: 'Hello' },
        ],
      },
      text: { messages: [user('Hi'), assistant('Hello')], notes: [renamed] },
    },
    // Context only: each key by which data sets say so.
    ...[{ weight: 0 }, { train: false }, { training: false }, { loss: false }, { weight: 0, train: false }].map(
      (key) => ({
        row: { system: 'S', messages: [user('a'), assistant('b', key), { ...user('c'), ...key }, assistant('d')] },
        text: { messages: [system('S'), user('a'), assistant('b'), user('c'), assistant('d')], contextOnly: [2] },
      }),
    ),
    {
      row: { messages: [user('a'), assistant('b', { weight: 1, train: true }), { ...user('c'), weight: null }] },
      text: { messages: [user('a'), assistant('b'), user('c')] },
    },
    // As `parseJson` has numbers that are written with a point.
    {
      row: {
        messages: [user('a'), assistant('b', { weight: Object(0) }), user('c'), assistant('d', { weight: Object(1) })],
      },
      text: { messages: [user('a'), assistant('b'), user('c'), assistant('d')], contextOnly: [1] },
    },
    {
      row: { system: '', system_prompt: 'S', system_message: 'S', messages: [user('a'), assistant('b')] },
      text: { messages: [system('S'), user('a'), assistant('b')] },
    },
    // OpenAI's, whose text stands elsewhere: it is the template's to show.
    ...[{ refusal: 'No.' }, { audio: { id: 'x' } }].map((key) => ({
      row: { messages: [user('a'), assistant(null, key)] },
      text: { messages: [user('a'), assistant(null, key)] },
    })),
    // A turn without text is no end token to be learnt.
    ...['', ' \n', null, [{ type: 'text', text: ' ' }]].map((nothing) => ({
      row: { messages: [user('a'), assistant('b', { weight: 0 }), user('c'), assistant(nothing, { tool_calls: [] })] },
      text: { messages: [user('a'), assistant('b'), user('c')], contextOnly: [1], notes: [leftOut] },
    })),
  ],
  skipped: [
    { row: { messages: [] }, reason: /conversation is empty/ },
    { row: { messages: [assistant('')] }, reason: /empty but for turns without text/ },
    { row: { messages: 'Hi' }, reason: /"messages" is a text, and not the JSON of a list of messages/ },
    { row: { messages: null }, reason: /"messages" is null, not a list/ },
    { row: { messages: [{ content: 'Hi' }] }, reason: /a turn has the keys content; expected role and content/ },
    { row: { messages: [{ role: 'user', text: 'Hi' }] }, reason: /the keys role, text; expected role and content/ },
    { row: { messages: [user('Hi'), { role: 'assistant', text: 'Hi' }] }, reason: /the keys role, text; expected/ },
    { row: { messages: [human('Hi')] }, reason: /the keys from, value; expected role and content/ },
    { row: { messages: ['Hi'] }, reason: /a turn is a text, not an object/ },
    { row: { messages: [{ role: null, content: 'Hi' }] }, reason: /"role" is null, not a text/ },
    { row: { messages: [{ role: 'user', content: 5 }] }, reason: /content of a turn is a number, not a text/ },
    { row: { messages: [{ role: 'user', content: null }] }, reason: /a turn of the role "user" has no content/ },
    {
      row: { messages: [user([{ type: 'image', url: 'x' }])] },
      reason: /a part of the type "image"; only \{ type: text/,
    },
    { row: { messages: [user(['Hi'])] }, reason: /a part that is a text; only/ },
    {
      row: { messages: [user('a'), assistant('b', { tool_calls: 'x' })] },
      reason: /"tool_calls" of a turn are a text/,
    },
    { row: { messages: [user('a'), assistant('b', { weight: 0.5 })] }, reason: /"weight" is neither 0 or false/ },
    { row: { messages: [user('a'), assistant('b', { train: 'no' })] }, reason: /"train" is neither 0 or false/ },
    {
      row: { messages: [user('a'), assistant('b', { weight: 0, train: true })] },
      reason: /"weight" and "train" contra/,
    },
    {
      row: { messages: [{ ...user('a'), train: true }, assistant('b')] },
      reason: /"user" is to be learnt \("train"\)/,
    },
    { row: { messages: [user('a'), assistant('b', { train_detail: [] })] }, reason: /"train_detail", which is not/ },
    { row: { ...rows.messages, tools: { a: 1 } }, reason: /"tools" is an object; expected a list/ },
    { row: { ...rows.messages, tools: 'x' }, reason: /"tools" is a text; expected a list, or the JSON/ },
    { row: { ...rows.messages, tools: ['x'] }, reason: /"tools" holds a text; expected objects/ },
    { row: { ...rows.messages, system: Object(5) }, reason: /"system" is a number, not a text/ },
    { row: { ...rows.messages, system: 'A', system_prompt: 'B' }, reason: /"system" and "system_prompt" differ/ },
    { row: { ...rows.messages, system: 5 }, reason: /"system" is a number, not a text/ },
    { row: { system: 'A', messages: [system('B'), user('a'), assistant('b')] }, reason: /its system turn differ/ },
    { row: rows.messages, options: { column: 'turns' }, reason: /"turns" is missing/ },
  ],
  others: [...othersOf('messages'), { messages: [human('Hi')] }, { messages: 'Hi' }, { messages: '[1' }],
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
    {
      row: {
        messages: [
          { from: 'Human', value: 'Hi' },
          { from: 'GPT', content: 'Hello', mood: 'good' },
        ],
      },
      text: { messages: [user('Hi'), assistant('Hello', { mood: 'good' })], notes: [] },
    },
    {
      row: {
        system: 'S',
        tools: '[]',
        conversations: JSON.stringify([human('Hi'), gpt('Hello', { weight: 0 }), human('b'), gpt('c')]),
      },
      text: {
        messages: [system('S'), user('Hi'), assistant('Hello'), user('b'), assistant('c')],
        tools: [],
        contextOnly: [2],
        notes: [],
      },
    },
    // What is learnt is not joined to what is not.
    {
      row: { conversations: [human('a'), gpt('b', { train: false }), gpt('c', { train: true })] },
      text: { messages: [user('a'), assistant('b'), assistant('c')], contextOnly: [1], notes: [] },
    },
    {
      row: {
        conversations: [
          human('Weather?'),
          { from: 'function_call', value: '{"name":"weather","arguments":{"city":"Bern"}}' },
          { from: 'observation', value: 'clear' },
          { from: 'observation', value: 'cold' },
          gpt('Clear.'),
        ],
      },
      text: {
        messages: [
          user('Weather?'),
          assistant('', { tool_calls: [{ type: 'function', function: call.function }] }),
          { role: 'tool', content: 'clear' },
          { role: 'tool', content: 'cold' },
          assistant('Clear.'),
        ],
        notes: [],
      },
    },
  ],
  skipped: [
    { row: { conversations: [] }, reason: /conversation is empty$/ },
    { row: { conversations: [gpt('only')] }, reason: /empty but for what answers nothing/ },
    {
      row: { conversations: [human('Hi'), { from: 'narrator', value: 'x' }] },
      reason: /"from" is "narrator", none of human,/,
    },
    { row: { conversations: [human('Hi'), { from: 'constructor', value: 'x' }] }, reason: /"from" is "constructor"/ },
    {
      row: { conversations: [human('Hi'), { from: 'gpt', text: 'x' }] },
      reason: /the keys from, text; expected from and value/,
    },
    { row: { conversations: [human('Hi'), gpt(5)] }, reason: /content of a turn is a number/ },
    { row: { conversations: [human('Hi'), { ...gpt('a'), role: 'b' }] }, reason: /both "from" and "role"/ },
    {
      row: { conversations: [human('a'), { from: 'function_call', value: 'x' }] },
      reason: /function_call turn is not JSON/,
    },
    { row: { conversations: [human('a'), gpt('b', { weight: 2 })] }, reason: /"weight" is neither/ },
    { row: { conversations: 'x' }, reason: /"conversations" is a text, and not the JSON/ },
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
      row: {
        instruction: '',
        conversation: [
          { input: 'a', output: 'b' },
          { input: 'c', output: '' },
        ],
      },
      text: { messages: [user('a'), assistant('b')], notes: ['an exchange without output: left out'] },
    },
    {
      row: { instruction: null, conversation: [{ input: '', output: 'b' }] },
      text: { messages: [user(''), assistant('b')], notes: [] },
    },
    // XTuner's.
    {
      row: {
        conversation: [
          { system: 'S', input: 'a', output: 'b' },
          { system: 'S', input: 'c', output: 'd' },
        ],
      },
      text: { messages: [system('S'), user('a'), assistant('b'), user('c'), assistant('d')], notes: [] },
    },
    {
      row: {
        instruction: 'S',
        conversation: [
          { input: 'a', output: 'b', weight: 0 },
          { input: 'c', output: 'd', mood: 'x' },
        ],
      },
      text: {
        messages: [system('S'), user('a'), assistant('b'), user('c'), assistant('d')],
        contextOnly: [2],
        notes: ['"mood" of an exchange: not used'],
      },
    },
  ],
  skipped: [
    { row: { instruction: 'x', conversation: [] }, reason: /conversation is empty/ },
    { row: { instruction: 'x', conversation: [{ input: 'a', output: ' ' }] }, reason: /conversation is empty/ },
    { row: { instruction: 'x', conversation: [{ input: 'a' }] }, reason: /as texts: it has the keys input/ },
    { row: { instruction: 'x', conversation: [null] }, reason: /an exchange is null, not/ },
    {
      row: { instruction: 'x', conversation: [{ input: 'a', output: 'b', weight: 3 }] },
      reason: /"weight" is neither/,
    },
    {
      row: { instruction: 'S', conversation: [{ system: 'T', input: 'a', output: 'b' }] },
      reason: /"system" of its first exchange differ/,
    },
    {
      row: {
        conversation: [
          { input: 'a', output: 'b' },
          { system: 'S', input: 'a', output: 'b' },
        ],
      },
      reason: /after the first has a "system"/,
    },
    { row: { conversation: [{ system: 5, input: 'a', output: 'b' }] }, reason: /"system" of an exchange is a number/ },
    { row: { instruction: 5, conversation: [{ input: 'a', output: 'b' }] }, reason: /"instruction" is a number/ },
    { row: { instruction: 'x', conversation: 'y' }, reason: /"conversation" is a text, and not/ },
  ],
  others: [...othersOf('orca_chat'), { instruction: 'x', input: 'y', output: 'z' }],
});

const withInput =
  'Below is an instruction that describes a task, paired with an input that provides further context. ' +
  'Write a response that appropriately completes the request.\n\n';
const withoutInput =
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n';

testDataFormat(alpacaFormat, {
  valid: [
    {
      row: rows.alpaca,
      text: {
        question: 'Make it a question.',
        answer: 'Is the lamp on?',
        prompt: `${withInput}### Instruction:\nMake it a question.\n\n### Input:\nThe lamp is on.\n\n### Response:\n`,
        promptColumns: ['input', 'system'],
      },
    },
    ...[{}, { input: '' }, { input: null }, { input: ' ', history: [], system: '' }].map((further) => ({
      row: { instruction: 'Name a river.', output: 'Oder.', ...further },
      text: {
        question: 'Name a river.',
        answer: 'Oder.',
        prompt: `${withoutInput}### Instruction:\nName a river.\n\n### Response:\n`,
        promptColumns: ['input', 'system'],
      },
    })),
    // Dolly's names, and a system message in the place of the first paragraph.
    {
      row: { instruction: 'Who?', context: 'Ann.', response: 'Ann', system: 'Be brief.' },
      text: {
        question: 'Who?',
        answer: 'Ann',
        prompt: 'Be brief.\n\n### Instruction:\nWho?\n\n### Input:\nAnn.\n\n### Response:\n',
        promptColumns: ['context', 'system'],
      },
    },
    {
      row: { ...rows.alpaca, system: 'Be brief.', history: [['a', 'b']] },
      options: { layout: 'chat' },
      text: {
        messages: [
          ...[system('Be brief.'), user('a'), assistant('b')],
          ...[user('Make it a question.\nThe lamp is on.'), assistant('Is the lamp on?')],
        ],
        contextOnly: [2],
      },
    },
    {
      row: { instruction: 'Name a river.', output: 'Oder.' },
      options: { layout: 'chat' },
      text: { messages: [user('Name a river.'), assistant('Oder.')] },
    },
  ],
  skipped: [
    { row: { ...rows.alpaca, output: ' ' }, reason: /the answer \("output"\) is empty/ },
    { row: { ...rows.alpaca, output: 5 }, reason: /"output" is a number, not a text/ },
    { row: { ...rows.alpaca, input: ['a'] }, reason: /"input" is a list, not a text/ },
    { row: { ...rows.alpaca, history: [['a', 'b']] }, reason: /"history" is a conversation.*layout: chat/ },
    { row: { ...rows.alpaca, history: [['a']] }, reason: /"history" holds something other/ },
    { row: { ...rows.alpaca, history: 'x' }, reason: /"history" is a text; expected a list/ },
  ],
  others: othersOf('alpaca'),
});

testDataFormat(questionAnswerFormat, {
  valid: [
    { row: rows.question_answer, text: rows.question_answer },
    { row: { user: 'a', assistant: 'b' }, text: { question: 'a', answer: 'b' } },
    { row: { question: 'a', response: 'b' }, text: { question: 'a', answer: 'b' } },
    { row: { query: 'a', response: 'b' }, text: { question: 'a', answer: 'b' } },
    { row: { question: 'a', answer: 'b', user: 'c', assistant: 'd' }, text: { question: 'a', answer: 'b' } },
    {
      row: { problem: 'a', solution: 'b' },
      options: { question: 'problem', answer: 'solution' },
      text: { question: 'a', answer: 'b' },
    },
  ],
  skipped: [
    { row: { question: 'a', answer: ' \n' }, reason: /the answer is empty/ },
    { row: { question: 1, answer: 'b' }, reason: /^"question" is a number, not a text$/ },
    { row: { question: 'a', answer: ['b'] }, reason: /^"answer" is a list, not a text$/ },
    { row: { user: 'a', assistant: null }, reason: /^"assistant" is null, not a text$/ },
    { row: { other: 'a' }, reason: /"question" is missing, "answer" is missing, its columns are other/ },
    {
      row: rows.question_answer,
      options: { answer: 'reply' },
      reason: /"reply" is missing, its columns are question, answer/,
    },
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
    // TRL's conversations: what is in the prompt is not learnt.
    {
      row: { prompt: [user('a'), assistant('b'), user('c')], completion: [assistant('d')], tools: [tool] },
      text: { messages: [user('a'), assistant('b'), user('c'), assistant('d')], contextOnly: [1], tools: [tool] },
    },
    // As texts of JSON, in a CSV file.
    {
      row: { prompt: JSON.stringify([user('a')]), completion: JSON.stringify([assistant('b')]), system: 'S' },
      text: { messages: [system('S'), user('a'), assistant('b')] },
    },
    { row: { prompt: '[1]', completion: '[2]' }, text: { prompt: '[1]', completion: '[2]' } },
  ],
  skipped: [
    { row: { prompt: 'a', completion: '' }, reason: /the completion is empty/ },
    {
      row: { prompt: 'a', completion: [assistant('b')] },
      reason: /^of "prompt" and "completion" one is a list; expected two texts, or two lists of messages$/,
    },
    { row: { prompt: [user('a')], completion: [{ role: 'assistant' }] }, reason: /the keys role; expected/ },
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
    { row: { text: null }, reason: /"text" is null, not a text/ },
    { row: { text: 'a' }, options: { column: 'body' }, reason: /"body" is missing, its columns are text/ },
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
  expect(first({ messages: [human('Hi')] })).toBe('sharegpt');
  expect(first({ conversations: [user('Hi')] })).toBe('messages');
  expect(first({ messages: [] })).toBe('messages');
  expect(first({ conversations: [] })).toBe('sharegpt');
});

test('numbers and keys of JSON in a text are kept as they are written', () => {
  const tools = [
    new Map<string, unknown>([
      ['b', Object(1)],
      ['1', 9007199254740993n],
    ]),
  ];
  expect(messagesFormat.read({ ...rows.messages, tools: '[{"b":1.0,"1":9007199254740993}]' }, {})).toEqual({
    messages: rows.messages.messages,
    tools,
  });
  const value = '{"name":"f","arguments":{"x":1.0}}';
  const called = shareGptFormat.read({ conversations: [human('a'), { from: 'function_call', value }] }, {});
  expect(called).toMatchObject({
    messages: [{}, { tool_calls: [{ function: { arguments: { x: Object(1) as unknown } } }] }],
  });
});

describe('answers that are not wanted are not learnt', () => {
  const formats = compose([dataFormats()]).all(point);
  const read = (row: Record<string, unknown>) => {
    const format = formats.find((each) => each.matches(row))!;
    return format.read(row, format.schema.parse({}));
  };
  const verdict = (key: string) => ({ skip: `its "${key}" is false: an answer that is not wanted is not learnt` });

  test('rows of KTO', () => {
    for (const row of [rows.prompt_completion, rows.messages, rows.sharegpt]) {
      expect(read({ ...row, label: false })).toEqual(verdict('label'));
      expect(read({ ...row, label: true })).toEqual(read(row));
      expect(read({ ...row, kto_tag: false })).toEqual(verdict('kto_tag'));
    }
    expect(read({ ...rows.alpaca, kto_tag: false })).toEqual(verdict('kto_tag'));
  });

  test('a label beside a text or a question says something else', () => {
    for (const row of [rows.text, rows.question_answer]) expect(read({ ...row, label: false })).toEqual(read(row));
  });

  test('a conversation that waits for one of two answers', () => {
    const pair = { chosen: gpt('x'), rejected: gpt('y') };
    const turns = rows.sharegpt.conversations;
    expect(read({ conversations: [...turns, human('More?')], ...pair })).toEqual({
      skip: 'its answers are "chosen" and "rejected": pairs are not trained on; put the chosen one after the conversation',
    });
    expect(read({ conversations: [...turns, human('More?')], chosen: null, rejected: null })).toMatchObject({
      messages: { length: 3 },
    });
    // Whole conversations with pairs made of them.
    expect(read({ conversations: turns, ...pair })).toEqual(read({ conversations: turns }));
  });
});

describe('columns that a row is read from', () => {
  test.each([
    ['messages', messagesFormat.columns!({ conversation: [] }, {}), ['conversation', 'system', 'tools']],
    ['sharegpt', shareGptFormat.columns!({}, { column: 'chat' }), ['chat', 'system', 'tools']],
    ['alpaca', alpacaFormat.columns!({ context: 'a', response: 'b' }, { layout: 'alpaca' }), ['context', 'response']],
    ['question_answer', questionAnswerFormat.columns!({ query: 'a', response: 'b' }, {}), ['query', 'response']],
    [
      'prompt_completion',
      promptCompletionFormat.columns!({ prompt: [], completion: [] }, { prompt: 'prompt', completion: 'completion' }),
      ['prompt', 'system', 'tools'],
    ],
  ])('of %s', (_, columns, expected) => expect(columns).toEqual(expect.arrayContaining(expected)));

  test('a text has no system message beside it', () => {
    const columns = { prompt: 'prompt', completion: 'completion' };
    expect(promptCompletionFormat.columns!(rows.prompt_completion, columns)).toEqual(['prompt', 'completion']);
  });
});
