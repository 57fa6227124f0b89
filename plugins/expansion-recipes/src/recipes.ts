import {
  layersOfMap,
  markRepeats,
  ModelError,
  repeatOptions,
  type ExpansionStrategy,
  type VirtualLayer,
} from '@glulam/model';
import { z } from 'zod';

type Interval = readonly [start: number, end: number];

const refuse = (recipe: string, message: string): never => {
  throw new ModelError('EXPANSION_INVALID', `${recipe} does not fit the base: ${message}`);
};

const depthUpSchema = z.strictObject({
  m: z
    .int()
    .min(0)
    .describe('So many layers are left out at the end of the first copy and at the beginning of the second.'),
  ...repeatOptions,
});
export type DepthUpOptions = z.input<typeof depthUpSchema>;

/** `{ kind: 'depth_up', m: 8 }`: SOLAR's depth up-scaling (Kim et al. 2023), the map `[[0, n - m], [m, n]]`. */
export const depthUpStrategy: ExpansionStrategy<z.infer<typeof depthUpSchema>> = {
  kind: 'depth_up',
  schema: depthUpSchema,
  expand(n, { m, ...repeats }) {
    if (m >= n)
      refuse('depth_up', `m is ${m} of ${n} layers, so nothing is left of either copy; expected 0 to ${n - 1}`);
    return markRepeats(
      layersOfMap([
        [0, n - m],
        [m, n],
      ]),
      repeats,
    );
  },
};

const repeatSchema = z.strictObject({
  i: z.int().min(0).describe('The first layer that is run again.'),
  j: z.int().positive().describe('The layer behind the last one that is run again.'),
  ...repeatOptions,
});
export type RepeatYourselfOptions = z.input<typeof repeatSchema>;

/** `{ kind: 'repeat_yourself', i: 45, j: 52 }`: the layers i to j - 1 twice in a row, the map `[[0, j], [i, n]]`. */
export const repeatYourselfStrategy: ExpansionStrategy<z.infer<typeof repeatSchema>> = {
  kind: 'repeat_yourself',
  schema: repeatSchema,
  expand(n, { i, j, ...repeats }) {
    if (i >= j || j > n) refuse('repeat_yourself', `i is ${i} and j is ${j}; expected i < j, and j of at most ${n}`);
    return markRepeats(
      layersOfMap([
        [0, j],
        [i, n],
      ]),
      repeats,
    );
  },
};

const wholeSchema = z.strictObject({ times: z.int().min(1).max(64).describe('How often.'), ...repeatOptions });
export type WholeStackOptions = z.input<typeof wholeSchema>;

/** `{ kind: 'whole_stack', times: 2 }`: all layers from first to last, so often. */
export const wholeStackStrategy: ExpansionStrategy<z.infer<typeof wholeSchema>> = {
  kind: 'whole_stack',
  schema: wholeSchema,
  expand: (n, { times, ...repeats }) =>
    markRepeats(layersOfMap(Array.from({ length: times }, (): Interval => [0, n])), repeats),
};

const windowsSchema = z.strictObject({
  window: z.int().positive().describe('Layers in a row.'),
  step: z.int().positive().describe('From the beginning of one window to that of the next.'),
  ...repeatOptions,
});
export type SlidingWindowsOptions = z.input<typeof windowsSchema>;

/**
 * `{ kind: 'sliding_windows', window: 20, step: 10 }`: `[[0, 20], [10, 30], ..., [n - 20, n]]`, which makes the 120 B models
 * (MegaDolphin, Venus: 140 layers) of a 70 B one of 80.
 */
export const slidingWindowsStrategy: ExpansionStrategy<z.infer<typeof windowsSchema>> = {
  kind: 'sliding_windows',
  schema: windowsSchema,
  expand(n, { window, step, ...repeats }) {
    if (window > n) refuse('sliding_windows', `window is ${window}, the base has ${n} layers`);
    if (step > window)
      refuse('sliding_windows', `step ${step} is more than window ${window}: layers would be left out`);
    if ((n - window) % step !== 0)
      refuse(
        'sliding_windows',
        `the last window would not end with layer ${n - 1}; expected ${n} - window to be a multiple of step`,
      );
    const windows = Array.from({ length: (n - window) / step + 1 }, (_, k): Interval => [k * step, k * step + window]);
    return markRepeats(layersOfMap(windows), repeats);
  },
};

const llamaProSchema = z.strictObject({
  layers: z.int().positive().describe('So many layers altogether, the new ones included.'),
});
export type LlamaProOptions = z.input<typeof llamaProSchema>;

/**
 * `{ kind: 'llama_pro', layers: 40 }`: LLaMA-Pro's block expansion (Wu et al. 2024). After every so many layers a copy of
 * the last of them, with weights of its own whose `o_proj` and `down_proj` are zero: the model begins as its base. With
 * `adapter: { kind: 'none' }` the copies alone are trained.
 */
export const llamaProStrategy: ExpansionStrategy<z.infer<typeof llamaProSchema>> = {
  kind: 'llama_pro',
  schema: llamaProSchema,
  expand(n, { layers }) {
    const added = layers - n;
    if (added < 1 || n % added !== 0) {
      const possible = Array.from({ length: n }, (_, i) => i + 1).filter((count) => n % count === 0);
      refuse(
        'llama_pro',
        `layers is ${layers}, and ${n} layers take in copies at equal distances if there are ${possible.map((count) => n + count).join(', ')}`,
      );
    }
    const every = n / added;
    return layersOfMap([[0, n]]).flatMap((layer): VirtualLayer[] =>
      (layer.physical + 1) % every === 0 ? [layer, { ...layer, weights: 'own', start: 'zero' }] : [layer],
    );
  },
};
