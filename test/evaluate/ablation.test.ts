import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ablate, search, searchSchema, type AblationInput, type AblationRun } from '@glulam/ablation';
import { definePlugin } from '@glulam/plugin';
import { createNativeEngine } from '@glulam/engine-native';
import { engines, type Engine, type EngineContribution } from '@glulam/tensors';
import { events, type RunConfigInput, type RunEvent } from '@glulam/trainer';
import { ablate as ablateConfig, resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import example from '../../examples/ablation/glulam.config.js';
import { glulam, killed } from '../support/killable.js';
import { eventsOf, lossesByStep, smallHeldOut, tinyRun } from '../support/tiny.js';

const settings = { steps: 4, batch: 2, learningRate: 2e-3, warmupSteps: 1 };
const heldOut = smallHeldOut();

/** The quickstart's model with a few rows, in a folder of its own. */
function tinyAblation(
  ablation: AblationInput,
  changes: Partial<RunConfigInput> = {},
  plugins = [] as Parameters<typeof resolveConfig>[1],
) {
  const run = tinyRun();
  const fields = {
    ...run.config,
    data: { train: run.config.data.train, heldOut },
    train: settings,
    evaluate: { every: 2 },
    ablation,
    ...changes,
  };
  return { out: run.out, ...resolveConfig(fields, plugins, '/') };
}
const read = (folder: string, name: string) => readFileSync(path.join(folder, name), 'utf8');
const startsOf = (folder: string) => eventsOf(folder).filter(({ type }) => type === 'run.started').length;

test('the example, shortened: four rows, two seeds, a report', async () => {
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-ablation-')), 'out');
  const [loss, quiz] = example.evaluate!.evaluators!;
  const told: AblationRun[] = [];
  const seen: RunEvent[] = [];
  const result = await ablateConfig(
    {
      ...example,
      train: { ...example.train, steps: 4, warmupSteps: 1, batch: 2 },
      evaluate: { evaluators: [loss!, { ...quiz!, limit: 2 }], every: 2 },
      ablation: { seeds: [0, 1] },
      reporters: [],
      out,
    },
    {
      folder: path.resolve(import.meta.dirname, '../../examples/ablation'),
      onRun: (run) => void told.push(run),
      onEvent: (event) => void seen.push(event),
    },
  );
  const names = ['base', 'expanded base', 'base + lora r=12', 'expanded + lora r=8'];
  // What is not trained is scored once.
  expect(told.map(({ variant, seed }) => `${variant} ${seed}`)).toEqual([
    ...names.map((name) => `${name} 0`),
    ...names.slice(2).map((name) => `${name} 1`),
  ]);
  // The same as events, each variant's around those of its run, which have an id of their own.
  expect(seen.find(({ type }) => type === 'ablation.started')).toMatchObject({ folder: out, variants: names, runs: 6 });
  const around = ['variant.started', 'run.started', 'run.finished', 'variant.finished'];
  const kept = seen.filter(({ type }) => around.includes(type));
  expect(kept.map(({ type }) => type)).toEqual(told.flatMap(() => around));
  kept.forEach((event, i) => {
    if (event.type === 'variant.started') expect(event).toMatchObject(told[i / 4]!);
    if (event.type === 'variant.finished') expect(event.value).toBeGreaterThan(0);
    expect(event.run === undefined).toBe(event.type.startsWith('variant.'));
  });
  expect(new Set(seen.flatMap(({ run }) => run ?? [])).size).toBe(6);
  expect(seen.at(-1)).toMatchObject({ type: 'ablation.finished', reports: result.reports, findings: result.findings });
  expect(result.outcomes.map(({ variant }) => variant.plan.parameters.trainable)).toEqual([0, 0, 325_632, 325_632]);
  expect(result.outcomes.map(({ variant }) => variant.plan.layers.length)).toEqual([8, 12, 8, 12]);
  // Evaluators of the end wait for it; the loss is there every other step.
  const trained = result.outcomes[3]!.runs[1]!;
  expect(trained.scores.get('loss.loss')!.map(({ step }) => step)).toEqual([0, 2, 4]);
  expect(trained.scores.get('gsm8k.strict')!.map(({ step }) => step)).toEqual([4]);
  expect(trained.losses).toHaveLength(4);
  // LoRA begins by changing nothing: each variant begins where its untrained row stands.
  for (const [untrained, row] of [
    [0, 2],
    [1, 3],
  ] as const)
    expect(result.outcomes[row]!.runs[0]!.scores.get('loss.loss')![0]).toEqual(
      result.outcomes[untrained]!.runs[0]!.scores.get('loss.loss')!.at(-1),
    );

  const [markdown, html] = result.reports.map((file) => readFileSync(file, 'utf8'));
  for (const name of names) {
    expect(markdown).toContain(`| ${name} |`);
    expect(html).toContain(`<td>${name}</td>`);
  }
  expect(result.findings[0]).toMatch(
    /^“.+” won against “.+” by its best held-out loss: \d\.\d+ against \d\.\d+, a difference of −\d\.\d+ ± \d\.\d+, which is [\d.]+ standard errors over 2 seeds/,
  );
  for (const picture of ['curves.svg', 'layers.svg']) {
    expect(markdown).toContain(`](${picture})`);
    expect(html).toContain(read(out, picture).trim());
  }
  // The page needs no network: nothing in it is fetched.
  expect(html).not.toMatch(/<(script|link|img|iframe)|src=|@import|url\((?!#)/);
});

test('the config in the report repeats the ablation', async () => {
  const variants: AblationInput['variants'] = [
    { name: 'narrow', adapter: { r: 2 } },
    { name: 'gates', expansion: { kind: 'repeat_yourself', i: 2, j: 4, gate: 'learned' }, adapter: { kind: 'none' } },
    { name: 'as it is', expansion: 'none', adapter: { kind: 'dora', r: 1 } },
  ];
  const { out, config, composition, ablation } = tinyAblation({ variants, seeds: [7] });
  const { outcomes } = await ablate(config, ablation, composition);
  expect(outcomes.map(({ variant }) => variant.plan.layers.length)).toEqual([12, 10, 8]);
  // Options are laid over the config's; another kind has its own.
  expect(outcomes[0]!.variant.config.adapter).toEqual({ kind: 'lora', r: 2, lora_alpha: 16, lora_dropout: 0.05 });
  expect(outcomes[2]!.variant.config.adapter).toEqual({ kind: 'dora', r: 1 });
  expect(outcomes[1]!.variant.plan.parameters.trainable).toBe(2);

  const yaml = /```yaml\n([^]*?)```/.exec(read(out, 'report.md'))![1]!;
  expect(yaml).not.toContain(`"/`);
  expect(yaml).not.toMatch(/: \//);
  const copy = path.join(out, 'again.yaml');
  writeFileSync(copy, yaml);
  const again = await ablateConfigOf(copy, `${out}-again`);
  expect(again.outcomes.map(({ runs }) => runs.map(({ losses, scores }) => ({ losses, scores })))).toEqual(
    outcomes.map(({ runs }) => runs.map(({ losses, scores }) => ({ losses, scores }))),
  );
});

/** A config file, with the command line as users have it. */
async function ablateConfigOf(file: string, out: string) {
  const { code, errors } = await glulam(['ablate', file, '--out', out, '--reporters', '[]']);
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
  const { config, composition, ablation } = resolveConfig(
    JSON.parse(read(out, 'config.json')) as Record<string, unknown>,
    [],
    '/',
  );
  return ablate(config, ablation, composition, { resume: true });
}

test('one base serves all variants: it is opened once, each weight once, and nothing of a variant stays', async () => {
  const opened: Engine[] = [];
  const names: string[] = [];
  const counting: EngineContribution = {
    kind: 'counting',
    schema: z.strictObject({}),
    open: (_, { precision }) => {
      const engine = createNativeEngine({ precision });
      opened.push(engine);
      return Promise.resolve({
        ...engine,
        openWeight: async (source) => {
          names.push(source.name);
          return await engine.openWeight(source);
        },
      });
    },
    probe: () => Promise.resolve([]),
  };
  const plugin = definePlugin({
    name: 'counting',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => counting }),
  });
  const variants = [1, 2, 4, 8].map((r) => ({ name: `r ${r}`, adapter: { r } }));
  const { config, composition, ablation } = tinyAblation({ variants }, { engine: { kind: 'counting' } }, [plugin]);
  const live: { readonly tensors: number; readonly bytes: number }[] = [];
  const onRun = () => void (opened[0] === undefined || live.push(opened[0].memory()));
  await ablate(config, ablation, composition, { onRun });
  expect(opened).toHaveLength(1);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(8 * 7);
  expect(live).toHaveLength(4);
  // Before the first there is nothing at all; behind each the same.
  expect(new Set(live.slice(1).map((each) => JSON.stringify(each))).size).toBe(1);
  expect(live[3]!.bytes).toBe(live[0]!.bytes);
});

test('a misspelt score to tell the best by is refused before anything is opened, by a search too', async () => {
  const variants = [{ name: 'untrained', adapter: { kind: 'none' } }, { name: 'trained' }];
  const watch = { evaluator: 'loss', score: 'los' };
  const { out, config, composition, ablation } = tinyAblation({ variants }, { evaluate: { watch } });
  const refusal = {
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(
      /evaluate.watch.score is "los"; the evaluator loss gives loss, loss_stderr, perplexity, perplexity_stderr, tokens; did you mean "loss"\?/,
    ) as string,
  };
  await expect(ablate(config, ablation, composition)).rejects.toMatchObject(refusal);
  await expect(search(config, searchSchema.parse({}), composition)).rejects.toMatchObject(refusal);
  expect(existsSync(out)).toBe(false);
});

test('every variant that cannot be used is told at once', async () => {
  const variants = [
    { name: 'short', expansion: { kind: 'layer_map', layer_map: [[0, 99]] } },
    { name: 'fine' },
    { name: 'odd', adapter: { target_modules: ['q'] } },
  ];
  const { out, config, composition, ablation } = tinyAblation({ variants });
  await expect(ablate(config, ablation, composition)).rejects.toMatchObject({
    code: 'VARIANTS_INVALID',
    message: expect.stringMatching(/"short": [^]*\[0, 99\) leaves the base[^]*"odd": [^]*target_modules names "q"/),
  });
  expect(existsSync(out)).toBe(false);
});

describe('interrupted', () => {
  const variants = [
    { name: 'expanded base', adapter: { kind: 'none' } },
    { name: 'a', adapter: { r: 2 } },
    { name: 'b', adapter: { r: 4 } },
  ];
  const folders = (out: string) => ['expanded-base', 'a', 'b'].map((name) => path.join(out, 'runs', name, 'seed-0'));

  test('by its signal it keeps what is done, and goes on from the checkpoint', async () => {
    const { out, config, composition, ablation } = tinyAblation({ variants });
    const controller = new AbortController();
    const subscription = composition.get(events).listen('test', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type === 'step.finished' && event.step === 2) controller.abort();
        }),
      ),
    );
    expect(await ablate(config, ablation, composition, { signal: controller.signal })).toMatchObject({
      stopped: true,
      reports: [],
    });
    subscription.unsubscribe();
    expect(existsSync(path.join(out, 'report.md'))).toBe(false);

    await expect(ablate(config, ablation, composition)).rejects.toMatchObject({
      code: 'FOLDER_UNUSABLE',
      message: expect.stringMatching(/holds an ablation already; go on with it by --resume/),
    });
    const runs: AblationRun[] = [];
    const resumed = await ablate(config, ablation, composition, { resume: true, onRun: (run) => void runs.push(run) });
    expect(resumed.stopped).toBe(false);
    expect(runs.map(({ isFinished }) => isFinished)).toEqual([true, false, false]);
    expect(folders(out).map(startsOf)).toEqual([1, 2, 1]);
    expect(
      eventsOf(folders(out)[1]!).flatMap((event) => (event.type === 'run.started' ? [event.resumedFrom] : [])),
    ).toEqual([undefined, 2]);
  });

  test('another config is refused with the difference, of variants by their names', async () => {
    const { out, config, composition, ablation } = tinyAblation({ variants: variants.slice(0, 1) });
    await ablate(config, ablation, composition);
    const other = tinyAblation(
      { variants: [{ name: 'expanded base', adapter: { r: 3 } }], seeds: [0, 1] },
      { out, train: { ...settings, batch: 4 } },
    );
    await expect(ablate(other.config, other.ablation, other.composition, { resume: true })).rejects.toMatchObject({
      code: 'CONFIG_CHANGED',
      message: expect.stringMatching(
        /train\.batch: was 2, is 4\n {2}ablation\.variants\.expanded base\.adapter\.kind: was "none", is "lora"\n[^]*ablation\.seeds: was \[0\], is \[0,1\]/,
      ),
    });
    const free = tinyAblation({ variants: variants.slice(0, 1) }, { out, checkpoint: { every: 7 } });
    expect(await ablate(free.config, free.ablation, free.composition, { resume: true })).toMatchObject({
      stopped: false,
    });
  });

  test('data that changed between variants is told', async () => {
    const rows = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-data-')), 'rows.jsonl');
    writeFileSync(rows, readFileSync(heldOut));
    const of = () => tinyAblation({ variants }, { data: { train: tinyRun().config.data.train, heldOut: rows } });
    const { out, config, composition, ablation } = of();
    await ablate(config, ablation, composition);
    rmSync(folders(out)[2]!, { recursive: true });
    writeFileSync(rows, `${readFileSync(heldOut, 'utf8')}\n{"question":"1 + 1?","answer":"2"}\n`);
    await expect(ablate(config, ablation, composition, { resume: true })).rejects.toMatchObject({
      code: 'DATA_CHANGED',
      message: expect.stringMatching(/between the runs of "expanded base" and "b" with seed 0/),
    });
  });

  test('killed at every named moment, one after another, it ends with the scores of one that never was', async () => {
    const make = () => {
      const { out, config } = tinyAblation({}, { checkpoint: { every: 2 } });
      const file = path.join(path.dirname(out), 'ablation.json');
      writeFileSync(file, JSON.stringify({ ...config, ablation: { variants }, reporters: [] }));
      return { file, out };
    };
    const calm = make();
    expect(await glulam(['ablate', calm.file, '--out', calm.out])).toMatchObject({ code: 0, errors: '' });

    const { file, out } = make();
    const moments = [
      'rename run/config.json',
      'rename expanded-base/seed-0/config.json',
      'wrote expanded-base/seed-0/events.jsonl "run.finished"',
      'wrote a/seed-0/events.jsonl "step.finished".*"step":1,',
      'rename a/seed-0/checkpoints/step-00000002',
      'renamed a/seed-0/adapter',
      'make runs/b/seed-0',
      'wrote b/seed-0/events.jsonl "step.finished".*"step":3,',
      'rename run/report.md',
    ];
    for (const killAt of moments)
      expect(await glulam(['ablate', file, '--out', out, '--resume'], { killAt }), killAt).toMatchObject(killed);
    expect(await glulam(['ablate', file, '--out', out, '--resume'])).toMatchObject({ code: 0 });
    for (const [index, folder] of folders(out).entries())
      expect(lossesByStep(folder)).toEqual(lossesByStep(folders(calm.out)[index]!));
    // What was finished was not begun again: the sum of the sessions is what the kills account for.
    expect(
      folders(out)
        .map(startsOf)
        .reduce((sum, each) => sum + each),
    ).toBeLessThanOrEqual(3 + moments.length);
    const scores = (folder: string) => /## Scores([^]*?)## /.exec(read(folder, 'report.md'))![1];
    expect(scores(out)).toBe(scores(calm.out));
  });
});
