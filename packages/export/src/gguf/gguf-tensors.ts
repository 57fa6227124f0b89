import { ggmlEncode, q8Block, sizeOf, type GgmlType } from '@glulam/files';
import { attentionOf, inverseFrequencies, normsOf, type ModelSpec, type RopeSpec } from '@glulam/model';
import { ExportError } from '../errors.js';
import { checkFloat16, rowBlocks } from '../merge/encode-rows.js';
import type { MergedModel, MergedTensor } from '../merge/merged-model.js';
import type { GgufModel } from './gguf-model.js';

/** In what a GGUF file holds matrices; vectors (norms and biases) are float32 in all of them. */
export type GgufType = 'f32' | 'f16' | 'bf16' | 'q8_0';

export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const matrixTypes: Readonly<Record<GgufType, GgmlType>> = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0' };

/** A merged model's tensors by llama.cpp's names, in its types and order of rows. */
export function ggufTensors({ base, tensors }: MergedModel, model: GgufModel, wanted: GgufType): GgufTensor[] {
  const { names, headSize, rope } = model;
  const factors = ropeFactors(rope);
  const offsets = normOffsets(base.spec);
  const turned = names.turnsNeighbours ? turnedModules(base.spec) : undefined;
  return [
    ...tensors.map((tensor): GgufTensor => {
      const { shape, module, kind, virtual } = tensor;
      const name = `${virtual === undefined ? '' : `blk.${virtual}.`}${names.tensors[module]!}.${kind}`;
      const type = typeOf(shape, wanted);
      const isTurned = virtual !== undefined && turned?.has(module) === true;
      const offset = offsets.get(module) ?? 0;
      return {
        name,
        shape,
        type,
        bytes: () => encode(tensor, type, { headSize: isTurned ? headSize : undefined, offset }),
      };
    }),
    ...factors.map(({ name, values }) => ({
      name,
      shape: [values.length],
      type: 'F32' as const,
      bytes: () => [ggmlEncode(values, 'F32')],
    })),
  ];
}

/** Rows that are no whole number of blocks cannot be Q8_0; llama.cpp's own converter makes them float16. */
function typeOf(shape: readonly number[], wanted: GgufType): GgmlType {
  if (shape.length === 1) return 'F32';
  return wanted === 'q8_0' && shape[1]! % q8Block.values !== 0 ? 'F16' : matrixTypes[wanted];
}

async function* encode(
  tensor: MergedTensor,
  type: GgmlType,
  { headSize, offset }: { readonly headSize: number | undefined; readonly offset: number },
): AsyncGenerator<Uint8Array> {
  const read = await tensor.open();
  const width = sizeOf(tensor.shape) / tensor.shape[0]!;
  for (const { start, end } of rowBlocks(tensor.shape, headSize ?? 1)) {
    const stored = await read(start, end);
    const rows = offset === 0 ? stored : stored.map((value) => value + offset);
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

/** What is added to the stored weights of norms, by module: llama.cpp's graphs multiply with what the file has. */
const normOffsets = ({ layers, hiddenSize, finalNorm }: ModelSpec): ReadonlyMap<string, number> =>
  new Map(
    [...layers.flatMap((layer) => normsOf(layer, hiddenSize).map(({ norm }) => norm)), finalNorm].map(
      ({ name, offset = 0 }) => [name, offset],
    ),
  );

/** What llama.cpp divides each frequency by: scalings that have no metadata of their own. */
function ropeFactors({
  settings,
  dimensions,
}: RopeSpec): readonly { readonly name: string; readonly values: Float32Array }[] {
  if (settings.type === 'longrope')
    return [
      { name: 'rope_factors_long.weight', values: Float32Array.from(settings.longFactor) },
      { name: 'rope_factors_short.weight', values: Float32Array.from(settings.shortFactor) },
    ];
  if (settings.type !== 'llama3') return [];
  const scaled = inverseFrequencies(settings, dimensions);
  const plain = inverseFrequencies({ type: 'default', theta: settings.theta }, dimensions);
  return [{ name: 'rope_freqs.weight', values: plain.map((frequency, i) => frequency / scaled[i]!) }];
}

/** Linear layers whose output is turned by position; a fused one is not supported there. */
function turnedModules({ layers }: ModelSpec): Set<string> {
  const linears = layers.flatMap((layer) => attentionOf(layer)?.linears ?? []);
  const fused = linears.find(({ role }) => role === 'queryKeyValue');
  if (fused !== undefined)
    throw new ExportError(
      'GGUF_UNSUPPORTED',
      `${fused.name} holds queries, keys and values in one, whose rows cannot change their order for an architecture of llama.cpp that turns neighbours`,
    );
  return new Set(linears.filter(({ role }) => role === 'query' || role === 'key').map(({ name }) => name));
}
