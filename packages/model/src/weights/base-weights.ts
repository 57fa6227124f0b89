import type { WeightSource } from '@glulam/files';
import type { Engine, FrozenWeight } from '@glulam/tensors';
import { ModelError } from '../errors.js';
import { createFrozenRows } from './frozen-rows.js';

/** Weights of one base checkpoint on an engine, each opened once, however many decoders compute with them. */
export interface BaseWeights {
  /** Open what is not open yet; decoders ask for what they compute with. */
  open(source: WeightSource): Promise<void>;
  /** The frozen weight of a tensor that was opened, by its name. */
  get(name: string): FrozenWeight;
  /** What adapters may know of them. */
  readonly rows: ReturnType<typeof createFrozenRows>;
  /** Release what `rows` holds. Weights stay open as long as their engine does. */
  close(): void;
}

/** Weights on an engine; nothing is opened yet. */
export function createBaseWeights(engine: Engine): BaseWeights {
  const opened = new Map<string, Promise<FrozenWeight>>();
  const weights = new Map<string, FrozenWeight>();
  const rows = createFrozenRows(engine);
  return {
    async open(source) {
      const { name } = source;
      const opening = opened.get(name) ?? engine.openWeight(source);
      opened.set(name, opening);
      try {
        weights.set(name, await opening);
      } catch (error) {
        if (opened.get(name) === opening) opened.delete(name);
        throw error;
      }
    },
    get(name) {
      const weight = weights.get(name);
      if (weight !== undefined) return weight;
      throw new ModelError('BAD_ARGUMENT', `the weight ${name} was used before it was opened: call open first`);
    },
    rows,
    close: () => rows.close(),
  };
}
