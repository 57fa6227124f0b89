import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { resolveConfig } from 'glulam';
import { definePlugin } from '@glulam/plugin';
import {
  dataFormats,
  labelBatch,
  openData,
  openRunTokenizer,
  type DataFormat,
  type Example,
  type OpenDataOptions,
  type RunConfigInput,
} from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { glulam, killed } from '../support/killable.js';

const examples = path.resolve(import.meta.dirname, '../../examples');
const base = path.join(examples, 'models/tiny-mistral-gsm8k');
const problems = path.join(examples, 'data/word-problems.train.jsonl');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-data-'));

let made = 0;
const newFolder = () => mkdtempSync(path.join(work, 'folder-'));
function fileOf(ending: string, text: string): string {
  const file = path.join(work, `${made++}${ending}`);
  writeFileSync(file, text);
  return file;
}
const jsonl = (rows: readonly unknown[]) => fileOf('.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));
const pairs = (count: number, name = 'q') =>
  jsonl(Array.from({ length: count }, (_, i) => ({ question: `${name} ${i}?`, answer: `It is ${i}.` })));

type DataInput = RunConfigInput['data'];
interface Changes extends OpenDataOptions {
  readonly train?: RunConfigInput['train'];
  readonly base?: string;
  readonly seed?: number;
  readonly formats?: readonly DataFormat[];
}
function open(data: DataInput, { train, seed = 0, base: other = base, formats = [], ...options }: Changes = {}) {
  const plugin = definePlugin({
    name: 'test formats',
    contract: 2,
    register: (registry) => formats.forEach((format) => registry.contribute(dataFormats, { create: () => format })),
  });
  const { config, composition } = resolveConfig({ base: other, data, train, seed }, [plugin], work);
  return openData(config, composition, openRunTokenizer(config, config.base), options);
}
const tokenizer = openRunTokenizer(resolveConfig({ base, data: { train: problems } }, [], work).config, base);
const textOf = ({ ids }: Example) => tokenizer.decode([...ids]);
const drawn = (data: Awaited<ReturnType<typeof open>>, batches: number, from = 0) => {
  const source = data.batches(from);
  return Array.from({ length: batches }, () => source.next().map(textOf));
};

describe('files', () => {
  test('JSONL, JSON and Parquet with the same rows give the same examples', async () => {
    const rows = readFileSync(problems, 'utf8')
      .trim()
      .split('\n')
      .slice(0, 20)
      .map((line) => JSON.parse(line) as { question: string; answer: string });
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    const columns = (['question', 'answer'] as const).map((name) => ({
      name,
      data: rows.map((row) => row[name]),
      type: 'STRING' as const,
    }));
    const parquet = path.join(work, 'rows.parquet');
    writeFileSync(parquet, new Uint8Array(parquetWriteBuffer({ columnData: columns, rowGroupSize: 7 })));
    const all = [jsonl(rows), fileOf('.json', JSON.stringify(rows, null, 2)), parquet];
    const opened = await Promise.all(all.map((train) => open({ train })));
    for (const data of opened) {
      expect(data.reports).toMatchObject([{ format: 'question_answer', rows: 20, examples: 20, skipped: [] }]);
      expect(drawn(data, 5)).toEqual(drawn(opened[0]!, 5));
    }
    for (const data of opened) data.close();
  });

  test('skipped rows are counted by reason with their lines, mended ones by note', async () => {
    const train = fileOf(
      '.jsonl',
      [
        '{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello"}]}',
        '',
        '{"conversations":[]}',
        '[1]',
        '{"conversations":[{"from":"gpt","value":"x"},{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello"}]}',
        '{"conversations":[{"from":"human","value":"Hi"}]}',
        ...Array.from({ length: 7 }, () => '{"conversations":[]}'),
      ].join('\r\n'),
    );
    const data = await open({ train });
    expect(data.reports).toEqual([
      {
        ...{ use: 'train', file: train, format: 'sharegpt', rows: 12, examples: 2 },
        tokens: 2 * data.files[0]!.length(0),
        trainedTokens: 2 * data.files[0]!.example(0).trained.reduce((sum, flag) => sum + flag, 0),
        skipped: [
          { reason: 'the conversation is empty', count: 8, rowNumbers: [3, 7, 8, 9, 10] },
          { reason: 'the row is a list, not an object', count: 1, rowNumbers: [4] },
          {
            reason: 'nothing in it is to be learnt: there is no text of the assistant, the roles are user',
            count: 1,
            rowNumbers: [6],
          },
        ],
        notes: [{ note: "the first turn was the assistant's: left out", count: 1 }],
      },
    ]);
    data.close();
  });

  test('the same rows as CSV, TSV, JSON lines named .json, and compressed', async () => {
    const rows = [
      { question: 'One, "two"?', answer: '007' },
      { question: 'A\nB?', answer: '1.0' },
    ];
    const table = (separator: string) =>
      [
        'question' + separator + 'answer',
        ...rows.map((row) =>
          [row.question, row.answer].map((text) => `"${text.replaceAll('"', '""')}"`).join(separator),
        ),
      ].join('\n');
    const lines = rows.map((row) => JSON.stringify(row)).join('\n');
    const compressed = path.join(work, 'rows.jsonl.gz');
    writeFileSync(compressed, gzipSync(lines));
    const all = [
      jsonl(rows),
      fileOf('.csv', table(',')),
      fileOf('.tsv', table('\t')),
      fileOf('.json', lines),
      compressed,
    ];
    const opened = await Promise.all(all.map((train) => open({ train })));
    for (const data of opened) {
      expect(data.reports).toMatchObject([{ format: 'question_answer', rows: 2, examples: 2, skipped: [], notes: [] }]);
      expect(data.files[0]!.example(0)).toEqual(opened[0]!.files[0]!.example(0));
    }
    for (const data of opened) data.close();
  });

  test('conversations as JSON in a column of CSV', async () => {
    const messages = [
      { role: 'user', content: 'Hi, "you"' },
      { role: 'assistant', content: 'Hello' },
    ];
    const csv = `id,messages,tools\n1,"${JSON.stringify(messages).replaceAll('"', '""')}",\n`;
    const [same, data] = [await open({ train: jsonl([{ messages }]) }), await open({ train: fileOf('.csv', csv) })];
    expect(data.reports).toMatchObject([
      { format: 'messages', notes: [{ note: 'columns that are not used: id', count: 1 }] },
    ]);
    expect(data.files[0]!.example(0)).toEqual(same.files[0]!.example(0));
    for (const each of [data, same]) each.close();
  });

  test('Alpaca rows as the published text, or by data.prompt; a text beside them is not learnt', async () => {
    const row = { instruction: 'Ask.', input: 'It is on.', output: 'Is it on?', text: 'It is on. Is it on?' };
    const learntOf = ({ ids, trained }: Example) =>
      tokenizer.decode(
        [...ids].filter((_, i) => trained[i] === 1),
        { skipSpecialTokens: false },
      );
    const unused = (columns: string) => [{ note: `columns that are not used: ${columns}`, count: 1 }];
    const preamble =
      'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.';
    const cases: [Partial<DataInput>, string, string, object[]][] = [
      [
        {},
        `${preamble}\n\n### Instruction:\nAsk.\n\n### Input:\nIt is on.\n\n### Response:\nIs it on?`,
        'Is it on?</s>',
        unused('text'),
      ],
      [{ prompt: 'I: {question} X: {input} A:' }, 'I: Ask. X: It is on. A: Is it on?', 'Is it on?</s>', unused('text')],
      [{ prompt: 'I: {instruction}:' }, 'I: Ask.: Is it on?', 'Is it on?</s>', unused('input, text')],
    ];
    for (const [changes, whole, learnt, notes] of cases) {
      const data = await open({ train: jsonl([row]), ...changes });
      expect(data.reports).toMatchObject([{ format: 'alpaca', notes }]);
      expect(textOf(data.files[0]!.example(0))).toBe(whole);
      expect(learntOf(data.files[0]!.example(0)).trim()).toBe(learnt);
      data.close();
    }
    const chat = await open({ train: { file: jsonl([row]), format: { kind: 'alpaca', layout: 'chat' } } });
    expect(textOf(chat.files[0]!.example(0))).toBe('\nAsk.\nIt is on.\nIs it on?');
    chat.close();
  });

  test('columns that are not used are one line of the report, however many rows have them', async () => {
    const row = (i: number) => ({
      topic: 'C',
      question: `${i}?`,
      answer: 'a',
      ...(i % 2 ? { source: 'x' } : { id: i }),
    });
    const data = await open({ train: jsonl([0, 1, 2, 3].map(row)) });
    expect(data.reports[0]!.notes).toEqual([{ note: 'columns that are not used: topic, id, source', count: 4 }]);
    data.close();
    const named = await open({ train: jsonl([row(1)]), prompt: '{topic} {source} {question}' });
    expect(named.reports[0]!.notes).toEqual([]);
    named.close();
  });

  test('a folder and a pattern are their files, by name', async () => {
    const folder = newFolder();
    for (const name of ['b.jsonl', 'a.jsonl', 'notes.md'])
      writeFileSync(path.join(folder, name), JSON.stringify({ text: `Of ${name}` }));
    for (const train of [folder, path.join(folder, '*.jsonl')]) {
      const data = await open({ train });
      expect(data.reports.map(({ file }) => path.basename(file))).toEqual(['a.jsonl', 'b.jsonl']);
      expect(data.files.map((file) => textOf(file.example(0)))).toEqual(['Of a.jsonl', 'Of b.jsonl']);
      data.close();
    }
  });

  const refused: [string, () => DataInput, string, RegExp][] = [
    [
      'no format fits',
      () => ({ train: jsonl([{ body: 'x', n: 1 }]) }),
      'DATA_INVALID',
      /has the columns body \(a text\), n \(a number\); no installed format[\s\S]*sharegpt: \{ conversations/,
    ],
    [
      'turns of other keys',
      () => ({
        train: jsonl([
          {
            talk: [
              { who: 'a', text: 'b' },
              { who: 'c', text: 'd' },
            ],
          },
        ]),
      }),
      'DATA_INVALID',
      /talk \(a list of 2 with the keys who, text\)/,
    ],
    [
      'turns in another column',
      () => ({
        train: jsonl([
          {
            talk: [
              { role: 'user', content: 'b' },
              { role: 'bot', content: 'd' },
            ],
          },
        ]),
      }),
      'DATA_INVALID',
      /talk \(a list of 2 with the keys role, content; role: user, bot\)[\s\S]*Say \{ kind: 'messages', column: 'talk' \}/,
    ],
    [
      'a prompt and a response',
      () => ({ train: jsonl([{ prompt: '1+1?', response: '2' }]) }),
      'DATA_INVALID',
      /If prompt and response are a question and its answer, say \{ kind: 'question_answer', question: 'prompt', answer: 'response' \}/,
    ],
    [
      'preferences',
      () => ({ train: jsonl([{ prompt: 'a', chosen: 'b', rejected: 'c' }]) }),
      'DATA_INVALID',
      /chosen and a rejected answer are not trained on/,
    ],
    [
      'rows within an object',
      () => ({ train: fileOf('.json', '{"version":"1","data":[{"text":"one"}]}') }),
      'DATA_INVALID',
      /data \(a list of 1 with the keys text\)[\s\S]*If data holds the rows, save that list as the file/,
    ],
    [
      'a prompt that names no column',
      () => ({ train: problems, prompt: 'Q: A:' }),
      'CONFIG_INVALID',
      /data.prompt: expected the name of a column in braces/,
    ],
    [
      'a prompt with a column that no row has',
      () => ({ train: problems, prompt: '{question} {input}' }),
      'DATA_EMPTY',
      /data.prompt names \{input\}, which the row does not have/,
    ],
    [
      'a pattern that nothing fits',
      () => ({ train: path.join(work, 'none*.jsonl') }),
      'DATA_UNREADABLE',
      /no file fits .*none\*/,
    ],
    [
      'rows that are no objects',
      () => ({ train: jsonl([[1], [2]]) }),
      'DATA_INVALID',
      /the first row .* is a list; expected an object/,
    ],
    [
      'an unknown format',
      () => ({ train: { file: problems, format: { kind: 'sharegtp' } } }),
      'CONFIG_INVALID',
      /did you mean "sharegpt"/,
    ],
    [
      'an unknown option of a format',
      () => ({ train: { file: problems, format: { kind: 'text', colum: 'x' } } }),
      'CONFIG_INVALID',
      /did you mean .*\.column\?/,
    ],
    [
      'nothing left',
      () => ({ train: jsonl([{ text: '' }, { text: ' ' }]) }),
      'DATA_EMPTY',
      /no row of .* can be used, read as "text":\n {2}2 rows \(1, 2\): the text is empty/,
    ],
    ['no rows', () => ({ train: fileOf('.json', '[]') }), 'DATA_EMPTY', /has no rows/],
    [
      'no rows, with a format',
      () => ({ train: { file: fileOf('.jsonl', '\n'), format: { kind: 'text' } } }),
      'DATA_EMPTY',
      /has no rows/,
    ],
    ['a broken row', () => ({ train: fileOf('.jsonl', '{"text":"a"}\n{"text"') }), 'DATA_INVALID', /:2 is not JSON/],
    [
      'another ending',
      () => ({ train: fileOf('.txt', 'a,b') }),
      'DATA_UNREADABLE',
      /ends in .txt; expected .jsonl, .ndjson, .json, .csv, .tsv, .parquet/,
    ],
    ['a missing file', () => ({ train: path.join(work, 'none.jsonl') }), 'DATA_UNREADABLE', /none.jsonl: ENOENT/],
    [
      'weights for some',
      () => ({ train: [{ file: problems, weight: 1 }, problems] }),
      'CONFIG_INVALID',
      /data.train: some files have a weight and some have none/,
    ],
    [
      'a weight of held-out data',
      () => ({ train: problems, heldOut: { file: problems, weight: 1 } }),
      'CONFIG_INVALID',
      /data.heldOut: held-out data is not drawn from/,
    ],
    [
      'half a row held out',
      () => ({ train: problems, heldOut: 1.5 }),
      'CONFIG_INVALID',
      /data.heldOut: expected a share below 1, or a whole number/,
    ],
    ['everything held out', () => ({ train: pairs(4), heldOut: 4 }), 'CONFIG_INVALID', /data.heldOut: 4 of the 4 rows/],
    [
      'nothing held out',
      () => ({ train: pairs(4), heldOut: 0.01 }),
      'CONFIG_INVALID',
      /a share of 0.01 is 0 of the 4 rows/,
    ],
    [
      'a template file that is not there',
      () => ({ train: problems, chatTemplate: 'none.jinja' }),
      'CONFIG_INVALID',
      /data.chatTemplate is read as the name of a file[\s\S]*none.jinja/,
    ],
    [
      'a template that cannot be parsed',
      () => ({ train: problems, chatTemplate: '{% if %}' }),
      'CONFIG_INVALID',
      /data.chatTemplate: .*cannot be parsed/,
    ],
  ];
  test.each(refused)('%s', async (_, data, code, message) => {
    const opening = (async () => open(data()))();
    await expect(opening).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a format that throws is told from broken data', async () => {
    const format: DataFormat = {
      ...{ kind: 'broken', schema: z.strictObject({}), shape: '{ x }', matches: () => true },
      read() {
        throw new Error('oh');
      },
    };
    const train = { file: jsonl([{ x: 1 }]), format: { kind: 'broken' } };
    await expect(open({ train }, { formats: [format] })).rejects.toThrow(
      /"broken" failed at .*, row 1: .*: oh;.*author/,
    );
  });
});

describe('chat templates', () => {
  const chat = () =>
    jsonl([
      {
        messages: [
          { role: 'system', content: 'S' },
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: 'Hello' },
        ],
      },
    ]);
  const shown = async (data: DataInput, other?: string) => {
    const opened = await open(data, other === undefined ? {} : { base: other });
    const { ids, trained } = opened.files[0]!.example(0);
    opened.close();
    const show = (tokens: number[]) => tokenizer.decode(tokens, { skipSpecialTokens: false });
    return [show([...ids]), show([...ids].filter((_, i) => trained[i] === 1))];
  };
  function baseWithoutTemplate(): string {
    const folder = newFolder();
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      copyFileSync(path.join(base, name), path.join(folder, name));
    return folder;
  }

  test("the base's, plain, source and a file", async () => {
    expect(await shown({ train: chat() })).toEqual([
      '<s><|system|>\nS<|user|>\nHi<|assistant|>\nHello</s>',
      'Hello</s>',
    ]);
    const plain = ['<s>System: S\nUser: Hi\nAssistant: Hello</s>\n', ' Hello</s>'];
    expect(await shown({ train: chat(), chatTemplate: 'plain' })).toEqual(plain);
    const source = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}";
    const text = ['<S><Hi><Hello>', '<Hello>'];
    expect(await shown({ train: chat(), chatTemplate: source })).toEqual(text);
    writeFileSync(path.join(work, 'own.jinja'), source);
    expect(await shown({ train: chat(), chatTemplate: 'own.jinja' })).toEqual(text);
    const [, all] = await shown({ train: chat(), loss: 'all', chatTemplate: 'plain' });
    expect(all).toBe('System: S\nUser: Hi\nAssistant: Hello</s>\n');
  });

  test('a base without one is told the way out', async () => {
    const other = baseWithoutTemplate();
    await expect(open({ train: chat() }, { base: other })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/no chat template to lay them out; set data.chatTemplate to 'plain'/),
    });
    expect((await shown({ train: chat(), chatTemplate: 'plain' }, other))[1]).toBe(' Hello</s>');
  });
});

describe('the cache', () => {
  const stores = (cache: string) => readdirSync(cache).filter((name) => name.endsWith('.tokens'));
  /** A format that counts how often it reads. */
  function counting() {
    const state = { reads: 0 };
    const format: DataFormat = {
      ...{ kind: 'counting', schema: z.looseObject({}), shape: '{ text }', matches: () => true },
      read(row) {
        state.reads += 1;
        return { text: String(row['text']) };
      },
    };
    return { state, formats: [format] };
  }

  test('a file is tokenized once for its content and everything that decides its tokens', async () => {
    const { state, formats } = counting();
    const cache = newFolder();
    const file = jsonl([{ text: 'one two three' }, { text: 'four' }]);
    const source = (options = {}) => ({ file, format: { kind: 'counting', ...options } });
    const opened = async (data: Partial<DataInput> = {}, from = source()) => {
      const before = state.reads;
      const result = await open({ train: from, cache, ...data }, { formats });
      const content = Array.from({ length: result.examples }, (_, i) => result.files[0]!.example(i));
      result.close();
      return { made: state.reads > before, content, sha256: result.sha256 };
    };
    const first = await opened();
    expect(first.made).toBe(true);
    expect(await opened()).toEqual({ ...first, made: false });
    // The name does not matter, the content does.
    const copy = path.join(work, 'copy.jsonl');
    copyFileSync(file, copy);
    expect((await opened({}, { ...source(), file: copy })).made).toBe(false);
    for (const changed of [
      { maxTokens: 5 },
      { loss: 'all' as const },
      { prompt: '{question}' },
      { prompt: '{question} {input}' },
      { chatTemplate: 'plain' },
    ])
      expect((await opened(changed)).made, JSON.stringify(changed)).toBe(true);
    expect((await opened({}, source({ option: 1 }))).made).toBe(true);
    writeFileSync(copy, '{"text":"one two four"}');
    const other = await opened({}, { ...source(), file: copy });
    expect([other.made, other.sha256 === first.sha256]).toEqual([true, false]);
    expect(stores(cache)).toHaveLength(8);
  });

  test('a damaged entry is noticed and made anew', async () => {
    const { state, formats } = counting();
    const cache = newFolder();
    const file = jsonl(Array.from({ length: 30 }, (_, i) => ({ text: `text number ${i}` })));
    const train = { file, format: { kind: 'counting' } };
    const read = async () => {
      const data = await open({ train, cache }, { formats });
      const all = Array.from({ length: data.examples }, (_, i) => textOf(data.files[0]!.example(i)));
      data.close();
      return all;
    };
    const expected = await read();
    const store = path.join(cache, stores(cache)[0]!);
    const good = readFileSync(store);
    const damages: (() => void)[] = [
      () => truncateSync(store, good.length - 1),
      () => truncateSync(store, 10),
      () => truncateSync(store, 0),
      () => writeFileSync(store, Buffer.concat([good, Buffer.from([0])])),
      () => writeFileSync(store, Buffer.alloc(good.length)),
      ...[0, 100, good.length - 50, good.length - 1].map((at) => () => {
        const bytes = Buffer.from(good);
        bytes[at]! ^= 4;
        writeFileSync(store, bytes);
      }),
    ];
    for (const damage of damages) {
      damage();
      const before = state.reads;
      expect(await read()).toEqual(expected);
      expect(state.reads).toBe(before + 30);
      expect(readFileSync(store).equals(good)).toBe(true);
    }
    expect(readdirSync(cache)).toEqual([path.basename(store)]);
  });

  test('many at once end with the same, and one store', async () => {
    const cache = newFolder();
    const train = pairs(500);
    const all = await Promise.all(Array.from({ length: 6 }, (_, i) => open({ train, cache }, { workers: i % 2 })));
    for (const data of all) {
      expect(data.sha256).toBe(all[0]!.sha256);
      expect(drawn(data, 2)).toEqual(drawn(all[0]!, 2));
    }
    for (const data of all) data.close();
    expect(readdirSync(cache)).toHaveLength(1);
  });

  test('what killed processes left is removed after a day; what is being written is not', async () => {
    const cache = newFolder();
    const [old, fresh] = ['a', 'b'].map((key) => path.join(cache, `.${key.repeat(64)}.tokens.1-00000000.tmp`));
    const foreign = path.join(cache, 'notes.tmp');
    const before = (Date.now() - 25 * 60 * 60 * 1000) / 1000;
    for (const file of [old!, fresh!, foreign]) writeFileSync(file, 'x');
    for (const file of [old!, foreign]) utimesSync(file, before, before);
    (await open({ train: pairs(3), cache })).close();
    expect(readdirSync(cache).filter((name) => name.endsWith('.tmp'))).toEqual([path.basename(fresh!), 'notes.tmp']);
  });

  test('a folder that cannot be written is told, with the way out', async () => {
    const cache = path.join(fileOf('.txt', 'not a folder'), 'tokens');
    await expect(open({ train: pairs(3), cache })).rejects.toMatchObject({
      code: 'CACHE_WRITE_FAILED',
      message: expect.stringMatching(/name another folder with data.cache or GLULAM_CACHE/),
    });
  });

  test('an abort and a fault in the last row leave nothing', async () => {
    const cache = newFolder();
    const controller = new AbortController();
    const { formats } = counting();
    const stopping: DataFormat = {
      ...formats[0]!,
      read(row) {
        if (row['text'] === 'stop') controller.abort(new Error('enough'));
        return { text: String(row['text']) };
      },
    };
    const file = jsonl([...Array.from({ length: 4000 }, () => ({ text: 'word '.repeat(40) })), { text: 'stop' }]);
    const train = { file, format: { kind: 'counting' } };
    for (const workers of [0, 2]) {
      const opening = open({ train, cache }, { formats: [stopping], workers, signal: controller.signal });
      await expect(opening).rejects.toThrow('enough');
      expect(readdirSync(cache)).toEqual([]);
    }
    const broken = fileOf('.jsonl', `${'{"text":"word word"}\n'.repeat(3000)}{`);
    for (const workers of [0, 2])
      await expect(open({ train: broken, cache }, { workers })).rejects.toThrow(/:3001 is not JSON/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('a process that is killed leaves nothing under a final name that is not whole', async () => {
    const cache = newFolder();
    const file = jsonl(Array.from({ length: 6000 }, (_, i) => ({ text: `row ${i} ${'word '.repeat(60)}` })));
    const config = path.join(work, 'kill.json');
    writeFileSync(config, JSON.stringify({ base, data: { train: file, cache } }));
    const run = (killAt?: string) => glulam(['data', config, '--samples', '0'], { killAt });
    for (const [killAt, whole] of [
      ['open .*.tokens.tmp', 0],
      ['wrote .*.tokens.tmp', 0],
      ['rename *.tokens', 0],
      ['renamed *.tokens', 1],
    ] as const) {
      expect(await run(killAt), killAt).toMatchObject(killed);
      expect(stores(cache), killAt).toHaveLength(whole);
    }
    expect(await run()).toMatchObject({ code: 0 });
    expect(stores(cache)).toHaveLength(1);
    const data = await open({ train: file, cache });
    expect(data.examples).toBe(6000);
    data.close();
  });
});

describe('workers', () => {
  test('none, one or two: the same store, byte for byte', async () => {
    const rows = Array.from({ length: 900 }, (_, i) => {
      const long = i % 7 === 0 ? 'many words '.repeat(60) : '';
      const turns = (answer: string) => [
        { from: 'human', value: `Question ${i}? ${long}` },
        { from: 'gpt', value: answer },
      ];
      const first = turns(i % 3 === 0 ? '' : `Answer ${i}. ${long}`);
      return { conversations: i % 5 === 0 ? [...first, ...turns('One.'), ...turns(`Two. ${long}`)] : first };
    });
    const train = jsonl(rows);
    const made = [];
    for (const workers of [0, 1, 2]) {
      const cache = newFolder();
      const data = await open({ train, cache, maxTokens: 200 }, { workers });
      data.close();
      made.push({
        report: data.reports,
        bytes: readFileSync(path.join(cache, readdirSync(cache)[0]!)).toString('hex'),
      });
    }
    expect(made[0]!.report[0]!.skipped.length).toBeGreaterThan(0);
    expect(made[0]!.report[0]!.notes.length).toBeGreaterThan(0);
    expect(made[1]).toEqual(made[0]);
    expect(made[2]).toEqual(made[0]);
  });

  test('a token that the model has no embedding for is refused in either, also where the cache has the rows for a larger model', async () => {
    const folder = newFolder();
    const cache = newFolder();
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])
      copyFileSync(path.join(base, name), path.join(folder, name));
    const openWith = async (vocabularySize: number, workers: number) => {
      writeFileSync(
        path.join(folder, 'config.json'),
        JSON.stringify({ model_type: 'mistral', vocab_size: vocabularySize }),
      );
      const { config, composition } = resolveConfig({ base: folder, data: { train: pairs(50), cache } }, [], work);
      const data = await openData(config, composition, openRunTokenizer(config, config.base), { workers });
      data.close();
    };
    await openWith(1536, 0);
    const refused = expect.stringMatching(/is beyond the model's embedding, which has 300 rows/) as string;
    await expect(openWith(300, 0)).rejects.toMatchObject({ code: 'TOKENIZER_MISMATCH', message: refused });
    await expect(openWith(300, 2)).rejects.toMatchObject({ code: 'TOKENIZER_MISMATCH', message: refused });
  });

  test('one that fails ends the run with its reason, which keeps its code', async () => {
    // The tokenizer is there for this process and gone for its workers.
    const folder = newFolder();
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])
      copyFileSync(path.join(base, name), path.join(folder, name));
    const { config, composition } = resolveConfig(
      { base: folder, data: { train: pairs(50), cache: newFolder() } },
      [],
      work,
    );
    const opened = openRunTokenizer(config, config.base);
    writeFileSync(path.join(folder, 'tokenizer.json'), '{}');
    await expect(openData(config, composition, opened, { workers: 2 })).rejects.toMatchObject({
      name: 'ModelError',
      code: expect.stringMatching(/^TOKENIZER_/) as string,
      message: expect.stringMatching(/^(?!a worker).*tokenizer.json/) as string,
    });
    expect(readdirSync(config.data.cache!)).toEqual([]);
  });
});

describe('mixing and holding out', () => {
  test('weights give the shares drawn; without them each file counts by its size', async () => {
    const [a, b] = [pairs(30, 'a'), pairs(90, 'b')];
    const weighted = await open({
      train: [
        { file: a, weight: 3 },
        { file: b, weight: 1 },
      ],
    });
    expect(weighted.files.map(({ share }) => share)).toEqual([0.75, 0.25]);
    const texts = drawn(weighted, 10).flat();
    expect(texts.filter((text) => text.includes('a '))).toHaveLength(60);
    const together = await open({ train: [a, b] });
    expect(together.files.map(({ share }) => share)).toEqual([0.25, 0.75]);
    const epoch = drawn(together, 15).flat();
    expect(new Set(epoch).size).toBe(120);
    for (const data of [weighted, together]) {
      expect([data.examples, data.stepsIn(1), data.stepsIn(2.5)]).toEqual([120, 15, 38]);
      const all = drawn(data, 20);
      expect(drawn(data, 13, 7 * 8)).toEqual(all.slice(7));
      data.close();
    }
  });

  test('the files of one name share its weight by their examples', async () => {
    const folder = newFolder();
    for (const [name, count] of [
      ['a', 10],
      ['b', 30],
    ] as const)
      writeFileSync(
        path.join(folder, `${name}.jsonl`),
        Array.from({ length: count }, (_, i) => JSON.stringify({ text: `${name} ${i}` })).join('\n'),
      );
    const data = await open({
      train: [
        { file: folder, weight: 2 },
        { file: pairs(5), weight: 2 },
      ],
    });
    expect(data.files.map(({ share }) => share)).toEqual([0.125, 0.375, 0.5]);
    data.close();
  });

  test('batches of tokens: packed without overflow, labels within their sequences, resumed anywhere', async () => {
    const train = jsonl(
      Array.from({ length: 60 }, (_, i) => ({ question: `Q ${i}`, answer: 'word '.repeat(1 + ((i * 7) % 40)) })),
    );
    const data = await open({ train }, { train: { batch: { tokens: 100 }, accumulate: 2 } });
    const source = data.batches(0);
    const steps = data.stepsIn(1);
    let batches = 0;
    while (source.drawn < 60) {
      const { drawn: at } = source;
      const batch = source.next();
      expect(data.batches(at).next()).toEqual(batch);
      batches += 1;
      const { ids, labels, segments } = labelBatch(batch);
      if (batch.length > 1) expect(ids.length).toBeLessThanOrEqual(100);
      expect(segments.map(({ queryLength }) => queryLength)).toEqual(batch.map((each) => each.ids.length));
      // What is learnt behind each token, found again from the whole list of tokens.
      const expected = batch.flatMap((each) =>
        [...each.ids].map((_, i) => (i + 1 < each.ids.length && each.trained[i + 1] === 1 ? each.ids[i + 1]! : -1)),
      );
      expect([...labels]).toEqual(expected);
    }
    expect(steps).toBe(Math.ceil(batches / 2));
    data.close();
  });

  test('a number of rows is set apart by the seed: never parts of one row on both sides', async () => {
    // Conversations of three parts each, whose questions name them.
    const exchange = (name: string) => [
      { role: 'user', content: `Row ${name}.` },
      { role: 'assistant', content: 'word '.repeat(20) },
    ];
    const train = ['A', 'B'].map((file) =>
      jsonl(Array.from({ length: 40 }, (_, i) => ({ messages: [1, 2, 3].flatMap(() => exchange(`${file}${i}`)) }))),
    );
    const sides = async (heldOut: number, seed = 0) => {
      const data = await open({ train, heldOut, maxTokens: 60 }, { seed });
      const namesOf = (use: string) =>
        data.files
          .filter(({ report }) => report.use === use)
          .flatMap((file) =>
            Array.from({ length: file.report.examples }, (_, i) => /[AB]\d+(?=\.)/.exec(textOf(file.example(i)))![0]),
          );
      const result = { train: new Set(namesOf('train')), heldOut: new Set(namesOf('heldOut')), data };
      data.close();
      return result;
    };
    const half = await sides(0.25);
    expect([half.train.size, half.heldOut.size]).toEqual([60, 20]);
    expect([...half.train].filter((name) => half.heldOut.has(name))).toEqual([]);
    expect(half.data.heldOut.map(textOf)).toHaveLength(
      half.data.files
        .filter(({ report }) => report.use === 'heldOut')
        .reduce((sum, { report }) => sum + report.examples, 0),
    );
    const whole = await open({ train, maxTokens: 60 });
    for (const [i, { report }] of whole.files.entries()) {
      const both = half.data.reports.filter(({ file }) => file === report.file);
      expect(both).toHaveLength(2);
      for (const field of ['rows', 'examples', 'tokens', 'trainedTokens'] as const)
        expect(both[0]![field] + both[1]![field], `${field} of file ${i}`).toBe(report[field]);
      const counted = half.data.files.find((file) => file.report === both[1]);
      expect(counted!.report.use).toBe('heldOut');
    }
    whole.close();
    expect((await sides(0.25)).heldOut).toEqual(half.heldOut);
    expect((await sides(0.25, 1)).heldOut).not.toEqual(half.heldOut);
    expect((await sides(3)).heldOut.size).toBe(3);
  });

  test('held-out files are opened alone where training data is not wanted, and need not exist', async () => {
    const data = await open({ train: 'none', heldOut: [pairs(3), pairs(4, 'x')] }, { only: 'heldOut' });
    expect([data.examples, data.heldOut.length]).toEqual([0, 7]);
    expect(data.reports.map(({ use, examples: count }) => [use, count])).toEqual([
      ['heldOut', 3],
      ['heldOut', 4],
    ]);
    data.close();
    const none = await open({ train: 'none' }, { only: 'heldOut' });
    expect(none.heldOut).toEqual([]);
    none.close();
  });
});

test('a large file is tokenized and trained from in bounded memory', async () => {
  // 60 MB of rows that are mostly left out, so that the time goes into reading. A process of its own: its peak is its.
  const row = `${JSON.stringify({ text: '', filler: 'x'.repeat(3000) })}\n`;
  const good = `${JSON.stringify({ text: 'a few words to learn' })}\n`;
  const large = fileOf('.jsonl', good + (row.repeat(199) + good).repeat(100));
  const array = fileOf('.json', `[${good}${`,${row}`.repeat(20_000)}]`);
  const small = jsonl([{ text: 'a few words to learn' }]);
  const cli = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');
  const peak = (file: string) =>
    new Promise<number>((done, fail) => {
      const config = path.join(work, `${path.basename(file)}.config.json`);
      writeFileSync(config, JSON.stringify({ base, data: { train: file, cache: newFolder() } }));
      const report = `process.on('exit', () => console.error('peak', process.resourceUsage().maxRSS))`;
      const hook = fileOf('.mjs', report);
      const child = spawn(process.execPath, ['--import', hook, cli, 'data', config], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let errors = '';
      child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
      child.on('close', (code) => {
        const kibibytes = /peak (\d+)/.exec(errors)?.[1];
        if (code === 0 && kibibytes !== undefined) done(Number(kibibytes) / 1024);
        else fail(new Error(errors));
      });
    });
  const [little, lines, elements] = [await peak(small), await peak(large), await peak(array)];
  console.log(
    `peak memory: ${little.toFixed(0)} MiB for a row, ${lines.toFixed(0)} for 60 MB of JSONL, ${elements.toFixed(0)} for 60 MB of JSON`,
  );
  // Two workers with a tokenizer each are in it.
  expect(lines - little).toBeLessThan(250);
  expect(elements - little).toBeLessThan(250);
});
