import { detach, scope, type Engine, type Segment, type Tensor } from '@glulam/tensors';
import { ModelError } from '../errors.js';

/**
 * Keys and values of the tokens that sequences have seen, for each visit to a virtual layer: two tensors [rows, width] a
 * visit, in which each sequence has a run of rows. A sequence has room for the tokens that were
 * expected of it, and gets more as it grows, so that what might be generated takes no memory before it is.
 */
export interface KeyValueCache {
  /** A new sequence's number. There is room for so many tokens from the start; expecting none costs nothing. */
  add(expected: number): number;
  /**
   * New sequences that begin with the first `length` tokens of another, one for each number of tokens that it is
   * expected to reach; the other stays as it is.
   */
  fork(sequence: number, length: number, expected: readonly number[]): number[];
  /** Tokens seen. */
  length(sequence: number): number;
  /** Forget all but the first `length` tokens. */
  truncate(sequence: number, length: number): void;
  /** End a sequence; its rows go to others. */
  remove(sequence: number): void;
  /** A pass over these sequences: the i-th segment of its batch belongs to the i-th of them. */
  pass(sequences: readonly number[]): CachePass;
  /** Tokens there is room for, of all sequences together. */
  readonly capacity: number;
  /** Release all keys and values. */
  close(): void;
}

/** What one forward pass appends to a cache. */
export interface CachePass {
  /** The virtual layer of each visit that the cache is laid out for, see `cacheOf`. */
  readonly visits: readonly number[];
  /** Write the new rows of the route's n-th visit after each sequence's earlier ones. */
  append(
    visit: number,
    k: Tensor,
    v: Tensor,
    segments: readonly Segment[],
  ): { readonly k: Tensor; readonly v: Tensor; readonly segments: readonly Segment[] };
  /** Count the batch's tokens as seen, once every visit has appended them. */
  advance(segments: readonly Segment[]): void;
}

/** Rows of one sequence: `[start, start + capacity)`, of which `length` are in use. */
interface Region {
  start: number;
  capacity: number;
  length: number;
}

/** Room for a sequence that has outgrown what was expected: it moves no more often than every 64 tokens. */
const grown = (tokens: number): number => Math.ceil((tokens + Math.max(64, tokens / 4)) / 64) * 64;

/**
 * An empty cache; see `cacheOf`. Keys and values are kept in the engine's precision.
 *
 * @param widths of each visit's keys, and of its values; 0: the layer keeps none
 * @param visits the virtual layer of each visit; default: each once, in order
 */
export function createKeyValueCache(
  engine: Engine,
  widths: readonly number[],
  visits: readonly number[] = widths.map((_, layer) => layer),
): KeyValueCache {
  const regions = new Map<number, Region>();
  /** undefined: the layer keeps nothing. */
  let stores: ({ k: Tensor; v: Tensor } | undefined)[] = [];
  const kept = () => stores.filter((store) => store !== undefined);
  let rows = 0;
  let numbers = 0;

  const regionOf = (sequence: number): Region => {
    const region = regions.get(sequence);
    if (region !== undefined) return region;
    throw new ModelError('BAD_ARGUMENT', `the cache has no sequence ${sequence}; it was removed, or never added`);
  };
  const rowsOf = (store: Tensor, start: number, length: number): Tensor =>
    engine.slice(store, [start, 0], [length, store.shape[1]!]);

  /** All sequences in rows of their own anew, one behind the other, layer by layer. */
  const layOut = (capacities: ReadonlyMap<Region, number>): void => {
    const moves = [...regions.values()].map((region) => {
      const { start: from, length } = region;
      return { region, from, length, capacity: capacities.get(region)! };
    });
    let total = 0;
    for (const { region, capacity } of moves) {
      Object.assign(region, { start: total, capacity });
      total += capacity;
    }
    const moved = (old: Tensor | undefined, width: number): Tensor => {
      const fresh = scope(() => {
        const zeros = engine.full([total, width], 0);
        const store = engine.precision === 'float32' ? zeros : engine.cast(zeros, engine.precision);
        for (const { region, from, length } of moves)
          if (length > 0) engine.write(store, rowsOf(old!, from, length), [region.start, 0]);
        return store;
      });
      old?.release();
      return detach(fresh);
    };
    const old = stores;
    stores = widths.map((width, visit) =>
      width === 0 ? undefined : { k: moved(old[visit]?.k, width), v: moved(old[visit]?.v, width) },
    );
    rows = total;
  };

  /** Rows between sequences' own that an empty one of this size fits into. */
  const gap = (size: number): number | undefined => {
    let end = 0;
    for (const { start, capacity } of [...regions.values()].sort((a, b) => a.start - b.start)) {
      if (start - end >= size) return end;
      end = Math.max(end, start + capacity);
    }
    return rows - end >= size ? end : undefined;
  };

  const makeRoom = (needs: ReadonlyMap<Region, number>): void => {
    const short = [...needs].filter(([region, tokens]) => tokens > region.capacity);
    const placed = short.every(([region, tokens]) => {
      if (region.capacity > 0) return false;
      const start = gap(tokens);
      if (start !== undefined) Object.assign(region, { start, capacity: tokens });
      return start !== undefined;
    });
    if (placed) return;
    const outgrown = short.some(([{ capacity }]) => capacity > 0);
    const capacityOf = (region: Region): number => {
      const { capacity, length } = region;
      const tokens = needs.get(region) ?? length;
      // All sequences grow at about the same pace: they move together, not one after the other.
      return outgrown && capacity > 0 && length > 0 ? Math.max(capacity, grown(tokens)) : Math.max(capacity, tokens);
    };
    layOut(new Map([...regions.values()].map((region) => [region, capacityOf(region)])));
  };

  const addAll = (expected: readonly number[]): number[] => {
    const added = expected.map((tokens) => [{ start: 0, capacity: 0, length: 0 }, tokens] as const);
    const sequences = added.map(([region]) => {
      regions.set(numbers, region);
      return numbers++;
    });
    makeRoom(new Map(added));
    return sequences;
  };

  return {
    add: (expected) => addAll([expected])[0]!,
    fork(sequence, length, expected) {
      const source = regionOf(sequence);
      checkLength(sequence, source, length);
      const sequences = addAll(expected.map((tokens) => Math.max(tokens, length)));
      for (const { k, v } of length === 0 ? [] : kept()) {
        scope(() => {
          for (const store of [k, v]) {
            const begun = rowsOf(store, source.start, length);
            for (const each of sequences) engine.write(store, begun, [regionOf(each).start, 0]);
          }
        });
      }
      for (const each of sequences) regionOf(each).length = length;
      return sequences;
    },
    length: (sequence) => regionOf(sequence).length,
    truncate(sequence, length) {
      const region = regionOf(sequence);
      checkLength(sequence, region, length);
      region.length = length;
    },
    remove(sequence) {
      regionOf(sequence);
      regions.delete(sequence);
    },
    pass(sequences) {
      const taking = sequences.map(regionOf);
      return {
        visits,
        append(visit, k, v, segments) {
          // The first layer makes room for all of them.
          makeRoom(new Map(segments.map(({ queryLength }, i) => [taking[i]!, taking[i]!.length + queryLength])));
          const store = stores[visit]!;
          const seen = segments.map(({ queryStart, queryLength }, i): Segment => {
            const { start, length } = taking[i]!;
            const target = [start + length, 0];
            const own = (x: Tensor): Tensor => (queryLength === x.shape[0] ? x : rowsOf(x, queryStart, queryLength));
            engine.write(store.k, own(k), target);
            engine.write(store.v, own(v), target);
            return { queryStart, queryLength, keyStart: start, keyLength: length + queryLength };
          });
          return { ...store, segments: seen };
        },
        advance(segments) {
          segments.forEach(({ queryLength }, i) => (taking[i]!.length += queryLength));
        },
      };
    },
    get capacity() {
      return rows;
    },
    close() {
      for (const { k, v } of kept()) {
        k.release();
        v.release();
      }
    },
  };
}

function checkLength(sequence: number, region: Region, length: number): void {
  if (Number.isInteger(length) && length >= 0 && length <= region.length) return;
  throw new ModelError(
    'BAD_ARGUMENT',
    `sequence ${sequence} has ${region.length} tokens in the cache; got ${length}, expected no more than these`,
  );
}
