import type { LinearSite } from './adapter.js';
import { linearShape } from './checkpoint.js';
import { linearNames, type DecoderShape } from './family.js';
import { visits, type VirtualLayer } from './virtual-layer.js';

/** Every frozen linear layer of every virtual layer, in order: where adapters may sit. */
export function linearSites(shape: DecoderShape, layers: readonly VirtualLayer[]): LinearSite[] {
  const visitOf = visits(layers);
  return layers.flatMap(({ physical }, virtual) =>
    linearNames.map((linear) => {
      const [outFeatures, inFeatures] = linearShape(shape, linear);
      const path = `${shape.names.layer(virtual)}.${linear}`;
      return { virtual, physical, visit: visitOf[virtual]!, linear, path, inFeatures, outFeatures };
    }),
  );
}
