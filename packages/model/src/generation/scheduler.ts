import { ModelError } from '../errors.js';
import {
  createContinuation,
  tokensPerPass,
  type Continuation,
  type ContinuationOptions,
  type EndReason,
} from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createPreparedForms, type PreparedForms } from '../decoder/prepared-forms.js';
import { cacheOf, runSequences, type SequencePart } from '../decoder/run-sequences.js';
import type { TokenIds } from '../text/token-ids.js';

/** A sequence that generates beside others, until it has ended or is let go. */
export interface ScheduledSequence {
  /**
   * Let it go, at any time: it is in no later pass, and its keys and values are released. During a pass that is done at the
   * pass's end, and it gets no token of it. Does nothing where it has ended.
   */
  leave(): void;
}

/** What a pass made of one sequence whose prompt was whole in it. */
export interface ScheduledToken {
  /** As `join` returned it. */
  readonly sequence: ScheduledSequence;
  /** The token that was chosen; undefined: an id that ends the text. */
  readonly id: number | undefined;
  /** Why the sequence has ended with it; undefined: it goes on. */
  readonly ended: EndReason | undefined;
  /** Its pass failed: there is no token, and the sequence is let go. */
  readonly error?: Error;
}

/**
 * Sequences that generate together, over one KV cache: they join and leave between two passes, whatever adapters they have.
 * Each gets the tokens that it would get alone; what else is in a pass changes only how sums are rounded.
 */
export interface Scheduler {
  /**
   * Let a sequence join, from the next pass on. Sequences of one decoder share a pass; decoders are those of one base over the
   * same virtual layers (`AdapterSet`).
   *
   * @param expected tokens that it may reach beyond the prompt, for which there is room from the start
   * @throws ModelError GENERATION_INVALID as `createContinuation` does, BAD_ARGUMENT for a decoder of other layers, and during
   *   a pass
   */
  join(decoder: Decoder, prompt: TokenIds, options: ContinuationOptions, expected?: number): ScheduledSequence;
  /**
   * One pass over the next tokens of all sequences: one each, and of prompts as many as a pass takes. Where it fails for the
   * sequences of one decoder, these get the error, and the others their tokens. Rejects with the signal's reason alone; what
   * the pass has not done by then is left for the next one.
   */
  pass(signal?: AbortSignal): Promise<ScheduledToken[]>;
  /** Sequences that have neither ended nor left. */
  readonly size: number;
  /** Let all go and release what is kept; between two passes. Decoders stay open. */
  close(): void;
}

interface Waiting extends ScheduledSequence {
  readonly decoder: Decoder;
  /** Its number in the cache. */
  readonly number: number;
  readonly continuation: Continuation;
  /** Tokens that wait for their pass: the rest of the prompt, or the last one chosen. */
  next: TokenIds;
}

/** A scheduler without sequences. `decoder` is one of those that they will have. */
export function createScheduler(decoder: Decoder): Scheduler {
  const cache = cacheOf(decoder);
  const forms = new Map<Decoder, PreparedForms>();
  const waiting = new Set<Waiting>();

  const formsOf = (of: Decoder): PreparedForms => {
    const known = forms.get(of) ?? createPreparedForms();
    forms.set(of, known);
    return known;
  };
  let isPassing = false;
  /** Those that leave during a pass, which still reads and writes their rows: they are let go at its end. */
  const leaving = new Set<Waiting>();
  /** Those of them whose caller let them go: they get no token of that pass. */
  const abandoned = new Set<ScheduledSequence>();
  const checkBetween = (what: string): void => {
    if (!isPassing) return;
    throw new ModelError(
      'BAD_ARGUMENT',
      `${what} was asked for during a pass; expected between two passes: await pass()`,
    );
  };
  const leave = (each: Waiting): void => {
    if (isPassing) return void leaving.add(each);
    if (!waiting.delete(each)) return;
    cache.remove(each.number);
    // Nobody may train the decoder until its last sequence is gone; after that its forms may be of other values.
    if ([...waiting].some(({ decoder }) => decoder === each.decoder)) return;
    forms.get(each.decoder)?.close();
    forms.delete(each.decoder);
  };
  const runGroup = async (taken: readonly Taken[], signal: AbortSignal | undefined): Promise<ScheduledToken[]> => {
    const parts = taken.map(({ of: { number, next }, count }): SequencePart => {
      return { sequence: number, ids: next.slice(0, count), wanted: count === next.length };
    });
    const { decoder } = taken[0]!.of;
    const logits = await runSequences(decoder, { cache, forms: formsOf(decoder) }, parts, signal);
    const tokens: ScheduledToken[] = [];
    for (const { of, count } of taken) {
      of.next = of.next.slice(count);
      if (of.next.length > 0) continue;
      const { id, ended } = of.continuation.take(logits.shift()!);
      if (id !== undefined) of.next = [id];
      if (ended !== undefined) leave(of);
      tokens.push({ sequence: of, id, ended });
    }
    return tokens;
  };

  const passOnce = async (signal: AbortSignal | undefined): Promise<ScheduledToken[]> => {
    const tokens: ScheduledToken[] = [];
    for (const group of groupByDecoder(share([...waiting]))) {
      try {
        tokens.push(...(await runGroup(group, signal)));
      } catch (error) {
        if (signal?.aborted === true && error === signal.reason) {
          // The cache is as it was before. Tokens that are there are not lost: the next pass rejects.
          if (tokens.length > 0) break;
          throw error;
        }
        const failed = error instanceof Error ? error : new Error(String(error));
        for (const { of } of group) {
          leave(of);
          tokens.push({ sequence: of, id: undefined, ended: undefined, error: failed });
        }
      }
    }
    return tokens;
  };

  return {
    join(of, prompt, options, expected = 0) {
      checkBetween('join');
      checkLayers(decoder, of);
      const continuation = createContinuation(of, prompt, options);
      const number = cache.add(prompt.length + expected);
      const sequence: Waiting = {
        ...{ decoder: of, number, continuation, next: prompt },
        leave() {
          if (isPassing) abandoned.add(sequence);
          leave(sequence);
        },
      };
      waiting.add(sequence);
      return sequence;
    },
    async pass(signal) {
      checkBetween('pass');
      signal?.throwIfAborted();
      isPassing = true;
      try {
        const tokens = await passOnce(signal);
        return tokens.filter(({ sequence }) => !abandoned.has(sequence));
      } finally {
        isPassing = false;
        for (const each of leaving) leave(each);
        leaving.clear();
        abandoned.clear();
      }
    },
    get size() {
      return waiting.size;
    },
    close() {
      checkBetween('close');
      for (const each of waiting) leave(each);
      cache.close();
      for (const each of forms.values()) each.close();
    },
  };
}

interface Taken {
  readonly of: Waiting;
  readonly count: number;
}

/** What each takes to the next pass: its one token, or as much of its prompt as the pass has room for. */
function share(waiting: readonly Waiting[]): Taken[] {
  let room = Math.max(1, tokensPerPass - waiting.filter(({ next }) => next.length === 1).length);
  return waiting.flatMap((of) => {
    const count = of.next.length === 1 ? 1 : Math.min(of.next.length, room);
    if (of.next.length > 1) room -= count;
    return count === 0 ? [] : [{ of, count }];
  });
}

function groupByDecoder(taken: readonly Taken[]): readonly (readonly Taken[])[] {
  const groups = new Map<Decoder, Taken[]>();
  for (const each of taken) {
    const group = groups.get(each.of.decoder);
    if (group === undefined) groups.set(each.of.decoder, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}

/** One cache is laid out for one list of virtual layers, on one engine. */
function checkLayers(first: Decoder, other: Decoder): void {
  const places = ({ layers }: Decoder): string => layers.map(({ physical }) => physical).join();
  if (first.engine === other.engine && first.spec === other.spec && places(first) === places(other)) return;
  throw new ModelError(
    'BAD_ARGUMENT',
    'a sequence joins with a decoder of another base, engine or list of virtual layers; expected decoders that differ by their adapters alone, as an AdapterSet opens them',
  );
}
