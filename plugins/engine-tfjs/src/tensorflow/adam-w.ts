import type { AdamWUpdate, FusedOperations, Tensor } from '@glulam/tensors';
import type { Bench } from './fused.js';
import type { TfTensor } from './binding.js';

/** Elements that are updated together: so many that calls cost nothing beside the arithmetic, and scratch stays small. */
const mostElements = 2 ** 20;

/** The composition's arithmetic on many tensors at once: a model has hundreds of small ones, and a call costs its time. */
export function adamW({ ops, of, renew }: Bench): FusedOperations['adamW'] {
  const { mul, add, scalar, run } = ops;
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    for (const group of groupsOf(updates)) {
      const { learningRate, weightDecay } = group[0]!;
      const lengths = group.map(({ parameter }) => parameter.shape[0]!);
      const joined = (member: 'parameter' | 'gradient' | 'mean' | 'variance'): TfTensor =>
        group.length === 1
          ? of(group[0]![member])
          : ops.concatenate(
              group.map((update) => of(update[member])),
              0,
            );
      const parts = (all: TfTensor): readonly TfTensor[] => (group.length === 1 ? [all] : ops.split(all, lengths));
      const targets: Tensor[] = (['mean', 'variance', 'parameter'] as const).flatMap((member) =>
        group.map((update) => update[member]),
      );
      renew('adamW', targets, () => {
        const gradient = mul(joined('gradient'), scalar(gradientScale));
        const mean = add(mul(joined('mean'), scalar(beta1)), mul(gradient, scalar(1 - beta1)));
        const squares = mul(run('Square', [gradient]), scalar(1 - beta2));
        const variance = add(mul(joined('variance'), scalar(beta2)), squares);
        const root = add(mul(run('Sqrt', [variance]), scalar(1 / Math.sqrt(1 - beta2 ** step))), scalar(epsilon));
        const move = mul(run('RealDiv', [mean, root]), scalar(-learningRate / (1 - beta1 ** step)));
        const parameter = add(mul(joined('parameter'), scalar(1 - learningRate * weightDecay)), move);
        return [mean, variance, parameter].flatMap(parts);
      });
    }
  };
}

/** Updates whose tensors can lie on one another, by runs of at most `mostElements`. */
function groupsOf(updates: readonly AdamWUpdate[]): readonly (readonly AdamWUpdate[])[] {
  const open = new Map<string, { updates: AdamWUpdate[]; elements: number }>();
  const groups: AdamWUpdate[][] = [];
  for (const update of updates) {
    const { parameter, learningRate, weightDecay } = update;
    const { shape, size } = parameter;
    const key = JSON.stringify([shape.length, shape.slice(1), learningRate, weightDecay]);
    const group = open.get(key);
    if (group !== undefined && shape.length > 0 && group.elements + size <= mostElements) {
      group.updates.push(update);
      group.elements += size;
      continue;
    }
    const begun = { updates: [update], elements: size };
    open.set(key, begun);
    groups.push(begun.updates);
  }
  return groups;
}
