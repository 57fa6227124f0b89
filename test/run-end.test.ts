import { definePlugin } from '@glulam/plugin';
import { events, reporters, train, type ReporterContribution } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf, tinyRun } from './tiny.js';

const train8 = tinyRun().config.data.train;

/** A run with two reporters: the first opened notes that it was closed, the second cannot be closed. */
function runWithBadReporter(learningRate: number) {
  const closed: string[] = [];
  const reporter = (kind: string, close: () => void): ReporterContribution => ({
    kind,
    schema: z.strictObject({}),
    open: () => close,
  });
  const plugin = definePlugin({
    name: 'reporters',
    contract: 1,
    register(registry) {
      registry.contribute(reporters, { create: () => reporter('good', () => closed.push('good')) });
      registry.contribute(reporters, {
        create: () =>
          reporter('bad', () => {
            throw new Error('cannot be closed');
          }),
      });
    },
  });
  const { config, out } = tinyRun({
    data: { train: train8 },
    train: { steps: 3, batch: 1, learningRate, maxGradientNorm: 0 },
    reporters: [{ kind: 'good' }, { kind: 'bad' }],
  });
  return { closed, out, ...resolveConfig(config, [plugin], '/') };
}

describe('the end of a run', () => {
  test('a reporter that cannot be closed is told, and keeps nothing else open', async () => {
    const { closed, config, composition } = runWithBadReporter(1e-3);
    await expect(train(config, composition)).rejects.toThrow('cannot be closed');
    expect(closed).toEqual(['good']);
  });

  test('it never hides why the run itself failed', async () => {
    const { closed, config, composition } = runWithBadReporter(1e30);
    await expect(train(config, composition)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' });
    expect(closed).toEqual(['good']);
  });
});

describe('the record of a run', () => {
  test('holds what was told before there was a run folder', async () => {
    const { config, composition, out } = tinyRun({ data: { train: train8 }, train: { steps: 1, batch: 1 } });
    const stream = composition.get(events);
    const early = { type: 'plugin', time: 1, name: 'test.early', data: { a: 1 } } as const;
    const running = train(config, composition);
    stream.emit(early);
    await running;
    expect(eventsOf(out)[0]).toEqual(early);
  });

  test('goes on where a plugin’s event holds what JSON cannot say', async () => {
    const { config, composition, out } = tinyRun({ data: { train: train8 }, train: { steps: 3, batch: 1 } });
    const stream = composition.get(events);
    stream.listen('test', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type === 'step.finished' && event.step === 1)
            stream.emit({ type: 'plugin', time: 0, name: 'test.big', data: { big: 1n } });
        }),
      ),
    );
    await train(config, composition);
    const told = eventsOf(out);
    const warning = told.find(({ type }) => type === 'warning');
    expect(warning).toMatchObject({
      message: expect.stringMatching(/test\.big is left out: JSON cannot say its data/),
    });
    expect(told.filter(({ type }) => type === 'step.finished')).toHaveLength(3);
    expect(told.at(-1)).toMatchObject({ type: 'run.finished' });
  });
});
