import type { Call, CallOptions } from '../call.js';
import type { GlulamConfig } from './define-config.js';
import { loadConfig, type LoadedConfig } from './load-config.js';
import { checkWrites, trustOwnRun } from '../runs/trusted-runs.js';

/**
 * A config by which a run, an ablation or a search is made: its events go to the call, and whoever names plugins for it agrees
 * to them.
 *
 * @param quiet reporters are opened only where the config names them
 */
export async function loadForWriting(
  config: GlulamConfig | string,
  { folder, overrides = {}, onFault }: CallOptions,
  call: Call,
  quiet: boolean,
): Promise<LoadedConfig> {
  const loaded = await loadConfig(config, overrides, folder, { signal: call.signal, onFault, quiet });
  call.attach(loaded.composition);
  checkWrites(loaded);
  const notice = await trustOwnRun(loaded);
  if (notice === undefined) return loaded;
  const { composition } = loaded;
  return { ...loaded, composition: { ...composition, warnings: [...composition.warnings, notice] } };
}
