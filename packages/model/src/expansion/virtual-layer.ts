import { shortLines, shortList } from '@glulam/files';
import { z } from 'zod';
import { ModelError } from '../errors.js';
import { linearsOf, type ModelSpec } from '../families/model-spec.js';

/**
 * One use of a physical layer in the expanded model. Every expansion strategy yields a list of these, and everything
 * downstream (decoder, adapters, KV cache, merge, plan, export) works from the list alone.
 */
export interface VirtualLayer {
  /** Index of the decoder layer in the base checkpoint. */
  readonly physical: number;
  /** `own`: float32 copies that are trained, instead of the shared frozen weights. */
  readonly weights?: 'shared' | 'own';
  /**
   * Of weights of its own: linear layers that write the residual stream (`o_proj` and `down_proj`) begin at zero, so that
   * the layer begins by changing nothing.
   */
  readonly start?: 'zero';
  /** Multiplies the output of each block (attention and MLP); it folds into `o_proj` and `down_proj`. */
  readonly residualScale?: number;
  /**
   * Multiplies the base's weight and bias of some linear layers. As in a checkpoint whose weights were scaled, what an
   * adapter adds is not multiplied (by `residualScale` it is), so a layer with a scale of 0 learns.
   */
  readonly linearScales?: Readonly<Record<string, number>>;
  /** A trained factor with the same place as `residualScale`, beginning at 0. */
  readonly gate?: 'learned';
}

/** No model has so many layers; more, in a damaged file or a mistaken config, would fill the memory with records. */
export const mostLayers = 4096;

/**
 * Asked before the records of an expansion are made.
 *
 * @throws ModelError EXPANSION_INVALID
 */
function checkLayerCount(count: number): void {
  if (count <= mostLayers) return;
  throw new ModelError(
    'EXPANSION_INVALID',
    `the expansion has ${count} virtual layers; expected at most ${mostLayers}`,
  );
}

/** The layers of half-open intervals `[start, end)`, in order. The intervals are within the base. */
export function layersOfMap(intervals: readonly (readonly [number, number])[]): VirtualLayer[] {
  checkLayerCount(intervals.reduce((sum, [start, end]) => sum + end - start, 0));
  return intervals.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => ({ physical: start + i })));
}

/** A list of virtual layers that fits a base, or a ModelError that names every fault. */
export function checkVirtualLayers(
  layers: readonly VirtualLayer[],
  base: Pick<ModelSpec, 'layers'>,
): readonly VirtualLayer[] {
  checkLayerCount(layers.length);
  const faults = layers.flatMap((layer, index) => {
    const { physical, residualScale } = layer;
    const messages = [];
    const spec = base.layers[physical];
    if (spec === undefined) messages.push(missingLayer(index, physical, base));
    if (residualScale !== undefined && !Number.isFinite(residualScale)) {
      messages.push(`virtual layer ${index} has residualScale ${residualScale}; expected a finite number`);
    }
    for (const [linear, scale] of Object.entries(layer.linearScales ?? {})) {
      const names = spec && linearsOf(spec).map(({ name }) => name);
      if (names?.includes(linear) === false)
        messages.push(`virtual layer ${index} scales ${linear}; its linear layers are ${names.join(', ')}`);
      if (!Number.isFinite(scale))
        messages.push(`virtual layer ${index} has the scale ${scale} of ${linear}; expected a finite number`);
    }
    if (layer.start !== undefined && layer.weights !== 'own')
      messages.push(
        `virtual layer ${index} is to start at zero and shares its weights; expected weights: 'own' with it`,
      );
    return messages;
  });
  if (layers.length === 0) faults.push('the expansion yields no layers at all');
  if (faults.length > 0)
    throw new ModelError('EXPANSION_INVALID', `the expansion does not fit the base:\n  ${shortLines(faults)}`);
  return layers;
}

/** What is wrong with a virtual layer whose physical layer the base does not have. */
export const missingLayer = (virtual: number, physical: number, { layers }: Pick<ModelSpec, 'layers'>): string =>
  `virtual layer ${virtual} names physical layer ${physical}; the base has layers 0 to ${layers.length - 1}`;

/** For people: layers whose adapters a residual scale of 0 hides. */
export function silentLayers(layers: readonly VirtualLayer[]): string[] {
  const silent = layers.flatMap(({ residualScale }, virtual) => (residualScale === 0 ? [String(virtual)] : []));
  return silent.length === 0
    ? []
    : [
        `residualScale is 0 in the virtual layers ${shortList(silent, 8)}: they and their adapters have no effect, and the adapters cannot learn`,
      ];
}

/** What the base's weight and bias of a linear layer are multiplied by. */
export const linearScaleOf = ({ linearScales }: VirtualLayer, linear: string): number => linearScales?.[linear] ?? 1;

/** The base as it is: each physical layer once. */
export const unexpandedLayers = (physicalLayers: number): VirtualLayer[] =>
  Array.from({ length: physicalLayers }, (_, physical) => ({ physical }));

/** How often each virtual layer's physical layer was used before it: 0 for a first use, more for repeats. */
export function usesOf(layers: readonly VirtualLayer[]): number[] {
  const seen = new Map<number, number>();
  return layers.map(({ physical }) => {
    const use = seen.get(physical) ?? 0;
    seen.set(physical, use + 1);
    return use;
  });
}

/** The half-open intervals `[start, end)` that a list of virtual layers is made of, as PEFT and mergekit write them. */
export function layerMap(layers: readonly VirtualLayer[]): [number, number][] {
  const intervals: [number, number][] = [];
  for (const { physical } of layers) {
    const last = intervals.at(-1);
    if (last !== undefined && last[1] === physical) last[1] += 1;
    else intervals.push([physical, physical + 1]);
  }
  return intervals;
}

/** Options that strategies offer for repeats: weights of their own, a factor on what they add to the residual stream. */
export const repeatOptions = {
  weights: z
    .literal('own')
    .optional()
    .describe("`own`: float32 copies of the physical layer's tensors, all of them trained, and no adapters there."),
  residualScale: z
    .number()
    .refine((scale) => scale !== 0, {
      error:
        'with residualScale 0 the adapters of repeats have no gradient and never learn: for repeats that begin by adding nothing, use gate: "learned" or the kind llama_pro',
    })
    .optional()
    .describe('Multiplies what a repeat adds; two uses whose outputs are alike want about 0.5 to 0.7.'),
  gate: z
    .literal('learned')
    .optional()
    .describe(
      'A trained factor that begins at 0, so that the expanded model begins as its base (LLaMA-Pro, Wu et al. 2024).',
    ),
};

/** The same layers, with options on all but the first use of each physical layer. */
export function markRepeats(
  layers: readonly VirtualLayer[],
  { weights, residualScale, gate }: { readonly [K in keyof typeof repeatOptions]?: VirtualLayer[K] | undefined },
): VirtualLayer[] {
  const uses = usesOf(layers);
  return layers.map((layer, index) =>
    uses[index] === 0
      ? layer
      : {
          ...layer,
          ...(weights === undefined ? {} : { weights }),
          ...(residualScale === undefined ? {} : { residualScale }),
          ...(gate === undefined ? {} : { gate }),
        },
  );
}
