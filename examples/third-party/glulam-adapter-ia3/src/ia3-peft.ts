import { ModelError } from '@glulam/model';
import { ia3Schema, type Ia3Options } from './ia3-options.js';

/** Fields of every `adapter_config.json`, and of `IA3Config` those that change nothing once it is trained. */
const harmless: ReadonlySet<string> = new Set([
  ...[
    'auto_mapping',
    'base_model_name_or_path',
    'inference_mode',
    'peft_type',
    'peft_version',
    'revision',
    'task_type',
  ],
  // Of layers that store their weight the other way round, which no decoder here has; PEFT itself takes it back.
  ...['fan_in_fan_out', 'init_ia3_weights', 'layer_replication'],
]);

const isEmpty = (value: unknown): boolean =>
  value === null || value === false || (typeof value === 'object' && Object.keys(value as object).length === 0);

/** Options of an `adapter_config.json` of PEFT's type IA3; throws a ModelError ADAPTER_INVALID with all that is wrong. */
export function ia3FromPeft(config: Readonly<Record<string, unknown>>): Ia3Options | undefined {
  if (config['peft_type'] !== 'IA3') return undefined;
  const faults: string[] = [];
  for (const name of ['target_modules', 'feedforward_modules'])
    if (config[name] === undefined || config[name] === null)
      faults.push(`${name} is ${JSON.stringify(config[name])}; expected names: PEFT writes which ones it took`);
  const options: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(config)) {
    if (field in ia3Schema.shape) options[field] = value;
    else if (!harmless.has(field) && !isEmpty(value))
      faults.push(`${field} is ${JSON.stringify(value)}, which this plugin does not follow; train without it`);
  }
  const parsed = faults.length === 0 ? ia3Schema.safeParse(options) : undefined;
  if (parsed?.success) return parsed.data;
  faults.push(...(parsed?.error.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`));
  throw new ModelError('ADAPTER_INVALID', `adapter_config.json cannot be followed:\n  ${faults.join('\n  ')}`);
}

export const ia3ToPeft = (options: Ia3Options): Record<string, unknown> => ({
  peft_type: 'IA3',
  task_type: 'CAUSAL_LM',
  ...options,
  fan_in_fan_out: false,
  init_ia3_weights: true,
  modules_to_save: null,
});
