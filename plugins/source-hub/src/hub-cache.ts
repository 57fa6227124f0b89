import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { rename, statfs, symlink } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { makeFolder, readTextFile } from '@glulam/files';
import { HubError } from './errors.js';
import { blobName, readHubFile, type HubFile } from './hub-file.js';
import { isCommit, type HubName } from './hub-name.js';

/**
 * One repository's part of the cache, laid out as huggingface_hub does (blobs by hash, a folder of links for each commit,
 * the commits of branches, listings), so that both use the same files.
 */
export interface HubCache {
  readonly blobs: string;
  /** The commit of a branch or tag when it was last asked for. */
  readRef(revision: string): string | undefined;
  writeRef(revision: string, commit: string): void;
  /** All files of a commit, where they were listed once. */
  readTree(commit: string): readonly HubFile[] | undefined;
  writeTree(commit: string, files: readonly HubFile[]): void;
  snapshot(commit: string): string;
  has(commit: string, file: string): boolean;
  /** Whether a file is a link whose blob is gone. */
  isBroken(commit: string, file: string): boolean;
  /** Files at the root of a commit that are such links. */
  brokenLinks(commit: string): readonly string[];
  /** Whether Python noted that the repository has no such file at this commit (`.no_exist`). */
  isAbsent(commit: string, file: string): boolean;
  /** The commits of which files are here. */
  commits(): readonly string[];
  /** Give a blob its name in a commit. */
  link(commit: string, file: HubFile): Promise<void>;
}

export function openHubCache(cache: string, { type, repository }: Pick<HubName, 'type' | 'repository'>): HubCache {
  const folder = path.join(cache, `${type}s--${repository.replace('/', '--')}`);
  const blobs = path.join(folder, 'blobs');
  const snapshot = (commit: string): string => path.join(folder, 'snapshots', checkCommit(commit));
  const place = (commit: string, file: string): string => path.join(snapshot(commit), ...safeParts(file));
  const refFile = (revision: string): string => path.join(folder, 'refs', ...safeParts(revision));
  const treeFile = (commit: string): string => path.join(folder, 'trees', `${checkCommit(commit)}.json`);
  const isBroken = (commit: string, file: string): boolean => {
    const at = place(commit, file);
    return !existsSync(at) && namesIn(path.dirname(at)).includes(path.basename(at));
  };
  const readRef = (revision: string): string | undefined => {
    const file = refFile(revision);
    const size = kindOf(file) === 'file' ? lstatSync(file).size : 0;
    // A commit and a line feed.
    if (size < 40 || size > 42) return undefined;
    const commit = readTextFile(file).trim();
    return isCommit(commit) ? commit : undefined;
  };
  return {
    blobs,
    snapshot,
    readRef,
    writeRef(revision, commit) {
      if (readRef(revision) === commit || kindOf(refFile(revision)) === 'other') return;
      // Python reads every file in this folder as a ref: no temporary name beside it.
      ifWritable(() => {
        makeFolder(path.dirname(refFile(revision)));
        writeFileSync(refFile(revision), commit);
      });
    },
    readTree(commit) {
      return kindOf(treeFile(commit)) === 'file' ? parseTree(treeFile(commit)) : undefined;
    },
    writeTree(commit, files) {
      const file = treeFile(commit);
      if (kindOf(file) === 'other') return;
      ifWritable(() => {
        makeFolder(path.dirname(file));
        writeFileSync(file, printTree(files));
      });
    },
    has: (commit, file) => existsSync(place(commit, file)),
    isBroken,
    brokenLinks: (commit) => namesIn(snapshot(commit)).filter((file) => isBroken(commit, file)),
    isAbsent: (commit, file) => existsSync(path.join(folder, '.no_exist', checkCommit(commit), ...safeParts(file))),
    commits: () => namesIn(path.join(folder, 'snapshots')).filter(isCommit),
    async link(commit, file) {
      const at = place(commit, file.path);
      const blob = path.join(blobs, blobName(file));
      writing(cache, () => makeFolder(path.dirname(at)));
      // Under another name first: another process may be linking the same file.
      const temporary = `${at}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
      try {
        await symlink(path.relative(path.dirname(at), blob), temporary);
        await rename(temporary, at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw unwritable(cache, error);
        // Windows without the right to make links: as in Python the file itself goes there.
        await rename(blob, at);
      }
    },
  };
}

export function unwritable(cache: string, cause: unknown): HubError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new HubError(
    'CACHE_UNWRITABLE',
    full
      ? `the disk of the Hub's cache ${cache} is full; make room and give the same command again, which goes on with what is there, or name another folder by HF_HOME`
      : `the Hub's cache ${cache} cannot be written (${message}); name a folder that can by HF_HOME or HF_HUB_CACHE`,
    { cause },
  );
}

/** What stands under a name. A link may lead out of the cache and a pipe keeps its reader waiting: neither is used. */
function kindOf(file: string): 'nothing' | 'file' | 'other' {
  try {
    return lstatSync(file).isFile() ? 'file' : 'other';
  } catch {
    return 'nothing'; // or a place where nothing can be: writing there says so
  }
}

function checkCommit(commit: string): string {
  if (isCommit(commit)) return commit;
  throw new HubError('NAME_INVALID', `${JSON.stringify(commit)} is no commit; expected 40 hexadecimal digits`);
}

/** Refs and listings only save questions: a cache that is mounted read-only serves what it has without them. */
function ifWritable(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
  }
}

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

function writing(cache: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw unwritable(cache, error);
  }
}

/** Refuse before hours of downloading what will not fit. */
export async function checkRoom(cache: string, bytes: number): Promise<void> {
  writing(cache, () => makeFolder(cache));
  const { bavail, bsize } = await statfs(cache);
  const free = bavail * bsize;
  if (bytes <= free) return;
  const gigabytes = (count: number): string => `${(count / 1e9).toFixed(2)} GB`;
  throw new HubError(
    'CACHE_UNWRITABLE',
    `${gigabytes(bytes)} have to be downloaded, and the disk of the Hub's cache ${cache} has ${gigabytes(free)} left; make room, or name a folder on another disk by HF_HOME`,
  );
}

/** A name that comes from elsewhere must not lead out of the cache. */
function safeParts(name: string): string[] {
  const parts = name.split('/');
  if (
    parts.some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part) || /^[A-Za-z]:/.test(part))
  )
    throw new HubError(
      'NAME_INVALID',
      `the Hub's file or revision ${JSON.stringify(name)} could leave its folder; nothing was written`,
    );
  return parts;
}

/** The listing in the form of huggingface_hub's _tree_cache.py. */
function printTree(files: readonly HubFile[]): string {
  const entries = files.map(({ path: name, size, oid, sha256 }): [string, object] => [
    name,
    { size, blob_id: oid, ...(sha256 === undefined ? {} : { lfs_sha256: sha256, lfs_size: size }) },
  ]);
  return JSON.stringify({ format_version: 1, files: Object.fromEntries(entries) }, null, 1);
}

/** A listing of all the files that there may be. */
const mostListingBytes = 100_000_000;

/** undefined: of another version, cut short, or damaged; it is asked for again. */
function parseTree(file: string): readonly HubFile[] | undefined {
  try {
    const { format_version, files } = JSON.parse(readTextFile(file, mostListingBytes)) as {
      format_version: unknown;
      files: Record<string, unknown>;
    };
    if (format_version !== 1) return undefined;
    return Object.entries(files).map(([name, entry]) => {
      const { size, blob_id: oid, lfs_sha256, lfs_size } = entry as Record<string, unknown>;
      if (typeof lfs_sha256 !== 'string') return readHubFile({ path: name, size, oid }, file);
      return readHubFile({ path: name, size: lfs_size ?? size, oid, sha256: lfs_sha256 }, file);
    });
  } catch {
    return undefined;
  }
}
