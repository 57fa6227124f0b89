import { afterAChange, bytesPerElement, FilesError, sizeOf, type DType, type WeightSource } from '@glulam/files';
import {
  checkSize,
  checkTensor,
  Tensor,
  TensorsError,
  type EngineMemory,
  type FrozenWeight,
  type Precision,
} from '@glulam/tensors';
import type { Addon, NativeFailure, NativeStats } from './addon.js';
import { choiceText, type KernelChoice } from './kernel-choice.js';

/** What a tensor is here: a number that the worker knows it by, shared by all reshaped views of it. */
interface Storage {
  readonly id: number;
  views: number;
}

/** dtypes as the native side numbers them (native/types.h). */
const dtypeNumber: Readonly<Record<DType, number>> = { float32: 0, bfloat16: 1, float16: 2, int32: 3 };
const absent = 0xffffffff;

/** Something a command reads or makes; a missing one is passed as absent. */
export type Operand = Tensor | FrozenWeight | undefined;

/**
 * The worker seen from JavaScript: commands go in, in order, and tensors are numbers. It checks no shapes of
 * operations; the native side checks each operand's number of elements against the command's.
 */
export interface Device {
  readonly precision: Precision;
  /** A tensor that the next command given makes. */
  readonly make: (shape: readonly number[], dtype?: DType) => Tensor;
  /** Another shape of the same storage. */
  readonly view: (tensor: Tensor, shape: readonly number[]) => Tensor;
  readonly run: (
    operation: string,
    operands: readonly Operand[],
    params: readonly number[],
    payload?: Float32Array | Int32Array,
  ) => void;
  readonly upload: (data: Float32Array | Int32Array, shape: readonly number[]) => Tensor;
  readonly openWeight: (source: WeightSource) => FrozenWeight;
  readonly read: (tensor: Tensor) => Promise<Float32Array | Int32Array>;
  readonly drain: () => Promise<void>;
  readonly memory: () => EngineMemory;
  readonly close: () => Promise<void>;
}

export const typeNumber = (dtype: DType): number => dtypeNumber[dtype];

export function createDevice(
  addon: Addon,
  choice: KernelChoice,
  threads: number,
  precision: Precision,
): Device & { readonly stats: () => NativeStats } {
  const handle = addon.create(threads, choiceText(choice));
  const numbers = new Map(addon.operations.map((name, number) => [name, number]));
  const freeNumbers: number[] = [];
  let nextNumber = 0;
  let tensors = 0;
  let bytes = 0;
  let closed = false;
  let told = false;

  /** What was freed since the last command: the next one frees it first. */
  let freed: number[] = [];
  let flushing = false;
  let words = new Float64Array(256);
  /** Every weight, with the number of its file. */
  const opened: { readonly at: number; readonly source: WeightSource }[] = [];

  // A number may be given again at once: the command that makes it anew frees it first.
  const takeNumber = (): number => freeNumbers.pop() ?? nextNumber++;
  const idOf = (operand: Operand): number => {
    if (operand === undefined) return absent;
    if (operand instanceof Tensor) checkTensor('engine-native', operand);
    return (operand.storage as Storage).id;
  };
  const submit = (
    operation: string,
    operands: readonly Operand[],
    params: readonly number[],
    payload?: Float32Array | Int32Array,
  ): void => {
    if (closed)
      throw new TensorsError('ENGINE_FAILED', `${operation} was asked of an engine that is closed; open another`);
    const number = numbers.get(operation);
    if (number === undefined)
      throw new TensorsError(
        'ENGINE_UNAVAILABLE',
        `the addon has no ${operation}: build it again with \`node build.mjs\``,
      );
    const count = freed.length + operands.length + params.length;
    if (count > words.length) words = new Float64Array(2 * count);
    let at = 0;
    for (const id of freed) words[at++] = id;
    for (const operand of operands) words[at++] = idOf(operand);
    for (const param of params) words[at++] = param;
    addon.submit(handle, number, words, freed.length, operands.length, params.length, payload);
    freed = [];
  };
  /** Free what no command has freed so far. */
  const flush = (): void => {
    if (freed.length > 0 && !closed) submit('free', [], []);
  };
  const free = (id: number): void => {
    freed.push(id);
    freeNumbers.push(id);
    if (flushing) return;
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      flush();
    });
  };
  const release = (tensor: Tensor): void => {
    const storage = tensor.storage as Storage;
    tensors -= 1;
    storage.views -= 1;
    if (storage.views > 0) return;
    bytes -= tensor.size * bytesPerElement[tensor.dtype];
    if (!closed) free(storage.id);
  };
  const view = (shape: readonly number[], dtype: DType, storage: Storage): Tensor => {
    const tensor = new Tensor([...shape], dtype, storage, release);
    if (storage.views === 0) bytes += tensor.size * bytesPerElement[dtype];
    storage.views += 1;
    tensors += 1;
    return tensor;
  };
  const make = (shape: readonly number[], dtype: DType = 'float32'): Tensor =>
    view(shape, dtype, { id: takeNumber(), views: 0 });
  const settle = async (reported: Promise<NativeFailure | undefined>): Promise<void> => {
    const failure = await reported;
    if (failure === undefined) return;
    told = true;
    const { message, file, offset } = failure;
    if (file === undefined || offset === undefined)
      throw new TensorsError(
        'ENGINE_FAILED',
        `engine-native failed in ${message}. What was asked for after it was not computed: open a new engine to go on.`,
      );
    const lost = opened.find(
      ({ at, source }) => at === file && source.byteOffset <= offset && offset < source.byteOffset + source.byteLength,
    );
    const tensor = lost === undefined ? '' : `, within the tensor ${lost.source.name}`;
    throw new FilesError('FILE_CHANGED', `engine-native failed in ${message}${tensor}. ${afterAChange}`);
  };
  const checkOpen = (what: string): void => {
    if (closed) throw new TensorsError('ENGINE_FAILED', `${what} was asked of an engine that is closed; open another`);
  };

  return {
    precision,
    make,
    view: (tensor, shape) => view(shape, tensor.dtype, tensor.storage as Storage),
    run: submit,
    upload(data, shape) {
      checkSize('upload', data.length, shape);
      const tensor = make(shape, data instanceof Int32Array ? 'int32' : 'float32');
      submit('upload', [tensor], [dtypeNumber[tensor.dtype], data.length], data);
      return tensor;
    },
    openWeight(source) {
      checkOpen('openWeight');
      const { name, shape, dtype, byteOffset, byteLength } = source;
      if (dtype === 'int32') {
        throw new TensorsError(
          'DTYPE_MISMATCH',
          `openWeight: ${name} holds integers; expected float32, bfloat16 or float16`,
        );
      }
      const elements = sizeOf(shape);
      const [file, fileBytes] = readable(() => addon.mapFile(handle, source.file));
      if (byteLength !== elements * bytesPerElement[dtype] || byteOffset < 0 || byteOffset + byteLength > fileBytes) {
        throw new FilesError(
          'FILE_UNREADABLE',
          `${name} is to lie in bytes ${byteOffset} to ${byteOffset + byteLength} of ${source.file}, which has ${fileBytes}, ` +
            `and [${shape.join(', ')}] of ${dtype} takes ${elements * bytesPerElement[dtype]}; the file is cut short or not the one meant: get it again`,
        );
      }
      const storage: Storage = { id: takeNumber(), views: 1 };
      const weight = { name, shape, dtype, storage };
      submit('weight', [weight], [dtypeNumber[dtype], elements, file, byteOffset]);
      opened.push({ at: file, source });
      return weight;
    },
    async read(tensor) {
      checkOpen('read');
      checkTensor('read', tensor);
      flush();
      const destination = tensor.dtype === 'int32' ? new Int32Array(tensor.size) : new Float32Array(tensor.size);
      await settle(addon.read(handle, (tensor.storage as Storage).id, destination));
      return destination;
    },
    async drain() {
      checkOpen('drain');
      flush();
      await settle(addon.drain(handle));
    },
    memory: () => ({ tensors, bytes }),
    stats() {
      checkOpen('stats');
      flush();
      return addon.stats(handle);
    },
    async close() {
      if (closed) return;
      closed = true;
      const failure = addon.close(handle);
      // Everything is freed either way; a failure that was told already is not told again.
      await (told ? failure : settle(failure));
    },
  };
}

function readable<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw new FilesError(
      'FILE_UNREADABLE',
      `${(cause as Error).message}; check that the checkpoint is whole and readable`,
      { cause },
    );
  }
}
