import type { Adapter } from './adapter.js';

/** Fields that are there in every file of PEFT's, and that nobody needs to hear of. */
const usual: ReadonlySet<string> = new Set([
  ...['auto_mapping', 'peft_version', 'peft_type', 'task_type', 'megatron_core', 'qalora_group_size'],
]);
/** Written by `writePeftConfig` itself. */
const written: ReadonlySet<string> = new Set([
  ...['base_model_name_or_path', 'revision', 'inference_mode', 'layer_replication'],
]);

/** null, false, '', [] or {}: what PEFT writes for a field that is not used. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/**
 * The same adapter, which writes back those fields of `adapter_config.json` that it has no use for, so that nothing is
 * lost when PEFT reads the file again; and a warning that names them, if there are any worth it.
 */
export function keepPeftFields(
  adapter: Adapter,
  config: Readonly<Record<string, unknown>>,
): { readonly adapter: Adapter; readonly warnings: readonly string[] } {
  const used = new Set([...Object.keys(adapter.peftConfig([])), ...written]);
  const kept = Object.entries(config).filter(([field]) => !used.has(field));
  // How first values were found matters no more, and PEFT reads it: `mica` keeps B as it is if it trains on.
  const start = 'init_lora_weights' in config ? { init_lora_weights: config['init_lora_weights'] } : {};
  const told = kept.filter(([field, value]) => !isEmpty(value) && !usual.has(field)).map(([field]) => field);
  return {
    adapter:
      kept.length === 0 && Object.keys(start).length === 0
        ? adapter
        : {
            ...adapter,
            peftConfig: (sites) => ({ ...Object.fromEntries(kept), ...adapter.peftConfig(sites), ...start }),
          },
    warnings:
      told.length === 0
        ? []
        : [`adapter_config.json has fields that change nothing here and are kept as they are: ${told.join(', ')}`],
  };
}
