import { checkFilePart, inMemory, type WeightSource } from '@glulam/files';
import type { FrozenWeight, Operand } from '@glulam/tensors';
import type { Backend } from './backend.js';

interface Entry<Data> {
  readonly source: WeightSource;
  data?: Data;
}

/** Frozen weights: noted when they are opened, brought to the backend when a product first reads them, then kept. */
export interface Weights<Data> {
  /** What stands for the weight: `FrozenWeight.storage`. */
  open(source: WeightSource): Promise<unknown>;
  sourceOf(weight: FrozenWeight): WeightSource;
  whole(weight: FrozenWeight): Operand<Data>;
  /** Whether the data is a weight's, which outlives every tensor of it. */
  owns(data: Data): boolean;
  free(): void;
}

export function createWeights<Data>(backend: Backend<Data>): Weights<Data> {
  const entries: Entry<Data>[] = [];
  const owned = new Set<Data>();
  const load = (source: WeightSource): Data => {
    const data = backend.loadWeight(source);
    owned.add(data);
    return data;
  };
  const entryOf = (weight: FrozenWeight): Entry<Data> => weight.storage as Entry<Data>;
  return {
    async open(source) {
      for (const { file, byteLength } of source.parts) {
        if (file === undefined) continue;
        checkFilePart(source, { ...file, byteLength }, backend.host.sizeOfFile(file.path));
      }
      const entry: Entry<Data> = { source: await inMemory(source) };
      entries.push(entry);
      return entry;
    },
    sourceOf: (weight) => entryOf(weight).source,
    whole(weight) {
      const entry = entryOf(weight);
      entry.data ??= load(entry.source);
      return { data: entry.data, shape: weight.shape, dtype: backend.weightDtype(entry.source) };
    },
    owns: (data) => owned.has(data),
    free() {
      owned.clear();
      for (const { data } of entries.splice(0)) if (data !== undefined) backend.free(data);
    },
  };
}
