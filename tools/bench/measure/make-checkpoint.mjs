#!/usr/bin/env node
// Writes a Mistral-shaped checkpoint of seeded random bfloat16 weights, for measurements of speed and memory.
//
// usage: node tools/bench/measure/make-checkpoint.mjs FOLDER [--shape small|bench|mistral]
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { writeFolderAtomic, writeSafetensors } from '@glulam/files';
import { normals } from '@glulam/tensors';

/** `mistral`: Mistral 7B's, 14.5 GB; `bench`: 1.0 B parameters, 2.0 GB; `small`: 130 M; `tiny` is for tests. */
export const shapes = {
  tiny: {
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 128,
  },
  small: {
    hidden_size: 768,
    intermediate_size: 2688,
    num_hidden_layers: 8,
    num_attention_heads: 12,
    num_key_value_heads: 4,
    vocab_size: 32000,
  },
  bench: {
    hidden_size: 2048,
    intermediate_size: 7168,
    num_hidden_layers: 16,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    vocab_size: 32000,
  },
  mistral: {
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 32000,
  },
};

/** Name and shape of each tensor. */
/** @returns {Generator<[name: string, shape: number[]]>} */
export function* tensorsOf(shape) {
  const { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers, vocab_size: vocabulary } = shape;
  const keyValues = (hidden / shape.num_attention_heads) * shape.num_key_value_heads;
  yield ['model.embed_tokens.weight', [vocabulary, hidden]];
  for (let layer = 0; layer < layers; layer++) {
    const name = (part) => `model.layers.${layer}.${part}.weight`;
    yield [name('input_layernorm'), [hidden]];
    yield [name('self_attn.q_proj'), [hidden, hidden]];
    yield [name('self_attn.k_proj'), [keyValues, hidden]];
    yield [name('self_attn.v_proj'), [keyValues, hidden]];
    yield [name('self_attn.o_proj'), [hidden, hidden]];
    yield [name('post_attention_layernorm'), [hidden]];
    yield [name('mlp.gate_proj'), [inner, hidden]];
    yield [name('mlp.up_proj'), [inner, hidden]];
    yield [name('mlp.down_proj'), [hidden, inner]];
  }
  yield ['model.norm.weight', [hidden]];
  yield ['lm_head.weight', [vocabulary, hidden]];
}

/** Random values cost time by the billion: a long tensor repeats a seeded million, shifted by its own prime step. */
function valuesOf(index, shape, pool) {
  const size = shape.reduce((product, length) => product * length, 1);
  if (shape.length === 1) return new Float32Array(size).fill(1);
  const values = new Float32Array(size);
  const step = 7919 * (index + 1);
  for (let i = 0; i < size; i++) values[i] = pool[(i + step * (1 + Math.floor(i / pool.length))) % pool.length];
  return values;
}

/** Write the checkpoint in shards of at most `shardBytes`, tensor by tensor; an existing folder is taken as it is. */
export async function makeCheckpoint(folder, shapeName, shardBytes = 500e6) {
  if (existsSync(folder)) return;
  const shape = shapes[shapeName];
  const pool = normals(1_000_003, [0, 0, 0, 0]).map((value) => value * 0.02);
  /** @type {import('@glulam/files').SafetensorsInput[][]} */
  const shards = [[]];
  let filled = 0;
  let total = 0;
  for (const [index, [name, dims]] of [...tensorsOf(shape)].entries()) {
    const bytes = 2 * dims.reduce((product, length) => product * length, 1);
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1].push({ name, shape: dims, dtype: 'bfloat16', values: () => valuesOf(index, dims, pool) });
    filled += bytes;
    total += bytes;
  }
  const config = {
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    ...shape,
    head_dim: shape.hidden_size / shape.num_attention_heads,
    hidden_act: 'silu',
    max_position_embeddings: 32768,
    rms_norm_eps: 1e-5,
    sliding_window: 4096,
    tie_word_embeddings: false,
    rope_parameters: { rope_theta: 10000, rope_type: 'default' },
    dtype: 'bfloat16',
    bos_token_id: 1,
    eos_token_id: 2,
  };
  await writeFolderAtomic(folder, async (temporary) => {
    await writeFile(path.join(temporary, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    /** @type {Record<string, string>} */
    const map = {};
    for (const [i, shard] of shards.entries()) {
      const count = String(shards.length).padStart(5, '0');
      const file =
        shards.length === 1 ? 'model.safetensors' : `model-${String(i + 1).padStart(5, '0')}-of-${count}.safetensors`;
      await writeSafetensors(path.join(temporary, file), shard);
      for (const { name } of shard) map[name] = file;
    }
    const index = { metadata: { total_size: total }, weight_map: map };
    if (shards.length > 1)
      await writeFile(path.join(temporary, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`);
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    options: { shape: { type: 'string', default: 'small' } },
    allowPositionals: true,
  });
  if (positionals.length !== 1 || !(values.shape in shapes)) {
    console.error(
      `usage: node tools/bench/measure/make-checkpoint.mjs FOLDER [--shape ${Object.keys(shapes).join('|')}]`,
    );
    process.exit(1);
  }
  await makeCheckpoint(positionals[0], values.shape);
}
