import { ModelError } from '../errors.js';
import { layerMap, type VirtualLayer } from '../expansion/virtual-layer.js';

/** An adapter among several, and how much of its change is wanted: 1 is the adapter as it was trained. */
export interface ChosenAdapter {
  /** The name under which it was loaded. */
  readonly name: string;
  /** A finite number; 0 leaves the adapter out, and negative ones subtract its change. */
  readonly weight: number;
}

/** Throws ADAPTER_INVALID where weights are no numbers, or a name is there twice. */
export function checkSelection(parts: readonly ChosenAdapter[]): void {
  for (const [i, { name, weight }] of parts.entries()) {
    if (!Number.isFinite(weight))
      throw new ModelError('ADAPTER_INVALID', `the weight of "${name}" is ${weight}; expected a finite number`);
    if (parts.findIndex((each) => each.name === name) !== i)
      throw new ModelError('ADAPTER_INVALID', `"${name}" is chosen twice; give it once, with the sum of the weights`);
  }
}

/** Of a part that trains what only one of them can have. */
export const noSum = (name: string, what: string): ModelError =>
  new ModelError(
    'ADAPTER_INVALID',
    `the adapter "${name}" ${what}, which has no weighted sum: choose it alone, with weight 1`,
  );

/** Throws ADAPTER_INVALID where an adapter was trained on other layers; `from` says which it is. */
export function checkSameLayers(from: string, own: readonly VirtualLayer[], layers: readonly VirtualLayer[]): void {
  if (own.length === layers.length && own.every((layer, index) => keyOf(layer) === keyOf(layers[index]!))) return;
  throw new ModelError(
    'ADAPTER_INVALID',
    `${from} was trained on the layers ${describeLayers(own)}; this model has ${describeLayers(layers)}: an adapter fits the layers that it was trained on, and no others`,
  );
}

const keyOf = (layer: VirtualLayer): string => {
  const { physical, weights = 'shared', residualScale = 1, linearScales = {}, gate } = layer;
  const scales = Object.entries(linearScales).filter(([, scale]) => scale !== 1);
  return JSON.stringify([physical, weights, residualScale, scales.sort(), gate]);
};

/** The map, and what of repeats a map does not say. */
function describeLayers(layers: readonly VirtualLayer[]): string {
  const extras = layers.flatMap((layer, i) => {
    const { weights, residualScale, linearScales, gate } = layer;
    const said = [
      ...(weights === 'own' ? ['own weights'] : []),
      ...(residualScale === undefined ? [] : [`residualScale ${residualScale}`]),
      ...(linearScales === undefined ? [] : [`linearScales ${JSON.stringify(linearScales)}`]),
      ...(gate === undefined ? [] : ['a gate']),
    ];
    return said.length === 0 ? [] : [`${i} with ${said.join(' and ')}`];
  });
  const map = JSON.stringify(layerMap(layers));
  return extras.length === 0 ? map : `${map} (${extras.join(', ')})`;
}
