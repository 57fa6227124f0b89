import {
  createContinuation,
  tokensPerPass,
  type Continuation,
  type ContinuationOptions,
  type EndReason,
} from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { ModelError } from '../errors.js';
import { createPreparedForms } from '../decoder/prepared-forms.js';
import { cacheOf, runSequences, type SequencePart } from '../decoder/run-sequences.js';
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

/** A sequence in a slot. */
interface Running {
  readonly index: number;
  readonly sequence: number;
  readonly continuation: Continuation;
  readonly stream: TextStream;
  /** Tokens that wait for their pass: the rest of the prompt, or the last one chosen. */
  next: TokenIds;
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
  const cache = cacheOf(decoder);
  const forms = createPreparedForms();
  const waiting = asAsync(requests);
  let running: Running[] = [];
  let exhausted = false;

  const admit = async (index: number): Promise<boolean> => {
    const { value: request, done } = await waiting.next();
    if (done === true) return false;
    const { prompt, maxNewTokens = common.maxNewTokens } = request;
    const continuation = createContinuation(decoder, prompt, {
      endIds: tokenizer.eosIds,
      ...common,
      maxNewTokens,
      seed: request.seed ?? seed + index,
    });
    const sequence = cache.add(prompt.length + Math.min(maxNewTokens, 64));
    running.push({
      index,
      sequence,
      continuation,
      stream: tokenizer.stream({ stop }),
      next: prompt,
      ids: [],
      text: '',
    });
    return true;
  };

  try {
    for (let admitted = 0; ;) {
      signal?.throwIfAborted();
      while (running.length < slots && !exhausted) {
        if (await admit(admitted)) admitted += 1;
        else exhausted = true;
      }
      if (running.length === 0) return;
      const taken = share(running);
      const parts = taken.map(({ of: { sequence, next }, count }): SequencePart => {
        return { sequence, ids: next.slice(0, count), wanted: count === next.length };
      });
      const logits = await runSequences(decoder, { cache, forms }, parts, signal);
      const finished: Generated[] = [];
      for (const { of, count } of taken) {
        of.next = of.next.slice(count);
        if (of.next.length > 0) continue;
        const { id, ended: enough } = of.continuation.take(logits.shift()!);
        if (id !== undefined) {
          of.ids.push(id);
          of.text += of.stream.push(id);
          of.next = [id];
        }
        const ended = of.stream.stop === undefined ? enough : 'stop';
        if (ended === undefined) continue;
        cache.remove(of.sequence);
        finished.push({ index: of.index, ids: of.ids, text: of.text + of.stream.finish(), ended });
      }
      running = running.filter(({ index }) => finished.every((each) => each.index !== index));
      yield* finished;
    }
  } finally {
    cache.close();
    forms.close();
    await waiting.return?.();
  }
}

/** What each takes to the next pass: its one token, or as much of its prompt as the pass has room for. */
function share(running: readonly Running[]): { readonly of: Running; readonly count: number }[] {
  let room = Math.max(1, tokensPerPass - running.filter(({ next }) => next.length === 1).length);
  return running.flatMap((of) => {
    const count = of.next.length === 1 ? 1 : Math.min(of.next.length, room);
    if (of.next.length > 1) room -= count;
    return count === 0 ? [] : [{ of, count }];
  });
}

async function* asAsync<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void> {
  yield* items;
}
