import { expect, test } from 'vitest';
import { candidateMaps, repeatOf } from './candidate-maps.js';

test('every run of layers laid out twice, behind the base', () => {
  expect(candidateMaps(undefined, 2)).toEqual([
    { map: [[0, 2]], layers: [0, 1] },
    {
      map: [
        [0, 1],
        [0, 2],
      ],
      layers: [0, 0, 1],
    },
    {
      map: [
        [0, 2],
        [0, 2],
      ],
      layers: [0, 1, 0, 1],
    },
    {
      map: [
        [0, 2],
        [1, 2],
      ],
      layers: [0, 1, 1],
    },
  ]);
});

test('maps that lay out the same are one, and the base is there once', () => {
  const maps = candidateMaps(
    [
      [
        [0, 1],
        [1, 2],
      ],
      [
        [0, 2],
        [1, 2],
      ],
      [
        [0, 1],
        [1, 2],
        [1, 2],
      ],
    ],
    2,
  );
  expect(maps.map(({ map }) => map)).toEqual([
    [[0, 2]],
    [
      [0, 2],
      [1, 2],
    ],
  ]);
});

test('maps that do not fit are told together', () => {
  expect(() => candidateMaps([[[0, 9]], [[0, 8]], [[3, 3]]], 8)).toThrow(
    /search\.maps\.0: \[0, 9\) leaves the base, which has 8 layers: \[0, 8\)\n {2}search\.maps\.2: \[3, 3\) is empty/,
  );
  expect(() => candidateMaps([Array.from({ length: 2000 }, () => [0, 8] as const)], 8)).toThrow(
    /search\.maps\.0 lays out 16000 layers; expected 4096 at most/,
  );
});

test('which maps are a repeat', () => {
  for (const { map } of candidateMaps(undefined, 5).slice(1)) {
    const { i, j } = repeatOf(map, 5)!;
    expect(map).toEqual([
      [0, j],
      [i, 5],
    ]);
  }
  for (const map of [
    [[0, 5]],
    [
      [0, 2],
      [3, 5],
    ],
    [
      [0, 3],
      [1, 4],
    ],
    [
      [1, 3],
      [1, 5],
    ],
    [
      [0, 3],
      [1, 3],
      [1, 5],
    ],
  ] as const)
    expect(repeatOf(map, 5)).toBeUndefined();
});
