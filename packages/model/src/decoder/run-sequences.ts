import { whileUnchanged } from '@glulam/files';
import { scope, whileHeld } from '@glulam/tensors';
import type { TokenBatch } from './batch.js';
import { packTokens } from './batch.js';
import { checkOutputs } from './check-finite.js';
import type { Decoder } from './decoder.js';
import { visitsOf, type Route } from '../expansion/route.js';
import { ModelError } from '../errors.js';
import { keyValueWidthOf, type ModelSpec } from '../families/model-spec.js';
import { sequenceEra } from './rope.js';
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

/** A cache for a decoder's keys and values, of its own route or another. */
export function cacheOf({ engine, spec, layers, route: own }: Decoder, route: Route = own): KeyValueCache {
  const visits = visitsOf(route);
  const widths = visits.map((layer) => keyValueWidthOf(spec.layers[layers[layer]!.physical]!));
  return createKeyValueCache(engine, widths, visits);
}

/** The next tokens of a sequence in a cache. */
export interface SequencePart {
  /** The sequence's number in the cache, see `KeyValueCache.add`. */
  readonly sequence: number;
  /** The tokens that follow those in the cache. */
  readonly ids: TokenIds;
  /**
   * Tokens that the sequence has in all, where more follow in later passes: rotary embeddings of the kinds `longrope` and
   * `dynamic` go by it. Default: those in the cache and `ids`.
   */
  readonly total?: number | undefined;
  /** Whether the logits behind the last of them are wanted. */
  readonly wanted: boolean;
  /** For each token the one whose log probability is wanted there, -1 for none; default: none. */
  readonly labels?: TokenIds | undefined;
}

/** What a pass gave of a part. */
export interface SequenceResult {
  /** [vocabulary], where they were wanted. */
  readonly logits: Float32Array | undefined;
  /** The summed log probability of the labels, where there are labels. */
  readonly score: number | undefined;
}

/** Tokens of several sequences end to end, at their places behind what the cache has of them. */
export function packParts(
  cache: KeyValueCache,
  parts: readonly Pick<SequencePart, 'sequence' | 'ids' | 'total'>[],
): TokenBatch {
  const batch = packTokens(parts.map(({ ids }) => ids));
  const before = parts.flatMap(({ sequence, ids }) => new Array<number>(ids.length).fill(cache.length(sequence)));
  const lengths = parts.map(({ sequence, ids, total }) => total ?? cache.length(sequence) + ids.length);
  return { ...batch, positions: batch.positions.map((position, i) => position + before[i]!), lengths };
}

/**
 * One pass over the next tokens of some sequences, which the cache then has too.
 *
 * @param parts each with at least one token
 * @param signal aborting ends the pass between two layers; the cache is as it was before
 * @returns of each part what was wanted, in the order of the parts
 * @throws TensorsError FILE_CHANGED, ModelError WEIGHT_NOT_FINITE
 */
export async function runSequences(
  decoder: Decoder,
  { cache, forms }: SequenceState,
  parts: readonly SequencePart[],
  signal?: AbortSignal,
): Promise<SequenceResult[]> {
  return whileUnchanged(decoder.checkpoint.files, async () => {
    const { engine } = decoder;
    for (const part of parts) checkEra(decoder.spec, cache.length(part.sequence), part);
    const batch = packParts(cache, parts);
    const pass = cache.pass(parts.map(({ sequence }) => sequence));
    const lastRows = batch.segments.flatMap(({ queryStart, queryLength }, i) =>
      parts[i]!.wanted ? [queryStart + queryLength - 1] : [],
    );
    const labels = Int32Array.from(parts.flatMap(({ ids, labels }) => [...(labels ?? ids.map(() => -1))]));
    const hidden = await decoder.forward(batch, { cache: pass, forms, signal });
    // Both are asked for before one is read, so that the engine computes them together.
    const [logits, losses] = await whileHeld(hidden, () => [
      lastRows.length === 0 ? undefined : decoder.logits(hidden, lastRows),
      labels.some((label) => label >= 0) ? scope(() => decoder.losses(hidden, labels)) : undefined,
    ]);
    const read = async (tensor: typeof logits): Promise<Float32Array> => {
      if (tensor === undefined) return new Float32Array();
      const values = (await whileHeld(tensor, () => engine.read(tensor))) as Float32Array;
      await checkOutputs(decoder, values);
      return values;
    };
    const [allLogits, allLosses] = [await read(logits), await read(losses)];
    const size = allLogits.length / Math.max(1, lastRows.length);
    let last = 0;
    let row = 0;
    return parts.map(({ ids: { length }, wanted, labels }) => {
      const [from, start] = [last * size, row];
      if (wanted) last += 1;
      row += length;
      return {
        logits: wanted ? allLogits.subarray(from, from + size) : undefined,
        score: labels === undefined ? undefined : 0 - sumOf(allLosses, start, row),
      };
    });
  });
}

/** Of none where nothing was computed. */
function sumOf(values: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < Math.min(end, values.length); i++) sum += values[i]!;
  return sum;
}

/** What is in the cache must have been turned as the rest of the sequence is, see `ropeEra`. */
function checkEra(spec: ModelSpec, length: number, { ids, total }: SequencePart): void {
  if (total !== undefined || length === 0) return;
  const whole = length + ids.length;
  if (sequenceEra(spec, length) === sequenceEra(spec, whole)) return;
  throw new ModelError(
    'BAD_ARGUMENT',
    `the sequence grows from ${length} to ${whole} tokens, and with them the model's rotary embedding turns its first tokens otherwise; expected all tokens again, in a sequence without any`,
  );
}
