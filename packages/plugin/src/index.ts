import { noteLoaded } from './loaded-copies.js';

export type { ComposedPlugin, Composition, PluginList } from './compose.js';
export { compose } from './compose.js';
export type { PluginErrorCode, PluginFault, PluginFaultCode } from './errors.js';
export { PluginError } from './errors.js';
export { guardCall, guardOpened, wrongResult } from './guard.js';
export { noteLoaded } from './loaded-copies.js';
export type { Deps, DepValues, Lifetime, Offer, Plugin, Registry, Spec } from './plugin.js';
export { definePlugin, pluginContract } from './plugin.js';
export type { Parts, Point, Token } from './token.js';
export { point, token } from './token.js';

noteLoaded('@glulam/plugin', import.meta.url);
