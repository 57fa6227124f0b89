import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { findStamp, type FileStamp } from '../reading/file-stamp.js';
import { readTextFile } from '../reading/regular-file.js';

/**
 * What a checkpoint says besides its weights, as the texts of the files that a Hugging Face folder has: `config.json`,
 * `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`, `generation_config.json`, ... A checkpoint of another
 * layout has the same documents; its reader supplies them.
 */
export interface CheckpointDocuments {
  /** Path of the checkpoint: the folder, or the file that holds it all. */
  readonly folder: string;
  /** Where a document is, for messages: its path in a folder. */
  locate(name: string): string;
  /** Whether there is such a document. */
  has(name: string): boolean;
  /** Its text. Throws the system's error where it cannot be read, ENOENT where there is none. */
  read(name: string, mostBytes?: number): string;
  /** Names of all files of a folder; of another layout, of all documents. */
  names(): readonly string[];
  /** All texts, where the checkpoint is no folder. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Of the documents that decide what a model says, for `checkStamps`. */
  stamps(): readonly FileStamp[];
}

/** Twice the largest tokenizer.json in use: the most that a document may have. */
export const mostDocumentBytes = 64_000_000;

/** All that is read of a base besides its weights. */
export const documentNames: readonly string[] = [
  ...['tokenizer.json', 'tokenizer_config.json', 'added_tokens.json', 'special_tokens_map.json'],
  ...['chat_template.jinja', 'generation_config.json', 'config.json'],
];

const plain = new WeakSet<CheckpointDocuments>();

/** Whether documents are the files of a folder as they are; false for those that a reader made of them, by `{ ...documents, read }`. */
export const areFolderFiles = (documents: CheckpointDocuments): boolean => plain.has(documents);

/** The documents of a Hugging Face folder, read when they are asked for. */
export function folderDocuments(folder: string): CheckpointDocuments {
  const locate = (name: string): string => path.join(folder, name);
  const documents: CheckpointDocuments = {
    folder,
    locate,
    has: (name) => existsSync(locate(name)),
    read: (name, mostBytes) => readTextFile(locate(name), mostBytes),
    names: () => readdirSync(folder),
    stamps: () => documentNames.flatMap((name) => findStamp(locate(name)) ?? []),
  };
  plain.add(documents);
  return documents;
}
