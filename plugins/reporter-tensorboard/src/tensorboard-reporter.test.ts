import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordedRun, resumedRun, testReporter } from '@glulam/testing';
import { createRunEvents, type RunEvent } from '@glulam/trainer';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { encodeEvent } from './encode-event.js';
import { tensorboardReporter } from './index.js';
import { reportToTensorBoard } from './tensorboard-reporter.js';

/** The part of TensorFlow's messages that TensorBoard reads here, read by a parser that is not ours. */
const Event = protobuf
  .parse(
    `syntax = "proto3";
     message Event {
       double wall_time = 1;
       int64 step = 2;
       oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
     }
     message Summary {
       message Value { string tag = 1; oneof value { float simple_value = 2; } }
       repeated Value value = 1;
     }
     message SessionLog {
       enum SessionStatus { STATUS_UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; }
       SessionStatus status = 1;
     }`,
    { keepCase: true },
  )
  .root.lookupType('Event');

interface Parsed {
  readonly wall_time: number;
  readonly step: number;
  readonly file_version?: string;
  readonly session_log?: { readonly status: string };
  readonly summary?: { readonly value: readonly { readonly tag: string; readonly simple_value: number }[] };
}
// A zero counts as not written; `step` is given back.
const parse = (bytes: Uint8Array): Parsed =>
  ({ step: 0, ...Event.toObject(Event.decode(bytes), { longs: Number, enums: String }) }) as Parsed;

/** The records of a file, none of them cut short; checksums are tested in record.test.ts. */
function recordsOf(file: string): Parsed[] {
  const bytes = readFileSync(file);
  const records: Parsed[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(at + 16 + length).toBeLessThanOrEqual(bytes.length);
    records.push(parse(bytes.subarray(at + 12, at + 12 + length)));
    at += 16 + length;
  }
  return records;
}

/** In the order in which TensorBoard reads them. */
const filesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.includes('tfevents'))
        .sort()
        .map((name) => path.join(folder, name))
    : [];

const everything = (folder: string): string =>
  filesIn(folder)
    .map((file) => readFileSync(file, 'latin1'))
    .join('');

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-tensorboard-'));

/** Tell a sitting; `onEvent` is called behind each event. */
function tell(told: readonly RunEvent[], folder = 'tensorboard', onEvent?: (event: RunEvent) => void): void {
  const events = createRunEvents((_, error) => expect.unreachable(String(error)));
  const end = reportToTensorBoard(events, folder);
  for (const event of told) {
    events.emit(event);
    onEvent?.(event);
  }
  end();
}

describe('in the run folder', () => {
  testReporter(tensorboardReporter, { written: ({ folder }) => everything(path.join(folder, 'tensorboard')) });
});
describe('in a folder of its own', () => {
  testReporter(tensorboardReporter, {
    options: (folder) => ({ folder: path.join(folder, 'elsewhere') }),
    written: ({ folder }) => everything(path.join(folder, 'elsewhere')),
  });
});

test('a run as TensorBoard reads it: the version, the start, and every scalar with its step and time', () => {
  const folder = newFolder();
  const told = recordedRun(folder);
  tell(told);
  const [file, ...others] = filesIn(path.join(folder, 'tensorboard'));
  expect(others).toEqual([]);
  expect(path.basename(file!)).toMatch(/^events\.out\.tfevents\.17000000\d\d\..+\.\d+$/);
  const [version, start, ...scalars] = recordsOf(file!);
  const begun = told.find(({ type }) => type === 'run.started')!.time / 1000;
  expect(version).toEqual({ wall_time: begun, step: 0, file_version: 'brain.Event:2' });
  expect(start).toEqual({ wall_time: begun, step: 1, session_log: { status: 'START' } });
  const expected = told.flatMap((event) => {
    const values =
      event.type === 'step.finished'
        ? [
            ['train/loss', event.loss],
            ['train/gradient_norm', event.gradientNorm],
            ['train/learning_rate', event.learningRate],
            ['train/tokens_per_second', event.tokensPerSecond],
          ]
        : event.type === 'evaluation.finished'
          ? [
              ['quiz/accuracy', event.scores['accuracy']],
              ['quiz/questions', event.scores['questions']],
            ]
          : [];
    const value = values.map(([tag, number]) => ({ tag, simple_value: Math.fround(Number(number)) }));
    return value.length === 0
      ? []
      : [{ wall_time: event.time / 1000, step: 'step' in event ? event.step : 0, summary: { value } }];
  });
  expect(expected.length).toBe(10);
  expect(scalars).toEqual(expected);
});

test('each event is in the file once it is told', () => {
  const folder = newFolder();
  let scalars = 0;
  tell(recordedRun(folder), 'board', ({ type }) => {
    if (type === 'step.finished' || type === 'evaluation.finished') scalars += 1;
    const records = filesIn(path.join(folder, 'board')).flatMap(recordsOf);
    expect(records.filter(({ summary }) => summary !== undefined).length).toBe(scalars);
  });
  expect(scalars).toBe(10);
});

test('a resumed run goes on in a new file, whose start takes back the steps that are told again', () => {
  const folder = newFolder();
  for (const sitting of resumedRun(folder)) tell(sitting);
  const files = filesIn(path.join(folder, 'tensorboard'));
  expect(files.length).toBe(3);
  const starts = files.map((file) => recordsOf(file).find(({ session_log }) => session_log !== undefined)!.step);
  expect(starts).toEqual([1, 5, 5]);
  // As TensorBoard purges: a start drops what was read of its step and later ones.
  let steps: number[] = [];
  for (const { step, session_log, summary } of files.flatMap(recordsOf)) {
    if (session_log?.status === 'START') steps = steps.filter((each) => each < step);
    else if (summary?.value[0]?.tag === 'train/loss') steps.push(step);
  }
  expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
});

test('a file is named behind those that are there, even when the clock was set back', () => {
  const folder = newFolder();
  const later = 'events.out.tfevents.1900000000.another-host.1';
  writeFileSync(path.join(folder, later), '');
  tell(recordedRun(folder), '.');
  tell(recordedRun(folder), '.');
  expect(filesIn(folder).map((file) => path.basename(file).slice(0, 30))).toEqual([
    'events.out.tfevents.1900000000',
    'events.out.tfevents.1900000001',
    'events.out.tfevents.1900000002',
  ]);
});

test('numbers at their limits are kept: steps beyond 32 bits, values that are not finite, texts of many bytes', () => {
  for (const step of [0, 127, 128, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]) {
    const scalars = { ['ü'.repeat(200)]: NaN, low: -Infinity, small: 2 ** -140 };
    const event = parse(encodeEvent({ wallTime: 0.1, step, content: { scalars } }));
    const value = Object.entries(scalars).map(([tag, number]) => ({ tag, simple_value: number }));
    expect(event).toEqual({ wall_time: 0.1, step, summary: { value } });
  }
});
