import { existsSync } from 'node:fs';
import path from 'node:path';
import type { InputRole, Source, SourceContext } from '@glulam/trainer';
import { downloadBlob } from './download-blob.js';
import { HubError } from './errors.js';
import { checkRoom, openHubCache, type HubCache } from './hub-cache.js';
import { blobName, readHubFile, type HubFile } from './hub-file.js';
import { createHubFetch, type HubFetch, type HubFetchOptions } from './hub-fetch.js';
import { formatHubName, isCommit, readHubName, type HubName } from './hub-name.js';
import { hubSettings } from './hub-settings.js';
import { listAll } from './list-all.js';
import { missingFiles, type MissingFiles } from './missing-files.js';
import { indexName, isSharded, shardsIn, shortList, wantedFiles } from './wanted-files.js';

/**
 * Bases, adapters and data files of the Hub, kept in the cache that Python's huggingface_hub uses too. Where the Hub cannot
 * be reached or refuses, what the cache has is used, with a warning, as hf_hub_download does; a repository that has no such
 * revision or file is an error even so.
 */
export function openHubSource(
  { signal, onProgress, warn }: SourceContext,
  { firstDelay, silence }: Pick<HubFetchOptions, 'firstDelay' | 'silence'> = {},
): Source {
  const settings = hubSettings();
  const { endpoint: hubUrl, cache: cacheFolder, offline, patience } = settings;
  const fetchPatiently = createHubFetch(settings, { signal, firstDelay, silence });
  /** Where the cache can do without an answer, nobody waits half a minute for a machine without a network. */
  const fetchOnce = createHubFetch(settings, { signal, tries: 1, patience, silence });
  /** Why the Hub cannot be reached: found out once. */
  let unreachable: HubError | undefined = offline ? offlineError() : undefined;
  /** Warnings of the same repository are one. */
  const warned = new Set<string>();

  const askCommit = async ({ type, repository, revision }: HubName, fetch: HubFetch): Promise<string> => {
    const additionalFields = ['sha' as const];
    const asked = { name: repository, revision, hubUrl, fetch, additionalFields };
    const { datasetInfo, modelInfo } = await import('@huggingface/hub');
    const { sha } = await (type === 'dataset' ? datasetInfo(asked) : modelInfo(asked));
    if (isCommit(sha)) return sha;
    throw new HubError(
      'REQUEST_REFUSED',
      `${hubUrl} answers without the commit of ${repository}; HF_ENDPOINT does not lead to a Hub`,
    );
  };

  const toHubError = (error: unknown): HubError => {
    signal.throwIfAborted();
    return error instanceof HubError ? error : unexpected(error, hubUrl);
  };

  /** The answer, or why there is none. */
  const ask = async <T>(question: () => Promise<T>): Promise<T | HubError> => {
    try {
      return await question();
    } catch (error) {
      const reason = toHubError(error);
      if (reason.code === 'UNREACHABLE') unreachable = reason;
      return reason;
    }
  };

  const warnCached = (name: HubName, commit: string, reason: HubError): void => {
    const what = `${name.type === 'dataset' ? 'the data set ' : ''}${name.repository}`;
    if (reason.code === 'OFFLINE' || warned.has(what)) return; // who set HF_HUB_OFFLINE knows
    warned.add(what);
    const asked = name.revision === commit ? what : `${name.revision} of ${what}`;
    warn(
      `the Hub did not give ${asked}, so commit ${commit} is used as it is in the cache ${cacheFolder}: ${reason.message}`,
    );
  };

  const missingOf = (name: HubName, commit: string, role: InputRole): MissingFiles => {
    const cache = openHubCache(cacheFolder, name);
    if (!isFile(role)) return missingFiles(cache, commit, role);
    return { needed: cache.has(commit, name.path!) ? [] : [name.path!], optional: [] };
  };
  const isHere = (name: HubName, commit: string, role: InputRole): boolean =>
    missingOf(name, commit, role).needed.length === 0;

  /** What is missing, why it cannot be had now, and how it can. */
  const missingError = (name: HubName, commit: string, role: InputRole, reason: HubError): HubError => {
    const cache = openHubCache(cacheFolder, name);
    const { needed } = missingOf(name, commit, role);
    if (needed.length === 0 || reason.isFinal) return reason;
    const isLink = needed.filter((file) => cache.isBroken(commit, file));
    const links = isLink.length === 0 ? '' : ` (${shortList(isLink)}: a link whose blob is gone)`;
    const others = cache.commits().filter((other) => other !== commit && isHere(name, other, role));
    const whole =
      others.length === 0
        ? ''
        : ` The cache has it at ${others.map((other) => formatHubName({ ...name, revision: other })).join(', ')}.`;
    const type = name.type === 'dataset' ? ' --repo-type dataset' : '';
    const isOffline = reason.code === 'OFFLINE';
    return new HubError(
      reason.code,
      `${isOffline ? '' : `${reason.message}; `}${shortList(needed)} of ${name.repository} at commit ${commit} ${needed.length === 1 ? 'is' : 'are'} not in the cache ${cacheFolder}${links}.${whole} ` +
        `Download ${needed.length === 1 ? 'it' : 'them'} where the Hub can be reached, by the same command or by: hf download${type} ${name.repository} ${needed.length > 5 ? '' : `${needed.join(' ')} `}--revision ${commit}${isOffline ? ' (HF_HUB_OFFLINE is set)' : ''}`,
      { cause: reason },
    );
  };

  const resolve = async (name: HubName, role: InputRole): Promise<string> => {
    const { revision, repository } = name;
    if (isCommit(revision)) return revision;
    const cache = openHubCache(cacheFolder, name);
    const known = cache.readRef(revision) ?? expandCommit(cache, name);
    if (offline) {
      if (known !== undefined) return known;
      const commits = cache.commits();
      const pinned =
        commits.length === 0
          ? ''
          : `; the cache has ${commits.map((commit) => formatHubName({ ...name, revision: commit })).join(', ')}`;
      throw new HubError(
        'OFFLINE',
        `HF_HUB_OFFLINE is set, and ${revision} of ${repository} was never downloaded to ${cacheFolder}${pinned}. Unset it once, or name a commit that is there or a folder`,
      );
    }
    const canDoWithout = known !== undefined && [role, 'adapter' as const].some((each) => isHere(name, known, each));
    const answer = canDoWithout
      ? (unreachable ?? (await ask(() => askCommit(name, fetchOnce))))
      : await ask(() => askCommit(name, fetchPatiently));
    if (!(answer instanceof HubError)) {
      cache.writeRef(revision, answer);
      return answer;
    }
    if (known === undefined || answer.isFinal) throw answer;
    if (!canDoWithout) throw missingError(name, known, role, answer);
    warnCached(name, known, answer);
    return known;
  };

  const list = async (name: HubName, commit: string, fetch: HubFetch): Promise<readonly HubFile[]> => {
    const cache = openHubCache(cacheFolder, name);
    const known = cache.readTree(commit);
    if (known !== undefined) return known;
    const files = await listAll(name, commit, hubUrl, fetch);
    cache.writeTree(commit, files);
    return files;
  };

  const download = async (name: HubName, commit: string, files: readonly HubFile[], fetch: HubFetch): Promise<void> => {
    const shown = formatHubName(name);
    const cache = openHubCache(cacheFolder, name);
    const missing = files.filter((file) => !cache.has(commit, file.path));
    if (missing.length === 0) return;
    const wanted = missing.filter((file) => !existsSync(path.join(cache.blobs, blobName(file))));
    await checkRoom(cacheFolder, sum(wanted));
    const totalBytes = sum(files);
    let finished = totalBytes - sum(wanted);
    for (const file of missing) {
      if (wanted.includes(file)) {
        const url = `${hubUrl}/${name.type === 'dataset' ? 'datasets/' : ''}${name.repository}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
        const onBytes = (bytes: number): void => onProgress({ name: shown, bytes: finished + bytes, totalBytes });
        await downloadBlob({
          file,
          repository: name.repository,
          url,
          cache: cacheFolder,
          blobs: cache.blobs,
          fetch,
          signal,
          onBytes,
        });
        finished += file.size;
      }
      await cache.link(commit, file);
    }
  };

  const downloadFolder = async (name: HubName, role: FolderRole, canDoWithout: boolean): Promise<void> => {
    const { repository, revision: commit } = name;
    const cache = openHubCache(cacheFolder, name);
    // Whoever gave the listing just now can be reached.
    const fetch = canDoWithout && cache.readTree(commit) !== undefined ? fetchOnce : fetchPatiently;
    const tree = await list(name, commit, canDoWithout ? fetchOnce : fetchPatiently);
    let shards: readonly string[] = [];
    if (role === 'base' && isSharded(tree)) {
      await download(
        name,
        commit,
        tree.filter(({ path: file }) => file === indexName),
        fetch,
      );
      shards = shardsIn(path.join(cache.snapshot(commit), indexName));
    }
    await download(name, commit, wantedFiles(tree, role, repository, shards), fetch);
    if (!existsSync(cache.snapshot(commit)))
      throw new HubError(
        'NOT_FOUND',
        `${formatHubName(name)} has none of the files of ${role === 'adapter' ? 'an adapter (adapter_config.json, adapter_model.safetensors)' : 'a model (config.json, model.safetensors)'}; see ${hubUrl}/${repository}/tree/${commit}`,
      );
  };

  const fetchFolder = async (name: HubName, role: FolderRole): Promise<string> => {
    const { repository, revision: commit } = name;
    const cache = openHubCache(cacheFolder, name);
    const folder = cache.snapshot(commit);
    const canDoWithout = isHere(name, commit, role) && existsSync(folder);
    const listed = cache.readTree(commit);
    if (canDoWithout && listed && wantedFiles(listed, role, repository).every((file) => cache.has(commit, file.path)))
      return folder;
    const reason =
      canDoWithout && unreachable !== undefined
        ? unreachable
        : await ask(() => downloadFolder(name, role, canDoWithout));
    if (reason === undefined) return folder;
    if (!canDoWithout || reason.code === 'CONTENT_DAMAGED') throw missingError(name, commit, role, reason);
    warnCached(name, commit, reason);
    const { optional } = missingOf(name, commit, role);
    if (optional.length > 0)
      warn(
        `${formatHubName(name)} is used without ${optional.join(', ')}: not in the cache, and the Hub was not asked or did not answer; results may differ from those with ${optional.length === 1 ? 'it' : 'them'}`,
      );
    return folder;
  };

  const fetchFile = async (name: HubName): Promise<string> => {
    const { path: file, revision: commit, repository } = name;
    const cache = openHubCache(cacheFolder, name);
    const place = path.join(cache.snapshot(commit), ...file!.split('/'));
    if (cache.has(commit, file!)) return place;
    const reason = await ask(async () => {
      const { pathsInfo } = await import('@huggingface/hub');
      const [found] = await pathsInfo({
        repo: repo(name),
        paths: [file!],
        revision: commit,
        hubUrl,
        fetch: fetchPatiently,
      });
      if (found?.type !== 'file')
        throw new HubError(
          'NOT_FOUND',
          `${repository} has no file ${file} at ${commit}; its files are on ${hubUrl}/${name.type === 'dataset' ? 'datasets/' : ''}${repository}/tree/${commit}`,
          { isFinal: true },
        );
      const { size, oid, lfs } = found;
      const entry = readHubFile({ path: file!, size: lfs?.size ?? size, oid, sha256: lfs?.oid }, hubUrl);
      await download(name, commit, [entry], fetchPatiently);
    });
    if (reason === undefined) return place;
    throw missingError(name, commit, 'file', reason);
  };

  return {
    async pin(given, role) {
      const name = readHubName(given, isFile(role) ? 'file' : 'folder');
      try {
        return formatHubName({ ...name, revision: await resolve(name, role) });
      } catch (error) {
        // A folder whose name was mistyped looks like a repository.
        if (!(error instanceof HubError) || error.code !== 'NOT_FOUND' || given.startsWith('hf://')) throw error;
        throw new HubError('NOT_FOUND', `${error.message}. There is no folder ${given} either`, { cause: error });
      }
    },
    async roleOf(pinned) {
      const name = readHubName(pinned, 'folder');
      const { revision: commit } = name;
      const cache = openHubCache(cacheFolder, name);
      const names = ['adapter_config.json', 'glulam.json'];
      if (names.some((file) => cache.has(commit, file))) return 'adapter';
      // Python looks for an adapter in every model that it opens.
      if (cache.readTree(commit) === undefined && cache.has(commit, 'config.json')) return 'base';
      const tree = await ask(() => list(name, commit, fetchPatiently));
      if (tree instanceof HubError) throw missingError(name, commit, 'base', tree);
      return tree.some(({ path: file }) => names.includes(file)) ? 'adapter' : 'base';
    },
    async fetch(pinned, role) {
      const name = readHubName(pinned, isFile(role) ? 'file' : 'folder');
      return isFile(role) ? await fetchFile(name) : await fetchFolder(name, role);
    },
  };
}

const offlineError = (): HubError => new HubError('OFFLINE', 'HF_HUB_OFFLINE is set; unset it to ask the Hub');

/** A short hash, as the Hub reads it: of a commit that is in the cache. */
function expandCommit(cache: HubCache, { repository, revision }: HubName): string | undefined {
  if (!/^[0-9a-f]{7,39}$/.test(revision)) return undefined;
  const [commit, ...others] = cache.commits().filter((each) => each.startsWith(revision));
  if (others.length === 0) return commit;
  throw new HubError(
    'NAME_INVALID',
    `${revision} is short for more than one commit of ${repository}: ${[commit, ...others].join(', ')}; write more of it`,
  );
}

/** An answer that the library cannot read. */
function unexpected(error: unknown, hubUrl: string): HubError {
  return new HubError(
    'REQUEST_REFUSED',
    `${hubUrl} gave an answer that is not understood (${(error as Error).message}); if HF_ENDPOINT is set, see that it leads to a Hub`,
    { cause: error },
  );
}

type FolderRole = Exclude<InputRole, 'file' | 'data'>;
const isFile = (role: InputRole): role is 'file' | 'data' => role === 'file' || role === 'data';
const repo = ({ type, repository }: HubName) => ({ type, name: repository });
const sum = (files: readonly HubFile[]): number => files.reduce((total, { size }) => total + size, 0);
