import { setImmediate } from 'node:timers/promises';
import { tap } from 'rxjs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createRunEvents, cutOffRejections } from './event-stream.js';
import type { RunEvent, RunEvents } from './events.js';
import { openReporter } from './open-reporter.js';

const event: RunEvent = { type: 'warning', time: 0, message: 'w' };

/** Run three events past a reporter, close it, and return what was reported of it. */
async function faultsOf(open: (options: unknown, events: RunEvents) => unknown): Promise<string[]> {
  const faults: string[] = [];
  const events = createRunEvents((owner, error) =>
    faults.push(`${owner}: ${error instanceof Error ? error.message : String(error)}`),
  );
  const seen: RunEvent[] = [];
  const end = cutOffRejections();
  const close = openReporter({ kind: 'bell', schema: z.unknown(), open: open as never }, {}, events, 50);
  events.listen('other', (all) => all.pipe(tap((each) => seen.push(each))));
  for (let i = 0; i < 3; i++) {
    events.emit(event);
    await setImmediate();
  }
  await close();
  end();
  // Whatever the reporter did, the run and the other listeners had all events.
  expect(seen).toHaveLength(3);
  return faults;
}
const boom = (): never => {
  throw new Error('boom');
};

/** What `throw 5` throws, as far as the compiler knows an Error. */
const notAnError = 5 as unknown as Error;
/** An async listener, which leaves its promise to nobody. */
const rejectLater = (error: Error) => (): void => {
  void setImmediate().then(() => Promise.reject(error));
};

test.each<[string, (options: unknown, events: RunEvents) => unknown, string[]]>([
  ['that throws when it is opened', boom, ['reporter bell: boom']],
  [
    'that throws no Error',
    () => {
      throw notAnError;
    },
    ['reporter bell: 5'],
  ],
  ['that rejects when it is opened', () => Promise.reject(new Error('boom')), ['reporter bell: boom']],
  ['without an end', () => undefined, []],
  ['whose pipeline throws', (_, events) => events.listen('bell', boom), ['reporter bell: boom']],
  ['that throws on an event', (_, events) => events.listen('bell', (all) => all.pipe(tap(boom))), ['bell: boom']],
  [
    'that listens by another name',
    (_, events) => events.listen('tail', (all) => all.pipe(tap(boom))),
    ['tail of the reporter bell: boom'],
  ],
  [
    'that rejects on an event',
    (_, events) => events.listen('bell', (all) => all.pipe(tap(rejectLater(new Error('boom'))))),
    ['bell: boom'],
  ],
  [
    'that rejects on an event with no Error',
    (_, events) => events.listen('bell', (all) => all.pipe(tap(rejectLater(notAnError)))),
    ['bell: 5'],
  ],
  ['whose end throws', () => boom, ['reporter bell: boom']],
  ['whose end rejects', () => () => Promise.reject(new Error('boom')), ['reporter bell: boom']],
  [
    'that never ends',
    () => () => new Promise(() => undefined),
    ['reporter bell: it did not end within 0.05 seconds; what it has not written is lost'],
  ],
  [
    'that is never open',
    () => new Promise(() => undefined),
    ['reporter bell: it did not end within 0.05 seconds; what it has not written is lost'],
  ],
])('a reporter %s is cut off, with one warning', async (_, open, faults) => {
  expect(await faultsOf(open)).toEqual(faults);
});

test('one that fails after it began to listen hears nothing more', async () => {
  const heard: RunEvent[] = [];
  const faults = await faultsOf((_, events) => {
    events.listen('bell', (all) => all.pipe(tap((each) => heard.push(each))));
    boom();
  });
  expect([faults, heard]).toEqual([['reporter bell: boom'], []]);
});
