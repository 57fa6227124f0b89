import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openSafetensors } from './checkpoint-files.js';
import { fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits } from '../numbers/dtype.js';
import { readFloats } from '../storage/read-rows.js';
import { readInts } from './read-ints.js';
import { fileDtypes, readSafetensorsHeader, type FileDtype } from './safetensors-header.js';
import { writeSafetensors, type SafetensorsInput } from './safetensors-writer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-writer-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (): string => path.join(folder, `${count++}.safetensors`);

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
const anyName = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('__proto__', 'constructor', '7', '10', 'a"\\b', '\u{1f332}', '\uffee'),
  )
  .filter((name) => name !== '__metadata__');
const anyShape = fc.array(fc.nat(4), { maxLength: 4 });

const rounding = {
  float32: (value: number) => value,
  bfloat16: (value: number) => fromBfloat16Bits(toBfloat16Bits(value)),
  float16: (value: number) => fromFloat16Bits(toFloat16Bits(value)),
};

describe('round trips', () => {
  test('floats come back rounded to their type, whatever their names, at once or late', async () => {
    const tensor = anyShape.chain((shape) =>
      fc.record({
        name: anyName,
        shape: fc.constant(shape),
        dtype: fc.constantFrom('float32' as const, 'bfloat16' as const, 'float16' as const),
        values: fc.float32Array({ minLength: sizeOf(shape), maxLength: sizeOf(shape) }),
        late: fc.boolean(),
      }),
    );
    const metadata = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }),
        metadata,
        async (tensors, facts) => {
          const file = fresh();
          await writeSafetensors(
            file,
            tensors.map(({ late, values, ...rest }) => ({
              ...rest,
              values: late ? () => Promise.resolve(values) : values,
            })),
            facts,
          );
          const opened = openSafetensors(file);
          expect({ ...opened.metadata }).toEqual({ ...facts });
          expect([...opened.names()].sort()).toEqual(tensors.map(({ name }) => name).sort());
          expect(opened.totalBytes).toBe(
            tensors.reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * (dtype === 'float32' ? 4 : 2), 0),
          );
          for (const { name, shape, dtype, values } of tensors) {
            expect(opened.source(name)).toMatchObject({ name, shape, dtype, origin: file });
            expect(readFloats(opened.source(name))).toEqual(values.map(rounding[dtype]));
          }
        },
      ),
      { numRuns: 150, seed: 3 },
    );
  });

  test('bytes of every type come back as they were, whole or in pieces', async () => {
    const tensor = fc.constantFrom(...(Object.keys(fileDtypes) as FileDtype[])).chain((dtype) =>
      anyShape
        .map((shape) => (fileDtypes[dtype] < 8 ? [...shape, 4] : shape))
        .chain((shape) => {
          const bytes = (sizeOf(shape) * fileDtypes[dtype]) / 8;
          return fc.record({
            name: anyName,
            dtype: fc.constant(dtype),
            shape: fc.constant(shape),
            bytes: fc.uint8Array({ minLength: bytes, maxLength: bytes }),
            way: fc.constantFrom('now', 'late', 'promise', 'pieces'),
          });
        }),
    );
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }), async (tensors) => {
        const file = fresh();
        const inputs = tensors.map(({ way, bytes, ...rest }): SafetensorsInput => {
          async function* pieces() {
            for (let i = 0; i < bytes.length; i += 5) yield bytes.subarray(i, i + 5);
          }
          const data = { now: bytes, late: () => bytes, promise: () => Promise.resolve(bytes), pieces }[way];
          return { ...rest, data };
        });
        await writeSafetensors(file, inputs);
        const { tensors: entries } = readSafetensorsHeader(file);
        const whole = readFileSync(file);
        for (const { name, dtype, shape, bytes } of tensors) {
          const entry = entries.get(name)!;
          expect(entry).toMatchObject({ dtype, shape });
          expect([...whole.subarray(entry.byteOffset, entry.byteOffset + entry.byteLength)]).toEqual([...bytes]);
          // Types are written from the widest to the narrowest, so every element is aligned.
          if (fileDtypes[dtype] >= 8 && entry.byteLength > 0)
            expect(entry.byteOffset % (fileDtypes[dtype] / 8)).toBe(0);
        }
      }),
      { numRuns: 150, seed: 5 },
    );
  });

  test('more values than are rounded at a time', async () => {
    const file = fresh();
    const values = Float32Array.from({ length: 2 ** 20 + 3 }, (_, i) => i);
    await writeSafetensors(file, [{ name: 'w', shape: [values.length], dtype: 'bfloat16', values }]);
    expect(readFloats(openSafetensors(file).source('w'))).toEqual(values.map(rounding.bfloat16));
  });

  test('int32 and int64 are read as integers', async () => {
    const file = fresh();
    await writeSafetensors(file, [
      { name: 'ids', shape: [2, 2], dtype: 'I64', data: BigInt64Array.of(0n, -100n, 2n ** 31n - 1n, -(2n ** 31n)) },
      { name: 'small', shape: [2], dtype: 'int32', data: Int32Array.of(-1, 7) },
      { name: 'large', shape: [2], dtype: 'I64', data: BigInt64Array.of(5n, 2n ** 31n) },
      { name: 'w', shape: [1], dtype: 'float32', values: Float32Array.of(1) },
    ]);
    const files = openSafetensors(file);
    expect(readInts(files.entry('ids'))).toEqual(Int32Array.of(0, -100, 2 ** 31 - 1, -(2 ** 31)));
    expect(readInts(files.entry('small'))).toEqual(Int32Array.of(-1, 7));
    const fault = (code: string, message: RegExp): unknown =>
      expect.objectContaining({ code, message: expect.stringMatching(message) });
    expect(() => readInts(files.entry('large'))).toThrow(
      fault('BAD_ARGUMENT', /tensor large of .* has 2147483648 at 1, expected values of 32 bits/),
    );
    expect(() => readInts(files.entry('w'))).toThrow(
      fault('DTYPE_MISMATCH', /tensor w of .* is stored as F32, expected I32 or I64/),
    );
    expect(() => readFloats(files.source('small'))).toThrow(
      fault('DTYPE_MISMATCH', /holds integers, expected floats: use readInts/),
    );
    expect(() => readFloats(files.source('w'), 0, 2)).toThrow(
      fault('BAD_ARGUMENT', /rows \[0, 2\) of tensor w of .* were asked for; it has 1/),
    );
    expect(() => readFloats(files.source('w'), -1)).toThrow(fault('BAD_ARGUMENT', /rows \[-1, 1\) of tensor w/));
    writeFileSync(file, readFileSync(file).subarray(0, -40));
    expect(() => readFloats(files.source('w'))).toThrow(
      fault('FILE_UNREADABLE', /cannot read 4 bytes at byte \d+ of .*; was it changed since it was opened\?/),
    );
  });
});

describe('as the reference writes', () => {
  test('its own test vectors', async () => {
    const file = fresh();
    const values = Float32Array.of(0, 1, 2, 3, 4, 5);
    const floats = [...new Uint8Array(values.buffer)];
    await writeSafetensors(file, [{ name: 'attn.0', shape: [1, 2, 3], dtype: 'float32', values }], {});
    const text = '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}';
    expect([...readFileSync(file)]).toEqual([64, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(text), ...floats]);
    await writeSafetensors(file, [{ name: 'attn0', shape: [1, 1, 2, 3], dtype: 'float32', values }], {});
    const padded = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ';
    expect([...readFileSync(file)]).toEqual([72, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(padded), ...floats]);
    await writeSafetensors(file, [], {});
    expect([...readFileSync(file)]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from('{}      ')]);
    await writeSafetensors(file, []);
    expect(readFileSync(file, 'latin1').slice(8)).toBe('{"__metadata__":{"format":"pt"}}');
  });

  test('order: types from wide to narrow as the format lists them, then names by their UTF-8', async () => {
    const file = fresh();
    const input = (name: string, dtype: FileDtype): SafetensorsInput => ({
      name,
      shape: [0],
      dtype,
      data: new Uint8Array(),
    });
    await writeSafetensors(file, [
      input('a', 'BOOL'),
      input('\u{1f332}', 'F16'),
      input('\uffee', 'F16'),
      input('b', 'F16'),
      input('B', 'F16'),
      input('10', 'F16'),
      input('9', 'F16'),
      input('c', 'BF16'),
      input('d', 'I32'),
      input('e', 'F32'),
      input('f', 'F64'),
      input('g', 'I64'),
    ]);
    const text = readFileSync(file, 'utf8').slice(8);
    expect([...text.matchAll(/"([^"]+)":\{"dtype"/g)].map(([, name]) => name)).toEqual([
      'g',
      'f',
      'e',
      'd',
      'c',
      '10',
      '9',
      'B',
      'b',
      '\uffee',
      '\u{1f332}',
      'a',
    ]);
  });
});

describe('what is refused', () => {
  const w = { name: 'w', shape: [2], dtype: 'float32' as const };
  const early: [what: string, inputs: SafetensorsInput[], message: RegExp][] = [
    [
      'a name given twice',
      [
        { ...w, values: new Float32Array(2) },
        { ...w, dtype: 'float16', values: new Float32Array(2) },
      ],
      /tensor w is given twice/,
    ],
    [
      'the name of the metadata',
      [{ ...w, name: '__metadata__', values: new Float32Array(2) }],
      /tensor __metadata__ has a name that the format does not allow/,
    ],
    [
      'a name that has no UTF-8',
      [{ ...w, name: '\ud800', values: new Float32Array(2) }],
      /has a name that the format does not allow/,
    ],
    [
      'an unknown dtype',
      [{ ...w, dtype: 'float8' as 'float32', data: new Float32Array(2) }],
      /tensor w has dtype float8, expected one of float32, bfloat16, float16, int32, U64, /,
    ],
    [
      'a negative length',
      [{ ...w, shape: [-2], values: new Float32Array(2) }],
      /tensor w has shape \[-2\], expected whole numbers from 0/,
    ],
    [
      'half a byte',
      [{ name: 'w', shape: [3], dtype: 'F4', data: new Uint8Array(2) }],
      /tensor w has shape \[3\], expected .* that make whole bytes/,
    ],
    ['too few values', [{ ...w, values: new Float32Array(1) }], /tensor w has 1 values, its shape \[2\] wants 2/],
    [
      'float32 data for bfloat16',
      [{ ...w, dtype: 'bfloat16', data: new Float32Array(2) }],
      /tensor w has 8 bytes of data, but takes 4 bytes as BF16 \[2\]; floats to round are given as values/,
    ],
  ];
  test.each(early)('%s, before anything is written', async (_, inputs, message) => {
    const place = path.join(folder, `early-${count++}`, 'w.safetensors');
    await expect(writeSafetensors(place, inputs)).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringMatching(message),
    });
    expect(() => readdirSync(path.dirname(place))).toThrow(/ENOENT/);
  });

  async function* pieces(...lengths: number[]) {
    for (const length of lengths) yield new Uint8Array(length);
  }
  async function* endless() {
    for (;;) yield new Uint8Array(3);
  }
  const late: [what: string, input: SafetensorsInput, message: RegExp][] = [
    ['too many values', { ...w, values: () => new Float32Array(3) }, /tensor w has 3 values, its shape \[2\] wants 2/],
    ['too much data', { ...w, data: endless }, /tensor w gave more bytes than its 8/],
    ['too little data', { ...w, data: () => pieces(4, 1) }, /tensor w gave 3 fewer bytes than its 8/],
    [
      'a source that fails',
      { ...w, values: () => Promise.reject(new Error('the engine stopped')) },
      /was not written, what was there before is untouched: the engine stopped/,
    ],
  ];
  test.each(late)('%s: the old file stays', async (_, input, message) => {
    const place = path.join(folder, `late-${count++}`);
    const file = path.join(place, 'w.safetensors');
    await writeSafetensors(file, [{ ...w, values: Float32Array.of(1, 2) }]);
    const old = readFileSync(file);
    await expect(writeSafetensors(file, [input])).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      message: expect.stringMatching(message),
    });
    expect(readFileSync(file)).toEqual(old);
    expect(readdirSync(place)).toEqual(['w.safetensors']);
  });
});
