import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBfloat16Bits } from '../numbers/dtype.js';
import { openSafetensors } from '../safetensors/checkpoint-files.js';
import { equalValues } from '../safetensors/equal-values.js';
import { findNotFinite } from '../safetensors/not-finite.js';
import { fileBytes, memoryBytes, type ByteSource } from './byte-source.js';
import { nf4Formats } from './nf4.js';
import { q8_0 } from './q8-0.js';
import { inMemory, readFloats, readRows } from './read-rows.js';
import { blockFormat, plainFormats, storedBytes, type StorageFormat } from './storage-format.js';
import { createWeightSource, orderRows, plainBytes, sliceStack, viewRows, type WeightSource } from './weight-source.js';

// Tensors and the values that they stand for, by the Python packages gguf and bitsandbytes: stored bytes as `NAME.packed`,
// `NAME.scales` and `NAME.blocks`.
const file = path.resolve(import.meta.dirname, '../../../../fixtures/quantized/formats.safetensors');
const files = openSafetensors(file);
const part = (name: string): ByteSource => {
  const { byteOffset, byteLength } = files.entry(name);
  return fileBytes(file, byteOffset, byteLength);
};
const stored = (name: string, format: StorageFormat, shape: readonly number[], ...parts: readonly string[]) =>
  createWeightSource({ name, shape, format, parts: parts.map((each) => part(`${name}.${each}`)), origin: file });

describe('values are those of the reference, as numbers', () => {
  test.each<[string, WeightSource, string]>([
    ['Q8_0', stored('q8_0', q8_0, [7, 512], 'blocks'), 'q8_0.values'],
    ['NF4 in float32', stored('nf4', nf4Formats.float32, [24, 80], 'packed', 'scales'), 'nf4.values'],
    ['NF4 of bfloat16', stored('nf4', nf4Formats.bfloat16, [24, 80], 'packed', 'scales'), 'nf4.rounded'],
    [
      'NF4 with a short last block',
      stored('nf4_short_block', nf4Formats.float32, [5, 50], 'packed', 'scales'),
      'nf4_short_block.values',
    ],
  ])('%s', async (_, source, name) => {
    const expected = readFloats(files.source(name));
    const equal = (got: Float32Array, start: number) =>
      got.every((value, i) => value === expected[start + i]!) && got.length > 0;
    expect(equal(await readRows(source), 0)).toBe(true);
    const [rows, columns] = source.shape as [number, number];
    for (let start = 0; start < rows; start++)
      for (const end of [start + 1, rows]) expect(equal(readFloats(source, start, end), start * columns)).toBe(true);
    expect(await equalValues(source, files.source(name))).toBe(true);
  });
});

/** Element i of a stored tensor is i itself, in blocks of three that begin with their first element. */
const counting: StorageFormat = blockFormat({
  kind: 'counting',
  dtype: 'float32',
  elements: 3,
  parts: { firsts: { bytes: 4 } },
  crossesRows: true,
  decodeBlocks([firsts], values) {
    const at = new DataView(firsts!.buffer, firsts!.byteOffset);
    for (let i = 0; i < values.length; i++) values[i] = at.getUint32(4 * Math.floor(i / 3), true) + (i % 3);
  },
});
function counted(shape: readonly number[]): WeightSource {
  const size = shape.reduce((product, length) => product * length, 1);
  const firsts = Uint32Array.from({ length: Math.ceil(size / 3) }, (_, block) => 3 * block);
  const parts = [memoryBytes(new Uint8Array(firsts.buffer))];
  return createWeightSource({ name: 'counted', shape, format: counting, parts, origin: 'memory' });
}

describe('views', () => {
  test('of views, in any order, give the elements that slicing an array gives', () => {
    const shape = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 7 }),
    );
    fc.assert(
      fc.property(shape, fc.infiniteStream(fc.nat()), ([stack, rows, columns], random) => {
        const draw = (below: number): number => (random.next().value as number) % below;
        const index = draw(stack);
        let view = sliceStack(counted([stack, rows, columns]), index);
        let expected = Array.from({ length: rows }, (_, row) =>
          Array.from({ length: columns }, (__, column) => (index * rows + row) * columns + column),
        );
        for (let i = 0; i < 3; i++) {
          if (draw(2) === 0) {
            const start = draw(expected.length);
            const end = start + 1 + draw(expected.length - start);
            view = viewRows(view, start, end);
            expected = expected.slice(start, end);
          } else {
            const order = expected.map((_, row) => row);
            for (let row = order.length - 1; row > 0; row--) {
              const other = draw(row + 1);
              [order[row], order[other]] = [order[other]!, order[row]!];
            }
            view = orderRows(view, order);
            expected = order.map((row) => expected[row]!);
          }
        }
        expect(view.shape).toEqual([expected.length, columns]);
        expect([...readFloats(view)]).toEqual(expected.flat());
        const start = draw(expected.length);
        expect([...readFloats(view, start, expected.length)]).toEqual(expected.slice(start).flat());
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  test('of plain tensors know their place in the file as long as their rows follow each other', () => {
    const whole = files.source('nf4.values');
    const { path: at, byteOffset } = plainBytes(whole)!;
    expect(plainBytes(viewRows(whole, 2, 5))).toEqual({
      path: at,
      byteOffset: byteOffset + 2 * 80 * 4,
      byteLength: 960,
    });
    expect(plainBytes(orderRows(viewRows(whole, 0, 2), [1, 0]))).toBeUndefined();
    expect(plainBytes(stored('q8_0', q8_0, [7, 512], 'blocks'))).toBeUndefined();
    expect(plainBytes(counted([3, 4]))).toBeUndefined();
  });

  test('refuse rows and orders that the tensor has not', () => {
    const source = counted([3, 4]);
    expect(() => viewRows(source, 1, 4)).toThrow('rows [1, 4) of tensor counted of memory were asked for; it has 3');
    expect(() => sliceStack(source, 3)).toThrow('rows [3, 4) of tensor counted of memory were asked for; it has 3');
    expect(() => orderRows(source, [0, 1])).toThrow('the order given is not a permutation of them');
    expect(() => orderRows(source, [0, 1, 1])).toThrow('the order given is not a permutation of them');
    expect(() => orderRows(source, [0, 1, 3])).toThrow(
      'rows [3, 4) of tensor counted of memory were asked for; it has 3',
    );
  });
});

test('a record that reaches beyond its stored tensor is refused before anything is read', () => {
  const source = counted([4, 6]);
  for (const change of [
    { shape: [5, 6] },
    { firstElement: 1 },
    { firstElement: -1 },
    { shape: [2, 6], rowOrder: Int32Array.of(0, 4) },
    { shape: [2, 6], rowOrder: Int32Array.of(0) },
    { shape: [1, 6], rowOrder: Int32Array.of(-1) },
  ])
    expect(() => readFloats({ ...source, ...change })).toThrow(/make views with viewRows, orderRows and sliceStack/);
});

describe('a tensor', () => {
  const make = (format: StorageFormat, shape: readonly number[], ...bytes: readonly number[]) =>
    createWeightSource({
      ...{ name: 'w', shape, format, origin: 'x.gguf' },
      parts: bytes.map((length) => memoryBytes(new Uint8Array(length))),
    });

  test('is refused where its parts are not those of its format', () => {
    expect(() => make(q8_0, [2, 48], 102)).toThrow(
      'cannot be q8_0: rows of 48 elements are not a whole number of blocks of 32',
    );
    expect(() => make(q8_0, [2, 32], 67)).toThrow(
      'tensor w of x.gguf cannot be q8_0: its blocks have 67 bytes, expected 68 for [2, 32]',
    );
    expect(() => make(nf4Formats.bfloat16, [2, 32], 32)).toThrow('it has 1 part, expected values, scales');
    expect(() => make(plainFormats.float16, [3], 5)).toThrow('its values have 5 bytes, expected 6 for [3]');
  });

  test('takes the bytes that its format says', () => {
    expect(storedBytes(q8_0, [4, 64])).toBe(4 * 2 * 34);
    expect(storedBytes(nf4Formats.float32, [5, 50])).toBe(125 + 16);
    expect(storedBytes(plainFormats.bfloat16, [])).toBe(2);
  });

  test('that has to be waited for is read by readRows alone, or brought into memory', async () => {
    const bytes = new Uint8Array(Uint16Array.from([1, 2, 3, 4], toBfloat16Bits).buffer);
    const late: ByteSource = {
      byteLength: 8,
      read: (start, end) => Promise.resolve(Uint8Array.from(bytes.subarray(start, end))),
    };
    const source = createWeightSource({
      ...{ name: 'w', shape: [2, 2], format: plainFormats.bfloat16, parts: [late], origin: 'a web server' },
    });
    expect([...(await readRows(source, 1, 2))]).toEqual([3, 4]);
    expect(() => readFloats(source)).toThrow('tensor w of a web server cannot be read at once');
    expect([...readFloats(await inMemory(source))]).toEqual([1, 2, 3, 4]);
  });

  test('with a value that is not finite, encoded', async () => {
    const source = make(q8_0, [3, 32], 102);
    const blocks = await source.parts[0]!.read(0, 102);
    blocks.set([0x00, 0x7c, 0, 5], 68); // d is infinite: 0 times that is NaN, 5 times infinite
    const broken = { ...source, parts: [memoryBytes(blocks)] };
    expect(await findNotFinite(broken)).toEqual({ at: [2, 0], value: NaN });
    expect(await findNotFinite(source)).toBeUndefined();
  });
});
