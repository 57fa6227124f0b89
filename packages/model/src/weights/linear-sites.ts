import type { LinearSite } from '../adapters/adapter.js';
import { baseTensors } from './base-tensors.js';
import type { DecoderShape } from '../families/family.js';
import type { VirtualLayer } from '../expansion/virtual-layer.js';

/** Every frozen linear layer of every virtual layer, in order: where adapters may sit. */
export function linearSites(shape: DecoderShape, layers: readonly VirtualLayer[]): LinearSite[] {
  return baseTensors(shape, layers).flatMap(({ kind, site }) =>
    site !== undefined && kind === 'weight' && layers[site.virtual]!.weights !== 'own' ? [site] : [],
  );
}
