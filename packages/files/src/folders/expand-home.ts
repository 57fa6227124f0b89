import { homedir } from 'node:os';
import path from 'node:path';

/** A path that begins with `~/` with the home folder in its place, as shells have it: they leave `--out=~/x` and files alone. */
export const expandHome = (name: string): string =>
  name.startsWith('~/') ? path.join(homedir(), name.slice(2)) : name;
