import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportGguf, mergeCheckpoint, readAdapter } from '@glulam/export';
import {
  adapters,
  openDecoder,
  families,
  generateMany,
  generateTokens,
  openCheckpoint,
  scoreContinuations,
  type Decoder,
} from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import { createReferenceEngine } from '@glulam/tensors';
import {
  dataFormats,
  evaluators,
  events,
  openModel,
  train,
  type DataFormat,
  type EvaluatorContribution,
  type RunEvent,
} from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf, lossesByStep, tinyRun } from '../support/tiny.js';

const original = path.resolve(import.meta.dirname, '../../examples/models/tiny-mistral-gsm8k');
const built = (entry: string): string => JSON.stringify(path.resolve(import.meta.dirname, '../..', entry));
const data = { train: tinyRun().config.data.train };

/** A base of its own, beside other weights of the same size. */
function copyOfBase() {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-base-')), 'base');
  cpSync(original, folder, { recursive: true });
  const file = path.join(folder, 'model.safetensors');
  const bytes = readFileSync(file);
  // The sign of every bfloat16 but those of the header.
  for (let i = 200_001; i < bytes.length; i += 2) bytes[i]! ^= 0x80;
  const other = path.join(folder, '..', 'other');
  writeFileSync(other, bytes);
  return { folder, file, other, restore: () => copyFileSync(path.join(original, 'model.safetensors'), file) };
}
type Base = ReturnType<typeof copyOfBase>;

/** With what they need given, since they also run as text in a process of its own. */
const changes = {
  'cut short': ({ file }: Base, { truncateSync }: typeof fs) => truncateSync(file, 100_000),
  emptied: ({ file }: Base, { truncateSync }: typeof fs) => truncateSync(file, 0),
  'overwritten in place': ({ file, other }: Base, { readFileSync, writeFileSync }: typeof fs) =>
    writeFileSync(file, readFileSync(other)),
  replaced: ({ file, other }: Base, { renameSync }: typeof fs) => renameSync(other, file),
  removed: ({ file }: Base, { rmSync }: typeof fs) => rmSync(file),
};
const names = Object.keys(changes) as (keyof typeof changes)[];

const changed = ({ file }: Base) => ({
  code: 'FILE_CHANGED',
  message: expect.stringMatching(new RegExp(`${file.replaceAll('.', '\\.')} .*expected|found.*Restore the file`, 's')),
});

describe('training while the base is', () => {
  const settings = {
    data,
    train: { steps: 6, batch: 1, learningRate: 2e-3 },
    checkpoint: { every: 2, keep: 5 },
    evaluate: { evaluators: [] },
  };
  const undisturbed = (async () => {
    const { config, composition, out } = tinyRun(settings);
    await train(config, composition);
    return lossesByStep(out);
  })();

  /** In a process that a bus error would end, the base changes as soon as step 3 is reported. */
  async function sabotage(base: Base, change: keyof typeof changes) {
    const { config, out } = tinyRun({ ...settings, base: base.folder });
    const script = path.join(path.dirname(out), 'run.mjs');
    writeFileSync(
      script,
      `import * as fs from 'node:fs';
      import { createRequire } from 'node:module';
      import { events, train } from ${built('packages/trainer/dist/index.js')};
      import { resolveConfig } from ${built('packages/glulam/dist/index.js')};
      const { tap } = createRequire(${built('package.json')})('rxjs');
      const change = ${String(changes[change])};
      const { config, composition } = resolveConfig(${JSON.stringify(config)}, [], '/');
      composition.get(events).listen('saboteur', (all) => all.pipe(tap((event) => {
        if (event.type === 'step.finished' && event.step === 3) change(${JSON.stringify(base)}, fs);
      })));
      await train(config, composition).catch((error) => {
        process.stderr.write(error.code + ' ' + error.message);
        process.exitCode = 1;
      });`,
    );
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (piece) => (text += String(piece)));
    const end = await new Promise<unknown[]>((resolve) => child.once('close', (...all) => resolve(all)));
    return { end, text, out };
  }

  test.each(names)('%s: it stops with the file’s name, keeps its checkpoints, and resumes', async (change) => {
    const base = copyOfBase();
    const { end, text, out } = await sabotage(base, change);
    expect([end, text]).toEqual([[1, null], expect.stringMatching(/^FILE_CHANGED /)]);
    expect(text).toContain(base.file);
    expect(text).toMatch(/Restore the file .* --resume$/);
    // What is gone while it is read names the tensor too.
    if (change === 'cut short') expect(text).toMatch(/has 100000 bytes, expected the 7485672 .* the tensor model\./);
    expect(readdirSync(path.join(out, 'checkpoints'))).toEqual(['step-00000002']);
    expect(existsSync(path.join(out, 'adapter'))).toBe(false);
    expect(readdirSync(out).filter((name) => name.includes('.tmp'))).toEqual([]);
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'run.failed', code: 'FILE_CHANGED' });
    expect([...lossesByStep(out).keys()]).toEqual([1, 2, 3]);

    const { config, composition } = tinyRun({ ...settings, base: base.folder, out });
    if (change === 'overwritten in place' || change === 'replaced')
      await expect(train(config, composition, { resume: true })).rejects.toMatchObject({
        code: 'RUN_CHANGED',
        message: expect.stringMatching(/^the weights in .*\/base are not those .*restore its files/) as string,
      });
    base.restore();
    await train(config, composition, { resume: true });
    expect(lossesByStep(out)).toEqual(await undisturbed);
    expect(existsSync(path.join(out, 'adapter/adapter_model.safetensors'))).toBe(true);
  });

  test.each(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])(
    '%s of it is written: it stops with the file’s name',
    async (name) => {
      const base = copyOfBase();
      const file = path.join(base.folder, name);
      const { config, out } = tinyRun({ ...settings, base: base.folder });
      const { config: resolved, composition } = resolveConfig(config, [], '/');
      const change = (event: RunEvent): void => {
        if (event.type === 'step.finished' && event.step === 3) writeFileSync(file, `${readFileSync(file, 'utf8')}\n`);
      };
      composition.get(events).listen('saboteur', (all) => all.pipe(tap(change)));
      await expect(train(resolved, composition)).rejects.toMatchObject({
        code: 'FILE_CHANGED',
        message: expect.stringContaining(`${file} changed while it was in use`) as string,
      });
      expect(readdirSync(path.join(out, 'checkpoints'))).toEqual(['step-00000002']);
    },
  );

  test('written while data is tokenized: it is noticed before the first step', async () => {
    const base = copyOfBase();
    const file = path.join(base.folder, 'tokenizer.json');
    const { config, out } = tinyRun({ ...settings, base: base.folder });
    const saboteur: DataFormat = {
      ...{ kind: 'saboteur', schema: z.strictObject({}), shape: 'any', matches: () => false },
      read() {
        if (isFirst) writeFileSync(file, `${readFileSync(file, 'utf8')}\n`);
        isFirst = false;
        return { text: 'Some text.' };
      },
    };
    let isFirst = true;
    const plugin = definePlugin({
      name: 'saboteur',
      contract: 2,
      register: (registry) => registry.contribute(dataFormats, { create: () => saboteur }),
    });
    const rows = {
      train: { file: tinyRun().config.data.train, format: { kind: 'saboteur' } },
      cache: path.join(base.folder, '..', 'cache'),
    };
    const { config: resolved, composition } = resolveConfig({ ...config, data: rows }, [plugin], '/');
    await expect(train(resolved, composition)).rejects.toMatchObject({
      code: 'FILE_CHANGED',
      message: expect.stringContaining(file) as string,
    });
    expect(existsSync(out)).toBe(false);
  });

  test('overwritten during an evaluation: its scores are not recorded', async () => {
    const base = copyOfBase();
    const saboteur: EvaluatorContribution = {
      kind: 'saboteur',
      schema: z.strictObject({}),
      open: () => ({
        evaluate() {
          changes['overwritten in place'](base, fs);
          return Promise.resolve({ value: 1 });
        },
      }),
    };
    const plugin = definePlugin({
      name: 'saboteur',
      contract: 2,
      register: (registry) => registry.contribute(evaluators, { create: () => saboteur }),
    });
    const { config, out } = tinyRun({ ...settings, base: base.folder });
    const evaluate = { evaluators: [{ kind: 'saboteur' }], every: 100 };
    const { config: resolved, composition } = resolveConfig({ ...config, evaluate }, [plugin], '/');
    await expect(train(resolved, composition)).rejects.toMatchObject(changed(base));
    expect(eventsOf(out).map(({ type }) => type)).not.toContain('evaluation.finished');
    expect(existsSync(path.join(out, 'checkpoints/step-00000006'))).toBe(false);
  });
});

describe('generating and scoring while the base is', () => {
  const prompt = [1, 5, 9, 7];
  const tokenizer = {
    stream: () => ({ push: () => '', finish: () => '', stop: undefined }),
    encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0)),
    eosIds: [],
  };
  /** Each does something, changes the base, and does some more. */
  const uses: Readonly<Record<string, (decoder: Decoder, change: () => void) => Promise<unknown>>> = {
    generateTokens: async (decoder, change) => {
      let count = 0;
      for await (const _ of generateTokens(decoder, prompt, { maxNewTokens: 20 })) if (++count === 3) change();
      return count;
    },
    generateMany: async (decoder, change) => {
      const requests = (function* () {
        yield { prompt, maxNewTokens: 2 };
        change();
        yield { prompt };
      })();
      for await (const _ of generateMany(decoder, tokenizer, requests, { maxNewTokens: 9, slots: 1 })) continue;
    },
    scoreContinuations: async (decoder, change) => {
      await scoreContinuations(decoder, tokenizer, 'abc', ['d', 'ef']);
      change();
      await scoreContinuations(decoder, tokenizer, 'abc', ['d', 'ef']);
    },
  };

  describe.each(Object.keys(uses))('%s', (use) => {
    test.each(names)('%s, on the native engine', async (change) => {
      const base = copyOfBase();
      const { config, composition } = tinyRun({ base: base.folder });
      const { decoder, close } = await openModel(config, composition);
      await expect(uses[use]!(decoder, () => changes[change](base, fs))).rejects.toMatchObject(changed(base));
      await close().catch(() => {});
    });
  });

  test.each(names)('%s, on the reference engine', async (change) => {
    const base = copyOfBase();
    const { composition } = tinyRun({ base: base.folder });
    const checkpoint = await openCheckpoint(base.folder, composition.all(families));
    const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint });
    const using = uses['generateTokens']!(decoder, () => changes[change](base, fs));
    await expect(using).rejects.toMatchObject(changed(base));
    decoder.close();
  });

  test('nothing: they end as they should', async () => {
    const { config, composition } = tinyRun();
    const { decoder, close } = await openModel(config, composition);
    for (const use of Object.values(uses)) await use(decoder, () => {});
    await close();
  });
});

describe('merging and exporting while', () => {
  const open = async (folder: string) => {
    const { composition } = tinyRun();
    const checkpoint = await openCheckpoint(folder, composition.all(families));
    return { checkpoint, layers: [0, 1, 1, 2, 3, 4, 5, 6, 7].map((physical) => ({ physical })) };
  };

  test.each(names)('the base is %s', async (change) => {
    const base = copyOfBase();
    const folder = path.dirname(base.folder);
    const out = path.join(folder, 'merged');
    let shards = 0;
    const onShard = (): void => {
      if (++shards === 2) changes[change](base, fs);
    };
    const options = { out, shardBytes: 1e6, onShard };
    await expect(mergeCheckpoint(await open(base.folder), options)).rejects.toMatchObject(changed(base));
    expect([existsSync(out), shards]).toEqual([false, 2]);
    // What was finished before is used only if it is of the same files.
    base.restore();
    await mergeCheckpoint(await open(base.folder), { out, shardBytes: 1e6 });
    const expected = path.join(folder, 'expected');
    await mergeCheckpoint(await open(original), { out: expected, shardBytes: 1e6 });
    for (const name of readdirSync(expected))
      if (name.endsWith('.safetensors'))
        expect(readFileSync(path.join(out, name)).equals(readFileSync(path.join(expected, name)))).toBe(true);
  });

  test.each(names)('the base is %s, to a GGUF file', async (change) => {
    const base = copyOfBase();
    const folder = path.dirname(base.folder);
    const file = path.join(folder, 'x.gguf');
    const exporting = exportGguf(await open(base.folder), { file, type: 'f16' });
    changes[change](base, fs);
    await expect(exporting).rejects.toMatchObject(changed(base));
    expect(readdirSync(folder).filter((name) => name.includes('gguf'))).toEqual([]);
  });

  test('the adapter is overwritten', async () => {
    const { config, composition, out } = tinyRun({ data, train: { steps: 1, batch: 1 }, evaluate: { evaluators: [] } });
    await train(config, composition);
    const checkpoint = await openCheckpoint(config.base, composition.all(families));
    const folder = path.join(out, 'adapter');
    const saved = readAdapter(folder, composition.all(adapters), checkpoint.spec);
    const file = path.join(folder, 'adapter_model.safetensors');
    let shards = 0;
    const onShard = (): void => {
      if (++shards === 2) writeFileSync(file, readFileSync(file));
    };
    const source = { checkpoint, layers: saved.layers!, saved };
    const merging = mergeCheckpoint(source, { out: path.join(out, 'merged'), shardBytes: 1e6, onShard });
    await expect(merging).rejects.toMatchObject({
      code: 'FILE_CHANGED',
      message: expect.stringContaining(file) as string,
    });
    expect(existsSync(path.join(out, 'merged'))).toBe(false);
  });
});
