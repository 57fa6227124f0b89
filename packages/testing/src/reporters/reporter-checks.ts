import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { createRunEvents, type ReporterContribution, type RunEvent, type RunEvents } from '@glulam/trainer';
import { expect } from 'vitest';
import { failedRun, recordedRun, resumedRun } from './recorded-run.js';
import { watchResources } from './watch-resources.js';

/** A reporter in a place of its own. */
interface ReporterTrial {
  readonly contribution: ReporterContribution;
  readonly options: unknown;
  readonly folder: string;
  written(): Promise<string>;
}

export interface ReporterCheck {
  readonly name: string;
  run(trial: ReporterTrial): Promise<void>;
}

export const reporterChecks: readonly ReporterCheck[] = [
  {
    name: 'tells of a whole run, with every type of event',
    async run(trial) {
      const sitting = open(trial);
      sitting.tell(recordedRun(trial.folder));
      await sitting.close();
      expect(await trial.written(), 'what was written of a whole run').not.toBe('');
    },
  },
  {
    name: 'tells of a run that fails, at a step or before it began',
    async run(trial) {
      for (const events of [failedRun(trial.folder), failedRun(trial.folder).slice(-1)]) {
        const sitting = open(trial);
        sitting.tell(events);
        await sitting.close();
      }
    },
  },
  {
    name: 'a resumed run is told behind what was told before',
    async run(trial) {
      let before = '';
      for (const events of resumedRun(trial.folder)) {
        const sitting = open(trial);
        sitting.tell(events);
        await sitting.close();
        const after = await trial.written();
        expect(after.startsWith(before), 'what was written before is still there').toBe(true);
        expect(after.length, 'each sitting is told').toBeGreaterThan(before.length);
        before = after;
      }
    },
  },
  {
    name: 'writes nothing after it is closed, and may be closed again',
    async run(trial) {
      const events = recordedRun(trial.folder);
      const sitting = open(trial);
      sitting.tell(events.slice(0, 8));
      await sitting.close();
      const before = await trial.written();
      sitting.tell(events.slice(8));
      await sitting.close();
      expect(await trial.written(), 'nothing is written after it was closed').toBe(before);
    },
  },
  {
    name: 'is closed before any event, and has written nothing',
    async run(trial) {
      await open(trial).close();
      expect(await trial.written()).toBe('');
    },
  },
  {
    name: 'keeps up with many events, and everything is written when it is closed',
    async run(trial) {
      const sitting = open(trial);
      sitting.tell(recordedRun(trial.folder, 5000));
      await sitting.close();
      const written = await trial.written();
      await wait(50);
      expect(await trial.written(), 'what is written is written when it is closed').toBe(written);
    },
  },
  {
    name: 'holds nothing after it is closed: no file, timer, connection or listener of the process',
    async run(trial) {
      const before = held(trial.folder);
      const resources = watchResources();
      try {
        const sitting = resources.within(() => open(trial));
        resources.within(() => sitting.tell(recordedRun(trial.folder)));
        await resources.within(() => sitting.close());
        const left = [...(await resources.left()), ...held(trial.folder).filter((name) => !before.includes(name))];
        expect(left, 'what is held').toEqual([]);
      } finally {
        resources.stop();
      }
    },
  },
];

/** Open the reporter on a stream that watches it: it must not throw, ask, or emit anything but events of its own. */
function open({ contribution, options }: ReporterTrial) {
  const faults: unknown[] = [];
  const stream = createRunEvents((_, error) => faults.push(error));
  const subscriptions: { readonly closed: boolean }[] = [];
  const given = JSON.stringify(options);
  const end = contribution.open(options, {
    listen(owner, pipeline) {
      expect(owner, 'the name it listens by').not.toBe('');
      const subscription = stream.listen(owner, pipeline);
      subscriptions.push(subscription);
      return subscription;
    },
    emit(event) {
      if (event.type !== 'plugin' && event.type !== 'warning') faults.push(new Error(`it emitted ${event.type}`));
      stream.emit(event);
    },
    request: (request) => void faults.push(new Error(`it asked for "${request}"`)),
    takeRequests() {
      faults.push(new Error("it took the loop's requests"));
      return new Map();
    },
  } satisfies RunEvents);
  return {
    tell(events: readonly RunEvent[]): void {
      for (const event of events) stream.emit(deepFreeze(event));
    },
    async close(): Promise<void> {
      await end();
      expect(faults, 'faults of the reporter').toEqual([]);
      expect(
        subscriptions.map(({ closed }) => closed),
        'it listens until it is closed',
      ).toEqual(subscriptions.map(() => true));
      expect(JSON.stringify(options), 'the options').toBe(given);
    },
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

/** Files in the folder that the process holds open, where the system tells, and its listeners, each with its number. */
function held(folder: string): string[] {
  const descriptors = '/proc/self/fd';
  const files = (existsSync(descriptors) ? readdirSync(descriptors) : [])
    // The listing had a descriptor of its own, which is gone.
    .filter((name) => existsSync(path.join(descriptors, name)))
    .map((name) => readlinkSync(path.join(descriptors, name)))
    .filter((file) => file.startsWith(folder));
  const emitters = { process, stdout: process.stdout, stderr: process.stderr };
  const listeners = Object.entries(emitters).flatMap(([owner, emitter]) =>
    emitter.eventNames().map((name) => `${emitter.listenerCount(name)} listeners of ${owner} for ${String(name)}`),
  );
  return [...files, ...listeners];
}

const wait = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));
