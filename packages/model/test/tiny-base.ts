import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sizeOf, writeSafetensors } from '@glulam/files';
import { uniforms } from '@glulam/tensors';
import { describeCheckpoint, openCheckpoint, readLlamaSpec, type Checkpoint, type Family } from '../src/index.js';

/** Two layers, of which only the first has a window, biases in some linear layers, and heads wider than the residual stream. */
const family: Family = {
  kind: 'tiny',
  describe: (config) =>
    readLlamaSpec(config, () => ({
      maxPositions: 64,
      slidingWindow: [3, 0],
      biased: ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.down_proj'],
    })),
};

export interface TinyBase {
  readonly checkpoint: Checkpoint;
  /** All values of its tensors, by name. */
  readonly values: ReadonlyMap<string, readonly number[]>;
}

/** Numbers between -size and size, the same for the same use. */
export const drawn = (count: number, use: number, size = 1): Float32Array =>
  uniforms(count, [0x64, 0x65, 0x63, use]).map((value) => size * (2 * value - 1));

/** A base of float32 tensors with seeded values in a folder of its own. */
export async function tinyBase({ tiedHead = false } = {}): Promise<TinyBase> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-tiny-base-'));
  const config = {
    model_type: family.kind,
    hidden_size: 8,
    intermediate_size: 6,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    rms_norm_eps: 0.01,
    vocab_size: 11,
    rope_theta: 100,
    tie_word_embeddings: tiedHead,
    torch_dtype: 'float32',
  };
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const { files } = (await describeCheckpoint(folder, [family])).checkpoint;
  const tensors = files.names().map((name, use) => {
    const { shape } = files.source(name);
    const isNorm = name.endsWith('norm.weight');
    const values = drawn(sizeOf(shape), use, isNorm ? 0.3 : 0.8).map((value) => (isNorm ? 1 + value : value));
    return { name, shape, dtype: 'float32' as const, values };
  });
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return {
    checkpoint: await openCheckpoint(folder, [family]),
    values: new Map(tensors.map(({ name, values }) => [name, [...values]])),
  };
}
