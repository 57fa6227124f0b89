import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runConfigSchema } from '../config/config.js';
import { openRunFolder, readBest, readRunEvents } from './run-folder.js';

const whole = ['one', 'zwei – drei']
  .map((message, time) => `${JSON.stringify({ type: 'warning', time, message })}\n`)
  .join('');
/** What another process is just writing, or what a kill left; the cut is within a character. */
const partial = Buffer.concat([Buffer.from('{"type":"warning","message":"Gr'), Buffer.from('ö').subarray(0, 1)]);
const content = Buffer.concat([Buffer.from(whole), partial]);

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'glulam-run-folder-'));
  file = path.join(folder, 'events.jsonl');
  writeFileSync(file, content);
});
afterEach(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

describe('a last line that is not whole', () => {
  test('is passed over by a reader, which leaves the file as it is', () => {
    const { mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    expect(readRunEvents(folder)).toEqual([
      { type: 'warning', time: 0, message: 'one' },
      { type: 'warning', time: 1, message: 'zwei – drei' },
    ]);
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(statSync(file, { bigint: true })).toMatchObject({ mtimeNs, ctimeNs });
  });

  test('does not keep a reader out of a folder that cannot be written', () => {
    chmodSync(file, 0o444);
    chmodSync(folder, 0o555);
    expect(readRunEvents(folder)).toHaveLength(2);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  test('is removed by the run itself when it is opened to resume', async () => {
    const run = await openRunFolder(
      runConfigSchema.parse({ base: 'base', data: { train: 'rows.jsonl' }, out: folder }),
    );
    expect(run.recorded).toHaveLength(2);
    expect(readFileSync(file, 'utf8')).toBe(whole);
    run.write({ type: 'warning', time: 2, message: 'three' });
    run.close();
    expect(readRunEvents(folder)).toHaveLength(3);
  });
});

test('a line in the middle that is no event is an error that names it', () => {
  writeFileSync(file, `{"type":\n${whole}`);
  expect(() => readRunEvents(folder)).toThrow(/events.jsonl:1 is no event/);
});

test('where there is no run there are no events', () => {
  expect(readRunEvents(path.join(folder, 'none'))).toEqual([]);
});

describe.each([
  ['best.json', readBest],
  ['events.jsonl', readRunEvents],
])('%s', (name, read) => {
  test.each([
    ['a folder', (at: string) => mkdirSync(at)],
    ['a named pipe', (at: string) => execFileSync('mkfifo', [at])],
  ])('as %s is an error that names it', (kind, make) => {
    const at = path.join(folder, name);
    rmSync(at, { force: true });
    make(at);
    const fault = { code: 'RUN_INVALID', message: expect.stringMatching(`${at}.*it is ${kind}`) as string };
    expect(() => read(folder)).toThrow(expect.objectContaining(fault) as Error);
  });
});
