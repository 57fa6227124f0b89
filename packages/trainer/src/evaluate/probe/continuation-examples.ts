import { tokenizeContinuations, type Tokenizer } from '@glulam/model';
import type { Example } from '../../step/batches.js';

/** Continuations of a prompt as sequences, of which the continuations' tokens count: as `scoreContinuations` counts them. */
export function continuationExamples(
  tokenizer: Pick<Tokenizer, 'encode'>,
  prompt: string,
  continuations: readonly string[],
): Example[] {
  const { sequences, start } = tokenizeContinuations(tokenizer, prompt, continuations);
  return sequences.map((ids) => ({
    ids: Int32Array.from(ids),
    trained: Uint8Array.from(ids, (_, i) => (i >= start ? 1 : 0)),
  }));
}
