import {
  bytesPerElement,
  encodeFloats,
  notFiniteIn,
  plainBytes,
  readBytes,
  sizeOf,
  type FilePart,
  type WeightSource,
} from '@glulam/files';
import { brokenBase, describeNotFinite, weightNotFinite } from '@glulam/model';
import { ExportError } from '../errors.js';
import type { MergedDtype } from './merged-config.js';
import type { MergedTensor } from './merged-model.js';

/** About so many values are in memory at a time, as float32 and encoded. */
const blockValues = 2 ** 20;

/** The dtype that a tensor is stored in: the one asked for, or its own in the base. Of a quantized one, that of its values. */
export const storedDtype = ({ source }: MergedTensor, dtype: MergedDtype | undefined): MergedDtype =>
  dtype ?? (source.dtype as MergedDtype); // openCheckpoint refuses integers

/** Blocks of whole rows, each a multiple of `multiple` rows. */
export function* rowBlocks(
  shape: readonly number[],
  multiple = 1,
): Generator<{ readonly start: number; readonly end: number }> {
  const rows = shape[0] ?? 1;
  const width = sizeOf(shape) / rows;
  const step = Math.max(1, Math.floor(blockValues / width / multiple)) * multiple;
  for (let start = 0; start < rows; start += step) yield { start, end: Math.min(start + step, rows) };
}

/** A merged tensor's bytes in a dtype, block by block; a tensor that is stored so in the base is copied. */
export async function* encodeTensor(tensor: MergedTensor, dtype: MergedDtype): AsyncGenerator<Uint8Array> {
  const stored = plainBytes(tensor.source);
  if (!tensor.changed && dtype === tensor.source.dtype && stored !== undefined) {
    yield* copyBytes(tensor.source, stored);
    return;
  }
  const read = await tensor.open();
  for (const { start, end } of rowBlocks(tensor.shape)) {
    const values = await read(start, end);
    if (dtype === 'float16') checkFloat16(tensor.name, values);
    yield encodeFloats(values, dtype);
  }
}

/** float16 ends at 65504; what a larger value would become is an infinity, and a model of no use. */
export function checkFloat16(name: string, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]!) < 65520) continue;
    throw new ExportError(
      'MERGE_IMPOSSIBLE',
      `${name} holds ${values[i]}, which float16 cannot: its largest number is 65504; merge in bfloat16 or float32`,
    );
  }
}

function* copyBytes(source: WeightSource, { path, byteOffset, byteLength }: FilePart): Generator<Uint8Array> {
  const step = blockValues * bytesPerElement.float32;
  for (let done = 0; done < byteLength; done += step) {
    const bytes = readBytes(path, byteOffset + done, Math.min(step, byteLength - done));
    const broken = notFiniteIn(source, bytes, done / bytesPerElement[source.dtype]);
    if (broken !== undefined) throw weightNotFinite(`${describeNotFinite(source, broken)}: ${brokenBase}`);
    yield bytes;
  }
}
