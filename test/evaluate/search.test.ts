import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { search, type SearchInput } from '@glulam/ablation';
import { packTokens, type Decoder } from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import {
  evaluators,
  events,
  meanLoss,
  openBase,
  openData,
  openModel,
  scoreExamples,
  type Example,
  type RunEvent,
} from '@glulam/trainer';
import { resolveConfig, search as searchConfig } from 'glulam';
import { tap } from 'rxjs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { smallHeldOut, tinyRun } from '../support/tiny.js';

const heldOut = smallHeldOut();

function tinySearch(settings: SearchInput, changes: Record<string, unknown> = {}) {
  const { config, out } = tinyRun();
  const fields = { ...config, data: { train: config.data.train, heldOut }, search: settings, ...changes };
  return { out, fields, ...resolveConfig(fields, [], '/') };
}
const linesOf = (folder: string) => readFileSync(path.join(folder, 'results.jsonl'), 'utf8').trimEnd().split('\n');

test('every repeat has the loss of an ordinary decoder of its map, to the last bit', async () => {
  const { out, config, composition, search: settings } = tinySearch({ limit: 2, memory: 1 });
  const { ranking, reports, findings } = await search(config, settings, composition);
  expect(ranking!.maps).toHaveLength(36);
  // Of 8 layers: the shared beginnings, and behind each (i, j) the layers from i on.
  expect(ranking!.passes).toEqual({ run: 8 + 204, alone: 8 + 36 * 8 + 120 });

  const base = await openBase(config, composition);
  try {
    for (const { map, score, error } of [...ranking!.maps, ranking!.base]) {
      const whole = { ...config, expansion: { kind: 'layer_map', layer_map: map }, adapter: { kind: 'none' } };
      const { decoder, tokenizer, close } = await openModel(whole, composition, { base });
      const data = await openData(config, composition, tokenizer, { only: 'heldOut' });
      data.close();
      expect(await meanLoss(decoder, data.heldOut.slice(0, 2))).toMatchObject({ loss: score, error });
      await close();
    }
  } finally {
    await base.close();
  }
  const losses = ranking!.maps.map(({ score }) => score);
  expect(losses).toEqual([...losses].sort((a, b) => a - b));

  const [markdown, html, json] = reports.map((file) => readFileSync(file, 'utf8'));
  expect(JSON.parse(json!)).toMatchObject(JSON.parse(JSON.stringify(ranking)) as object);
  expect(findings.at(-1)).toBe('Layer passes over the probe: 212 in place of 416, 49% saved.');
  expect(markdown).toContain('](repeats.svg)');
  expect(html).toContain(readFileSync(path.join(out, 'repeats.svg'), 'utf8').trim());
  expect(html).not.toMatch(/<(script|link|img|iframe)|src=|@import|url\((?!#)/);
});

test('stopped, and cut short within a line, it goes on with the same results', async () => {
  const maps: SearchInput['maps'] = [
    [
      [0, 6],
      [4, 8],
    ],
    [
      [0, 6],
      [2, 8],
    ],
    [
      [0, 2],
      [4, 8],
    ],
    [
      [0, 4],
      [2, 6],
      [4, 8],
    ],
  ];
  const whole = tinySearch({ maps, limit: 1 });
  const first = await search(whole.config, whole.search, whole.composition);
  expect(first.ranking!.maps.map(({ repeat }) => repeat?.i).sort()).toEqual([2, 4, undefined, undefined]);

  const { out, fields, config, composition, search: settings } = tinySearch({ maps, limit: 1 });
  const controller = new AbortController();
  const stopped = await search(config, settings, composition, {
    signal: controller.signal,
    onMap: ({ number }) => number === 2 && controller.abort(),
  });
  expect(stopped).toMatchObject({ stopped: true, reports: [], ranking: undefined });
  expect(linesOf(out)).toHaveLength(1 + 2);
  await expect(search(config, settings, composition)).rejects.toMatchObject({
    code: 'FOLDER_UNUSABLE',
    message: expect.stringMatching(/holds a search already; go on with it by --resume/) as string,
  });

  appendFileSync(path.join(out, 'results.jsonl'), '{"map":[[0,');
  const told: number[] = [];
  const seen: RunEvent[] = [];
  composition.get(events).listen('test', (all) => all.pipe(tap((event) => seen.push(event))));
  const resumed = await search(config, settings, composition, {
    resume: true,
    onMap: ({ number }) => told.push(number),
  });
  expect(told).toEqual([3, 4, 5]);
  expect(seen.find(({ type }) => type === 'search.started')).toMatchObject({
    ...{ folder: out, maps: 5, scored: 2, evaluator: 'loss', score: 'loss', better: 'lower' },
  });
  expect(seen.flatMap((event) => (event.type === 'map.scored' ? [event.number] : []))).toEqual([3, 4, 5]);
  expect(seen.at(-1)).toMatchObject({ type: 'search.finished', reports: resumed.reports, findings: resumed.findings });
  expect(resumed.ranking!.maps).toEqual(first.ranking!.maps);

  // Another probe gives other losses; another list of maps is only more to do.
  await expect(searchConfig({ ...fields, search: { maps, limit: 2 } }, { resume: true })).rejects.toMatchObject({
    code: 'CONFIG_CHANGED',
  });
  const more = await searchConfig(
    {
      ...fields,
      search: {
        maps: [
          ...maps,
          [
            [0, 8],
            [7, 8],
          ],
        ],
        limit: 1,
        memory: 500,
      },
    },
    { resume: true },
  );
  expect(more.ranking!.maps).toHaveLength(5);
  expect(linesOf(out)).toHaveLength(1 + 6);

  appendFileSync(path.join(out, 'results.jsonl'), '{}\n');
  await expect(search(config, settings, composition, { resume: true })).rejects.toMatchObject({
    code: 'FOLDER_UNUSABLE',
    message: expect.stringMatching(/no map with its score in line 8/) as string,
  });
});

test('an evaluator’s score is that of whole models which read every question alone', async () => {
  const root = path.resolve(import.meta.dirname, '../..');
  const maps: SearchInput['maps'] = [
    [
      [0, 6],
      [4, 8],
    ],
    [
      [0, 5],
      [2, 8],
    ],
    [
      [0, 2],
      [4, 8],
    ],
    [
      [0, 1],
      [0, 8],
    ],
  ];
  const problems = path.join(root, 'examples/data/word-problems.heldout.jsonl');
  const quiz = path.join(root, 'fixtures/lm-eval/quiz.yaml');
  const scores: [NonNullable<SearchInput['score']>, name: string][] = [
    [{ kind: 'truthfulqa', file: path.join(root, 'fixtures/lm-eval/truths.json') }, 'choice log probability'],
    [{ kind: 'task', file: quiz }, 'choice log probability'],
    [{ kind: 'gsm8k', file: problems, profile: 'cot' }, 'answer log probability'],
  ];
  for (const [score, name] of scores) {
    const {
      config,
      composition,
      out,
      search: settings,
    } = tinySearch({ maps, score, limit: 3 }, { precision: 'float32' });
    const { ranking, findings } = await search(
      { ...config, data: { ...config.data, heldOut: undefined } },
      settings,
      composition,
    );
    expect(ranking!.measure).toMatchObject({ evaluator: score.kind, name, better: 'higher' });
    expect(ranking!.passes.run).toBeLessThan(ranking!.passes.alone);
    const ranked = ranking!.maps.map((each) => each.score);
    expect(ranked).toEqual([...ranked].sort((a, b) => b - a));
    const better = ranked.filter((each) => each > ranking!.base.score).length;
    expect(findings[0]).toContain(`with ${name} −`);
    expect(findings[1]).toMatch(new RegExp(`^Of 4 maps ${better} (is|are) better`));
    expect(readFileSync(path.join(out, 'report.md'), 'utf8')).toContain(`their ${name} in nats a `);

    const contribution = composition.find(evaluators, score.kind)!;
    const { kind: _, ...options } = score;
    for (const { map, score: found, error } of [...ranking!.maps, ranking!.base]) {
      const whole = { ...config, expansion: { kind: 'layer_map', layer_map: map }, adapter: { kind: 'none' } };
      const { decoder, tokenizer, close } = await openModel(whole, composition);
      const { signal } = new AbortController();
      const { maxPositions } = decoder.spec;
      const context = { tokenizer, heldOut: [], signal, maxPositions, limit: 3 };
      const probe = await contribution.probeSet!(contribution.schema.parse(options), context);
      expect(probe.score(await scoreExamples(decoder, probe.sequences, { shareBeginnings: true }))).toEqual({
        score: found,
        error,
      });
      // Without what questions share: each sequence by itself, the probabilities spelled out.
      const alone: number[] = [];
      for (const each of probe.sequences) alone.push(await logProbabilityOf(decoder, each));
      const expected = probe.score(alone);
      expect(Math.abs(found - expected.score)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected.score)));
      expect(Math.abs(error - expected.error)).toBeLessThan(1e-4 * Math.max(1, expected.error));
      await close();
    }
  }
});

async function logProbabilityOf(decoder: Decoder, { ids, trained }: Example): Promise<number> {
  const hidden = await decoder.forward(packTokens([ids]));
  const rows = [...ids.keys()].slice(0, -1).filter((row) => trained[row + 1] === 1);
  const logits = decoder.logits(hidden, rows);
  const values = (await decoder.engine.read(logits)) as Float32Array;
  hidden.release();
  logits.release();
  const width = values.length / rows.length;
  return rows.reduce((sum, row, i) => {
    const own = values.subarray(i * width, (i + 1) * width);
    const most = Math.max(...own);
    return sum + own[ids[row + 1]!]! - most - Math.log(own.reduce((all, value) => all + Math.exp(value - most), 0));
  }, 0);
}

test('another score is another search; one that is there goes on', async () => {
  const maps: SearchInput['maps'] = [
    [
      [0, 6],
      [4, 8],
    ],
    [
      [0, 2],
      [4, 8],
    ],
  ];
  const truths = path.join(path.resolve(import.meta.dirname, '../..'), 'fixtures/lm-eval/truths.json');
  const file = path.join(path.dirname(heldOut), 'truths.json');
  writeFileSync(file, readFileSync(truths));
  const { out, fields } = tinySearch({});
  const by = (score: SearchInput['score']) => ({ ...fields, search: { maps, score, limit: 2 } });
  const controller = new AbortController();
  const { signal } = controller;
  await searchConfig(by({ kind: 'truthfulqa', file }), { signal, onMap: () => controller.abort() });
  const told: object[] = [];
  const { ranking } = await searchConfig(by({ kind: 'truthfulqa', file }), {
    resume: true,
    onMap: ({ number, measure }) => told.push({ number, name: measure.name }),
  });
  expect(told).toEqual([2, 3].map((number) => ({ number, name: 'choice log probability' })));
  const again = await searchConfig(path.join(out, 'config.json'), { resume: true });
  expect(again.ranking).toEqual(ranking);

  const changed = { code: 'CONFIG_CHANGED', message: expect.stringMatching(/search\.score, search\.limit/) as string };
  await expect(searchConfig(by({ kind: 'loss' }), { resume: true })).rejects.toMatchObject(changed);
  // The same texts, of which another one is true.
  const rows = JSON.parse(readFileSync(file, 'utf8')) as { mc2_targets: Record<string, number> }[];
  for (const row of rows)
    row.mc2_targets = Object.fromEntries(Object.entries(row.mc2_targets).map(([text, label]) => [text, 1 - label]));
  writeFileSync(file, JSON.stringify(rows));
  await expect(searchConfig(by({ kind: 'truthfulqa', file }), { resume: true })).rejects.toMatchObject(changed);
});

test('files of a score are taken from the config’s folder', () => {
  const score = { kind: 'truthfulqa', file: 'truths.json' };
  const { config, search: settings } = tinySearch({ score }, { evaluate: { evaluators: [{ kind: 'loss' }] } });
  expect(settings.score).toEqual({ kind: 'truthfulqa', file: path.resolve('/truths.json') });
  expect(config.evaluate.evaluators).toEqual([{ kind: 'loss' }]);
});

test('what cannot be searched is refused before the folder is made', async () => {
  const refused = async (settings: SearchInput, changes: Record<string, unknown>, code: string, message: RegExp) => {
    const { config, composition, search: parsed } = tinySearch(settings, changes);
    await expect(search(config, parsed, composition)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  };
  const { train } = tinyRun().config.data;
  await refused({ maps: [[[0, 9]]] }, {}, 'SEARCH_INVALID', /\[0, 9\) leaves the base, which has 8 layers/);
  await refused(
    { memory: 0.001 },
    {},
    'SEARCH_INVALID',
    /search\.memory is 0\.001 MB; the hidden states .* take [\d.]+ kB/,
  );
  await refused(
    { score: { kind: 'lose' } },
    {},
    'CONFIG_INVALID',
    /search\.score\.kind is "lose"; did you mean "loss"/,
  );
  await refused({ score: { kind: 'truthfulqa' } }, {}, 'CONFIG_INVALID', /search\.score\.file is missing/);
  await refused({}, { data: { train } }, 'CONFIG_INVALID', /there is none: name a file as data\.heldOut/);
});

test('an evaluator without questions for log probabilities is refused, with those that have some', async () => {
  const silent = definePlugin({
    name: 'silent',
    contract: 2,
    register: (registry) =>
      registry.contribute(evaluators, {
        create: () => ({
          kind: 'silent',
          schema: z.strictObject({}),
          open: () => ({ evaluate: () => Promise.resolve({}) }),
        }),
      }),
  });
  const { fields } = tinySearch({ score: { kind: 'silent' } });
  await expect(searchConfig({ ...fields, plugins: [silent] })).rejects.toMatchObject({
    code: 'SEARCH_INVALID',
    message: expect.stringMatching(
      /"silent".*\(probeSet\); expected one that has: loss, gsm8k, truthfulqa, task$/,
    ) as string,
  });
});

test('a folder with a run in it is left alone', async () => {
  const { out, config, composition, search: settings } = tinySearch({});
  const folder = path.dirname(out);
  writeFileSync(path.join(folder, 'config.json'), '{}');
  await expect(search({ ...config, out: folder }, settings, composition, { resume: true })).rejects.toMatchObject({
    code: 'FOLDER_UNUSABLE',
    message: expect.stringMatching(/holds a run or an ablation/) as string,
  });
});
