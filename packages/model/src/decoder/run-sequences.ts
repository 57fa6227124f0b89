import { whileUnchanged } from '@glulam/files';
import type { TokenBatch } from './batch.js';
import { packTokens } from './batch.js';
import { checkOutputs } from './check-finite.js';
import type { Decoder } from './decoder.js';
import { keyValueWidthOf } from '../families/model-spec.js';
import { createKeyValueCache, type KeyValueCache } from './key-value-cache.js';
import type { TokenIds } from '../text/token-ids.js';
import type { PreparedForms } from './prepared-forms.js';

/** What several passes of one decoder over sequences have in common. */
export interface SequenceState {
  /** Keys and values; decoders of the same virtual layers may share one, whatever their adapters. */
  readonly cache: KeyValueCache;
  /** The decoder's own. */
  readonly forms?: PreparedForms | undefined;
}

/** A cache for a decoder's keys and values. */
export const cacheOf = ({ engine, spec, layers }: Decoder): KeyValueCache =>
  createKeyValueCache(
    engine,
    layers.map(({ physical }) => keyValueWidthOf(spec.layers[physical]!)),
  );

/** The next tokens of a sequence in a cache. */
export interface SequencePart {
  /** The sequence's number in the cache, see `KeyValueCache.add`. */
  readonly sequence: number;
  /** The tokens that follow those in the cache. */
  readonly ids: TokenIds;
  /** Whether the logits behind the last of them are wanted. */
  readonly wanted: boolean;
}

/** Tokens of several sequences end to end, at their places behind what the cache has of them. */
export function packParts(cache: KeyValueCache, parts: readonly Omit<SequencePart, 'wanted'>[]): TokenBatch {
  const batch = packTokens(parts.map(({ ids }) => ids));
  const before = parts.flatMap(({ sequence, ids }) => new Array<number>(ids.length).fill(cache.length(sequence)));
  return { ...batch, positions: batch.positions.map((position, i) => position + before[i]!) };
}

/**
 * One pass over the next tokens of some sequences, which the cache then has too.
 *
 * @param parts each with at least one token
 * @param signal aborting ends the pass between two layers; the cache is as it was before
 * @returns the logits that were wanted, [vocabulary] each, in the order of the parts
 * @throws TensorsError FILE_CHANGED, ModelError WEIGHT_NOT_FINITE
 */
export async function runSequences(
  decoder: Decoder,
  { cache, forms }: SequenceState,
  parts: readonly SequencePart[],
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  return whileUnchanged(decoder.checkpoint.files, async () => {
    const { engine } = decoder;
    const batch = packParts(cache, parts);
    const pass = cache.pass(parts.map(({ sequence }) => sequence));
    const hidden = await decoder.forward(batch, { cache: pass, forms, signal });
    const rows = batch.segments.flatMap(({ queryStart, queryLength }, i) =>
      parts[i]!.wanted ? [queryStart + queryLength - 1] : [],
    );
    if (rows.length === 0) {
      hidden.release();
      return [];
    }
    const logits = decoder.logits(hidden, rows);
    hidden.release();
    const values = (await engine.read(logits)) as Float32Array;
    logits.release();
    await checkOutputs(decoder, values);
    const size = values.length / rows.length;
    return rows.map((_, i) => values.subarray(i * size, (i + 1) * size));
  });
}
