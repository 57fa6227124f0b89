import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { MergeSource } from '@glulam/export';
import { openSafetensors, readFloats, sizeOf, writeSafetensors } from '@glulam/files';
import {
  openDecoder,
  generateTokens,
  gateName,
  linearSites,
  openCheckpoint,
  packTokens,
  wholeShape,
  type Adapter,
  type AdapterContribution,
  type AdapterValues,
  type Checkpoint,
  type Decoder,
  type TokenBatch,
  type VirtualLayer,
} from '@glulam/model';
import { createReferenceEngine, normals } from '@glulam/tensors';
import { z } from 'zod';
import { families } from './families.js';

export const root = path.resolve(import.meta.dirname, '../..');
export const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
export { families };
export const freshFolder = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-expanded-'));

/**
 * An adapter's tensors (and gates) with random values, so that everything in them counts. What is never trained is the same
 * on all uses of a physical layer.
 */
export function randomValues(
  { spec }: Pick<Checkpoint, 'spec'>,
  layers: readonly VirtualLayer[],
  adapter: Adapter,
  seed = 7,
): AdapterValues {
  const values = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  const put = (name: string, size: readonly number[], spread: number, center = 0): Float32Array => {
    const drawn = normals(sizeOf(size), [seed, 7, 7, values.size]).map((value) => center + spread * value);
    values.set(name, { shape: size, values: drawn });
    return drawn;
  };
  for (const site of linearSites(spec, layers))
    for (const parameter of adapter.at(site)?.parameters ?? []) {
      const { name, fixed } = parameter;
      const size = wholeShape(parameter);
      const drawn = put(`${site.path}.${name}`, size, 0.1, /scale|magnitude/.test(name) ? 1 : 0);
      if (fixed === undefined) continue;
      const common = normals(drawn.length, [seed, site.physical, site.index, fixed.axis]);
      drawn.forEach((_, at) => {
        const place = fixed.axis === 0 ? Math.floor(at / size[1]!) : at % size[1]!;
        if (place >= parameter.shape[fixed.axis]!) drawn[at] = 0.1 * common[at]!;
      });
    }
  layers.forEach(({ gate }, virtual) => {
    if (gate !== undefined) put(gateName(spec, virtual), [1], 0.1, 0.6);
  });
  return values;
}

/** IA3 (Liu et al. 2022), from the contract alone: keys, values and the MLP's inner activations are rescaled. */
export const ia3: AdapterContribution<object> = {
  kind: 'ia3',
  schema: z.strictObject({}),
  create: () => ({
    kind: 'ia3',
    at({ linear, inFeatures, outFeatures }) {
      const inner = linear === 'mlp.down_proj';
      if (!inner && linear !== 'self_attn.k_proj' && linear !== 'self_attn.v_proj') return undefined;
      const shape = [inner ? inFeatures : outFeatures];
      return {
        parameters: [{ name: 'ia3_scale', shape, initial: () => new Float32Array(shape[0]!).fill(1) }],
        form: ({ ia3_scale: scale }) => (inner ? { inScale: scale! } : { outScale: scale!, biasScale: scale! }),
      };
    },
    peftConfig: () => ({ peft_type: 'IA3', task_type: 'CAUSAL_LM' }),
  }),
  fromPeft: (config) => (config['peft_type'] === 'IA3' ? {} : undefined),
};

/** A base with random weights and a bias in every linear layer, as a Llama of transformers may have. */
export async function biasedBase(): Promise<string> {
  const folder = freshFolder();
  const from = path.join(root, 'fixtures/golden/llama-base-tied/base');
  cpSync(from, folder, { recursive: true });
  const config = JSON.parse(readFileSync(path.join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, attention_bias: true, mlp_bias: true }));
  const weights = openSafetensors(path.join(from, 'model.safetensors'));
  const tensors = weights.names().map((name) => ({
    name,
    shape: weights.source(name).shape,
    dtype: 'float32' as const,
    values: readFloats(weights.source(name)),
  }));
  const biases = tensors
    .filter(({ name }) => name.includes('_proj'))
    .map(({ name, shape }, i) => ({
      name: name.replace('.weight', '.bias'),
      shape: [shape[0]!],
      dtype: 'float32' as const,
      values: normals(shape[0]!, [1, 2, 3, i]).map((value) => 0.2 * value),
    }));
  await writeSafetensors(path.join(folder, 'model.safetensors'), [...tensors, ...biases]);
  return folder;
}

export const prompt = (vocabulary: number): number[] => Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % vocabulary);

/** Logits at some rows of a batch, by default at all. */
export async function logitsAt(
  decoder: Decoder,
  batch: TokenBatch,
  rows: readonly number[] = Array.from(batch.ids.keys()),
): Promise<Float32Array> {
  const hidden = await decoder.forward(batch);
  const logits = decoder.logits(hidden, rows);
  const values = (await decoder.engine.read(logits)) as Float32Array;
  hidden.release();
  logits.release();
  return values;
}

/** Logits at a few rows and greedy tokens, on the reference engine in float32. */
export async function answersOf(
  open: (engine: ReturnType<typeof createReferenceEngine>) => Promise<Decoder>,
): Promise<{ logits: Float32Array; tokens: number[] }> {
  const engine = createReferenceEngine({ precision: 'float32' });
  const decoder = await open(engine);
  const ids = prompt(decoder.spec.vocabularySize);
  const hidden = await decoder.forward(packTokens([ids]));
  const logits = (await engine.read(decoder.logits(hidden, [0, 11, 23]))) as Float32Array;
  const tokens: number[] = [];
  for await (const id of generateTokens(decoder, ids.slice(0, 8), { maxNewTokens: 12 })) tokens.push(id);
  await engine.close();
  return { logits, tokens };
}

export const answersOfExpanded = ({ checkpoint, layers, saved }: MergeSource) =>
  answersOf(
    async (engine) =>
      await openDecoder({ engine, checkpoint, layers, adapter: saved?.adapter, adapterValues: saved?.values }),
  );

export const answersOfCheckpoint = (folder: string) =>
  answersOf(async (engine) => openDecoder({ engine, checkpoint: await openCheckpoint(folder, families) }));

/** The largest difference, as a part of the largest value. */
export function difference(got: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]!)), 0) / largest;
}
