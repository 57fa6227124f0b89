import { HubError } from './errors.js';

/** A file of a repository at a commit, as the Hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** sha1 of the git blob; of a file in LFS that of its pointer. */
  readonly oid: string;
  /** sha256 of a file in LFS. */
  readonly sha256?: string | undefined;
}

/** As long as Linux lets a path be. */
const mostCharacters = 4096;

/** The hash under which a file's content is kept. */
export const blobName = ({ oid, sha256 }: HubFile): string => sha256 ?? oid;

/**
 * A file as a listing has it, checked: the hashes become names of files, and the size says how much is downloaded. Its path
 * is checked where it becomes one on this machine, since most files of a repository are never asked for.
 *
 * @param listing where it comes from, for the message
 * @throws HubError REQUEST_REFUSED
 */
export function readHubFile(
  { path, size, oid, sha256 }: { readonly [key in keyof HubFile]?: unknown },
  listing: string,
): HubFile {
  if (typeof path !== 'string' || path === '' || path.length > mostCharacters)
    throw wrong(listing, 'a file', 'path', path, `1 to ${mostCharacters} characters`);
  const file = `the file ${JSON.stringify(path.slice(0, 200))}`;
  if (!isHash(oid, 40)) throw wrong(listing, file, 'oid', oid, '40 hexadecimal digits');
  if (sha256 !== undefined && !isHash(sha256, 64))
    throw wrong(listing, file, 'lfs.oid', sha256, '64 hexadecimal digits');
  if (!Number.isInteger(size) || (size as number) < 0)
    throw wrong(listing, file, 'size', size, 'a whole number of bytes');
  return { path, size: size as number, oid, ...(sha256 === undefined ? {} : { sha256 }) };
}

const isHash = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);

function wrong(listing: string, what: string, field: string, value: unknown, expected: string): HubError {
  const shown = JSON.stringify(value)?.slice(0, 200) ?? 'missing';
  return new HubError(
    'REQUEST_REFUSED',
    `${listing} lists ${what} with the ${field} ${shown}, expected ${expected}; nothing was written. If HF_ENDPOINT is set, check that it leads to a Hub`,
    { isFinal: true },
  );
}
