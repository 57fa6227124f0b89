import path from 'node:path';
import { createDora, doraContribution } from '@glulam/adapter-dora';
import { createLora, loraContribution } from '@glulam/adapter-lora';
import { describeMerged, mergeCheckpoint, sumSaved, type SavedPart } from '@glulam/export';
import { readFloats } from '@glulam/files';
import {
  createAdapterSet,
  openCheckpoint,
  packTokens,
  type Adapter,
  type SavedAdapter,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import {
  answersOfCheckpoint,
  difference,
  families,
  freshFolder,
  ia3,
  logitsAt,
  prompt,
  randomValues,
  root,
} from '../support/expanded.js';

const checkpoint = await openCheckpoint(path.join(root, 'fixtures/golden/mistral-base/base'), families);
const n = checkpoint.spec.layers.length;
const plain: VirtualLayer[] = [...Array.from({ length: n }, (_, physical) => ({ physical })), { physical: 0 }];
const gated: VirtualLayer[] = [...plain, { physical: n - 1, gate: 'learned', residualScale: 0.7 }];

const lora = (options: object) => createLora(loraContribution.schema.parse(options));
const adapters: Record<string, Adapter> = {
  a: lora({ r: 3, lora_alpha: 6 }),
  b: lora({ r: 2, lora_alpha: 1, target_modules: ['q_proj', 'down_proj'] }),
  dora: createDora(doraContribution.schema.parse({ r: 2, lora_alpha: 2 })),
  pissa: lora({ r: 2, init_lora_weights: 'pissa' }),
  ia3: ia3.create({}),
  norms: lora({ modules_to_save: ['input_layernorm'] }),
};

function savedOf(name: string, layers: readonly VirtualLayer[]): SavedAdapter {
  const adapter = adapters[name]!;
  const values = randomValues(checkpoint, layers, adapter, 7 + Object.keys(adapters).indexOf(name));
  return { adapter, choice: { kind: adapter.kind, options: { name } }, layers, values, base: undefined, warnings: [] };
}
const partsOf = (weights: Readonly<Record<string, number>>, layers: readonly VirtualLayer[]): SavedPart[] =>
  Object.entries(weights).map(([name, weight]) => ({ name, weight, saved: savedOf(name, layers) }));

const sums: Record<string, number>[] = [
  { a: 0.3 },
  { a: 0.5, b: -1.5 },
  { dora: 0.25, b: 2 },
  { dora: 0.5, a: 1 },
  { pissa: 0.5, a: -0.25 },
];

describe('a weighted sum of adapters, merged', () => {
  test.each(sums)('%j: each weight is W + sum of w_i (W_i - W)', async (weights) => {
    const merged = async (parts: readonly SavedPart[]): Promise<Map<string, Float32Array>> => {
      const { tensors } = describeMerged({ checkpoint, layers: plain, saved: sumSaved(checkpoint, plain, parts) });
      const read = tensors.map(async ({ name, shape, open }) => [name, await (await open())(0, shape[0]!)] as const);
      return new Map(await Promise.all(read));
    };
    const parts = partsOf(weights, plain);
    const alone = await Promise.all(parts.map((part) => merged([{ ...part, weight: 1 }])));
    const sources = new Map(
      describeMerged({ checkpoint, layers: plain }).tensors.map(({ name, source }) => [name, source]),
    );
    for (const [name, values] of await merged(parts)) {
      const W = readFloats(sources.get(name)!);
      const expected = W.map((w, i) =>
        alone.reduce((sum, each, part) => sum + parts[part]!.weight * (each.get(name)![i]! - w), w),
      );
      expect(difference(values, expected), name).toBeLessThan(1e-6);
    }
  });

  test.each(sums.filter((weights) => !('pissa' in weights)))(
    '%j: it has the logits of the sum that generates, gates included',
    async (weights) => {
      const parts = partsOf(weights, gated);
      const out = path.join(freshFolder(), 'merged');
      await mergeCheckpoint(
        { checkpoint, layers: gated, saved: sumSaved(checkpoint, gated, parts) },
        { out, dtype: 'float32' },
      );
      const set = createAdapterSet({
        engine: createReferenceEngine({ precision: 'float32' }),
        checkpoint,
        layers: gated,
      });
      for (const { name, saved } of parts) await set.add(name, saved);
      const expected = await logitsAt(
        await set.decoder(parts),
        packTokens([prompt(checkpoint.spec.vocabularySize)]),
        [0, 11, 23],
      );
      expect(difference((await answersOfCheckpoint(out)).logits, expected)).toBeLessThan(1e-4);
      set.close();
    },
  );

  test('of one with weight 1 is that one, and weight 0 is none', async () => {
    const [part] = partsOf({ norms: 1 }, gated);
    expect(sumSaved(checkpoint, gated, [part!])).toBe(part!.saved);
    const { values } = sumSaved(checkpoint, gated, partsOf({ a: 0, b: 0.5 }, gated));
    expect([...values.keys()].some((name) => name.includes('.0.lora_'))).toBe(false);
    expect([...values.keys()].some((name) => name.includes('.1.lora_'))).toBe(true);
  });

  test('what has no sum is refused, with the adapter named', async () => {
    const refuse = (parts: readonly SavedPart[], message: RegExp) => {
      expect(() => sumSaved(checkpoint, gated, parts)).toThrow(expect.objectContaining({ code: 'ADAPTER_INVALID' }));
      expect(() => sumSaved(checkpoint, gated, parts)).toThrow(message);
    };
    refuse(partsOf({ a: 1, norms: 0.5 }, gated), /"norms" has its own .*input_layernorm.weight, which has no weighted/);
    refuse(partsOf({ a: NaN }, gated), /weight of "a" is NaN/);
    refuse(
      [...partsOf({ a: 1 }, gated), ...partsOf({ b: 1 }, plain)],
      /"b" was trained on the layers .*this model has/,
    );
    const [a, b] = partsOf({ a: 1, b: 1 }, gated);
    refuse([a!, { ...b!, saved: { ...b!.saved, values: a!.saved.values } }], /"b" does not fit .*: [^]*has shape/);
    const { tensors } = describeMerged({
      checkpoint,
      layers: plain,
      saved: sumSaved(checkpoint, plain, partsOf({ ia3: 0.5, dora: 0.5 }, plain)),
    });
    const down = tensors.find(({ name }) => name.endsWith('down_proj.weight'))!;
    await expect(down.open()).rejects.toThrow(/cannot be summed: one scales inputs and one outputs/);
  });
});
