import { sizeOf, type Shape } from '@glulam/files';
import { sameShape } from '@glulam/tensors';
import { tfTypes } from '../binding.js';

/** The types of elements that programs compute with, as StableHLO names them. */
export type Element = 'f32' | 'bf16' | 'i32' | 'i1';

interface TensorType {
  readonly shape: Shape;
  readonly element: Element;
}

/** A value of a program under construction. */
export interface Value extends TensorType {
  readonly name: string;
}

/** A function that XLA compiles: inputs and results are tensors of fixed shapes. */
export interface Program {
  readonly text: string;
  readonly results: readonly TensorType[];
  /** What it needs at most beside its inputs and results: operands and results of products, in bytes. */
  readonly scratchBytes: number;
}

export const elementOf = (dtype: number): Element =>
  dtype === tfTypes.bfloat16 ? 'bf16' : dtype === tfTypes.int32 ? 'i32' : 'f32';
export const tfTypeOfElement: Readonly<Record<Element, number>> = {
  f32: tfTypes.float32,
  bf16: tfTypes.bfloat16,
  i32: tfTypes.int32,
  i1: tfTypes.bool,
};
const widthOf: Readonly<Record<Element, number>> = { f32: 4, bf16: 2, i32: 4, i1: 1 };

type Unary = 'exponential' | 'log' | 'logistic' | 'rsqrt' | 'sqrt';
type Binary = 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'and';
/** A value, or a number that stands for a tensor filled with it. */
type Operand = Value | number;

/** Operations of StableHLO (openxla.org/stablehlo/spec), checked as they are written down. */
export interface ProgramBuilder {
  unary(operation: Unary, x: Value): Value;
  /** Of one shape and type. */
  binary(operation: Binary, a: Operand, b: Operand): Value;
  add(a: Operand, b: Operand): Value;
  mul(a: Operand, b: Operand): Value;
  convert(x: Value, element: Element): Value;
  /** Repeated along all axes of the shape but these, which are x's own. */
  spread(x: Value, axes: readonly number[], shape: Shape): Value;
  /** The axis is gone. */
  reduce(operation: 'add' | 'maximum', x: Value, axis: number): Value;
  /** Over a matrix's last axis, which is gone: a product with ones, at a third of the time that XLA takes to reduce. */
  sumOfRows(x: Value): Value;
  reshape(x: Value, shape: Shape): Value;
  slice(x: Value, axis: number, start: number, end: number): Value;
  concatenate(parts: readonly Value[], axis: number): Value;
  transpose(x: Value, permutation: readonly number[]): Value;
  /** The same value, computed as it is written: XLA does not look for another form of what is on both sides of it. */
  asWritten(x: Value): Value;
  /** Two matrices, or two batches of as many, summed over one axis of each; the result is float32. */
  product(a: Value, b: Value, axisOfA: 'rows' | 'columns', axisOfB: 'rows' | 'columns'): Value;
  /** Each element's place along the axis, int32. */
  places(shape: Shape, axis: number): Value;
  /** i1 */
  compare(direction: 'EQ' | 'LE' | 'LT', a: Operand, b: Operand): Value;
  select(condition: Value, a: Operand, b: Operand): Value;
  /** Zeros along one axis, so many before and so many after. */
  pad(x: Value, axis: number, before: number, after: number): Value;
}

const typeText = ({ shape, element }: TensorType): string => `tensor<${[...shape, element].join('x')}>`;

export function writeProgram(
  name: string,
  inputs: readonly TensorType[],
  body: (builder: ProgramBuilder, inputs: readonly Value[]) => readonly Value[],
): Program {
  const lines: string[] = [];
  const products = new Map<string, TensorType>();
  let count = 0;

  const emit = (type: TensorType, expression: string): Value => {
    const value = { ...type, name: `%${count++}` };
    lines.push(`    ${value.name} = stablehlo.${expression}`);
    return value;
  };
  const constant = (value: number, type: TensorType): Value => {
    // Nine digits more give every float32 back; infinity has none.
    const digits = value === -Infinity ? '0xFF800000' : value.toExponential(9);
    const text = type.element === 'i32' ? value : digits;
    return emit(type, `constant dense<${text}> : ${typeText(type)}`);
  };
  const asType = (x: Operand, type: TensorType): Value => (typeof x === 'number' ? constant(x, type) : x);
  const checkSame = (operation: string, a: TensorType, b: TensorType): void => {
    if (a.element === b.element && sameShape(a.shape, b.shape)) return;
    throw new Error(`${operation} in the program ${name} got ${typeText(a)} and ${typeText(b)}`);
  };

  const pairOf = (operation: string, a: Operand, b: Operand): [Value, Value] => {
    const type = typeof a === 'number' ? (b as Value) : a;
    const pair: [Value, Value] = [asType(a, type), asType(b, type)];
    checkSame(operation, ...pair);
    return pair;
  };
  const elementOfOperand = (x: Operand): Element => (typeof x === 'number' ? 'f32' : x.element);

  const builder: ProgramBuilder = {
    unary: (operation, x) => emit(x, `${operation} ${x.name} : ${typeText(x)}`),
    binary(operation, a, b) {
      const [left, right] = pairOf(operation, a, b);
      return emit(left, `${operation} ${left.name}, ${right.name} : ${typeText(left)}`);
    },
    add: (a, b) => builder.binary('add', a, b),
    mul: (a, b) => builder.binary('multiply', a, b),
    convert(x, element) {
      if (x.element === element) return x;
      const type = { shape: x.shape, element };
      return emit(type, `convert ${x.name} : (${typeText(x)}) -> ${typeText(type)}`);
    },
    spread(x, axes, shape) {
      const type = { shape, element: x.element };
      return emit(
        type,
        `broadcast_in_dim ${x.name}, dims = [${axes.join(', ')}] : (${typeText(x)}) -> ${typeText(type)}`,
      );
    },
    reduce(operation, x, axis) {
      const scalar = constant(operation === 'add' ? 0 : -Infinity, { shape: [], element: x.element });
      const type = { shape: x.shape.toSpliced(axis, 1), element: x.element };
      return emit(
        type,
        `reduce(${x.name} init: ${scalar.name}) applies stablehlo.${operation} across dimensions = [${axis}] : ` +
          `(${typeText(x)}, ${typeText(scalar)}) -> ${typeText(type)}`,
      );
    },
    sumOfRows(x) {
      const [rows, columns] = x.shape as [number, number];
      const ones = constant(1, { shape: [columns, 1], element: x.element });
      return builder.reshape(builder.product(x, ones, 'columns', 'rows'), [rows]);
    },
    reshape(x, shape) {
      const type = { shape, element: x.element };
      return emit(type, `reshape ${x.name} : (${typeText(x)}) -> ${typeText(type)}`);
    },
    slice(x, axis, start, end) {
      const type = { shape: x.shape.with(axis, end - start), element: x.element };
      const ranges = x.shape.map((length, other) => (other === axis ? `${start}:${end}` : `0:${length}`));
      return emit(type, `slice ${x.name} [${ranges.join(', ')}] : (${typeText(x)}) -> ${typeText(type)}`);
    },
    concatenate(parts, axis) {
      const [first] = parts as [Value];
      const length = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
      const type = { shape: first.shape.with(axis, length), element: first.element };
      const names = parts.map((part) => part.name).join(', ');
      return emit(
        type,
        `concatenate ${names}, dim = ${axis} : (${parts.map(typeText).join(', ')}) -> ${typeText(type)}`,
      );
    },
    transpose(x, permutation) {
      const type = { shape: permutation.map((axis) => x.shape[axis]!), element: x.element };
      return emit(
        type,
        `transpose ${x.name}, dims = [${permutation.join(', ')}] : (${typeText(x)}) -> ${typeText(type)}`,
      );
    },
    asWritten: (x) => emit(x, `optimization_barrier ${x.name} : ${typeText(x)}`),
    product(a, b, axisOfA, axisOfB) {
      const batch = a.shape.slice(0, -2);
      const rank = batch.length;
      // Of the two last axes the one that is summed over, and the one that stays.
      const summed = [axisOfA, axisOfB].map((axis) => (axis === 'rows' ? rank : rank + 1));
      const stays = [a, b].map(({ shape }, i) => shape[2 * rank + 1 - summed[i]!]!);
      const type: TensorType = { shape: [...batch, ...stays], element: 'f32' };
      const axes = batch.map((_, axis) => axis).join(', ');
      const batching = rank === 0 ? '' : `batching_dims = [${axes}] x [${axes}], `;
      const result = emit(
        type,
        `dot_general ${a.name}, ${b.name}, ${batching}contracting_dims = [${summed[0]}] x [${summed[1]}] : ` +
          `(${typeText(a)}, ${typeText(b)}) -> ${typeText(type)}`,
      );
      for (const value of [a, b, result]) products.set(value.name, value);
      return result;
    },
    places(shape, axis) {
      const type = { shape, element: 'i32' as const };
      return emit(type, `iota dim = ${axis} : ${typeText(type)}`);
    },
    compare(direction, a, b) {
      const [left, right] = pairOf('compare', a, b);
      const type = { shape: left.shape, element: 'i1' as const };
      return emit(
        type,
        `compare ${direction}, ${left.name}, ${right.name} : (${typeText(left)}, ${typeText(right)}) -> ${typeText(type)}`,
      );
    },
    select(condition, a, b) {
      const type = { shape: condition.shape, element: typeof a === 'number' ? elementOfOperand(b) : a.element };
      const [left, right] = [asType(a, type), asType(b, type)];
      checkSame('select', left, right);
      return emit(
        type,
        `select ${condition.name}, ${left.name}, ${right.name} : ${typeText(condition)}, ${typeText(type)}`,
      );
    },
    pad(x, axis, before, after) {
      const zero = constant(0, { shape: [], element: x.element });
      const type = { shape: x.shape.with(axis, x.shape[axis]! + before + after), element: x.element };
      const amounts = (amount: number): string => x.shape.map((_, other) => (other === axis ? amount : 0)).join(', ');
      return emit(
        type,
        `pad ${x.name}, ${zero.name}, low = [${amounts(before)}], high = [${amounts(after)}], interior = [${amounts(0)}] : ` +
          `(${typeText(x)}, ${typeText(zero)}) -> ${typeText(type)}`,
      );
    },
  };

  const parameters = inputs.map((type, i) => ({ ...type, name: `%arg${i}` }));
  const results = body(builder, parameters);
  const own = new Set([...parameters, ...results].map((value) => value.name));
  const scratch = [...products].filter(([value]) => !own.has(value)).map(([, type]) => type);
  const resultTypes = results.map(typeText).join(', ');
  return {
    text: [
      `module @${name} {`,
      `  func.func public @main(${parameters.map((value) => `${value.name}: ${typeText(value)}`).join(', ')}) -> (${resultTypes}) {`,
      ...lines,
      `    return ${results.map((value) => value.name).join(', ')} : ${resultTypes}`,
      '  }',
      '}',
    ].join('\n'),
    results: results.map(({ shape, element }) => ({ shape, element })),
    scratchBytes: scratch.reduce((sum, { shape, element }) => sum + sizeOf(shape) * widthOf[element], 0),
  };
}
