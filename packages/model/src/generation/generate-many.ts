import type { ContinuationOptions, EndReason } from './continuation.js';
import { createScheduler, type ScheduledSequence } from './scheduler.js';
import type { Decoder } from '../decoder/decoder.js';
import { ModelError } from '../errors.js';
import type { TextStream } from '../text/text-stream.js';
import type { Tokenizer } from '../text/tokenizer.js';
import type { TokenIds } from '../text/token-ids.js';

/** A prompt with what it has otherwise than the others. */
export interface GenerationRequest {
  /** Its token ids, at least one. */
  readonly prompt: TokenIds;
  /** In place of the common one. */
  readonly maxNewTokens?: number | undefined;
  /** Default: the common seed and the request's number, so that no two texts share their draws. */
  readonly seed?: number | undefined;
}

/** What all texts of `generateMany` have in common. */
export interface GenerateManyOptions extends ContinuationOptions {
  /** Strings that end a text and are not part of it. */
  readonly stop?: readonly string[] | undefined;
  /** Sequences at a time; default 8. */
  readonly slots?: number | undefined;
  /** Aborting throws the signal's reason before the next pass; unfinished texts are lost. */
  readonly signal?: AbortSignal | undefined;
}

/** What followed one of the prompts. */
export interface Generated {
  /** The request's number, from 0. */
  readonly index: number;
  /** With those of the stop string, where one was met. */
  readonly ids: readonly number[];
  /** Decoded, without special tokens and without the stop string. */
  readonly text: string;
  /** Why it ended. */
  readonly ended: EndReason;
}

/** A text that is being generated. */
interface Running {
  readonly index: number;
  readonly stream: TextStream;
  readonly ids: number[];
  text: string;
}

/**
 * Continue many prompts, some at a time, each as `generateText` would alone: what else is in the batch changes neither
 * its draws nor, but for the rounding of sums, its logits. Sequences of any lengths are laid end to end, without padding;
 * one that has ended makes room for the next request, which is asked for only then. Results come as they are finished.
 */
export async function* generateMany(
  decoder: Decoder,
  tokenizer: Pick<Tokenizer, 'stream' | 'eosIds'>,
  requests: Iterable<GenerationRequest> | AsyncIterable<GenerationRequest>,
  options: GenerateManyOptions,
): AsyncGenerator<Generated, void> {
  const { slots = 8, stop = [], seed = 0, signal, ...common } = options;
  if (!Number.isInteger(slots) || slots < 1)
    throw new ModelError('GENERATION_INVALID', `slots is ${slots}; expected a whole number from 1`);
  const scheduler = createScheduler(decoder);
  const waiting = asAsync(requests);
  const running = new Map<ScheduledSequence, Running>();
  let exhausted = false;

  const admit = async (index: number): Promise<boolean> => {
    const { value: request, done } = await waiting.next();
    if (done === true) return false;
    const { prompt, maxNewTokens = common.maxNewTokens } = request;
    const continued = { endIds: tokenizer.eosIds, ...common, maxNewTokens, seed: request.seed ?? seed + index };
    const sequence = scheduler.join(decoder, prompt, continued, { expected: Math.min(maxNewTokens, 64) });
    running.set(sequence, { index, stream: tokenizer.stream({ stop }), ids: [], text: '' });
    return true;
  };

  try {
    for (let admitted = 0; ;) {
      signal?.throwIfAborted();
      while (running.size < slots && !exhausted) {
        if (await admit(admitted)) admitted += 1;
        else exhausted = true;
      }
      if (running.size === 0) return;
      const finished: Generated[] = [];
      for (const { sequence, id, ended: enough, error } of await scheduler.pass(signal)) {
        if (error !== undefined) throw error;
        const of = running.get(sequence)!;
        if (id !== undefined) {
          of.ids.push(id);
          of.text += of.stream.push(id);
        }
        const ended = of.stream.stop === undefined ? enough : 'stop';
        if (ended === undefined) continue;
        sequence.leave();
        running.delete(sequence);
        finished.push({ index: of.index, ids: of.ids, text: of.text + of.stream.finish(), ended });
      }
      yield* finished;
    }
  } finally {
    scheduler.close();
    await waiting.return?.();
  }
}

async function* asAsync<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void> {
  yield* items;
}
