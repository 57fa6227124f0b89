import type { PluginList } from '@glulam/plugin';
import type { AblationInput } from '@glulam/ablation';
import type { RunConfigInput } from '@glulam/trainer';

/** What a config file holds: a run, and plugins beyond the built-in ones (values, or in JSON and YAML package names). */
export type GlulamConfig = RunConfigInput & {
  readonly plugins?: PluginList | readonly string[];
  /** What `glulam ablate` compares; other commands leave it alone. */
  readonly ablation?: AblationInput;
};

/** Gives a config file its types. Paths are relative to the file. */
export const defineConfig = (config: GlulamConfig): GlulamConfig => config;
