/** A value of GGUF's metadata, by the format's types. */
export type GgufValue =
  | { readonly type: 'uint32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'float32s' | 'int32s'; readonly value: readonly number[] };

/** Keys to values, in the order of the file. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Values of each type of the metadata that is written here. */
export const ggufValue = {
  uint32: (value: number): GgufValue => ({ type: 'uint32', value }),
  float32: (value: number): GgufValue => ({ type: 'float32', value }),
  bool: (value: boolean): GgufValue => ({ type: 'bool', value }),
  string: (value: string): GgufValue => ({ type: 'string', value }),
  strings: (value: readonly string[]): GgufValue => ({ type: 'strings', value }),
  float32s: (value: readonly number[]): GgufValue => ({ type: 'float32s', value }),
  int32s: (value: readonly number[]): GgufValue => ({ type: 'int32s', value }),
};

/** Types of tensors, by the numbers that the format gives them. */
const ggmlTypes = { F32: 0, F16: 1, Q8_0: 8, BF16: 30 } as const;
/** How a GGUF file stores a tensor's values. */
export type GgmlType = keyof typeof ggmlTypes;

/** A tensor of the file; `shape` is row-major as everywhere here, the file has it reversed. */
export interface GgufTensorInfo {
  /** By llama.cpp's names, such as `blk.7.attn_q.weight`. */
  readonly name: string;
  /** Length of each axis. */
  readonly shape: readonly number[];
  /** How its values are stored. */
  readonly type: GgmlType;
  /** From the start of the tensors' data, a multiple of `alignment`. */
  readonly offset: number;
}

/** The format's default; tensors and their data begin at multiples of it. */
export const alignment = 32;
/** A number of bytes rounded up to `alignment`. */
export const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 };

/**
 * Everything before the tensors' data, padded to `alignment`: GGUF version 3, little-endian
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 */
export function encodeGgufHeader(metadata: GgufMetadata, tensors: readonly GgufTensorInfo[]): Buffer {
  const parts: Buffer[] = [];
  const put = (size: number, write: (buffer: Buffer) => void): void => {
    const buffer = Buffer.alloc(size);
    write(buffer);
    parts.push(buffer);
  };
  const u32 = (value: number): void => put(4, (buffer) => buffer.writeUInt32LE(value));
  const u64 = (value: number): void => put(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  const list = (type: number, length: number): void => {
    u32(valueTypes.array);
    u32(type);
    u64(length);
  };
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(metadata.size);
  for (const [key, { type, value }] of metadata) {
    text(key);
    switch (type) {
      case 'uint32':
        u32(valueTypes.uint32);
        u32(value);
        break;
      case 'float32':
        u32(valueTypes.float32);
        put(4, (buffer) => buffer.writeFloatLE(value));
        break;
      case 'bool':
        u32(valueTypes.bool);
        put(1, (buffer) => buffer.writeUInt8(value ? 1 : 0));
        break;
      case 'string':
        u32(valueTypes.string);
        text(value);
        break;
      case 'strings':
        list(valueTypes.string, value.length);
        value.forEach(text);
        break;
      case 'float32s':
        list(valueTypes.float32, value.length);
        for (const item of value) put(4, (buffer) => buffer.writeFloatLE(item));
        break;
      case 'int32s':
        list(valueTypes.int32, value.length);
        for (const item of value) put(4, (buffer) => buffer.writeInt32LE(item));
        break;
    }
  }
  for (const { name, shape, type, offset } of tensors) {
    text(name);
    u32(shape.length);
    for (const length of [...shape].reverse()) u64(length);
    u32(ggmlTypes[type]);
    u64(offset);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat(parts, padded(length));
}
