import {
  fromBfloat16Bits,
  inMemory,
  readFloats,
  sizeOf,
  toBfloat16Bits,
  type Shape,
  type WeightSource,
} from '@glulam/files';
import type { Device, Operand } from '../../contract/device.js';
import type { BinaryOperation, Engine, Precision, UnaryOperation } from '../../contract/engine.js';
import { uniforms } from '../../contract/philox.js';
import { createEngine } from '../../shell/create-engine.js';
import { stridesOf } from '../../shell/shapes.js';
import { broadcastValues, offsetsOf, pick, place, regionOf, type ReferenceValues } from './reference-strides.js';

const unaryFunctions: Readonly<Record<UnaryOperation, (x: number) => number>> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

const binaryFunctions: Readonly<Record<BinaryOperation, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  greaterEqual: (a, b) => (a >= b ? 1 : 0),
};

/**
 * The engine that others are measured with: plain TypeScript, one thread, computed at once, slow and obvious. Values are
 * stored in float32, each operation computes in double and rounds its result once.
 */
export function createReferenceEngine({ precision = 'float32' }: { readonly precision?: Precision } = {}): Engine {
  return createEngine(createReferenceDevice(), { kind: 'reference', precision });
}

/** The reference engine's device, for engines that begin with it. */
export function createReferenceDevice(): Device<ReferenceValues> {
  const floatsOf = (x: Operand<ReferenceValues>): Float32Array => x.data as Float32Array;
  const compute = (shape: Shape, valueAt: (i: number) => number): Float32Array => {
    const values = new Float32Array(sizeOf(shape));
    for (let i = 0; i < values.length; i++) values[i] = valueAt(i);
    return values;
  };
  const indicesOf = ({ data }: Operand<ReferenceValues>, rows: number): Int32Array => {
    const indices = data as Int32Array;
    const position = indices.findIndex((index) => index < 0 || index >= rows);
    if (position < 0) return indices;
    throw new Error(
      `got index ${indices[position]} at position ${position}; expected indices from 0 and below ${rows}, the number of rows`,
    );
  };

  return {
    description: 'plain TypeScript, one thread',
    upload: (values) => values.slice(),
    async read({ data, dtype }) {
      return dtype === 'bfloat16'
        ? Float32Array.from(data, fromBfloat16Bits)
        : (data as Float32Array | Int32Array).slice();
    },
    write(target, value, start) {
      place(target.data, regionOf(target.shape, start, value.shape), value.data);
      return target.data;
    },
    free: () => undefined,
    drain: () => Promise.resolve(),
    openWeight: inMemory,
    close: () => Promise.resolve(),

    kernels: {
      full: ({ value }, { shape }) => compute(shape, () => value),
      cast({ x }, { dtype }) {
        if (x.dtype === dtype) return x.data.slice();
        return dtype === 'bfloat16'
          ? Uint16Array.from(x.data, toBfloat16Bits)
          : Float32Array.from(x.data, fromBfloat16Bits);
      },
      matmul({ a, b, transposeA, transposeB, batch, m, k, n }) {
        const [left, right] = [floatsOf(a), floatsOf(b)];
        const [leftRow, leftStep] = transposeA ? [1, m] : [k, 1];
        const [rightStep, rightColumn] = transposeB ? [1, k] : [n, 1];
        const values = new Float32Array(batch * m * n);
        for (let matrix = 0, at = 0; matrix < batch; matrix++) {
          for (let i = 0; i < m; i++) {
            for (let j = 0; j < n; j++, at++) {
              let sum = 0;
              let l = matrix * m * k + i * leftRow;
              let r = matrix * k * n + j * rightColumn;
              for (let step = 0; step < k; step++, l += leftStep, r += rightStep) sum += left[l]! * right[r]!;
              values[at] = sum;
            }
          }
        }
        return values;
      },
      unary: ({ operation, x }) => floatsOf(x).map(unaryFunctions[operation]),
      binary({ operation, a, b }, { shape }) {
        const [left, right] = [a, b].map((x) => broadcastValues(floatsOf(x), x.shape, shape));
        const combine = binaryFunctions[operation];
        return compute(shape, (i) => combine(left![i]!, right![i]!));
      },
      affine: ({ x, factor, offset }) => floatsOf(x).map((value) => factor * value + offset),
      select({ condition, a, b }, { shape }) {
        const [test, yes, no] = [condition, a, b].map((x) => broadcastValues(floatsOf(x), x.shape, shape));
        return compute(shape, (i) => (test![i] !== 0 ? yes![i]! : no![i]!));
      },
      reduce({ operation, x, axis }, { shape }) {
        const [values, strides, length] = [floatsOf(x), stridesOf(x.shape), x.shape[axis]!];
        const firsts = offsetsOf(shape, strides);
        const accumulate = operation === 'sum' ? binaryFunctions.add : binaryFunctions.max;
        return compute(shape, (i) => {
          let result = operation === 'sum' ? 0 : -Infinity;
          for (let j = 0; j < length; j++) result = accumulate(result, values[firsts[i]! + j * strides[axis]!]!);
          return result;
        });
      },
      gather({ table, indices }, { shape }) {
        const [rows, columns] = table.shape as [number, number];
        const [values, picks] = [floatsOf(table), indicesOf(indices, rows)];
        return compute(shape, (i) => values[picks[Math.floor(i / columns)]! * columns + (i % columns)]!);
      },
      scatterAdd({ indices, values }, { shape }) {
        const [rows, columns] = shape as [number, number];
        const places = indicesOf(indices, rows);
        const sums = new Float64Array(sizeOf(shape));
        floatsOf(values).forEach((value, i) => {
          sums[places[Math.floor(i / columns)]! * columns + (i % columns)]! += value;
        });
        return Float32Array.from(sums);
      },
      slice: ({ x, start }, { shape }) => pick(x.data, regionOf(x.shape, start, shape)),
      transpose({ x, permutation }, { shape }) {
        const strides = stridesOf(x.shape);
        return pick(
          x.data,
          offsetsOf(
            shape,
            permutation.map((axis) => strides[axis]!),
          ),
        );
      },
      concatenate({ parts, axis }, { shape }) {
        const values = new (parts[0]!.data.constructor as new (length: number) => ReferenceValues)(sizeOf(shape));
        let done = 0;
        for (const part of parts) {
          const start = shape.map((_, other) => (other === axis ? done : 0));
          place(values, regionOf(shape, start, part.shape), part.data);
          done += part.shape[axis]!;
        }
        return values;
      },
      argmax({ x }, { shape }) {
        const [values, length] = [floatsOf(x), x.shape.at(-1)!];
        return Int32Array.from({ length: sizeOf(shape) }, (_, row) => {
          let winner = 0;
          for (let j = 1; j < length; j++) if (values[row * length + j]! > values[row * length + winner]!) winner = j;
          return winner;
        });
      },
      random: ({ key }, { shape }) => uniforms(sizeOf(shape), key),
      readWeight: ({ weight, start, end }) => readFloats(weight.storage as WeightSource, start, end),
    },
  };
}
