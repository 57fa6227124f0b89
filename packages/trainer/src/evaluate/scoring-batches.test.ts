import { expect, test } from 'vitest';
import type { Example } from '../step/batches.js';
import { scoringBatches } from './scoring-batches.js';

/** The last `learnt` tokens count. */
const example = (ids: readonly number[], learnt: number) => ({
  ids: Int32Array.from(ids),
  trained: Uint8Array.from(ids, (_, i) => (i >= ids.length - learnt ? 1 : 0)),
});
const sharing = (examples: readonly Example[], tokensPerBatch?: number) =>
  scoringBatches(examples, { tokensPerBatch, shareBeginnings: true });
const question = [1, 2, 3, 4, 5, 6];

test('answers to a question have it once, but for its last token, which says how likely they are', () => {
  const batches = sharing([example([...question, 7, 8], 2), example([...question, 9], 1)]);
  expect(batches).toHaveLength(1);
  const [{ ids, positions, labels, segments, keyRows, own }] = batches as [(typeof batches)[number]];
  expect([...ids]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 6, 9]);
  expect([...positions]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 5, 6]);
  expect([...labels]).toEqual([-1, -1, -1, -1, -1, 7, 8, -1, 9, -1]);
  expect(own).toEqual([8, 2]);
  expect(segments).toEqual([
    { queryStart: 0, queryLength: 8, keyStart: 0, keyLength: 8 },
    { queryStart: 8, queryLength: 2, keyStart: 8, keyLength: 7 },
  ]);
  expect([...keyRows!]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 8, 9]);
});

test('what is shared may itself be shared', () => {
  const [batch] = sharing([
    example([...question, 7], 1),
    example([...question, 10, 11, 8], 1),
    example([...question, 10, 11, 9], 1),
  ]);
  expect([...batch!.ids]).toEqual([1, 2, 3, 4, 5, 6, 7, 6, 10, 11, 8, 11, 9]);
  expect([...batch!.keyRows!].slice(-9)).toEqual([0, 1, 2, 3, 4, 7, 8, 11, 12]);
});

test('texts that are learnt, or are alike for less than half, are laid out whole', () => {
  const alike = sharing([example([...question, 7], 6), example([...question, 8], 6)]);
  const short = sharing([example([1, 2, 3, 4, 5], 1), example([1, 2, 8, 9, 9], 1)]);
  const unasked = scoringBatches([example([...question, 7], 1), example([...question, 8], 1)]);
  for (const [batch] of [alike, short, unasked]) {
    expect(batch!.keyRows).toBeUndefined();
    expect(batch!.own).toEqual(batch!.segments.map(({ keyLength }) => keyLength));
  }
});

test('batches end where there are too many tokens or keys, and begin with a whole example', () => {
  const answers = Array.from({ length: 7 }, (_, i) => example([...question, 10 + i], 1));
  // 7 tokens and twice 2 more; the fourth would be one too many.
  expect(sharing(answers, 11).map(({ own }) => own)).toEqual([[7, 2, 2], [7, 2, 2], [7]]);
  // 100 keys each, of 4 times 200.
  const long = Array.from({ length: 40 }, (_, i) => example([...Array.from({ length: 99 }, (_, k) => k), 100 + i], 1));
  expect(sharing(long, 200).map(({ own }) => own.length)).toEqual([8, 8, 8, 8, 8]);
});
