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
import { sequenceEra } from '../decoder/rope.js';
import { cacheOf, runSequences, type SequencePart } from '../decoder/run-sequences.js';
import { visitsOf } from '../expansion/route.js';
import type { TokenIds } from '../text/token-ids.js';

/** A sequence that generates or is scored beside others, until it has ended or is let go. */
export interface ScheduledSequence {
  /**
   * Let it go, at any time: it is in no later pass, and keys and values of its own are released. During a pass that is done at the
   * pass's end, and it gets no token of it. Does nothing where it has ended.
   */
  leave(): void;
}

/** What a pass made of one sequence whose tokens were all in it, or earlier. */
export interface ScheduledToken {
  /** As `join` or `score` returned it. */
  readonly sequence: ScheduledSequence;
  /** The token that was chosen; undefined: an id that ends the text. */
  readonly id: number | undefined;
  /** Why the sequence has ended with it; undefined: it continues. */
  readonly ended: EndReason | undefined;
  /** Of a sequence that was scored, and has ended with it: the summed log probability of its labels. */
  readonly score?: number;
  /** Its pass failed: there is no token, and the sequence is let go. */
  readonly error?: Error;
}

/** Keys and values of a sequence that are kept when what runs in it has ended, for texts that begin alike. */
export interface KeptSequence {
  /** Tokens whose keys and values there are. */
  readonly length: number;
  /** Forget all but the first `length` tokens. */
  truncate(length: number): void;
  /** Others that begin with its first `length` tokens, one for each number of tokens that it is expected to reach. */
  fork(length: number, expected: readonly number[]): KeptSequence[];
  /** Release them; nothing runs in it any more. */
  release(): void;
}

/**
 * Sequences that run together, over one KV cache: they join and leave between two passes, whatever adapters they have.
 * Each gets what it would get alone; what else is in a pass changes only how sums are rounded.
 */
export interface Scheduler {
  /**
   * Let a sequence join that generates, from the next pass on. Sequences of one decoder share a pass; decoders are those of one base
   * over the same virtual layers (`AdapterSet`).
   *
   * @param within whose keys and values it continues, with as many of the prompt's tokens as it has; default: its own
   * @param expected tokens that it may reach beyond the prompt, for which there is room from the start
   * @throws ModelError GENERATION_INVALID as `createContinuation` does, BAD_ARGUMENT for a decoder of other layers, and during
   *   a pass
   */
  join(
    decoder: Decoder,
    prompt: TokenIds,
    options: ContinuationOptions,
    place?: { readonly within?: KeptSequence; readonly expected?: number },
  ): ScheduledSequence;
  /**
   * Let tokens join that follow a kept sequence and are scored: each with the label that its log probability is wanted of, -1 for none.
   *
   * @throws ModelError BAD_ARGUMENT for no tokens, another number of labels, and during a pass
   */
  score(within: KeptSequence, ids: TokenIds, labels: TokenIds): ScheduledSequence;
  /** A sequence of this decoder without tokens, and room for some. */
  keep(decoder: Decoder, expected?: number): KeptSequence;
  /**
   * One pass over the next tokens of all sequences: one each, and of prompts and scored texts as many as a pass takes. Where it fails
   * for the sequences of one decoder, these get the error, and the others their tokens. Rejects with the signal's reason alone; what
   * the pass has not done by then is left for the next one.
   */
  pass(signal?: AbortSignal): Promise<ScheduledToken[]>;
  /** Sequences that have neither ended nor left. */
  readonly size: number;
  /** Let all go and release what is kept; between two passes. Decoders stay open. */
  close(): void;
}

/** A sequence of the cache. */
interface Place extends KeptSequence {
  readonly decoder: Decoder;
  /** Its number in the cache. */
  readonly number: number;
  /** Its tokens in the cache, where these may have to be computed again; see `ropeEra`. */
  tokens: number[];
  /** That of the tokens in the cache. */
  era: string;
}

interface Waiting extends ScheduledSequence {
  readonly place: Place;
  /** Whether the place is its own, and ends with it. */
  readonly isOwn: boolean;
  /** Chooses its tokens; undefined: it is scored. */
  readonly continuation: Continuation | undefined;
  /** Tokens that wait for their pass: the rest of the prompt, or the last one chosen. */
  next: TokenIds;
  /** Of those of them that are scored. */
  labels: TokenIds;
  score: number;
}

/**
 * A scheduler without sequences. `decoder` is one of those that they will have.
 *
 * @param most tokens that a pass takes of prompts and scored texts; one that is longer takes several passes
 */
export function createScheduler(decoder: Decoder, most: number = tokensPerPass): Scheduler {
  const cache = cacheOf(decoder);
  const forms = new Map<Decoder, PreparedForms>();
  const places = new Set<Place>();
  const waiting = new Set<Waiting>();

  const { spec } = decoder;
  // Of most models a token's angles follow from its position alone: then nothing is computed again.
  const hasEras = sequenceEra(spec, 0) !== sequenceEra(spec, spec.maxPositions + 1);
  /** Where the whole sequence comes into another era with what waits, its first tokens wait again before that. */
  const enterEra = (each: Waiting): void => {
    const { place } = each;
    const era = sequenceEra(spec, place.length + each.next.length);
    if (place.length > 0 && era !== place.era) {
      each.next = [...place.tokens, ...each.next];
      if (each.continuation === undefined) each.labels = [...place.tokens.map(() => -1), ...each.labels];
      cache.truncate(place.number, 0);
      place.tokens = [];
    }
    place.era = era;
  };

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
  const release = (place: Place): void => {
    if (!places.delete(place)) return;
    cache.remove(place.number);
    // Nobody may train the decoder until its last sequence is gone; after that its forms may be of other values.
    if ([...places].some((other) => other.decoder === place.decoder)) return;
    forms.get(place.decoder)?.close();
    forms.delete(place.decoder);
  };
  const leave = (each: Waiting): void => {
    if (isPassing) return void leaving.add(each);
    if (waiting.delete(each) && each.isOwn) release(each.place);
  };
  const placeOf = (of: Decoder, number: number, { tokens = [], era = '' }: Partial<Place> = {}): Place => {
    const place: Place = {
      decoder: of,
      number,
      tokens,
      era,
      get length() {
        return cache.length(number);
      },
      truncate(length) {
        checkBetween('truncate');
        cache.truncate(number, length);
        place.tokens = place.tokens.slice(0, length);
      },
      fork(length, expected) {
        checkBetween('fork');
        return cache
          .fork(number, length, expected)
          .map((each) => placeOf(of, each, { era: place.era, tokens: place.tokens.slice(0, length) }));
      },
      release() {
        checkBetween('release');
        for (const each of waiting) if (each.place === place) leave(each);
        release(place);
      },
    };
    places.add(place);
    return place;
  };
  const keptPlace = (within: KeptSequence): Place => {
    const place = [...places].find((each) => each === within);
    if (place === undefined || [...waiting].some((each) => each.place === place))
      throw new ModelError(
        'BAD_ARGUMENT',
        `the kept sequence ${place === undefined ? 'was released, or is of another scheduler' : 'has something running in it already'}; expected one that is free`,
      );
    return place;
  };
  const add = (each: Omit<Waiting, 'leave' | 'score'>): ScheduledSequence => {
    const sequence: Waiting = {
      ...each,
      score: 0,
      leave() {
        if (isPassing) abandoned.add(sequence);
        leave(sequence);
      },
    };
    waiting.add(sequence);
    return sequence;
  };

  const runGroup = async (taken: readonly Taken[], signal: AbortSignal | undefined): Promise<ScheduledToken[]> => {
    const parts = taken.map(({ of: { place, next, labels, continuation }, count }): SequencePart => {
      const scored = continuation === undefined ? labels.slice(0, count) : undefined;
      return {
        sequence: place.number,
        ids: next.slice(0, count),
        total: place.length + next.length,
        wanted: scored === undefined && count === next.length,
        labels: scored,
      };
    });
    const { decoder: of } = taken[0]!.of.place;
    const results = await runSequences(of, { cache, forms: formsOf(of) }, parts, signal);
    return taken.flatMap(({ of: each, count }, i): ScheduledToken[] => {
      if (hasEras) each.place.tokens.push(...each.next.slice(0, count));
      each.next = each.next.slice(count);
      each.labels = each.labels.slice(count);
      const { logits, score } = results[i]!;
      each.score += score ?? 0;
      if (each.next.length > 0) return [];
      if (each.continuation === undefined) {
        leave(each);
        return [{ sequence: each, id: undefined, ended: undefined, score: each.score }];
      }
      const { id, ended } = each.continuation.take(logits!);
      if (id !== undefined) each.next = [id];
      if (ended !== undefined) leave(each);
      return [{ sequence: each, id, ended }];
    });
  };

  const passOnce = async (signal: AbortSignal | undefined): Promise<ScheduledToken[]> => {
    const tokens: ScheduledToken[] = [];
    if (hasEras) for (const each of waiting) enterEra(each);
    for (const group of groupByDecoder(share([...waiting], most))) {
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
    join(of, prompt, options, { within, expected = 0 } = {}) {
      checkBetween('join');
      checkLayers(decoder, of);
      const continuation = createContinuation(of, prompt, options);
      const place = within === undefined ? placeOf(of, cache.add(prompt.length + expected)) : keptPlace(within);
      const next = prompt.slice(place.length);
      if (place.decoder !== of || next.length === 0) {
        throw new ModelError(
          'BAD_ARGUMENT',
          `the prompt has ${prompt.length} tokens and continues a kept sequence of ${place.length}${place.decoder === of ? '' : ', of another decoder'}; expected one of the same decoder with fewer tokens`,
        );
      }
      return add({ place, isOwn: within === undefined, continuation, next, labels: [] });
    },
    score(within, ids, labels) {
      checkBetween('score');
      const place = keptPlace(within);
      if (ids.length === 0 || ids.length !== labels.length)
        throw new ModelError(
          'BAD_ARGUMENT',
          `got ${ids.length} tokens and ${labels.length} labels to score; expected a label for each token, and at least one`,
        );
      return add({ place, isOwn: false, continuation: undefined, next: ids, labels });
    },
    keep(of, expected = 0) {
      checkBetween('keep');
      checkLayers(decoder, of);
      return placeOf(of, cache.add(expected));
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
      for (const place of places) release(place);
      cache.close();
    },
  };
}

interface Taken {
  readonly of: Waiting;
  readonly count: number;
}

/** What each takes to the next pass: its one token, or as much of its prompt as the pass has room for. */
function share(waiting: readonly Waiting[], most: number): Taken[] {
  let room = Math.max(1, most - waiting.filter(({ next }) => next.length === 1).length);
  return waiting.flatMap((of) => {
    const count = of.next.length === 1 ? 1 : Math.min(of.next.length, room);
    if (of.next.length > 1) room -= count;
    return count === 0 ? [] : [{ of, count }];
  });
}

function groupByDecoder(taken: readonly Taken[]): readonly (readonly Taken[])[] {
  const groups = new Map<Decoder, Taken[]>();
  for (const each of taken) {
    const group = groups.get(each.of.place.decoder);
    if (group === undefined) groups.set(each.of.place.decoder, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}

/** One cache is laid out for one list of visits, on one engine. */
function checkLayers(first: Decoder, other: Decoder): void {
  const places = ({ layers, route }: Decoder): string =>
    visitsOf(route)
      .map((layer) => layers[layer]!.physical)
      .join();
  if (first.engine === other.engine && first.spec === other.spec && places(first) === places(other)) return;
  throw new ModelError(
    'BAD_ARGUMENT',
    'a sequence joins with a decoder of another base, engine or list of virtual layers; expected decoders that differ by their adapters alone, as an AdapterSet opens them',
  );
}
