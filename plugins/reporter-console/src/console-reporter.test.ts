import { failedRun, recordedRun, resumedRun, testReporter } from '@glulam/testing';
import { createRunEvents, type RunEvent } from '@glulam/trainer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { reportToConsole } from './console-reporter.js';
import { consoleReporter } from './index.js';

/** What is printed of these events. */
function printed(told: readonly RunEvent[], output: { isTTY?: boolean; columns?: number } = {}, quiet = false): string {
  const events = createRunEvents((_, error) => expect.unreachable(String(error)));
  let text = '';
  const end = reportToConsole(events, { ...output, write: (piece) => (text += piece) }, quiet);
  for (const event of told) events.emit(event);
  end();
  return text;
}

/** The lines that a terminal shows at the end. */
function screen(text: string): string[] {
  const lines = [''];
  for (const piece of text.split(/(\n|\r\u001b\[K)/)) {
    if (piece === '\n') lines.push('');
    else if (piece === '\r\u001b[K') lines[lines.length - 1] = '';
    else lines[lines.length - 1] += piece;
  }
  return lines;
}

describe.each(['', 'true'])('with CI=%s', (ci) => {
  beforeEach(() => void vi.stubEnv('CI', ci));
  afterEach(() => void vi.unstubAllEnvs());
  testReporter(consoleReporter, { written: ({ stdout }) => stdout });
});

describe('lines', () => {
  test('a whole run', () => {
    expect(printed(recordedRun('/run'))).toMatchInlineSnapshot(`
      "warning: told before the run folder is there
      owner/base@main: 1.00 GB of 14.50 GB here
      owner/base@main: 14.50 GB of 14.50 GB here
      /data/train.jsonl: 600 rows read
      8 physical layers as 12 virtual layers, 325,632 trainable parameters
      engine recorded (no engine), float32; 1,190 examples, 6 steps; run folder /run
      training data /data/train.jsonl: 1,200 rows, 1,190 examples, 45,678 tokens
      warning: 10 of its rows are left out: longer than 2048 tokens (10)
        roles were mended (2 rows)
      held-out data /data/heldOut.jsonl: 1,200 rows, 1,190 examples, 45,678 tokens
      warning: 10 of its rows are left out: longer than 2048 tokens (10)
        roles were mended (2 rows)
      quiz before training: accuracy 0.2500, questions 1,319
      step 1/6  loss 2.0000  512 tokens/s
      step 2/6  loss 1.9333  512 tokens/s  4s left
      quiz after step 2: accuracy 0.2500, questions 1,319
      step 3/6  loss 1.8400  512 tokens/s  5s left
      step 4/6  loss 1.7360  512 tokens/s  3s left
      quiz after step 4: accuracy 0.2500, questions 1,319
      step 5/6  loss 1.6291  512 tokens/s  2s left
      step 6/6  loss 1.5233  512 tokens/s
      quiz after step 6: accuracy 0.2501, questions 1,319
      best so far: checkpoint of step 6 kept
      warning: a line
      and another
      last: step 6, quiz accuracy 0.2500; it is the best
      adapter saved in /run/adapter: that of step 6, the best
      finished in 1h 02m
      "
    `);
  });

  test('a resumed run says from where it goes on, and of a long run every tenth is told', () => {
    expect(printed(resumedRun('/run')[2]!)).toMatch(/going on from the checkpoint of step 4\nstep 5\/6/);
    const steps = printed(recordedRun('/run', 95)).match(/^step \d+/gm);
    expect(steps).toEqual(['step 1', ...[10, 20, 30, 40, 50, 60, 70, 80, 90].map((step) => `step ${step}`), 'step 95']);
  });

  test('the last step and the best, and which of them the adapter folder holds', () => {
    const saved = (step: number, more: object) =>
      printed([{ type: 'adapter.saved', time: 0, step, folder: '/run/adapter', ...more }]);
    const last = { step: 150, value: 1.3 };
    expect(saved(100, { last, best: { step: 100, value: 1.23456 }, watched: 'loss' })).toBe(
      'last: step 150, loss 1.3000; best: step 100, loss 1.2346\nadapter saved in /run/adapter: that of step 100, the best\n',
    );
    expect(saved(100, { last: { step: 120 }, best: { step: 100, value: NaN }, watched: 'quiz accuracy' })).toMatch(
      'last: step 120, not scored; best: step 100, quiz accuracy NaN\n',
    );
    expect(saved(1500, { last: { step: 1500 } })).toBe(
      'last: step 1,500\nadapter saved in /run/adapter: that of step 1,500, the last\n',
    );
    expect(saved(8, {})).toBe('adapter saved in /run/adapter: that of step 8\n');
  });

  test('quiet: all but what is under way', () => {
    const isUnderWay = (text: string): boolean => /^step \d|rows read$|1\.00 GB of|of 1,319 scored$/.test(text);
    const all = printed(recordedRun('/run')).split('\n');
    expect(printed(recordedRun('/run'), {}, true).split('\n')).toEqual(all.filter((text) => !isUnderWay(text)));
    expect(printed(recordedRun('/run'), { isTTY: true, columns: 80 }, true)).not.toMatch(/step \d\/|\r/);
  });
});

describe('a terminal', () => {
  test('counts rows in place while a file is read', () => {
    const reading = (rows: number): RunEvent => ({
      type: 'data.reading',
      time: rows,
      file: '/data/a-long-name.jsonl',
      rows,
    });
    const text = printed([reading(1000), reading(25_000), ...recordedRun('/run', 1)], { isTTY: true, columns: 30 });
    expect(text).toMatch(/1,000 rows read\r\u001b\[K\S*: 25,000 rows read\r/);
    expect(screen(text).some((shown) => shown.includes('rows read'))).toBe(false);
    for (const [, shown] of text.matchAll(/\r\u001b\[K([^\r\n]*rows read)/g)) expect(shown!.length).toBeLessThan(30);
  });

  test.each([80, 40, 20])('of %d columns: no progress line reaches its edge', (columns) => {
    const text = printed(recordedRun('/run', 50), { isTTY: true, columns });
    const bars = [...text.matchAll(/\r\u001b\[K([^\r\n]*step \d+\/[^\r\n]*)/g)].map(([, bar]) => bar!);
    expect(bars.length).toBe(50);
    for (const bar of bars) expect(bar.length).toBeLessThan(columns);
  });

  test('lines take the place of the bar, which is drawn again below; the last one stays', () => {
    const lines = screen(printed(recordedRun('/run', 4), { isTTY: true, columns: 80 }));
    expect(lines.filter((text) => /step \d\/|^quiz/.test(text))).toEqual([
      'quiz before training: accuracy 0.2500, questions 1,319',
      'quiz after step 2: accuracy 0.2500, questions 1,319',
      '████████████████████████ step 4/4  loss 1.7360  512 tokens/s',
      'quiz after step 4: accuracy 0.2500, questions 1,319',
    ]);
  });

  test('a run that fails, and one that is just closed, leave the bar on a line of its own', () => {
    for (const told of [failedRun('/run'), resumedRun('/run')[1]!]) {
      const text = printed(told, { isTTY: true, columns: 80 });
      expect(text.endsWith('\n')).toBe(true);
      expect(screen(text).at(-2)).toMatch(/^[█░]+ step \d\/6 {2}loss/);
    }
  });

  test('of unknown width counts as one of 80 columns', () => {
    const told = recordedRun('/run');
    expect(printed(told, { isTTY: true })).toBe(printed(told, { isTTY: true, columns: 80 }));
    expect(printed(told, { isTTY: true, columns: 0 })).toBe(printed(told, { isTTY: true, columns: 80 }));
  });
});
