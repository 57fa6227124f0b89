import { TensorsError, type FusedOperations } from '@glulam/tensors';
import type { TfjsShell } from './engine.js';

/** Rows are read from the file as they are wanted, each once: the table need not be on the backend. */
export function embedding<Data>({ backend, make, weights }: TfjsShell<Data>): FusedOperations['embedding'] {
  return (weight, ids) => {
    const [rows, width] = weight.shape as [number, number];
    const at = ids.findIndex((id) => id < 0 || id >= rows);
    if (at >= 0) {
      throw new TensorsError(
        'BAD_ARGUMENT',
        `embedding got token ${ids[at]} at ${at}; the vocabulary has ${rows}: the tokenizer and the checkpoint do not belong together`,
      );
    }
    const shape = [ids.length, width];
    return make('embedding', { shape, dtype: 'float32' }, () => {
      const read = new Map<number, Float32Array>();
      const values = new Float32Array(ids.length * width);
      ids.forEach((id, i) => {
        const row = read.get(id) ?? backend.host.readFloats(weights.sourceOf(weight), id, id + 1);
        read.set(id, row);
        values.set(row, i * width);
      });
      return backend.upload(values, shape);
    });
  };
}
