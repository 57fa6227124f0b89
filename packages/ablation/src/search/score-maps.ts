import type { Decoder } from '@glulam/model';
import type { Tensor } from '@glulam/tensors';
import { labelBatch, lossBatches, meanLoss, type Example } from '@glulam/trainer';
import type { Candidate } from './candidate-maps.js';
import type { ScoredMap } from './search-folder.js';
import { walkLayers } from './walk-layers.js';

/** Bytes of the hidden states of all examples behind one layer: the residual stream is float32. */
export const stateBytes = (examples: readonly Example[], hiddenSize: number): number =>
  examples.reduce((sum, { ids }) => sum + ids.length, 0) * hiddenSize * 4;

export interface ScoreMapsOptions {
  /** Hidden states of all examples that are held at once, 1 or more. */
  readonly states: number;
  readonly signal?: AbortSignal | undefined;
  readonly onScored: (scored: ScoredMap) => void;
  /** Before each layer: how many were run. */
  readonly onPass?: ((passes: number) => void) | undefined;
}

/**
 * The loss of each map over the same examples, as `meanLoss` gives it for a decoder of that map.
 *
 * @param decoder the base as it is: virtual layers are the physical ones
 */
export async function scoreMaps(
  decoder: Decoder,
  examples: readonly Example[],
  candidates: readonly Candidate[],
  { states, signal, onScored, onPass }: ScoreMapsOptions,
): Promise<void> {
  const passes = lossBatches(examples).map((batch) => decoder.layerPass(labelBatch(batch)));
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
        async finish(state, sequence) {
          const forward = (_: unknown, index: number): Promise<Tensor> =>
            Promise.resolve(passes[index]!.finish(state[index]!));
          const { loss, error } = await meanLoss(decoder, examples, { signal, forward });
          onScored({ map: candidates[sequence]!.map, loss, error, passes: done - told });
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
