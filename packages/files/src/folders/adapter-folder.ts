import { existsSync } from 'node:fs';
import path from 'node:path';

/** The file of the compact form. */
export const compactName = 'glulam.json';
/** PEFT's. */
export const peftName = 'adapter_config.json';

/** Whether a folder has an adapter: in the compact form or PEFT's. */
export function isAdapterFolder(folder: string): boolean {
  return [compactName, peftName].some((name) => existsSync(path.join(folder, name)));
}
