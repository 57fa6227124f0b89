import { findNotFinite, type NotFinite, type WeightSource } from '@glulam/files';
import type { Checkpoint } from '../weights/checkpoint.js';
import { expectedTensors } from '../weights/expected-tensors.js';
import type { CheckpointTensors } from '../weights/checkpoint-tensors.js';
import type { Decoder } from './decoder.js';
import { ModelError } from '../errors.js';
import { layerPath, type ModelSpec } from '../families/model-spec.js';

/** What a stored tensor holds that it should not, for messages. */
export function describeNotFinite(
  { name, origin }: Pick<WeightSource, 'name' | 'origin'>,
  { at, value }: NotFinite,
): string {
  return `tensor ${name} of ${origin} holds ${value} at [${at.join(', ')}], expected finite numbers`;
}

/** Values of rows of a stored tensor, from the row `start` on, as they were given; throws WEIGHT_NOT_FINITE. */
export function checkFiniteRows(
  source: Pick<WeightSource, 'name' | 'origin' | 'shape'>,
  values: Float32Array,
  start: number,
  advice: string,
): Float32Array {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return values;
  const at: number[] = [];
  let rest = index;
  for (const size of source.shape.slice(1).toReversed()) {
    at.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  if (source.shape.length > 0) at.unshift(start + rest);
  throw weightNotFinite(`${describeNotFinite(source, { at, value: values[index]! })}: ${advice}`);
}

/** The error about a weight that is NaN or infinite. */
export const weightNotFinite = (message: string): ModelError => new ModelError('WEIGHT_NOT_FINITE', message);

/** What to do about such a value in a base. */
export const brokenBase = 'the base is damaged; get this file again';

/** Bases without such values, as far as all their tensors were looked at: they are not read again. */
const sound = new WeakSet<CheckpointTensors>();

/**
 * The first value of the base's tensors that is not finite, in words, or undefined. Reads tensors whole: for when
 * something is known to be wrong.
 *
 * @param isWanted which of the tensors to look at, by name; default: all that a decoder reads
 */
export async function findBrokenWeight(
  { files, spec }: Pick<Checkpoint, 'files' | 'spec'>,
  isWanted?: (name: string) => boolean,
): Promise<string | undefined> {
  if (sound.has(files)) return undefined;
  for (const name of expectedTensors(spec).keys()) {
    if (isWanted?.(name) === false) continue;
    const source = files.source(name);
    const found = await findNotFinite(source);
    if (found !== undefined) return describeNotFinite(source, found);
  }
  if (isWanted === undefined) sound.add(files);
  return undefined;
}

/** The tensors of one physical layer, by name. */
export const isOfLayer = (spec: ModelSpec, physical: number): ((name: string) => boolean) => {
  const prefix = `${layerPath(spec, physical)}.`;
  return (name) => name.startsWith(prefix);
};

/**
 * Where some of a model's outputs are not finite, look for the reason in the base.
 *
 * @throws ModelError WEIGHT_NOT_FINITE that names file and tensor, if a weight of the base is not finite
 */
export async function checkOutputs(
  { checkpoint, layers }: Pick<Decoder, 'checkpoint' | 'layers'>,
  outputs: ArrayLike<number>,
): Promise<void> {
  if (isFinite(outputs)) return;
  const { spec } = checkpoint;
  const unused = [...spec.layers.keys()]
    .filter((physical) => layers.every((layer) => layer.physical !== physical))
    .map((physical) => isOfLayer(spec, physical));
  const isUsed = unused.length === 0 ? undefined : (name: string) => !unused.some((isOf) => isOf(name));
  const found = await findBrokenWeight(checkpoint, isUsed);
  if (found !== undefined) throw weightNotFinite(`the model's outputs are not finite, since ${found}: ${brokenBase}`);
}

function isFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
