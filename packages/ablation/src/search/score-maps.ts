import type { Decoder } from '@glulam/model';
import type { Tensor } from '@glulam/tensors';
import { scoreExamples, scoringBatches, type Example, type ProbeSet } from '@glulam/trainer';
import type { Candidate } from './candidate-maps.js';
import type { ScoredMap } from './search-folder.js';
import { walkLayers } from './walk-layers.js';

const batching = { shareBeginnings: true };

/** Tokens that are computed for sequences, what they share of their beginnings once. */
export const tokensOf = (sequences: readonly Example[]): number =>
  scoringBatches(sequences, batching).reduce((sum, { ids }) => sum + ids.length, 0);

interface ScoreMapsOptions {
  /** Hidden states of all sequences that are held at once, 1 or more. */
  readonly states: number;
  readonly signal?: AbortSignal | undefined;
  readonly onScored: (scored: ScoredMap) => void;
  /** Before each layer: how many were run. */
  readonly onPass?: ((passes: number) => void) | undefined;
}

/**
 * The score of each map by the same questions: that which the log probabilities of a decoder of that map have.
 *
 * @param decoder the base as it is: virtual layers are the physical ones
 */
export async function scoreMaps(
  decoder: Decoder,
  { sequences, score }: Pick<ProbeSet, 'sequences' | 'score'>,
  candidates: readonly Candidate[],
  { states, signal, onScored, onPass }: ScoreMapsOptions,
): Promise<void> {
  const passes = scoringBatches(sequences, batching).map((batch) => decoder.layerPass(batch));
  let done = 0;
  let told = 0;
  try {
    await walkLayers<readonly Tensor[]>(
      candidates.map(({ layers }) => layers),
      states,
      {
        begin: () => passes.map((pass) => pass.embed()),
        async run(state, layer) {
          onPass?.(done);
          const next: Tensor[] = [];
          try {
            for (const [index, hidden] of state.entries()) {
              signal?.throwIfAborted();
              next.push(await passes[index]!.layer(hidden, layer));
            }
          } catch (error) {
            for (const tensor of next) tensor.release();
            throw error;
          }
          done += 1;
          return next;
        },
        async finish(state, index) {
          const forward = (_: unknown, batch: number): Promise<Tensor> =>
            Promise.resolve(passes[batch]!.finish(state[batch]!));
          const logProbabilities = await scoreExamples(decoder, sequences, { ...batching, signal, forward });
          onScored({ map: candidates[index]!.map, ...score(logProbabilities), passes: done - told });
          told = done;
        },
        release(state) {
          for (const tensor of state) tensor.release();
        },
      },
    );
  } finally {
    for (const pass of passes) pass.close();
  }
}
