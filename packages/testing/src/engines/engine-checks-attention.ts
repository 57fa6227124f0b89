import type { DType } from '@glulam/files';
import type { AttentionOptions, Segment } from '@glulam/tensors';
import type { EngineCheck } from './engine-check.js';
import { fusedCheck } from './fused-check.js';
import type { FusedCase } from './fused-pass.js';

/** Sequences laid end to end, each with `past` keys before its queries. */
function segmentsOf(lengths: readonly (readonly [queries: number, past: number])[]): Segment[] {
  let queryStart = 0;
  let keyStart = 0;
  return lengths.map(([queryLength, past]) => {
    const segment = { queryStart, queryLength, keyStart, keyLength: queryLength + past };
    queryStart += queryLength;
    keyStart += segment.keyLength;
    return segment;
  });
}

interface AttentionShape {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly window?: number;
  readonly softCap?: number;
  readonly lengths: readonly (readonly [queries: number, past: number])[];
  /** Rows of k and v that no segment sees. */
  readonly unused?: number;
}

function attentionCase(about: string, type: DType, shape: AttentionShape): FusedCase {
  const { heads, keyValueHeads, headSize, window = 0, softCap, lengths, unused = 0 } = shape;
  const segments = segmentsOf(lengths);
  const last = segments.at(-1)!;
  const queries = last.queryStart + last.queryLength;
  const keys = last.keyStart + last.keyLength + unused;
  const options: AttentionOptions = { heads, keyValueHeads, headSize, window, scale: headSize ** -0.5, segments, type };
  return {
    name: `attention, ${about}`,
    inputs: {
      q: { shape: [queries, heads * headSize], dtype: type },
      k: { shape: [keys, keyValueHeads * headSize], dtype: type },
      v: { shape: [keys, keyValueHeads * headSize], dtype: type },
    },
    run: (ops, { q, k, v }) => ops.attention(q!, k!, v!, { ...options, softCap }),
  };
}

const heads = { heads: 4, keyValueHeads: 2, headSize: 8 };
export const attentionChecks: readonly EngineCheck[] = [
  fusedCheck('attention', ': heads and windows', (type) => [
    attentionCase('one token', type, { heads: 1, keyValueHeads: 1, headSize: 4, lengths: [[1, 0]] }),
    attentionCase('as many key heads', type, { heads: 3, keyValueHeads: 3, headSize: 6, lengths: [[11, 0]] }),
    attentionCase('grouped', type, { ...heads, lengths: [[13, 0]] }),
    attentionCase('one key head', type, { heads: 5, keyValueHeads: 1, headSize: 16, lengths: [[7, 0]] }),
    attentionCase('past one block', type, { heads: 2, keyValueHeads: 1, headSize: 64, lengths: [[131, 0]] }),
    attentionCase('window 1', type, { ...heads, window: 1, lengths: [[9, 0]] }),
    attentionCase('window 3', type, { ...heads, window: 3, lengths: [[17, 0]] }),
    attentionCase('window as long as the sequence', type, { ...heads, window: 17, lengths: [[17, 0]] }),
    attentionCase('window past one block', type, { ...heads, window: 67, lengths: [[139, 0]] }),
  ]),
  fusedCheck('attention', ': packed sequences', (type) => [
    attentionCase('packed', type, {
      ...heads,
      lengths: [
        [5, 0],
        [1, 0],
        [9, 0],
      ],
    }),
    attentionCase('packed, window 4', type, {
      ...heads,
      window: 4,
      lengths: [
        [7, 0],
        [2, 0],
        [13, 0],
      ],
    }),
    attentionCase('packed past one block', type, {
      ...heads,
      lengths: [
        [67, 0],
        [3, 0],
        [70, 0],
      ],
    }),
  ]),
  fusedCheck('attention', ': queries after cached keys', (type) => [
    attentionCase('decoding', type, { ...heads, lengths: [[1, 12]] }),
    attentionCase('decoding two sequences', type, {
      ...heads,
      lengths: [
        [1, 12],
        [1, 4],
      ],
      unused: 3,
    }),
    attentionCase('decoding, window 5', type, { ...heads, window: 5, lengths: [[1, 12]], unused: 2 }),
    attentionCase('three queries, window 4', type, {
      ...heads,
      window: 4,
      lengths: [
        [3, 7],
        [2, 0],
      ],
    }),
    attentionCase('past one block', type, { ...heads, lengths: [[5, 140]], unused: 1 }),
    attentionCase('past two blocks, window 150', type, {
      ...heads,
      window: 150,
      lengths: [
        [259, 9],
        [2, 0],
      ],
    }),
  ]),
  fusedCheck('cappedAttention', '', (type) => [
    attentionCase('capped', type, { ...heads, softCap: 0.5, lengths: [[13, 0]] }),
    attentionCase('capped, window 5, packed', type, {
      ...heads,
      softCap: 1,
      window: 5,
      lengths: [
        [7, 0],
        [13, 0],
      ],
    }),
    attentionCase('capped past one block', type, { ...heads, softCap: 0.5, lengths: [[70, 65]], unused: 1 }),
    attentionCase('capped decoding', type, { ...heads, softCap: 0.5, lengths: [[1, 12]] }),
  ]),
];
