import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { InputRole, Source, SourceContext } from '@glulam/trainer';
import { datasetInfo, listFiles, modelInfo, pathsInfo } from '@huggingface/hub';
import { downloadBlob } from './download-blob.js';
import { HubError } from './errors.js';
import { blobName, checkRoom, openHubCache, type HubCache, type HubFile } from './hub-cache.js';
import { createHubFetch, type HubFetchOptions } from './hub-fetch.js';
import { formatHubName, isCommit, readHubName, type HubName } from './hub-name.js';
import { hubSettings } from './hub-settings.js';
import { indexName, isSharded, shardsIn, wantedFiles } from './wanted-files.js';

/** Bases, adapters and data files of the Hub, kept in the cache that Python's huggingface_hub uses too. */
export function openHubSource(
  { signal, onProgress, warn }: SourceContext,
  { firstDelay }: Pick<HubFetchOptions, 'firstDelay'> = {},
): Source {
  const settings = hubSettings();
  const { endpoint: hubUrl, cache: cacheFolder, offline } = settings;
  const fetch = createHubFetch(settings, { signal, firstDelay });

  const askCommit = async ({ type, repository, revision }: HubName): Promise<string> => {
    const additionalFields = ['sha' as const];
    const asked = { name: repository, revision, hubUrl, fetch, additionalFields };
    const { sha } = await (type === 'dataset' ? datasetInfo(asked) : modelInfo(asked));
    if (isCommit(sha)) return sha;
    throw new HubError('REQUEST_REFUSED', `${hubUrl} answers without the commit of ${repository}; HF_ENDPOINT does not lead to a Hub`); // prettier-ignore
  };

  const resolve = async (name: HubName): Promise<string> => {
    const { revision, repository, type } = name;
    if (isCommit(revision)) return revision;
    const cache = openHubCache(cacheFolder, name);
    const known = cache.readRef(revision);
    if (offline && known !== undefined) return known;
    if (offline)
      throw new HubError('OFFLINE', `HF_HUB_OFFLINE is set, and ${revision} of ${repository} was never downloaded to ${cacheFolder}; unset it once, or name a folder`); // prettier-ignore
    try {
      const commit = await askCommit(name);
      cache.writeRef(revision, commit);
      return commit;
    } catch (error) {
      if (!(error instanceof HubError)) throw unexpected(error, hubUrl);
      if (error.code !== 'UNREACHABLE' || known === undefined) throw error;
      warn(`the Hub cannot be asked for ${revision} of ${type === 'dataset' ? 'the data set ' : ''}${repository}, the commit that it was before is taken, ${known}: ${error.message}`); // prettier-ignore
      return known;
    }
  };

  const list = async (name: HubName, commit: string, cache: HubCache): Promise<readonly HubFile[]> => {
    const known = cache.readTree(commit);
    if (known !== undefined) return known;
    const files: HubFile[] = [];
    for await (const { type, path: file, size, oid, lfs } of listFiles({
      repo: repo(name),
      revision: commit,
      recursive: true,
      hubUrl,
      fetch,
    }))
      // prettier-ignore
      if (type === 'file') files.push({ path: file, size: lfs?.size ?? size, oid: oid!, ...(lfs && { sha256: lfs.oid }) });
    cache.writeTree(commit, files);
    return files;
  };

  const download = async (shown: string, name: HubName, commit: string, files: readonly HubFile[]): Promise<void> => {
    const cache = openHubCache(cacheFolder, name);
    const missing = files.filter((file) => !cache.has(commit, file.path));
    if (missing.length === 0) return;
    const wanted = missing.filter((file) => !existsSync(path.join(cache.blobs, blobName(file))));
    await checkRoom(cacheFolder, sum(wanted));
    const totalBytes = sum(files);
    let finished = totalBytes - sum(wanted);
    for (const file of missing) {
      if (wanted.includes(file)) {
        const url = `${hubUrl}/${name.type === 'dataset' ? 'datasets/' : ''}${name.repository}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`; // prettier-ignore
        const onBytes = (bytes: number): void => onProgress({ name: shown, bytes: finished + bytes, totalBytes });
        await downloadBlob({ file, repository: name.repository, url, cache: cacheFolder, blobs: cache.blobs, fetch, signal, onBytes }); // prettier-ignore
        finished += file.size;
      }
      await cache.link(commit, file);
    }
  };

  const fetchFolder = async (name: HubName, role: FolderRole): Promise<string> => {
    const { repository, revision: commit } = name;
    const cache = openHubCache(cacheFolder, name);
    const folder = cache.snapshot(commit);
    // Files that another tool downloaded without keeping the listing: enough, where the Hub cannot be asked.
    if (offline && cache.readTree(commit) === undefined && isUsable(folder, role)) return folder;
    const tree = await list(name, commit, cache);
    const shown = formatHubName(name);
    if (role === 'base' && isSharded(tree)) {
      await download(shown, name, commit, tree.filter(({ path: file }) => file === indexName)); // prettier-ignore
      const shards = shardsIn(readFileSync(path.join(folder, indexName), 'utf8'));
      await download(shown, name, commit, wantedFiles(tree, role, repository, shards));
    } else await download(shown, name, commit, wantedFiles(tree, role, repository));
    if (!existsSync(folder))
      throw new HubError('NOT_FOUND', `${shown} has none of the files of ${role === 'adapter' ? 'an adapter (adapter_config.json, adapter_model.safetensors)' : 'a model (config.json, model.safetensors)'}; see ${hubUrl}/${repository}/tree/${commit}`); // prettier-ignore
    return folder;
  };

  const fetchFile = async (name: HubName): Promise<string> => {
    const { path: file, revision: commit, repository } = name;
    const cache = openHubCache(cacheFolder, name);
    const place = path.join(cache.snapshot(commit), ...file!.split('/'));
    if (cache.has(commit, file!)) return place;
    const [found] = await pathsInfo({ repo: repo(name), paths: [file!], revision: commit, hubUrl, fetch });
    if (found?.type !== 'file')
      throw new HubError('NOT_FOUND', `${repository} has no file ${file} at ${commit}; its files are on ${hubUrl}/${name.type === 'dataset' ? 'datasets/' : ''}${repository}/tree/${commit}`); // prettier-ignore
    const { size, oid, lfs } = found;
    await download(formatHubName(name), name, commit, [{ path: file!, size: lfs?.size ?? size, oid: oid!, ...(lfs && { sha256: lfs.oid }) }]); // prettier-ignore
    return place;
  };

  return {
    async pin(given, role) {
      const name = readHubName(given, isFile(role) ? 'file' : 'folder');
      try {
        return formatHubName({ ...name, revision: await resolve(name) });
      } catch (error) {
        // A folder whose name was mistyped looks like a repository.
        if (!(error instanceof HubError) || error.code !== 'NOT_FOUND' || given.startsWith('hf://')) throw error;
        throw new HubError('NOT_FOUND', `${error.message}. There is no folder ${given} either`, { cause: error });
      }
    },
    async fetch(pinned, role) {
      const name = readHubName(pinned, isFile(role) ? 'file' : 'folder');
      try {
        return isFile(role) ? await fetchFile(name) : await fetchFolder(name, role);
      } catch (error) {
        throw error instanceof HubError || signal.aborted ? error : unexpected(error, hubUrl);
      }
    },
  };
}

/** An answer that the library cannot read. */
function unexpected(error: unknown, hubUrl: string): HubError {
  return new HubError('REQUEST_REFUSED', `${hubUrl} gave an answer that is not understood (${(error as Error).message}); if HF_ENDPOINT is set, see that it leads to a Hub`, { cause: error }); // prettier-ignore
}

type FolderRole = Exclude<InputRole, 'file' | 'data'>;
const isFile = (role: InputRole): role is 'file' | 'data' => role === 'file' || role === 'data';
const repo = ({ type, repository }: HubName) => ({ type, name: repository });
const sum = (files: readonly HubFile[]): number => files.reduce((total, { size }) => total + size, 0);

function isUsable(folder: string, role: FolderRole): boolean {
  const has = (name: string): boolean => existsSync(path.join(folder, name));
  if (role === 'adapter') return has('adapter_model.safetensors');
  if (!has('config.json') || !has('tokenizer.json')) return false;
  if (role === 'base without weights' || has('model.safetensors')) return true;
  return has(indexName) && shardsIn(readFileSync(path.join(folder, indexName), 'utf8')).every(has);
}
