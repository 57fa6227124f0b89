import { linearNames } from '../family.js';
import { z } from 'zod';

const pattern = (of: z.ZodType<number>) => z.record(z.string(), of);
const positive = z.int().positive();

/** What LoRA and its kin share, by PEFT's names and defaults, so that a LoraConfig can be copied. */
export const lowRankSchema = z.strictObject({
  r: z
    .union([
      positive,
      z
        .strictObject({
          first: z.int().min(0).describe('Of first visits.'),
          repeats: z.int().min(0).describe('Of repeats.'),
        })
        .refine(({ first, repeats }) => first + repeats > 0, 'first and repeats are both 0: nothing would be trained'),
    ])
    .default(8)
    .describe(
      'The rank; `{ first, repeats }` tells first visits to a physical layer from repeats, 0: no adapter there.',
    ),
  matchTrainable: positive
    .optional()
    .describe('Raise or lower r (of repeats, where it tells them apart) to make at most so many trainable parameters.'),
  lora_alpha: z.number().positive().default(8).describe('B A is multiplied by lora_alpha / r.'),
  lora_dropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('The share of the input that is dropped before A, in training.'),
  target_modules: z
    .union([
      z.literal('all-linear'),
      z.string().refine(isRegularExpression, 'expected a regular expression'),
      z.array(z.string()).min(1),
    ])
    .default('all-linear')
    .describe('Names by suffix, one regular expression over the whole path, or `all-linear`.'),
  use_rslora: z
    .boolean()
    .default(false)
    .describe('Scale by lora_alpha / sqrt(r) instead of lora_alpha / r (Kalajdzievski 2023).'),
  rank_pattern: pattern(positive).default({}).describe('Regular expressions over the ends of paths to another r.'),
  alpha_pattern: pattern(z.number().positive()).default({}).describe('The same for lora_alpha.'),
  layers_to_transform: z
    .union([z.int().min(0), z.array(z.int().min(0))])
    .nullable()
    .default(null)
    .describe('Virtual indices of the layers that get adapters; null: all.'),
  exclude_modules: z
    .union([z.string().refine(isRegularExpression, 'expected a regular expression'), z.array(z.string())])
    .nullable()
    .default(null)
    .describe('What has no adapter though `target_modules` names it, by the same rules.'),
  init_lora_weights: z
    .union([z.literal(true), z.enum(['gaussian', 'pissa']), z.templateLiteral(['pissa_niter_', z.int().min(0)])])
    .default(true)
    .describe(
      "`true`: A is Kaiming-uniform with a = sqrt(5), B zero; `gaussian`: A is normal with deviation 1 / r; `pissa`: both are the frozen weight's first singular triples, which the weight then lacks (Meng et al. 2024), with a number of iterations `pissa_niter_16`.",
    ),
  bias: z
    .enum(['none', 'all', 'lora_only'])
    .default('none')
    .describe('Biases that are trained as well: all of the model, or those of linear layers with an adapter.'),
  modules_to_save: z
    .array(z.string().min(1))
    .nullable()
    .default(null)
    .describe(
      "Modules that are trained whole, as float32 copies, by the end of their names: `['embed_tokens', 'lm_head']`.",
    ),
  ensure_weight_tying: z
    .boolean()
    .default(false)
    .describe('Where the head is the embedding: one copy for both, instead of one each.'),
  loraplus_lr_ratio: z
    .number()
    .positive()
    .default(1)
    .describe("B learns so many times as fast as A (LoRA+, Hayou et al. 2024); 16 is the paper's choice. PEFT's name."),
});

export type LowRankOptions = z.infer<typeof lowRankSchema>;

/** What is wrong between the options; PEFT would ignore or refuse each of these. */
export function lowRankFaults(options: LowRankOptions): string[] {
  const { target_modules: targets, layers_to_transform: layers, rank_pattern, alpha_pattern } = options;
  const faults: string[] = [];
  if (typeof targets === 'string' && targets !== 'all-linear' && layers !== null) {
    faults.push(
      'layers_to_transform works with a list of target_modules only: say the layers in the regular expression',
    );
  }
  if (Array.isArray(targets)) {
    const names = linearNames.map((name) => `model.layers.0.${name}`);
    for (const target of targets) {
      // A target may carry a virtual index; only its last part must be a linear layer.
      const last = target.split('.').at(-1)!;
      if (!names.some((name) => name.endsWith(`.${last}`))) {
        faults.push(
          `target_modules names "${target}"; the linear layers are ${linearNames.map((name) => name.split('.')[1]).join(', ')}`,
        );
      }
    }
  }
  for (const key of [...Object.keys(rank_pattern), ...Object.keys(alpha_pattern)]) {
    if (!isRegularExpression(key)) faults.push(`the pattern "${key}" is not a regular expression`);
  }
  return faults;
}

function isRegularExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
