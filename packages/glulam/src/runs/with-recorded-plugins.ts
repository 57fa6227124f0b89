import { adapters, strategies } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { engines } from '@glulam/tensors';
import { evaluators, type RunConfig } from '@glulam/trainer';
import { GlulamError } from '../errors.js';
import type { LoadedConfig } from '../config/load-config.js';

/**
 * Open something of a run. Where that fails for want of a plugin, the message has what the run recorded of its plugins
 * and how to name them.
 *
 * @throws GlulamError PLUGINS_MISSING
 */
export async function withRecordedPlugins<T>(
  { config, composition, recorded }: LoadedConfig,
  open: () => T | Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    const { code, message } = cause as { readonly code?: unknown; readonly message?: string };
    const missing = missingKinds(config, composition);
    const isMissing = code === 'MODEL_TYPE_UNKNOWN' || (missing.length > 0 && isRefusal(code));
    if (recorded === undefined || !isMissing) throw cause;
    const { file, plugins } = recorded;
    const said =
      plugins.length === 0
        ? `${file} names no plugins: if the run had some, they were values in its config file`
        : `${file} names the plugins ${plugins.join(', ')}`;
    const wanted = missing.length === 0 ? 'the family' : missing.join(' and ');
    throw new GlulamError(
      'PLUGINS_MISSING',
      `${message}\n${said}. Name the package or file that brings ${wanted}: --plugins '${example(plugins)}'`,
      { cause },
    );
  }
}

const isRefusal = (code: unknown): boolean =>
  ['CONFIG_INVALID', 'ADAPTER_INVALID', 'EXPANSION_INVALID'].includes(String(code));

const example = (plugins: readonly string[]): string =>
  JSON.stringify(plugins.length === 0 ? ['./my-plugin.mjs'] : plugins);

/** Kinds that a config chooses and no plugin brings. */
function missingKinds({ adapter, expansion, engine, evaluate }: RunConfig, composition: Composition): string[] {
  return [
    ...(expansion === undefined || composition.find(strategies, expansion.kind)
      ? []
      : [`the expansion "${expansion.kind}"`]),
    ...(composition.find(adapters, adapter.kind) ? [] : [`the adapter "${adapter.kind}"`]),
    ...(composition.find(engines, engine.kind) ? [] : [`the engine "${engine.kind}"`]),
    ...(evaluate.evaluators ?? [])
      .filter(({ kind }) => composition.find(evaluators, kind) === undefined)
      .map(({ kind }) => `the evaluator "${kind}"`),
  ];
}
