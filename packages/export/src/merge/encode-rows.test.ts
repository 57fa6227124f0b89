import { encodeFloats, fromBfloat16Bits, fromFloat16Bits, readFloats, sizeOf, toFloat16Bits } from '@glulam/files';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawn, madeSource, madeTensor } from '../../test/made.js';
import { checkFloat16, encodeTensor, rowBlocks, storedDtype } from './encode-rows.js';

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; pieces: number }> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return { bytes: Buffer.concat(all), pieces: all.length };
}

/** A failing test prints a number, not megabytes. */
const piecesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<number> => (await bytesOf(pieces)).pieces;

/** About as many values as are in memory at a time. */
const block = 2 ** 20;

describe('blocks of rows', () => {
  test('are whole, in order, and no larger than a block where rows and multiples allow it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 3e6 }),
        fc.integer({ min: 1, max: 64 }),
        (rows, width, multiple) => {
          let next = 0;
          for (const { start, end } of rowBlocks([rows, width], multiple)) {
            expect(start).toBe(next);
            expect(end).toBeGreaterThan(start);
            // The last one ends where the tensor does.
            if (end < rows) expect((end - start) % multiple).toBe(0);
            expect((end - start) * width).toBeLessThanOrEqual(Math.max(block, width * multiple));
            next = end;
          }
          expect(next).toBe(rows);
        },
      ),
      { seed: 3 },
    );
  });

  test('of a vector and of a scalar', () => {
    expect([...rowBlocks([5])]).toEqual([{ start: 0, end: 5 }]);
    expect([...rowBlocks([])]).toEqual([{ start: 0, end: 1 }]);
    expect([...rowBlocks([block + 1])]).toEqual([
      { start: 0, end: block },
      { start: block, end: block + 1 },
    ]);
  });
});

test('a tensor is stored in the dtype asked for, or else in its own', () => {
  const tensor = madeTensor([2], drawn(2, 1), { source: madeSource([2], drawn(2, 1), 'float16') });
  expect([storedDtype(tensor, undefined), storedDtype(tensor, 'bfloat16')]).toEqual(['float16', 'bfloat16']);
});

describe('a tensor encoded', () => {
  const [rows, width] = [1100, 1024];
  const values = drawn(rows * width, 2);

  test.each(['float32', 'bfloat16', 'float16'] as const)('as %s, block by block', async (dtype) => {
    const tensor = madeTensor([rows, width], values, { changed: true });
    const { bytes, pieces } = await bytesOf(encodeTensor(tensor, dtype));
    expect(pieces).toBe(2);
    expect(bytes.equals(Buffer.from(encodeFloats(values, dtype)))).toBe(true);
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    // Nearest: no further than half a unit of the last place.
    if (dtype !== 'float32') {
      const [read, unit] = dtype === 'bfloat16' ? [fromBfloat16Bits, 2 ** -9] : [fromFloat16Bits, 2 ** -12];
      expect(Array.from(words).every((word, i) => Math.abs(read(word) - values[i]!) <= unit)).toBe(true);
    }
  });

  test('that is the base’s, in its dtype, is copied; in another it is encoded', async () => {
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      const source = madeSource([rows, width], values, dtype);
      const tensor = madeTensor([rows, width], readFloats(source), {
        ...{ source, changed: false },
        open: () => Promise.reject(new Error('not read as numbers')),
      });
      const { bytes } = await bytesOf(encodeTensor(tensor, dtype));
      expect(bytes.equals(Buffer.from(encodeFloats(values, dtype)))).toBe(true);
      const other = dtype === 'float32' ? 'bfloat16' : 'float32';
      await expect(piecesOf(encodeTensor(tensor, other))).rejects.toThrow('not read as numbers');
    }
  });

  test.each([NaN, Infinity, -Infinity])('with %d in the base is refused, and where it is is said', async (broken) => {
    const at = block + 77;
    const wrong = values.slice();
    wrong[at] = broken;
    const tensor = madeTensor([rows, width], wrong, { source: madeSource([rows, width], wrong), changed: false });
    await expect(piecesOf(encodeTensor(tensor, 'float32'))).rejects.toMatchObject({
      code: 'WEIGHT_NOT_FINITE',
      message: expect.stringContaining(`[${Math.floor(at / width)}, ${at % width}]`),
    });
  });

  test('that float16 cannot hold is refused with its value', async () => {
    const wrong = values.slice();
    wrong[5] = -70000;
    await expect(piecesOf(encodeTensor(madeTensor([rows, width], wrong), 'float16'))).rejects.toMatchObject({
      code: 'MERGE_IMPOSSIBLE',
      message: expect.stringMatching(/mlp\.up_proj\.weight holds -70000, which float16 cannot/),
    });
    expect(sizeOf([rows, width])).toBe(
      (await bytesOf(encodeTensor(madeTensor([rows, width], wrong), 'bfloat16'))).bytes.length / 2,
    );
  });
});

test('float16 ends where rounding would make an infinity, and not before', () => {
  const largest = 65519.996;
  expect(toFloat16Bits(largest)).toBe(toFloat16Bits(65504));
  expect(() => checkFloat16('w', Float32Array.of(largest, -largest))).not.toThrow();
  expect(fromFloat16Bits(toFloat16Bits(65520))).toBe(Infinity);
  for (const value of [65520, -65520, Infinity])
    expect(() => checkFloat16('w', Float32Array.of(0, value))).toThrow(/w holds/);
});
