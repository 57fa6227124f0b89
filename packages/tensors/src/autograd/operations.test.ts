import { describe, expect, test } from 'vitest';
import { knownWeight } from '../../test/gradient-case.js';
import type { Engine } from '../contract/engine.js';
import type { AdamWOptions, FusedOperations } from '../contract/fused.js';
import { uniforms } from '../contract/philox.js';
import { scope, type Tensor } from '../contract/tensor.js';
import { createReferenceEngine } from '../engines/reference/reference-engine.js';
import { createOperations, type Operations } from './operations.js';
import { createTape } from './tape.js';

// Values and gradients of each operation are in gradients.test.ts; here is what surrounds them.

function place(engine: Engine = createReferenceEngine(), options?: { composed: boolean }) {
  const ops = createOperations(engine, options);
  const floats = (shape: readonly number[], use = 1): Tensor =>
    engine.upload(
      uniforms(
        shape.reduce((size, length) => size * length, 1),
        [1, 2, 3, use],
      ),
      shape,
    );
  return { engine, ops, floats };
}

const weight = knownWeight([4, 6], 'bfloat16');
const segments = [{ queryStart: 0, queryLength: 3, keyStart: 0, keyLength: 3 }];
const attentionOf = {
  heads: 2,
  keyValueHeads: 1,
  headSize: 2,
  window: 0,
  scale: 1,
  segments,
  type: 'float32',
} as const;

describe('what an operation returns', () => {
  type Call = (ops: Operations, of: (...shape: number[]) => Tensor) => Tensor;
  const halves = (ops: Operations): { cos: Tensor; sin: Tensor } => ({
    cos: ops.engine.full([3, 1], 1),
    sin: ops.engine.full([3, 1], 0),
  });

  test.each<[string, Call, readonly number[], string?]>([
    ['add', (ops, of) => ops.add(of(2, 1, 3), of(4, 1)), [2, 4, 3]],
    ['matmul', (ops, of) => ops.matmul(of(5, 2, 3), of(5, 4, 3), { transposeB: true }), [5, 2, 4]],
    ['sum', (ops, of) => ops.sum(of(2, 3, 4), 1), [2, 1, 4]],
    ['sumAll', (ops, of) => ops.sumAll(of(2, 3)), []],
    ['cast', (ops, of) => ops.cast(of(2, 3), 'bfloat16'), [2, 3], 'bfloat16'],
    ['slice', (ops, of) => ops.slice(of(3, 4), [1, 2], [2, 1]), [2, 1]],
    ['transpose', (ops, of) => ops.transpose(of(2, 3, 4), [2, 0, 1]), [4, 2, 3]],
    ['concatenate', (ops, of) => ops.concatenate([of(2, 3), of(2, 1)], 1), [2, 4]],
    ['gather', (ops, of) => ops.gather(of(5, 3), ops.engine.upload(Int32Array.of(4, 0), [2])), [2, 3]],
    ['dropout', (ops, of) => ops.dropout(of(2, 3), { rate: 0.5, key: [1, 2, 3, 4] }), [2, 3]],
    ['rmsNorm', (ops, of) => ops.rmsNorm(of(2, 3), of(3), { epsilon: 1, type: 'bfloat16' }), [2, 3], 'bfloat16'],
    ['rope', (ops, of) => ops.rope(of(3, 4), { ...halves(ops), headSize: 2, type: 'bfloat16' }), [3, 4], 'bfloat16'],
    ['attention', (ops, of) => ops.attention(of(3, 4), of(3, 2), of(3, 2), attentionOf), [3, 4]],
    ['swiglu', (ops, of) => ops.swiglu(of(2, 3), of(2, 3), { type: 'bfloat16' }), [2, 3], 'bfloat16'],
    [
      'frozenLinear',
      (ops, of) => ops.frozenLinear(of(3, 6), weight.on(ops.engine), {}, 'bfloat16'),
      [3, 4],
      'bfloat16',
    ],
    ['linear', (ops, of) => ops.linear(of(3, 6), of(4, 6), of(4), 'bfloat16'), [3, 4], 'bfloat16'],
    [
      'tokenLosses',
      (ops, of) => ops.tokenLosses(of(2, 6), { weight: weight.on(ops.engine), labels: Int32Array.of(0, -1) }),
      [2],
    ],
    ['embedding', (ops) => ops.embedding(weight.on(ops.engine), Int32Array.of(3, 0, 3)), [3, 6]],
  ])('%s: its shape and type, and nothing else stays alive', async (_, call, shape, dtype = 'float32') => {
    const { engine, ops, floats } = place();
    await weight.open(engine);
    const inputs: Tensor[] = [];
    const y = scope(() =>
      call(ops, (...of) => {
        inputs.push(floats(of));
        return inputs.at(-1)!;
      }),
    );
    expect(y.shape).toEqual(shape);
    expect(y.dtype).toBe(dtype);
    expect(engine.memory().tensors).toBe(1);
    expect(inputs.every(({ disposed }) => disposed)).toBe(true);
  });

  test('a cast to the type that it has is the tensor itself', () => {
    const { ops, floats } = place();
    const x = floats([2]);
    expect(ops.cast(x, 'float32')).toBe(x);
  });

  test('activations are kept in the precision of the engine', () => {
    for (const precision of ['float32', 'bfloat16'] as const)
      expect(place(createReferenceEngine({ precision })).ops.activation).toBe(precision);
  });

  test('rows of a frozen embedding, widened', async () => {
    const { engine, ops } = place();
    const rows = await engine.read(ops.embedding(await weight.open(engine), Int32Array.of(3, 0, 3)));
    const row = (id: number): readonly number[] => weight.values.slice(6 * id, 6 * (id + 1));
    expect([...rows]).toEqual([...row(3), ...row(0), ...row(3)]);
  });

  test('products in bfloat16 read both operands rounded to it', async () => {
    const { engine, ops } = place(createReferenceEngine({ precision: 'bfloat16' }));
    const fine = knownWeight([1, 1], 'float32');
    // 1 + 2^-8 lies halfway between two numbers of bfloat16; the even one is 1.
    const x = engine.upload(Float32Array.of(1 + 2 ** -8), [1, 1]);
    const y = await engine.read(ops.frozenLinear(x, await fine.open(engine), {}, 'float32'));
    expect([...y]).toEqual([fine.values[0]]);
  });
});

describe('a tape', () => {
  test('holds nothing for what no watched tensor reaches', async () => {
    const { engine, ops, floats } = place();
    const [x, other] = [floats([2, 3]), floats([2, 3], 2)];
    const tape = createTape(engine);
    tape.watch(other);
    const y = ops.recording(tape, () => scope(() => ops.sumAll(ops.mul(ops.exp(x), x))));
    expect(engine.memory().tensors).toBe(3);
    expect(tape.tracks(y)).toBe(false);
    await expect(tape.backward(y)).rejects.toMatchObject({ code: 'NOT_DIFFERENTIABLE' });
  });

  test('records within `recording` alone, also after a body that threw', () => {
    const { engine, ops, floats } = place();
    const x = floats([2]);
    const [outer, inner] = [createTape(engine), createTape(engine)];
    outer.watch(x);
    inner.watch(x);
    const outside = ops.exp(x);
    const [before, within, after] = ops.recording(outer, () => {
      const first = ops.exp(x);
      const second = ops.recording(inner, () => ops.exp(x));
      const thrown = () =>
        ops.recording(inner, () => {
          throw new Error('within');
        });
      expect(thrown).toThrow('within');
      return [first, second, ops.exp(x)] as const;
    });
    expect([outside, before, within, after].map((y) => outer.tracks(y))).toEqual([false, true, false, true]);
    expect([outside, before, within, after].map((y) => inner.tracks(y))).toEqual([false, false, true, false]);
    outer.discard();
    inner.discard();
  });

  test('keeps x of a linear layer as narrow as it is stored', () => {
    const { engine, ops, floats } = place();
    const [x, w] = [scope(() => engine.cast(floats([5, 6]), 'bfloat16')), floats([4, 6])];
    const tape = createTape(engine);
    tape.watch(w);
    const y = ops.recording(tape, () => scope(() => ops.linear(x, w, undefined, 'float32')));
    y.release();
    x.release();
    // 5 x 6 numbers of 2 bytes, and W.
    expect(engine.memory().bytes).toBe(5 * 6 * 2 + 4 * 6 * 4);
    tape.discard();
    w.release();
    expect(engine.memory().tensors).toBe(0);
  });

  test('of a recomputed piece keeps the input alone, and computes it twice', async () => {
    const { engine, ops, floats } = place();
    const [x, w] = [floats([8, 8]), floats([8])];
    let computed = 0;
    const body = (input: Tensor): Tensor => {
      computed += 1;
      return ops.exp(ops.mul(ops.sigmoid(ops.mul(input, w)), w));
    };
    const pass = async (recompute: boolean) => {
      const tape = createTape(engine);
      tape.watch(x);
      tape.watch(w);
      const before = engine.memory().tensors;
      const y = ops.recording(tape, () => scope(() => (recompute ? ops.recomputed(x, [w], body) : body(x))));
      const kept = engine.memory().tensors - before;
      const seed = floats([8, 8], 9);
      const gradients = await tape.backward(y, seed);
      const values = [...(await engine.read(gradients.get(x)!)), ...(await engine.read(gradients.get(w)!))];
      for (const tensor of [y, seed, ...gradients.values()]) tensor.release();
      expect(engine.memory().tensors).toBe(before);
      return { kept, values };
    };
    const plain = await pass(false);
    expect(computed).toBe(1);
    const recomputed = await pass(true);
    expect(computed).toBe(3);
    expect(recomputed.values).toEqual(plain.values);
    expect([recomputed.kept, plain.kept > 1]).toEqual([1, true]);
  });
});

describe('what does not fit is refused', () => {
  type Call = (ops: Operations, of: (...shape: number[]) => Tensor) => unknown;

  test.each<[string, Call, string, RegExp]>([
    ['add', (ops, of) => ops.add(of(2, 3), of(2)), 'SHAPE_MISMATCH', /\[2, 3\] and \[2\]/],
    ['matmul', (ops, of) => ops.matmul(of(2, 3), of(2, 3)), 'SHAPE_MISMATCH', /\[2, 3\] x \[2, 3\]/],
    ['sum', (ops, of) => ops.sum(of(2, 3), -1), 'SHAPE_MISMATCH', /axis -1/],
    ['slice', (ops, of) => ops.slice(of(2, 3), [0, 1], [2, 3]), 'SHAPE_MISMATCH', /at \[0, 1\]/],
    ['reshape', (ops, of) => ops.reshape(of(2, 3), [7]), 'SHAPE_MISMATCH', /6 elements, not 7/],
    ['transpose', (ops, of) => ops.transpose(of(2, 3), [0, 2]), 'SHAPE_MISMATCH', /\[0, 2\]/],
    ['concatenate', (ops) => ops.concatenate([], 0), 'SHAPE_MISMATCH', /no parts/],
    ['gather', (ops, of) => ops.gather(of(2, 3), of(2)), 'DTYPE_MISMATCH', /gather: got a float32/],
    ['cast', (ops, of) => ops.cast(of(2), 'float16'), 'DTYPE_MISMATCH', /float16/],
    ['exp', (ops, of) => ops.exp(ops.cast(of(2), 'bfloat16')), 'DTYPE_MISMATCH', /exp: got a bfloat16/],
    [
      'frozenLinear',
      (ops, of) => ops.frozenLinear(of(3, 5), weight.on(ops.engine), {}, 'float32'),
      'SHAPE_MISMATCH',
      /\[3, 5\]/,
    ],
    [
      'frozenLinear with a low rank of another width',
      (ops, of) =>
        ops.frozenLinear(
          of(3, 6),
          weight.on(ops.engine),
          { lowRank: { A: of(2, 5), B: of(4, 2), scale: 1 } },
          'float32',
        ),
      'SHAPE_MISMATCH',
      /\[2, 5\]/,
    ],
    ['linear', (ops, of) => ops.linear(of(3, 5), of(4, 6), undefined, 'float32'), 'SHAPE_MISMATCH', /\[4, 6\]/],
    [
      'attention beyond its keys',
      (ops, of) => ops.attention(of(3, 4), of(2, 2), of(2, 2), attentionOf),
      'SHAPE_MISMATCH',
      /\[3, 2\]/,
    ],
    [
      'tokenLosses of too few labels',
      (ops, of) => ops.tokenLosses(of(2, 6), { weight: weight.on(ops.engine), labels: Int32Array.of(0) }),
      'SHAPE_MISMATCH',
      /1 labels; expected one for each of 2 rows/,
    ],
    [
      'tokenLosses of a label beyond the vocabulary',
      // In the first row: behind its logits lie those of the second.
      (ops, of) => ops.tokenLosses(of(2, 6), { weight: weight.on(ops.engine), labels: Int32Array.of(4, 0) }),
      'BAD_ARGUMENT',
      /token 4 at 0; the vocabulary has 4/,
    ],
  ])('%s', async (_, call, code, message) => {
    const { engine, ops, floats } = place();
    await weight.open(engine);
    const make = () => scope(() => call(ops, (...shape) => floats(shape)));
    expect(make).toThrow(expect.objectContaining({ code }));
    expect(make).toThrow(message);
    expect(engine.memory().tensors).toBe(0);
  });

  test('a tensor that was freed', () => {
    const { ops, floats } = place();
    const x = floats([2]);
    x.release();
    expect(() => ops.exp(x)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });
});

describe('an override of a named operation', () => {
  /** swiglu that notes how it is called, and whose values nobody could take for the composition's. */
  function withOverride(recomputes?: boolean) {
    const engine = createReferenceEngine();
    const calls: string[] = [];
    const swiglu: FusedOperations['swiglu'] = {
      ...(recomputes === undefined ? {} : { recomputes }),
      forward({ gate, up }, _, keep) {
        calls.push(`forward${keep ? ', kept' : ''}`);
        return { output: engine.binary('add', gate, up), saved: keep ? { gate } : {} };
      },
      backward(saved, gradient, _, needs) {
        calls.push(`backward of ${Object.keys(saved).join()} for ${[...needs].join()}`);
        return Object.fromEntries([...needs].map((name) => [name, engine.affine(gradient, name === 'up' ? 3 : 2, 0)]));
      },
    };
    return { calls, ...place({ ...engine, fused: { swiglu } }) };
  }
  const options = { type: 'float32' } as const;

  test('computes without a tape, and with one that tracks nothing, without keeping', async () => {
    const { engine, ops, floats, calls } = withOverride();
    const [gate, up] = [floats([2]), floats([2], 2)];
    const y = ops.swiglu(gate, up, options);
    const tape = createTape(engine);
    ops.recording(tape, () => ops.swiglu(gate, up, options)).release();
    expect(calls).toEqual(['forward', 'forward']);
    const [a, b] = [await engine.read(gate), await engine.read(up)];
    expect([...(await engine.read(y))]).toEqual([...a].map((value, i) => Math.fround(value + b[i]!)));
  });

  test('`composed` leaves it out', async () => {
    const { engine, calls } = withOverride();
    const { ops, floats } = place(engine, { composed: true });
    const y = await engine.read(ops.swiglu(floats([1]), engine.full([1], 1), options));
    const [gate] = uniforms(1, [1, 2, 3, 1]);
    expect(y[0]).toBeCloseTo(gate! / (1 + Math.exp(-gate!)), 6);
    expect(calls).toEqual([]);
  });

  test.each([
    [['gate'], 'gate'],
    [['up'], 'up'],
    [['gate', 'up'], 'gate,up'],
  ])('backward is asked for the gradients of %j alone', async (watched, needs) => {
    const { engine, ops, floats, calls } = withOverride();
    const inputs = { gate: floats([2]), up: floats([2], 2) };
    const tape = createTape(engine);
    for (const name of watched) tape.watch(inputs[name as 'gate']);
    const y = ops.recording(tape, () => scope(() => ops.sumAll(ops.swiglu(inputs.gate, inputs.up, options))));
    const gradients = await tape.backward(y);
    expect(calls).toEqual(['forward, kept', `backward of gate for ${needs}`]);
    expect(gradients.size).toBe(watched.length);
    for (const name of watched)
      expect([...(await engine.read(gradients.get(inputs[name as 'gate'])!))]).toEqual(name === 'up' ? [3, 3] : [2, 2]);
  });

  test('that recomputes is computed again where a backward reads its output', async () => {
    const { engine, ops, floats, calls } = withOverride(true);
    const [gate, up] = [floats([2]), floats([2], 2)];
    const tape = createTape(engine);
    tape.watch(gate);
    const { output, y } = ops.recording(tape, () =>
      scope(() => {
        const output = ops.swiglu(gate, up, options);
        return { output, y: ops.sumAll(ops.mul(output, output)) };
      }),
    );
    const values = [...(await engine.read(output))];
    output.release();
    expect(output.disposed).toBe(true);
    const gradients = await tape.backward(y);
    expect(calls).toEqual(['forward, kept', 'forward', 'backward of gate for gate']);
    // d (gate + up)^2, with the override's factor of 2.
    expect([...(await engine.read(gradients.get(gate)!))]).toEqual(values.map((value) => 4 * value));
  });
});

describe('what an optimizer needs', () => {
  test('three steps of AdamW as torch.optim.AdamW defines them', async () => {
    const { engine, ops, floats } = place();
    const common = { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, gradientScale: 0.5 };
    const settings = [
      { shape: [2, 3], learningRate: 0.1, weightDecay: 0.2 },
      { shape: [4], learningRate: 0.01, weightDecay: 0 },
    ];
    const states = settings.map(({ shape, ...rest }, i) => ({
      ...rest,
      parameter: floats(shape, i),
      mean: engine.full(shape, 0),
      variance: engine.full(shape, 0),
    }));
    const naive = await Promise.all(
      states.map(async ({ parameter }) => [...(await engine.read(parameter))].map((p) => ({ p, m: 0, v: 0 }))),
    );
    for (const step of [1, 2, 3]) {
      const gradients = settings.map(({ shape }, i) => floats(shape, 10 * step + i));
      for (const [i, gradient] of gradients.entries()) {
        const { learningRate, weightDecay } = settings[i]!;
        [...(await engine.read(gradient))].forEach((value, at) => {
          const element = naive[i]![at]!;
          const g = common.gradientScale * value;
          element.p -= learningRate * weightDecay * element.p;
          element.m = common.beta1 * element.m + (1 - common.beta1) * g;
          element.v = common.beta2 * element.v + (1 - common.beta2) * g * g;
          const [mean, variance] = [element.m / (1 - common.beta1 ** step), element.v / (1 - common.beta2 ** step)];
          element.p -= (learningRate * mean) / (Math.sqrt(variance) + common.epsilon);
        });
      }
      const options: AdamWOptions = { ...common, step };
      ops.adamW(
        states.map((state, i) => ({ ...state, gradient: gradients[i]! })),
        options,
      );
      for (const gradient of gradients) gradient.release();
    }
    for (const [i, { parameter, mean, variance }] of states.entries())
      for (const [tensor, of] of [
        [parameter, 'p'],
        [mean, 'm'],
        [variance, 'v'],
      ] as const) {
        // A dozen float32 operations a step, on values of about 1.
        const expected = naive[i]!.map((element) => element[of]);
        [...(await engine.read(tensor))].forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 6));
      }
    for (const { parameter, mean, variance } of states) for (const each of [parameter, mean, variance]) each.release();
    expect(engine.memory().tensors).toBe(0);
  });

  test('the sum of all squares, over tensors of any shape', async () => {
    const { engine, ops } = place();
    const tensors = [[3], [], [2, 1, 2]].map((shape, i) => engine.full(shape, i + 1));
    const sum = ops.sumOfSquares(tensors);
    expect(sum.shape).toEqual([]);
    expect([...(await engine.read(sum))]).toEqual([3 * 1 + 4 + 4 * 9]);
    expect(engine.memory().tensors).toBe(4);
  });
});
