import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { events, train, type RunConfigInput, type RunEvent } from '@glulam/trainer';
import { tap } from 'rxjs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { glulam, killed, pointsIn, type Ended } from '../support/killable.js';
import { eventsOf, lossesByStep, tinyRun } from '../support/tiny.js';

const settings = { steps: 12, batch: 2, accumulate: 2, learningRate: 2e-3, warmupSteps: 3 };
const data = { train: tinyRun().config.data.train };
const changes: Partial<RunConfigInput> = { data, train: settings, checkpoint: { every: 3, keep: 3 } };

/** Train and stop by abort once `step` is done, if one is given. */
async function sitting(run: ReturnType<typeof tinyRun>, { stopAt, resume }: { stopAt?: number; resume?: boolean }) {
  const controller = new AbortController();
  const subscription = run.composition
    .get(events)
    .listen('test', (all) =>
      all.pipe(tap((event) => event.type === 'step.finished' && event.step === stopAt && controller.abort())),
    );
  try {
    return await train(run.config, run.composition, { signal: controller.signal, ...(resume ? { resume } : {}) });
  } finally {
    subscription.unsubscribe();
  }
}
const adapterOf = (out: string) => readFileSync(path.join(out, 'adapter/adapter_model.safetensors'));
const checkpointsOf = (out: string) => readdirSync(path.join(out, 'checkpoints')).sort();

/** A run that was never stopped, to compare with. */
let whole: { losses: Map<number, number>; adapter: Buffer } | undefined;
async function neverStopped() {
  if (whole === undefined) {
    const run = tinyRun(changes);
    await sitting(run, {});
    whole = { losses: lossesByStep(run.out), adapter: adapterOf(run.out) };
    expect(whole.losses.size).toBe(12);
  }
  return whole;
}

describe('a resumed run', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('computes with the kernels that its checkpoint records', async () => {
    vi.stubEnv('GLULAM_ISA', '');
    const run = tinyRun(changes);
    await sitting(run, { stopAt: 3 });
    const state = path.join(run.out, 'checkpoints', checkpointsOf(run.out).at(-1)!, 'state.json');
    const saved = JSON.parse(readFileSync(state, 'utf8')) as { choice: string };
    const plain = Array<string>(13).fill('plain').join(' ');
    expect(saved.choice).not.toBe(plain);
    writeFileSync(state, JSON.stringify({ ...saved, choice: plain }));
    await sitting(run, { stopAt: 4, resume: true });
    const engines = eventsOf(run.out).flatMap((event) => (event.type === 'run.started' ? [event.engine] : []));
    expect(engines).toHaveLength(2);
    expect(engines[1]).toContain('native, plain, ');
    expect(engines[0]).not.toContain('plain');
  });

  test('gives the same losses and the same adapter, bit for bit, as one that was never stopped', async () => {
    const { losses, adapter } = await neverStopped();
    const run = tinyRun(changes);
    expect(await sitting(run, { stopAt: 5 })).toMatchObject({ steps: 5, stopped: 'interrupted' });
    expect(eventsOf(run.out).at(-3)).toMatchObject({ type: 'run.stopped', step: 5 });
    expect(await sitting(run, { stopAt: 7, resume: true })).toMatchObject({ steps: 7 });
    expect(await sitting(run, { resume: true })).toMatchObject({ steps: 12, stopped: undefined });
    expect(lossesByStep(run.out)).toEqual(losses);
    expect(adapterOf(run.out).equals(adapter)).toBe(true);
    const resumed = eventsOf(run.out).flatMap((event) => (event.type === 'run.started' ? [event.resumedFrom] : []));
    expect(resumed).toEqual([undefined, 5, 7]);
    // Once more: there is nothing left to do, and nothing changes.
    expect(await sitting(run, { resume: true })).toMatchObject({ steps: 12, stopped: undefined });
    expect(adapterOf(run.out).equals(adapter)).toBe(true);
    expect(checkpointsOf(run.out)).toEqual(['step-00000007', 'step-00000009', 'step-00000012']);
  });

  test.each<[string, Partial<RunConfigInput>]>([
    ['layers with weights of their own', { expansion: { kind: 'llama_pro', layers: 10 }, adapter: { kind: 'none' } }],
    [
      'own repeats beside LoRA, with biases and modules to save',
      {
        expansion: {
          kind: 'layer_map',
          layer_map: [
            [0, 8],
            [6, 8],
          ],
          weights: 'own',
          gate: 'learned',
        },
        adapter: { kind: 'lora', lora_dropout: 0.1, modules_to_save: ['embed_tokens', 'norm'] },
      },
    ],
    ['the whole model', { adapter: { kind: 'full' } }],
  ])('so does one that trains %s', async (_, model) => {
    const [never, run] = [0, 1].map(() =>
      tinyRun({ ...changes, ...model, train: { ...settings, steps: 4, learningRate: 1e-3 } }),
    );
    await sitting(never!, {});
    await sitting(run!, { stopAt: 2 });
    expect(await sitting(run!, { resume: true })).toMatchObject({ steps: 4, stopped: undefined });
    expect(lossesByStep(run!.out)).toEqual(lossesByStep(never!.out));
    expect(adapterOf(run!.out).equals(adapterOf(never!.out))).toBe(true);
  });

  const damages: [string, (checkpoint: string) => void][] = [
    ['a flipped bit in the optimizer', (at) => flip(path.join(at, 'optimizer.safetensors'), -5)],
    ['a flipped bit in the adapter', (at) => flip(path.join(at, 'adapter/adapter_model.safetensors'), -5)],
    ['an optimizer cut short', (at) => truncateSync(path.join(at, 'optimizer.safetensors'), 1000)],
    ['a missing adapter', (at) => rmSync(path.join(at, 'adapter'), { recursive: true })],
    ['a missing state', (at) => rmSync(path.join(at, 'state.json'))],
    ['a state of zeros', (at) => writeFileSync(path.join(at, 'state.json'), Buffer.alloc(300))],
    ['a state of another kind', (at) => writeFileSync(path.join(at, 'state.json'), '{"version":1,"step":"9"}')],
  ];
  test('passes over damaged checkpoints, says so, and loses nothing but time', async () => {
    const { losses, adapter } = await neverStopped();
    const stopped = tinyRun(changes);
    await sitting(stopped, { stopAt: 9 });
    expect(checkpointsOf(stopped.out)).toEqual(['step-00000003', 'step-00000006', 'step-00000009']);
    for (const [name, damage] of damages) {
      const run = tinyRun({ ...changes, out: path.join(mkdtempSync(path.join(tmpdir(), 'glulam-run-')), 'run') });
      copyFolder(stopped.out, run.config.out);
      damage(path.join(run.config.out, 'checkpoints/step-00000009'));
      const warnings: string[] = [];
      run.composition
        .get(events)
        .listen('test', (all) => all.pipe(tap((event) => event.type === 'warning' && warnings.push(event.message))));
      await sitting(run, { resume: true });
      expect(warnings, name).toHaveLength(1);
      expect(warnings[0], name).toMatch(/step-00000009 is damaged and was passed over/);
      const started = eventsOf(run.config.out).findLast(({ type }) => type === 'run.started');
      expect(started, name).toMatchObject({ resumedFrom: 6 });
      expect(lossesByStep(run.config.out), name).toEqual(losses);
      expect(adapterOf(run.config.out).equals(adapter), name).toBe(true);
    }
  });

  test('is refused where every checkpoint is damaged', async () => {
    const run = tinyRun(changes);
    await sitting(run, { stopAt: 4 });
    for (const name of checkpointsOf(run.out)) rmSync(path.join(run.out, 'checkpoints', name, 'state.json'));
    await expect(sitting(run, { resume: true })).rejects.toMatchObject({
      code: 'RUN_INVALID',
      message: expect.stringMatching(/none of its checkpoints is whole:[\s\S]*step-00000004[\s\S]*state.json/),
    });
  });

  test('is refused with the difference where the config changed, but for what has no say in the numbers', async () => {
    const run = tinyRun(changes);
    await sitting(run, { stopAt: 2 });
    const other = tinyRun({ ...changes, out: run.out, seed: 7, train: { ...settings, batch: 4 } });
    await expect(sitting(other, { resume: true })).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringMatching(/seed: was 0, is 7\n {2}train\.batch: was 2, is 4/),
    });
    const free = tinyRun({ ...changes, out: run.out, checkpoint: { every: 5 } });
    expect(await sitting(free, { resume: true })).toMatchObject({ steps: 12 });
  });

  test('is refused where the data changed under the same name', async () => {
    const rows = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-data-')), 'rows.jsonl');
    copyFileSync(path.resolve(import.meta.dirname, '../../examples/data/word-problems.heldout.jsonl'), rows);
    const run = tinyRun({ ...changes, data: { train: rows } });
    await sitting(run, { stopAt: 2 });
    appendFileSync(rows, '\n{"question": "1 + 1?", "answer": "2"}\n');
    await expect(sitting(run, { resume: true })).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringMatching(/the data changed/),
    });
  });

  test('begins where no checkpoint was written yet, and clears what the killed process left', async () => {
    const run = tinyRun(changes);
    await sitting(run, { stopAt: 2 });
    rmSync(path.join(run.out, 'checkpoints'), { recursive: true });
    const gone = path.join(run.out, 'checkpoints/.step-00000003.4194303-0123abcd.tmp');
    mkdirSync(gone, { recursive: true });
    // A line that was being written when the process was killed.
    appendFileSync(path.join(run.out, 'events.jsonl'), '{"type":"step.fin');
    expect(await sitting(run, { resume: true })).toMatchObject({ steps: 12 });
    expect(lossesByStep(run.out)).toEqual((await neverStopped()).losses);
    expect(existsSync(gone)).toBe(false);
  });
});

/** A config file for a run of a few seconds, with a checkpoint every other step. */
function killableRun(): { readonly config: string; readonly out: string } {
  const { config } = tinyRun({ data, train: { ...settings, accumulate: 1 }, checkpoint: { every: 2, keep: 2 } });
  const file = path.join(path.dirname(config.out), 'run.json');
  writeFileSync(file, JSON.stringify({ ...config, reporters: [], evaluate: {} }));
  return { config: file, out: config.out };
}

/** A run of the command line that was never killed, to compare with, and the points at which it can be. */
let calm: { losses: Map<number, number>; out: string; points: readonly string[] } | undefined;
async function neverKilled() {
  if (calm === undefined) {
    const { config, out } = killableRun();
    const points = path.join(path.dirname(out), 'points');
    expect(await glulam(['train', config, '--out', out], { points })).toMatchObject({ code: 0, errors: '' });
    calm = { losses: lossesByStep(out), out, points: pointsIn(points) };
    expect(calm.losses.size).toBe(12);
  }
  return calm;
}

async function expectAsNeverKilled(out: string, when: string): Promise<void> {
  const { losses, out: other } = await neverKilled();
  expect(lossesByStep(out), when).toEqual(losses);
  expect(adapterOf(out).equals(adapterOf(other)), when).toBe(true);
  expect(checkpointsOf(out), when).toEqual(checkpointsOf(other));
  // Nothing under a temporary name is left, in any folder of the run.
  expect(readdirSync(out, { recursive: true }).filter((name) => String(name).endsWith('.tmp'))).toEqual([]);
}

describe('kill -9', () => {
  // In the order in which one run comes to them: each kill is of the process that resumed after the one before.
  const moments: [string, string][] = [
    ['before the folder has its config', 'rename config.json'],
    ['after it has it', 'renamed config.json'],
    ['after the first event', 'wrote events.jsonl "run.started"'],
    ['after a step, where there is no checkpoint yet', 'wrote events.jsonl "step.finished".*"step":1,'],
    ['when a checkpoint is begun', 'make checkpoints/.step-00000002.tmp'],
    ['when its optimizer is begun', 'open .step-00000002.tmp/.optimizer.safetensors.tmp'],
    ['in the middle of its optimizer', 'wrote .step-00000002.tmp/.optimizer.safetensors.tmp'],
    ['when its files are noted', 'open .step-00000002.tmp/state.json'],
    ['before it has its name', 'rename checkpoints/step-00000002'],
    ['after it has its name', 'renamed checkpoints/step-00000002'],
    ['after a step, where there is a checkpoint', 'wrote events.jsonl "step.finished".*"step":3,'],
    ['before an old checkpoint is set aside', 'rename checkpoints/.step-00000002.tmp'],
    ['before it is removed', 'remove checkpoints/.step-00000004.tmp'],
    ['when the last checkpoint is begun', 'make checkpoints/.step-00000012.tmp'],
    ['before the adapter has its name', 'rename run/adapter'],
    ['after it has its name', 'renamed run/adapter'],
    ['before the card has its name', 'rename run/README.md'],
    ['after the last event', 'wrote events.jsonl "run.finished"'],
  ];
  test('of one run at every named moment, one after another: it ends as one that was never killed', async () => {
    const { config, out } = killableRun();
    for (const [when, killAt] of moments)
      expect(await glulam(['train', config, '--out', out, '--resume'], { killAt }), when).toMatchObject(killed);
    expect(await glulam(['train', config, '--out', out, '--resume'])).toMatchObject({ code: 0 });
    await expectAsNeverKilled(out, 'in the end');
  });

  // `npm run check:kills`: all points at which the command changes anything on the disk, or so many of them, evenly.
  const wanted = process.env['GLULAM_KILLS'];
  if (wanted !== undefined)
    test('of runs at points of all kinds', { timeout: 24 * 3_600_000 }, async () => {
      const { points } = await neverKilled();
      const kills = wanted === 'all' ? points.length : Math.min(points.length, Number(wanted));
      for (let i = 0; i < kills; i++) {
        const at = 1 + Math.floor((i * points.length) / kills);
        const when = `${at}: ${points[at - 1]!}`;
        const { config, out } = killableRun();
        expect(await glulam(['train', config, '--out', out], { killAt: at }), when).toMatchObject(killed);
        expect(await glulam(['train', config, '--out', out, '--resume']), when).toMatchObject({ code: 0 });
        await expectAsNeverKilled(out, when);
      }
      console.log(`${kills} kills at ${points.length} points`);
    });
});

test('a full disk ends the run with a clear error; with room again it goes on', async (context) => {
  const { config, out } = killableRun();
  const disk = path.join(path.dirname(out), 'disk');
  mkdirSync(disk);
  const small = path.join(disk, 'run');
  // A file system of its own that holds two checkpoints and not three, in a mount namespace of the command's own. What
  // it holds is copied out before the namespace ends.
  const script = `mount -t tmpfs -o size=6m tmpfs "${disk}" || exit 99; "$@"; code=$?; cp -a "${small}" "${out}"; exit $code`;
  const wrap = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'];
  let ended: Ended;
  try {
    ended = await glulam(['train', config, '--out', small], { wrap });
  } catch (error) {
    return context.skip(`no mount namespace here: ${(error as Error).message}`);
  }
  if (ended.code === 99 || /unshare:/.test(ended.errors))
    return context.skip(`a small file system cannot be mounted here: ${ended.errors.trim()}`);
  expect(ended.code).toBe(1);
  expect(ended.errors).toMatch(/error \[(WRITE_FAILED|RUN_WRITE_FAILED)\]: [\s\S]*(disk is full|no space left)/i);
  expect(checkpointsOf(out).length).toBeGreaterThan(0);

  // The config names the disk's folder; the run folder itself is resumed where it now lies.
  expect(await glulam(['train', out, '--resume'])).toMatchObject({ code: 0 });
  expect(lossesByStep(out)).toEqual((await neverKilled()).losses);
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[bytes.length + at]! ^= 1;
  writeFileSync(file, bytes);
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    const relative = path.relative(from, path.join(entry.parentPath, entry.name));
    if (entry.isDirectory()) mkdirSync(path.join(to, relative), { recursive: true });
    else {
      mkdirSync(path.dirname(path.join(to, relative)), { recursive: true });
      copyFileSync(path.join(from, relative), path.join(to, relative));
    }
  }
  // The config names its own folder.
  const file = path.join(to, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as RunEvent), out: to }));
}
