import { describe, expect, test } from 'vitest';
import {
  alignment,
  encodeGgufHeader,
  ggufValue,
  padded,
  type GgufMetadata,
  type GgufTensorInfo,
} from './gguf-header.js';

const { bool, float32, float32s, int32s, string, strings, uint32 } = ggufValue;

/** A reader of GGUF version 3, byte by byte as its description has it. */
function readHeader(bytes: Buffer) {
  let at = 0;
  const take = (size: number): Buffer => bytes.subarray(at, (at += size));
  const u32 = (): number => take(4).readUInt32LE();
  const u64 = (): number => Number(take(8).readBigUInt64LE());
  const text = (): string => take(u64()).toString();
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return take(4).readInt32LE();
    if (type === 6) return take(4).readFloatLE();
    if (type === 7) return take(1)[0] === 1;
    if (type === 8) return text();
    if (type !== 9) throw new Error(`type ${type} at ${at}`);
    const [of, length] = [u32(), u64()];
    return { of, items: Array.from({ length }, () => value(of)) };
  };
  const [magic, version, tensorCount, count] = [take(4).toString(), u32(), u64(), u64()];
  const metadata = Array.from({ length: count }, () => {
    const key = text();
    const type = u32();
    return [key, type, value(type)] as const;
  });
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = text();
    const lengths = Array.from({ length: u32() }, u64);
    return { name, lengths, type: u32(), offset: u64() };
  });
  return { magic, version, metadata, tensors, end: at };
}

describe('a GGUF header', () => {
  const metadata: GgufMetadata = new Map([
    ['whole', uint32(0xfffffffe)],
    ['real', float32(0.1)],
    ['yes', bool(true)],
    ['no', bool(false)],
    ['text', string('ünï\n')],
    ['empty', string('')],
    ['texts', strings(['a', '', '€'])],
    ['reals', float32s([-1.5, 1e-3])],
    ['wholes', int32s([-2, 2 ** 31 - 1])],
    ['none', strings([])],
  ]);
  const tensors: readonly GgufTensorInfo[] = [
    { name: 'matrix', shape: [3, 64], type: 'Q8_0', offset: 0 },
    { name: 'vector', shape: [5], type: 'F32', offset: 224 },
    { name: 'half', shape: [2, 2], type: 'F16', offset: 2 ** 33 },
    { name: 'brain', shape: [2, 2], type: 'BF16', offset: 2 ** 33 + 32 },
  ];

  test('reads back as what was put in, with the shortest axis of memory first', () => {
    const read = readHeader(encodeGgufHeader(metadata, tensors));
    expect([read.magic, read.version]).toEqual(['GGUF', 3]);
    expect(read.metadata).toEqual([
      ['whole', 4, 0xfffffffe],
      ['real', 6, Math.fround(0.1)],
      ['yes', 7, true],
      ['no', 7, false],
      ['text', 8, 'ünï\n'],
      ['empty', 8, ''],
      ['texts', 9, { of: 8, items: ['a', '', '€'] }],
      ['reals', 9, { of: 6, items: [-1.5, Math.fround(1e-3)] }],
      ['wholes', 9, { of: 5, items: [-2, 2 ** 31 - 1] }],
      ['none', 9, { of: 8, items: [] }],
    ]);
    expect(read.tensors).toEqual([
      { name: 'matrix', lengths: [64, 3], type: 8, offset: 0 },
      { name: 'vector', lengths: [5], type: 0, offset: 224 },
      { name: 'half', lengths: [2, 2], type: 1, offset: 2 ** 33 },
      { name: 'brain', lengths: [2, 2], type: 30, offset: 2 ** 33 + 32 },
    ]);
  });

  test('ends where the data may begin, with zeros up to there', () => {
    for (let length = 0; length < 2 * alignment; length++) {
      const bytes = encodeGgufHeader(new Map([['key', string('x'.repeat(length))]]), tensors.slice(0, 1));
      const { end } = readHeader(bytes);
      expect(bytes.length).toBe(padded(end));
      expect(bytes.length % alignment).toBe(0);
      expect(bytes.length - end).toBeLessThan(alignment);
      expect(bytes.subarray(end).every((byte) => byte === 0)).toBe(true);
    }
  });

  test('of nothing is a header still', () => {
    expect(readHeader(encodeGgufHeader(new Map(), []))).toMatchObject({ metadata: [], tensors: [], end: 24 });
  });
});

test('lengths are padded to whole alignments', () => {
  expect([0, 1, 31, 32, 33, 2 ** 40 + 1].map(padded)).toEqual([0, 32, 32, 32, 64, 2 ** 40 + 32]);
});
