import { formatShape, sizeOf } from '../numbers/shape.js';
import { FilesError } from '../errors.js';
import { writeFileAtomic } from '../folders/atomic-file.js';
import type { DType } from '../numbers/dtype.js';
import { encodeFloats } from '../numbers/encode-floats.js';
import { fileDtypes, type FileDtype } from './safetensors-header.js';

type Now<T> = T | Promise<T>;

/**
 * One tensor to write, its content given now or made when its turn comes:
 * - `values`, floats to round to the dtype, to nearest even;
 * - `data`, bytes as the file is to hold them (little-endian, row-major), of any dtype, also by the file's own name for
 *   it; in pieces where the whole would not fit in memory.
 */
export type SafetensorsInput = { readonly name: string; readonly shape: readonly number[] } & (
  | {
      readonly dtype: 'float32' | 'bfloat16' | 'float16';
      readonly values: Float32Array | (() => Now<Float32Array>);
    }
  | {
      readonly dtype: DType | FileDtype;
      readonly data: ArrayBufferView | (() => Now<ArrayBufferView> | AsyncIterable<ArrayBufferView>);
    }
);

const fileNames: Readonly<Record<DType, FileDtype>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
  int32: 'I32',
};
const writingOrder = Object.keys(fileDtypes);

/** So many values are rounded at a time. */
const blockValues = 2 ** 20;
/** One call of the operating system writes less than 2 GiB. */
const blockBytes = 2 ** 26;

/** A tensor with its place in the file. */
interface Placed {
  readonly input: SafetensorsInput;
  readonly dtype: FileDtype;
  readonly byteLength: number;
}

/**
 * Write a safetensors file atomically, tensor by tensor, byte for byte as the reference writes it: by type, the widest
 * first, then by name, the header padded with spaces to 8 bytes.
 *
 * Throws BAD_ARGUMENT before anything is written where the inputs do not fit their shapes; WRITE_FAILED for what happens
 * later, with the cause.
 */
export async function writeSafetensors(
  file: string,
  inputs: readonly SafetensorsInput[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Promise<void> {
  const placed = inputs.map((input) => place(file, input)).sort(compare);
  const names = new Set<string>();
  for (const { input } of placed) {
    if (names.has(input.name)) throw badArgument(file, input, 'is given twice');
    names.add(input.name);
  }
  const header = encodeHeader(placed, metadata);
  const bytes = placed.reduce((sum, { byteLength }) => sum + byteLength, header.length);
  await writeFileAtomic(
    file,
    async (handle) => {
      const write = async (data: Uint8Array): Promise<void> => {
        for (let done = 0; done < data.length;) {
          done += (await handle.write(data, done, Math.min(data.length - done, blockBytes))).bytesWritten;
        }
      };
      await write(header);
      for (const { input, byteLength } of placed) {
        let left = byteLength;
        for await (const piece of piecesOf(file, input)) {
          left -= piece.length;
          if (left < 0) break;
          await write(piece);
        }
        if (left !== 0)
          throw badArgument(file, input, `gave ${left < 0 ? 'more' : `${left} fewer`} bytes than its ${byteLength}`);
      }
    },
    { bytes },
  );
}

function place(file: string, input: SafetensorsInput): Placed {
  const { name, shape } = input;
  // Lone surrogates have no UTF-8, other readers refuse them.
  if (name === '__metadata__' || /\p{Surrogate}/u.test(name)) {
    throw badArgument(file, input, 'has a name that the format does not allow');
  }
  const dtype = Object.hasOwn(fileNames, input.dtype) ? fileNames[input.dtype as DType] : (input.dtype as FileDtype);
  if (!Object.hasOwn(fileDtypes, dtype)) {
    const known = [...Object.keys(fileNames), ...writingOrder].join(', ');
    throw badArgument(file, input, `has dtype ${String(dtype)}, expected one of ${known}`);
  }
  const byteLength = (sizeOf(shape) * fileDtypes[dtype]) / 8;
  if (!shape.every((length) => Number.isInteger(length) && length >= 0) || !Number.isSafeInteger(byteLength)) {
    throw badArgument(
      file,
      input,
      `has shape ${formatShape(shape)}, expected whole numbers from 0 that make whole bytes`,
    );
  }
  if ('values' in input) {
    if (typeof input.values !== 'function') checkValues(file, input, input.values);
  } else if (typeof input.data !== 'function' && input.data.byteLength !== byteLength) {
    const takes = `takes ${byteLength} bytes as ${dtype} ${formatShape(shape)}`;
    throw badArgument(
      file,
      input,
      `has ${input.data.byteLength} bytes of data, but ${takes}; floats to round are given as values`,
    );
  }
  return { input, dtype, byteLength };
}

function checkValues(file: string, input: SafetensorsInput, values: Float32Array): void {
  const size = sizeOf(input.shape);
  if (values.length === size) return;
  throw badArgument(file, input, `has ${values.length} values, its shape ${formatShape(input.shape)} wants ${size}`);
}

/** Names compare by their UTF-8, as Rust compares strings; JavaScript's own order differs beyond the basic plane. */
function compare(a: Placed, b: Placed): number {
  const byType = writingOrder.indexOf(a.dtype) - writingOrder.indexOf(b.dtype);
  return byType || Buffer.compare(Buffer.from(a.input.name), Buffer.from(b.input.name));
}

/** Member by member: an object would put a tensor named 7 first and lose one named __proto__. */
function encodeHeader(placed: readonly Placed[], metadata: Readonly<Record<string, string>>): Buffer {
  const members = Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  let begin = 0;
  for (const { input, dtype, byteLength } of placed) {
    const end = begin + byteLength;
    members.push(
      `${JSON.stringify(input.name)}:${JSON.stringify({ dtype, shape: input.shape, data_offsets: [begin, end] })}`,
    );
    begin = end;
  }
  const text = Buffer.from(`{${members.join(',')}}`);
  const padding = (8 - (text.length % 8)) % 8;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length + padding));
  return Buffer.concat([prefix, text, Buffer.alloc(padding, ' ')]);
}

async function* piecesOf(file: string, input: SafetensorsInput): AsyncGenerator<Uint8Array> {
  if ('values' in input) {
    const values = typeof input.values === 'function' ? await input.values() : input.values;
    checkValues(file, input, values);
    for (let start = 0; start < values.length; start += blockValues) {
      yield encodeFloats(values.subarray(start, start + blockValues), input.dtype);
    }
    return;
  }
  const data = typeof input.data === 'function' ? await input.data() : input.data;
  if (ArrayBuffer.isView(data)) yield bytesOf(data);
  else for await (const piece of data) yield bytesOf(piece);
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function badArgument(file: string, { name }: { readonly name: string }, message: string): FilesError {
  return new FilesError('BAD_ARGUMENT', `${file}: tensor ${name} ${message}`);
}
