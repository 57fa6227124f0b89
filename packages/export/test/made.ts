import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeFloats, plainSource, sizeOf, writeSafetensors, type WeightSource } from '@glulam/files';
import {
  describeCheckpoint,
  openCheckpoint,
  readLlamaSpec,
  wholeShape,
  type Adapter,
  type AdapterParameter,
  type AdapterValues,
  type Checkpoint,
  type Family,
  type SiteAdapter,
} from '@glulam/model';
import { uniforms } from '@glulam/tensors';
import type { MergedTensor } from '../src/merge/merged-model.js';

export const freshFolder = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-export-'));

/** Numbers between -1 and 1, the same for the same use. */
export const drawn = (count: number, use: number): Float32Array =>
  uniforms(count, [0x65, 0x78, 0x70, use]).map((value) => 2 * value - 1);

/** A tensor of a checkpoint with these values, in a file of its own, behind some bytes of something else. */
export function madeSource(
  shape: readonly number[],
  values: Float32Array,
  dtype: 'float32' | 'bfloat16' | 'float16' = 'float32',
): WeightSource {
  const file = path.join(freshFolder(), 'weights');
  const bytes = encodeFloats(values, dtype);
  const byteOffset = 8;
  writeFileSync(file, Buffer.concat([Buffer.alloc(byteOffset, 1), bytes]));
  return plainSource({ name: 'model.norm.weight', shape, dtype, file, byteOffset });
}

/** A tensor of a merged model. Where it is `changed`, its values are other than those of its source. */
export function madeTensor(
  shape: readonly number[],
  values: Float32Array = drawn(sizeOf(shape), 1),
  { changed = true, ...more }: Partial<MergedTensor> = {},
): MergedTensor {
  const width = sizeOf(shape.slice(1));
  return {
    ...{ name: 'model.layers.0.mlp.up_proj.weight', shape, changed },
    ...{ role: 'linear', module: 'mlp.up_proj', kind: 'weight', virtual: 0 },
    source: more.source ?? madeSource(shape, changed ? values.map((value) => -value) : values),
    open: () =>
      Promise.resolve((start: number, end: number) => Promise.resolve(values.slice(start * width, end * width))),
    ...more,
  };
}

const family: Family = {
  kind: 'tiny',
  describe: (config) =>
    readLlamaSpec(config, () => ({
      maxPositions: 64,
      slidingWindow: 0,
      biased: ['self_attn.q_proj', 'mlp.down_proj'],
    })),
};

const fields = {
  model_type: family.kind,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  vocab_size: 5,
  rope_theta: 100,
  torch_dtype: 'float32',
};

export interface MadeBase {
  readonly checkpoint: Checkpoint;
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** A base of two layers; `change` has the values before they are written. */
export async function madeBase(
  config: Readonly<Record<string, unknown>> = {},
  change: (values: Map<string, Float32Array>) => void = () => {},
): Promise<MadeBase> {
  const folder = freshFolder();
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...fields, ...config }));
  const { files } = (await describeCheckpoint(folder, [family])).checkpoint;
  const shapes = files.names().map((name) => [name, files.source(name).shape] as const);
  const values = new Map(shapes.map(([name, shape], use) => [name, drawn(sizeOf(shape), use)]));
  change(values);
  const tensors = shapes.map(([name, shape]) => ({
    name,
    shape,
    dtype: 'float32' as const,
    values: values.get(name)!,
  }));
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return { checkpoint: await openCheckpoint(folder, [family]), values };
}

export const lowRankScale = 0.5;

/** An adapter whose form has everything that a form may have; a bias of its own only where the checkpoint has one. */
export const madeAdapter: Adapter = {
  kind: 'made',
  at({ linear, hasBias, inFeatures, outFeatures }): SiteAdapter | undefined {
    if (linear === 'mlp.up_proj') return undefined;
    const shapes: Record<string, readonly number[]> = {
      ...{ A: [3, inFeatures], B: [outFeatures, 3], inScale: [inFeatures], outScale: [outFeatures] },
      ...(hasBias && { biasScale: [outFeatures], bias: [outFeatures] }),
    };
    const parameters = Object.entries(shapes).map(([name, shape]): AdapterParameter => {
      return { name, shape, initial: () => new Float32Array(sizeOf(shape)) };
    });
    return {
      parameters,
      form: ({ A, B, ...others }) => ({ ...others, lowRank: { A: A!, B: B!, scale: lowRankScale } }),
    };
  },
  peftConfig: () => ({}),
};

/** Values of all the adapter's tensors at these sites, and of others by name. */
export function madeValues(
  sites: readonly { readonly path: string; readonly adapter: SiteAdapter | undefined }[],
  others: Readonly<Record<string, readonly number[]>> = {},
): AdapterValues {
  const shapes = [
    ...sites.flatMap(({ path: at, adapter }) =>
      (adapter?.parameters ?? []).map((each) => [`${at}.${each.name}`, wholeShape(each)] as const),
    ),
    ...Object.entries(others),
  ];
  return new Map(shapes.map(([name, shape], use) => [name, { shape, values: drawn(sizeOf(shape), 50 + use) }]));
}
