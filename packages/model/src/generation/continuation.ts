import type { Decoder } from '../decoder/decoder.js';
import { ModelError } from '../errors.js';
import { createSampler, type SamplingOptions } from './sampling.js';
import type { TokenIds } from '../text/token-ids.js';

/** How the tokens after one prompt are chosen, and when they end. */
export interface ContinuationOptions extends SamplingOptions {
  /** The most tokens to generate, from 1. The model's last position ends the text too. */
  readonly maxNewTokens: number;
  /** Ids that end the text and are not part of it. */
  readonly endIds?: TokenIds | undefined;
}

/** Why a text ended: an end id, a stop string, or `maxNewTokens` or the model's positions were used up. */
export type EndReason = 'end' | 'stop' | 'length';

/** Chooses what follows one prompt, token by token. */
export interface Continuation {
  /** Takes the logits behind the last token; an id that ends the text is not given. */
  take(logits: Float32Array): { readonly id: number | undefined; readonly ended: EndReason | undefined };
}

/** Tokens that one pass takes of a prompt, or of all prompts of a batch: what bounds the memory of long ones. */
export const tokensPerPass = 512;

/** @throws ModelError GENERATION_INVALID for an empty prompt, one as long as the model reads, and options of no use */
export function createContinuation(
  { spec }: Pick<Decoder, 'spec'>,
  prompt: TokenIds,
  options: ContinuationOptions,
): Continuation {
  const { maxNewTokens, endIds = [] } = options;
  const { maxPositions } = spec;
  if (prompt.length === 0) throw new ModelError('GENERATION_INVALID', 'the prompt has no tokens; give it at least one');
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new ModelError('GENERATION_INVALID', `maxNewTokens is ${maxNewTokens}; expected a whole number from 1`);
  }
  if (prompt.length >= maxPositions) {
    throw new ModelError(
      'GENERATION_INVALID',
      `the prompt has ${prompt.length} tokens; the model has ${maxPositions} positions, of which at least one is for the answer: give less text`,
    );
  }
  const sampler = createSampler(options);
  const most = Math.min(maxNewTokens, maxPositions - prompt.length);
  let count = 0;
  return {
    take(logits) {
      const id = sampler.pick(logits, prompt.length + count);
      if (endIds.includes(id)) return { id: undefined, ended: 'end' };
      count += 1;
      return { id, ended: count === most ? 'length' : undefined };
    },
  };
}
