import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ablate, search } from '@glulam/ablation';
import { resolveConfig } from 'glulam';
import { events, openData, openRunTokenizer, train } from '@glulam/trainer';
import { tap } from 'rxjs';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventsOf, lossesByStep } from '../support/tiny.js';

// A chat template that shows the date: the same run on several days. Only the date is faked, timers are not.
const root = path.resolve(import.meta.dirname, '../..');
const base = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-dated-'));
afterAll(() => rmSync(work, { recursive: true }));

const chatTemplate =
  "{{ bos_token }}{{ '<|system|>\n' + strftime_now('%d %b %Y %H:%M') + '\n' }}" +
  "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
const rows = path.join(work, 'rows.jsonl');
const row = (user: string, assistant: string) =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ],
  })}\n`;
writeFileSync(rows, row('Hi', 'Hello') + row('Yo', 'Good day') + row('So', 'And so on'));

const on = (day: number, hour = 0) => vi.setSystemTime(new Date(2026, 10, day, hour, 5));
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  on(30, 9);
});
afterEach(() => void vi.useRealTimers());

let made = 0;
function dated(data: Record<string, unknown> = {}, changes: Record<string, unknown> = {}) {
  const cache = path.join(work, `cache-${made++}`);
  const fields = {
    base,
    data: { train: rows, chatTemplate, cache, ...data },
    adapter: { kind: 'lora', r: 2 },
    train: { steps: 6, batch: 2, learningRate: 2e-3 },
    reporters: [],
    out: path.join(work, `run-${made}`),
    ...changes,
  };
  return { cache, fields, ...resolveConfig(fields, [], work) };
}
type Dated = ReturnType<typeof dated>;

async function textsOf({ config, composition }: Pick<Dated, 'config' | 'composition'>, workers = 0) {
  const tokenizer = openRunTokenizer(config, config.base);
  const data = await openData(config, composition, tokenizer, { workers });
  const [file] = data.files;
  const texts = [0, 1, 2].map((index) => tokenizer.decode([...file!.example(index).ids]));
  data.close();
  return { texts, warnings: tokenizer.warnings };
}

describe('data', () => {
  test('shows the date that the config names, or midnight of today, which is reported', async () => {
    const today = await textsOf(dated());
    expect(today.texts[0]).toContain('\n30 Nov 2026 00:00\n');
    expect(today.warnings).toEqual([
      "the chat template shows the date: it is given today's, 2026-11-30; data.date sets another",
    ]);
    const chosen = await textsOf(dated({ date: '2024-07-26T17:45' }));
    expect(chosen.texts[0]).toContain('\n26 Jul 2024 17:45\n');
    expect(chosen.warnings).toEqual([]);
  });

  test('of another day does not come from the cache; of the same day it does', async () => {
    const same = dated();
    const stored = () => readdirSync(same.cache).length;
    await textsOf(same);
    on(30, 23);
    await textsOf(same);
    expect(stored()).toBe(1);
    vi.setSystemTime(new Date(2026, 11, 1, 0, 1));
    expect((await textsOf(same)).texts[0]).toContain('\n01 Dec 2026 00:00\n');
    expect(stored()).toBe(2);
  });

  test('of a template without a date is the same on every day', async () => {
    const plain = dated({ chatTemplate: 'plain' });
    await textsOf(plain);
    on(25);
    await textsOf(plain);
    expect(readdirSync(plain.cache)).toHaveLength(1);
    const chosen = dated({ chatTemplate: 'plain', cache: plain.cache, date: '2020-01-01' });
    await textsOf(chosen);
    expect(readdirSync(plain.cache)).toHaveLength(1);
  });

  test('is the same in worker threads', async () => {
    // Their clock is not faked.
    expect((await textsOf(dated(), 2)).texts).toEqual((await textsOf(dated())).texts);
  });

  test.each(['tomorrow', '2026-02-30', '2026-11-30T25:00'])('the date %s is refused', (date) => {
    expect(() => dated({ date })).toThrow(/data\.date.*expected a local date such as 2026-11-30/);
  });
});

/** Train, and stop once `stopAt` is done. */
async function session({ config, composition }: Pick<Dated, 'config' | 'composition'>, stopAt?: number) {
  const controller = new AbortController();
  const listening = composition
    .get(events)
    .listen('test', (all) =>
      all.pipe(tap((event) => event.type === 'step.finished' && event.step === stopAt && controller.abort())),
    );
  try {
    return await train(config, composition, { signal: controller.signal, resume: stopAt === undefined });
  } finally {
    listening.unsubscribe();
  }
}
const recorded = (out: string) =>
  JSON.parse(readFileSync(path.join(out, 'config.json'), 'utf8')) as { data: { date?: string } };

describe('a run', () => {
  test('records its date and resumes with it on another day, with the same losses', async () => {
    const whole = dated();
    await session(whole);
    const run = dated();
    await session(run, 3);
    expect(recorded(run.config.out).data.date).toBe('2026-11-30');
    on(12, 3);
    rmSync(run.cache, { recursive: true });
    // By its config, which names no date.
    expect(await session(run)).toMatchObject({ steps: 6, stopped: undefined });
    expect(lossesByStep(run.config.out)).toEqual(lossesByStep(whole.config.out));
    const told = eventsOf(run.config.out).filter(({ type }) => type === 'warning');
    expect(told).toMatchObject([{ message: expect.stringMatching(/shows the date.*2026-11-30/) as string }]);
    // By its folder, and its tokenizer, as eval, generate and chat open it.
    const own = resolveConfig(recorded(run.config.out), [], work);
    expect((await textsOf(own)).texts[0]).toContain('\n30 Nov 2026 00:00\n');
  });

  test('of a template without a date records none', async () => {
    const run = dated({ chatTemplate: 'plain' });
    await session(run, 1);
    expect(recorded(run.config.out).data).not.toHaveProperty('date');
  });

  test('does not resume with another date', async () => {
    const run = dated({ date: '2026-11-30' });
    await session(run, 1);
    const other = resolveConfig({ ...run.fields, data: { ...run.fields.data, date: '2026-12-01' } }, [], work);
    await expect(session(other)).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringContaining('data.date: was "2026-11-30", is "2026-12-01"') as string,
    });
  });

  test('that recorded no date, as earlier versions did not, is refused on another day with the reason', async () => {
    const run = dated();
    await session(run, 1);
    const { data, ...rest } = recorded(run.config.out);
    delete data.date;
    writeFileSync(path.join(run.config.out, 'config.json'), JSON.stringify({ ...rest, data }));
    on(12);
    await expect(session(run)).rejects.toMatchObject({
      code: 'RUN_CHANGED',
      message: expect.stringMatching(/shows the date, now 2026-11-12, and the run recorded none.*data\.date/) as string,
    });
  });
});

describe('several runs', () => {
  const heldOut = { heldOut: rows };

  test('an ablation has one date, also when it is resumed on another day', async () => {
    const variants = ['a', 'b'].map((name) => ({ name, expansion: 'none' }));
    const one = dated(heldOut, { train: { steps: 1, batch: 2 }, ablation: { variants, seeds: [1] } });
    const controller = new AbortController();
    const stopping = one.composition
      .get(events)
      .listen('test', (all) => all.pipe(tap(({ type }) => type === 'run.finished' && controller.abort())));
    await ablate(one.config, one.ablation, one.composition, { signal: controller.signal }).catch(() => undefined);
    stopping.unsubscribe();
    on(12);
    const { outcomes } = await ablate(one.config, one.ablation, one.composition, { resume: true });
    expect(outcomes).toHaveLength(2);
    const dates = ['a', 'b'].map((name) => recorded(path.join(one.config.out, 'runs', name, 'seed-1')).data.date);
    expect([recorded(one.config.out).data.date, ...dates]).toEqual(['2026-11-30', '2026-11-30', '2026-11-30']);
  });

  test('a search keeps its date, also when it is resumed on another day', async () => {
    const one = dated(heldOut, { search: { maps: [[[0, 8]]], limit: 2 } });
    await search(one.config, one.search, one.composition);
    on(12);
    const more = resolveConfig(
      {
        ...one.fields,
        search: {
          maps: [
            [[0, 8]],
            [
              [0, 4],
              [2, 8],
            ],
          ],
          limit: 2,
        },
      },
      [],
      work,
    );
    await search(more.config, more.search, more.composition, { resume: true });
    expect(recorded(one.config.out).data.date).toBe('2026-11-30');
  });
});

describe('the command line', () => {
  const bin = path.join(root, 'packages/glulam/bin/glulam.js');
  const file = path.join(work, 'glulam.config.json');
  const config = {
    base,
    data: { train: rows, chatTemplate, cache: path.join(work, 'cli') },
    adapter: { kind: 'lora', r: 2 },
    train: { steps: 1, batch: 2 },
    reporters: [],
  };
  writeFileSync(file, JSON.stringify(config));
  const inZone = (zone: string, ...args: string[]) =>
    spawnSync(process.execPath, [bin, ...args], { cwd: work, encoding: 'utf8', env: { ...process.env, TZ: zone } });
  const dayIn = (zone: string) =>
    execFileSync(
      process.execPath,
      [
        '-e',
        'const d = new Date(); console.log([d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, "0")).join("-"))',
      ],
      { env: { ...process.env, TZ: zone }, encoding: 'utf8' },
    ).trim();

  test('reports the local date once, and resumes in another time zone with that of the run', () => {
    const [west, east] = ['Pacific/Pago_Pago', 'Pacific/Kiritimati'] as const;
    const shown = inZone(west, 'data', file);
    expect(shown.status, shown.stderr).toBe(0);
    expect(shown.stderr.match(/shows the date/g)).toHaveLength(1);
    expect(shown.stderr).toContain(dayIn(west));
    const out = path.join(work, 'cli-run');
    expect(inZone(west, 'train', file, '--out', out).status).toBe(0);
    const date = recorded(out).data.date!;
    expect(date).toBe(dayIn(west));
    expect(dayIn(east)).not.toBe(date);
    rmSync(config.data.cache, { recursive: true });
    const resumed = inZone(east, 'train', out, '--resume');
    expect([resumed.status, resumed.stderr]).toEqual([0, '']);
    const eastern = inZone(east, 'data', file);
    expect(eastern.stderr).toContain(dayIn(east));
  });
});
