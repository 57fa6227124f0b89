import { quoteValue } from '@glulam/files';
import { mostLayers } from '../expansion/virtual-layer.js';
import type { FieldReader } from './checkpoint-config.js';

/**
 * A field that has one of `values` for each physical layer; undefined where it is missing or null. A list of another length is a
 * fault.
 */
export function readLayerList<Value extends string | number>(
  fields: FieldReader,
  name: string,
  values: readonly Value[],
): readonly Value[] | undefined {
  const given = fields.raw(name) ?? undefined;
  if (given === undefined) return undefined;
  const layers = fields.integer('num_hidden_layers');
  const wanted = `one of ${values.map((value) => JSON.stringify(value)).join(' and ')} for each of ${layers} layers`;
  if (!Array.isArray(given)) fields.fault(`${name} is ${quoteValue(given)}; expected a list: ${wanted}`);
  else if (given.length !== layers) fields.fault(`${name} has ${given.length} entries; expected ${wanted}`);
  else {
    const wrong = given.findIndex((value) => !values.includes(value as Value));
    if (wrong < 0) return given as readonly Value[];
    fields.fault(`${name}[${wrong}] is ${quoteValue(given[wrong])}; expected ${wanted}`);
  }
  return undefined;
}

/** A value for each physical layer. Of a number of layers that no model has nothing is made: `readLlamaSpec` refuses it. */
export function eachLayer<T>(fields: FieldReader, of: (index: number) => T): T[] {
  const layers = fields.integer('num_hidden_layers');
  return Array.from({ length: layers > mostLayers ? 0 : layers }, (_, index) => of(index));
}

/**
 * The window of each layer, 0 for none: as `layer_types` says, where the config has it, else where `slides`.
 *
 * @param kinds.window of layers that slide; 0: none does
 */
export function readLayerTypes(
  fields: FieldReader,
  { window, slides }: { readonly window: number; readonly slides: (index: number) => boolean },
): readonly number[] {
  const types = readLayerList(fields, 'layer_types', ['full_attention', 'sliding_attention']);
  return eachLayer(fields, (index) => {
    const isSliding = types === undefined ? slides(index) : types[index] === 'sliding_attention';
    return isSliding ? window : 0;
  });
}

/** A share above 0 and at most 1: `inside` where it is given, else the field of this name; default: 1. */
export function readShare(fields: FieldReader, name: string, inside: unknown): number {
  const value = inside ?? fields.raw(name) ?? 1;
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  fields.fault(`${name} is ${quoteValue(value)}; expected a number above 0 and at most 1`);
  return 1;
}
