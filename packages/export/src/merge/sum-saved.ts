import {
  checkAdapterValues,
  checkSameLayers,
  checkSelection,
  combineAdapters,
  describeTrained,
  gateName,
  ModelError,
  noSum,
  partName,
  unexpandedLayers,
  type Checkpoint,
  type ChosenAdapter,
  type TrainedValues,
  type VirtualLayer,
  type SavedAdapter,
} from '@glulam/model';
import type { MergeSource } from './merged-model.js';

/** A saved adapter with its part in a sum. */
export interface SavedPart extends ChosenAdapter {
  /** As `readAdapter` gives it. */
  readonly saved: SavedAdapter;
}

/**
 * The weighted sum of saved adapters as one to merge, layer by layer as `combineAdapters` has it: a linear layer becomes
 * W + sum of w_i (W_i - W), with W_i what the i-th alone merges it to, a gate the weighted sum of gates.
 *
 * @throws ExportError ADAPTER_INVALID if one does not fit the base or the layers, or trains tensors of the base themselves
 */
export function sumSaved(
  { spec, folder }: Pick<Checkpoint, 'spec' | 'folder'>,
  layers: readonly VirtualLayer[],
  parts: readonly SavedPart[],
): NonNullable<MergeSource['saved']> {
  checkSelection(parts);
  const plain = unexpandedLayers(spec.layers.length);
  for (const { name, saved } of parts) checkSameLayers(`the adapter "${name}"`, saved.layers ?? plain, layers);
  const [first, second] = parts;
  if (first !== undefined && second === undefined && first.weight === 1) return first.saved;

  const values = new Map<string, TrainedValues>();
  for (const [part, { name, weight, saved }] of parts.entries()) {
    const trained = describeTrained(spec, layers, saved.adapter);
    const [copy] = trained.copies;
    if (copy !== undefined) throw noSum(name, `has its own ${copy.name}`);
    try {
      checkAdapterValues(saved.values, trained);
    } catch (cause) {
      if (!(cause instanceof ModelError) || cause.code === 'WEIGHT_NOT_FINITE') throw cause;
      throw new ModelError(cause.code, `the adapter "${name}" does not fit ${folder}: ${cause.message}`, { cause });
    }
    // A part of weight 0 is none, with tensors of no use.
    for (const { site, adapter } of weight === 0 ? [] : trained.adapted)
      for (const parameter of adapter?.parameters ?? [])
        values.set(
          `${site.path}.${partName(part, parameter.name)}`,
          saved.values.get(`${site.path}.${parameter.name}`)!,
        );
  }
  for (const [virtual, { gate }] of layers.entries()) {
    if (gate === undefined) continue;
    const name = gateName(spec, virtual);
    const sum = parts.reduce((total, { weight, saved }) => total + weight * saved.values.get(name)!.values[0]!, 0);
    values.set(name, { shape: [1], values: Float32Array.of(sum) });
  }
  return {
    adapter: combineAdapters(parts.map(({ weight, saved }) => ({ weight, adapter: saved.adapter }))),
    choice: { kind: 'sum', options: parts.map(({ weight, saved }) => ({ weight, choice: saved.choice })) },
    values,
  };
}
