import { findBrokenWeight, isOfLayer, layerPath, weightName, type Decoder, type PassOptions } from '@glulam/model';
import type { Tensor } from '@glulam/tensors';
import type { LabelledBatch } from './batches.js';

/** Where a number first stopped being finite, for people. */
interface NotFiniteSource {
  readonly where: string;
  /** The weight of the base that is to blame: its tensor, file and place; undefined where they are all finite. */
  readonly weight: string | undefined;
}

/**
 * The first virtual layer whose output is not finite in a forward pass over the batches (with the route and the draws of `pass`),
 * else the one whose gradient is not, in the order of backward. Of the base only tensors are read that may be to blame.
 */
export async function firstNotFinite(
  decoder: Decoder,
  batches: readonly {
    readonly batch: LabelledBatch;
    readonly pass: Pick<PassOptions, 'route' | 'training'>;
  }[],
  gradients: ReadonlyMap<string, Tensor>,
): Promise<NotFiniteSource> {
  const { spec, checkpoint } = decoder;
  const finite = async (tensor: Tensor): Promise<boolean> =>
    (await decoder.engine.read(tensor)).every((value) => Number.isFinite(value));
  const name = (virtual: number): string =>
    `virtual layer ${virtual} (physical layer ${decoder.layers[virtual]!.physical})`;

  for (const { batch, pass } of batches) {
    let first: number | undefined;
    const onLayer = async (virtual: number, output: Tensor): Promise<void> => {
      if (first === undefined && !(await finite(output))) first = virtual;
    };
    const hidden = await decoder.forward(batch, { ...pass, onLayer });
    const last = await finite(hidden);
    hidden.release();
    if (first !== undefined) {
      const isOf = isOfLayer(spec, decoder.layers[first]!.physical);
      const isInput = (tensor: string): boolean => first === 0 && tensor === weightName(spec.embedding.name);
      return {
        where: `the first values that are not finite come out of ${name(first)} in the forward pass`,
        weight: await findBrokenWeight(checkpoint, (tensor) => isInput(tensor) || isOf(tensor)),
      };
    }
    if (!last)
      return {
        where: 'the first values that are not finite come out of the last norm in the forward pass',
        weight: await findBrokenWeight(checkpoint, (tensor) => tensor === weightName(spec.finalNorm.name)),
      };
  }

  const broken = new Set<number>();
  for (const [parameter, gradient] of gradients) {
    const virtual = virtualOf(decoder, parameter);
    if (virtual !== undefined && !broken.has(virtual) && !(await finite(gradient))) broken.add(virtual);
  }
  const head = weightName(spec.head.tied ? spec.embedding.name : spec.head.name);
  const weight = await findBrokenWeight(checkpoint, (tensor) => tensor === head);
  if (broken.size > 0) {
    const where = `the forward pass is finite; going back, the first gradient that is not is of ${name(Math.max(...broken))}`;
    return { where, weight };
  }
  for (const [parameter, gradient] of gradients)
    if (!(await finite(gradient)))
      return { where: `every virtual layer gave finite values; the gradient of ${parameter} is not`, weight };
  const where =
    'every virtual layer gave finite values: what is not finite comes from the output head, or is a norm too large';
  return { where, weight };
}

function virtualOf({ layers, spec }: Decoder, parameter: string): number | undefined {
  const virtual = layers.findIndex((_, index) => parameter.startsWith(`${layerPath(spec, index)}.`));
  return virtual < 0 ? undefined : virtual;
}
