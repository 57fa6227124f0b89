import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openData, openPromptForm, openRunTokenizer, promptTokens, type RunConfigInput } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { describe, expect, test } from 'vitest';

const base = path.resolve(import.meta.dirname, '../../examples/models/tiny-mistral-gsm8k');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-prompts-'));
let made = 0;
function fileOf(row: object): string {
  const file = path.join(work, `${made++}.jsonl`);
  writeFileSync(file, `${JSON.stringify(row)}\n`);
  return file;
}
type Data = Omit<RunConfigInput['data'], 'train'>;
const open = (train: RunConfigInput['data']['train'], data: Data = {}) =>
  resolveConfig({ base, data: { ...data, train } }, [], work);

const system = 'You are brief.';
const q = 'How many legs do two spiders have?';
const a = 'Sixteen.';

describe('a question is written as in training, token for token', () => {
  test.each<{ name: string; row: object; columns?: Record<string, string>; data?: Data; format?: { kind: string } }>([
    { name: 'question and answer', row: { question: q, answer: a } },
    { name: 'user and assistant', row: { user: q, assistant: a }, data: { prompt: 'User: {user}\nAssistant:' } },
    { name: 'query and response', row: { query: q, response: a }, data: { prompt: '{question} =' } },
    {
      name: 'columns of other names',
      row: { problem: q, solution: a },
      format: { kind: 'question_answer', ...{ question: 'problem', answer: 'solution' } },
      data: { prompt: 'Problem: {problem}\n{{so}}' },
    },
    {
      name: 'a context and a system message in data.prompt',
      row: { question: q, answer: a, context: 'Spiders have 8 legs.\nTwo of them.', system },
      columns: { context: 'Spiders have 8 legs.\nTwo of them.', system },
      data: { prompt: '{system}\n\n{context}\nQ: {question}\nA:' },
    },
    { name: 'a prompt that ends with a space', row: { question: q, answer: a }, data: { prompt: 'Q: {question} A: ' } },
    { name: 'a question with line ends and braces', row: { question: ' {x}\n\n\\nu ', answer: a } },
    { name: 'alpaca', row: { instruction: q, output: a } },
    {
      name: 'alpaca with input and system',
      row: { instruction: q, input: '8 each', output: a, system },
      columns: { input: '8 each', system },
    },
    { name: 'dolly', row: { instruction: q, context: '8 each', response: a }, columns: { context: '8 each' } },
    {
      name: 'alpaca by data.prompt',
      row: { instruction: q, input: 'b', output: a },
      columns: { input: 'b' },
      data: { prompt: '{instruction} ({input}):' },
    },
    {
      name: 'alpaca as a conversation',
      row: { instruction: q, input: 'b', output: a },
      columns: { input: 'b' },
      format: { kind: 'alpaca', ...{ layout: 'chat' } },
    },
    {
      name: 'messages',
      row: {
        messages: [
          { role: 'user', content: q },
          { role: 'assistant', content: a },
        ],
      },
    },
    {
      name: 'messages with a system message',
      row: {
        messages: [
          { role: 'system', content: system },
          { role: 'user', content: q },
          { role: 'assistant', content: a },
        ],
      },
      columns: { system },
      data: { chatTemplate: 'plain' },
    },
    {
      name: 'messages in another column',
      row: {
        talk: [
          { role: 'user', content: q },
          { role: 'assistant', content: a },
        ],
      },
      format: { kind: 'messages', ...{ column: 'talk' } },
    },
    {
      name: 'sharegpt',
      row: {
        conversations: [
          { from: 'human', value: q },
          { from: 'gpt', value: a },
        ],
      },
    },
    {
      name: 'orca-chat',
      row: { instruction: system, conversation: [{ input: q, output: a }] },
      columns: { system },
      data: { chatTemplate: 'plain' },
    },
  ])('$name', async ({ row, columns = {}, data, format }) => {
    const file = fileOf(row);
    const { config, composition } = open(format === undefined ? file : { file, format }, data);
    const tokenizer = openRunTokenizer(config, config.base);
    const read = await openData(config, composition, tokenizer);
    const [{ ids, trained }] = read.batches(0).next() as [{ ids: Int32Array; trained: Uint8Array }];
    read.close();
    const question = (Object.values(row).includes(' {x}\n\n\\nu ') && ' {x}\n\n\\nu ') || q;
    const recorded = read.reports.map((each) => each.format);
    // As of a run, whose data may not be here, and as of a config.
    for (const options of [{ recorded }, {}]) {
      const form = (await openPromptForm(config, composition, options))!;
      const text = form.ask(question, columns);
      if ('skip' in text) throw new Error(text.skip);
      const tokens = promptTokens(tokenizer, text);
      expect(tokens).toEqual([...ids.slice(0, trained.indexOf(1))]);
      expect(form.columns.every((name) => name in columns)).toBe(true);
      for (const name of Object.keys(columns)) expect(form.takes(name), name).toBe(true);
      for (const name of ['topic', 'answer', 'question', 'messages', 'instruction'])
        if (!(name in columns) && form.format !== 'orca_chat') expect(form.takes(name), name).toBe(false);
    }
  });
});

describe('the form of a run', () => {
  const qa = { question: q, answer: a };
  const talk = {
    messages: [
      { role: 'user', content: q },
      { role: 'assistant', content: a },
    ],
  };

  test('is shown with the names of columns in braces', async () => {
    const forms = [
      open(fileOf(qa)),
      open(fileOf({ ...qa, context: 'c' }), { prompt: '{context}: {question}' }),
      open(fileOf({ instruction: q, output: a })),
    ];
    const shown = await Promise.all(forms.map(({ config, composition }) => openPromptForm(config, composition)));
    expect(shown.map((form) => form?.text)).toEqual([
      'Question: {question}\nAnswer:',
      '{context}: {question}',
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n{question}\n\n### Response:\n',
    ]);
    expect(shown[1]!.ask(q)).toEqual({ skip: 'the prompt shows {context} too' });
    expect(shown[0]!.ask(q, { context: 'c' })).toEqual({ skip: 'the prompt has no {context}' });
    expect(shown[0]!.ask(q, { answer: 'c' })).toEqual({ skip: 'the prompt has no {answer}' });
  });

  test('of several files: the preferred kind, where one has it', async () => {
    const { config, composition } = open([fileOf(talk), fileOf(qa)]);
    const kind = async (options: Parameters<typeof openPromptForm>[2]) =>
      (await openPromptForm(config, composition, options))?.kind;
    expect(await kind({})).toBe('question');
    expect(await kind({ preferred: 'conversation' })).toBe('conversation');
    expect(await kind({ preferred: 'conversation', recorded: ['question_answer'] })).toBe('question');
  });

  test('is not known of prompts and texts as they are, of formats that are not installed, and of files that are elsewhere', async () => {
    for (const row of [{ text: 'x' }, { prompt: 'x', completion: 'y' }]) {
      const { config, composition } = open(fileOf(row));
      expect(await openPromptForm(config, composition)).toBeUndefined();
    }
    const { config, composition } = open(path.join(work, 'elsewhere.jsonl'));
    expect(await openPromptForm(config, composition)).toBeUndefined();
    expect(await openPromptForm(config, composition, { recorded: ['strange'] })).toBeUndefined();
    // Where nothing is known, the form that is given counts.
    const given = open('none', { prompt: 'Q: {question}' });
    expect(await openPromptForm(given.config, given.composition)).toMatchObject({ text: 'Q: {question}' });
  });
});
