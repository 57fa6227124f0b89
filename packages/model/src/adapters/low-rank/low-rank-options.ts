import type { LinearSite } from '../adapter.js';
import { ModelError } from '../../errors.js';
import { linearNamesOf, type ModelSpec } from '../../families/model-spec.js';
import { z } from 'zod';
import { isSavedModule, savedPattern } from './low-rank-copies.js';
import { pythonRegex, pythonRegexFault } from '../python-regex/python-regex.js';
import { isAdapted, isAllLinear, keyPattern, layerPattern, matches } from './targets.js';

const pattern = (of: z.ZodType<number>) => z.record(z.string(), of);
const positive = z.int().positive();

/** What LoRA and its kin share, by PEFT's names and defaults, so that a LoraConfig can be copied. */
export const lowRankSchema = z.strictObject({
  r: z
    .union([
      positive,
      z
        .strictObject({
          first: z.int().min(0).describe('Of first uses.'),
          repeats: z.int().min(0).describe('Of repeats.'),
        })
        .refine(({ first, repeats }) => first + repeats > 0, 'first and repeats are both 0: nothing would be trained'),
    ])
    .default(8)
    .describe(
      'The rank. `{ first, repeats }` sets one rank for the first use of a physical layer and another for its repeats; 0: no adapter there.',
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
    .union([z.literal('all-linear'), z.string().min(1), z.array(z.string()).min(1)])
    .default('all-linear')
    .describe("Names by suffix, one of Python's regular expressions over the whole path, or `all-linear`."),
  use_rslora: z
    .boolean()
    .default(false)
    .describe('Scale by lora_alpha / sqrt(r) instead of lora_alpha / r (Kalajdzievski 2023).'),
  rank_pattern: pattern(positive)
    .default({})
    .describe("Python's regular expressions over the ends of paths to another r."),
  alpha_pattern: pattern(z.number().positive()).default({}).describe('The same for lora_alpha.'),
  layers_to_transform: z
    .union([z.int().min(0), z.array(z.int().min(0))])
    .nullable()
    .default(null)
    .describe('Virtual indices of the layers that get adapters; null or an empty list: all.'),
  layers_pattern: z
    .union([z.string(), z.array(z.string())])
    .nullable()
    .default(null)
    .describe('With `layers_to_transform`: the name before the index of a layer, `layers`; null: any.'),
  exclude_modules: z
    .union([z.string(), z.array(z.string())])
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
  lora_bias: z
    .boolean()
    .default(false)
    .describe('B has a bias, which is scaled like B A and begins as zero. It needs `init_lora_weights: true`.'),
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

/** Options of LoRA and its kin after `lowRankSchema`, by the names of PEFT's LoraConfig. */
export type LowRankOptions = z.infer<typeof lowRankSchema>;

/** What is wrong between the options; PEFT would ignore or refuse each of these. */
export function lowRankFaults(options: LowRankOptions): string[] {
  const { target_modules: targets, layers_to_transform: layers } = options;
  const layerPatterns = layerPatternsOf(options);
  const faults = patternsOf(options)
    .map(patternFault)
    .filter((fault) => fault !== undefined);
  if (typeof targets === 'string' && (layers !== null || options.layers_pattern !== null)) {
    faults.push(
      'layers_to_transform and layers_pattern work with a list of target_modules only: name the layers in the regular expression',
    );
  }
  if (options.lora_bias && options.init_lora_weights !== true)
    faults.push(`lora_bias needs init_lora_weights true, as in PEFT; it is "${options.init_lora_weights}"`);
  if (layerPatterns.length > 0 && layers === null)
    faults.push('layers_pattern works with layers_to_transform only: give both, or none');
  if (layerPatterns.some((pattern) => pattern.includes('|')))
    faults.push('layers_pattern has a "|", after which PEFT looks for no layer: give a list of patterns');
  return faults;
}

/** What of the options cannot be on a base: PEFT puts low-rank adapters on its embedding and head too. */
export function lowRankBaseFaults(
  options: LowRankOptions,
  spec: Pick<ModelSpec, 'layers' | 'embedding' | 'head'>,
): string[] {
  const { target_modules: targets } = options;
  if (isAllLinear(targets)) return [];
  const beyondLinear = [spec.embedding.name, spec.head.name];
  if (typeof targets === 'string') {
    // What is wrong with a pattern is for `lowRankFaults` to say.
    if (patternsOf(options).some((each) => patternFault(each) !== undefined)) return [];
    const beyond = beyondLinear.find((path) => matches(path, targets, 'target_modules') && !isLeftOut(path, options));
    return beyond === undefined
      ? []
      : [
          `target_modules matches ${beyond}; adapters on the embedding and on the output head are not supported: match the linear layers of the decoder alone`,
        ];
  }
  const names = linearNamesOf(spec);
  return targets.flatMap((target) => {
    // A target may carry a virtual index; only its last part must be a linear layer.
    const last = target.split('.').at(-1)!;
    if (names.some((name) => name === last || name.endsWith(`.${last}`))) return [];
    const what = beyondLinear.some((path) => path === target || path.endsWith(`.${target}`))
      ? '", which is not a linear layer of the decoder: adapters on the embedding and on the output head are not supported'
      : '"';
    return [
      `target_modules names "${target}${what}; the linear layers are ${names.map((name) => name.split('.').at(-1)).join(', ')}`,
    ];
  });
}

/** What the options say that has no effect on these sites. */
export function lowRankWarnings(
  options: LowRankOptions,
  sites: readonly LinearSite[],
  spec?: Pick<ModelSpec, 'embedding' | 'head'>,
): string[] {
  const { target_modules: targets, exclude_modules: excluded, layers_to_transform: layers } = options;
  const adapted = sites.filter((site) => isAdapted(options, site));
  const warnings: string[] = [];
  const quoted = (values: readonly unknown[]): string => values.map((value) => JSON.stringify(value)).join(', ');

  const lost =
    typeof targets === 'string'
      ? []
      : targets.filter((name) => !sites.some(({ path }) => matches(path, [name], 'target_modules')));
  if (lost.length > 0)
    warnings.push(`target_modules names ${quoted(lost)}, which no linear layer of the model matches`);
  const beyond = [layers ?? []].flat().filter((index) => !sites.some(({ virtual }) => virtual === index));
  if (beyond.length > 0)
    warnings.push(`layers_to_transform names ${quoted(beyond)}, where the model has no layer that takes an adapter`);
  for (const field of ['rank_pattern', 'alpha_pattern'] as const) {
    const keys = Object.keys(options[field]).filter(
      (key) => !adapted.some(({ path }) => pythonRegex(keyPattern(key)).match(path, field)),
    );
    if (keys.length > 0) warnings.push(`${field} has ${quoted(keys)}, which matches no layer with an adapter`);
  }
  if (excluded !== null && excluded.length > 0 && !sites.some(({ path }) => matches(path, excluded, 'exclude_modules')))
    warnings.push(`exclude_modules ${JSON.stringify(excluded)} excludes no linear layer`);
  if (spec === undefined) return warnings;
  const hasBias = (options.bias === 'all' ? sites : adapted).some((site) => site.hasBias);
  if (options.bias !== 'none' && !hasBias)
    warnings.push(
      `bias "${options.bias}" has no effect: ${options.bias === 'all' ? 'the base has no biases' : 'no linear layer with an adapter has a bias'}`,
    );
  if (options.ensure_weight_tying && !spec.head.tied)
    warnings.push('ensure_weight_tying has no effect: the output head of the base is not tied to its embedding');
  const pair = [spec.embedding.name, spec.head.name];
  const isPair = (name: string): boolean => pair.some((module) => module.endsWith(name));
  if (options.ensure_weight_tying && spec.head.tied && !(options.modules_to_save ?? []).some(isPair))
    warnings.push('ensure_weight_tying has no effect: modules_to_save names neither the embedding nor the output head');
  return warnings;
}

const isLeftOut = (
  path: string,
  { exclude_modules: excluded, modules_to_save }: Pick<LowRankOptions, 'exclude_modules' | 'modules_to_save'>,
): boolean =>
  (excluded !== null && excluded.length > 0 && matches(path, excluded, 'exclude_modules')) ||
  isSavedModule({ path }, { modules_to_save });

/** `asked`: what PEFT makes of the pattern; undefined: the pattern itself. */
interface AskedPattern {
  readonly field: string;
  readonly pattern: string;
  readonly asked?: string;
}

function patternsOf(options: LowRankOptions): AskedPattern[] {
  const { target_modules: targets, exclude_modules, modules_to_save } = options;
  return [
    ...(typeof targets === 'string' && !isAllLinear(targets) ? [{ field: 'target_modules', pattern: targets }] : []),
    ...(typeof exclude_modules === 'string' ? [{ field: 'exclude_modules', pattern: exclude_modules }] : []),
    ...Object.keys(options.rank_pattern).map((key) => ({
      field: 'rank_pattern',
      pattern: key,
      asked: keyPattern(key),
    })),
    ...Object.keys(options.alpha_pattern).map((key) => ({
      field: 'alpha_pattern',
      pattern: key,
      asked: keyPattern(key),
    })),
    ...(modules_to_save ?? []).map((name) => ({ field: 'modules_to_save', pattern: name, asked: savedPattern(name) })),
    ...layerPatternsOf(options).map((pattern) => ({ field: 'layers_pattern', pattern, asked: layerPattern(pattern) })),
  ];
}

const layerPatternsOf = ({ layers_pattern }: Pick<LowRankOptions, 'layers_pattern'>): string[] =>
  [layers_pattern ?? []].flat().filter((pattern) => pattern !== '');

/** The first pattern that cannot be matched with the path of a layer in time, as a fault; undefined: there is none. */
export function slowPattern(options: LowRankOptions): string | undefined {
  try {
    for (const each of patternsOf(options)) {
      const { field, pattern, asked = pattern } = each;
      // What is no pattern at all is for `lowRankFaults` to say.
      if (patternFault(each) === undefined) pythonRegex(asked).match('model.layers.0.self_attn.q_proj', field);
    }
    return undefined;
  } catch (error) {
    if (error instanceof ModelError && error.code === 'PATTERN_TIMEOUT') return error.message;
    throw error;
  }
}

function patternFault({ field, pattern, asked = pattern }: AskedPattern): string | undefined {
  const fault = pythonRegexFault(asked);
  if (fault === undefined) return undefined;
  return `${field} has ${JSON.stringify(pattern)}: ${asked === pattern ? '' : 'what PEFT makes of it, '}${fault}`;
}
