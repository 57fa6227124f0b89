import path from 'node:path';
import { attentionOf, type BlockSpec, type ModelSpec } from '@glulam/model';
import { expect, test } from 'vitest';
import { madeBase } from '../../test/made.js';
import { ggufModelOf, modelMetadata } from './gguf-model.js';

const layers = [0, 1, 0].map((physical) => ({ physical }));
const valuesOf = async (config: Readonly<Record<string, unknown>>, type: 'f32' | 'f16' | 'bf16' | 'q8_0') => {
  const { checkpoint } = await madeBase(config);
  const model = ggufModelOf(checkpoint.spec, 'tiny');
  const metadata = modelMetadata({ base: checkpoint, layers, tiedHead: false, tensors: [] }, model, type);
  return {
    folder: checkpoint.folder,
    values: Object.fromEntries([...metadata].map(([key, { value }]) => [key, value])),
  };
};

test('what a file says of the model', async () => {
  const { folder, values } = await valuesOf({ rms_norm_eps: 1e-5 }, 'bf16');
  expect(values).toEqual({
    'general.architecture': 'llama',
    'general.name': path.basename(folder),
    'general.file_type': 32,
    'general.quantization_version': 2,
    // The virtual layers.
    'llama.block_count': 3,
    'llama.context_length': 64,
    'llama.embedding_length': 8,
    'llama.feed_forward_length': 6,
    'llama.attention.head_count': 2,
    'llama.attention.head_count_kv': 1,
    // Heads need not divide the embedding's length.
    'llama.attention.key_length': 4,
    'llama.attention.value_length': 4,
    'llama.attention.layer_norm_rms_epsilon': 1e-5,
    'llama.rope.dimension_count': 4,
    'llama.rope.freq_base': 100,
    'llama.vocab_size': 5,
  });
});

test.each([
  ['f32', 0],
  ['f16', 1],
  ['q8_0', 7],
] as const)('%s is the file type %i', async (type, number) => {
  expect((await valuesOf({}, type)).values['general.file_type']).toBe(number);
});

test('a linear scaling of rope is said; that of Llama 3 is a tensor instead', async () => {
  const scalingOf = (values: Record<string, unknown>) =>
    Object.entries(values).filter(([key]) => key.includes('scaling'));
  const linear = await valuesOf({ rope_scaling: { rope_type: 'linear', factor: 2.5 } }, 'f32');
  expect(scalingOf(linear.values)).toEqual([
    ['llama.rope.scaling.type', 'linear'],
    ['llama.rope.scaling.factor', 2.5],
  ]);
  const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  const scaled = await valuesOf({ rope_scaling: { ...llama3, original_max_position_embeddings: 32 } }, 'f32');
  expect(scalingOf(scaled.values)).toEqual([]);
});

test('a model that GGUF cannot say is refused with the reason', async () => {
  const { spec } = (await madeBase()).checkpoint;
  const { rope } = attentionOf(spec.layers[0]!)!;
  const changed = (change: (block: BlockSpec) => BlockSpec): ModelSpec => ({
    ...spec,
    layers: [spec.layers[0]!, { blocks: spec.layers[1]!.blocks.map(change) }],
  });
  const gelu: ModelSpec = {
    ...spec,
    layers: spec.layers.map(({ blocks }) => ({
      blocks: blocks.map((block) =>
        block.kind === 'mlp' ? ({ ...block, activation: 'gelu_pytorch_tanh' } as BlockSpec) : block,
      ),
    })),
  };
  const { gguf, ...nameless } = spec;
  const cases: readonly [ModelSpec, RegExp][] = [
    [nameless, /"tiny" cannot be exported to GGUF: their family gives no GGUF names/],
    [{ ...spec, gguf: { ...gguf!, tensors: { lm_head: 'output' } } }, /gives no GGUF name for model.embed_tokens, /],
    [changed((block) => ({ ...block, rope: undefined })), /differ in the rotary embedding/],
    [changed((block) => ({ ...block, heads: 1 }) as BlockSpec), /differ in the number of heads/],
    [changed((block) => ({ ...block, norm: { ...block.norm!, epsilon: 1 } })), /norms differ in the epsilon/],
    [{ ...spec, layers: [{ blocks: [] }] }, /their layers have no number of heads/],
    [gelu, /their activation is gelu_pytorch_tanh, and llama.cpp's architecture "llama" computes silu/],
    [
      changed((block) => (block.kind === 'mlp' ? { ...block, outputScale: 2 } : block)),
      /differ in the scale of outputs/,
    ],
    [
      { ...spec, layers: spec.layers.map(({ blocks }) => ({ blocks: [...blocks, blocks[0]!] })) },
      /a layer has more than one block of the kind attention/,
    ],
    [changed((block) => ({ ...block, rope: rope && { ...rope, dimensions: 2 } })), /turns a part of each head/],
  ];
  expect(rope).toBeDefined();
  for (const [each, message] of cases) expect(() => ggufModelOf(each, 'tiny')).toThrow(message);
});
