import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { exportGguf } from '@glulam/export';
import { openCheckpointFiles, readFloats } from '@glulam/files';
import { openCheckpoint } from '@glulam/model';
import { gguf } from '@huggingface/gguf';
import { expect, test } from 'vitest';
import { families, freshFolder, root } from '../support/expanded.js';

// By llama.cpp's names. What it computes of these files was compared by hand, see docs/merge-and-export.md.
const baseOf = (name: string): string => path.join(root, 'fixtures/golden/families', name, 'base');

/** A copy of a base whose config has other fields. */
function edited(name: string, fields: Readonly<Record<string, unknown>>): string {
  const folder = freshFolder();
  cpSync(baseOf(name), folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...fields }));
  return folder;
}

async function exported(base: string, map: readonly number[]) {
  const checkpoint = await openCheckpoint(base, families);
  const file = path.join(freshFolder(), 'model.gguf');
  const layers = map.map((physical) => ({ physical }));
  const { notes } = await exportGguf({ checkpoint, layers }, { file, type: 'f32' });
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
  const bytes = readFileSync(file);
  const values = (name: string): number[] => {
    const { shape, offset } = tensorInfos.find((each) => each.name === name)!;
    const start = Number(tensorDataOffset) + Number(offset);
    const size = shape.reduce((product, length) => product * Number(length), 1);
    return Array.from({ length: size }, (_, i) => bytes.readFloatLE(start + 4 * i));
  };
  const ofLayer = tensorInfos.flatMap(({ name }) => /^blk\.0\.(.+)\.weight$/.exec(name)?.[1] ?? []);
  return { metadata: metadata as unknown as Record<string, unknown>, ofLayer, values, notes };
}

const plain = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
const norms = ['attn_norm', 'ffn_norm'];
const queryKeyNorms = ['attn_q_norm', 'attn_k_norm'];

test.each<[string, readonly number[], Record<string, unknown>, string[], Record<string, unknown>]>([
  ['qwen2-expanded-lora', [0, 1, 1, 2], {}, [...plain, ...norms], { 'qwen2.rope.freq_base': 1e6 }],
  ['qwen3-expanded-lora', [0, 1, 1], {}, [...plain, ...norms, ...queryKeyNorms], { 'qwen3.attention.key_length': 12 }],
  [
    'gemma2-expanded-lora',
    [0, 1, 2, 3, 2, 3],
    { query_pre_attn_scalar: 16 },
    [...plain, ...norms, 'post_attention_norm', 'post_ffw_norm'],
    {
      'gemma2.attention.sliding_window': 6,
      'gemma2.attn_logit_softcapping': 3,
      'gemma2.final_logit_softcapping': 5,
      'gemma2.block_count': 6,
    },
  ],
  [
    'gemma3-expanded-lora',
    [0, 1, 3, 4, 0, 2],
    { query_pre_attn_scalar: 16 },
    [...plain, ...norms, ...queryKeyNorms, 'post_attention_norm', 'post_ffw_norm'],
    { 'gemma3.attention.sliding_window': 6, 'gemma3.rope.freq_base': 1e6 },
  ],
  [
    'olmo2-expanded-lora',
    [0, 1, 1],
    {},
    [...plain, ...queryKeyNorms, 'post_attention_norm', 'post_ffw_norm'],
    { 'olmo2.rope.freq_base': 5e5 },
  ],
  [
    'phi3-expanded-lora',
    [0, 1, 1],
    {},
    ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down', ...norms],
    { 'phi3.rope.dimension_count': 8 },
  ],
  ['smollm3-expanded-lora', [0, 1, 2, 3, 0, 1, 2, 3], {}, [...plain, ...norms], { 'smollm3.rope.freq_base': 2e6 }],
  [
    'granite-expanded-lora',
    [0, 1, 1],
    {},
    [...plain, ...norms],
    {
      'granite.embedding_scale': 6,
      'granite.attention.scale': Math.fround(0.2),
      'granite.logit_scale': Math.fround(0.7),
    },
  ],
  [
    'llama-yarn',
    [0, 1, 1],
    {},
    [...plain, ...norms],
    {
      'llama.rope.scaling.type': 'yarn',
      'llama.rope.scaling.factor': 4,
      'llama.rope.scaling.original_context_length': 32,
    },
  ],
])('%s, layers %j', async (name, map, fields, tensors, metadata) => {
  const got = await exported(edited(name, fields), map);
  expect(got.ofLayer.sort()).toEqual([...tensors].sort());
  expect(got.metadata).toMatchObject({ 'general.architecture': Object.keys(metadata)[0]!.split('.')[0], ...metadata });
});

test('norms have what llama.cpp multiplies with, which Gemma stores less 1', async () => {
  const base = edited('gemma2-expanded-lora', { query_pre_attn_scalar: 16 });
  const { values } = await exported(base, [0, 1]);
  const stored = openCheckpointFiles(base);
  for (const [ours, theirs] of [
    ['output_norm.weight', 'model.norm.weight'],
    ['blk.1.post_ffw_norm.weight', 'model.layers.1.post_feedforward_layernorm.weight'],
  ] as const)
    expect(values(ours)).toEqual([...readFloats(stored.source(theirs))].map((value) => Math.fround(value + 1)));
});

test('longrope has its factors as tensors', async () => {
  const { metadata, values } = await exported(baseOf('phi3-longrope'), [0, 1, 1]);
  expect(values('rope_factors_long.weight')).toEqual([1.2, 1.5, 2.1, 3, 4.5, 8].map(Math.fround));
  expect(values('rope_factors_short.weight')).toHaveLength(6);
  expect(metadata).toMatchObject({
    'phi3.rope.dimension_count': 12,
    'phi3.rope.scaling.original_context_length': 32,
    'phi3.rope.scaling.attn_factor': Math.fround(Math.sqrt(1 + Math.log(4) / Math.log(32))),
  });
});

test('a window that llama.cpp does not know is noted', async () => {
  const { notes } = await exported(baseOf('phi3-expanded-lora'), [0, 1]);
  expect(notes.join()).toMatch(/knows no sliding window for this architecture: beyond 9 tokens/);
});

test.each<[string, readonly number[], Record<string, unknown>, RegExp]>([
  [
    'gemma2-expanded-lora',
    [0, 1, 1, 2, 3],
    { query_pre_attn_scalar: 16 },
    /takes every 2th layer for one without a window and the others for such with one, and layer 2 here is of the other kind/,
  ],
  ['smollm3-expanded-lora', [0, 1, 2, 1], {}, /every 4th layer for one without a rotary embedding .* layer 3 here/],
  ['gemma2-expanded-lora', [0, 1], {}, /scores are multiplied by 0.204.*multiplies by 0.25, whatever a file says/],
  [
    'gemma2-expanded-lora',
    [0, 1],
    { query_pre_attn_scalar: 16, attn_logit_softcapping: null },
    /have the caps none and 5, and llama.cpp's architecture "gemma2" has both/,
  ],
  [
    'gemma3-expanded-lora',
    [0, 1, 3, 4, 0, 2],
    {
      query_pre_attn_scalar: 16,
      rope_parameters: {
        full_attention: { rope_type: 'default', rope_theta: 1e6 },
        sliding_attention: { rope_type: 'default', rope_theta: 5e4 },
      },
    },
    /layers with a window turn by .*50000.* turns them by the base 10000/,
  ],
  [
    'llama-yarn',
    [0, 1],
    { rope_parameters: { rope_type: 'yarn', rope_theta: 1e4, factor: 4, beta_fast: 16 } },
    /of the type yarn with settings of its own .* computes the usual ones/,
  ],
  [
    'llama-yarn',
    [0, 1],
    { rope_parameters: { rope_type: 'dynamic', rope_theta: 1e4, factor: 4 } },
    /of the type dynamic, which llama.cpp does not compute/,
  ],
])('%s, layers %j, %j is refused', async (name, map, fields, message) => {
  await expect(exported(edited(name, fields), map)).rejects.toThrow(message);
});
