import { whileUnchanged } from '@glulam/files';
import { scope } from '@glulam/tensors';
import { checkOutputs } from '../decoder/check-finite.js';
import { tokensPerPass } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createPreparedForms } from '../decoder/prepared-forms.js';
import { cacheOf, packParts, runSequences, type SequenceState } from '../decoder/run-sequences.js';
import type { Tokenizer } from '../text/tokenizer.js';

/**
 * The log probability of each continuation of a text, summed over its tokens, as lm-evaluation-harness takes it: text and
 * continuation are tokenized together, and what goes beyond the text's own tokens counts. The tokens with which all
 * begin are processed once.
 *
 * @param tokensPerBatch continuations are scored together up to so many tokens, those of the text counted with each
 */
export async function scoreContinuations(
  decoder: Decoder,
  tokenizer: Pick<Tokenizer, 'encode'>,
  text: string,
  continuations: readonly string[],
  { signal, tokensPerBatch = 2048 }: { readonly signal?: AbortSignal; readonly tokensPerBatch?: number } = {},
): Promise<number[]> {
  if (continuations.length === 0) return [];
  const { sequences, start } = tokenizeContinuations(tokenizer, text, continuations);
  const cache = cacheOf(decoder);
  const forms = createPreparedForms();
  try {
    // The token before the first that counts goes with those that count: it says how likely that is.
    const shortest = Math.min(...sequences.map(({ length }) => length));
    const shared = Math.max(0, Math.min(start, shortest, commonLength(sequences) + 1) - 1);
    const common = cache.add(shared);
    for (let at = 0; at < shared; at += tokensPerPass) {
      signal?.throwIfAborted();
      const ids = sequences[0]!.slice(at, Math.min(shared, at + tokensPerPass));
      await runSequences(decoder, { cache, forms }, [{ sequence: common, ids, wanted: false }], signal);
    }
    const scores: number[] = [];
    for (let first = 0; first < sequences.length;) {
      let end = first + 1;
      let tokens = sequences[first]!.length;
      while (end < sequences.length && tokens + sequences[end]!.length <= tokensPerBatch)
        tokens += sequences[end++]!.length;
      signal?.throwIfAborted();
      const together = sequences.slice(first, end);
      const forks = cache.fork(
        common,
        shared,
        together.map(({ length }) => length),
      );
      const score = () => scoreTogether(decoder, { cache, forms }, forks, together, { shared, start, signal });
      scores.push(...(await whileUnchanged(decoder.checkpoint.files, score)));
      for (const fork of forks) cache.remove(fork);
      first = end;
    }
    return scores;
  } finally {
    cache.close();
    forms.close();
  }
}

/**
 * Each continuation with the text before it as tokens, and the first of them that counts: what goes beyond the text's
 * own. White space at the end of the text belongs to the word that follows it.
 */
export function tokenizeContinuations(
  tokenizer: Pick<Tokenizer, 'encode'>,
  text: string,
  continuations: readonly string[],
): { readonly sequences: readonly number[][]; readonly start: number } {
  const start = tokenizer.encode(text.trimEnd()).length;
  return { sequences: continuations.map((each) => tokenizer.encode(text + each)), start };
}

/** The summed log probability of each sequence's tokens from `start` on, of which the cache has the first `shared`. */
async function scoreTogether(
  decoder: Decoder,
  { cache, forms }: SequenceState,
  forks: readonly number[],
  sequences: readonly number[][],
  {
    shared,
    start,
    signal,
  }: { readonly shared: number; readonly start: number; readonly signal: AbortSignal | undefined },
): Promise<number[]> {
  const parts = sequences.map((ids, i) => ({ sequence: forks[i]!, ids: ids.slice(shared) }));
  const labels = sequences.flatMap((ids) =>
    ids.slice(shared).map((_, i) => (shared + i + 1 >= start ? (ids[shared + i + 1] ?? -1) : -1)),
  );
  const hidden = await decoder.forward(packParts(cache, parts), { cache: cache.pass(forks), forms, signal });
  const losses = scope(() => decoder.losses(hidden, Int32Array.from(labels)));
  hidden.release();
  const values = await decoder.engine.read(losses);
  losses.release();
  await checkOutputs(decoder, values);
  let at = 0;
  return parts.map(({ ids: { length } }) => {
    let sum = 0;
    for (const end = at + length; at < end; at++) sum -= values[at]!;
    return sum;
  });
}

/** How many tokens all begin with. */
function commonLength(sequences: readonly (readonly number[])[]): number {
  const [first, ...others] = sequences;
  const alike = first!.findIndex((id, i) => others.some((ids) => ids[i] !== id));
  return alike < 0 ? first!.length : alike;
}
