import { readTextFile } from '@glulam/files';
import type { InputRole } from '@glulam/trainer';
import { HubError } from './errors.js';
import type { HubFile } from './hub-file.js';

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
  if (role === 'adapter')
    return bounded(
      tree.filter(({ path }) => ofAdapter.test(path)),
      repository,
    );
  const weights = new Set(names.has(single) ? [single] : [indexName, ...shards]);
  const missing = shards.filter((name) => !names.has(name));
  if (missing.length > 0)
    throw new HubError(
      'NOT_FOUND',
      `${indexName} of ${repository} names ${shortList(missing)}, which the repository does not have; choose another revision of it`,
    );
  const isWanted = ({ path }: HubFile): boolean =>
    described.test(path) || documents.test(path) || (role === 'base' && weights.has(path));
  return bounded(tree.filter(isWanted), repository);
}

/** What is read at once is refused here where it would be refused then. */
const mostBytes = 64_000_000;

function bounded(files: readonly HubFile[], repository: string): readonly HubFile[] {
  const large = files.find(({ path, size }) => !path.endsWith('.safetensors') && size > mostBytes);
  if (large === undefined) return files;
  throw new HubError(
    'REQUEST_REFUSED',
    `${large.path} of ${repository} has ${large.size} bytes, expected at most ${mostBytes} for a file of its kind; nothing of it was downloaded`,
    { isFinal: true },
  );
}

/** For messages: an index may name a million files. */
export const shortList = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');

/** Whether a file says how a base is to be computed or its text read: one that is missing changes results. */
export const describesModel = (path: string): boolean => described.test(path);

/** Whether the weights are in shards, so that the index has to be read first. */
export const isSharded = (tree: readonly HubFile[]): boolean =>
  tree.some(({ path }) => path === indexName) && !tree.some(({ path }) => path === single);

/** The shards that an index file names; what is wrong with one is told where the checkpoint is opened. */
export function shardsIn(index: string): string[] {
  try {
    const { weight_map } = JSON.parse(readTextFile(index, mostBytes)) as { weight_map: Record<string, unknown> };
    return [...new Set(Object.values(weight_map))].filter((name) => typeof name === 'string');
  } catch {
    return [];
  }
}
