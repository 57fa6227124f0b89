import { encodeFloats, ggmlEncode, sizeOf } from '@glulam/files';
import { attentionOf, llamaLinears } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { drawn, madeBase, madeTensor } from '../../test/made.js';
import type { MergedModel, MergedTensor } from '../merge/merged-model.js';
import { ggufModelOf } from './gguf-model.js';
import { ggufTensors as tensorsOf, type GgufTensor, type GgufType } from './gguf-tensors.js';

const { checkpoint } = await madeBase();
const modelOf = (tensors: readonly MergedTensor[], base = checkpoint): MergedModel => ({
  base,
  ...{ layers: [{ physical: 0 }], tiedHead: false, tensors },
});

const ggufTensors = (merged: MergedModel, type: GgufType): GgufTensor[] =>
  tensorsOf(merged, ggufModelOf(merged.base.spec, 'tiny'), type);

async function bytesOf(tensor: GgufTensor): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tensor.bytes()) pieces.push(piece);
  return Buffer.concat(pieces);
}

const outside = ['model.embed_tokens', 'model.norm', 'lm_head'];
const modules = [...outside, 'input_layernorm', 'post_attention_layernorm', ...llamaLinears];

describe('tensors of a GGUF file', () => {
  test('have llama.cpp’s names, by role, layer and kind', () => {
    const tensors = modules.map((module) =>
      madeTensor([2, 2], drawn(4, 1), { module, virtual: outside.includes(module) ? undefined : 7 }),
    );
    const bias = madeTensor([2], drawn(2, 1), { module: 'self_attn.q_proj', virtual: 3, kind: 'bias' });
    expect(ggufTensors(modelOf([...tensors, bias]), 'f32').map(({ name }) => name)).toEqual([
      ...[
        'token_embd.weight',
        'output_norm.weight',
        'output.weight',
        'blk.7.attn_norm.weight',
        'blk.7.ffn_norm.weight',
      ],
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map(
        (name) => `blk.7.${name}.weight`,
      ),
      'blk.3.attn_q.bias',
    ]);
  });

  test.each([
    ['f32', 'F32', 'F32'],
    ['f16', 'F16', 'F16'],
    ['bf16', 'BF16', 'BF16'],
    ['q8_0', 'Q8_0', 'F16'],
  ] as const)('as %s: matrices %s, vectors F32, rows that are no whole blocks %s', async (wanted, matrix, odd) => {
    const shapes = [[3, 64], [64], [3, 40]];
    const values = shapes.map((shape, use) => drawn(sizeOf(shape), use));
    const tensors = ggufTensors(modelOf(shapes.map((shape, i) => madeTensor(shape, values[i]))), wanted);
    expect(tensors.map(({ type }) => type)).toEqual([matrix, 'F32', odd]);
    for (const [i, tensor] of tensors.entries())
      expect((await bytesOf(tensor)).equals(Buffer.from(ggmlEncode(values[i]!, tensor.type)))).toBe(true);
  });

  test('rows of q and k are turned from halves to neighbours, head by head, and no others', async () => {
    const { headSize } = attentionOf(checkpoint.spec.layers[0]!)!;
    const [heads, width] = [3, 2];
    const shape = [heads * headSize, width];
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);
    // transformers rotates row i of a head with i + 2, llama.cpp with its neighbour: 0, 2, 1, 3.
    const turned = Array.from({ length: heads }, (_, head) => [0, 2, 1, 3].map((row) => headSize * head + row)).flat();
    for (const module of llamaLinears) {
      const isTurned = module === 'self_attn.q_proj' || module === 'self_attn.k_proj';
      const order = isTurned ? turned : [...turned.keys()];
      const [matrix, vector] = ggufTensors(
        modelOf([
          madeTensor(shape, values, { module }),
          madeTensor([shape[0]!], values.slice(0, shape[0]), { module, kind: 'bias' }),
        ]),
        'f32',
      );
      const rows = order.flatMap((row) => [width * row, width * row + 1]);
      expect((await bytesOf(matrix!)).equals(Buffer.from(encodeFloats(Float32Array.from(rows), 'float32')))).toBe(true);
      expect((await bytesOf(vector!)).equals(Buffer.from(encodeFloats(Float32Array.from(order), 'float32')))).toBe(
        true,
      );
    }
  });

  test('heads stay whole where a tensor is written in blocks', async () => {
    const { headSize } = attentionOf(checkpoint.spec.layers[0]!)!;
    // A block of 2^20 values has room for 1,047 of these rows, which are no whole heads.
    const width = 1001;
    const shape = [1050 * headSize, width];
    const order = Float32Array.from({ length: shape[0]! }, (_, row) => row);
    const values = new Float32Array(sizeOf(shape));
    order.forEach((row) => (values[row * width] = row));
    const [tensor] = ggufTensors(modelOf([madeTensor(shape, values, { module: 'self_attn.k_proj' })]), 'f32');
    const bytes = await bytesOf(tensor!);
    const expected = new Float32Array(values.length);
    order.forEach((row) => {
      const [head, inHead] = [Math.floor(row / headSize), row % headSize];
      expected[(headSize * head + [0, 2, 1, 3][inHead]!) * width] = row;
    });
    expect(bytes.equals(Buffer.from(encodeFloats(expected, 'float32')))).toBe(true);
  });

  test('a value beyond float16 is refused', async () => {
    const values = drawn(4, 1).fill(1e5, 2, 3);
    const [tensor] = ggufTensors(modelOf([madeTensor([2, 2], values)]), 'f16');
    await expect(bytesOf(tensor!)).rejects.toMatchObject({ code: 'MERGE_IMPOSSIBLE' });
  });

  test('the scaling of Llama 3’s rope is a tensor of factors, and no other is', async () => {
    const scaling = {
      ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      original_max_position_embeddings: 32,
    };
    const { checkpoint: scaled } = await madeBase({ rope_scaling: scaling });
    const [tensor] = ggufTensors(modelOf([], scaled), 'q8_0');
    expect(tensor).toMatchObject({ name: 'rope_freqs.weight', shape: [2], type: 'F32' });
    // Frequencies are 1 and 0.1: in 32 tokens one turns 5 times, which is left, the other half a time, which is scaled.
    expect((await bytesOf(tensor!)).equals(Buffer.from(encodeFloats(Float32Array.of(1, 8), 'float32')))).toBe(true);
    for (const rope of [{}, { rope_scaling: { rope_type: 'linear', factor: 2 } }])
      expect(ggufTensors(modelOf([], (await madeBase(rope)).checkpoint), 'f32')).toEqual([]);
  });
});
