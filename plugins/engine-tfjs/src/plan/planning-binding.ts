import { sizeOf, type Shape } from '@glulam/files';
import { broadcastShapes, matmulSizes, sameShape } from '@glulam/tensors';
import { tfTypes, type Attribute, type Binding, type TfTensor } from '../tensorflow/binding.js';
import type { Counter } from './counter.js';

const widths = new Map<number, number>([
  [tfTypes.float32, 4],
  [tfTypes.int32, 4],
  [tfTypes.uint8, 1],
  [tfTypes.int64, 8],
  [tfTypes.bool, 1],
  [tfTypes.bfloat16, 2],
]);

/** What tensors of the same values share. */
interface Buffer {
  readonly bytes: number;
  /** Who counts it; no one where it lies in a mapped file. */
  readonly owner: Counter | undefined;
  handles: number;
}
interface Entry extends TfTensor {
  readonly buffer: Buffer;
  /** Of lists of lengths and axes. */
  readonly values?: readonly number[];
}

/** TensorFlow uses values in place where they begin on so many bytes. */
const alignment = 64;

/** Results that have their only input's values; TensorFlow shares the buffer. */
const sharing = new Set(['Reshape', 'Identity', 'Bitcast']);

/**
 * tfjs-node's addon without TensorFlow: the operations that engine-tfjs uses, as shapes and bytes alone, so that the
 * engine itself runs on it and a plan takes what it takes. `map` is told the bytes of weights that are used in place;
 * those that TensorFlow copies are counted by `weights`.
 */
export function createPlanningBinding(tensors: Counter, weights: Counter, map: (bytes: number) => void): Binding {
  const entries = new Map<number, Entry>();
  let next = 0;
  let scratch = 0;

  const insert = (shape: Shape, dtype: number, buffer: Buffer, values?: readonly number[]): Entry => {
    if (buffer.handles === 0) buffer.owner?.take(buffer.bytes);
    buffer.handles += 1;
    const entry = { id: next++, shape, dtype, buffer, ...(values && { values }) };
    entries.set(entry.id, entry);
    return entry;
  };
  const fresh = (shape: Shape, dtype: number, values?: readonly number[]): Entry =>
    insert(shape, dtype, { bytes: sizeOf(shape) * widths.get(dtype)!, owner: tensors, handles: 0 }, values);

  return {
    TF_Version: 'planned',
    createTensor: (shape, dtype, values) =>
      fresh([...shape], dtype, dtype === tfTypes.float32 ? undefined : [...values]).id,
    deleteTensor(id) {
      const { buffer } = entries.get(id)!;
      entries.delete(id);
      buffer.handles -= 1;
      if (buffer.handles === 0) buffer.owner?.give(buffer.bytes);
    },
    tensorDataSync(id) {
      const { shape, dtype } = entries.get(id)!;
      return dtype === tfTypes.int32 ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
    },
    isUsingGpuDevice: () => false,
    getNumOfTensors: () => entries.size,
    noteScratch: (bytes) => (scratch = bytes),
    executeOp(name, attributes, ids, outputs) {
      const inputs = ids.map((id) => entries.get(id)!);
      if (name === 'ImmutableConst') {
        const shape = attributeOf(attributes, 'shape') as number[];
        return [insert(shape, tfTypes.uint8, { bytes: 0, owner: undefined, handles: 0 })];
      }
      if (name === 'Slice' && inputs[0]!.buffer.owner === undefined) {
        const [start, size] = [inputs[1]!, inputs[2]!].map(({ values }) => sizeOfLong(values!)) as [number, number];
        const inPlace = start % alignment === 0;
        if (inPlace) map(size);
        const owner = inPlace ? undefined : weights;
        return [insert([size], tfTypes.uint8, { bytes: size, owner, handles: 0 })];
      }
      if (name === 'XlaCallModule') {
        const results = programResults(attributes).map(({ shape, dtype }) => fresh(shape, dtype));
        tensors.scratch(scratch);
        return results;
      }
      const shares = sharing.has(name) || (name === 'Slice' && takesFirstRows(inputs));
      return Array.from({ length: outputs }, (_, i) => {
        const { shape, dtype } = resultOf(name, attributes, inputs, i);
        return shares ? insert(shape, dtype, inputs[0]!.buffer) : fresh(shape, dtype);
      });
    },
  };
}

const attributeOf = (attributes: readonly Attribute[], name: string): unknown =>
  attributes.find((attribute) => attribute.name === name)?.value;

/** Of tensor, start and size: such a slice lies in the tensor's buffer. */
const takesFirstRows = ([x, start, size]: readonly Entry[]): boolean =>
  start!.values!.every((at) => at === 0) && sameShape(x!.shape.slice(1), size!.values!.slice(1));

/** Types, and shapes one after the other, each behind its number of dimensions. */
function programResults(attributes: readonly Attribute[]): { readonly shape: Shape; readonly dtype: number }[] {
  const [types, shapes] = ['Tout', 'Sout'].map((name) => attributeOf(attributes, name)) as [number[], number[]];
  let at = 0;
  return types.map((dtype) => {
    const shape = shapes.slice(at + 1, at + 1 + shapes[at]!);
    at += 1 + shape.length;
    return { shape, dtype };
  });
}

const sizeOfLong = ([low, high]: readonly number[]): number => (low! >>> 0) + high! * 2 ** 32;

/** Shape and type of one output, by TensorFlow's documentation of each operation. */
function resultOf(
  name: string,
  attributes: readonly Attribute[],
  inputs: readonly Entry[],
  output: number,
): { readonly shape: Shape; readonly dtype: number } {
  const [x, y, z] = inputs as [Entry, Entry, Entry];
  const flag = (key: string): boolean => attributeOf(attributes, key) === true;
  switch (name) {
    case 'AddV2':
    case 'Sub':
    case 'Mul':
    case 'RealDiv':
    case 'Maximum':
      return { shape: broadcastShapes(name, x.shape, y.shape), dtype: x.dtype };
    case 'GreaterEqual':
    case 'NotEqual':
      return { shape: broadcastShapes(name, x.shape, y.shape), dtype: tfTypes.bool };
    case 'SelectV2':
      return { shape: broadcastShapes(name, x.shape, y.shape, z.shape), dtype: y.dtype };
    case 'Cast':
      return { shape: x.shape, dtype: attributeOf(attributes, 'DstT') as number };
    case 'Bitcast':
      return { shape: x.shape.slice(0, -1), dtype: attributeOf(attributes, 'type') as number };
    case 'Reshape':
      return { shape: y.values!, dtype: x.dtype };
    case 'Fill':
      return { shape: x.values!, dtype: y.dtype };
    case 'Transpose':
      return { shape: y.values!.map((axis) => x.shape[axis]!), dtype: x.dtype };
    case 'Slice':
      return { shape: z.values!, dtype: x.dtype };
    case 'ConcatV2': {
      const parts = inputs.slice(0, -1);
      const axis = inputs.at(-1)!.values![0]!;
      return {
        shape: x.shape.with(
          axis,
          parts.reduce((sum, { shape }) => sum + shape[axis]!, 0),
        ),
        dtype: x.dtype,
      };
    }
    case 'Pad':
      return {
        shape: x.shape.map((length, axis) => length + y.values![2 * axis]! + y.values![2 * axis + 1]!),
        dtype: x.dtype,
      };
    case 'SplitV':
      return { shape: x.shape.with(0, y.values![output]!), dtype: x.dtype };
    case 'Sum':
    case 'Max':
      return { shape: x.shape.with(y.values![0]!, 1), dtype: x.dtype };
    case 'MatMul':
    case 'BatchMatMulV2': {
      const [transposeA, transposeB] =
        name === 'MatMul' ? [flag('transpose_a'), flag('transpose_b')] : [flag('adj_x'), flag('adj_y')];
      return { shape: matmulSizes(x.shape, y.shape, { transposeA, transposeB }).shape, dtype: x.dtype };
    }
    case 'GatherV2':
      return { shape: [...y.shape, ...x.shape.slice(1)], dtype: x.dtype };
    case 'UnsortedSegmentSum':
      return { shape: [z.values![0]!, ...x.shape.slice(1)], dtype: x.dtype };
    case 'ArgMax':
      return { shape: x.shape.slice(0, -1), dtype: tfTypes.int32 };
    case 'L2Loss':
    case 'AddN':
      return { shape: [], dtype: x.dtype };
    case 'GatherNd':
      return { shape: [y.shape[0]!, ...x.shape.slice(y.shape[1])], dtype: x.dtype };
    case 'Neg':
    case 'Exp':
    case 'Log':
    case 'Sqrt':
    case 'Rsqrt':
    case 'Sigmoid':
    case 'SigmoidGrad':
    case 'Square':
    case '_MklSoftmax':
    case '_MklSwish':
    case 'TensorScatterSub':
    case 'Roll':
    case 'Identity':
      return { shape: x.shape, dtype: x.dtype };
    default:
      throw new Error(`a plan on TensorFlow does not know the operation ${name}`);
  }
}
