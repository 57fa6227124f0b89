import {
  afterAChange,
  bytesPerElement,
  checkFilePart,
  FilesError,
  readRows,
  sizeOf,
  type DType,
  type FilePart,
  type WeightSource,
} from '@glulam/files';
import {
  checkSize,
  checkTensor,
  scope,
  Tensor,
  TensorsError,
  type EngineMemory,
  type FrozenWeight,
  type Precision,
} from '@glulam/tensors';
import type { Addon, NativeFailure, NativeStats } from './addon.js';
import { choiceText, type KernelChoice } from './kernel-choice.js';
import { accessOf, copiedAs } from './open-weight.js';

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
  readonly openWeight: (source: WeightSource) => Promise<FrozenWeight>;
  /** Bytes of the weights that are held in copies, by what they were copied for. */
  readonly copies: ReadonlyMap<string, number>;
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
  /** Every part of a weight that lies in a file, with the number of the file. */
  const opened: { readonly at: number; readonly part: FilePart; readonly name: string }[] = [];
  const copies = new Map<string, number>();

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
  const upload = (data: Float32Array | Int32Array, shape: readonly number[]): Tensor => {
    checkSize('upload', data.length, shape);
    const tensor = make(shape, data instanceof Int32Array ? 'int32' : 'float32');
    submit('upload', [tensor], [dtypeNumber[tensor.dtype], data.length], data);
    return tensor;
  };
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
      ({ at, part }) => at === file && part.byteOffset <= offset && offset < part.byteOffset + part.byteLength,
    );
    const tensor = lost === undefined ? '' : `, within the tensor ${lost.name}`;
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
    upload,
    copies,
    async openWeight(source) {
      checkOpen('openWeight');
      const access = accessOf(source);
      const { name, shape } = source;
      if (access.kind === 'copied') {
        const weight = { name, shape, dtype: access.dtype, storage: { id: takeNumber(), views: 1 } };
        try {
          await copyWeight({ make, run: submit, upload }, weight, source, readRows);
        } catch (error) {
          free(weight.storage.id);
          throw error;
        }
        const what = copiedAs(source);
        copies.set(what, (copies.get(what) ?? 0) + access.bytes);
        return { ...weight, dtype: source.dtype };
      }
      const format = access.kind === 'encoded' ? addon.formats.indexOf(source.format.kind) : undefined;
      if (format === -1)
        throw new TensorsError(
          'ENGINE_UNAVAILABLE',
          `the addon cannot decode ${source.format.kind}: build it again with \`node build.mjs\``,
        );
      const parts = access.kind === 'mapped' ? [access.file] : access.files;
      const files = parts.map((part) => {
        const [file, fileBytes] = readable(() => addon.mapFile(handle, part.path));
        checkFilePart(source, part, fileBytes);
        return file;
      });
      parts.forEach((part, i) => opened.push({ at: files[i]!, part, name }));
      const weight = { name, shape, dtype: source.dtype, storage: { id: takeNumber(), views: 1 } };
      const places = parts.flatMap(({ byteOffset }, i) => [files[i]!, byteOffset]);
      if (access.kind === 'mapped') submit('weight', [weight], [dtypeNumber[source.dtype], sizeOf(shape), ...places]);
      else {
        const params = [format!, access.rows, access.columns, source.firstElement, ...places];
        submit('encodedWeight', [weight], params, source.rowOrder);
      }
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

/** Elements of a weight that are decoded at a time. */
const copiedElements = 2 ** 20;

/** Fill the storage of a weight, in its dtype, with values that `read` decodes some rows at a time. */
export async function copyWeight(
  { make, run, upload }: Pick<Device, 'make' | 'run' | 'upload'>,
  weight: FrozenWeight,
  source: WeightSource,
  read: (source: WeightSource, start: number, end: number) => Promise<Float32Array> | Float32Array,
): Promise<void> {
  const size = sizeOf(source.shape);
  const rows = source.shape[0] ?? 1;
  const step = Math.max(1, Math.floor((copiedElements * rows) / Math.max(1, size)));
  run('empty', [weight], [dtypeNumber[weight.dtype], size]);
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    const values = await read(source, start, end);
    scope(() => {
      const wide = upload(values, [values.length]);
      const stored = weight.dtype === 'float32' ? wide : make(wide.shape, weight.dtype);
      if (stored !== wide) run('cast', [stored, wide], [dtypeNumber[weight.dtype], wide.size, wide.size, 0]);
      run('write', [weight, stored], [1, values.length, 1, (start * size) / rows, size]);
    });
  }
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
