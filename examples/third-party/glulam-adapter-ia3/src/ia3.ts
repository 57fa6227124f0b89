import { isTarget, type Adapter, type LinearSite } from '@glulam/model';
import type { Ia3Options } from './ia3-options.js';
import { ia3ToPeft } from './ia3-peft.js';

/**
 * (IA)³ (Liu et al. 2022): a trained vector l, which begins as ones, scales what a linear layer gives, y = l * (W x + b), its
 * bias included, or what a feed-forward one takes, y = W (l * x) + b. As PEFT does it (`peft/tuners/ia3`).
 */
export function createIa3(options: Ia3Options): Adapter {
  const { target_modules: targets, feedforward_modules: feedforward, exclude_modules: excluded } = options;
  // PEFT compares these by the end of a path, whether or not a name begins there.
  const isFeedforward = ({ path }: LinearSite): boolean =>
    typeof feedforward === 'string'
      ? new RegExp(`^(?:${feedforward})$`).test(path)
      : feedforward.some((name) => path.endsWith(name));
  return {
    kind: 'ia3',
    at(site) {
      if (!isTarget(site, targets) || (excluded !== null && isTarget(site, excluded))) return undefined;
      const onInput = isFeedforward(site);
      const size = onInput ? site.inFeatures : site.outFeatures;
      const shape = onInput ? [1, size] : [size, 1];
      return {
        parameters: [{ name: 'ia3_l', shape, initial: () => new Float32Array(size).fill(1) }],
        form({ ia3_l }, { ops }) {
          const scale = ops.reshape(ia3_l!, [size]);
          return onInput ? { inScale: scale } : { outScale: scale, biasScale: scale };
        },
      };
    },
    peftConfig: () => ia3ToPeft(options),
  };
}
