import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { plainSource } from '@glulam/files';
import { afterAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from './reference-engine.js';
import type { Tensor } from '../../contract/tensor.js';

// Every expected value here was computed by hand: this engine is what the others are compared with.

const engine = createReferenceEngine();
const floats = (shape: readonly number[], ...values: number[]): Tensor =>
  engine.upload(Float32Array.from(values), shape);
const whole = (...values: number[]): Tensor => engine.upload(Int32Array.from(values), [values.length]);

async function expectTensor(x: Tensor, shape: readonly number[], ...values: number[]): Promise<void> {
  expect(x.shape).toEqual(shape);
  expect([...(await engine.read(x))]).toEqual(values);
}

const matrix = (): Tensor => floats([2, 3], 1, 2, 3, 4, 5, 6);

describe('the reference engine', () => {
  it('multiplies matrices, transposed or not', async () => {
    const b = floats([3, 2], 1, 0, 0, 1, 2, -1);
    await expectTensor(engine.matmul(matrix(), b), [2, 2], 7, -1, 16, -1);
    await expectTensor(engine.matmul(matrix(), matrix(), { transposeB: true }), [2, 2], 14, 32, 32, 77);
    await expectTensor(
      engine.matmul(matrix(), matrix(), { transposeA: true }),
      [3, 3],
      ...[17, 22, 27, 22, 29, 36, 27, 36, 45],
    );
    await expectTensor(engine.matmul(b, matrix(), { transposeA: true, transposeB: true }), [2, 2], ...[7, 16, -1, -1]);
    const batch = engine.matmul(floats([2, 1, 2], 1, 2, 3, 4), floats([2, 2, 1], 5, 6, 7, 8));
    await expectTensor(batch, [2, 1, 1], 17, 53);
    // In float32 the small terms would be lost one by one.
    const many = engine.matmul(floats([1, 3], 2 ** 24, 1, 1), floats([3, 1], 1, 1, 1));
    await expectTensor(many, [1, 1], 2 ** 24 + 2);
  });

  it('computes element by element', async () => {
    await expectTensor(engine.unary('neg', floats([2], 1, -2)), [2], -1, 2);
    await expectTensor(engine.unary('exp', floats([2], 0, 1)), [2], 1, Math.fround(2.718281828459045));
    await expectTensor(engine.unary('log', floats([1], 1)), [1], 0);
    await expectTensor(engine.unary('sqrt', floats([2], 4, 2)), [2], 2, Math.fround(1.4142135623730951));
    await expectTensor(engine.unary('rsqrt', floats([2], 4, 0.25)), [2], 0.5, 2);
    await expectTensor(engine.unary('sigmoid', floats([3], 0, -1e4, 1e4)), [3], 0.5, 0, 1);
    await expectTensor(engine.affine(floats([2], 1, 2), 3, -1), [2], 2, 5);
    await expectTensor(engine.full([1, 2], 7), [1, 2], 7, 7);
  });

  it('broadcasts', async () => {
    const column = floats([2, 1], 10, 20);
    await expectTensor(engine.binary('add', matrix(), column), [2, 3], 11, 12, 13, 24, 25, 26);
    await expectTensor(engine.binary('sub', matrix(), floats([3], 1, 2, 3)), [2, 3], 0, 0, 0, 3, 3, 3);
    await expectTensor(engine.binary('mul', floats([], 2), column), [2, 1], 20, 40);
    await expectTensor(engine.binary('div', column, floats([1, 2], 2, 5)), [2, 2], 5, 2, 10, 4);
    await expectTensor(engine.binary('max', matrix(), floats([], 3)), [2, 3], 3, 3, 3, 4, 5, 6);
    await expectTensor(engine.binary('greaterEqual', matrix(), floats([], 3)), [2, 3], 0, 0, 1, 1, 1, 1);
    await expectTensor(
      engine.select(floats([3], 0, 1, -1), matrix(), floats([2, 1], -1, -2)),
      [2, 3],
      ...[-1, 2, 3, -2, 5, 6],
    );
  });

  it('reduces, keeping the axis, and finds the first largest', async () => {
    await expectTensor(engine.reduce('sum', matrix(), 0), [1, 3], 5, 7, 9);
    await expectTensor(engine.reduce('sum', matrix(), 1), [2, 1], 6, 15);
    await expectTensor(engine.reduce('max', floats([2, 2], -4, -1, -2, -3), 1), [2, 1], -1, -2);
    await expectTensor(engine.reduce('sum', floats([0, 2]), 0), [1, 2], 0, 0);
    const indices = engine.argmax(floats([2, 3], 1, 5, 5, -3, -3, -4));
    expect(indices.dtype).toBe('int32');
    await expectTensor(indices, [2], 1, 0);
  });

  it('gathers rows and adds them back', async () => {
    await expectTensor(engine.gather(matrix(), whole(1, 0, 1)), [3, 3], 4, 5, 6, 1, 2, 3, 4, 5, 6);
    const values = floats([3, 2], 1, 2, 3, 4, 5, 6);
    await expectTensor(engine.scatterAdd(whole(2, 0, 2), values, 4), [4, 2], 3, 4, 0, 0, 6, 8, 0, 0);
  });

  it('moves values', async () => {
    await expectTensor(engine.slice(matrix(), [0, 1], [2, 2]), [2, 2], 2, 3, 5, 6);
    await expectTensor(engine.reshape(matrix(), [3, 2]), [3, 2], 1, 2, 3, 4, 5, 6);
    await expectTensor(engine.transpose(matrix(), [1, 0]), [3, 2], 1, 4, 2, 5, 3, 6);
    const cube = floats([2, 2, 2], 0, 1, 2, 3, 4, 5, 6, 7);
    await expectTensor(engine.transpose(cube, [2, 0, 1]), [2, 2, 2], 0, 2, 4, 6, 1, 3, 5, 7);
    await expectTensor(engine.concatenate([matrix(), floats([2, 1], 7, 8)], 1), [2, 4], 1, 2, 3, 7, 4, 5, 6, 8);
    await expectTensor(engine.concatenate([floats([1, 2], 1, 2), floats([1, 2], 3, 4)], 0), [2, 2], 1, 2, 3, 4);
    const target = matrix();
    engine.write(target, floats([2, 1], -1, -2), [0, 2]);
    await expectTensor(target, [2, 3], 1, 2, -1, 4, 5, -2);
  });

  it('casts to bfloat16, ties to even', async () => {
    const half = 2 ** -8;
    const x = engine.cast(floats([4], 1 + half, 1 + 3 * half, -1 - half, Infinity), 'bfloat16');
    expect(x.dtype).toBe('bfloat16');
    await expectTensor(x, [4], 1, 1 + 4 * half, -1, Infinity);
    await expectTensor(engine.cast(x, 'float32'), [4], 1, 1 + 4 * half, -1, Infinity);
  });

  it('draws the published numbers of philox', async () => {
    // Known answer of Random123 for counter 0 and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8; the top 24 bits count.
    const words = [0x6627e8, 0xe169c5, 0xbc57ac, 0x9b00db];
    await expectTensor(engine.random([4], [0, 0, 0, 0]), [4], ...words.map((word) => word / 2 ** 24));
  });

  it('counts a shared array once and frees it with its last view', () => {
    const own = createReferenceEngine({ precision: 'bfloat16' });
    expect(own.precision).toBe('bfloat16');
    const x = own.full([3, 5], 1);
    const y = own.reshape(x, [15]);
    const z = own.cast(x, 'bfloat16');
    expect(own.memory()).toEqual({ tensors: 3, bytes: 60 + 30 });
    x.release();
    expect(own.memory()).toEqual({ tensors: 2, bytes: 90 });
    y.release();
    expect(own.memory()).toEqual({ tensors: 1, bytes: 30 });
    z.release();
    expect(own.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  it('reports an index out of range at the next read', async () => {
    const own = createReferenceEngine();
    const table = own.full([2, 3], 1);
    const result = own.gather(table, own.upload(Int32Array.of(0, 2), [2]));
    expect(result.shape).toEqual([2, 3]);
    const error = {
      code: 'ENGINE_FAILED',
      message:
        'the engine reference (plain TypeScript, one thread) failed in gather: got index 2 at position 1; expected indices ' +
        'from 0 and below 2, the number of rows. What was asked for after it was not computed: open a new engine to go on.',
    };
    await expect(own.read(result)).rejects.toMatchObject(error);
    await expect(own.drain()).rejects.toMatchObject(error);
    await own.close();
  });
});

describe('its frozen weights', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-reference-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'weights');
  // 3 bytes of something else, then 1, -2, 0.5 as bfloat16 and as float16, then 1.5 as float32; little-endian.
  const hex = 'ffffff' + '803f00c0003f' + '003c00c00038' + '0000c03f';
  writeFileSync(file, Buffer.from(hex, 'hex'));

  it('are read by rows and widened', async () => {
    const before = engine.memory();
    const source = { name: 'w', shape: [3, 1], file };
    const brain = await engine.openWeight(plainSource({ ...source, dtype: 'bfloat16', byteOffset: 3 }));
    const half = await engine.openWeight(plainSource({ ...source, dtype: 'float16', byteOffset: 9 }));
    const single = await engine.openWeight(
      plainSource({ name: 's', shape: [1], dtype: 'float32', file, byteOffset: 15 }),
    );
    expect(engine.memory()).toEqual(before);
    await expectTensor(engine.readWeight(brain, 0, 3), [3, 1], 1, -2, 0.5);
    await expectTensor(engine.readWeight(half, 1, 3), [2, 1], -2, 0.5);
    await expectTensor(engine.readWeight(single, 0, 1), [1], 1.5);
    await expectTensor(engine.readWeight(brain, 2, 2), [0, 1]);
    expect(() => engine.readWeight(brain, 2, 4)).toThrow(
      'readWeight: got rows [2, 4) of w, shape [3, 1]; expected 0 <= start <= end <= 3',
    );
  });

  it('are refused if they hold integers', async () => {
    const integers = plainSource({ name: 'w', shape: [1], file, byteOffset: 3, dtype: 'int32' });
    await expect(engine.openWeight(integers)).rejects.toThrow('w holds integers');
  });
});
