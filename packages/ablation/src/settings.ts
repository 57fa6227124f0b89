import { z } from 'zod';

const choice = z.looseObject({ kind: z.string() });

const variantSchema = z.strictObject({
  name: z.string().trim().min(1).max(80).describe('As the report names it; its letters and digits name its folder.'),
  expansion: z
    .union([z.literal('none'), choice], "expected 'none', or { kind, ... } as the config's expansion")
    .optional()
    .describe("In place of the config's; `none`: the base as it is."),
  adapter: z
    .looseObject({ kind: z.string().optional() })
    .optional()
    .describe("Of another kind in place of the config's; of the same kind, or without a kind, over its options."),
});

/** The key `ablation` of a config. */
export const ablationSchema = z.strictObject({
  variants: z
    .array(variantSchema)
    .min(1)
    .optional()
    .describe(
      'Default: the base, the expanded base, and the adapter on both, with ranks that train as much on either.',
    ),
  seeds: z
    .array(z.int().min(0).max(0xffffffff))
    .min(1)
    .refine((seeds) => new Set(seeds).size === seeds.length, 'a seed is there twice; expected different ones')
    .optional()
    .describe("Each variant is trained once a seed; default: the config's seed."),
});

/** The key `ablation` as a config may write it. */
export type AblationInput = z.input<typeof ablationSchema>;
/** The key `ablation` after `ablationSchema`. */
export type AblationSettings = z.output<typeof ablationSchema>;
/** An entry of `ablation.variants` after `ablationSchema`. */
export type VariantSettings = z.output<typeof variantSchema>;
