import { scope } from '@glulam/tensors';
import { packTokens } from './batch.js';
import type { Decoder } from './decoder.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * The log probability of each continuation of a text, summed over its tokens, as lm-evaluation-harness takes it: text and
 * continuation are tokenized together, and what goes beyond the text's own tokens counts.
 *
 * @param tokensPerBatch continuations are scored together up to so many tokens
 */
export async function scoreContinuations(
  decoder: Decoder,
  tokenizer: Pick<Tokenizer, 'encode'>,
  text: string,
  continuations: readonly string[],
  { signal, tokensPerBatch = 2048 }: { readonly signal?: AbortSignal; readonly tokensPerBatch?: number } = {},
): Promise<number[]> {
  // White space at the end of the text belongs to the word that follows it.
  const kept = text.trimEnd();
  const start = tokenizer.encode(kept).length;
  const sequences = continuations.map((each) => tokenizer.encode(text + each));
  const scores: number[] = [];
  for (let first = 0; first < sequences.length;) {
    let end = first + 1;
    let tokens = sequences[first]!.length;
    while (end < sequences.length && tokens + sequences[end]!.length <= tokensPerBatch)
      tokens += sequences[end++]!.length;
    signal?.throwIfAborted();
    scores.push(...(await scoreTogether(decoder, sequences.slice(first, end), start)));
    first = end;
  }
  return scores;
}

/** The summed log probability of each sequence's tokens from `start` on. */
async function scoreTogether(decoder: Decoder, sequences: readonly number[][], start: number): Promise<number[]> {
  const labels = sequences.flatMap((ids) =>
    ids.map((_, i) => (i + 1 >= start && i + 1 < ids.length ? ids[i + 1]! : -1)),
  );
  const hidden = await decoder.forward(packTokens(sequences));
  const losses = scope(() => decoder.losses(hidden, Int32Array.from(labels)));
  hidden.release();
  const values = await decoder.engine.read(losses);
  losses.release();
  let at = 0;
  return sequences.map(({ length }) => {
    let sum = 0;
    for (const end = at + length; at < end; at++) sum -= values[at]!;
    return sum;
  });
}
