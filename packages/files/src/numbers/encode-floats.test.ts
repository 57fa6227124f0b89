import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBfloat16Bits, toFloat16Bits } from './dtype.js';
import { encodeFloats } from './encode-floats.js';

const edges = [0, -0, NaN, Infinity, -Infinity, 65504, 65520, 1e-8, 3.3895314e38, 3.4028235e38, 2 ** -133];
/** Halfway between two bfloat16 values, above an even and an odd one. */
const ties = [1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8)];

test('a list is rounded as its values are, one by one', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.float(), fc.constantFrom(...edges, ...ties))), (list) => {
      const values = Float32Array.from(list);
      for (const [dtype, round] of [
        ['bfloat16', toBfloat16Bits],
        ['float16', toFloat16Bits],
      ] as const) {
        const bytes = encodeFloats(values, dtype);
        expect(new Uint16Array(bytes.buffer)).toEqual(Uint16Array.from(values, round));
      }
      expect(encodeFloats(values, 'float32')).toEqual(new Uint8Array(values.buffer));
    }),
    { seed: 2 },
  );
});

test('ties go to the even neighbour', () => {
  expect([...new Uint16Array(encodeFloats(Float32Array.from(ties), 'bfloat16').buffer)]).toEqual([
    0x3f80, 0x3f82, 0xbf80,
  ]);
});
