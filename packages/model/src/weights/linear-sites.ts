import type { LinearSite } from '../adapters/adapter.js';
import { baseTensors } from './base-tensors.js';
import { layerPath, weightName, type ModelSpec } from '../families/model-spec.js';
import type { VirtualLayer } from '../expansion/virtual-layer.js';

/** Every frozen linear layer of every virtual layer, in order: where adapters may sit. */
export function linearSites(spec: ModelSpec, layers: readonly VirtualLayer[]): LinearSite[] {
  return baseTensors(spec, layers).flatMap(({ kind, site }) =>
    site !== undefined && kind === 'weight' && layers[site.virtual]!.weights !== 'own' ? [site] : [],
  );
}

/** The name of the base's weight under a site. */
export const weightOfSite = (spec: ModelSpec, { physical, linear }: LinearSite): string =>
  weightName(`${layerPath(spec, physical)}.${linear}`);
