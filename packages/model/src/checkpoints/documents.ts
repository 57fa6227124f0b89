import { folderDocuments, type CheckpointDocuments, type FileStamp } from '@glulam/files';

/** Documents whose texts are known, of a checkpoint that is one file or several. */
export function knownDocuments(
  checkpoint: string,
  texts: Readonly<Record<string, string>>,
  stamps: readonly FileStamp[] = [],
): CheckpointDocuments {
  const locate = (name: string): string => `${checkpoint} (${name})`;
  return {
    folder: checkpoint,
    texts,
    locate,
    has: (name) => Object.hasOwn(texts, name),
    read(name) {
      if (Object.hasOwn(texts, name)) return texts[name]!;
      throw Object.assign(new Error(`${checkpoint} has no ${name}`), { code: 'ENOENT' });
    },
    names: () => Object.keys(texts),
    stamps: () => stamps,
  };
}

/** A base by its path, which is then a Hugging Face folder, or by its documents. */
export type DocumentsOf = string | CheckpointDocuments;

/** The documents of a base. */
export const documentsOf = (base: DocumentsOf): CheckpointDocuments =>
  typeof base === 'string' ? folderDocuments(base) : base;
