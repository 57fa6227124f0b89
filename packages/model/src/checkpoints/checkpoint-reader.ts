import { folderDocuments, hasCheckpointFiles, openCheckpointFiles, type CheckpointDocuments } from '@glulam/files';
import { point } from '@glulam/plugin';
import type { CheckpointTensors } from '../weights/checkpoint-tensors.js';

/** A checkpoint that a reader has opened: its documents, and its tensors once they are asked for. */
export interface StoredCheckpoint {
  /** Config, tokenizer, chat template and the like. */
  readonly documents: CheckpointDocuments;
  /** Whether the weights are there; a config alone is enough for a plan. */
  readonly hasWeights: boolean;
  /**
   * The tensors by the names that a Hugging Face checkpoint of the family has, with or without the inner model's prefix. Faults
   * that concern only tensors for which `isNeeded` is false become warnings.
   */
  openTensors(isNeeded: (name: string) => boolean): Promise<CheckpointTensors>;
}

/** What a plugin contributes at the point `checkpointReaders`: how checkpoints of one layout are read. */
export interface CheckpointReader {
  /** Its name, such as `gguf`. */
  readonly kind: string;
  /** Whether this reader reads what is at a path. Readers are asked in the order of the plugins, all of them before the one of Hugging Face folders. */
  claims(path: string): boolean;
  /** Open what is at a path that it claims. Rejects with an error that names the file. */
  open(path: string): Promise<StoredCheckpoint>;
}

/** The point at which plugins contribute readers of checkpoints. */
export const checkpointReaders = point<CheckpointReader>('model.checkpoints', { claims: 'function', open: 'function' });

/** Hugging Face folders: config.json, safetensors files, tokenizer.json. */
const folders: CheckpointReader = {
  kind: 'hugging_face',
  claims: () => true,
  open: (path) =>
    Promise.resolve({
      documents: folderDocuments(path),
      hasWeights: hasCheckpointFiles(path),
      openTensors: async (isNeeded) => openCheckpointFiles(path, isNeeded),
    }),
};

/** Open what is at a path by the first reader that claims it; without one it is a Hugging Face folder. */
export const readCheckpoint = (path: string, readers: readonly CheckpointReader[] = []): Promise<StoredCheckpoint> =>
  (readers.find((reader) => reader.claims(path)) ?? folders).open(path);
