import { blockFormat } from '@glulam/files';

/** Signed bytes, with a float32 scale for each 32 elements of a row. */
export const scaledBytes = blockFormat({
  kind: 'scaled-bytes',
  dtype: 'float32', // every decoded value is exact in this type
  elements: 32, // of a block
  parts: { scales: { bytes: 4 }, values: { bytes: 32 } }, // of a block
  decodeBlocks([scales, values], out) {
    const scaleOf = new DataView(scales!.buffer, scales!.byteOffset);
    const signed = new Int8Array(values!.buffer, values!.byteOffset);
    for (let i = 0; i < out.length; i++) out[i] = scaleOf.getFloat32(4 * Math.floor(i / 32), true) * signed[i]!;
  },
});
