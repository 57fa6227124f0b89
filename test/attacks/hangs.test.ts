import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readAdapter } from '@glulam/export';
import {
  adapters,
  cacheOf,
  createAdapterSet,
  families,
  openCheckpoint,
  openDecoder,
  runSequences,
  type Decoder,
} from '@glulam/model';
import { resolveConfig } from 'glulam';
import { createReferenceEngine } from '@glulam/tensors';
import { describeModel, openData, openRunTokenizer, planRun } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { tinyRun } from '../support/tiny.js';

// What strangers' files make take for ever, and whether somebody who stops it is heard.

const work = mkdtempSync(path.join(tmpdir(), 'glulam-hangs-'));
const tiny = path.resolve(import.meta.dirname, '../../examples/models/tiny-mistral-gsm8k');
let made = 0;

function baseWith(file: string, change: (text: string) => string): string {
  const folder = path.join(work, `base-${made++}`);
  cpSync(tiny, folder, { recursive: true });
  writeFileSync(path.join(folder, file), change(readFileSync(path.join(folder, file), 'utf8')));
  return folder;
}

const jsonl = (rows: readonly unknown[]): string => {
  const file = path.join(work, `${made++}.jsonl`);
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  return file;
};

function open(base: string, train: string, workers: number, signal?: AbortSignal) {
  const cache = mkdtempSync(path.join(work, 'cache-'));
  const { config, composition } = resolveConfig({ base, data: { train, cache } }, [], work);
  return openData(config, composition, openRunTokenizer(config, config.base), { workers, signal });
}

const slowTemplate = baseWith(
  'chat_template.jinja',
  () =>
    '{% for i in range(30) %}{% for j in range(90000) %}{% endfor %}{% endfor %}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}',
);
const slowChats = jsonl(
  Array.from({ length: 500 }, () => ({
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'yo' },
    ],
  })),
);

describe('data that takes long', () => {
  test.each([0, 1])('ends soon after it is aborted, with %d workers', async (workers) => {
    const controller = new AbortController();
    const opening = open(slowTemplate, slowChats, workers, controller.signal);
    let aborted = 0;
    // The timer has its turn although every row takes seconds.
    setTimeout(() => {
      aborted = performance.now();
      controller.abort(new Error('stopped by hand'));
    }, 3000);
    await expect(opening).rejects.toThrow('stopped by hand');
    // A second on a machine that does nothing else.
    expect(performance.now() - aborted).toBeLessThan(5000);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the command', async (signal) => {
    const config = path.join(work, `${made++}.json`);
    const cache = mkdtempSync(path.join(work, 'cache-'));
    writeFileSync(config, JSON.stringify({ base: slowTemplate, data: { train: slowChats, cache } }));
    const cli = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');
    const child = spawn(process.execPath, [cli, 'data', config], { stdio: 'ignore' });
    const ended = new Promise<number | null>((done) => child.on('exit', done));
    // Rows are being written once their store is begun.
    await expect.poll(() => readdirSync(cache), { timeout: 120_000 }).not.toEqual([]);
    expect(child.exitCode).toBe(null);
    child.kill(signal);
    const last = setTimeout(() => child.kill('SIGKILL'), 20_000);
    expect(await ended).toBe(130);
    clearTimeout(last);
  });
});

test.each([0, 1])(
  'an expression of tokenizer.json that does not end stops the data, with %d workers',
  async (workers) => {
    const split = { type: 'Split', pattern: { Regex: '^(\\w|\\w\\w|\\w+)+$x' }, behavior: 'Isolated', invert: false };
    const base = baseWith('tokenizer.json', (text) => JSON.stringify({ ...JSON.parse(text), pre_tokenizer: split }));
    const rows = jsonl([{ text: 'a' }, { text: `${'a'.repeat(60)}!` }]);
    await expect(open(base, rows, workers)).rejects.toThrow(
      /tokenizer.json cannot be used: the regular expression ".*" of its pre_tokenizer Split was stopped after 1 s on a text of 61 characters/,
    );
  },
);

test.each(['target_modules', 'exclude_modules', 'rank_pattern', 'alpha_pattern', 'modules_to_save'])(
  'an expression in %s of adapter_config.json that does not end is refused with the file',
  async (field) => {
    const slow = '(([a-z_.0-9]+)+)+!';
    const value = field.endsWith('_pattern') ? { [slow]: 4 } : field === 'modules_to_save' ? [slow] : slow;
    const folder = path.join(work, `adapter-${made++}`);
    mkdirSync(folder);
    const config = { peft_type: 'LORA', r: 8, lora_alpha: 8, target_modules: ['q_proj'], [field]: value };
    writeFileSync(path.join(folder, 'adapter_config.json'), JSON.stringify(config));
    writeFileSync(path.join(folder, 'adapter_model.safetensors'), Buffer.from('\x02\0\0\0\0\0\0\0{}', 'latin1'));
    const { composition } = tinyRun();
    const { spec } = await openCheckpoint(tinyRun().config.base, composition.all(families));
    expect(() => readAdapter(folder, composition.all(adapters), spec)).toThrow(
      new RegExp(
        `adapter_config.json cannot be followed:\\s+${field}: the regular expression ".*" was stopped after 1 s`.replace(
          '" was',
          '".*was',
        ),
      ),
    );
  },
);

test('a plan of 2,048 layers lets timers have their turn, and ends when it is aborted', async () => {
  const { config, composition } = tinyRun({
    expansion: { kind: 'layer_map', layer_map: Array.from({ length: 256 }, () => [0, 8] as [number, number]) },
  });
  const controller = new AbortController();
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
    if (turns === 5) controller.abort(new Error('stopped by hand'));
  }, 1);
  await expect(planRun(config, composition, { signal: controller.signal })).rejects.toThrow('stopped by hand');
  clearInterval(timer);
  expect(turns).toBeLessThan(50);
});

describe('a model of 512 layers', async () => {
  const { config, composition } = tinyRun({
    expansion: { kind: 'layer_map', layer_map: Array.from({ length: 64 }, () => [0, 8] as [number, number]) },
  });
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const { layers, adapter } = describeModel(config, composition, checkpoint.spec);
  const engine = createReferenceEngine({ precision: 'float32' });
  const options = { engine, checkpoint, layers, adapter, seed: 5 };

  /** The timer has its turn while the work goes on. */
  async function aborted(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('stopped by hand')), 20);
    await expect(work(controller.signal)).rejects.toThrow('stopped by hand');
  }

  test('is given up when its opening is aborted, and leaves nothing', async () => {
    const before = engine.memory();
    await aborted((signal) => openDecoder({ ...options, signal }));
    expect(engine.memory()).toEqual(before);
    const set = createAdapterSet({ engine, checkpoint, layers });
    await aborted((signal) => set.add('a', { adapter, layers, base: undefined }, signal));
    expect(set.names).toEqual([]);
    set.close();
    expect(engine.memory()).toEqual(before);
  });
});

test('a pass that is aborted ends before its next layer, and the next pass is as if there had been none', async () => {
  const { config, composition } = tinyRun();
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const decoder = await openDecoder({ engine: createReferenceEngine({ precision: 'float32' }), checkpoint });
  const controller = new AbortController();
  const done: number[] = [];
  const stopped: Decoder = {
    ...decoder,
    forward: (batch, options) =>
      decoder.forward(batch, {
        ...options,
        onLayer(virtual) {
          done.push(virtual);
          if (virtual === 2) controller.abort(new Error('stopped by hand'));
          return Promise.resolve();
        },
      }),
  };
  const ids = [1, 2, 3];
  const cache = cacheOf(decoder);
  const parts = [{ sequence: cache.add(0), ids, wanted: true }];
  await expect(runSequences(stopped, { cache }, parts, controller.signal)).rejects.toThrow('stopped by hand');
  expect(done).toEqual([0, 1, 2]);
  const fresh = cacheOf(decoder);
  const expected = await runSequences(decoder, { cache: fresh }, [{ sequence: fresh.add(0), ids, wanted: true }]);
  expect(await runSequences(decoder, { cache }, parts)).toEqual(expected);
  for (const each of [cache, fresh, decoder]) each.close();
});

test('a model is the same whether it is opened at once or in turns', async () => {
  const { config, composition } = tinyRun();
  const checkpoint = await openCheckpoint(config.base, composition.all(families));
  const engine = createReferenceEngine({ precision: 'float32' });
  const options = { engine, checkpoint, ...describeModel(config, composition, checkpoint.spec), seed: 5 };
  const hashes: string[] = [];
  for (const decoder of [await openDecoder(options), await openDecoder(options)]) {
    const hash = createHash('sha256');
    expect(decoder.parameters.size).toBeGreaterThan(0);
    for (const [name, tensor] of decoder.parameters) hash.update(name).update(await engine.read(tensor));
    hashes.push(hash.digest('hex'));
    decoder.close();
  }
  expect(hashes[1]).toBe(hashes[0]);
});
