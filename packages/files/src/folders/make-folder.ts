import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Make a folder and those above it, where they are not there yet. Node's own `recursive` tries for ever where a file system
 * says ENOENT to the making of a folder (/proc).
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (isFolder(folder)) return;
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder || isFolder(parent)) throw error;
    makeFolder(parent);
    makeFolder(folder);
  }
}

function isFolder(place: string): boolean {
  try {
    return statSync(place).isDirectory();
  } catch {
    return false; // not there, or not to be seen: making it says why
  }
}
