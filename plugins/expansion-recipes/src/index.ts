import { strategies, type ExpansionStrategy } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';
import { mergekitStrategy } from './mergekit.js';
import {
  depthUpStrategy,
  llamaProStrategy,
  repeatYourselfStrategy,
  slidingWindowsStrategy,
  wholeStackStrategy,
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

/** The plugin: expansions that are known by name, and mergekit's passthrough files. */
export const expansionRecipes = (): Plugin =>
  definePlugin({
    name: '@glulam/expansion-recipes',
    register(registry) {
      for (const strategy of all) registry.contribute(strategies, { create: () => strategy as ExpansionStrategy });
    },
  });
