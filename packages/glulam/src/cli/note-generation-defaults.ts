import type { CheckpointDocuments } from '@glulam/files';
import { describeGenerationDefaults } from '@glulam/model';
import type { Arguments } from './arguments.js';
import type { Output } from './output.js';

const fields: Readonly<Record<string, readonly string[]>> = {
  'max-tokens': ['max_new_tokens', 'max_length'],
  temperature: ['do_sample', 'temperature'],
  'top-k': ['top_k'],
  'top-p': ['top_p'],
  stop: ['stop_strings'],
};

/** Reports the checkpoint's own options of generation, once for a command, apart from those that the command was given. */
export function noteGenerationDefaults(
  documents: CheckpointDocuments,
  options: Arguments['options'],
  notes: Pick<Output, 'write'>,
): void {
  const given = Object.entries(fields).flatMap(([option, names]) => (options[option] === undefined ? [] : names));
  const line = describeGenerationDefaults(documents, given);
  if (line !== undefined) notes.write(`${line}\n`);
}
