import { definePlugin } from '@glulam/plugin';
import {
  evaluators,
  events,
  reporters,
  train,
  type ReporterContribution,
  type RunEvent,
  type RunEvents,
} from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf, tinyRun } from '../support/tiny.js';

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
    contract: 2,
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
    const warnings: string[] = [];
    composition
      .get(events)
      .listen('test', (all) => all.pipe(tap((event) => event.type === 'warning' && warnings.push(event.message))));
    await train(config, composition);
    expect(warnings).toContainEqual(expect.stringMatching(/reporter bad.* cannot be closed/s));
    expect(closed).toEqual(['good']);
  });

  test('it never hides why the run itself failed', async () => {
    const { closed, config, composition } = runWithBadReporter(1e30);
    await expect(train(config, composition)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' });
    expect(closed).toEqual(['good']);
  });
});

/** A run with a reporter that is given the run's own stream when it is opened; its folder. */
async function trainTelling(tell: (stream: RunEvents) => void, steps: number): Promise<string> {
  const teller: ReporterContribution = {
    kind: 'teller',
    schema: z.strictObject({}),
    open(_, stream) {
      tell(stream);
      return () => {};
    },
  };
  const plugin = definePlugin({
    name: 'teller',
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => teller }),
  });
  const { config, out } = tinyRun({
    data: { train: train8 },
    train: { steps, batch: 1 },
    reporters: [{ kind: 'teller' }],
  });
  await train(config, resolveConfig(config, [plugin], '/').composition);
  return out;
}

describe('the record of a run', () => {
  test('holds what was told before there was a run folder', async () => {
    const early = { type: 'plugin', time: 1, name: 'test.early', data: { a: 1 } } as const;
    expect(eventsOf(await trainTelling((stream) => stream.emit(early), 1))[0]).toMatchObject(early);
  });

  test('has no event of the command around the run', async () => {
    const { config, composition, out } = tinyRun({ data: { train: train8 }, train: { steps: 1, batch: 1 } });
    const running = train(config, composition);
    composition.get(events).emit({ type: 'plugin', time: 1, name: 'test.outside', data: {} });
    await running;
    expect(eventsOf(out).some(({ type }) => type === 'plugin')).toBe(false);
  });

  test('goes on where a plugin’s event holds what JSON cannot say', async () => {
    const out = await trainTelling((stream) => {
      stream.listen('teller', (all) =>
        all.pipe(
          tap((event) => {
            if (event.type === 'step.finished' && event.step === 1)
              stream.emit({ type: 'plugin', time: 0, name: 'test.big', data: { big: 1n } });
          }),
        ),
      );
    }, 3);
    const told = eventsOf(out);
    const warning = told.find(({ type }) => type === 'warning');
    expect(warning).toMatchObject({
      message: expect.stringMatching(/test\.big is left out: JSON cannot say its data/),
    });
    expect(told.filter(({ type }) => type === 'step.finished')).toHaveLength(3);
    expect(told.at(-1)).toMatchObject({ type: 'run.finished' });
  });

  const circle: { self?: unknown } = {};
  circle.self = circle;
  test.each<[string, unknown, RegExp]>([
    [
      'a bigint among scores',
      { type: 'evaluation.finished', time: 0, step: 1, evaluator: 'x', scores: { s: 1n } },
      /evaluation\.finished is left out: JSON cannot say/,
    ],
    ['a circle', { type: 'warning', time: 0, message: circle }, /the event warning is left out: JSON cannot say/],
    ['nothing', undefined, /the event undefined is left out: an event is a record with a type/],
    ['no type', {}, /the event undefined is left out: an event is a record/],
    ['a symbol for its type', { type: Symbol('x') }, /the event Symbol\(x\) is left out/],
    [
      'a getter that throws',
      {
        get type() {
          throw new Error('no');
        },
      },
      /the event without a name is left out/,
    ],
    ['a list', ['a'], /is left out: an event is a record/],
    [
      'a toJSON that throws',
      {
        type: 'plugin',
        name: 'a.b',
        toJSON() {
          throw new Error('no');
        },
      },
      /a\.b is left out: JSON cannot say its data \(no\)/,
    ],
  ])('goes on after an event with %s', async (_, event, message) => {
    const out = await trainTelling((stream) => stream.emit(event as RunEvent), 1);
    const told = eventsOf(out);
    expect(told[0]).toMatchObject({ type: 'warning', message: expect.stringMatching(message) as string });
    expect(told.at(-1)).toMatchObject({ type: 'run.finished' });
  });
});

describe('what an evaluator gives', () => {
  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'it gave undefined'],
    ['null', null, 'it gave null'],
    ['a number', 5, 'it gave 5'],
    ['a list', [1], 'it gave a list'],
    ['no scores', {}, 'it gave no score'],
    ['a text', { s: 'x' }, 'it gave "x" as "s"'],
    ['a bigint', { s: 1n }, 'it gave 1n as "s"'],
    ['a record in a record', { a: 1, s: { x: 1n } }, 'it gave a record as "s"'],
    ['a score that is missing', { s: undefined }, 'it gave undefined as "s"'],
  ])('names the plugin of one that gives %s, and the run records why it failed', async (_, scores, problem) => {
    const plugin = definePlugin({
      name: 'some-plugin',
      contract: 2,
      register: (registry) =>
        registry.contribute(evaluators, {
          create: () => ({
            kind: 'bad',
            schema: z.strictObject({}),
            open: () => ({ evaluate: () => Promise.resolve(scores as Record<string, number>) }),
          }),
        }),
    });
    const { config, out } = tinyRun({
      data: { train: train8 },
      train: { steps: 1, batch: 1 },
      evaluate: { evaluators: [{ kind: 'bad' }] },
    });
    const resolved = resolveConfig(config, [plugin], '/');
    const message = `the plugin some-plugin failed in evaluate() of its "bad" (trainer.evaluators): ${problem}; expected a record of at least one number, such as { loss: 2.19 }`;
    await expect(train(resolved.config, resolved.composition)).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message,
    });
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'run.failed', code: 'PLUGIN_FAILED', message });
  });
});
