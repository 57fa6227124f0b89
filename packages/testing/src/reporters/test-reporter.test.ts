import { appendFileSync, closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ReporterContribution, RunEvent, RunEvents } from '@glulam/trainer';
import { tap } from 'rxjs';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { failedRun, recordedRun, resumedRun } from './recorded-run.js';
import { reporterChecks } from './reporter-checks.js';
import { runReporterCheck, testReporter, type ReporterCases } from './test-reporter.js';

const reporter = (open: ReporterContribution['open']): ReporterContribution => ({
  kind: 'example',
  schema: z.strictObject({}),
  open,
});
const listen = (events: RunEvents, look: (event: RunEvent) => void) =>
  events.listen('example', (stream) => stream.pipe(tap(look)));
const print = ({ type }: RunEvent): void => void process.stdout.write(`${type}\n`);

/** Prints as it should, and then does something of its own, on an event or at its end. */
const printing = (also: (event: RunEvent, events: RunEvents) => void, end: () => void = () => {}) =>
  reporter((_, events) => {
    const subscription = listen(events, (event) => {
      print(event);
      also(event, events);
    });
    return () => {
      subscription.unsubscribe();
      end();
    };
  });
const onStart = (act: (event: RunEvent & { type: 'run.started' }, events: RunEvents) => void) =>
  printing((event, events) => {
    if (event.type === 'run.started') act(event, events);
  });
const failsOn = (type: RunEvent['type']) =>
  printing((event) => {
    if (event.type === type) throw new Error(`what is ${type}?`);
  });

/** All that is in the file `log`, and what was printed. */
const cases: ReporterCases = {
  written({ folder, stdout }) {
    const log = path.join(folder, 'log');
    return `${existsSync(log) ? readFileSync(log, 'utf8') : ''}${stdout}`;
  },
};

testReporter(
  printing(() => {}),
  cases,
);

test('the recorded runs have every type of event that a run has', () => {
  // A new type is missed by the compiler here. Reporters are a run's: they never see what comes between runs.
  const types: Record<RunEvent['type'], boolean> = {
    'ablation.started': false,
    'variant.started': false,
    'variant.finished': false,
    'ablation.finished': false,
    'search.started': false,
    'map.scored': false,
    'search.finished': false,
    'run.started': true,
    'input.fetching': true,
    'data.reading': true,
    'data.read': true,
    'step.finished': true,
    'evaluation.running': true,
    'evaluation.finished': true,
    'checkpoint.saved': true,
    'adapter.saved': true,
    'run.stopped': true,
    warning: true,
    'run.finished': true,
    'run.failed': true,
    plugin: true,
  };
  const told = [recordedRun('/run'), failedRun('/run'), ...resumedRun('/run')].flat();
  const ofRuns = Object.entries(types).flatMap(([type, isOfRuns]) => (isOfRuns ? [type] : []));
  expect(new Set(told.map(({ type }) => type))).toEqual(new Set(ofRuns));
});

describe('the suite refuses a reporter that', () => {
  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const act of undo.splice(0)) act();
  });
  let timesClosed = 0;

  test.each<[string, string, ReporterContribution, RegExp]>([
    ['says nothing', 'whole run', reporter(() => () => {}), /what was written of a whole run/],
    ['does not take every event', 'whole run', failsOn('plugin'), /faults of the reporter/],
    ['cannot take a failure', 'a run that fails', failsOn('run.failed'), /faults of the reporter/],
    ['changes events', 'whole run', onStart((event) => Object.assign(event, { time: 0 })), /faults of the reporter/],
    [
      'asks something of the loop',
      'whole run',
      onStart((_, events) => events.request('stop')),
      /faults of the reporter/,
    ],
    [
      'tells what only the loop tells',
      'whole run',
      onStart((_, events) => events.emit({ type: 'run.stopped', time: 0, step: 0, reason: '' })),
      /faults of the reporter/,
    ],
    [
      'begins its file again',
      'resumed run',
      onStart(({ folder, resumedFrom = 0 }) => {
        rmSync(path.join(folder, 'log'), { force: true });
        appendFileSync(path.join(folder, 'log'), `from ${resumedFrom}`);
      }),
      /what was written before is still there/,
    ],
    [
      'goes on listening',
      'after it is closed, and',
      reporter((_, events) => {
        const subscription = listen(events, print);
        undo.push(() => subscription.unsubscribe());
        return () => {};
      }),
      /it listens until it is closed/,
    ],
    [
      'cannot be closed again',
      'may be closed again',
      printing(
        () => {},
        () => {
          if (timesClosed++ > 0) throw new Error('closed already');
        },
      ),
      /closed already/,
    ],
    [
      'writes before there is an event',
      'before any event',
      reporter(() => {
        process.stdout.write('hello');
        return () => {};
      }),
      /expected 'hello' to be ''/,
    ],
    [
      'leaves something for later',
      'everything is written when it is closed',
      printing(
        () => {},
        () => void setTimeout(() => process.stdout.write('late'), 10),
      ),
      /what is written is written when it is closed/,
    ],
    [
      'keeps a timer',
      'holds nothing',
      onStart(() => {
        const timer = setInterval(() => {}, 1000);
        undo.push(() => clearInterval(timer));
      }),
      /Timeout/,
    ],
    [
      'keeps a listener of the process',
      'holds nothing',
      onStart(() => {
        const onExit = (): void => {};
        process.on('exit', onExit);
        undo.push(() => process.off('exit', onExit));
      }),
      /listeners of process for exit/,
    ],
  ])('%s', async (_, name, contribution, message) => {
    const check = reporterChecks.find((each) => each.name.includes(name))!;
    await expect(runReporterCheck(check, contribution, cases)).rejects.toThrow(message);
  });

  test('keeps a file open', async ({ skip }) => {
    skip(!existsSync('/proc/self/fd'), 'no /proc/self/fd here');
    const check = reporterChecks.find(({ name }) => name.includes('holds nothing'))!;
    const leaking = onStart(({ folder }) => {
      const handle = openSync(path.join(folder, 'kept'), 'a');
      undo.push(() => closeSync(handle));
    });
    await expect(runReporterCheck(check, leaking, cases)).rejects.toThrow(/kept/);
  });
});
