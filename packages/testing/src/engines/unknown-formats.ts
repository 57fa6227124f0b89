import { blockFormat, type StorageFormat } from '@glulam/files';

/** A format that no engine knows: signed bytes, with a float32 scale for each 32 elements of a row. */
export const scaledBytes: StorageFormat = blockFormat({
  kind: 'scaled-bytes',
  dtype: 'float32',
  elements: 32,
  parts: { scales: { bytes: 4 }, values: { bytes: 32 } },
  decodeBlocks([scales, values], out) {
    const [scaleOf, q] = [new DataView(scales!.buffer, scales!.byteOffset), values!];
    for (let i = 0; i < out.length; i++)
      out[i] = scaleOf.getFloat32(4 * Math.floor(i / 32), true) * ((q[i]! << 24) >> 24);
  },
});

/** Flat blocks of 20 elements, which cross rows: a bfloat16 offset for each, and signed bytes of 128ths. */
export const offsetBytes: StorageFormat = blockFormat({
  kind: 'offset-bytes',
  dtype: 'bfloat16',
  elements: 20,
  parts: { offsets: { bytes: 2 }, values: { bytes: 20, ofShort: (elements) => elements } },
  crossesRows: true,
  decodeBlocks([offsets, values], out) {
    const offsetOf = new DataView(offsets!.buffer, offsets!.byteOffset);
    const wide = new DataView(new ArrayBuffer(4));
    for (let i = 0; i < out.length; i++) {
      wide.setUint32(0, offsetOf.getUint16(2 * Math.floor(i / 20), true) << 16);
      // Offsets are multiples of 1/2 below 2 and the bytes are even, so every sum fits bfloat16's 8 significant bits.
      out[i] = wide.getFloat32(0) + ((values![i]! << 24) >> 24) / 128;
    }
  },
});
