import { createWeightSource, memoryBytes, readFloats, viewRows } from '@glulam/files';
import { expect, test } from 'vitest';
import { scaledBytes } from './storage-format.js';

test('a tensor of signed bytes has its values times their scales, by rows too', () => {
  const scales = new Uint8Array(Float32Array.of(0.5, 2).buffer);
  const values = new Uint8Array(Int8Array.from({ length: 64 }, (_, i) => i - 32).buffer);
  const tensor = createWeightSource({
    ...{ name: 'w', shape: [2, 32], format: scaledBytes, origin: 'memory' },
    parts: [scales, values].map(memoryBytes),
  });
  const expected = Array.from({ length: 64 }, (_, i) => (i - 32) * (i < 32 ? 0.5 : 2));
  expect([...readFloats(tensor)]).toEqual(expected);
  expect([...readFloats(viewRows(tensor, 1, 2))]).toEqual(expected.slice(32));
});
