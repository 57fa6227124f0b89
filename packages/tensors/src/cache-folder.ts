import { homedir } from 'node:os';
import path from 'node:path';

/** Where what can be made again is kept: the folder that the variable GLULAM_CACHE names, or `~/.cache/glulam`. */
export function cacheFolder(): string {
  return process.env['GLULAM_CACHE'] ?? path.join(homedir(), '.cache/glulam');
}
