export { main } from './cli.js';
export type { GlulamConfig } from './define-config.js';
export { defineConfig } from './define-config.js';
export type { GlulamErrorCode } from './errors.js';
export { GlulamError } from './errors.js';
export type { LoadedConfig } from './load-config.js';
export { loadConfig, resolveConfig } from './load-config.js';
export { core, preset } from './preset.js';
