import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import {
  defineConfig,
  evaluate,
  generate,
  loadConfig,
  merge,
  openModel,
  plan,
  run,
  type GlulamConfig,
  type Row,
  type RunEvent,
  type ScheduleFunction,
} from 'glulam';
import { definePlugin, token } from '@glulam/plugin';
import { filter, map, tap, toArray } from 'rxjs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { eventsOf, lossesByStep } from '../support/tiny.js';

const root = path.resolve(import.meta.dirname, '../..');
const examples = path.join(root, 'examples');
const file = path.join(examples, 'data/word-problems.train.jsonl');
const rows: readonly Row[] = readFileSync(file, 'utf8')
  .split('\n')
  .slice(0, 24)
  .map((line) => JSON.parse(line) as Row);
const temporary = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-library-'));

function tiny(changes: Partial<GlulamConfig> = {}): GlulamConfig & { out: string } {
  return {
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 4 },
    data: { train: { rows } },
    train: { steps: 4, batch: 2, learningRate: 2e-3 },
    ...changes,
    out: changes.out ?? path.join(temporary(), 'run'),
  };
}

const textOf = async (pieces: AsyncIterable<string>): Promise<string> => {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
};

afterEach(() => void vi.restoreAllMocks());

describe('what plugins create', () => {
  /** A plugin with something for each lifetime, and what was made and disposed of, by what lived around it. */
  function watched() {
    const log: string[] = [];
    const made = { process: 0, command: 0, run: 0 };
    const plugin = definePlugin({
      name: 'watched',
      contract: 2,
      register(registry) {
        for (const lifetime of ['process', 'command', 'run'] as const)
          registry.provide(token<string>(`test.${lifetime}`), {
            lifetime,
            create: () => `${lifetime} ${++made[lifetime]}`,
            dispose(value) {
              if (value === 'command 1') throw new Error('stuck');
              log.push(value);
            },
          });
      },
    });
    return { plugin, log };
  }

  test('is disposed of when its run and its call end; what cannot be is a warning', async () => {
    const { plugin, log } = watched();
    const warnings: string[] = [];
    await run(tiny({ plugins: [plugin], train: { steps: 1, batch: 1 } }), {
      onEvent(event) {
        if (event.type === 'warning') warnings.push(event.message);
        if (event.type === 'run.started') expect(log).toEqual([]);
      },
    });
    // The scope of the run ends first, then the composition with its own.
    expect(log).toEqual(['run 2', 'run 1', 'process 1']);
    expect(warnings).toContainEqual(expect.stringContaining('[watched] disposing of test.command failed: stuck'));
  });

  test('of an open model is disposed of when that is closed', async () => {
    const { plugin, log } = watched();
    const model = await openModel(tiny({ plugins: [plugin] }));
    expect(log).toEqual([]);
    await expect(model.close()).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
    expect(log).toEqual(['run 1', 'process 1']);
  });
});

describe('run', () => {
  test('rows in code train as the same rows in a file do', async () => {
    const rowsFile = path.join(temporary(), 'rows.jsonl');
    writeFileSync(rowsFile, rows.map((row) => JSON.stringify(row)).join('\n'));
    const [fromFile, fromCode, fromFunction] = [
      tiny({ data: { train: rowsFile } }),
      tiny(),
      tiny({
        data: {
          train: {
            rows: async function* () {
              yield* rows;
            },
          },
        },
      }),
    ];
    for (const config of [fromFile, fromCode, fromFunction]) await run(config);
    expect(lossesByStep(fromCode.out)).toEqual(lossesByStep(fromFile.out));
    expect(lossesByStep(fromFunction.out)).toEqual(lossesByStep(fromFile.out));
    const { data } = JSON.parse(readFileSync(path.join(fromCode.out, 'config.json'), 'utf8')) as { data: unknown };
    expect(data).toMatchObject({
      train: { rows: { count: 24, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
    });
    const report = eventsOf(fromCode.out).find(({ type }) => type === 'data.read');
    expect(report).toMatchObject({
      file: expect.stringMatching(/^rows in code \([0-9a-f]{12}\)$/) as string,
      rows: 24,
    });
  });

  test('prints nothing and listens to no signal; events come in order and complete', async () => {
    const written = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
    // Of its own listeners' rejections a run hears; see the page on the library.
    const listeners = () =>
      process
        .eventNames()
        .filter((name) => name !== 'unhandledRejection')
        .map((name) => [name, process.listenerCount(name)]);
    const before = listeners();
    const seen: RunEvent['type'][] = [];
    let losses: number[] | undefined;
    let during: unknown;
    await run(tiny({ data: { train: { rows }, heldOut: { rows: rows.slice(0, 4) } } }), {
      onEvent: ({ type }) => {
        seen.push(type);
        if (type === 'step.finished') during = listeners();
      },
      listen: (events) =>
        events.pipe(
          filter((event) => event.type === 'step.finished'),
          map(({ loss }) => loss),
          toArray(),
          tap((all) => (losses = all)),
        ),
    });
    expect(seen.at(0)).toBe('run.started');
    expect(seen.at(-1)).toBe('run.finished');
    expect(losses).toHaveLength(4);
    expect(during).toEqual(before);
    for (const stream of written) expect(stream).not.toHaveBeenCalled();
  });

  test('a listener that throws is reported to the others and cut off', async () => {
    const written = vi.spyOn(process.stderr, 'write');
    const warnings: string[] = [];
    await run(tiny(), {
      onEvent: () => {
        throw new Error('no more');
      },
      listen: (events) => events.pipe(tap((event) => event.type === 'warning' && warnings.push(event.message))),
    });
    expect(warnings).toEqual([expect.stringMatching(/^\[onEvent\] failed .*no more/)]);
    expect(written).not.toHaveBeenCalled();
  });

  test('resumed with the same rows it goes on as if it had not stopped; with others it is refused', async () => {
    const whole = tiny();
    await run(whole);
    const config = tiny();
    const controller = new AbortController();
    const first = await run(config, {
      signal: controller.signal,
      onEvent: (event) => event.type === 'step.finished' && event.step === 2 && controller.abort(),
    });
    expect(first).toMatchObject({ steps: 2, stopped: 'interrupted' });
    const others = [...rows.slice(0, 23), { ...rows[23], answer: 'another' }];
    await expect(run({ ...config, data: { train: { rows: others } } }, { resume: true })).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringContaining('data.train.rows.sha256: was ') as string,
    });
    await expect(run(path.join(config.out, 'config.json'), { resume: true })).rejects.toMatchObject({
      code: 'GIVEN_IN_CODE',
      message: expect.stringMatching(
        /data\.train is 24 rows that were passed in code .*run\(config, \{ resume: true \}\)/,
      ) as string,
    });
    expect(await run(config, { resume: true })).toMatchObject({ steps: 4, stopped: undefined });
    expect(lossesByStep(config.out)).toEqual(lossesByStep(whole.out));
  });

  test('the command line says how to resume it', async () => {
    const config = tiny();
    await run({ ...config, train: { ...config.train, schedule: () => 1 } }, { overrides: { 'train.steps': 2 } });
    const bin = path.join(root, 'packages/glulam/bin/glulam.js');
    const { status, stderr } = spawnSync(process.execPath, [bin, 'train', config.out, '--resume'], {
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/^error \[GIVEN_IN_CODE\]: data\.train is 24 rows that were passed in code/);
    expect(status).toBe(1);
  });

  test('rows that can be read once only, or that are no data, are refused', async () => {
    const once = rows[Symbol.iterator]() as unknown as Row[];
    await expect(run(tiny({ data: { train: { rows: once } } }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(
        /data\.train\.rows is an iterator.*pass a list or another iterable.*, or a function/,
      ) as string,
    });
    function* generator() {
      yield* rows;
    }
    const shared = generator();
    for (const once of [
      generator(),
      Readable.from(rows),
      new ReadableStream(),
      { [Symbol.iterator]: () => shared },
      { a: 1 },
      'a.jsonl',
    ])
      await expect(run(tiny({ data: { train: { rows: once as unknown as Row[] } } }))).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    for (const [given, got] of [
      [5, '5'],
      [undefined, 'undefined'],
      ['rows', 'a text'],
      [{}, 'a record'],
      [Promise.resolve(rows), 'a promise'],
    ] as const)
      await expect(run(tiny({ data: { train: { rows: () => given as never } } }))).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: expect.stringContaining(
          `data.train.rows is a function that gives ${got}; expected a list, or another iterable`,
        ) as string,
      });
    for (const [value, said] of [
      [new Date(0), /data\.train, row 1 has a Date as "answer"/],
      [() => 1, /row 1 has a function as "answer"/],
    ] as const)
      await expect(run(tiny({ data: { train: { rows: [{ question: 'a', answer: value }] } } }))).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: expect.stringMatching(said) as string,
      });
    await expect(run(tiny({ data: { train: { rows: [] } } }))).rejects.toMatchObject({ code: 'DATA_EMPTY' });
  });

  test('rows of any iterable that begins anew each time are those of a list', async () => {
    const [list, set, later] = [
      tiny(),
      tiny({ data: { train: { rows: new Set(rows) } } }),
      tiny({
        data: {
          train: {
            rows: {
              async *[Symbol.asyncIterator]() {
                yield* rows;
              },
            },
          },
        },
      }),
    ];
    for (const config of [list, set, later]) await run(config);
    expect(lossesByStep(set.out)).toEqual(lossesByStep(list.out));
    expect(lossesByStep(later.out)).toEqual(lossesByStep(list.out));
  });

  test('a function in the place of a value is refused by the key', async () => {
    const config = { ...tiny(), onEvent: () => undefined };
    await expect(run(config)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('onEvent is not an option') as string,
    });
  });

  test('a function that gives other rows the second time is refused', async () => {
    let calls = 0;
    const config = tiny({ data: { train: { rows: () => rows.map((row) => ({ ...row, answer: `${++calls}` })) } } });
    await expect(run(config)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/gives other rows than when it was read before/) as string,
    });
  });

  test('two at once do not mix; in one folder the second is refused', async () => {
    const [a, b, alone] = [tiny(), tiny({ seed: 1 }), tiny()];
    await Promise.all([run(a), run(b)]);
    await run(alone);
    expect(lossesByStep(a.out)).toEqual(lossesByStep(alone.out));
    expect(lossesByStep(b.out)).not.toEqual(lossesByStep(alone.out));
    const out = path.join(temporary(), 'run');
    const ended = await Promise.allSettled([run(tiny({ out })), run(tiny({ out }))]);
    const refused = ended.flatMap((each) => (each.status === 'rejected' ? [each.reason as { code: string }] : []));
    expect(refused).toEqual([
      expect.objectContaining({ code: expect.stringMatching(/RUN_BUSY|RUN_INVALID/) as string }),
    ]);
  });

  test('aborted before it begins it rejects with the reason and leaves nothing', async () => {
    const reason = new Error('not today');
    await expect(run(tiny(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('a schedule function', () => {
  const half: ScheduleFunction = (step, { steps }) => 1 - step / steps;

  test('gives the learning rates, is recorded by its values and resumed with the same ones only', async () => {
    const whole = tiny();
    await run({ ...whole, train: { ...whole.train, schedule: half } });
    const rates = eventsOf(whole.out).flatMap((event) => (event.type === 'step.finished' ? [event.learningRate] : []));
    expect(rates).toEqual([2e-3, 1.5e-3, 1e-3, 0.5e-3].map((rate) => expect.closeTo(rate, 12) as number));
    const linear = tiny({ train: { ...whole.train, schedule: 'linear' } });
    await run(linear);
    expect(lossesByStep(linear.out)).toEqual(lossesByStep(whole.out));

    const config = tiny();
    const withSchedule = (schedule: ScheduleFunction) => ({ ...config, train: { ...config.train, schedule } });
    const controller = new AbortController();
    await run(withSchedule(half), {
      signal: controller.signal,
      onEvent: (event) => event.type === 'step.finished' && event.step === 2 && controller.abort(),
    });
    const recorded = JSON.parse(readFileSync(path.join(config.out, 'config.json'), 'utf8')) as GlulamConfig;
    expect(recorded.train?.schedule).toEqual({
      inCode: true,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    await expect(
      run(
        withSchedule((step) => (step < 3 ? half(step, { steps: 4, warmupSteps: 0, learningRate: 1 }) : 0)),
        { resume: true },
      ),
    ).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringContaining('the schedule function gives other values') as string,
    });
    await expect(run({ ...config, train: { ...config.train, schedule: 'linear' } }, { resume: true })).rejects.toThrow(
      /train\.schedule: was /,
    );
    // Another function with the same values.
    await run(
      withSchedule((step, { steps }) => (steps - step) / steps),
      { resume: true },
    );
    expect(lossesByStep(config.out)).toEqual(lossesByStep(whole.out));
  });

  test('comes after the warm-up, and a value that is no factor is refused before anything is written', async () => {
    const config = tiny({ train: { steps: 4, batch: 2, learningRate: 1, warmupSteps: 2, schedule: () => 0.5 } });
    const rates: number[] = [];
    await run(
      { ...config, train: { ...config.train, learningRate: 1e-3 } },
      { onEvent: (event) => void (event.type === 'step.finished' && rates.push(event.learningRate)) },
    );
    expect(rates).toEqual([0.5e-3, 1e-3, 0.5e-3, 0.5e-3]);
    const bad = tiny({ train: { steps: 4, schedule: (step) => (step === 3 ? NaN : 1) } });
    await expect(run(bad)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('train.schedule gives NaN for step 3') as string,
    });
  });
});

describe('a model', () => {
  const config = tiny({ data: { train: { rows }, heldOut: { rows: rows.slice(0, 4) } } });
  const prompt = 'Question: Ann has 2 hats and buys 3 more. How many hats has she?\nAnswer:';

  test('is evaluated, generates and is merged, by name and opened once', async () => {
    const written = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
    const { scores } = await run(config);
    const evaluations = await evaluate(config.out, { overrides: { 'data.heldOut': file }, limit: 2 });
    expect(evaluations).toEqual([
      { evaluator: 'loss', scores: expect.objectContaining({ loss: expect.any(Number) as number }) as object },
    ]);

    const model = await openModel(config.out);
    try {
      const texts = [
        await textOf(generate(config.out, { prompt, maxTokens: 8 })),
        await textOf(generate(model, { prompt, maxTokens: 8 })),
        await textOf(generate(model, { prompt: model.tokenizer.encode(prompt), maxTokens: 8 })),
        await textOf(generate(model, { prompt: Int32Array.from(model.tokenizer.encode(prompt)), maxTokens: 8 })),
      ];
      expect(new Set(texts).size).toBe(1);
      expect(texts[0]!.length).toBeGreaterThan(0);
      expect(model.tokenizer.decode(Int32Array.from(model.tokenizer.encode('Ann')))).toBe('Ann');
      const question = 'Ann has 2 hats and buys 3 more. How many hats has she?';
      for (const named of [model, config.out])
        expect(await textOf(generate(named, { question, maxTokens: 8 }))).toBe(texts[0]);
      await expect(textOf(generate(model, { question, columns: { topic: 'x' } }))).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('the prompt has no {topic}') as string,
      });
      for (const late of [{ adapters: 'base' }, { overrides: { seed: 1 } }, { folder: root }] as const)
        for (const call of [() => evaluate(model, late), () => textOf(generate(model, { prompt, ...late }))])
          await expect(call()).rejects.toMatchObject({
            code: 'USAGE',
            message: expect.stringContaining('give it to openModel') as string,
          });
      await expect(merge(model as unknown as string, { out: 'x' })).rejects.toThrow(/merge got an opened model/);
    } finally {
      await model.close();
    }

    const out = path.join(temporary(), 'merged');
    expect(await merge(config.out, { out })).toMatchObject({ folder: out, layers: 12 });
    const merged = await evaluate({ base: out, data: { train: 'none', heldOut: { rows: rows.slice(0, 4) } } });
    expect(merged[0]!.scores['loss']).toBeCloseTo(scores['loss']!['loss']!, 2);
    expect(await plan(config)).toMatchObject({ physicalLayers: 8, batch: { fromData: true } });
    for (const stream of written) expect(stream).not.toHaveBeenCalled();
  });

  test('is asked a question with columns, or as a turn, as the rows of its config ask', async () => {
    const columns = { context: 'Ann has 2 hats.' };
    const asking = { ...config, data: { train: { rows }, prompt: '{context} {question}' } };
    await expect(textOf(generate(asking, { question: 'How many?' }))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining("in code columns: { context: '...' }") as string,
    });
    expect(await textOf(generate(asking, { question: 'How many?', columns, maxTokens: 8 }))).toBe(
      await textOf(generate(config, { prompt: 'Ann has 2 hats. How many?', maxTokens: 8 })),
    );
    const talks = path.join(temporary(), 'talks.jsonl');
    writeFileSync(
      talks,
      JSON.stringify({
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b' },
        ],
      }),
    );
    expect(await textOf(generate({ ...config, data: { train: talks } }, { question: 'How many?', maxTokens: 8 }))).toBe(
      await textOf(generate(config, { prompt: 'How many?', chat: true, maxTokens: 8 })),
    );
    await expect(textOf(generate({ ...config, data: { train: 'none' } }, { question: 'x' }))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('nothing says how the model was asked questions in training') as string,
    });
  });

  test('of a config is the untrained one; rows of a run that was trained in code are asked for', async () => {
    const untrained = { ...config, out: path.join(temporary(), 'run') };
    const [{ scores } = { scores: {} }] = await evaluate(untrained);
    expect(scores).toMatchObject({ loss: expect.any(Number) as number });
    const run24 = tiny({ data: { train: { rows }, heldOut: { rows: rows.slice(0, 4) } } });
    await run(run24);
    await expect(evaluate(run24.out)).rejects.toMatchObject({
      code: 'GIVEN_IN_CODE',
      message: expect.stringContaining('--data.heldOut FILE') as string,
    });
  });

  test('errors have codes, and an aborted call gives its reason', async () => {
    await expect(evaluate('nowhere')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(evaluate({ ...config, data: { train: { rows } } })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(textOf(generate(config, { prompt: '' }))).rejects.toMatchObject({ code: 'USAGE' });
    await expect(textOf(generate(config, { prompt: [1, 2], chat: true }))).rejects.toMatchObject({ code: 'USAGE' });
    const reason = new Error('enough');
    for (const call of [
      () => evaluate(config, { signal: AbortSignal.abort(reason) }),
      () => textOf(generate(config, { prompt, signal: AbortSignal.abort(reason) })),
      () => merge(config, { out: path.join(temporary(), 'merged'), signal: AbortSignal.abort(reason) }),
      () => loadConfig(config, {}, root, { signal: AbortSignal.abort(reason) }),
    ])
      await expect(call()).rejects.toBe(reason);
  });
});

test('a process that calls them ends by itself, with nothing on its output', () => {
  const script = path.join(temporary(), 'pipeline.mjs');
  const config = { ...tiny(), data: { train: file, heldOut: 2 } };
  writeFileSync(
    script,
    `import { evaluate, generate, run } from ${JSON.stringify(path.join(root, 'packages/glulam/dist/index.js'))};
const config = ${JSON.stringify(config)};
await Promise.all([run(config), run({ ...config, seed: 1, out: config.out + '-2' })]);
await evaluate(config.out);
for await (const _ of generate(config.out, { prompt: 'Question:', maxTokens: 2 }));
for await (const _ of generate(config.out, { prompt: 'Question:', maxTokens: 2 })) break;
process.on('exit', () => { if (process.exitCode) throw new Error('exit code'); });
`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: 120_000 });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('defineConfig knows rows and schedule functions', () => {
  const config = defineConfig({
    base: 'base',
    data: {
      train: [
        { rows, weight: 2 },
        { file: 'a.jsonl', weight: 1 },
      ],
      heldOut: { rows: () => rows },
    },
    train: { schedule: (step, { steps }) => 1 - step / steps },
  });
  expect(Array.isArray(config.data.train)).toBe(true);
});
