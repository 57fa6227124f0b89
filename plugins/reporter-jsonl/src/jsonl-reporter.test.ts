import { appendFileSync, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordedRun, testReporter } from '@glulam/testing';
import { createRunEvents, type RunEvent } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { jsonlReporter } from './index.js';
import { appendJsonLines, printJsonLines } from './jsonl-reporter.js';

const read = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

describe('to stdout', () => {
  testReporter(jsonlReporter, { written: ({ stdout }) => stdout });

  test('each event is a line, as it was told', () => {
    const events = createRunEvents((_, error) => expect.unreachable(String(error)));
    const lines: string[] = [];
    const end = printJsonLines(events, (line) => lines.push(line));
    const told = recordedRun('/run');
    told.forEach(events.emit);
    end();
    for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(lines.map((line) => JSON.parse(line) as RunEvent)).toEqual(told);
  });
});

describe('to a file', () => {
  testReporter(jsonlReporter, {
    options: () => ({ file: 'watch/events.jsonl' }),
    written: ({ folder }) => read(path.join(folder, 'watch/events.jsonl')),
  });

  const tell = (file: string, run: readonly RunEvent[]): void => {
    const events = createRunEvents((_, error) => expect.unreachable(String(error)));
    const end = appendJsonLines(events, file);
    for (const event of run) events.emit(event);
    end();
  };

  test('relative to the run folder or absolute; what was told before the start is kept, of a refused run nothing', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-jsonl-'));
    const absolute = path.join(folder, 'absolute.jsonl');
    for (const file of ['lines.jsonl', absolute]) {
      tell(file, [{ type: 'run.failed', time: 1, code: 'CONFIG_INVALID', message: 'refused' }]);
      expect(existsSync(path.resolve(folder, file))).toBe(false);
      const run = recordedRun(folder);
      tell(file, run);
      const lines = read(path.resolve(folder, file)).trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line) as RunEvent)).toEqual(run);
    }
  });

  test('behind a line that was cut short, events begin a line of their own', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-jsonl-'));
    const file = path.join(folder, 'lines.jsonl');
    appendFileSync(file, '{"type":"step.fin');
    const run = recordedRun(folder);
    tell(file, run);
    const [cut, ...lines] = read(file).trimEnd().split('\n');
    expect(cut).toBe('{"type":"step.fin');
    expect(lines.map((line) => JSON.parse(line) as RunEvent)).toEqual(run);
  });

  test("the run's own events.jsonl is refused", () => {
    const result = jsonlReporter.schema.safeParse({ file: './events.jsonl' });
    expect(result.error?.message).toMatch(/the run itself writes events.jsonl: name another file/);
  });
});
