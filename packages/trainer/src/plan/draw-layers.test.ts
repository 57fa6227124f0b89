import type { VirtualLayer } from '@glulam/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawLayers } from './draw-layers.js';

const map = (...intervals: [number, number][]): VirtualLayer[] =>
  intervals.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => ({ physical: start + i })));

describe('virtual layers over physical ones', () => {
  test('the card’s map', () => {
    expect(drawLayers(32, map([0, 16], [8, 24], [16, 32]))).toEqual([
      'physical  0       8       16      24',
      '   0..15  ████████████████················',
      '  16..31  ········████████████████········',
      '  32..47  ················████████████████',
      '    uses  11111111222222222222222211111111',
    ]);
  });

  test('dropped, repeated and reordered layers', () => {
    expect(drawLayers(4, map([2, 4], [0, 1], [0, 1]))).toEqual([
      'physical  0',
      '    0..1  ··██',
      '       2  █···',
      '       3  █···',
      '    uses  2011',
    ]);
  });

  test('gates and scales of repeats are told from plain layers', () => {
    const layers: VirtualLayer[] = [
      { physical: 0 },
      { physical: 1 },
      { physical: 1, gate: 'learned', residualScale: 0.5 },
    ];
    expect(drawLayers(2, layers)).toEqual([
      'physical  0',
      '    0..1  ██',
      '       2  ·▒',
      '    uses  12',
      '          ▒ with a learned gate, residualScale 0.5',
    ]);
  });

  test('so are layers whose linear layers are scaled, with some of many scales', () => {
    const scaled = (q: number) => ({ physical: 0, linearScales: { 'self_attn.q_proj': q, 'mlp.down_proj': 0 } });
    expect(drawLayers(1, [{ physical: 0 }, scaled(0.8)]).at(-1)).toBe(
      '          ▒ with linearScales q_proj 0.8, down_proj 0',
    );
    const many = Array.from({ length: 20 }, (_, i) => ({ physical: 0, residualScale: 1 + i }));
    expect(drawLayers(1, many).at(-1)).toBe('          ▒ with residualScale 1, 2, 3, 4, 5, 6, 7 and 13 more');
  });

  test('so are layers with weights of their own', () => {
    expect(drawLayers(2, [{ physical: 0 }, { physical: 1 }, { physical: 1, weights: 'own', start: 'zero' }])).toEqual([
      'physical  0',
      '    0..1  ██',
      '       2  ·▒',
      '    uses  12',
      '          ▒ with weights of their own',
    ]);
  });

  test('many layers on a narrow terminal share columns, many stretches are counted', () => {
    const lines = drawLayers(80, map([0, 80], [40, 80]), 40);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(40);
    expect(lines.at(-1)).toMatch(/a column is 3 layers/);
    const often = drawLayers(
      32,
      map(
        ...Array.from({ length: 32 }, (_, i): [number, number] => [i, i + 1]),
        [0, 32],
        ...Array.from({ length: 20 }, (): [number, number] => [5, 6]),
      ),
    );
    expect(often.find((line) => line.includes('more stretches'))).toMatch(/7 more stretches/);
    expect(often.at(-1)).toContain('+');
  });

  test('any list is drawn within the width, with every use', () => {
    const layer = fc.record({ physical: fc.nat(39) });
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 40, max: 200 }),
        (layers, width) => {
          const lines = drawLayers(40, layers, width);
          expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(width);
          expect(lines.some((line) => line.trim().startsWith('uses'))).toBe(true);
        },
      ),
      { seed: 1 },
    );
  });
});
