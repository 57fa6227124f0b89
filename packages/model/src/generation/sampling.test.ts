import { describe, expect, it } from 'vitest';
import { createSampler, type SamplingOptions } from './sampling.js';

const logits = Float32Array.of(1.5, -2, 3, 0.25, 3, -Infinity, 2.75, -0.5);

/** transformers' order, written as its warpers are: an ascending sort, and tokens removed by their cumulative share. */
function reference(
  values: Float32Array,
  { temperature = 1, topK = values.length, topP = 1 }: SamplingOptions,
): number[] {
  const scores = [...values].map((value) => value / temperature);
  const kth = [...scores].sort((a, b) => b - a)[Math.min(topK, scores.length) - 1]!;
  const softmax = (row: number[]): number[] => {
    const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
    return row.map((value) => Math.exp(value) / total);
  };
  const afterTopK = scores.map((score) => (score < kth ? -Infinity : score));
  const shares = softmax(afterTopK);
  // Of equal tokens the first counts as the likelier one, so it comes later in the ascending order.
  const ascending = shares.map((_, id) => id).sort((a, b) => shares[a]! - shares[b]! || b - a);
  let cumulative = 0;
  const afterTopP = [...afterTopK];
  for (const id of ascending.slice(0, -1)) {
    cumulative += shares[id]!;
    if (cumulative <= 1 - topP) afterTopP[id] = -Infinity;
  }
  return softmax(afterTopP);
}

describe('createSampler', () => {
  it('is greedy by default and takes the first of equals', () => {
    expect(createSampler().pick(logits, 0)).toBe(2);
    expect(createSampler({ temperature: 0, topK: 3, topP: 0.5, seed: 9 }).pick(logits, 5)).toBe(2);
    expect(createSampler().pick(Float32Array.of(-Infinity, -7), 0)).toBe(1);
  });

  it.each<SamplingOptions>([
    { temperature: 1 },
    { temperature: 0.5 },
    { temperature: 2.5, topK: 100 },
    { temperature: 1, topK: 1 },
    { temperature: 1, topK: 3 },
    { temperature: 1, topP: 0.3 },
    { temperature: 1, topP: 0.6 },
    { temperature: 1.3, topP: 0.95 },
    { temperature: 1, topP: 1e-9 },
    { temperature: 0.8, topK: 4, topP: 0.7 },
  ])('draws as the reference distribution says: %o', (options) => {
    const draws = 40_000;
    const expected = reference(logits, options);
    const sampler = createSampler({ ...options, seed: 17 });
    const counts = new Array<number>(logits.length).fill(0);
    for (let position = 0; position < draws; position++) counts[sampler.pick(logits, position)]!++;
    counts.forEach((count, id) => {
      const p = expected[id]!;
      if (p === 0) expect(count).toBe(0);
      else expect(Math.abs(count / draws - p)).toBeLessThanOrEqual(4.5 * Math.sqrt((p * (1 - p)) / draws) + 1e-9);
    });
  });

  it('keeps tokens that tie with the k-th', () => {
    const sampler = createSampler({ temperature: 1, topK: 1 });
    const drawn = new Set(Array.from({ length: 100 }, (_, position) => sampler.pick(logits, position)));
    expect([...drawn].sort()).toEqual([2, 4]);
  });

  it('draws by seed and position alone, and leaves the logits as they are', () => {
    const row = (seed: number): number[] => {
      const sampler = createSampler({ temperature: 2, seed });
      return Array.from({ length: 200 }, (_, position) => sampler.pick(logits, position));
    };
    const before = logits.slice();
    expect(row(3)).toEqual(row(3));
    expect(row(3)).not.toEqual(row(4));
    expect(row(3).slice(1)).not.toEqual(row(4).slice(0, -1)); // seeds are no shifts of one another
    const sampler = createSampler({ temperature: 2, seed: 3 });
    expect(sampler.pick(logits, 150)).toBe(row(3)[150]);
    expect(logits).toEqual(before);
  });

  it('draws evenly, without correlation of neighbouring positions or seeds', () => {
    const even = new Float32Array(16);
    const pairs = (pick: (index: number) => number): number => {
      const counts = new Array<number>(256).fill(0);
      for (let index = 0; index < 25_600; index++) counts[pick(2 * index) * 16 + pick(2 * index + 1)]!++;
      return counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    };
    const sampler = createSampler({ temperature: 1, seed: 5 });
    // Chi-squared of 255 degrees of freedom: 340 is 3.8 standard deviations above its mean.
    expect(pairs((position) => sampler.pick(even, position))).toBeLessThan(340);
    expect(pairs((seed) => createSampler({ temperature: 1, seed }).pick(even, 0))).toBeLessThan(340);
  });

  it('names every option that cannot be used', () => {
    const make = (): unknown => createSampler({ temperature: -1, topK: 2.5, topP: 0, seed: -3 });
    expect(make).toThrow(
      expect.objectContaining({
        code: 'GENERATION_INVALID',
        message:
          'The sampling options cannot be used:\n' +
          '  temperature: got -1, expected a number of at least 0 (0 is greedy)\n' +
          '  topK: got 2.5, expected a whole number of at least 1\n' +
          '  topP: got 0, expected a number above 0 and at most 1\n' +
          '  seed: got -3, expected a whole number from 0 to 2^53 - 1',
      }),
    );
    for (const options of [{ temperature: NaN }, { topK: 0 }, { topP: 1.01 }, { seed: 0.5 }]) {
      expect(() => createSampler(options)).toThrow(expect.objectContaining({ code: 'GENERATION_INVALID' }));
    }
  });

  it.each([
    ['NaN', Float32Array.of(1, NaN), 'token 1 is NaN'],
    ['nothing but exclusions', Float32Array.of(-Infinity, -Infinity), 'The largest of 2 logits is -Infinity'],
    ['an infinite logit', Float32Array.of(0, Infinity), 'The largest of 2 logits is Infinity'],
  ])('refuses %s', (_, row, words) => {
    for (const temperature of [0, 1]) {
      expect(() => createSampler({ temperature }).pick(row, 0)).toThrow(words);
    }
  });
});
