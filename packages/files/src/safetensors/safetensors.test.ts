import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FilesError } from '../errors.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeFileAtomic, writeFolderAtomic } from '../folders/atomic-file.js';
import { openCheckpointFiles, openSafetensors } from './checkpoint-files.js';
import { readFloats } from '../storage/read-rows.js';
import { fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits } from '../numbers/dtype.js';
import { readSafetensorsHeader } from './safetensors-header.js';
import { writeSafetensors } from './safetensors-writer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-safetensors-'));
let files = 0;
const fresh = (): string => path.join(folder, `${files++}.safetensors`);

/** A file with this header and so many bytes of data. */
function withHeader(header: unknown, dataBytes: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const file = fresh();
  writeFileSync(file, Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
  return file;
}
const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

describe('writing and reading', () => {
  test('random tensors come back, rounded to their type', async () => {
    const tensor = fc.record({
      name: fc.string({ minLength: 1, maxLength: 20 }),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
      dtype: fc.constantFrom('float32' as const, 'bfloat16' as const, 'float16' as const),
      seed: fc.nat(1000),
    });
    const list = fc
      .uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })
      .filter((each) => each.every(({ name }) => name !== '__metadata__' && name !== '__proto__'));
    await fc.assert(
      fc.asyncProperty(list, async (tensors) => {
        const file = fresh();
        const inputs = tensors.map(({ seed, ...rest }) => {
          const size = rest.shape.reduce((product, length) => product * length, 1);
          return { ...rest, values: Float32Array.from({ length: size }, (_, i) => Math.sin(seed + i) * 3) };
        });
        await writeSafetensors(file, inputs, { format: 'pt' });
        const opened = openSafetensors(file);
        expect([...opened.names()].sort()).toEqual(inputs.map(({ name }) => name).sort());
        for (const { name, shape, dtype, values } of inputs) {
          const round = {
            float32: (value: number) => value,
            bfloat16: (value: number) => fromBfloat16Bits(toBfloat16Bits(value)),
            float16: (value: number) => fromFloat16Bits(toFloat16Bits(value)),
          }[dtype];
          expect(opened.source(name)).toMatchObject({ shape, dtype });
          expect(readFloats(opened.source(name))).toEqual(values.map(round));
        }
      }),
      { numRuns: 60, seed: 3 },
    );
  });

  test('rows of a tensor are read alone', async () => {
    const file = fresh();
    await writeSafetensors(file, [
      { name: 'w', shape: [3, 2], dtype: 'bfloat16', values: Float32Array.of(1, 2, 3, 4, 5, 6) },
    ]);
    expect([...readFloats(openSafetensors(file).source('w'), 1, 3)]).toEqual([3, 4, 5, 6]);
  });
});

describe('float16 and bfloat16', () => {
  test('every float16 comes back from its number; bfloat16 ties go to even and NaN stays', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromFloat16Bits(bits);
      if (!Number.isNaN(value)) expect(toFloat16Bits(value)).toBe(bits);
    }
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, -Infinity].map((value) => fromBfloat16Bits(toBfloat16Bits(value)))).toEqual([
      1,
      1 + 2 ** -6,
      -Infinity,
    ]);
    expect(fromBfloat16Bits(toBfloat16Bits(NaN))).toBeNaN();
    expect([65520, 1e-8, 65519].map((value) => fromFloat16Bits(toFloat16Bits(value)))).toEqual([Infinity, 0, 65504]);
  });
});

describe('what is refused', () => {
  const cases: [string, () => string, RegExp][] = [
    [
      'a file of 3 bytes',
      () => (writeFileSync(path.join(folder, 'short'), 'abc'), path.join(folder, 'short')),
      /3 bytes, too few/,
    ],
    [
      'a header beyond the file',
      () => (
        writeFileSync(path.join(folder, 'long'), Buffer.from([9, 9, 0, 0, 0, 0, 0, 0, 1])),
        path.join(folder, 'long')
      ),
      /promise a header of 2313 bytes, the file has 9/,
    ],
    ['no JSON', () => withHeader('{nope', 0), /not JSON/],
    ['no object', () => withHeader('[1]', 0), /not a JSON object/],
    [
      'a lie about the size',
      () => withHeader({ a: f32([2, 2], 0, 12) }, 12),
      /takes 12 bytes, but F32 \[2, 2\] needs 16/,
    ],
    [
      'a range beyond the data',
      () => withHeader({ a: f32([4], 0, 16) }, 12),
      /ends at byte 16 of the data, but the file has only 12/,
    ],
    [
      'overlapping tensors',
      () => withHeader({ a: f32([4], 0, 16), b: f32([2], 8, 16) }, 16),
      /tensor b overlaps tensor a/,
    ],
    [
      'a hole',
      () => withHeader({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12),
      /4 bytes between tensor a and tensor b/,
    ],
    ['bytes left over', () => withHeader({ a: f32([1], 0, 4) }, 9), /5 bytes at the end belong to no tensor/],
    ['an unknown dtype', () => withHeader({ a: { ...f32([1], 0, 4), dtype: 'Q4' } }, 4), /dtype "Q4"/],
    [
      'a dtype from Object.prototype',
      () => withHeader({ a: { ...f32([1], 0, 4), dtype: 'toString' } }, 4),
      /dtype "toString"/,
    ],
    ['a negative shape', () => withHeader({ a: f32([-1], 0, 4) }, 4), /shape \[-1\]/],
    ['offsets that run back', () => withHeader({ a: f32([1], 4, 0) }, 4), /data_offsets \[4,0\]/],
    ['a shape whose product overflows', () => withHeader({ a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4), /needs/],
  ];
  test.each(cases)('%s', (_, make, message) => {
    const attempt = () => readSafetensorsHeader(make());
    expect(attempt).toThrow(FilesError);
    expect(attempt).toThrow(message);
  });

  test('checkpoint folders: pickle, other layouts, bad indexes, missing tensors', async () => {
    const make = (name: string, entries: Record<string, string>) => {
      const place = path.join(folder, name);
      mkdirSync(place);
      for (const [file, content] of Object.entries(entries)) writeFileSync(path.join(place, file), content);
      return place;
    };
    const index = (map: unknown) => ({ 'model.safetensors.index.json': JSON.stringify({ weight_map: map }) });
    expect(() => openCheckpointFiles(make('pickle', { 'pytorch_model.bin': '' }))).toThrow(
      /pickle file can run any code/,
    );
    expect(() => openCheckpointFiles(make('other', { 'consolidated.safetensors': '' }))).toThrow(/another layout/);
    expect(() => openCheckpointFiles(make('empty', {}))).toThrow(/expected a Hugging Face checkpoint/);
    expect(() => openCheckpointFiles(make('escape', index({ a: '../x.safetensors' })))).toThrow(
      /the name of a file in the same folder/,
    );
    expect(() => openCheckpointFiles(make('gone', index({ a: 'x.safetensors' })))).toThrow(
      /names the shard x.safetensors, which is not in/,
    );
    const sharded = make('sharded', index({ a: 'x.safetensors', b: 'x.safetensors' }));
    await writeSafetensors(path.join(sharded, 'x.safetensors'), [
      { name: 'a', shape: [1], dtype: 'float32', values: Float32Array.of(7) },
    ]);
    expect(() => openCheckpointFiles(sharded)).toThrow(/tensor b is in x.safetensors; it is not/);
    writeFileSync(
      path.join(sharded, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: { a: 'x.safetensors' } }),
    );
    const files = openCheckpointFiles(sharded);
    expect([...readFloats(files.source('a'))]).toEqual([7]);
    expect(() => files.source('aa')).toThrow(/no tensor aa; the closest names are a/);
  });
});

describe('atomic writing', () => {
  test('a failing write leaves the old file and no temporary one', async () => {
    const place = path.join(folder, 'atomic');
    const file = path.join(place, 'file');
    await writeFileAtomic(file, 'old');
    const failing = writeFileAtomic(file, async (handle) => {
      await handle.write('new');
      throw new Error('interrupted');
    });
    await expect(failing).rejects.toThrow(/was not written[\s\S]*interrupted/);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(place)).toEqual(['file']);
  });

  test('a folder is replaced whole or not at all', async () => {
    const target = path.join(folder, 'run');
    const write = (name: string) => (temporary: string) =>
      Promise.resolve(writeFileSync(path.join(temporary, name), name));
    await writeFolderAtomic(target, write('first'));
    await expect(writeFolderAtomic(target, () => Promise.reject(new Error('no')))).rejects.toThrow(/no/);
    expect(readdirSync(target)).toEqual(['first']);
    await writeFolderAtomic(target, write('second'));
    expect(readdirSync(target)).toEqual(['second']);
  });
});
