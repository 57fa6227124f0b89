export type { Isa, NativeStats } from './addon.js';
export { instructionSets } from './addon.js';
export type { NativeEngine, NativeEngineOptions } from './native-engine.js';
export { createNativeEngine } from './native-engine.js';
export { planNativeEngine } from './planning-device.js';
export type { EngineNativeOptions } from './plugin.js';
export { engineNative } from './plugin.js';
