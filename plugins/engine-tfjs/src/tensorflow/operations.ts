import type { Shape } from '@glulam/files';
import { sameShape } from '@glulam/tensors';
import { tfTypes, type Attribute, type Binding, type TfTensor } from './binding.js';

/** tensorflow/c/tf_attrtype.h */
const attributeTypes = { int: 1, bool: 3, type: 4, shape: 5, string: 0 } as const;
type AttributeType = keyof typeof attributeTypes;

export const attribute = (name: string, type: AttributeType, value: unknown): Attribute => ({
  name,
  type: attributeTypes[type],
  value,
});

/**
 * TensorFlow's operations by name, run eagerly. What is made within `arena` is freed at its end, but its result.
 * Attributes that follow from the inputs' types are left to TensorFlow.
 */
export interface TfOperations {
  readonly binding: Binding;
  run(name: string, inputs: readonly TfTensor[], ...attributes: readonly Attribute[]): TfTensor;
  runMany(name: string, inputs: readonly TfTensor[], outputs: number, ...attributes: readonly Attribute[]): TfTensor[];
  arena<T extends TfTensor | readonly (TfTensor | undefined)[]>(body: () => T): T;
  free(tensor: TfTensor): void;
  /** Take a tensor out of the open arenas: it is the caller's. */
  detach(tensor: TfTensor): void;
  /** Frees the constants; once after the last call. */
  close(): void;
  /** The array is TensorFlow's from now on. */
  floats(values: Float32Array, shape: Shape): TfTensor;
  ints(values: Int32Array, shape: Shape): TfTensor;
  /** A constant: it is kept for the next that asks, and no one else's to free. */
  scalar(value: number): TfTensor;
  /** The same of an axis or a count. */
  integer(value: number): TfTensor;
  /** The same of a list of lengths or axes. */
  list(values: readonly number[]): TfTensor;
  cast(x: TfTensor, dtype: number): TfTensor;
  reshape(x: TfTensor, shape: Shape): TfTensor;
  transpose(x: TfTensor, permutation: readonly number[]): TfTensor;
  slice(x: TfTensor, start: Shape, size: Shape): TfTensor;
  /**
   * The first rows of what a program computed for more of them, without a copy: the whole is known by `padded`, to go into the
   * next program as it is, and freed with its rows.
   */
  firstRows(x: TfTensor, rows: number): TfTensor;
  concatenate(parts: readonly TfTensor[], axis: number): TfTensor;
  /** Along the first axis, into parts of these lengths. */
  split(x: TfTensor, lengths: readonly number[]): TfTensor[];
  /** Zeros along one axis, so many before and so many after. */
  pad(x: TfTensor, axis: number, before: number, after: number): TfTensor;
  /** The axis stays, with length 1. */
  sum(x: TfTensor, axis: number): TfTensor;
  max(x: TfTensor, axis: number): TfTensor;
  /** Over the last axis. */
  softmax(x: TfTensor): TfTensor;
  /** x sigmoid(x) */
  swish(x: TfTensor): TfTensor;
  /** Two matrices or two batches of them; the result has their type. */
  matmul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  add(a: TfTensor, b: TfTensor): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor): TfTensor;
}

/** Constants that are kept: a step of training asks for some hundred different ones, each many times. */
const mostConstants = 1024;

export function createTfOperations(binding: Binding): TfOperations {
  const arenas: Set<TfTensor>[] = [];
  const noted = <T extends TfTensor>(tensor: T): T => {
    arenas.at(-1)?.add(tensor);
    return tensor;
  };
  const create = (values: Float32Array | Int32Array, shape: Shape, dtype: number): TfTensor =>
    noted({ id: binding.createTensor(shape, dtype, values), shape, dtype });

  const softmax = oneDnn(binding, '_MklSoftmax', 'MklNameChangeOp');
  const swish = oneDnn(binding, '_MklSwish', '');
  const constants = new Map<string, TfTensor>();
  /** Those that were asked for last are kept. */
  const constant = (key: string, values: Float32Array | Int32Array, shape: Shape): TfTensor => {
    const found = constants.get(key);
    const dtype = values instanceof Int32Array ? tfTypes.int32 : tfTypes.float32;
    const tensor = found ?? { id: binding.createTensor(shape, dtype, values), shape, dtype };
    constants.delete(key);
    constants.set(key, tensor);
    if (constants.size > mostConstants) {
      const [oldest, { id }] = constants.entries().next().value!;
      constants.delete(oldest);
      binding.deleteTensor(id);
    }
    return tensor;
  };

  const ops: TfOperations = {
    binding,
    run: (name, inputs, ...attributes) => ops.runMany(name, inputs, 1, ...attributes)[0]!,
    runMany(name, inputs, outputs, ...attributes) {
      const ids = inputs.map(({ id }) => id);
      return binding.executeOp(name, attributes, ids, outputs).map(noted);
    },
    arena(body) {
      const made = new Set<TfTensor>();
      arenas.push(made);
      let kept = new Set<TfTensor | undefined>();
      try {
        const result = body();
        kept = new Set(Array.isArray(result) ? (result as TfTensor[]) : [result as TfTensor]);
        return result;
      } finally {
        arenas.pop();
        for (const tensor of made) {
          if (kept.has(tensor)) noted(tensor);
          else ops.free(tensor);
        }
      }
    },
    detach(tensor) {
      for (const made of arenas) made.delete(tensor);
    },
    free({ id, padded }) {
      binding.deleteTensor(id);
      if (padded !== undefined) binding.deleteTensor(padded.id);
    },
    close() {
      for (const { id } of constants.values()) binding.deleteTensor(id);
      constants.clear();
    },
    floats: (values, shape) => create(values, shape, tfTypes.float32),
    ints: (values, shape) => create(values, shape, tfTypes.int32),
    scalar: (value) => constant(`float ${Object.is(value, -0) ? '-0' : value}`, Float32Array.of(value), []),
    integer: (value) => constant(`int ${value}`, Int32Array.of(value), []),
    list: (values) => constant(`list ${values.join(' ')}`, Int32Array.from(values), [values.length]),
    cast: (x, dtype) => (x.dtype === dtype ? x : ops.run('Cast', [x], attribute('DstT', 'type', dtype))),
    reshape: (x, shape) => (sameShape(x.shape, shape) ? x : ops.run('Reshape', [x, ops.list(shape)])),
    transpose: (x, permutation) => ops.run('Transpose', [x, ops.list(permutation)]),
    slice: (x, start, size) => ops.run('Slice', [x, ops.list(start), ops.list(size)]),
    firstRows(x, rows) {
      const start = ops.list(x.shape.map(() => 0));
      const size = ops.list(x.shape.with(0, rows));
      const [part] = binding.executeOp('Slice', [], [x.id, start.id, size.id], 1);
      ops.detach(x);
      return noted({ ...part!, padded: x });
    },
    concatenate(parts, axis) {
      // A list's type is not taken from its tensors, and one tensor is no list.
      if (parts.length === 1) return ops.run('Identity', parts);
      const attributes = [attribute('N', 'int', parts.length), attribute('T', 'type', parts[0]!.dtype)];
      return ops.run('ConcatV2', [...parts, ops.integer(axis)], ...attributes);
    },
    split: (x, lengths) =>
      ops.runMany(
        'SplitV',
        [x, ops.list(lengths), ops.integer(0)],
        lengths.length,
        attribute('num_split', 'int', lengths.length),
      ),
    pad: (x, axis, before, after) => {
      const widths = x.shape.flatMap((_, other) => (other === axis ? [before, after] : [0, 0]));
      return ops.run('Pad', [x, constant(`pairs ${widths.join(' ')}`, Int32Array.from(widths), [x.shape.length, 2])]);
    },
    sum: (x, axis) => ops.run('Sum', [x, ops.list([axis])], attribute('keep_dims', 'bool', true)),
    max: (x, axis) => ops.run('Max', [x, ops.list([axis])], attribute('keep_dims', 'bool', true)),
    softmax: (x) => ops.run(softmax?.name ?? 'Softmax', [x], ...(softmax?.attributes ?? [])),
    swish: (x) =>
      swish === undefined ? ops.mul(x, ops.run('Sigmoid', [x])) : ops.run(swish.name, [x], ...swish.attributes),
    // They are two parts of oneDNN, of which each is faster at its type.
    matmul: (a, b, transposeA = false, transposeB = false) =>
      a.shape.length === 2 && a.dtype === tfTypes.bfloat16
        ? ops.run(
            'MatMul',
            [a, b],
            attribute('transpose_a', 'bool', transposeA),
            attribute('transpose_b', 'bool', transposeB),
          )
        : ops.run(
            'BatchMatMulV2',
            [a, b],
            attribute('adj_x', 'bool', transposeA),
            attribute('adj_y', 'bool', transposeB),
          ),
    add: (a, b) => ops.run('AddV2', [a, b]),
    sub: (a, b) => ops.run('Sub', [a, b]),
    mul: (a, b) => ops.run('Mul', [a, b]),
  };
  return ops;
}

interface Kernel {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/** What oneDNN does twice as fast as TensorFlow itself, which takes oneDNN's in graphs alone; `label` is its kernel's. */
function oneDnn(binding: Binding, name: string, label: string): Kernel | undefined {
  if (binding.isUsingGpuDevice()) return undefined;
  const attributes = [attribute('_kernel', 'string', label)];
  const x = binding.createTensor([1, 1], tfTypes.float32, new Float32Array(1));
  try {
    const [y] = binding.executeOp(name, attributes, [x], 1);
    binding.deleteTensor(y!.id);
    return { name, attributes };
  } catch {
    // This TensorFlow was built without oneDNN, or it is turned off.
    return undefined;
  } finally {
    binding.deleteTensor(x);
  }
}
