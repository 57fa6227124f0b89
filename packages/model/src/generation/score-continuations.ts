import { tokensPerPass } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createScheduler, type ScheduledSequence } from './scheduler.js';
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
  // Continuations that go together are scored in one pass, however long one is.
  const scheduler = createScheduler(decoder, Infinity);
  const scoreAll = async (jobs: readonly ScheduledSequence[]): Promise<number[]> => {
    const scores = new Map<ScheduledSequence, number>();
    for (const { sequence, score, error } of await scheduler.pass(signal)) {
      if (error !== undefined) throw error;
      scores.set(sequence, score!);
    }
    return jobs.map((job) => scores.get(job)!);
  };
  try {
    // The token before the first that counts goes with those that count: it says how likely that is.
    const shortest = Math.min(...sequences.map(({ length }) => length));
    const shared = Math.max(0, Math.min(start, shortest, commonLength(sequences) + 1) - 1);
    const common = scheduler.keep(decoder, shared);
    for (let at = 0; at < shared; at += tokensPerPass) {
      const ids = sequences[0]!.slice(at, Math.min(shared, at + tokensPerPass));
      const labels = ids.map(() => -1);
      await scoreAll([scheduler.score(common, ids, labels)]);
    }
    const scores: number[] = [];
    for (let first = 0; first < sequences.length;) {
      let end = first + 1;
      let tokens = sequences[first]!.length;
      while (end < sequences.length && tokens + sequences[end]!.length <= tokensPerBatch)
        tokens += sequences[end++]!.length;
      const together = sequences.slice(first, end);
      const forks = common.fork(
        shared,
        together.map(({ length }) => length),
      );
      const jobs = forks.map((fork, i) => {
        const ids = together[i]!;
        const labels = ids.map((_, at) => (at + 1 >= start ? (ids[at + 1] ?? -1) : -1));
        return scheduler.score(fork, ids.slice(shared), labels.slice(shared));
      });
      scores.push(...(await scoreAll(jobs)));
      for (const fork of forks) fork.release();
      first = end;
    }
    return scores;
  } finally {
    scheduler.close();
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

/** How many tokens all begin with. */
function commonLength(sequences: readonly (readonly number[])[]): number {
  const [first, ...others] = sequences;
  const alike = first!.findIndex((id, i) => others.some((ids) => ids[i] !== id));
  return alike < 0 ? first!.length : alike;
}
