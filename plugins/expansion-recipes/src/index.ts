import { strategies } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { mergekitStrategy, type MergekitOptions } from './mergekit.js';
import {
  depthUpStrategy,
  llamaProStrategy,
  repeatYourselfStrategy,
  slidingWindowsStrategy,
  wholeStackStrategy,
  type DepthUpOptions,
  type RepeatYourselfOptions,
  type WholeStackOptions,
  type SlidingWindowsOptions,
  type LlamaProOptions,
} from './recipes.js';

export { readMergekitLayers } from './mergekit-file.js';
export { mergekitStrategy } from './mergekit.js';
export {
  depthUpStrategy,
  llamaProStrategy,
  repeatYourselfStrategy,
  slidingWindowsStrategy,
  wholeStackStrategy,
} from './recipes.js';

const all = [
  depthUpStrategy,
  repeatYourselfStrategy,
  wholeStackStrategy,
  slidingWindowsStrategy,
  llamaProStrategy,
  mergekitStrategy,
];

type Offers =
  | Offer<'expansion', 'depth_up', DepthUpOptions>
  | Offer<'expansion', 'repeat_yourself', RepeatYourselfOptions>
  | Offer<'expansion', 'whole_stack', WholeStackOptions>
  | Offer<'expansion', 'sliding_windows', SlidingWindowsOptions>
  | Offer<'expansion', 'llama_pro', LlamaProOptions>
  | Offer<'expansion', 'mergekit', MergekitOptions>;

/** The plugin: expansions that are known by name, and mergekit's passthrough files. */
export const expansionRecipes = (): Plugin<Offers> =>
  definePlugin({
    name: '@glulam/expansion-recipes',
    contract: 2,
    register(registry) {
      for (const strategy of all) registry.contribute(strategies, { create: () => strategy });
    },
  });
