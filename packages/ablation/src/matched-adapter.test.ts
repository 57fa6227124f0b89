import { layerMap, type VirtualLayer } from '@glulam/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchedAdapter } from './matched-adapter.js';

const stack = (...intervals: [number, number][]): VirtualLayer[] =>
  intervals.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => ({ physical: start + i })));
const matched = (options: Record<string, unknown>, layers: readonly VirtualLayer[], physicalLayers: number) =>
  matchedAdapter(
    { kind: 'lora', ...options },
    { kind: 'lora', options: { r: 8, lora_alpha: 8, ...options } },
    layers,
    physicalLayers,
  );

describe('the rank on the base', () => {
  test('the card’s: 8 on 48 of 32 layers is 12 on 32, with the same scaling', () => {
    const layers = stack([0, 16], [8, 24], [16, 32]);
    expect(layerMap(layers)).toEqual([
      [0, 16],
      [8, 24],
      [16, 32],
    ]);
    expect(matched({ r: 8, lora_alpha: 16 }, layers, 32)).toEqual({ kind: 'lora', r: 12, lora_alpha: 24 });
    expect(matched({}, layers, 32)).toEqual({ kind: 'lora', r: 12, lora_alpha: 12 });
  });

  test('with rank-stabilised scaling alpha follows the root', () => {
    const { lora_alpha: alpha } = matched({ r: 8, lora_alpha: 8, use_rslora: true }, stack([0, 4], [0, 4]), 4);
    expect(alpha).toBeCloseTo(8 * Math.SQRT2, 12);
  });

  test('ranks that tell repeats apart are added up', () => {
    const layers = stack([0, 4], [2, 4]);
    expect(matched({ r: { first: 4, repeats: 8 } }, layers, 4)).toMatchObject({ r: 8, lora_alpha: 16 });
    expect(matched({ r: { first: 0, repeats: 8 } }, layers, 4)).toMatchObject({ r: 4, lora_alpha: 4 });
  });

  test('what it matched before is replaced, and what has no rank stays', () => {
    expect(matched({ r: 8, matchTrainable: 100 }, stack([0, 2]), 2)).not.toHaveProperty('matchTrainable');
    const full = { kind: 'full' };
    expect(matchedAdapter(full, { kind: 'full', options: {} }, stack([0, 4]), 2)).toBe(full);
  });

  test('what is trained is off by at most half a rank a layer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 200 }),
        (r, physical, virtual) => {
          const layers = Array.from({ length: virtual }, (_, i) => ({ physical: i % physical }));
          const rank = matched({ r }, layers, physical)['r'] as number;
          expect(rank).toBeGreaterThanOrEqual(1);
          if (r * virtual >= physical)
            expect(Math.abs(rank * physical - r * virtual)).toBeLessThanOrEqual(physical / 2);
        },
      ),
    );
  });
});
