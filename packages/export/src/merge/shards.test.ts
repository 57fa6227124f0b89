import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { madeSource, madeTensor } from '../../test/made.js';
import { bytesOf, planShards, shardIndex } from './shards.js';

const source = { ...madeSource([1], Float32Array.of(1)), dtype: 'bfloat16' } as const;
const tensorsOf = (sizes: readonly number[]) =>
  sizes.map((size, i) => madeTensor([size], new Float32Array(0), { name: `tensor ${i}`, source }));

test('bytes follow from the dtype asked for, or else that of the base', () => {
  const tensor = madeTensor([3, 5], new Float32Array(15), { source });
  expect([undefined, 'float32', 'float16', 'bfloat16'].map((dtype) => bytesOf(tensor, dtype as 'float32'))).toEqual([
    30, 60, 30, 30,
  ]);
});

describe('shards', () => {
  test('hold tensors in order, as many as fit', () => {
    // Two bytes each; the limit of 20 is reached exactly, and what is larger has a file of its own.
    const shards = planShards(tensorsOf([4, 6, 1, 30, 2, 2]), undefined, 20);
    expect(shards.map(({ bytes, tensors }) => [bytes, tensors.map(({ name }) => name)])).toEqual([
      [20, ['tensor 0', 'tensor 1']],
      [2, ['tensor 2']],
      [60, ['tensor 3']],
      [8, ['tensor 4', 'tensor 5']],
    ]);
    expect(shards.map(({ file }) => file)).toEqual(
      ['1', '2', '3', '4'].map((number) => `model-0000${number}-of-00004.safetensors`),
    );
  });

  test('that are one have the name of one, and no index', () => {
    const shards = planShards(tensorsOf([1, 2]), 'float32', 12);
    expect(shards.map(({ file, bytes }) => [file, bytes])).toEqual([['model.safetensors', 12]]);
    expect(shardIndex(shards)).toBeUndefined();
    expect(planShards(tensorsOf([1, 2]), 'float32', 11)).toHaveLength(2);
  });

  test('hold everything once, whatever the sizes: no two neighbours would fit into one file', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 100 }),
        (sizes, limit) => {
          const shards = planShards(tensorsOf(sizes), undefined, limit);
          expect(shards.flatMap(({ tensors }) => tensors.map(({ shape }) => shape[0]))).toEqual(sizes);
          for (const [i, { bytes, tensors }] of shards.entries()) {
            expect(bytes).toBe(tensors.reduce((sum, { shape }) => sum + 2 * shape[0]!, 0));
            if (tensors.length > 1) expect(bytes).toBeLessThanOrEqual(limit);
            const next = shards[i + 1]?.tensors[0];
            if (next !== undefined) expect(bytes + 2 * next.shape[0]!).toBeGreaterThan(limit);
          }
          expect(new Set(shards.map(({ file }) => file)).size).toBe(shards.length);
        },
      ),
      { seed: 4 },
    );
  });

  test('the index says where each tensor is and how much there is', () => {
    const shards = planShards(tensorsOf([4, 6, 8]), 'float32', 40);
    expect(shardIndex(shards)).toEqual({
      metadata: { total_parameters: 18, total_size: 72 },
      weight_map: {
        'tensor 0': 'model-00001-of-00002.safetensors',
        'tensor 1': 'model-00001-of-00002.safetensors',
        'tensor 2': 'model-00002-of-00002.safetensors',
      },
    });
  });
});
