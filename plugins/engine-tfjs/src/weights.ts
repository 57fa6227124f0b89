import { checkFilePart, inMemory, type WeightSource } from '@glulam/files';
import { checkWeight, type FrozenWeight } from '@glulam/tensors';
import type { Device, Operand } from './device.js';

interface Entry<Data> {
  readonly source: WeightSource;
  data?: Data;
}

/** Frozen weights: noted when they are opened, brought to the backend when a product first reads them, then kept. */
export interface Weights<Data> {
  open(source: WeightSource): Promise<FrozenWeight>;
  sourceOf(weight: FrozenWeight): WeightSource;
  whole(weight: FrozenWeight): Operand<Data>;
  free(): void;
}

export function createWeights<Data>(device: Device<Data>): Weights<Data> {
  const entries: Entry<Data>[] = [];
  const entryOf = (weight: FrozenWeight): Entry<Data> => weight.storage as Entry<Data>;
  return {
    async open(source) {
      checkWeight(source);
      const { name, shape, dtype, parts } = source;
      for (const { file, byteLength } of parts) {
        if (file === undefined) continue;
        checkFilePart(source, { ...file, byteLength }, device.host.sizeOfFile(file.path));
      }
      const entry: Entry<Data> = { source: await inMemory(source) };
      entries.push(entry);
      return { name, shape, dtype, storage: entry };
    },
    sourceOf: (weight) => entryOf(weight).source,
    whole(weight) {
      const entry = entryOf(weight);
      entry.data ??= device.loadWeight(entry.source);
      return { data: entry.data, shape: weight.shape, dtype: device.weightDtype(entry.source) };
    },
    free() {
      for (const { data } of entries.splice(0)) if (data !== undefined) device.free(data);
    },
  };
}
