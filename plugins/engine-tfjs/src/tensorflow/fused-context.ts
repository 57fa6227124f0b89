import type { DType, Shape } from '@glulam/files';
import type { Engine, FrozenWeight, Result, Tensor } from '@glulam/tensors';
import type { TfjsShell } from '../engine.js';
import { tfTypes, type TfTensor } from './binding.js';
import type { TfBackend, TfData } from './tf-backend.js';
import type { TfOperations } from './operations.js';

/** What the named operations are written with: TensorFlow's operations, and the engine's tensors as TensorFlow's. */
export interface FusedContext {
  readonly ops: TfOperations;
  readonly shell: TfjsShell<TfData>;
  readonly engine: Engine;
  /** The tensor as it is stored. */
  of(x: Tensor): TfTensor;
  /** The tensor as float32. */
  wide(x: Tensor): TfTensor;
  /** The whole frozen weight, as it is kept. */
  weight(weight: FrozenWeight): TfTensor;
  make(operation: string, shape: Shape, dtype: DType, body: () => TfTensor): Tensor;
  makeMany(operation: string, results: readonly Result[], body: () => readonly TfTensor[]): Tensor[];
  /** What `body` computes, kept in a slot of this name until it is asked for with another key. */
  keep(slot: string, key: readonly unknown[], body: () => readonly TfTensor[]): readonly TfTensor[];
  renew(operation: string, targets: readonly Tensor[], body: () => readonly TfTensor[]): void;
}

export function createFusedContext(backend: TfBackend, shell: TfjsShell<TfData>, engine: Engine): FusedContext {
  const { ops } = backend;
  const of = (x: Tensor): TfTensor => backend.tensorOf(shell.operand(x));
  const slots = new Map<string, { readonly key: readonly unknown[]; readonly data: readonly TfData[] }>();
  return {
    ops,
    shell,
    engine,
    of,
    wide: (x) => ops.cast(of(x), tfTypes.float32),
    weight: (weight) => backend.tensorOf(shell.weights.whole(weight)),
    make: (operation, shape, dtype, body) => shell.make(operation, { shape, dtype }, () => backend.compute(body)),
    makeMany: (operation, results, body) => shell.makeMany(operation, results, () => backend.computeMany(body)),
    keep(slot, key, body) {
      const kept = slots.get(slot);
      if (kept?.key.every((part, i) => part === key[i])) return kept.data.map(({ tensor }) => tensor);
      slots.delete(slot);
      for (const data of kept?.data ?? []) backend.free(data);
      const data = backend.computeMany(body);
      slots.set(slot, { key, data });
      return data.map(({ tensor }) => tensor);
    },
    renew: (operation, targets, body) => shell.renew(operation, targets, () => backend.computeMany(body)),
  };
}
