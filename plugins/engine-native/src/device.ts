import { afterAChange, checkFilePart, FilesError, readRows, sizeOf, type FilePart } from '@glulam/files';
import { TensorsError, type Device } from '@glulam/tensors';
import type { Addon, NativeFailure, NativeStats } from './addon.js';
import { createEncoders, Words } from './commands/encode.js';
import { choiceText, type KernelChoice } from './kernel-choice.js';
import { copyWeight, createKernels, createWrite, itself, type Commander } from './kernels.js';
import { accessOf, copiedAs } from './open-weight.js';

/** What a tensor or weight is here: a number that the worker knows it by. */
interface NativeData {
  readonly id: number;
}

/** The worker behind the addon. */
interface NativeDevice extends Device<NativeData>, Commander<NativeData> {
  stats(): NativeStats;
}

/** Commands that go to the worker together: enough that sending costs little. The first ones go sooner, so that it begins at once. */
const mostAtOnce = 16;

/**
 * The worker seen from JavaScript: commands go in, in order, and data are numbers. The native side checks each operand's
 * number of elements against the command's.
 */
export function createDevice(addon: Addon, choice: KernelChoice, threads: number, description: string): NativeDevice {
  const handle = addon.create(threads, choiceText(choice));
  const encoders = createEncoders(addon.operations);
  const freeNumbers: number[] = [];
  let nextNumber = 0;
  let closed = false;

  /** Commands that the worker does not have yet, and what was freed since the last of them: the next one frees it first. */
  const words = new Words();
  let commands = 0;
  let batch = 1;
  const freed: number[] = [];
  let flushing = false;
  /** Every part of a weight that lies in a file, with the number of the file. */
  const opened: { readonly at: number; readonly part: FilePart; readonly name: string }[] = [];
  const copies = new Map<string, number>();

  const checkOpen = (what: string): void => {
    if (closed) throw new TensorsError('ENGINE_FAILED', `${what} was asked of an engine that is closed; open another`);
  };
  // A number may be given again at once: the command that makes it anew frees it first.
  const allocate = (): NativeData => ({ id: freeNumbers.pop() ?? nextNumber++ });
  const send = (payload?: Float32Array | Int32Array): void => {
    if (commands === 0) return;
    const count = words.used;
    words.used = 0;
    commands = 0;
    batch = Math.min(mostAtOnce, 2 * batch);
    addon.submit(handle, words.values, count, payload);
  };
  /** Send what the worker does not have yet, and free what no command has freed. */
  const flush = (): void => {
    if (closed) return;
    if (freed.length > 0) run('free', {});
    send();
  };
  const flushSoon = (): void => {
    if (flushing) return;
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      flush();
    });
  };
  const run: Commander<NativeData>['run'] = (name, given, { payload, dataOf = itself } = {}) => {
    checkOpen(name);
    encoders.get(name)!(words, freed, given, (operand) => dataOf(operand as never).id);
    commands += 1;
    if (payload !== undefined || commands >= batch) send(payload);
    else flushSoon();
  };
  const free = ({ id }: NativeData): void => {
    freed.push(id);
    freeNumbers.push(id);
    flushSoon();
  };
  const upload: Device<NativeData>['upload'] = (values) => {
    const y = allocate();
    run(
      'upload',
      { y, type: values instanceof Int32Array ? 'int32' : 'float32', elements: values.length },
      { payload: values },
    );
    return y;
  };
  const settle = async (reported: Promise<NativeFailure | undefined>): Promise<void> => {
    const failure = await reported;
    if (failure === undefined) return;
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

  const commander: Commander<NativeData> = { allocate, run };
  return {
    description,
    choice: choiceText(choice),
    copies,
    ...commander,
    kernels: createKernels(commander),
    write: createWrite(commander),
    upload,
    free,
    async openWeight(source) {
      const access = accessOf(source);
      const { name, shape, dtype } = source;
      if (access.kind === 'copied') {
        const weight = allocate();
        try {
          const read = (start: number, end: number) => readRows(source, start, end);
          await copyWeight(commander, { upload, free }, weight, { shape, dtype: access.dtype, read });
        } catch (error) {
          free(weight);
          throw error;
        }
        const what = copiedAs(source);
        copies.set(what, (copies.get(what) ?? 0) + access.bytes);
        return weight;
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
      const y = allocate();
      if (access.kind === 'mapped') {
        const [file, offset] = [files[0]!, access.file.byteOffset];
        run('weight', { y, type: dtype, elements: sizeOf(shape), file, offset });
      } else {
        const places = parts.flatMap(({ byteOffset }, i) => [files[i]!, byteOffset]);
        const { rows, columns } = access;
        run(
          'encodedWeight',
          { y, format: format!, rows, columns, first: source.firstElement, places },
          { payload: source.rowOrder },
        );
      }
      return y;
    },
    async read({ data, shape, dtype }) {
      flush();
      batch = 1;
      const destination = new (dtype === 'int32' ? Int32Array : Float32Array)(sizeOf(shape));
      await settle(addon.read(handle, data.id, destination));
      return destination;
    },
    async drain() {
      flush();
      batch = 1;
      await settle(addon.drain(handle));
    },
    stats() {
      checkOpen('stats');
      flush();
      return addon.stats(handle);
    },
    async close() {
      flush();
      closed = true;
      await settle(addon.close(handle));
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
