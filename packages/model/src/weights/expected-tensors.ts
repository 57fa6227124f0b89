import { baseTensors } from './base-tensors.js';
import type { DecoderShape } from '../families/family.js';
import { unexpandedLayers } from '../expansion/virtual-layer.js';

/** Every tensor that the decoder will read, with the shape that `config.json` gives it. */
export function expectedTensors(shape: DecoderShape): Map<string, readonly number[]> {
  const places = baseTensors(shape, unexpandedLayers(shape.physicalLayers));
  return new Map(places.map(({ source, shape: size }) => [source, size]));
}
