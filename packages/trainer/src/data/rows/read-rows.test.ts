import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';
import { parseJson } from './parse-json.js';
import { expandFiles } from './expand-files.js';
import { readRows } from './read-rows.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-rows-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function fileOf(ending: string, content: string | Uint8Array): string {
  const file = path.join(folder, `${files++}${ending}`);
  writeFileSync(file, content);
  return file;
}
async function allOf(file: string): Promise<DataRow[]> {
  const rows: DataRow[] = [];
  for await (const row of readRows(file)) rows.push(row);
  return rows;
}
const valuesOf = async (ending: string, content: string | Uint8Array) =>
  (await allOf(fileOf(ending, content))).map(({ value }) => value);
const bom = '\uFEFF';

describe('JSONL', () => {
  test('blank lines, CRLF, a byte order mark and a missing last newline; the number is the line', async () => {
    const text = `${bom}{"a":1}\r\n\r\n  \t\n{"a":"é\\n🙂"}\n[1]\n\n7`;
    expect(await allOf(fileOf('.jsonl', text))).toEqual([
      { number: 1, value: { a: 1 } },
      { number: 4, value: { a: 'é\n🙂' } },
      { number: 5, value: [1] },
      { number: 7, value: 7 },
    ]);
    expect(await valuesOf('.JSONL', '{"a":1}\n')).toEqual([{ a: 1 }]);
    expect(await valuesOf('.jsonl', '')).toEqual([]);
    expect(await valuesOf('.jsonl', bom)).toEqual([]);
  });

  test('a broken line is told with its number; rows before it were read', async () => {
    const file = fileOf('.jsonl', '{"a":1}\n\n{"a":');
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { value } of readRows(file)) seen.push(value);
    })();
    await expect(reading).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining(`${file}:3 is not JSON`),
    });
    expect(seen).toEqual([{ a: 1 }]);
  });

  const usual: [string, RegExp][] = [
    ['{"a":1},\n{"a":2},\n', /:1 is not JSON: it ends with a comma/],
    ['{"a":1,}\n', /:1 is not JSON: it has a comma before a closing bracket/],
    ['{"a":[1,]}\n', /a comma before a closing bracket/],
    ['{"a":1}\r{"a":2}\r', /:1 is not JSON: its lines end with CR alone/],
    ['{"a":"NaN ok"}\n{"a":NaN}\n', /:2 is not JSON: it holds NaN, which JSON does not have; write null/],
    ['{"a":-Infinity}\n', /it holds -Infinity/],
    ["{'a': 'b'}\n", /it is a Python dict/],
    ['{\n  "a": 1\n}\n', /:1 is not JSON: it does not end on its line/],
    ['{"a":1}\u0000\n', /it holds NUL bytes/],
    ['{"a" 1}\n', /:1 is not JSON: /],
  ];
  test.each(usual)('%j is refused with what is wrong', async (text, message) => {
    await expect(valuesOf('.jsonl', text)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('.ndjson is the same; an array is read as one, whatever the name', async () => {
    expect(await valuesOf('.ndjson', '{"a":1}\n{"a":2}\n')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await valuesOf('.jsonl', '\n [{"a":1},\n{"a":2}]\n')).toEqual([{ a: 1 }, { a: 2 }]);
  });

  test('line ends of Unicode, NUL as an escape and keys given twice (the last counts) are JSON', async () => {
    const text = '{"a":"one\u2028two\u0085three"}\n{"a":"b\\u0000c"}\n{"a":1,"a":2}\n';
    expect(await valuesOf('.jsonl', text)).toEqual([{ a: 'one\u2028two\u0085three' }, { a: 'b\u0000c' }, { a: 2 }]);
  });

  test('bytes that are not UTF-8 are refused, not replaced', async () => {
    const latin1 = Buffer.concat([Buffer.from('{"a":1}\n{"a":"'), Buffer.from([0xe9]), Buffer.from('"}\n')]);
    await expect(valuesOf('.jsonl', latin1)).rejects.toThrow(/:2 is not UTF-8/);
  });
});

describe('JSON', () => {
  test('an array of anything, with any white space, a row an element', async () => {
    expect(await valuesOf('.json', ` ${bom.slice(1)}\r\n[ ] \n`)).toEqual([]);
    const text = '[{"a":[{"b":"]}"}], "c":"\\"[{\\\\"}\n,\t[], 1.5e3 ,"x,]",null, true]\n';
    expect(await allOf(fileOf('.json', bom + text))).toEqual(
      (parseJson(text) as unknown[]).map((value, i) => ({ number: i + 1, value })),
    );
  });

  test('objects one after another, on lines or over several', async () => {
    expect(await allOf(fileOf('.json', '{"a":"}{"}\n{"b":[{}]}{"c":1}\n'))).toEqual([
      { number: 1, value: { a: '}{' } },
      { number: 2, value: { b: [{}] } },
      { number: 3, value: { c: 1 } },
    ]);
    expect(await valuesOf('.json', '{\n  "a": { "b": 1 }\n}\n')).toEqual([{ a: { b: 1 } }]);
  });

  const broken: [string, RegExp][] = [
    ['', /row 1: got an empty file, expected an array/],
    ['"a"', /begins with "\""; expected one array of rows, .*, or a row a line/],
    ['{"a":1}, {"a":2}', /row 2: got ",", expected another row, without anything between/],
    ['{"a":1}\n{"a":', /row 2: got the end of the file, expected the end of the row: it may have been cut short/],
    ['{"a":NaN}', /row 1 is not JSON: it holds NaN/],
    ['[{"a":1}', /row 1: got the end of the file, expected the end of the array: it may have been cut short/],
    ['[{"a":1},', /row 2: got the end of the file/],
    ['[{"a":1},]', /row 2: got "\]", expected a row/],
    ['[,1]', /row 1: got ",", expected a row/],
    ['[{"a":1} {"a":2}]', /row 1 is not JSON/],
    ['[{"a":1}, {"a":nul}]', /row 2 is not JSON/],
    ['[{"a":1]]', /row 1/],
    ['[1] 2', /nothing after the end of the array/],
    ['[1]\u0000', /got the byte 0x00/],
  ];
  test.each(broken)('%j is refused with its place', async (text, message) => {
    const failure = await valuesOf('.json', text).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TrainerError);
    expect(failure).toMatchObject({ code: 'DATA_INVALID', message: expect.stringMatching(message) });
  });

  test('what JSON.stringify writes comes back, however it falls into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 8 }), fc.nat(3), async (rows, indent) => {
        // Rows longer than a chunk of reading, so that their ends fall anywhere.
        const long = ['y'.repeat(262_140), ...rows, { z: 'ü"\\'.repeat(70_000) }, ...rows];
        expect(await valuesOf('.json', JSON.stringify(long, null, indent))).toEqual(parseJson(JSON.stringify(long)));
        const lines = long.map((row) => JSON.stringify(row)).join('\n');
        expect(await valuesOf('.jsonl', lines)).toEqual(parseJson(JSON.stringify(long)));
        const objects = long.map((row) => ({ row }));
        const values = objects.map((row) => JSON.stringify(row, null, indent)).join('\n');
        expect(await valuesOf('.json', values)).toEqual(parseJson(JSON.stringify(objects)));
      }),
      { numRuns: 30, seed: 1 },
    );
  });
});

const parquet = (rowGroupSize = 2) =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'question', data: ['one', 'two', 'drei 🙂', '', 'five'], type: 'STRING' },
        { name: 'id', data: [1n, 2n, 3n, 2n ** 60n, 5n], type: 'INT64' },
        { name: 'messages', data: [[{ role: 'user' }], [], null, [{ role: 'a' }, { role: 'b' }], [1]], type: 'JSON' },
      ],
      rowGroupSize,
    }),
  );

describe('Parquet', () => {
  test('row groups one after another, values as JSON has them', async () => {
    for (const size of [1, 2, 5]) {
      const rows = await allOf(fileOf('.parquet', parquet(size)));
      expect(rows.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
      expect(rows.map(({ value }) => value)).toEqual([
        { question: 'one', id: 1, messages: [{ role: 'user' }] },
        { question: 'two', id: 2, messages: [] },
        { question: 'drei 🙂', id: 3, messages: null },
        { question: '', id: 2n ** 60n, messages: [{ role: 'a' }, { role: 'b' }] },
        { question: 'five', id: 5, messages: [1] },
      ]);
    }
  });

  test('floats that are whole are floats, wherever they stand; bytes that are no text are no character', async () => {
    const float = { type: 'DOUBLE', repetition_type: 'OPTIONAL' } as const;
    const bytes = parquetWriteBuffer({
      schema: [
        { name: 'root', num_children: 4 },
        { name: 'score', ...float },
        { name: 'scores', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
        { name: 'float', ...float },
        { name: 'int', type: 'INT32', repetition_type: 'OPTIONAL' },
        { name: 'json', type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type: 'OPTIONAL' },
        { name: 'text', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      ],
      columnData: [
        { name: 'score', data: [2, 0.5, null] },
        { name: 'scores', data: [[{ float: 1, int: 1 }], [], [{ float: 0.5, int: null }]] },
        { name: 'json', data: [1, { a: [1] }, null] },
        { name: 'text', data: [Uint8Array.of(0x61), Uint8Array.of(0xff), null] },
      ],
    });
    const number = (value: number): unknown => Object(value);
    expect(await valuesOf('.parquet', new Uint8Array(bytes))).toEqual([
      { score: number(2), scores: [{ float: number(1), int: 1 }], json: 1, text: 'a' },
      { score: 0.5, scores: [], json: { a: [1] }, text: '\ud800' },
      { score: null, scores: [{ float: 0.5, int: null }], json: null, text: null },
    ]);
  });

  test('conversations as lists of records, as data sets on the Hub have them', async () => {
    const rows = [
      [
        { from: 'human', value: 'Hi' },
        { from: 'gpt', value: 'Hello' },
      ],
      [],
      null,
      [{ from: 'human', value: null }],
    ];
    const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const;
    const bytes = parquetWriteBuffer({
      schema: [
        { name: 'root', num_children: 1 },
        { name: 'conversations', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
        { name: 'from', ...text },
        { name: 'value', ...text },
      ],
      columnData: [{ name: 'conversations', data: rows }],
    });
    expect(await valuesOf('.parquet', new Uint8Array(bytes))).toEqual(rows.map((conversations) => ({ conversations })));
  });

  test('a file that was cut short or is something else is refused', async () => {
    const bytes = parquet();
    for (const broken of [bytes.subarray(0, -9), bytes.subarray(0, 40), Buffer.from('hello'), Buffer.alloc(0)]) {
      await expect(valuesOf('.parquet', broken)).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: expect.stringMatching(/its footer cannot be read as Parquet/),
      });
    }
  });
});

describe('CSV and TSV', () => {
  const questions = [
    { question: 'one, "two"\r\nthree', answer: '007', note: '' },
    { question: 'é 🙂', answer: '1.0', note: 'x' },
  ];
  const csv = 'question,answer,note\r\n"one, ""two""\r\nthree",007,\r\n\r\né 🙂,1.0,x\r\n';
  const tsv = 'question\tanswer\tnote\n"one, ""two""\r\nthree"\t007\t\né 🙂\t1.0\tx';
  test('quotes around commas, quotes and line ends; every value is a text; a byte order mark is no part', async () => {
    expect(await allOf(fileOf('.csv', bom + csv))).toEqual(questions.map((value, i) => ({ number: i + 1, value })));
    expect(await valuesOf('.tsv', tsv)).toEqual(questions);
    expect(await valuesOf('.csv.gz', gzipSync(csv))).toEqual(questions);
    expect(await valuesOf('.csv', 'text\n')).toEqual([]);
    expect(await valuesOf('.csv', '')).toEqual([]);
    expect(await valuesOf('.csv', ',text\n0,a\n')).toEqual([{ '': '0', text: 'a' }]); // pandas' index
  });

  test('lines may end in different ways, whatever the first does', async () => {
    for (const [first, second] of [
      ['\r\n', '\n'],
      ['\n', '\r\n'],
      ['\r', '\r\n'],
    ] as const)
      expect(await valuesOf('.csv', `text${first}"a${second}b"${second}c${first}d`)).toEqual([
        { text: `a${second}b` },
        { text: 'c' },
        { text: 'd' },
      ]);
  });

  const broken: [string, string | Uint8Array, RegExp][] = [
    ['.csv', 'a,b\n1\n', /is not CSV: .*expected as many fields/],
    ['.csv', 'a,b\n1,2,3\n', /is not CSV/],
    ['.csv', 'a,b\n1,"2\n', /is not CSV: Quote Not Closed/],
    ['.tsv', 'a\tb\n1\t2"3"\n', /is not TSV/],
    ['.csv', 'a,a\n1,2\n', /two columns named "a"/],
    ['.csv', 'a;b\n1;2\n', /separates its columns with ";"; expected commas/],
    ['.csv', 'a\tb\n1\t2\n', /separates its columns with tabs; expected commas/],
    ['.tsv', 'a,b\n1,2\n', /separates its columns with ","; expected tabs/],
    ['.csv', Buffer.from([0x61, 0x0a, 0xe9, 0x0a]), /is not UTF-8 text/],
    ['.csv', Buffer.from([0x61, 0x0a, 0xc3]), /is not UTF-8 text/],
  ];
  test.each(broken)('%s %j is refused', async (ending, content, message) => {
    await expect(valuesOf(ending, content)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

describe('encodings and compression', () => {
  const line = '{"a":"é 🙂"}\n';
  // Of `{"a":"one"}\n`, by zstd 1.5, with a checksum.
  const zstd = Buffer.from('KLUv/QRYYQAAeyJhIjoib25lIn0KSRT0Qw==', 'base64');
  const utf16 = (littleEndian: boolean, text: string): Buffer => {
    const bytes = Buffer.from(bom + text, 'utf16le');
    return littleEndian ? bytes : bytes.swap16();
  };

  test('UTF-16 with a byte order mark, in both orders', async () => {
    for (const order of [true, false]) {
      expect(await valuesOf('.jsonl', utf16(order, line + line))).toEqual([{ a: 'é 🙂' }, { a: 'é 🙂' }]);
      expect(await valuesOf('.csv', utf16(order, 'a,b\n1,é\n'))).toEqual([{ a: '1', b: 'é' }]);
      // Over the ends of the pieces in which a file is read.
      const long = 'é🙂'.repeat(200_001);
      expect(await valuesOf('.jsonl', utf16(order, JSON.stringify({ long })))).toEqual([{ long }]);
      await expect(valuesOf('.jsonl', utf16(order, line).subarray(0, -1))).rejects.toThrow(/not UTF-16 text/);
    }
    await expect(valuesOf('.jsonl', utf16(true, '"\ud83d"'))).rejects.toThrow(/not UTF-16 text throughout/);
    await expect(valuesOf('.jsonl', Buffer.from('{"a":1}\n', 'utf16le'))).rejects.toThrow(
      /UTF-16 without a byte order mark/,
    );
  });

  test('gzip and Zstandard, by the content and not by the name', async () => {
    for (const ending of ['.jsonl.gz', '.JSONL.GZ', '.ndjson.gz', '.json.gz', '.jsonl'])
      expect(await valuesOf(ending, gzipSync(bom + line + line)), ending).toEqual([{ a: 'é 🙂' }, { a: 'é 🙂' }]);
    for (const ending of ['.jsonl.zst', '.jsonl', '.json.zst'])
      expect(await valuesOf(ending, zstd), ending).toEqual([{ a: 'one' }]);
    expect(await valuesOf('.jsonl.zst', Buffer.concat([zstd, zstd]))).toEqual([{ a: 'one' }, { a: 'one' }]);
    expect(await valuesOf('.jsonl.gz', Buffer.concat([gzipSync(line), gzipSync(line)]))).toHaveLength(2);
    expect(await valuesOf('.jsonl.gz', line)).toEqual([{ a: 'é 🙂' }]);
    const long = 'word '.repeat(300_000);
    expect(await valuesOf('.jsonl.gz', gzipSync(JSON.stringify({ long })))).toEqual([{ long }]);
  });

  test('what was cut short or is another kind of file is refused', async () => {
    for (const bytes of [gzipSync(line).subarray(0, -9), gzipSync(line).subarray(0, 12)])
      await expect(valuesOf('.jsonl.gz', bytes)).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: expect.stringMatching(/cannot be decompressed as gzip/),
      });
    const damaged = gzipSync(line);
    damaged[damaged.length - 6]! ^= 1;
    await expect(valuesOf('.jsonl.gz', damaged)).rejects.toThrow(/cannot be decompressed as gzip/);
    await expect(valuesOf('.jsonl.zst', zstd.subarray(0, -6))).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/cannot be decompressed as Zstandard/),
    });
    await expect(valuesOf('.jsonl.gz', gzipSync(gzipSync(line)))).rejects.toThrow(/holds gzip within gzip: unpack it/);
    const kinds: [Buffer, RegExp][] = [
      [Buffer.from('PK\u0003\u0004rest'), /holds a zip archive: unpack it/],
      [Buffer.from('BZh9rest'), /holds bzip2/],
      [Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), /holds xz/],
      [Buffer.from(parquet()), /holds Parquet: name it .parquet/],
      [Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0]), /holds UTF-32/],
      [Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /holds a Git LFS pointer/],
    ];
    for (const [bytes, message] of kinds) await expect(valuesOf('.jsonl', bytes)).rejects.toThrow(message);
  });
});

test('the files of a folder or pattern, by their names; hidden ones and other endings are left out', () => {
  const at = (...names: string[]) => path.join(folder, 'many', ...names);
  mkdirSync(at('below', 'deep.jsonl'), { recursive: true });
  for (const name of [
    'b.jsonl',
    'a10.jsonl',
    'a2.jsonl',
    'C.CSV',
    '.hidden.jsonl',
    'README.md',
    'below/d.json.gz',
    'below/deep.jsonl/e.jsonl',
    '[x].tsv',
  ])
    writeFileSync(at(name), '');
  expect(expandFiles(at())).toEqual(['C.CSV', '[x].tsv', 'a10.jsonl', 'a2.jsonl', 'b.jsonl'].map((name) => at(name)));
  expect(expandFiles(at('a?.jsonl'))).toEqual([at('a2.jsonl')]);
  expect(expandFiles(at('*.jsonl'))).toEqual(['a10.jsonl', 'a2.jsonl', 'b.jsonl'].map((name) => at(name)));
  expect(expandFiles(at('**', '*.jsonl'))).toEqual([
    at('a10.jsonl'),
    at('a2.jsonl'),
    at('b.jsonl'),
    at('below', 'deep.jsonl', 'e.jsonl'),
  ]);
  expect(expandFiles(at('be*', 'd.*'))).toEqual([at('below', 'd.json.gz')]);
  expect(expandFiles(at('[x].tsv'))).toEqual([at('[x].tsv')]);
  expect(expandFiles(at('none.jsonl'))).toEqual([at('none.jsonl')]);
  expect(() => expandFiles(at('*.parquet'))).toThrow(/no file fits .*\*\.parquet/);
  expect(() => expandFiles(at('none', '*.jsonl'))).toThrow(/ENOENT/);
  mkdirSync(at('empty'));
  expect(() => expandFiles(at('empty'))).toThrow(/holds no data file/);
});

test('a link to nothing is read, and so refused; one to a folder above is passed over', async () => {
  const at = (...names: string[]) => path.join(folder, 'links', ...names);
  mkdirSync(at('below'), { recursive: true });
  writeFileSync(at('a.jsonl'), '1');
  symlinkSync('..', at('below', 'up'));
  expect(expandFiles(at('**', '*.jsonl'))).toEqual([at('a.jsonl')]);
  symlinkSync('nowhere', at('b.jsonl'));
  for (const name of [at(), at('*.jsonl')]) expect(expandFiles(name)).toEqual([at('a.jsonl'), at('b.jsonl')]);
  await expect(allOf(at('b.jsonl'))).rejects.toMatchObject({ code: 'DATA_UNREADABLE' });
  symlinkSync('c.jsonl', at('c.jsonl'));
  for (const name of [at(), at('*.jsonl'), at('c.jsonl')])
    expect(() => expandFiles(name)).toThrow(expect.objectContaining({ code: 'DATA_UNREADABLE' }));
});

test('a file that is missing, a folder, or of another ending is told apart', async () => {
  for (const ending of ['.jsonl', '.json', '.csv', '.jsonl.gz', '.parquet'])
    await expect(allOf(path.join(folder, `none${ending}`))).rejects.toMatchObject({
      code: 'DATA_UNREADABLE',
      message: expect.stringMatching(/cannot read the data file .*none.*ENOENT/),
    });
  expect(() => readRows('rows.txt')).toThrow(
    'its name ends in .txt; expected .jsonl, .ndjson, .json, .csv, .tsv, .parquet, text also with .gz or .zst',
  );
  expect(() => readRows('rows.gz')).toThrow('its name ends in .gz; expected');
  expect(() => readRows('rows')).toThrow('its name ends in nothing');
  expect(() => readRows('rows.constructor')).toThrow('.constructor; expected');
});

test('an aborted signal ends the reading with its reason', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  for (const file of [
    fileOf('.jsonl', '1\n'),
    fileOf('.json', '[1]'),
    fileOf('.csv', 'a\n1\n'),
    fileOf('.jsonl.gz', gzipSync('1\n')),
    fileOf('.parquet', parquet()),
  ]) {
    const reading = (async () => {
      for await (const _ of readRows(file, signal)) expect.unreachable();
    })();
    await expect(reading).rejects.toThrow('enough');
  }
});
