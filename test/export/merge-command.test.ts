import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { writeAdapter } from '@glulam/export';
import { openDecoder, openCheckpoint, type VirtualLayer } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { beforeAll, describe, expect, test } from 'vitest';
import { runShared } from '../support/cli.js';
import { glulam as killable, killed } from '../support/killable.js';
import { families, freshFolder, randomValues, tiny } from '../support/expanded.js';

// The built command line, as users run it.
const work = freshFolder();
const glulam = (...args: string[]) => runShared(args, { cwd: work });

async function saveAdapter(folder: string, layers: readonly VirtualLayer[]): Promise<void> {
  const checkpoint = await openCheckpoint(tiny, families);
  const options = loraContribution.schema.parse({ r: 4 });
  const adapter = loraContribution.create(options);
  const engine = createReferenceEngine({ precision: 'float32' });
  const adapterValues = randomValues(checkpoint, layers, adapter);
  const decoder = await openDecoder({ engine, checkpoint, layers, adapter, adapterValues });
  await writeAdapter(decoder, folder, { base: tiny, adapter: { kind: 'lora', options } });
  await engine.close();
}

const adapter = path.join(work, 'adapter');
beforeAll(() => saveAdapter(adapter, [{ physical: 0 }, { physical: 0, gate: 'learned', residualScale: 0.5 }]));

test('merge and export, from an adapter, a config and the merged checkpoint', async () => {
  const merged = await glulam('merge', adapter, '--out', 'merged', '--dtype', 'float32');
  expect(merged).toMatchObject({ code: 0, out: expect.stringMatching(/^2 layers, 1,\d+,\d+ parameters, .* MB in /) });
  const [direct, again] = [
    await glulam('export', adapter, '--gguf', 'a.gguf'),
    await glulam('export', 'merged', '--gguf', 'b.gguf'),
  ];
  expect(direct).toMatchObject({ code: 0, out: expect.stringMatching(/^2 layers as f16, /) });
  expect(again).toMatchObject({ code: 0 });
  // The name of the base is in it, the weights are the same.
  const [a, b] = ['a.gguf', 'b.gguf'].map((name) => readFileSync(path.join(work, name)));
  expect(a!.subarray(-1_000_000).equals(b!.subarray(-1_000_000))).toBe(true);
  writeFileSync(
    path.join(work, 'c.json'),
    JSON.stringify({ base: tiny, expansion: { kind: 'depth_up', m: 2 }, data: { train: 'none' } }),
  );
  expect(await glulam('merge', 'c.json', '--out', 'twelve')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^12 layers/),
  });
  expect((await glulam('plan', 'c.json')).out).toContain('layer map [[0,6],[2,8]]');
});

test('several adapters are merged as their weighted sum, onto a run, a base or a config', async () => {
  const merged = async (out: string, ...args: string[]): Promise<Record<string, string>> => {
    const { code, err } = await glulam('merge', ...args, '--out', out, '--dtype', 'float32');
    expect(err).not.toMatch(/error/);
    expect(code).toBe(0);
    const folder = path.join(work, out);
    const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
    return Object.fromEntries(
      files.map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(path.join(folder, name)))
          .digest('hex'),
      ]),
    );
  };
  const other = path.join(work, 'other');
  cpSync(adapter, other, { recursive: true });
  const alone = await merged('alone', adapter);
  expect(await merged('same', tiny, '--adapter', adapter)).toEqual(alone);
  expect(await merged('none-of-it', adapter, '--adapter', `${other}=1`)).toEqual(alone);
  const half = await merged('half', adapter, '--adapter', `${adapter}=0.5`);
  expect(half).not.toEqual(alone);
  expect(await merged('halves', tiny, '--adapter', `${adapter}=0.25`, '--adapter', `${other}=0.25`)).not.toEqual(alone);
  const refused = await glulam('merge', 'c.json', '--adapter', adapter, '--out', 'x');
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringMatching(/\[ADAPTER_INVALID\].*was trained on the layers/),
  });
  const exported = await glulam('export', adapter, '--adapter', `${adapter}=0.5`, '--gguf', 'half.gguf');
  expect(exported).toMatchObject({ code: 0 });
  const twice = await glulam('export', adapter, '--adapter', adapter, '--adapter', adapter, '--gguf', 'twice.gguf');
  expect(twice).toMatchObject({ code: 1, err: expect.stringMatching(/is chosen twice/) });
});

test('a mergekit file is found from its config', async () => {
  const folder = path.join(work, 'kit');
  mkdirSync(folder);
  writeFileSync(
    path.join(folder, 'm.yaml'),
    'merge_method: passthrough\nslices:\n  - sources: [{model: m, layer_range: [0, 6]}]\n  - sources: [{model: m, layer_range: [3, 8]}]\n',
  );
  writeFileSync(
    path.join(folder, 'c.json'),
    JSON.stringify({ base: tiny, expansion: { kind: 'mergekit', file: 'm.yaml' }, data: { train: 'none' } }),
  );
  expect((await glulam('plan', 'kit/c.json')).out).toContain('layer map [[0,6],[3,8]]');
});

describe('what is wrong is said', () => {
  test.each([
    [['merge', 'ADAPTER'], /needs a place to write to: --out/],
    [['merge', 'ADAPTER', '--out', 'adapter'], /\[OUTPUT_UNUSABLE\].*adapter exists already/],
    [['merge', 'ADAPTER', '--out', 'x', '--dtype', 'int8'], /--dtype is "int8"; expected float32, bfloat16, float16/],
    [['merge', 'ADAPTER', '--out', 'x', '--shard', '1'], /no option --shard; it has --out, --dtype/],
    [['export', 'ADAPTER'], /needs a file to write: --gguf/],
    [['export', 'ADAPTER', '--gguf', 'x', '--type', 'q4'], /--type is "q4"; expected f32, f16, bf16, q8_0/],
  ])('%j', async (args, message) => {
    const { code, err } = await glulam(...args.map((each) => (each === 'ADAPTER' ? adapter : each)));
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(existsSync(path.join(work, 'x'))).toBe(false);
  });
});

test('killed at any point, there is nothing under the name, and the same command makes all of it', async () => {
  const layers = Array.from({ length: 40 }, (_, i) => ({ physical: i % 8 }));
  const deep = path.join(work, 'deep');
  await saveAdapter(deep, layers);
  const hashes = (folder: string) =>
    readdirSync(folder)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(path.join(folder, name)))
          .digest('hex'),
      ]);
  expect((await glulam('merge', deep, '--out', 'whole')).code).toBe(0);
  const out = path.join(work, 'killed');
  for (const killAt of [
    'make .killed.merging/content',
    'open .killed.merging/.progress.json.tmp',
    'open content/.model.safetensors.tmp',
    'wrote content/.model.safetensors.tmp',
    'renamed content/model.safetensors',
    'open content/config.json',
    'rename killed',
  ]) {
    expect(await killable(['merge', deep, '--out', out], { killAt }), killAt).toMatchObject(killed);
    expect(existsSync(out), killAt).toBe(false);
  }
  expect((await glulam('merge', deep, '--out', out)).code).toBe(0);
  expect(hashes(out)).toEqual(hashes(path.join(work, 'whole')));
  expect(existsSync(path.join(work, '.killed.merging'))).toBe(false);
});
