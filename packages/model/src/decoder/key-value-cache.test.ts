import { createReferenceEngine, scope, type Segment } from '@glulam/tensors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyValueCache } from './key-value-cache.js';
import { ModelError } from '../errors.js';

// Layers differ, and one keeps nothing.
const widths = [3, 0, 5];
const keeping = [0, 2];
/** What a row holds: the first two numbers say which it is. */
const rowOf = (virtual: number, row: number, offset: number): number[] =>
  Array.from({ length: widths[virtual]! }, (_, i) => [row, row + 0.5][i] ?? offset * (virtual + 1) + i);

/** A cache whose rows are read back and compared with plain lists: the value of a row says layer, sequence and token. */
function place() {
  const engine = createReferenceEngine();
  const cache = createKeyValueCache(engine, widths);
  const expected = new Map<number, number[]>();
  let value = 0;

  const append = async (parts: readonly { readonly sequence: number; readonly count: number }[]) => {
    const pass = cache.pass(parts.map(({ sequence }) => sequence));
    const segments: Segment[] = [];
    const rows: number[] = [];
    for (const { sequence, count } of parts) {
      const added = Array.from({ length: count }, () => ++value);
      segments.push({ queryStart: rows.length, queryLength: count, keyStart: 0, keyLength: count });
      rows.push(...added);
      expected.get(sequence)!.push(...added);
    }
    for (const virtual of keeping) {
      const tensors = [1000, -1000].map((offset) => {
        const data = Float32Array.from(rows.flatMap((row) => rowOf(virtual, row, offset)));
        return engine.upload(data, [rows.length, widths[virtual]!]);
      });
      const seen = scope(() => pass.append(virtual, tensors[0]!, tensors[1]!, segments).segments);
      for (const tensor of tensors) tensor.release();
      // What attention is to look at, before the next layer runs.
      for (const [i, { sequence }] of parts.entries()) await compare(virtual, sequence, seen[i]!, pass);
    }
    pass.advance(segments);
    for (const { sequence } of parts) expect(cache.length(sequence)).toBe(expected.get(sequence)!.length);
  };

  const compare = async (virtual: number, sequence: number, segment: Segment, pass: ReturnType<typeof cache.pass>) => {
    const width = widths[virtual]!;
    const nothing = engine.full([0, width], 0);
    const { k, v } = pass.append(virtual, nothing, nothing, []);
    const [keys, values] = [await engine.read(k), await engine.read(v)];
    nothing.release();
    const rows = expected.get(sequence)!;
    expect(segment.keyLength).toBe(rows.length);
    const of = (all: Float32Array | Int32Array) => [
      ...all.subarray(segment.keyStart * width, (segment.keyStart + rows.length) * width),
    ];
    expect(of(keys)).toEqual(rows.flatMap((row) => rowOf(virtual, row, 1000)));
    expect(of(values)).toEqual(rows.flatMap((row) => rowOf(virtual, row, -1000)));
  };

  return { engine, cache, expected, append };
}

test('sequences come, grow, fork, shrink and go in any order, and none ever sees another’s rows', async () => {
  const step = fc.record({
    what: fc.constantFrom('add', 'fork', 'truncate', 'remove', 'append', 'append', 'append'),
    pick: fc.nat(100),
    size: fc.oneof(fc.nat(5), fc.nat(90)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { engine, cache, expected, append } = place();
      for (const { what, pick, size } of steps) {
        const live = [...expected.keys()];
        const one = live[pick % live.length];
        if (what === 'add' || one === undefined) expected.set(cache.add(size), []);
        else if (what === 'fork') {
          const length = Math.min(size, expected.get(one)!.length);
          for (const fork of cache.fork(one, length, [0, length + 3]))
            expected.set(fork, expected.get(one)!.slice(0, length));
        } else if (what === 'truncate') {
          const length = Math.min(size, expected.get(one)!.length);
          cache.truncate(one, length);
          expected.get(one)!.length = length;
        } else if (what === 'remove') {
          cache.remove(one);
          expected.delete(one);
        } else {
          // Some of them, each with its own number of tokens.
          const parts = live.filter((_, i) => (i + pick) % 3 !== 0);
          if (parts.length > 0) await append(parts.map((sequence, i) => ({ sequence, count: 1 + ((size + i) % 80) })));
        }
      }
      cache.close();
      expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    }),
    { numRuns: 60, seed: 11 },
  );
});

test('room is made for what was expected, then as sequences grow, and is used again', async () => {
  const { cache, expected, append } = place();
  const [first, second] = [cache.add(10), cache.add(20)];
  for (const sequence of [first, second]) expected.set(sequence, []);
  expect(cache.capacity).toBe(30);
  await append([
    { sequence: first, count: 10 },
    { sequence: second, count: 20 },
  ]);
  expect(cache.capacity).toBe(30);
  // One outgrows its room: both get more at once, and the next 64 tokens fit.
  await append([{ sequence: first, count: 1 }]);
  const { capacity } = cache;
  expect(capacity).toBe(2 * 128);
  for (let i = 0; i < 64; i++)
    await append([
      { sequence: first, count: 1 },
      { sequence: second, count: 1 },
    ]);
  expect(cache.capacity).toBe(capacity);
  cache.remove(first);
  expected.set(cache.add(100), []);
  expect(cache.capacity).toBe(capacity);
});

test('what it does not have is refused', () => {
  const { cache } = place();
  const sequence = cache.add(4);
  expect(() => cache.truncate(sequence, 1)).toThrow(/has 0 tokens in the cache; got 1/);
  cache.remove(sequence);
  expect(() => cache.length(sequence)).toThrow(ModelError);
});
