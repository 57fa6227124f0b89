export type { Composition, PluginList } from './compose.js';
export { compose } from './compose.js';
export type { PluginErrorCode, PluginFault, PluginFaultCode } from './errors.js';
export { PluginError } from './errors.js';
export type { Deps, DepValues, Plugin, Registry, Spec } from './plugin.js';
export { definePlugin } from './plugin.js';
export type { Point, Token } from './token.js';
export { point, token } from './token.js';
