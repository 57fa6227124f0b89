import { expandHome } from './expand-home.js';

/** Where what can be made again is kept: the folder that the variable GLULAM_CACHE names, or `~/.cache/glulam`. */
export function cacheFolder(): string {
  return expandHome(process.env['GLULAM_CACHE'] ?? '~/.cache/glulam');
}
