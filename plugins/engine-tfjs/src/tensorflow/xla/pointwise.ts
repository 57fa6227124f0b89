import { scope, type FusedOperations } from '@glulam/tensors';
import { tfTypeOf } from '../binding.js';
import type { FusedContext } from '../fused-context.js';
import { elementOf, type ProgramBuilder, type Value } from './stablehlo.js';
import { perRow, whole, type Xla } from './xla.js';

/** y = x / rms * weight */
export function rmsNormProgram({ of, makeMany }: FusedContext, xla: Xla): FusedOperations['rmsNorm'] {
  const name = 'rmsNorm';
  return {
    forward: ({ x, weight }, { epsilon, type }, keep) =>
      scope(() => {
        const [rows, width] = x.shape as [number, number];
        const results = [
          { shape: [rows, width], dtype: type },
          { shape: [rows, 1], dtype: 'float32' as const },
        ];
        const [output, inverses] = makeMany(name, results, () =>
          xla.run(
            `${name}_forward`,
            [epsilon, type],
            rows,
            [perRow(of(x)), whole(of(weight))],
            (p, [input, weight]) => {
              const x = p.convert(input!, 'f32');
              const meanSquare = p.mul(p.sumOfRows(p.mul(x, x)), 1 / width);
              const r = p.unary('rsqrt', p.add(meanSquare, epsilon));
              const y = p.mul(p.mul(x, p.spread(r, [0], x.shape)), p.spread(weight!, [1], x.shape));
              return [perRow(p.convert(y, elementOf(tfTypeOf(type)))), perRow(p.reshape(r, [x.shape[0]!, 1]))];
            },
          ),
        );
        return { output: output!, saved: keep ? { x, weight, inverses } : {} };
      }),
    backward({ x, weight, inverses }, gradient, _, needs) {
      const [rows, width] = x!.shape as [number, number];
      const needsWeight = needs.has('weight');
      const shapes = [[rows, width], ...(needsWeight ? [[width]] : [])];
      const [dx, dWeight] = makeMany(
        name,
        shapes.map((shape) => ({ shape, dtype: 'float32' })),
        () =>
          xla.run(
            `${name}_backward`,
            [needsWeight],
            rows,
            [perRow(of(gradient)), perRow(of(x!)), whole(of(weight!)), perRow(of(inverses!))],
            (p, [dy, input, weight, inverses]) => {
              const { shape } = dy!;
              const x = p.convert(input!, 'f32');
              const r = p.reshape(inverses!, [shape[0]!]);
              const normal = p.mul(x, p.spread(r, [0], shape));
              const scaled = p.mul(dy!, p.spread(weight!, [1], shape));
              // dx = r (g - n mean(g n)), with g = dy w and n = x r
              const mean = p.mul(p.sumOfRows(p.mul(scaled, normal)), -1 / width);
              const along = p.mul(normal, p.spread(mean, [0], shape));
              const dx = p.mul(p.add(scaled, along), p.spread(r, [0], shape));
              return [perRow(dx), ...(needsWeight ? [whole(p.reduce('add', p.mul(dy!, normal), 0))] : [])];
            },
          ),
      );
      return { x: dx, weight: dWeight };
    },
  };
}

/** The halves of each head are turned against each other. */
export function ropeProgram({ of, makeMany }: FusedContext, xla: Xla): FusedOperations['rope'] {
  const name = 'rope';
  /** By the angles, or back. */
  const turn = (p: ProgramBuilder, input: Value, cos: Value, sin: Value, headSize: number, back: boolean): Value => {
    const [tokens, width] = input.shape as [number, number];
    const half = [tokens, width / headSize, headSize / 2];
    const x = p.reshape(p.convert(input, 'f32'), [tokens, width / headSize, headSize]);
    const [first, second] = [p.slice(x, 2, 0, headSize / 2), p.slice(x, 2, headSize / 2, headSize)];
    const [c, s] = [p.spread(cos, [0, 2], half), p.spread(sin, [0, 2], half)];
    const sum = (a: Value, b: Value, minus: boolean): Value => p.binary(minus ? 'subtract' : 'add', a, b);
    const turned = [sum(p.mul(first, c), p.mul(second, s), !back), sum(p.mul(second, c), p.mul(first, s), back)];
    return p.reshape(p.concatenate(turned, 2), [tokens, width]);
  };
  return {
    forward({ x }, { cos, sin, headSize, type }) {
      const [output] = makeMany(name, [{ shape: x.shape, dtype: type }], () =>
        xla.run(`${name}_forward`, [type], x.shape[0]!, [of(x), of(cos), of(sin)].map(perRow), (p, [x, cos, sin]) => [
          perRow(p.convert(turn(p, x!, cos!, sin!, headSize, false), elementOf(tfTypeOf(type)))),
        ]),
      );
      return { output: output!, saved: {} };
    },
    backward(_, gradient, { cos, sin, headSize }) {
      const [x] = makeMany(name, [{ shape: gradient.shape, dtype: 'float32' }], () =>
        xla.run(
          `${name}_backward`,
          [],
          gradient.shape[0]!,
          [of(gradient), of(cos), of(sin)].map(perRow),
          (p, [dy, cos, sin]) => [perRow(turn(p, dy!, cos!, sin!, headSize, true))],
        ),
      );
      return { x };
    },
  };
}

/** y = gate sigmoid(gate) up */
export function swigluProgram({ of, makeMany }: FusedContext, xla: Xla): FusedOperations['swiglu'] {
  const name = 'swiglu';
  return {
    forward({ gate, up }, { type }, keep) {
      const inputs = [of(gate), of(up)].map(perRow);
      const [output] = makeMany(name, [{ shape: gate.shape, dtype: type }], () =>
        xla.run(`${name}_forward`, [type], gate.shape[0]!, inputs, (p, values) => {
          const [g, u] = values.map((value) => p.convert(value, 'f32')) as [Value, Value];
          const y = p.mul(p.mul(g, p.unary('logistic', g)), u);
          return [perRow(p.convert(y, elementOf(tfTypeOf(type))))];
        }),
      );
      return { output: output!, saved: keep ? { gate, up } : {} };
    },
    backward({ gate, up }, gradient) {
      const result = { shape: gate!.shape, dtype: 'float32' as const };
      const inputs = [of(gate!), of(up!), of(gradient)].map(perRow);
      const [dGate, dUp] = makeMany(name, [result, result], () =>
        xla.run(`${name}_backward`, [], gradient.shape[0]!, inputs, (p, values) => {
          const [g, u, dy] = values.map((value) => p.convert(value, 'f32')) as [Value, Value, Value];
          const s = p.unary('logistic', g);
          // d (g s) = s + g s (1 - s)
          const slope = p.add(s, p.mul(p.mul(g, s), p.binary('subtract', 1, s)));
          // Twice, since XLA would write it to memory to use it twice.
          const again = p.unary('logistic', p.asWritten(g));
          return [perRow(p.mul(p.mul(dy, u), slope)), perRow(p.mul(dy, p.mul(g, again)))];
        }),
      );
      return { gate: dGate, up: dUp };
    },
  };
}
