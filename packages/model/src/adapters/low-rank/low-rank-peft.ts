import { quoteValue } from '@glulam/files';
import type { z } from 'zod';
import type { LinearSite } from '../adapter.js';
import { ModelError } from '../../errors.js';
import { isEmpty } from '../peft-fields.js';
import { slowPattern, type LowRankOptions } from './low-rank-options.js';
import { usesPrincipal } from './low-rank-site.js';
import { rankAt } from './ranks.js';
import { isAdapted, isAllLinear, matches, modulesAround } from './targets.js';

/**
 * Fields of PEFT 0.21's LoraConfig that change the arithmetic or the set of tensors, with the values for which they do not;
 * anything else cannot be followed here. PEFT makes a config of an empty record, whose defaults count: `{}` is not plain.
 */
const plainValues: Readonly<Record<string, readonly unknown[]>> = {
  use_qalora: [false, null],
  target_parameters: [null, []],
  trainable_token_indices: [null],
  alora_invocation_tokens: [null, []],
  megatron_config: [null, {}],
  use_bdlora: [null],
  arrow_config: [null],
  kasa_config: [null],
  monteclora_config: [null],
  velora_config: [null],
};

/** Those that do not: how first values were found, how PEFT computes, and whose file it is. */
const harmless: ReadonlySet<string> = new Set([
  ...['eva_config', 'corda_config', 'lora_ga_config', 'loftq_config', 'runtime_config'],
  ...['qalora_group_size', 'megatron_core', 'auto_mapping', 'peft_version', 'peft_type', 'task_type', 'revision'],
  ...['base_model_name_or_path', 'inference_mode', 'layer_replication', 'use_dora'],
  // Of linear layers PEFT turns it off itself.
  'fan_in_fan_out',
  // PEFT 0.2 and before: when to merge.
  'merge_weights',
]);

/** First values for which PEFT changes no weight of the base, in lower case. */
const plainStarts: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  '',
  'gaussian',
  'eva',
  'orthogonal',
  'mica',
  'lora_ga',
];
/** Those for which it does, when a saved adapter is loaded too, by their first letters. */
const changedStarts = ['pissa', 'olora', 'corda', 'loftq'];
/** PEFT takes null for false here. */
const switches: readonly string[] = ['use_rslora', 'lora_bias', 'ensure_weight_tying'];

/** What PEFT targets in a model of the families here where the file does not say it. */
const unsaidTargets = ['q_proj', 'v_proj'];

/**
 * Options of a PEFT `adapter_config.json` of type LORA whose `use_dora` is as given; undefined if it describes another
 * kind of adapter. A field that is not known may change the arithmetic, so it is refused unless it is empty.
 */
export function lowRankFromPeft<Options extends LowRankOptions>(
  config: Readonly<Record<string, unknown>>,
  schema: z.ZodObject & z.ZodType<Options>,
  useDora: boolean,
): Options | undefined {
  if (config['peft_type'] !== 'LORA' || (config['use_dora'] === true) !== useDora) return undefined;
  const faults = Object.entries(config).flatMap(([field, value]) => {
    if (field in schema.shape || harmless.has(field)) return [];
    const said = `${field} is ${quoteValue(value)}`;
    const allowed = plainValues[field];
    if (allowed === undefined)
      return isEmpty(value)
        ? []
        : [
            `${said}, a field that this version does not know and that may change the arithmetic; update Glulam, or take the field out if it does not`,
          ];
    const quoted = quoteValue(value);
    return value === undefined || allowed.some((item) => quoteValue(item) === quoted)
      ? []
      : [`${said}; only ${JSON.stringify(allowed[0])} is supported`];
  });
  const start = config['init_lora_weights'];
  const lower = typeof start === 'string' ? start.toLowerCase() : start;
  if (changedStarts.some((name) => String(lower).startsWith(name)))
    faults.push(
      `init_lora_weights is ${quoteValue(start)}, for which PEFT changes the base: save the adapter with path_initial_model_for_weight_conversion, which makes it one for the base as it is`,
    );
  else if (!plainStarts.includes(lower))
    faults.push(
      `init_lora_weights is ${quoteValue(start)}, which this version does not know; expected true, false, "gaussian", "eva", "orthogonal" or "mica"`,
    );
  else if (config['lora_bias'] === true && start !== undefined && typeof start !== 'boolean')
    faults.push(`lora_bias needs init_lora_weights true or false, as in PEFT; it is ${quoteValue(start)}`);
  const known = Object.keys(schema.shape).filter(
    (field) =>
      field !== 'init_lora_weights' &&
      config[field] !== undefined &&
      !(config[field] === null && switches.includes(field)),
  );
  const said = Object.fromEntries(known.map((field) => [field, config[field]]));
  const parsed = schema.safeParse({ ...said, target_modules: said['target_modules'] ?? unsaidTargets });
  if (!parsed.success) faults.push(...parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`));
  else faults.push(...[slowPattern(parsed.data) ?? []].flat());
  if (faults.length > 0)
    throw new ModelError('ADAPTER_INVALID', `adapter_config.json cannot be followed:\n  ${faults.join('\n  ')}`);
  return parsed.data;
}

/**
 * The fields of `adapter_config.json`. A rank by uses becomes what PEFT knows: a rank for each virtual layer that is
 * not the most frequent one, and, where the rank is 0, a list of the modules that do have an adapter.
 */
export function lowRankToPeft(
  options: LowRankOptions,
  sites: readonly LinearSite[],
  useDora: boolean,
): Record<string, unknown> {
  // PEFT takes LoRA+'s ratio where it makes the optimizer, and its files have no place for it.
  const { matchTrainable: _, loraplus_lr_ratio: __, ensure_weight_tying, lora_bias, ...trained } = options;
  const plain = usesPrincipal(options) ? doubled(trained) : trained;
  const fields = {
    ...plain,
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    // Older versions of PEFT do not know these fields.
    ...(ensure_weight_tying ? { ensure_weight_tying } : {}),
    ...(lora_bias ? { lora_bias } : {}),
    use_dora: useDora,
    fan_in_fan_out: false,
  };
  if (typeof options.r === 'number') {
    const { target_modules: targets } = options;
    const isOther = (path: string): boolean => !isAllLinear(targets) && matches(path, targets, 'target_modules');
    // PEFT stops at a match that is no linear layer.
    if (typeof targets !== 'string' || !modulesAround(sites).some(isOther)) return fields;
    return { ...fields, target_modules: sites.filter((site) => isAdapted(options, site)).map(({ path }) => path) };
  }
  const times = usesPrincipal(options) ? 2 : 1;
  const ranks = new Map<string, number>();
  for (const site of sites) {
    if (!isAdapted(options, site)) continue;
    const rank = rankAt(options, site);
    if (rank > 0) ranks.set(site.path, times * rank);
  }
  const { first, repeats } = options.r;
  const r = times * (first > 0 ? first : repeats);
  const escaped = (path: string): string => path.replaceAll('.', '\\.');
  return {
    ...fields,
    r,
    // A list matches by suffix; whole paths match themselves alone.
    target_modules: [...ranks.keys()],
    layers_to_transform: null,
    layers_pattern: null,
    rank_pattern: Object.fromEntries(
      [...ranks].filter(([, rank]) => rank !== r).map(([path, rank]) => [escaped(path), rank]),
    ),
  };
}

/**
 * A PiSSA adapter as the plain one that it is on an unchanged base: B A - B0 A0 = [B, -B0] [A; A0], of twice the rank and
 * the same scaling. PEFT converts its own so where `path_initial_model_for_weight_conversion` is given.
 */
function doubled<
  Options extends Pick<
    LowRankOptions,
    'r' | 'lora_alpha' | 'rank_pattern' | 'alpha_pattern' | 'use_rslora' | 'init_lora_weights'
  >,
>(options: Options): Options {
  const { r, lora_alpha, rank_pattern, alpha_pattern, use_rslora } = options;
  const factor = use_rslora ? Math.SQRT2 : 2;
  const times = (pattern: Readonly<Record<string, number>>, by: number): Record<string, number> =>
    Object.fromEntries(Object.entries(pattern).map(([key, value]) => [key, by * value]));
  return {
    ...options,
    r: typeof r === 'number' ? 2 * r : r,
    lora_alpha: factor * lora_alpha,
    rank_pattern: times(rank_pattern, 2),
    alpha_pattern: times(alpha_pattern, factor),
    init_lora_weights: true,
  };
}
