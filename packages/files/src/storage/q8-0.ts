import { fromFloat16Bits } from '../numbers/dtype.js';
import { q8Block } from '../gguf/ggml-encode.js';
import { blockFormat, type StorageFormat } from './storage-format.js';

/**
 * GGUF's Q8_0: of each block of 32 elements of a row a float16 d and 32 signed bytes q; a value is d q, rounded to float32
 * (ggml's `dequantize_row_q8_0`).
 */
export const q8_0: StorageFormat = blockFormat({
  kind: 'q8_0',
  dtype: 'float32',
  elements: q8Block.values,
  parts: { blocks: { bytes: q8Block.bytes } },
  decodeBlocks([blocks], values) {
    const view = new DataView(blocks!.buffer, blocks!.byteOffset, blocks!.byteLength);
    for (let i = 0, at = 0; i < values.length; at += q8Block.bytes) {
      const d = fromFloat16Bits(view.getUint16(at, true));
      for (let j = 0; j < q8Block.values; j++) values[i++] = d * view.getInt8(at + 2 + j);
    }
  },
});
