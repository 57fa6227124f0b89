import { definePlugin, type Plugin } from '@glulam/plugin';
import { sources, type SourceContribution } from '@glulam/trainer';
import { isAddress, parseHubName } from './hub-name.js';
import { openHubSource } from './hub-source.js';

export type { HubErrorCode } from './errors.js';
export { HubError } from './errors.js';
export type { HubName } from './hub-name.js';
export { parseHubName } from './hub-name.js';
export type { PushedCommit, PushOptions } from './push-files.js';
export { pushFiles } from './push-files.js';

// Files here load `@huggingface/hub` where they ask the Hub: it takes longer than the rest of a short command's start.

/** `owner/name[@revision]` of models, `hf://datasets/owner/name[@revision]/path` of files. */
export const hubSource: SourceContribution = {
  kind: 'hub',
  claims: (name, role) => isAddress(name) || (role !== 'file' && role !== 'data' && parseHubName(name) !== undefined),
  open: (context) => openHubSource(context),
};

/** The plugin: the source `hub`. */
export const sourceHub = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/source-hub',
    contract: 2,
    register: (registry) => registry.contribute(sources, { create: () => hubSource }),
  });
