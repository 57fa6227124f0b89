import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { DType } from '@glulam/files';
import { TensorsError } from '@glulam/tensors';
import { folderOfPackage } from '../load-package.js';

/** What tfjs-node's addon exports (its `binding/tfjs_binding.cc`), as far as it is used here. */
export interface Binding {
  readonly TF_Version: string;
  /** The array is kept and must not change: TensorFlow reads it where it lies, if it lies on 64 bytes. */
  createTensor(shape: readonly number[], dtype: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(name: string, attributes: readonly Attribute[], inputs: readonly number[], outputs: number): TfTensor[];
  isUsingGpuDevice(): boolean;
  getNumOfTensors(): number;
  /** A plan's alone: the next operation takes so many bytes beside its inputs and results. */
  noteScratch?(bytes: number): void;
}

/** An attribute of an operation; `type` and types of elements are numbered as TensorFlow's C headers do. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** A tensor on TensorFlow's side. */
export interface TfTensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: number;
  /** What this is the first rows of, and is freed with: see `firstRows` of the operations. */
  readonly padded?: TfTensor;
}

/** tensorflow/c/tf_datatype.h */
export const tfTypes = { float32: 1, int32: 3, uint8: 4, int64: 9, bool: 10, bfloat16: 14, float16: 19 } as const;

/** TensorFlow's number of a type that activations are kept in. */
export const tfTypeOf = (dtype: DType): number => (dtype === 'bfloat16' ? tfTypes.bfloat16 : tfTypes.float32);

export type TfPackage = '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';

export const addonFolder = 'lib/napi-v8';
export const addonName = 'tfjs_binding.node';

/** The commands that bring the package and its addon. */
function installTensorflow(name: TfPackage): string {
  return `npm install --ignore-scripts ${name} && npx glulam-tfjs setup${name.endsWith('-gpu') ? ' --gpu' : ''}`;
}

/**
 * The addon of tfjs-node alone: its JavaScript is not loaded, since its operations know no bfloat16, and it wants a
 * function of Node's that Node 23 removed.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE
 */
export function loadBinding(name: TfPackage): Binding {
  const folder = folderOfPackage(name, installTensorflow(name));
  const file = findAddon(folder);
  if (file === undefined) {
    throw new TensorsError(
      'ENGINE_UNAVAILABLE',
      `${folder} has no addon for this Node (${addonFolder}/${addonName}): ` +
        `build it on the TensorFlow of a Python environment with npx glulam-tfjs setup${name.endsWith('-gpu') ? ' --gpu' : ''}`,
    );
  }
  return loadAddon(file);
}

/** @throws TensorsError ENGINE_UNAVAILABLE */
export function loadAddon(file: string): Binding {
  // TensorFlow tells of itself on stderr otherwise; errors still come, and one line about oneDNN that it always prints.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  try {
    return createRequire(import.meta.url)(file) as Binding;
  } catch (cause) {
    throw new TensorsError(
      'ENGINE_UNAVAILABLE',
      `the addon does not load from ${file}: ${(cause as Error).message}; was its TensorFlow moved or replaced? build it again: npx glulam-tfjs setup`,
      { cause },
    );
  }
}

/** For the newest Node-API that this Node has. */
function findAddon(folder: string): string | undefined {
  const lib = path.join(folder, 'lib');
  if (!existsSync(lib)) return undefined;
  return readdirSync(lib)
    .map((name) => ({ version: Number(/^napi-v(\d+)$/.exec(name)?.[1]), file: path.join(lib, name, addonName) }))
    .filter(({ version, file }) => version <= Number(process.versions['napi']) && existsSync(file))
    .sort((a, b) => b.version - a.version)[0]?.file;
}
