import { plainBytes, type Shape } from '@glulam/files';
import { sameShape, type BinaryOperation, type Operand, type UnaryOperation } from '@glulam/tensors';
import type { Backend } from '../backend.js';
import { host as realHost, type Host } from '../host.js';
import { tfTypes, type Binding, type TfTensor } from './binding.js';
import { createFileWeights } from './file-weights.js';
import { attribute, createTfOperations, type TfOperations } from './operations.js';
import { createXla, type Xla } from './xla/xla.js';

/** What an engine's storage is here: a tensor, and the same values in other shapes once these were asked for. */
export interface TfData {
  readonly tensor: TfTensor;
  readonly views: TfTensor[];
}

export interface TfBackend extends Backend<TfData> {
  readonly ops: TfOperations;
  /** undefined where this TensorFlow or its addon does not serve for it. */
  readonly xla: Xla | undefined;
  /** The operand's tensor, in its shape. */
  tensorOf(x: Operand<TfData>): TfTensor;
  /** What `body` computes; all else that it made is freed. */
  compute(body: () => TfTensor): TfData;
  /** The same of several tensors. */
  computeMany(body: () => readonly TfTensor[]): TfData[];
}

const unaryNames: Readonly<Record<UnaryOperation, string>> = {
  neg: 'Neg',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  rsqrt: 'Rsqrt',
  sigmoid: 'Sigmoid',
};
const binaryNames: Readonly<Record<BinaryOperation, string>> = {
  add: 'AddV2',
  sub: 'Sub',
  mul: 'Mul',
  div: 'RealDiv',
  max: 'Maximum',
  greaterEqual: 'GreaterEqual',
};

/** TensorFlow by the addon of tfjs-node: bfloat16 is a type of its own, and weights lie in their mapped files. */
export function createTfBackend(
  binding: Binding,
  description: string,
  { host = realHost, leastProgramRows }: { readonly host?: Host; readonly leastProgramRows: number },
): TfBackend {
  const ops = createTfOperations(binding);
  const { run, arena, scalar } = ops;
  const live = new Set<TfData>();
  const weights = createFileWeights(ops, host);
  const xla = createXla(ops, leastProgramRows);

  const keep = (tensor: TfTensor): TfData => {
    // A weight may be loaded, and kept, while something else is computed.
    ops.detach(tensor);
    const data = { tensor, views: [] };
    live.add(data);
    return data;
  };
  const free = (data: TfData): void => {
    live.delete(data);
    for (const tensor of [data.tensor, ...data.views]) ops.free(tensor);
  };
  const tensorOf = ({ data, shape }: Operand<TfData>): TfTensor => {
    if (sameShape(data.tensor.shape, shape)) return data.tensor;
    const found = data.views.find((tensor) => sameShape(tensor.shape, shape));
    if (found !== undefined) return found;
    // Outside of any arena: it lives as long as the data. TensorFlow shares the values.
    const [view] = ops.binding.executeOp('Reshape', [], [data.tensor.id, ops.list(shape).id], 1);
    data.views.push(view!);
    return view!;
  };
  const compute = (body: () => TfTensor): TfData => keep(arena(body));
  const computeMany = (body: () => readonly TfTensor[]): TfData[] => arena(body).map(keep);
  const upload = (values: Float32Array | Int32Array, shape: Shape): TfData =>
    keep(values instanceof Int32Array ? ops.ints(values, shape) : ops.floats(values, shape));

  return {
    ops,
    xla,
    tensorOf,
    compute,
    computeMany,
    description:
      xla === undefined
        ? `${description}, without XLA; npx glulam-tfjs setup builds an addon that has it`
        : description,
    host,
    bytesPerElement: { float32: 4, bfloat16: 2, float16: 2, int32: 4 },
    upload,
    fill: (shape, value) => compute(() => run('Fill', [ops.list(shape), scalar(value)])),
    free,
    async read(x) {
      const wide = arena(() => {
        const tensor = tensorOf(x);
        return x.dtype === 'bfloat16' ? [ops.cast(tensor, tfTypes.float32)] : [tensor];
      })[0]!;
      try {
        return binding.tensorDataSync(wide.id) as Float32Array | Int32Array;
      } finally {
        if (x.dtype === 'bfloat16') ops.free(wide);
      }
    },
    peek: (x) => binding.tensorDataSync(tensorOf(x).id) as Int32Array,
    weightDtype: (source) => (plainBytes(source) !== undefined && source.dtype === 'bfloat16' ? 'bfloat16' : 'float32'),
    loadWeight: (source) => compute(() => weights.load(source)),
    close() {
      for (const data of live) free(data);
      weights.close();
      ops.close();
    },

    toBfloat16: (x) => compute(() => ops.cast(tensorOf(x), tfTypes.bfloat16)),
    toFloat32: (x) => compute(() => ops.cast(tensorOf(x), tfTypes.float32)),
    matmul: (a, b, transposeA, transposeB) =>
      compute(() => ops.matmul(tensorOf(a), tensorOf(b), transposeA, transposeB)),
    unary: (operation, x) => compute(() => run(unaryNames[operation], [tensorOf(x)])),
    binary: (operation, a, b) =>
      compute(() => {
        const [left, right] = [tensorOf(a), tensorOf(b)];
        const bothPadded = left.padded !== undefined && sameShape(left.padded.shape, right.padded?.shape ?? []);
        if (operation === 'add' && bothPadded) {
          return ops.firstRows(ops.add(left.padded, right.padded!), a.shape[0]!);
        }
        const result = run(binaryNames[operation], [left, right]);
        return operation === 'greaterEqual' ? ops.cast(result, tfTypes.float32) : result;
      }),
    affine: (x, factor, offset) =>
      compute(() => {
        const scaled = ops.mul(tensorOf(x), scalar(factor));
        return offset === 0 ? scaled : ops.add(scaled, scalar(offset));
      }),
    select: (condition, a, b) =>
      compute(() => {
        const isSet = run('NotEqual', [tensorOf(condition), scalar(0)]);
        return run('SelectV2', [isSet, tensorOf(a), tensorOf(b)]);
      }),
    reduce: (operation, x, axis) =>
      compute(() => (operation === 'sum' ? ops.sum(tensorOf(x), axis) : ops.max(tensorOf(x), axis))),
    gather: (table, indices) =>
      compute(() =>
        run('GatherV2', [tensorOf(table), tensorOf(indices), ops.integer(0)], attribute('batch_dims', 'int', 0)),
      ),
    scatterAdd: (indices, values, rows) =>
      compute(() => run('UnsortedSegmentSum', [tensorOf(values), tensorOf(indices), ops.integer(rows)])),
    slice: (x, start, size) => compute(() => ops.slice(tensorOf(x), start, size)),
    transpose: (x, permutation) => compute(() => ops.transpose(tensorOf(x), permutation)),
    concatenate: (parts, axis) => compute(() => ops.concatenate(parts.map(tensorOf), axis)),
    argmax: (x) =>
      compute(() =>
        run('ArgMax', [tensorOf(x), ops.integer(x.shape.length - 1)], attribute('output_type', 'type', tfTypes.int32)),
      ),
  };
}
