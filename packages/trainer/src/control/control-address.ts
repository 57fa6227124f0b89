import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';

/** The least that systems allow for the path of a Unix domain socket is 104 bytes, its ending zero included. */
const longestPath = 103;
const socketName = 'run.sock';
const folderName = /^glulam-control-[A-Za-z0-9]{6}$/;
const pipeName = /^\\\\\.\\pipe\\glulam-control-[0-9a-f-]{36}$/;

/** Where a run listens, and how to clear that up. */
interface ControlAddress {
  readonly path: string;
  remove(): void;
}

/**
 * A new address that only this user can reach: a socket in a folder of its own (mode 0700), or a named pipe on Windows.
 *
 * @throws Error where the temporary folder cannot have one
 */
export function createControlAddress(): ControlAddress {
  if (process.platform === 'win32')
    return { path: `\\\\.\\pipe\\glulam-control-${randomUUID()}`, remove: () => undefined };
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-control-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const file = path.join(folder, socketName);
  if (Buffer.byteLength(file) <= longestPath) return { path: file, remove };
  remove();
  throw new Error(
    `${file} is longer than the ${longestPath} bytes that a socket's path may have; set TMPDIR to a shorter folder`,
  );
}

/**
 * Whether an address in a run folder, which may come from strangers, is one that this user's run made: a socket in a folder
 * with such a name, which is this user's and nobody else's to enter. Where temporary folders are, other processes may see differently.
 */
export function isControlAddress(address: string): boolean {
  if (process.platform === 'win32') return pipeName.test(address);
  const folder = path.dirname(address);
  if (path.basename(address) !== socketName || !folderName.test(path.basename(folder))) return false;
  if (!path.isAbsolute(address)) return false;
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === process.getuid!() && (found.mode & 0o077) === 0;
}
