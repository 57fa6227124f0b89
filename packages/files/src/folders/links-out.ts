import { realpathSync } from 'node:fs';
import path from 'node:path';

/**
 * The target of a file of a model's folder that lies elsewhere, by way of a link; undefined for a file in the folder itself or
 * one that is missing. The links of the Hub's cache, from `models--OWNER--NAME/snapshots/COMMIT` to that repository's `blobs`,
 * do not lead elsewhere. A folder that is itself reached by a link is where the link leads.
 *
 * Whoever made the folder chose the target, which may be any file of the reader's: its content is not to be copied into
 * what others are given.
 */
export function linkOut(folder: string, name: string): string | undefined {
  const [base, target] = [folder, path.join(folder, name)].map(realPath);
  if (base === undefined || target === undefined || target.startsWith(base + path.sep)) return undefined;
  const [, repository] = /^(.*[\\/]models--[^\\/]+)[\\/]snapshots[\\/][0-9a-f]{40}$/.exec(base) ?? [];
  const isBlob = /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(path.basename(target));
  if (repository !== undefined && isBlob && path.dirname(target) === path.join(repository, 'blobs')) return undefined;
  return target;
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined; // nothing there: whoever reads it says so
  }
}
