import type { Shape, WeightSource } from '@glulam/files';

/** All tensors of a checkpoint by name, wherever they lie; what they hold has not been read. */
export interface CheckpointTensors {
  /** The checkpoint: a folder, or a file that holds it all. */
  readonly folder: string;
  /** Paths of the files with tensors that were opened. */
  readonly files: readonly string[];
  /**
   * Distinguishes these weights from others under the same name: a run that is resumed compares it. Default: a hash of samples of
   * `files`.
   */
  identity?(): string;
  /** Of all tensors, as they are stored. */
  readonly totalBytes: number;
  /** For users: faults that concern no tensor that is needed. */
  readonly warnings: readonly string[];
  /** Names of all tensors, file after file. */
  names(): readonly string[];
  /** Whether there is a tensor of that name. */
  has(name: string): boolean;
  /** A tensor's shape and what its file calls its type, whether it can be read or not. */
  entry(name: string): { readonly shape: Shape; readonly dtype: string };
  /** A tensor to open as a weight. Throws FilesError SAFETENSORS_MISSING_TENSOR; DTYPE_MISMATCH for a type that is not read. */
  source(name: string): WeightSource;
  /**
   * Throws FILE_CHANGED where a file is no longer as it was when it was opened. Whoever keeps or shows something that
   * was computed from tensors calls this first; see `whileUnchanged`.
   */
  checkUnchanged(): void;
}
