import { createNativeEngine } from '@glulam/engine-native';
import { testOperation } from '@glulam/testing';
import { createOperations, createReferenceEngine, type Fused, type NamedOperation, type Tensor } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { capped, geluTanh, softCap } from '../support/named-operations.js';

const engines = { native: async (precision: 'float32' | 'bfloat16') => createNativeEngine({ precision }) };

testOperation(geluTanh, {
  engines,
  cases: [
    { name: 'float32', inputs: { x: { shape: [5, 7] } }, options: { type: 'float32' } },
    {
      name: 'both tails',
      inputs: { x: { shape: [2, 3], values: Float32Array.of(-9, -3, -0.7, 0, 1.5, 12) } },
      options: { type: 'float32' },
    },
  ],
});
testOperation(softCap, {
  engines,
  cases: [0.5, 3, 50].map((cap) => ({ name: `cap ${cap}`, inputs: { x: { shape: [4, 9] } }, options: { cap } })),
});

describe('a named operation', () => {
  const floats = (engine: ReturnType<typeof createReferenceEngine>): Tensor =>
    engine.upload(Float32Array.of(-2, 0.5, 4), [1, 3]);

  test('runs as its override on the engine that it names, and as its composition elsewhere', async () => {
    const before = capped.count;
    const reference = createReferenceEngine();
    const expected = await reference.read(
      createOperations(reference).run(softCap, { x: floats(reference) }, { cap: 2 }),
    );
    expect(capped.count).toBe(before);
    expect([...expected].map((value) => value.toFixed(5))).toEqual(
      [-2, 0.5, 4].map((value) => (2 * Math.tanh(value / 2)).toFixed(5)),
    );
    const native = createNativeEngine();
    const got = await native.read(createOperations(native).run(softCap, { x: floats(native) }, { cap: 2 }));
    expect(capped.count).toBe(before + 1);
    got.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 6));
    createOperations(native, { composed: true }).run(softCap, { x: floats(native) }, { cap: 2 });
    expect(capped.count).toBe(before + 1);
    await native.close();
  });

  test('of this name that the engine has itself takes precedence', async () => {
    const reference = createReferenceEngine();
    const zeros: Fused<{ x: Tensor }, unknown> = {
      forward: ({ x }) => ({ output: reference.full(x.shape, 0), saved: {} }),
      backward: () => ({}),
    };
    const ops = createOperations({ ...reference, fused: { 'test.softCap': zeros } });
    expect([...(await reference.read(ops.run(softCap, { x: floats(reference) }, { cap: 2 })))]).toEqual([0, 0, 0]);
  });

  test('has its name alone: another one of that name is refused, core’s names too', () => {
    const engine = createReferenceEngine();
    const ops = createOperations(engine);
    const x = floats(engine);
    ops.run(softCap, { x }, { cap: 2 });
    ops.run(softCap, { x }, { cap: 3 });
    const other: NamedOperation<{ x: Tensor }> = { name: 'test.softCap', compose: (_, inputs) => inputs.x };
    expect(() => ops.run(other, { x }, {})).toThrow(/two operations are named "test.softCap"/);
    expect(() => ops.run({ ...other, name: 'swiglu' }, { x }, {})).toThrow(/two operations are named "swiglu"/);
  });
});
