import { FilesError, plainSource } from '@glulam/files';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Device, Operand } from '../contract/device.js';
import { TensorsError } from '../errors.js';
import { createEngine } from './create-engine.js';
import { kernelsFrom } from './kernels-from.js';

interface Block {
  readonly made: string;
}

let calls: string[];
let fault: Error | undefined;
let freed: Block[];
let device: Device<Block>;

beforeEach(() => {
  calls = [];
  freed = [];
  fault = undefined;
  device = {
    description: 'a test',
    kernels: kernelsFrom<Block>((name) => {
      calls.push(name);
      if (fault !== undefined) throw fault;
      return { made: name };
    }),
    upload: () => ({ made: 'upload' }),
    read: async ({ shape }) => new Float32Array(shape.reduce((size, length) => size * length, 1)),
    write: () => ({ made: 'write' }),
    free: (data) => void freed.push(data),
    drain: () => Promise.resolve(),
    openWeight: async ({ name }) => `opened ${name}`,
    close: async () => void calls.push('close'),
  };
});
const open = (kind = 'test') => createEngine(device, { kind, precision: 'float32' });

describe('the engine on a device', () => {
  it('gives kernels named arguments and results, once these fit', () => {
    let seen: unknown;
    const kernels = {
      ...device.kernels,
      matmul: (given: unknown, result: unknown) => ((seen = { given, result }), { made: 'c' }),
    };
    const engine = createEngine({ ...device, kernels }, { kind: 'test', precision: 'float32' });
    const [a, b] = [engine.full([2, 3], 0), engine.full([4, 3], 0)];
    expect(() => engine.matmul(a, b)).toThrow(/matmul: got \[2, 3\] x \[4, 3\]/);
    expect(seen).toBeUndefined();
    engine.matmul(a, b, { transposeB: true });
    const operand = (shape: readonly number[]) => ({ data: { made: 'full' }, shape, dtype: 'float32' });
    expect(seen).toEqual({
      given: {
        a: operand([2, 3]),
        b: operand([4, 3]),
        transposeA: false,
        transposeB: true,
        batch: 1,
        m: 2,
        k: 3,
        n: 4,
      },
      result: { shape: [2, 4], dtype: 'float32' },
    });
  });

  it('frees data once, with the last view of it', () => {
    const engine = open();
    const x = engine.full([2, 3], 0);
    const y = engine.reshape(x, [6]);
    expect(engine.memory()).toEqual({ tensors: 2, bytes: 24 });
    x.release();
    expect(freed).toEqual([]);
    y.release();
    expect(freed).toEqual([{ made: 'full' }]);
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  it('frees what a write replaces, and not what it changed in place', () => {
    const inPlace = createEngine(
      { ...device, write: ({ data }: Operand<Block>) => data },
      { kind: 'test', precision: 'float32' },
    );
    inPlace.write(inPlace.full([2], 0), inPlace.full([1], 1), [0]);
    expect(freed).toEqual([]);
    const engine = open();
    const target = engine.full([2], 0);
    engine.write(target, engine.full([1], 1), [0]);
    expect(freed).toEqual([{ made: 'full' }]);
    target.release();
    expect(freed[1]).toEqual({ made: 'write' });
  });

  it('computes nothing after a failure, names the operation, and reports it until it is closed', async () => {
    const engine = open();
    const x = engine.full([2], 0);
    fault = new Error('no memory');
    const y = engine.unary('exp', x);
    fault = undefined;
    engine.affine(y, 1, 0);
    expect(calls).toEqual(['full', 'unary']);
    const message =
      /the engine test \(a test\) failed in exp: no memory\. What was asked for after it was not computed/;
    await expect(engine.read(x)).rejects.toThrow(message);
    await expect(engine.drain()).rejects.toThrow(message);
    // Who has read it knows.
    await engine.close();
    y.release();
    expect(freed).toEqual([]);
  });

  it('reports a failure at its end where nobody has asked', async () => {
    const engine = open();
    fault = new Error('no memory');
    engine.full([2], 0);
    await expect(engine.close()).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(calls.at(-1)).toBe('close');
    const late = createEngine(
      { ...device, close: () => Promise.reject(new Error('lost')) },
      { kind: 'test', precision: 'float32' },
    );
    await expect(late.close()).rejects.toThrow(/failed in its queue: lost/);
  });

  it('passes what the caller did wrong on, and works as before', async () => {
    const engine = open();
    for (const mistake of [
      new FilesError('FILE_UNREADABLE', 'gone'),
      new TensorsError('BAD_ARGUMENT', 'no such token'),
    ]) {
      fault = mistake;
      expect(() => engine.full([2], 0)).toThrow(mistake);
      fault = undefined;
      await engine.read(engine.full([2], 0));
    }
  });

  it('keeps an error of the device’s own as it is', async () => {
    const lost = new FilesError('FILE_CHANGED', 'the file has changed');
    const engine = createEngine(
      { ...device, read: () => Promise.reject(lost) },
      { kind: 'test', precision: 'float32' },
    );
    const x = engine.full([2], 0);
    await expect(engine.read(x)).rejects.toBe(lost);
    await expect(engine.drain()).rejects.toBe(lost);
  });

  it('checks weights before the device opens them', async () => {
    const engine = open();
    const source = (dtype: 'int32' | 'float32') =>
      plainSource({ name: 'w', shape: [2], dtype, file: 'model.safetensors', byteOffset: 0 });
    await expect(engine.openWeight(source('int32'))).rejects.toMatchObject({ code: 'DTYPE_MISMATCH' });
    expect(await engine.openWeight(source('float32'))).toEqual({
      ...{ name: 'w', shape: [2], dtype: 'float32', storage: 'opened w' },
    });
  });

  it('refuses work once it is closed', async () => {
    const engine = open();
    const x = engine.full([2], 0);
    await engine.close();
    await engine.close();
    expect(calls.filter((name) => name === 'close')).toHaveLength(1);
    expect(() => engine.full([1], 0)).toThrow(/full was asked of an engine that is closed/);
    await expect(engine.read(x)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    x.release();
    expect(freed).toEqual([]);
  });
});
