import { stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { HubError } from './errors.js';
import { createHubFetch, type HubFetchOptions } from './hub-fetch.js';
import { readHubName } from './hub-name.js';
import { hubSettings } from './hub-settings.js';

export interface PushOptions {
  /** owner/name or owner/name@branch; the repository is made where there is none. */
  readonly to: string;
  /** Paths in the repository to files here. */
  readonly files: ReadonlyMap<string, string>;
  /** Of a repository that is made. */
  readonly isPrivate: boolean;
  /** The commit's first line. */
  readonly title: string;
  readonly signal: AbortSignal;
  /** Bytes of large files that were sent; those that the Hub has already are not. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined;
}

export interface PushedCommit {
  readonly repository: string;
  readonly commit: string;
  readonly url: string;
  /** The repository was made. */
  readonly created: boolean;
}

/**
 * Push files to a model's repository as one commit: whatever happens on the way, the repository is as before until all of
 * them are there.
 *
 * @throws HubError
 */
export async function pushFiles(
  { to, files, isPrivate, title, signal, onProgress }: PushOptions,
  { firstDelay }: Pick<HubFetchOptions, 'firstDelay'> = {},
): Promise<PushedCommit> {
  const { repository, revision: branch } = readHubName(to, 'folder');
  const settings = hubSettings();
  const { endpoint: hubUrl, withoutXet, token } = settings;
  if (token === undefined)
    throw new HubError(
      'ACCESS_DENIED',
      `to push, the Hub has to know who you are: make a token that may write at ${hubUrl}/settings/tokens and set it as HF_TOKEN (or log in by "hf auth login")`,
    );
  const plain = createHubFetch(settings, { signal, firstDelay });
  const repo = { type: 'model' as const, name: repository };
  let totalBytes = 0;
  for (const file of files.values()) totalBytes += (await stat(file)).size;

  let sent = 0;
  /** Files go to other places than the Hub's API. */
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await plain(input, init);
    const { body } = init ?? {};
    if (body instanceof Blob && init?.method === 'PUT') onProgress?.((sent += body.size), totalBytes);
    return response;
  };

  const { createBranch, createRepo, uploadFiles } = await import('@huggingface/hub');
  try {
    const created = !(await exists(repository, hubUrl, fetch));
    if (created) {
      // The library's own credentials are left empty: `fetch` adds the token, to requests of the Hub alone.
      await createRepo({
        repo,
        accessToken: '',
        ...(isPrivate ? { visibility: 'private' as const } : {}),
        hubUrl,
        fetch,
      });
    }
    if (branch !== 'main' && !(await exists(repository, hubUrl, fetch, branch)))
      await createBranch({ repo, branch, hubUrl, fetch });
    const pushed = await uploadFiles({
      repo,
      files: [...files].map(([path, file]) => ({ path, content: pathToFileURL(file) })),
      commitTitle: title,
      branch,
      useXet: !withoutXet,
      abortSignal: signal,
      hubUrl,
      fetch,
    });
    return { repository, commit: pushed!.commit.oid, url: pushed!.commit.url, created };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw new HubError('REQUEST_REFUSED', `${repository} was not changed: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function exists(repository: string, hubUrl: string, fetch: typeof globalThis.fetch, revision = 'HEAD') {
  const { modelInfo } = await import('@huggingface/hub');
  try {
    await modelInfo({ name: repository, revision, hubUrl, fetch });
    return true;
  } catch (error) {
    if (error instanceof HubError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
