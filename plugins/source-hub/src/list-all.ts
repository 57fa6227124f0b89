import { HubError } from './errors.js';
import { readHubFile, type HubFile } from './hub-file.js';
import type { HubFetch } from './hub-fetch.js';
import type { HubName } from './hub-name.js';

/** More than any model has; each page of the Hub's listing has a thousand. */
const mostFiles = 100_000;
const mostPages = 1000;
const mostMilliseconds = 600_000;

/**
 * All files of a repository at a commit.
 *
 * @throws HubError as HubFetch, and REQUEST_REFUSED for a listing that does not end or names files that cannot be
 */
export async function listAll(
  { type, repository }: HubName,
  commit: string,
  hubUrl: string,
  fetch: HubFetch,
): Promise<readonly HubFile[]> {
  const endless = (fault: string): HubError =>
    new HubError(
      'REQUEST_REFUSED',
      `${hubUrl} lists the files of ${repository} without an end: ${fault}. If HF_ENDPOINT is set, check that it leads to a Hub`,
      { isFinal: true },
    );
  const started = performance.now();
  const pages = new Set<string>();
  const fetchPage: typeof globalThis.fetch = async (input, init) => {
    const page = input instanceof Request ? input.url : String(input);
    if (pages.has(page)) throw endless(`it gave the same page twice, after ${pages.size}`);
    pages.add(page);
    if (pages.size > mostPages) throw endless(`expected at most ${mostPages} pages`);
    if (performance.now() - started > mostMilliseconds)
      throw endless(`after ${mostMilliseconds / 1000} s there is more`);
    return fetch(input, init);
  };
  const asked = { repo: { type, name: repository }, revision: commit, recursive: true, hubUrl, fetch: fetchPage };
  const files: HubFile[] = [];
  const { listFiles } = await import('@huggingface/hub');
  for await (const { type: kind, path, size, oid, lfs } of listFiles(asked)) {
    if (kind !== 'file') continue;
    files.push(readHubFile({ path, size: lfs?.size ?? size, oid, sha256: lfs?.oid }, hubUrl));
    if (files.length > mostFiles) throw endless(`expected at most ${mostFiles} files`);
  }
  return files;
}
