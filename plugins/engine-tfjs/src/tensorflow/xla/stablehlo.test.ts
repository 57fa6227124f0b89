import { describe, expect, it } from 'vitest';
import { writeProgram, type Value } from './stablehlo.js';

describe('writeProgram', () => {
  it('writes operations with the types of their operands and results', () => {
    const inputs = [
      { shape: [2, 3], element: 'bf16' },
      { shape: [4, 3], element: 'bf16' },
    ] as const;
    const { text, results, scratchBytes } = writeProgram('linear', inputs, (p, [x, weight]) => [
      p.mul(p.product(x!, weight!, 'columns', 'columns'), 0.1),
    ]);
    expect(text).toBe(
      [
        'module @linear {',
        '  func.func public @main(%arg0: tensor<2x3xbf16>, %arg1: tensor<4x3xbf16>) -> (tensor<2x4xf32>) {',
        '    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [1] : (tensor<2x3xbf16>, tensor<4x3xbf16>) -> tensor<2x4xf32>',
        '    %1 = stablehlo.constant dense<1.000000000e-1> : tensor<2x4xf32>',
        '    %2 = stablehlo.multiply %0, %1 : tensor<2x4xf32>',
        '    return %2 : tensor<2x4xf32>',
        '  }',
        '}',
      ].join('\n'),
    );
    expect(results).toEqual([{ shape: [2, 4], element: 'f32' }]);
    // The product is neither an input nor a result.
    expect(scratchBytes).toBe(2 * 4 * 4);
  });

  it('multiplies batches of matrices, over rows or columns of each', () => {
    const inputs = [
      { shape: [5, 7, 2], element: 'f32' },
      { shape: [5, 7, 3], element: 'f32' },
    ] as const;
    const { text, results } = writeProgram('batches', inputs, (p, [a, b]) => [p.product(a!, b!, 'rows', 'rows')]);
    expect(text).toContain('batching_dims = [0] x [0], contracting_dims = [1] x [1]');
    expect(results).toEqual([{ shape: [5, 2, 3], element: 'f32' }]);
  });

  it('knows the shapes of slices, transposes, sums and padding', () => {
    const shapes: Record<string, Value['shape']> = {};
    writeProgram('shapes', [{ shape: [4, 6], element: 'f32' }], (p, [x]) => {
      shapes['slice'] = p.slice(x!, 1, 2, 5).shape;
      shapes['transpose'] = p.transpose(x!, [1, 0]).shape;
      shapes['sum'] = p.reduce('add', x!, 0).shape;
      shapes['pad'] = p.pad(x!, 0, 1, 2).shape;
      shapes['concatenate'] = p.concatenate([x!, x!], 1).shape;
      shapes['compare'] = p.compare('LT', p.places([4, 6], 1), 3).shape;
      return [x!];
    });
    expect(shapes).toEqual({
      slice: [4, 3],
      transpose: [6, 4],
      sum: [6],
      pad: [7, 6],
      concatenate: [4, 12],
      compare: [4, 6],
    });
  });

  it('refuses operands of unlike shapes or types', () => {
    const inputs = [
      { shape: [2, 3], element: 'f32' },
      { shape: [3, 2], element: 'f32' },
      { shape: [2, 3], element: 'bf16' },
    ] as const;
    expect(() => writeProgram('sum', inputs, (p, [a, b]) => [p.add(a!, b!)])).toThrow(
      'add in the program sum got tensor<2x3xf32> and tensor<3x2xf32>',
    );
    expect(() => writeProgram('sum', inputs, (p, [a, , c]) => [p.add(a!, c!)])).toThrow(/and tensor<2x3xbf16>/);
  });
});
