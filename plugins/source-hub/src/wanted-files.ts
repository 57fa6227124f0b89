import type { InputRole } from '@glulam/trainer';
import { HubError } from './errors.js';
import type { HubFile } from './hub-cache.js';

const described =
  /^(config\.json|generation_config\.json|tokenizer\.(json|model)|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.(jinja|json))$/;
const documents = /^(README\.md|(LICENSE|NOTICE|USE_POLICY)[^/]*)$/;
const ofAdapter = /^(adapter_config\.json|adapter_model\.safetensors|glulam\.json|README\.md)$/;
export const indexName = 'model.safetensors.index.json';
export const single = 'model.safetensors';

/**
 * The files of a repository that Glulam reads: of a base its config, tokenizer, card and licence, and one of the forms in
 * which its weights are there. `shards` are those that the index names, once it is here.
 */
export function wantedFiles(
  tree: readonly HubFile[],
  role: Exclude<InputRole, 'file' | 'data'>,
  repository: string,
  shards: readonly string[] = [],
): readonly HubFile[] {
  const names = new Set(tree.map(({ path }) => path));
  if (role === 'adapter') return tree.filter(({ path }) => ofAdapter.test(path));
  const weights = new Set(names.has(single) ? [single] : [indexName, ...shards]);
  const missing = shards.filter((name) => !names.has(name));
  if (missing.length > 0)
    throw new HubError('NOT_FOUND', `${indexName} of ${repository} names ${missing.join(', ')}, which the repository does not have; choose another revision of it`); // prettier-ignore
  return tree.filter(
    ({ path }) => described.test(path) || documents.test(path) || (role === 'base' && weights.has(path)),
  );
}

/** Whether a file says how a base is to be computed or its text read: one that is missing changes results. */
export const describesModel = (path: string): boolean => described.test(path);

/** Whether the weights are in shards, so that the index has to be read first. */
export const isSharded = (tree: readonly HubFile[]): boolean =>
  tree.some(({ path }) => path === indexName) && !tree.some(({ path }) => path === single);

/** The shards that an index names; what is wrong with one is told where the checkpoint is opened. */
export function shardsIn(index: string): string[] {
  try {
    const { weight_map } = JSON.parse(index) as { weight_map: Record<string, unknown> };
    return [...new Set(Object.values(weight_map))].filter((name) => typeof name === 'string');
  } catch {
    return [];
  }
}
