import { createRunEvents, events, train, type RunEvent } from '@glulam/trainer';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { eventsOf, tinyRun } from '../support/tiny.js';

const settings = { train: { steps: 4, batch: 2 }, evaluate: { every: 2 }, checkpoint: { every: 2 } };
const describeEvent = (event: RunEvent): string => `${event.type} ${'step' in event ? event.step : ''}`.trim();

describe('who subscribes late', () => {
  test.each(['input', 1, 3] as const)('to a run, at %s, gets all of its events once, in order', async (at) => {
    const run = tinyRun(settings);
    const stream = run.composition.get(events);
    const whole: RunEvent[] = [];
    const late: RunEvent[] = [];
    stream.listen('from the start', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type !== 'evaluation.running') whole.push(event);
          const isNow =
            at === 'input'
              ? event.type === 'data.reading' || event.type === 'run.started'
              : event.type === 'step.finished' && event.step === at;
          if (!isNow || late.length > 0) return;
          stream.listen(
            'late',
            (replayed) => replayed.pipe(tap((each) => each.type !== 'evaluation.running' && late.push(each))),
            { replay: true },
          );
        }),
      ),
    );
    await train(run.config, run.composition);
    expect(late.length).toBeGreaterThan(8);
    expect(late.map(describeEvent)).toEqual(whole.map(describeEvent));
    expect(new Set(late.map((event) => event.run)).size).toBe(1);
    expect(eventsOf(run.out).map(describeEvent)).toEqual(late.map(describeEvent));
  });

  test('to a resumed run gets the events of its earlier sessions too', async () => {
    const first = tinyRun(settings);
    const controller = new AbortController();
    first.composition
      .get(events)
      .listen('stop', (all) =>
        all.pipe(tap((event) => event.type === 'step.finished' && event.step === 2 && controller.abort())),
      );
    await train(first.config, first.composition, { signal: controller.signal });
    const before = eventsOf(first.out);
    const again = tinyRun({ ...settings, out: first.out });
    const stream = again.composition.get(events);
    const late: RunEvent[] = [];
    stream.listen('start', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type === 'step.finished' && event.step === 3)
            stream.listen('late', (replayed) => replayed.pipe(tap((each) => late.push(each))), { replay: true });
        }),
      ),
    );
    await train(again.config, again.composition, { resume: true });
    expect(late.slice(0, before.length)).toEqual(before);
    expect(late.filter(({ type }) => type === 'run.started')).toHaveLength(2);
    expect(late.at(-1)!.type).toBe('run.finished');
  });

  test('gets what is emitted while earlier events are given, after these', () => {
    const stream = createRunEvents(() => {});
    const recorded: RunEvent[] = [];
    const warning = (message: string): RunEvent => ({ type: 'warning', time: 1, message });
    stream.within('run', { add: (event) => recorded.push(event), past: () => [...recorded] });
    for (const message of ['a', 'b']) stream.emit(warning(message));
    const seen: string[] = [];
    stream.listen(
      'late',
      (all) =>
        all.pipe(
          tap((event) => {
            if (event.type !== 'warning') return;
            seen.push(event.message);
            if (event.message === 'a') stream.emit(warning('reply'));
          }),
        ),
      { replay: true },
    );
    stream.emit(warning('c'));
    expect(seen).toEqual(['a', 'b', 'reply', 'c']);
  });

  test('outside of a run gets what comes', () => {
    const stream = createRunEvents(() => {});
    const warning = (message: string): RunEvent => ({ type: 'warning', time: 1, message });
    stream.emit(warning('before'));
    const seen: RunEvent[] = [];
    stream.listen('late', (all) => all.pipe(tap((event) => seen.push(event))), { replay: true });
    stream.emit(warning('after'));
    expect(seen).toEqual([warning('after')]);
  });
});
