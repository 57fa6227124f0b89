import type { Engine, FrozenWeight, WeightSource } from '@glulam/tensors';
import { createFrozenRows } from './frozen-rows.js';

/** Weights of one base checkpoint on an engine, each opened once, however many decoders compute with them. */
export interface BaseWeights {
  open(source: WeightSource): FrozenWeight;
  /** What adapters may know of them. */
  readonly rows: ReturnType<typeof createFrozenRows>;
  close(): void;
}

export function createBaseWeights(engine: Engine): BaseWeights {
  const known = new Map<string, FrozenWeight>();
  const rows = createFrozenRows(engine);
  return {
    open(source) {
      const weight = known.get(source.name) ?? engine.openWeight(source);
      known.set(source.name, weight);
      return weight;
    },
    rows,
    close: () => rows.close(),
  };
}
