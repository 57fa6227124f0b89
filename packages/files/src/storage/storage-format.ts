import { bytesPerElement, fromBfloat16Bits, fromFloat16Bits, type DType } from '../numbers/dtype.js';
import { sizeOf, type Shape } from '../numbers/shape.js';

/** Some bytes of a part: from `start` on, up to but without `end`. */
export type ByteRange = readonly [start: number, end: number];

/**
 * How the values of a tensor are laid out in bytes. A tensor has one or more parts (packed values, scales, ...), each of
 * them bytes; its elements are counted in row-major order. All functions are pure.
 */
export interface StorageFormat {
  /** Its name in plans and messages: `bfloat16`, `q8_0`. */
  readonly kind: string;
  /** What arithmetic sees: every value that `decode` gives is one of this type. */
  readonly dtype: DType;
  /** Names of the parts, in the order in which a `WeightSource` has them. */
  readonly parts: readonly string[];
  /** Bytes of each part of a tensor of this shape. Throws a plain Error where the format has no such tensors. */
  sizes(shape: Shape): readonly number[];
  /** For each part, the byte range needed to decode elements `[start, end)` of a tensor of this shape. */
  extents(shape: Shape, start: number, end: number): readonly ByteRange[];
  /**
   * Elements `[start, end)` of a tensor of this shape as float32.
   *
   * @param bytes of each part those that `extents` names, in buffers that begin with them
   * @param values has room for exactly these elements
   */
  decode(bytes: readonly Uint8Array[], shape: Shape, start: number, end: number, values: Float32Array): void;
}

/** Bytes of a tensor of this shape, all its parts together. */
export const storedBytes = (format: StorageFormat, shape: Shape): number =>
  format.sizes(shape).reduce((sum, bytes) => sum + bytes, 0);

function plain(dtype: DType): StorageFormat {
  const bytes = bytesPerElement[dtype];
  return {
    kind: dtype,
    dtype,
    parts: ['values'],
    sizes: (shape) => [sizeOf(shape) * bytes],
    extents: (_, start, end) => [[start * bytes, end * bytes]],
    decode([stored], _shape, _start, _end, values) {
      widen(stored!, dtype, values);
    },
  };
}

// Files are little-endian, and so is every platform that Glulam runs on.
function widen(bytes: Uint8Array, dtype: DType, values: Float32Array): void {
  if (dtype === 'int32') throw new Error('integers are no weights');
  if (dtype === 'float32') {
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength).set(bytes);
    return;
  }
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
  const one = dtype === 'bfloat16' ? fromBfloat16Bits : fromFloat16Bits;
  for (let i = 0; i < values.length; i++) values[i] = one(words[i]!);
}

/** Element after element, each as wide as its type: what safetensors files have for tensors that are not quantized. */
export const plainFormats: Readonly<Record<DType, StorageFormat>> = {
  float32: plain('float32'),
  bfloat16: plain('bfloat16'),
  float16: plain('float16'),
  int32: plain('int32'),
};

/** Whether a tensor's bytes are its elements, one after the other. */
export const isPlain = (format: StorageFormat): boolean => format === plainFormats[format.dtype];

/** The bytes of a block in one of its parts. */
interface BlockPart {
  /** Of a whole block. */
  readonly bytes: number;
  /** Of a short block with this many elements; without this function it takes as many as a whole one. */
  ofShort?(elements: number): number;
}

/** What a format of blocks is made of. A block is a run of elements; every part of the format has bytes for each block. */
export interface BlockFormatOptions {
  /** As `StorageFormat.kind`. */
  readonly kind: string;
  /** As `StorageFormat.dtype`. */
  readonly dtype: Exclude<DType, 'int32'>;
  /** Elements of a block. */
  readonly elements: number;
  /** By their names. */
  readonly parts: Readonly<Record<string, BlockPart>>;
  /** Whether blocks run on from one row into the next. Otherwise rows must be whole numbers of blocks. */
  readonly crossesRows?: boolean;
  /**
   * Decode whole blocks, as many as fill `values`. The bytes of a short last block may end early: what is decoded beyond them is
   * dropped, and must not throw.
   */
  decodeBlocks(bytes: readonly Uint8Array[], values: Float32Array): void;
}

/** A format whose elements lie in blocks. Where blocks cross rows the last one of a tensor may be short. */
export function blockFormat(options: BlockFormatOptions): StorageFormat {
  const { kind, dtype, elements, crossesRows = false } = options;
  const parts = Object.values(options.parts);
  /** Bytes of the first `count` elements of a tensor. */
  const bytesOf = ({ bytes, ofShort }: BlockPart, count: number): number => {
    const rest = count % elements;
    const ofRest = rest === 0 ? 0 : (ofShort?.(rest) ?? bytes);
    return Math.floor(count / elements) * bytes + ofRest;
  };
  const check = (shape: Shape): void => {
    const columns = shape.at(-1) ?? 1;
    if (crossesRows || columns % elements === 0) return;
    throw new Error(`rows of ${columns} elements are not a whole number of blocks of ${elements}`);
  };
  return {
    kind,
    dtype,
    parts: Object.keys(options.parts),
    sizes(shape) {
      check(shape);
      const count = sizeOf(shape);
      return parts.map((part) => bytesOf(part, count));
    },
    extents(shape, start, end) {
      const first = Math.floor(start / elements);
      const last = Math.min(sizeOf(shape), Math.ceil(end / elements) * elements);
      return parts.map((part) => [first * part.bytes, bytesOf(part, last)]);
    },
    decode(bytes, _, start, end, values) {
      const before = start % elements;
      const blocks = Math.ceil((before + end - start) / elements);
      if (blocks * elements === values.length) return options.decodeBlocks(bytes, values);
      const whole = new Float32Array(blocks * elements);
      options.decodeBlocks(bytes, whole);
      values.set(whole.subarray(before, before + values.length));
    },
  };
}
