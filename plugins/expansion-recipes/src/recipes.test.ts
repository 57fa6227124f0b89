import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { layerMap, ModelError } from '@glulam/model';
import { testStrategy } from '@glulam/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { depthUpStrategy,
  llamaProStrategy, mergekitStrategy, readMergekitLayers, repeatYourselfStrategy, slidingWindowsStrategy, wholeStackStrategy } from './index.js'; // prettier-ignore

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);

testStrategy(depthUpStrategy, {
  valid: [
    { physicalLayers: 32, options: { m: 8 }, physical: [...range(0, 24), ...range(8, 32)] },
    { physicalLayers: 3, options: { m: 0, gate: 'learned' }, physical: [0, 1, 2, 0, 1, 2] },
  ],
  invalid: [
    { physicalLayers: 8, options: { m: 8 }, message: /m is 8 of 8 layers/ },
    { physicalLayers: 8, options: { m: -1 }, message: /m/ },
  ],
});
testStrategy(repeatYourselfStrategy, {
  valid: [{ physicalLayers: 80, options: { i: 45, j: 52 }, physical: [...range(0, 52), ...range(45, 80)] }],
  invalid: [
    { physicalLayers: 8, options: { i: 3, j: 3 }, message: /i is 3 and j is 3; expected i < j/ },
    { physicalLayers: 8, options: { i: 3, j: 9 }, message: /j of at most 8/ },
  ],
});
testStrategy(wholeStackStrategy, {
  valid: [{ physicalLayers: 2, options: { times: 3, residualScale: 0.5 }, physical: [0, 1, 0, 1, 0, 1] }],
  invalid: [{ physicalLayers: 2, options: { times: 0 }, message: /times/ }],
});
testStrategy(slidingWindowsStrategy, {
  valid: [
    { physicalLayers: 80, options: { window: 20, step: 10 }, physical: range(0, 7).flatMap((k) => range(10 * k, 10 * k + 20)) },
    { physicalLayers: 4, options: { window: 4, step: 1 }, physical: [0, 1, 2, 3] },
  ],
  invalid: [
    { physicalLayers: 8, options: { window: 9, step: 1 }, message: /window is 9, the base has 8/ },
    { physicalLayers: 8, options: { window: 2, step: 3 }, message: /layers would be left out/ },
    { physicalLayers: 8, options: { window: 4, step: 3 }, message: /the last window would not end with layer 7/ },
  ],
}); // prettier-ignore

testStrategy(llamaProStrategy, {
  valid: [
    { physicalLayers: 4, options: { layers: 6 }, physical: [0, 1, 1, 2, 3, 3] },
    { physicalLayers: 3, options: { layers: 6 }, physical: [0, 0, 1, 1, 2, 2] },
    { physicalLayers: 3, options: { layers: 4 }, physical: [0, 1, 2, 2] },
  ],
  invalid: [
    { physicalLayers: 6, options: { layers: 10 }, message: /layers is 10, and 6 layers take in .* if there are 7, 8, 9, 12/ },
    { physicalLayers: 4, options: { layers: 4 }, message: /layers is 4/ },
    { physicalLayers: 4, options: { layers: 6, gate: 'learned' }, message: /gate/ },
  ],
}); // prettier-ignore

test('LLaMA-Pro’s 40 layers of 32: after every fourth a copy of it with weights of its own that begin at zero', () => {
  const layers = llamaProStrategy.expand(32, { layers: 40 });
  expect(layers).toHaveLength(40);
  layers.forEach((layer, index) => {
    const physical = Math.floor(index / 5) * 4 + Math.min(index % 5, 3);
    expect(layer).toEqual(index % 5 === 4 ? { physical, weights: 'own', start: 'zero' } : { physical });
  });
});

test('all contiguous choices of 32 layers that repeat-yourself has: 529 maps with the whole base', () => {
  // j - i + 32 layers for every 0 <= i < j <= 32; 528 of them, and the base itself.
  const maps = range(0, 32).flatMap((i) => range(i + 1, 33).map((j) => repeatYourselfStrategy.expand(32, { i, j })));
  expect(new Set(maps.map((layers) => JSON.stringify(layers))).size + 1).toBe(529);
});

const file = (content: string): string => {
  const name = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-mergekit-')), 'merge.yaml');
  writeFileSync(name, content);
  return name;
};
const slice = (start: number, end: number, scale?: unknown, model = 'm') => ({
  sources: [{ model, layer_range: [start, end], ...(scale === undefined ? {} : { parameters: { scale } }) }],
});
const yaml = (slices: unknown[], more: object = {}) => stringify({ slices, merge_method: 'passthrough', dtype: 'bfloat16', ...more }); // prettier-ignore
const both = (value: number) => [{ filter: 'o_proj', value }, { filter: 'down_proj', value }, { value: 1 }]; // prettier-ignore

testStrategy(mergekitStrategy, {
  valid: [
    { physicalLayers: 8, options: { file: file(yaml([slice(0, 6), slice(2, 8, both(0.7))])) }, physical: [...range(0, 6), ...range(2, 8)] },
  ],
  invalid: [
    { physicalLayers: 8, options: { file: file(yaml([slice(0, 9)])) }, message: /physical layer 8; the base has layers 0 to 7/ },
    { physicalLayers: 8, options: { file: '/nowhere/merge.yaml' }, message: /cannot be read: .*ENOENT/ },
    { physicalLayers: 8, options: {}, message: /file/ },
  ],
}); // prettier-ignore

describe('mergekit passthrough files', () => {
  test('scales of o_proj and down_proj are the residual scale', () => {
    const scales = (scale: unknown) => readMergekitLayers(yaml([slice(0, 1, scale)]), 'f')[0]!.residualScale;
    expect(scales(both(0.7))).toBe(0.7);
    expect(scales([{ filter: 'q_proj', value: 1 }, { filter: 'down_proj', value: 0 }, { filter: 'o_proj', value: 0 }])).toBe(0); // prettier-ignore
    expect([scales(1), scales([1]), scales(undefined), scales(both(1))]).toEqual(Array(4).fill(undefined));
  });

  test.each([
    ['two donors', yaml([slice(0, 16), slice(8, 24, undefined, 'Euryale')]), /from 2 models \(m, Euryale\), as Goliath's do/],
    ['another method', yaml([slice(0, 4)], { merge_method: 'slerp' }), /merge_method is "slerp", which mixes weights/],
    ['a tokenizer of elsewhere', yaml([slice(0, 4)], { tokenizer_source: 'union' }), /it has tokenizer_source, which/],
    ['a scale of q_proj', yaml([slice(0, 4, [{ filter: 'q_proj', value: 0.84 }])]), /slice 0 scales q_proj by 0.84/],
    ['a scale of all', yaml([slice(0, 4), slice(0, 4, 0.5)]), /slice 1 scales all weights by 0.5/],
    ['scales that differ', yaml([slice(0, 4, [{ filter: 'o_proj', value: 0.5 }])]), /o_proj by 0.5 and down_proj by 1/],
    ['an empty range', yaml([slice(4, 4)]), /layer_range \[4, 4\], which is empty/],
    ['a range without end', yaml([slice(0, 1e9)]), /no model has so many layers/],
    ['other parameters', yaml([{ sources: [{ model: 'm', layer_range: [0, 4], parameters: { weight: 1 } }] }]), /weight/],
    ['two sources', yaml([{ sources: [slice(0, 4).sources[0], slice(0, 4).sources[0]] }]), /slice 0 has 2 sources/],
    ['no YAML', 'slices: [', /it is not YAML/],
    ['nothing', '', /no passthrough file of mergekit/],
    ['a bomb', `a: &a [1,1]\n${range(0, 9).map((i) => `${String.fromCharCode(98 + i)}: &${String.fromCharCode(98 + i)} [${`*${String.fromCharCode(97 + i)},`.repeat(9)}]`).join('\n')}`, /not YAML of use/],
    ['brackets without end', `slices: ${'['.repeat(5000)}`, /nests lists or records deeper than 64/],
    ['lists in lists', `slices: ${'- '.repeat(5000)}1`, /nests lists or records deeper than 64/],
    ['a file of any length', `a: ${'x'.repeat(100_000)}`, /has 100003 characters; expected at most 100000/],
  ])('refuses %s', (_, text, message) => {
    const attempt = () => readMergekitLayers(text, 'merge.yaml');
    expect(attempt).toThrow(ModelError);
    expect(attempt).toThrow(message);
  }); // prettier-ignore

  test('any map comes back as it was written', () => {
    const interval = fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 8 })).map(([start, size]): [number, number] => [start, start + size]); // prettier-ignore
    fc.assert(
      fc.property(fc.array(interval, { minLength: 1, maxLength: 8 }), (intervals) => {
        const layers = readMergekitLayers(yaml(intervals.map(([start, end]) => slice(start, end))), 'f');
        expect(layers.map(({ physical }) => physical)).toEqual(intervals.flatMap(([start, end]) => range(start, end)));
        expect(layerMap(layers).flatMap(([start, end]) => range(start, end))).toEqual(layers.map((each) => each.physical)); // prettier-ignore
      }),
      { seed: 6 },
    );
  });

  test('whatever else is there is read or refused with a ModelError', () => {
    const good = yaml([slice(0, 4), slice(2, 6, both(0.5))]);
    const damaged = fc
      .tuple(fc.nat(good.length), fc.nat(12), fc.string())
      .map(([at, cut, put]) => good.slice(0, at) + put + good.slice(at + cut));
    const json = fc.json().map((text) => `merge_method: passthrough\nslices: ${text}`);
    fc.assert(
      fc.property(fc.oneof(damaged, json, fc.string()), (text) => {
        try {
          expect(readMergekitLayers(text, 'f').length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError);
        }
      }),
      { seed: 7, numRuns: 2000 },
    );
  });
});
