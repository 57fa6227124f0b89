export type { BackendName } from './open-engine.js';
export { openTfjsEngine } from './open-engine.js';
export type { EngineTfjsOptions } from './plugin.js';
export { engineTfjs } from './plugin.js';
