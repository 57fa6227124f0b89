import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { folderDocuments, hasCheckpointFiles, openCheckpointFiles } from '@glulam/files';
import { checkpointReaders, type CheckpointReader } from '@glulam/model';
import { definePlugin } from '@glulam/plugin';

const prefix = 'language_model.';

/** The config of the language model in a multi-modal checkpoint; undefined for any other. */
function textConfigOf(folder: string): object | undefined {
  const file = path.join(folder, 'config.json');
  if (!existsSync(file)) return undefined;
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { text_config?: object }).text_config;
  } catch {
    return undefined; // the reader of folders says what is wrong with it
  }
}

export const languageModel: CheckpointReader = {
  kind: 'language_model',
  claims: (folder) => textConfigOf(folder) !== undefined,
  async open(folder) {
    const documents = folderDocuments(folder);
    const config = JSON.stringify(textConfigOf(folder));
    return {
      documents: {
        ...documents,
        read: (name, mostBytes) => (name === 'config.json' ? config : documents.read(name, mostBytes)),
      },
      hasWeights: hasCheckpointFiles(folder),
      async openTensors(isNeeded) {
        const files = openCheckpointFiles(
          folder,
          (name) => name.startsWith(prefix) && isNeeded(name.slice(prefix.length)),
        );
        return {
          ...files,
          names: () => files.names().flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : [])),
          has: (name) => files.has(prefix + name),
          entry: (name) => files.entry(prefix + name),
          source: (name) => ({ ...files.source(prefix + name), name }),
        };
      },
    };
  },
};

export default () =>
  definePlugin({
    name: 'glulam-plugin-checkpoint-language-model',
    contract: 2,
    register: (registry) => registry.contribute(checkpointReaders, { create: () => languageModel }),
  });
