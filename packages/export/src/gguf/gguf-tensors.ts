import { ggmlEncode, q8Block, sizeOf, type GgmlType } from '@glulam/files';
import { inverseFrequencies, type RopeSettings } from '@glulam/model';
import { checkFloat16, rowBlocks } from '../merge/encode-rows.js';
import type { MergedModel, MergedTensor } from '../merge/merged-model.js';

/** In what a GGUF file holds matrices; vectors (norms and biases) are float32 in all of them. */
export type GgufType = 'f32' | 'f16' | 'bf16' | 'q8_0';

interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const ggmlNames: Readonly<Record<MergedTensor['role'], string>> = {
  embedding: 'token_embd',
  finalNorm: 'output_norm',
  head: 'output',
  attentionNorm: 'attn_norm',
  mlpNorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const matrixTypes: Readonly<Record<GgufType, GgmlType>> = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0' };

/** A merged model's tensors by llama.cpp's names, in its types and order of rows. */
export function ggufTensors({ base, tensors }: MergedModel, wanted: GgufType): GgufTensor[] {
  const { headSize, rope } = base.shape;
  const factors = ropeFactors(rope, headSize);
  return [
    ...tensors.map((tensor): GgufTensor => {
      const { shape, role, virtual } = tensor;
      const name = `${virtual === undefined ? '' : `blk.${virtual}.`}${ggmlNames[role]}.${tensor.name.endsWith('.bias') ? 'bias' : 'weight'}`;
      const type = typeOf(shape, wanted);
      const rotated = role === 'self_attn.q_proj' || role === 'self_attn.k_proj';
      return { name, shape, type, bytes: () => encode(tensor, type, rotated ? headSize : undefined) };
    }),
    ...(factors === undefined
      ? []
      : [
          {
            name: 'rope_freqs.weight',
            shape: [factors.length],
            type: 'F32' as const,
            bytes: () => [ggmlEncode(factors, 'F32')],
          },
        ]),
  ];
}

/** Rows that are no whole number of blocks cannot be Q8_0; llama.cpp's own converter makes them float16. */
function typeOf(shape: readonly number[], wanted: GgufType): GgmlType {
  if (shape.length === 1) return 'F32';
  return wanted === 'q8_0' && shape[1]! % q8Block.values !== 0 ? 'F16' : matrixTypes[wanted];
}

async function* encode(tensor: MergedTensor, type: GgmlType, headSize: number | undefined): AsyncGenerator<Uint8Array> {
  const read = await tensor.open();
  const width = sizeOf(tensor.shape) / tensor.shape[0]!;
  for (const { start, end } of rowBlocks(tensor.shape, headSize ?? 1)) {
    const rows = read(start, end);
    if (type === 'F16') checkFloat16(tensor.name, rows);
    yield ggmlEncode(headSize === undefined ? rows : interleaveHeads(rows, width, headSize), type);
  }
}

/**
 * llama.cpp rotates neighbours (0, 1), (2, 3), ... of a head where transformers rotates element i and i + headSize / 2: its
 * rows 2 i and 2 i + 1 are transformers' i and i + headSize / 2.
 */
function interleaveHeads(rows: Float32Array, width: number, headSize: number): Float32Array {
  const result = new Float32Array(rows.length);
  const half = headSize / 2;
  for (let row = 0; row < rows.length / width; row++) {
    const [head, inHead] = [Math.floor(row / headSize) * headSize, row % headSize];
    const to = head + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
    result.set(rows.subarray(row * width, (row + 1) * width), to * width);
  }
  return result;
}

/** What llama.cpp divides each frequency by: Llama 3's scaling, which has no metadata of its own. */
function ropeFactors(rope: RopeSettings, headSize: number): Float32Array | undefined {
  if (rope.type !== 'llama3') return undefined;
  const scaled = inverseFrequencies(rope, headSize);
  return inverseFrequencies({ type: 'default', theta: rope.theta }, headSize).map((plain, i) => plain / scaled[i]!);
}
