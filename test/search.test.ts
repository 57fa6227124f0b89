import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { search, type SearchInput } from '@glulam/ablation';
import { meanLoss, openBase, openData, openModel } from '@glulam/trainer';
import { resolveConfig, search as searchConfig } from 'glulam';
import { expect, test } from 'vitest';
import { smallHeldOut, tinyRun } from './tiny.js';

const heldOut = smallHeldOut();

function tinySearch(settings: SearchInput, changes: Record<string, unknown> = {}) {
  const { config, out } = tinyRun();
  const fields = { ...config, data: { train: config.data.train, heldOut }, search: settings, ...changes };
  return { out, fields, ...resolveConfig(fields, [], '/') };
}
const linesOf = (folder: string) => readFileSync(path.join(folder, 'results.jsonl'), 'utf8').trimEnd().split('\n');

test('every repeat has the loss of an ordinary decoder of its map, to the last bit', { timeout: 180_000 }, async () => {
  const { out, config, composition, search: settings } = tinySearch({ limit: 2, memory: 1 });
  const { ranking, reports, findings } = await search(config, settings, composition);
  expect(ranking!.maps).toHaveLength(36);
  // Of 8 layers: the shared beginnings, and behind each (i, j) the layers from i on.
  expect(ranking!.passes).toEqual({ run: 8 + 204, alone: 8 + 36 * 8 + 120 });

  const base = await openBase(config, composition);
  try {
    for (const { map, loss, error } of [...ranking!.maps, ranking!.base]) {
      const whole = { ...config, expansion: { kind: 'layer_map', layer_map: map }, adapter: { kind: 'none' } };
      const { decoder, tokenizer, close } = await openModel(whole, composition, { base });
      const data = await openData(config, composition, tokenizer, { only: 'heldOut' });
      data.close();
      expect(await meanLoss(decoder, data.heldOut.slice(0, 2))).toMatchObject({ loss, error });
      await close();
    }
  } finally {
    await base.close();
  }
  const losses = ranking!.maps.map(({ loss }) => loss);
  expect(losses).toEqual([...losses].sort((a, b) => a - b));

  const [markdown, html, json] = reports.map((file) => readFileSync(file, 'utf8'));
  expect(JSON.parse(json!)).toMatchObject(JSON.parse(JSON.stringify(ranking)) as object);
  expect(findings.at(-1)).toBe('Layer passes over the probe: 212 in place of 416, 49% saved.');
  expect(markdown).toContain('](repeats.svg)');
  expect(html).toContain(readFileSync(path.join(out, 'repeats.svg'), 'utf8').trim());
  expect(html).not.toMatch(/<(script|link|img|iframe)|src=|@import|url\((?!#)/);
});

test('stopped, and cut short within a line, it goes on with the same results', async () => {
  const maps: SearchInput['maps'] = [[[0, 6], [4, 8]], [[0, 6], [2, 8]], [[0, 2], [4, 8]], [[0, 4], [2, 6], [4, 8]]]; // prettier-ignore
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
  const resumed = await search(config, settings, composition, {
    resume: true,
    onMap: ({ number }) => told.push(number),
  });
  expect(told).toEqual([3, 4, 5]);
  expect(resumed.ranking!.maps).toEqual(first.ranking!.maps);

  // Another probe gives other losses; another list of maps is only more to do.
  await expect(searchConfig({ ...fields, search: { maps, limit: 2 } }, { resume: true })).rejects.toMatchObject({ code: 'CONFIG_CHANGED' }); // prettier-ignore
  const more = await searchConfig({ ...fields, search: { maps: [...maps, [[0, 8], [7, 8]]], limit: 1, memory: 500 } }, { resume: true }); // prettier-ignore
  expect(more.ranking!.maps).toHaveLength(5);
  expect(linesOf(out)).toHaveLength(1 + 6);

  appendFileSync(path.join(out, 'results.jsonl'), '{}\n');
  await expect(search(config, settings, composition, { resume: true })).rejects.toMatchObject({
    code: 'FOLDER_UNUSABLE',
    message: expect.stringMatching(/no map with its loss in line 8/) as string,
  });
});

test('what cannot be searched is refused before the folder is made', async () => {
  const refused = async (settings: SearchInput, changes: Record<string, unknown>, code: string, message: RegExp) => {
    const { config, composition, search: parsed } = tinySearch(settings, changes);
    await expect(search(config, parsed, composition)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string }); // prettier-ignore
  };
  const { train } = tinyRun().config.data;
  await refused({ maps: [[[0, 9]]] }, {}, 'SEARCH_INVALID', /\[0, 9\) leaves the base, which has 8 layers/);
  await refused(
    { memory: 0.001 },
    {},
    'SEARCH_INVALID',
    /search\.memory is 0\.001 MB; the hidden states .* take [\d.]+ kB/,
  );
  await refused({}, { data: { train } }, 'CONFIG_INVALID', /there is none: name a file as data\.heldOut/);
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
