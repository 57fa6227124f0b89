import { fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits, type DType } from '../numbers/dtype.js';
import { blockFormat, type StorageFormat } from './storage-format.js';

/** The 16 values of NF4, quantiles of a normal distribution scaled to [-1, 1] (Dettmers et al. 2023, appendix E). */
const nf4Values: Float32Array = Float32Array.of(
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
  ...[-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725],
  ...[0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
);

/** An even number: a byte holds two elements. */
const elements = 64;

const round: Readonly<Record<string, (value: number) => number>> = {
  float32: (value) => value,
  bfloat16: (value) => fromBfloat16Bits(toBfloat16Bits(value)),
  float16: (value) => fromFloat16Bits(toFloat16Bits(value)),
};

function nf4(dtype: Exclude<DType, 'int32'>): StorageFormat {
  return blockFormat({
    kind: `nf4-${dtype}`,
    dtype,
    elements,
    parts: { values: { bytes: elements / 2, ofShort: (count) => Math.ceil(count / 2) }, scales: { bytes: 4 } },
    crossesRows: true,
    decodeBlocks([packed, scales], values) {
      const scaleOf = new DataView(scales!.buffer, scales!.byteOffset, scales!.byteLength);
      for (let i = 0; i < values.length; i++) {
        const byte = packed![i >> 1]!;
        const scale = scaleOf.getFloat32(4 * Math.floor(i / elements), true);
        const product = nf4Values[i % 2 === 0 ? byte >> 4 : byte & 15]! * scale;
        values[i] = round[dtype]!(Math.fround(product));
      }
    },
  });
}

/**
 * bitsandbytes' NF4 without double quantization: 4 bits an element, the first of two in the high bits, and a float32 scale
 * for each 64 elements of the whole tensor, whatever its rows. A value is the product in float32, rounded to the type that
 * the tensor had before, after which the format is named.
 */
export const nf4Formats: Readonly<Record<Exclude<DType, 'int32'>, StorageFormat>> = {
  float32: nf4('float32'),
  bfloat16: nf4('bfloat16'),
  float16: nf4('float16'),
};
