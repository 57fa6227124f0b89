import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createNativeEngine } from '@glulam/engine-native';
import { definePlugin } from '@glulam/plugin';
import { engines, scope, type Engine, type EngineContribution } from '@glulam/tensors';
import { events, openBase, train } from '@glulam/trainer';
import { resolveConfig, run, type GlulamConfig, type RunEvent } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf } from '../support/tiny.js';

const examples = path.resolve(import.meta.dirname, '../../examples');
const rows = readFileSync(path.join(examples, 'data/word-problems.train.jsonl'), 'utf8').split('\n').slice(0, 48);
const temporary = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-two-runs-'));

/** A data file in a new folder. Tokens are cached by content, so a file with a `note` of its own is tokenized anew. */
function dataFile(note = '', lines: readonly string[] = rows): string {
  const written = path.join(temporary(), 'rows.jsonl');
  const noted = note === '' ? lines : [JSON.stringify({ question: note, answer: note }), ...lines];
  writeFileSync(written, noted.join('\n'));
  return written;
}

/** What the runs read. */
const file = dataFile();

/** The native engine under another name; the plugin keeps every engine that it opened. */
function watchedEngines() {
  const opened: Engine[] = [];
  const watched: EngineContribution = {
    kind: 'watched',
    schema: z.strictObject({}),
    async open(_, { precision, choice }) {
      const engine = createNativeEngine({ precision, choice, threads: 1 });
      opened.push(engine);
      return engine;
    },
  };
  const plugin = definePlugin({
    name: 'watched',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => watched }),
  });
  return { opened, plugin };
}
const { opened, plugin } = watchedEngines();

type Config = GlulamConfig & { readonly out: string };

/** Two configs that share the base and little else. */
const kinds = {
  lora: (train: string): Config => ({
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 3],
        [2, 4],
      ],
    },
    adapter: { kind: 'lora', r: 4, lora_dropout: 0.1 },
    engine: { kind: 'watched' },
    seed: 1,
    data: { train, heldOut: 4 },
    train: { steps: 4, batch: 2, learningRate: 2e-3, recompute: true },
    evaluate: { every: 2 },
    checkpoint: { every: 2 },
    plugins: [plugin],
    out: path.join(temporary(), 'run'),
  }),
  dora: (train: string): Config => ({
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [1, 4],
        [3, 5],
      ],
    },
    adapter: { kind: 'dora', r: 2, lora_dropout: 0.2, target_modules: ['q_proj', 'down_proj'] },
    engine: { kind: 'watched' },
    seed: 2,
    data: { train },
    train: { steps: 4, batch: 1, accumulate: 2, learningRate: 1e-3, schedule: 'linear' },
    plugins: [plugin],
    out: path.join(temporary(), 'run'),
  }),
} as const;

interface Recorded {
  readonly out: string;
  readonly events: RunEvent[];
}

/** The events of a run without times, speeds, memory (in the plan too), its id and the path of its folder. */
const facts = ({ events: told, out }: Recorded): unknown[] =>
  told
    .filter(({ type }) => type !== 'data.reading')
    .map((event) => {
      const text = JSON.stringify({
        ...event,
        time: 0,
        tokensPerSecond: 0,
        seconds: 0,
        peakBytes: 0,
        run: '',
        plan: {},
      });
      return JSON.parse(text.replaceAll(out, 'OUT')) as unknown;
    });
const lossesOf = ({ events: told }: Recorded): number[] =>
  told.flatMap((event) => (event.type === 'step.finished' ? [event.loss] : []));
const adapterOf = (out: string): Buffer => readFileSync(path.join(out, 'adapter/adapter_model.safetensors'));

/** A run with its events and its outcome; each step adds the name to `order`. */
async function follow(
  config: Config,
  {
    name = '',
    order = [],
    ...options
  }: { name?: string; order?: string[] } & NonNullable<Parameters<typeof run>[1]> = {},
) {
  const told: RunEvent[] = [];
  const result = await run(config, {
    ...options,
    onEvent(event, ask) {
      told.push(event);
      if (event.type === 'step.finished') order.push(name);
      options.onEvent?.(event, ask);
    },
  }).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error }),
  );
  return { ...result, out: config.out, events: told };
}

const alone = new Map<keyof typeof kinds, Awaited<ReturnType<typeof follow>>>();
async function aloneOf(kind: keyof typeof kinds) {
  if (!alone.has(kind)) alone.set(kind, await follow(kinds[kind](file)));
  return alone.get(kind)!;
}

/** Every engine that was opened is closed, and none of its tensors is alive. */
function expectNothingLeft(): void {
  for (const engine of opened) {
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    expect(() => scope(() => engine.full([1], 0))).toThrow('an engine that is closed');
  }
}

describe('two runs at once in one process', () => {
  test('each has the losses, events and adapter of the same run alone', async () => {
    const order: string[] = [];
    const before = opened.length;
    const [lora, dora] = await Promise.all([
      follow(kinds.lora(file), { name: 'lora', order }),
      follow(kinds.dora(file), { name: 'dora', order }),
    ]);
    // They ran at once: each had a step between two of the other's.
    expect(order.indexOf('dora')).toBeLessThan(order.lastIndexOf('lora'));
    expect(order.indexOf('lora')).toBeLessThan(order.lastIndexOf('dora'));
    expect(opened).toHaveLength(before + 2);
    for (const [kind, both] of [
      ['lora', lora],
      ['dora', dora],
    ] as const) {
      const expected = await aloneOf(kind);
      expect(both.error).toBeUndefined();
      expect(lossesOf(both)).toHaveLength(4);
      expect(lossesOf(both)).toEqual(lossesOf(expected));
      expect(facts(both)).toEqual(facts(expected));
      expect(facts({ out: both.out, events: eventsOf(both.out) })).toEqual(
        facts({ out: expected.out, events: eventsOf(expected.out) }),
      );
      expect(adapterOf(both.out).equals(adapterOf(expected.out))).toBe(true);
    }
    expectNothingLeft();
  });

  test('the same config twice gives the same run twice, from data that nothing had read before', async () => {
    const fresh = dataFile('two readers of one new file');
    const [first, second] = await Promise.all([follow(kinds.lora(fresh)), follow(kinds.lora(fresh))]);
    const third = await follow(kinds.lora(fresh));
    expect(lossesOf(first)).toHaveLength(4);
    expect(facts(first)).toEqual(facts(third));
    expect(facts(second)).toEqual(facts(third));
    expect(adapterOf(second.out).equals(adapterOf(first.out))).toBe(true);
    expectNothingLeft();
  });

  test('on one base that is open already', async () => {
    const configs = [kinds.lora(file), kinds.dora(file)].map(({ plugins: _, ...fields }) =>
      resolveConfig({ ...fields, reporters: [] }, [plugin], '/'),
    );
    const base = await openBase(configs[0]!.config, configs[0]!.composition);
    const before = base.engine.memory();
    await Promise.all(configs.map(({ config, composition }) => train(config, composition, { base })));
    for (const [i, kind] of (['lora', 'dora'] as const).entries()) {
      const { out } = configs[i]!.config;
      expect(lossesOf({ out, events: eventsOf(out) })).toEqual(lossesOf(await aloneOf(kind)));
      expect(adapterOf(out).equals(adapterOf((await aloneOf(kind)).out))).toBe(true);
    }
    base.weights.close();
    expect(base.engine.memory()).toEqual(before);
    await base.engine.close();
  });
});

describe('two runs at once in one composition', () => {
  const configsOf = (steps: number) =>
    [kinds.lora(file), kinds.dora(file)].map(({ plugins: _, ...fields }) =>
      resolveConfig({ ...fields, train: { ...fields.train, steps }, reporters: [] }, [plugin], '/'),
    );

  test('the command’s stream has the events of both, and each run its own', async () => {
    const configs = configsOf(4);
    const { composition } = configs[0]!;
    const seen: RunEvent[] = [];
    composition.get(events).listen('test', (all) => all.pipe(tap((event) => seen.push(event))));
    await Promise.all(configs.map(({ config }) => train(config, composition)));
    expect(new Set(seen.map(({ run: id }) => id)).size).toBe(2);
    for (const [i, kind] of (['lora', 'dora'] as const).entries()) {
      const { out } = configs[i]!.config;
      const told = eventsOf(out);
      const own = seen.filter(({ run: id, type }) => id === told[0]!.run && type !== 'evaluation.running');
      expect(facts({ out, events: own })).toEqual(facts({ out, events: told }));
      expect(adapterOf(out).equals(adapterOf((await aloneOf(kind)).out))).toBe(true);
    }
    expectNothingLeft();
  });

  test('a request to the command’s stream is one to both', async () => {
    const configs = configsOf(500);
    const { composition } = configs[0]!;
    const stream = composition.get(events);
    const stepped = new Set<string | undefined>();
    stream.listen('test', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type !== 'step.finished') return;
          stepped.add(event.run);
          if (stepped.size === 2) stream.request('stop', 'enough of both');
        }),
      ),
    );
    const results = await Promise.all(configs.map(({ config }) => train(config, composition)));
    for (const { steps, stopped } of results) {
      expect(stopped).toBe('enough of both');
      expect(steps).toBeLessThan(500);
    }
    // A stream that nobody runs in keeps what it is asked for.
    stream.request('checkpoint');
    expect([...stream.takeRequests().keys()]).toEqual(['checkpoint']);
    expectNothingLeft();
  });
});

describe('what ends one of two runs leaves the other alone', () => {
  /** Runs `start` and the run `dora` at once; the second must be as it is alone. */
  async function beside(
    start: (order: string[]) => ReturnType<typeof follow>,
    onEvent: (event: RunEvent) => void = () => {},
  ) {
    const order: string[] = [];
    const [ended, other] = await Promise.all([
      start(order),
      follow(kinds.dora(file), { name: 'dora', order, onEvent }),
    ]);
    const expected = await aloneOf('dora');
    expect(other.error).toBeUndefined();
    expect(facts(other)).toEqual(facts(expected));
    expect(adapterOf(other.out).equals(adapterOf(expected.out))).toBe(true);
    expectNothingLeft();
    return { ended, order };
  }

  test('its signal', async () => {
    const controller = new AbortController();
    const { ended } = await beside((order) =>
      follow(kinds.lora(file), {
        ...{ name: 'lora', order, signal: controller.signal },
        onEvent: (event) => event.type === 'step.finished' && event.step === 2 && controller.abort(),
      }),
    );
    expect(ended.value).toMatchObject({ steps: 2, stopped: 'interrupted' });
    expect(lossesOf(ended)).toEqual(lossesOf(await aloneOf('lora')).slice(0, 2));
  });

  test('its signal, before there is anything to keep', async () => {
    const reason = new Error('not now');
    const { ended } = await beside(() =>
      follow(kinds.lora(dataFile('never read')), { signal: AbortSignal.abort(reason) }),
    );
    expect(ended.error).toBe(reason);
  });

  test('a request to stop, made while the other one runs', async () => {
    let stop: (() => void) | undefined;
    const long = kinds.lora(file);
    const { ended } = await beside(
      (order) =>
        follow(
          { ...long, train: { ...long.train, steps: 500 } },
          { name: 'lora', order, onEvent: (_, ask) => (stop ??= () => ask('stop')) },
        ),
      // Between two steps of the other one, whose loop looks for requests of its own next.
      (event) => event.type === 'step.finished' && stop?.(),
    );
    expect(ended.value).toMatchObject({ stopped: 'on request' });
    expect(ended.value!.steps).toBeLessThan(500);
  });

  test('a row that cannot be read', async () => {
    const { ended } = await beside(() => follow(kinds.lora(dataFile('', [...rows, '{"question": "no end']))));
    expect(ended.error).toMatchObject({ code: 'DATA_INVALID', message: expect.stringContaining('rows.jsonl') });
    expect(ended.events.at(-1)).toMatchObject({ type: 'run.failed', code: 'DATA_INVALID' });
  });

  test('a loss that is not finite, after some steps', async () => {
    const { ended } = await beside((order) => {
      const config = kinds.lora(file);
      const train = { ...config.train, learningRate: 1e30, warmupSteps: 0, maxGradientNorm: 0 };
      return follow({ ...config, train, evaluate: {} }, { name: 'lora', order });
    });
    expect(ended.error).toMatchObject({ code: 'LOSS_NOT_FINITE' });
    expect(lossesOf(ended).length).toBeGreaterThan(0);
  });

  test('a listener that throws, or leaves a promise that nobody awaits', async () => {
    const faults: unknown[] = [];
    const { ended } = await beside((order) =>
      follow(kinds.lora(file), {
        ...{ name: 'lora', order, onFault: (...fault) => void faults.push(fault) },
        listen: (all) => {
          all.subscribe((event) => {
            if (event.type === 'step.finished') void Promise.reject(new Error('nobody awaits it'));
          });
          return all;
        },
        onEvent(event) {
          if (event.type === 'step.finished' && event.step === 2) throw new Error('no more');
        },
      }),
    );
    expect(faults).toContainEqual(['onEvent', expect.objectContaining({ message: 'no more' })]);
    expect(faults).toContainEqual(['listen', expect.objectContaining({ message: 'nobody awaits it' })]);
    expect(faults).toHaveLength(2);
    expect(ended.value).toMatchObject({ steps: 4 });
  });
});
