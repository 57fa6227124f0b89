export type { BackendName, TfjsEngineOptions } from './open-engine.js';
export { openTfjsEngine, probeBackends } from './open-engine.js';
export { planTfjsEngine } from './plan/plan-engine.js';
export type { EngineTfjsOptions } from './plugin.js';
export { engineTfjs } from './plugin.js';
