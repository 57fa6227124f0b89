export type { CreatedPlugin, PluginChoices } from './create-plugin.js';
export { createPlugin } from './create-plugin.js';
export type { CreateErrorCode } from './errors.js';
export { CreateError } from './errors.js';
export type { Names } from './names.js';
export { namesOf } from './names.js';
export type { Role, RoleName } from './roles.js';
export { roles } from './roles.js';
