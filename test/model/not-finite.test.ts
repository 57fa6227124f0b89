import { cpSync, existsSync, mkdtempSync, openSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportGguf, mergeCheckpoint, readAdapter } from '@glulam/export';
import { openSafetensors, plainBytes, type WeightSource } from '@glulam/files';
import { adapters, families, generateTokens, openCheckpoint, scoreContinuations } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { evaluateAll, fingerprintModel, openAdapters, openEvaluators, openModel, train } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { eventsOf, tinyRun } from '../support/tiny.js';

const original = path.resolve(import.meta.dirname, '../../examples/models/tiny-mistral-gsm8k');
const data = { train: tinyRun().config.data.train };
const layers = [0, 1, 2, 3, 4, 4, 5, 6].map((physical) => ({ physical }));
const prompt = [1, 5, 9, 7];

/** Write NaN or an infinity over the value at [row, column] of a stored tensor. */
function spoil(source: WeightSource, value: number, row = 0, column = 0): void {
  const { dtype, shape } = source;
  const { path: file, byteOffset } = plainBytes(source)!;
  const word = dtype === 'bfloat16' ? 2 : 4;
  const bits = Buffer.alloc(4);
  bits.writeFloatLE(value);
  const to = openSync(file, 'r+');
  const index = row * (shape[1] ?? 1) + column;
  writeSync(to, bits.subarray(4 - word), 0, word, byteOffset + index * word);
  closeSync(to);
}

/** A base with such a value in one tensor. */
function brokenBase(name: string, value: number, row: number, column = 0) {
  const base = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-base-')), 'base');
  cpSync(original, base, { recursive: true });
  const file = path.join(base, 'model.safetensors');
  spoil(openSafetensors(file).source(name), value, row, column);
  return { base, file };
}

const named = (file: string, name: string, value: number, at: string) =>
  expect.stringContaining(`tensor ${name} of ${file} holds ${value} at [${at}], expected finite numbers`) as string;

describe.each([
  ['model.embed_tokens.weight', NaN, 5, 3],
  ['model.layers.0.input_layernorm.weight', NaN, 2, 0],
  ['model.layers.5.self_attn.v_proj.weight', NaN, 3, 7],
  ['model.layers.4.mlp.down_proj.weight', Infinity, 9, 1],
  ['model.layers.6.mlp.up_proj.weight', -Infinity, 1, 1],
  ['model.norm.weight', NaN, 1, 0],
] as const)('a base whose %s holds %d', (name, value, row, column) => {
  const isVector = name.includes('norm');
  const open = (): { base: string; file: string; message: string } => {
    const { base, file } = brokenBase(name, value, row, column);
    return { base, file, message: named(file, name, value, isVector ? `${row}` : `${row}, ${column}`) };
  };

  test('training names it', async () => {
    const { base, message } = open();
    const { config, composition, out } = tinyRun({
      base,
      data,
      train: { steps: 2, batch: 4 },
      evaluate: { evaluators: [] },
    });
    // The row of the embedding is one that the data has.
    if (name.includes('embed')) spoil(openSafetensors(path.join(base, 'model.safetensors')).source(name), value, 1, 3);
    const said = name.includes('embed')
      ? expect.stringMatching(/tensor model\.embed_tokens\.weight of .*NaN at \[1, 3\]/)
      : message;
    const failure = { code: 'LOSS_NOT_FINITE', message: said };
    await expect(train(config, composition)).rejects.toMatchObject(failure);
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'run.failed', ...failure });
    expect(existsSync(path.join(out, 'adapter'))).toBe(false);
  });

  test('generation and scores name it', async () => {
    const { base, message } = open();
    const failure = { code: 'WEIGHT_NOT_FINITE', message };
    const { config, composition } = tinyRun({ base });
    const { decoder, tokenizer, close } = await openModel(config, composition);
    const generating = generateTokens(decoder, prompt, { maxNewTokens: 3 }).next();
    await expect(generating).rejects.toMatchObject(failure);
    const encoder = { encode: (text: string) => (text === 'a' ? prompt : [...prompt, 3]) };
    await expect(scoreContinuations(decoder, encoder, 'a', ['b'])).rejects.toMatchObject(failure);
    const heldOut = [{ ids: Int32Array.from(prompt), trained: Uint8Array.from([0, 1, 1, 1]) }];
    const context = { decoder, tokenizer, heldOut, signal: new AbortController().signal };
    const scores = evaluateAll(openEvaluators(config, composition), context);
    await expect(scores.next()).rejects.toMatchObject(failure);
    if (!name.includes('embed')) await expect(fingerprintModel(decoder, tokenizer)).rejects.toMatchObject(failure);
    await close();
  });

  test('merging and exporting name it', async () => {
    const { base, message } = open();
    const failure = { code: 'WEIGHT_NOT_FINITE', message };
    const { composition } = tinyRun();
    const checkpoint = await openCheckpoint(base, composition.all(families));
    const folder = path.dirname(base);
    const scaled = layers.map((layer) => ({ ...layer, residualScale: 0.5 }));
    for (const source of [
      { checkpoint, layers },
      { checkpoint, layers: scaled },
    ])
      for (const dtype of [undefined, 'float32'] as const) {
        await expect(mergeCheckpoint(source, { out: path.join(folder, 'merged'), dtype })).rejects.toMatchObject(
          failure,
        );
        expect(existsSync(path.join(folder, 'merged'))).toBe(false);
      }
    const file = path.join(folder, 'x.gguf');
    await expect(exportGguf({ checkpoint, layers }, { file, type: 'q8_0' })).rejects.toMatchObject(failure);
    expect(existsSync(file)).toBe(false);
  });
});

test('a layer that the expansion leaves out is not to blame', async () => {
  const { base, file } = brokenBase('model.layers.1.mlp.up_proj.weight', NaN, 0);
  spoil(openSafetensors(file).source('model.layers.6.mlp.up_proj.weight'), NaN, 0);
  const { config, composition } = tinyRun({ base, expansion: { kind: 'layer_map', layer_map: [[2, 8]] } });
  const { decoder, close } = await openModel(config, composition);
  const generating = generateTokens(decoder, prompt, { maxNewTokens: 3 }).next();
  await expect(generating).rejects.toMatchObject({
    message: named(file, 'model.layers.6.mlp.up_proj.weight', NaN, '0, 0'),
  });
  await close();
});

describe('a saved adapter with NaN', () => {
  const name = 'base_model.model.model.layers.3.mlp.up_proj.lora_B.weight';
  const saved = (async () => {
    const { config, composition, out } = tinyRun({ data, train: { steps: 2, batch: 1 }, evaluate: { evaluators: [] } });
    await train(config, composition);
    return { config, composition, folder: path.join(out, 'adapter') };
  })();
  /** A copy with one broken value. */
  async function broken(): Promise<{
    config: ReturnType<typeof tinyRun>['config'];
    composition: Composition;
    adapter: string;
    failure: object;
  }> {
    const { config, composition, folder } = await saved;
    const adapter = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-adapter-')), 'adapter');
    cpSync(folder, adapter, { recursive: true });
    const file = path.join(adapter, 'adapter_model.safetensors');
    spoil(openSafetensors(file).source(name), NaN, 4, 2);
    return {
      config,
      composition,
      adapter,
      failure: { code: 'WEIGHT_NOT_FINITE', message: named(file, name, NaN, '4, 2') },
    };
  }

  test('is refused where it is put on a model', async () => {
    const { config, composition, adapter, failure } = await broken();
    await expect(openModel(config, composition, { adapterFolder: adapter })).rejects.toMatchObject(failure);
    const own = { name: 'a', folder: adapter };
    await expect(openAdapters(config, composition, { own })).rejects.toMatchObject(failure);
  });

  test('is refused where it is merged', async () => {
    const { config, composition, adapter, failure } = await broken();
    const checkpoint = await openCheckpoint(config.base, composition.all(families));
    const read = readAdapter(adapter, composition.all(adapters), checkpoint.spec);
    const source = { checkpoint, layers: read.layers!, saved: read };
    const out = path.join(adapter, '../merged');
    await expect(mergeCheckpoint(source, { out })).rejects.toMatchObject(failure);
    await expect(exportGguf(source, { file: `${out}.gguf`, type: 'f16' })).rejects.toMatchObject(failure);
    expect([existsSync(out), existsSync(`${out}.gguf`)]).toEqual([false, false]);
  });
});
