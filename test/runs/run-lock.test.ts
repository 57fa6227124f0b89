import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { ablate, search } from '@glulam/ablation';
import { events, train } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { filter, firstValueFrom, Subject } from 'rxjs';
import { tap } from 'rxjs/operators';
import { expect, test } from 'vitest';
import { eventsOf, lossesByStep, smallHeldOut, tinyRun } from '../support/tiny.js';

const settings = { train: { steps: 6, batch: 2 }, checkpoint: { every: 2 } };

test('two runs in one folder: the second is refused, begun anew or resumed, and the first loses nothing', async () => {
  const first = tinyRun(settings);
  const steps = new Subject<number>();
  first.composition
    .get(events)
    .listen('test', (all) => all.pipe(tap((event) => event.type === 'step.finished' && steps.next(event.step))));
  const twice = firstValueFrom(steps.pipe(filter((step) => step === 2))).then(async () => {
    const [again, resumed] = [tinyRun({ ...settings, out: first.out }), tinyRun({ ...settings, out: first.out })];
    const options = { ...again.config, out: first.out };
    await expect(train(options, again.composition, { resume: true })).rejects.toMatchObject({
      code: 'RUN_BUSY',
      message: expect.stringMatching(new RegExp(`^process ${process.pid} is training in .*--out`)) as string,
    });
    await expect(train(options, resumed.composition)).rejects.toMatchObject({
      code: 'RUN_BUSY',
      message: expect.stringMatching(new RegExp(`^process ${process.pid} is training in `)) as string,
    });
  });
  await Promise.all([train(first.config, first.composition), twice]);
  expect([...lossesByStep(first.out).keys()]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(eventsOf(first.out).filter(({ type }) => type === 'run.started')).toHaveLength(1);
  expect(readFileSync(path.join(first.out, 'lock.1'), 'utf8')).toBe('null');
});

test('two runs that begin at once in a folder that is not there yet: one of them trains', async () => {
  const [a, b] = [tinyRun(settings), tinyRun(settings)];
  const ended = await Promise.allSettled([
    train(a.config, a.composition),
    train({ ...b.config, out: a.out }, b.composition),
  ]);
  expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const [refused] = ended.flatMap((each) => (each.status === 'rejected' ? [each.reason as { code: string }] : []));
  expect(['RUN_BUSY', 'RUN_INVALID']).toContain(refused!.code);
  expect([...lossesByStep(a.out).keys()]).toEqual([1, 2, 3, 4, 5, 6]);
});

test('a new run inside the folder of another one is refused, and nothing is made there', async () => {
  const first = tinyRun({ ...settings, train: { steps: 1, batch: 1 } });
  await train(first.config, first.composition);
  for (const below of ['checkpoints', 'checkpoints/deeper', 'next']) {
    const out = path.join(first.out, below);
    const isThere = existsSync(out);
    const run = tinyRun({ ...settings, out });
    await expect(train(run.config, run.composition)).rejects.toMatchObject({
      code: 'RUN_INVALID',
      message: expect.stringMatching(/is inside the run folder .*; expected a folder outside of it: .*--out/) as string,
    });
    expect(existsSync(out)).toBe(isThere);
  }
  rmSync(path.join(first.out, 'events.jsonl'));
  const run = tinyRun({ ...settings, out: path.join(first.out, 'next') });
  await expect(train(run.config, run.composition)).rejects.toMatchObject({ code: 'RUN_INVALID' });
});

test('a new run is accepted below a config.json that is no run', async () => {
  const run = tinyRun({ ...settings, train: { steps: 1, batch: 1 } });
  writeFileSync(path.join(path.dirname(run.out), 'config.json'), '{}');
  mkdirSync(path.join(path.dirname(run.out), 'checkpoints'));
  await expect(train(run.config, run.composition)).resolves.toMatchObject({ steps: 1 });
});

test('the lock of a process that was killed is no obstacle', async () => {
  const run = tinyRun(settings);
  mkdirSync(run.out, { recursive: true });
  // The largest number of a process on Linux is 2^22.
  writeFileSync(path.join(run.out, 'lock.1'), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }));
  await expect(train(run.config, run.composition)).resolves.toMatchObject({ steps: 6 });
});

test('a place that cannot be a run folder is refused as such', async () => {
  const run = tinyRun(settings);
  writeFileSync(path.dirname(run.out) + '/file', '');
  await expect(
    train({ ...run.config, out: path.join(path.dirname(run.out), 'file/run') }, run.composition),
  ).rejects.toMatchObject({
    code: 'RUN_WRITE_FAILED',
    message: expect.stringContaining('choose another one with --out') as string,
  });
});

const heldOut = smallHeldOut();

/** An ablation or a search of the tiny base, in the same folder every time. */
function tinyOf(out: string, fields: Record<string, unknown>) {
  const { config } = tinyRun({ train: { steps: 2, batch: 1 } });
  const data = { train: config.data.train, heldOut };
  return resolveConfig({ ...config, data, ...fields, out }, [], '/');
}

const heldFolders = {
  ablation: (out: string, resume: boolean, onBegun?: () => void) => {
    const { config, ablation, composition } = tinyOf(out, {
      ablation: { variants: [{ name: 'base', expansion: 'none', adapter: { kind: 'none' } }] },
    });
    return ablate(config, ablation, composition, { resume, onRun: onBegun });
  },
  search: (out: string, resume: boolean, onBegun?: () => void) => {
    const {
      config,
      search: settings,
      composition,
    } = tinyOf(out, {
      search: {
        limit: 1,
        maps: [
          [
            [0, 6],
            [4, 8],
          ],
          [
            [0, 6],
            [2, 8],
          ],
        ],
      },
    });
    return search(config, settings, composition, { resume, onMap: onBegun });
  },
};

test.each(Object.entries(heldFolders))(
  'a second %s in one folder is refused, begun anew or resumed, and the first is whole',
  async (_, begin) => {
    const { out } = tinyRun();
    let again: Promise<PromiseSettledResult<unknown>[]> | undefined;
    const first = await begin(
      out,
      false,
      () => void (again ??= Promise.allSettled([begin(out, true), begin(out, false)])),
    );
    expect(first.stopped).toBe(false);
    const [resumed, anew] = await again!;
    expect(resumed).toMatchObject({
      reason: {
        code: 'FOLDER_BUSY',
        message: expect.stringMatching(new RegExp(`^process ${process.pid} runs glulam .*--out`)) as string,
      },
    });
    expect(anew).toMatchObject({ reason: { code: 'FOLDER_UNUSABLE' } });
    expect(readFileSync(path.join(out, 'lock.1'), 'utf8')).toBe('null');
    await expect(begin(out, true)).resolves.toMatchObject({ stopped: false });
  },
);

test.each(Object.entries(heldFolders))(
  'of two of one %s that begin at once in a folder that is not there yet one goes on',
  async (_, begin) => {
    const { out } = tinyRun();
    const ended = await Promise.allSettled([begin(out, false), begin(out, false)]);
    expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [refused] = ended.flatMap((each) => (each.status === 'rejected' ? [each.reason as { code: string }] : []));
    expect(['FOLDER_BUSY', 'FOLDER_UNUSABLE']).toContain(refused!.code);
  },
);
