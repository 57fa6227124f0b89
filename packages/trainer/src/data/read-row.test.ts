import { describe, expect, test } from 'vitest';
import type { ChosenFormat } from './choose-format.js';
import type { RowText } from './data-format.js';
import { createRowReader } from './read-row.js';
import { parseJson } from './rows/parse-json.js';

type Row = Record<string, unknown>;
const formatOf = (read: (row: Row) => RowText, columns?: readonly string[]): ChosenFormat => ({
  kind: 'test',
  options: {},
  read: (value) => read(value as Row),
  ...(columns === undefined ? {} : { columns: () => columns }),
});
const readRow = (format: ChosenFormat, row: Row, prompt?: string) =>
  createRowReader(format, prompt)(row, () => 'row 1');
const questions = formatOf(({ q, a }) => ({ question: q as string, answer: a as string }), ['q', 'a']);
const whole = formatOf(
  ({ q, a }) => ({ question: q as string, answer: a as string, prompt: `${q as string}!`, promptColumns: ['input'] }),
  ['q', 'a', 'input'],
);

describe('data.prompt', () => {
  const row = { q: 'Q', a: 'A', input: 'I', n: 5, ok: true, none: null, empty: '', list: [1] };
  const numbers = parseJson('{"float":1.0,"int":9007199254740993}') as Row;
  test.each([
    [undefined, 'Question: Q\nAnswer:', ' A', ['input', 'n', 'ok', 'list']],
    ['{question} {input}:', 'Q I:', ' A', ['n', 'ok', 'list']],
    ['{float} {int}', '1.0 9007199254740993', ' A', ['input', 'n', 'ok', 'list']],
    ['{q} {n} {ok} [{none}{empty}] {{input}}', 'Q 5 true [] {input}', ' A', ['input', 'list']],
  ])('%j names any column; others are reported', (prompt, text, completion, unused) => {
    const { text: read, unused: rest } = readRow(questions, { ...row, ...numbers }, prompt);
    expect(read).toEqual({ prompt: text, completion });
    expect(rest.filter((key) => !(key in numbers))).toEqual(unused);
  });

  test('takes the place of the text that a format has for it, whose columns are then not shown', () => {
    expect(readRow(whole, { q: 'Q', a: 'A', input: 'I' })).toEqual({
      text: { prompt: 'Q!', completion: 'A' },
      unused: [],
    });
    expect(readRow(whole, { q: 'Q', a: 'A', input: 'I' }, '{question}:')).toEqual({
      text: { prompt: 'Q:', completion: ' A' },
      unused: ['input'],
    });
  });

  test('a column that the row does not have, or that is no text, is named', () => {
    const skip = (prompt: string) => readRow(questions, row, prompt).text;
    expect(skip('{question} {imput}')).toEqual({
      skip: 'data.prompt names {imput}, which the row does not have; braces that are text are doubled ({{ and }})',
    });
    expect(skip('{constructor}')).toMatchObject({ skip: expect.stringMatching(/does not have/) as string });
    expect(skip('{list}')).toEqual({ skip: 'data.prompt names {list}, which is a list or an object, not a text' });
  });
});

test('half of a surrogate pair is refused wherever it stands', () => {
  const skip = /half of a surrogate pair/;
  const texts: RowText[] = [
    { text: 'cut \ud83d end' },
    { prompt: 'a', completion: '\udc00' },
    { messages: [{ role: 'user', content: [{ type: 'text', text: '\ud83d' }] }] },
    { messages: [{ role: 'user', content: 'a' }], tools: [{ '\ud83d': 1 }] },
  ];
  for (const text of texts)
    expect(
      readRow(
        formatOf(() => text),
        { x: 1 },
      ).text,
    ).toEqual({ skip: expect.stringMatching(skip) as string });
  expect(
    readRow(
      formatOf(() => ({ text: 'whole 😀' })),
      { x: 1 },
    ).text,
  ).toEqual({ text: 'whole 😀' });
});

test('columns are reported where a format names those that it reads', () => {
  const text = { text: 'a' };
  const row = { text: 'a', id: 7, empty: {}, nothing: null, also: false };
  expect(
    readRow(
      formatOf(() => text, ['text']),
      row,
    ).unused,
  ).toEqual(['id', 'also']);
  expect(
    readRow(
      formatOf(() => text),
      row,
    ).unused,
  ).toEqual([]);
});

describe('context and system beside a question or a prompt', () => {
  const row = { q: 'Q', a: 'A', context: 'C', id: 7 };
  const reason = (place: string) =>
    `its "context" is not in the prompt: ${place}, or name the file's format in the config, which then leaves it out`;
  const pairs = formatOf(({ q, a }) => ({ prompt: q as string, completion: a as string }), ['q', 'a']);

  test('are not left out silently', () => {
    expect(readRow(questions, row)).toEqual({ text: { skip: reason('name {context} in data.prompt') }, unused: [] });
    expect(readRow(pairs, row)).toEqual({ text: { skip: reason('write it into the prompt') }, unused: [] });
    expect(readRow(questions, { ...row, context: '' }).text).toEqual({
      prompt: 'Question: Q\nAnswer:',
      completion: ' A',
    });
    expect(readRow(questions, { q: 'Q', a: 'A', system: 'S' }).text).toMatchObject({
      skip: expect.stringMatching(/its "system" is not/) as string,
    });
  });

  test('are in a prompt that names them, and reported where the config names the format', () => {
    expect(readRow(questions, row, '{context} {question}')).toEqual({
      text: { prompt: 'C Q', completion: ' A' },
      unused: ['id'],
    });
    expect(readRow({ ...questions, isNamed: true }, row).unused).toEqual(['context', 'id']);
  });

  test('belong to the template beside a conversation', () => {
    const chat = formatOf(() => ({ messages: [{ role: 'user', content: 'Hi' }] }), ['q']);
    expect(readRow(chat, row).unused).toEqual(['a', 'context', 'id']);
  });
});
