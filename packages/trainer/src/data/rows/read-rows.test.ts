import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';
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
    await expect(reading).rejects.toMatchObject({ code: 'DATA_INVALID', message: expect.stringContaining(`${file}:3 is not JSON`) }); // prettier-ignore
    expect(seen).toEqual([{ a: 1 }]);
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
      (JSON.parse(text) as unknown[]).map((value, i) => ({ number: i + 1, value })),
    );
  });

  const broken: [string, RegExp][] = [
    ['', /row 1: got an empty file, expected an array/],
    ['{"a":1}\n{"a":2}', /begins with "\{"; expected one array of rows: .*; a file with a row a line is named .jsonl/],
    ['[{"a":1}', /row 1: got the end of the file, expected the end of the array: it may have been cut short/],
    ['[{"a":1},', /row 2: got the end of the file/],
    ['[{"a":1},]', /row 2: got "\]", expected a row/],
    ['[,1]', /row 1: got ",", expected a row/],
    ['[{"a":1} {"a":2}]', /row 1 is not JSON/],
    ['[{"a":1}, {"a":nul}]', /row 2 is not JSON/],
    ['[{"a":1]]', /row 1/],
    ['[1] 2', /nothing behind the end of the array/],
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
        expect(await valuesOf('.json', JSON.stringify(long, null, indent))).toEqual(JSON.parse(JSON.stringify(long)));
        const lines = long.map((row) => JSON.stringify(row)).join('\n');
        expect(await valuesOf('.jsonl', lines)).toEqual(JSON.parse(JSON.stringify(long)));
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
        { question: '', id: '1152921504606846976', messages: [{ role: 'a' }, { role: 'b' }] },
        { question: 'five', id: 5, messages: [1] },
      ]);
    }
  });

  test('conversations as lists of records, as data sets on the Hub have them', async () => {
    const rows = [
      [{ from: 'human', value: 'Hi' }, { from: 'gpt', value: 'Hello' }], // prettier-ignore
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

test('a file that is missing, a folder, or of another ending is told apart', async () => {
  for (const ending of ['.jsonl', '.json', '.parquet'])
    await expect(allOf(path.join(folder, `none${ending}`))).rejects.toMatchObject({
      code: 'DATA_UNREADABLE',
      message: expect.stringMatching(/cannot read the data file .*none.*ENOENT/),
    });
  expect(() => readRows('rows.csv')).toThrow('its name ends in .csv; expected .jsonl, .json, .parquet');
  expect(() => readRows('rows')).toThrow('its name ends in nothing');
  expect(() => readRows('rows.constructor')).toThrow('.constructor; expected');
});

test('an aborted signal ends the reading with its reason', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  for (const file of [fileOf('.jsonl', '1\n'), fileOf('.json', '[1]'), fileOf('.parquet', parquet())]) {
    const reading = (async () => {
      for await (const _ of readRows(file, signal)) expect.unreachable();
    })();
    await expect(reading).rejects.toThrow('enough');
  }
});
