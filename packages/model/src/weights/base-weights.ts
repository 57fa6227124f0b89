import type { WeightSource } from '@glulam/files';
import type { Engine, FrozenWeight } from '@glulam/tensors';
import { createFrozenRows } from './frozen-rows.js';

/** Weights of one base checkpoint on an engine, each opened once, however many decoders compute with them. */
export interface BaseWeights {
  /** The frozen weight of a tensor: one per name, opened at the first call. */
  open(source: WeightSource): FrozenWeight;
  /** What adapters may know of them. */
  readonly rows: ReturnType<typeof createFrozenRows>;
  /** Release what `rows` holds. Weights stay open as long as their engine does. */
  close(): void;
}

/** Weights on an engine; nothing is opened yet. */
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
