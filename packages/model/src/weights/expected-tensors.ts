import { baseTensors } from './base-tensors.js';
import type { ModelSpec } from '../families/model-spec.js';
import { unexpandedLayers } from '../expansion/virtual-layer.js';

/** Every tensor that the decoder will read, with the shape that `config.json` gives it. */
export function expectedTensors(spec: ModelSpec): Map<string, readonly number[]> {
  const places = baseTensors(spec, unexpandedLayers(spec.layers.length));
  return new Map(places.map(({ source, shape }) => [source, shape]));
}
