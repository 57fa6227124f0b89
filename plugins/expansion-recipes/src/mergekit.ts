import { readTextFile } from '@glulam/files';
import type { ExpansionStrategy } from '@glulam/model';
import { z } from 'zod';
import { readMergekitFile, type MergekitFile } from './mergekit-file.js';
import { refused } from './refused.js';

const schema = z.strictObject({
  file: z.string().min(1).describe('A path; in a config file relative to it.'),
});

export type MergekitOptions = z.input<typeof schema>;

/** `{ kind: 'mergekit', file: 'passthrough.yaml' }`: the layers of a mergekit passthrough file, whose models are one. */
export const mergekitStrategy: ExpansionStrategy<z.infer<typeof schema>> = {
  kind: 'mergekit',
  schema,
  paths: ['file'],
  expand: (physicalLayers, { file }, linears) => open(file).layers(physicalLayers, linears),
  warnings: (_, { file }) => open(file).warnings,
};

const mostYaml = 1_000_000;

function open(file: string): MergekitFile {
  let text: string;
  try {
    text = readTextFile(file, mostYaml);
  } catch (cause) {
    throw refused(`${file} cannot be read: ${(cause as Error).message}; expected a mergekit file`, cause);
  }
  return readMergekitFile(text, file);
}
