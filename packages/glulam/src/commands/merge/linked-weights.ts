import { readdirSync } from 'node:fs';
import path from 'node:path';
import { linkOut } from '@glulam/files';

/**
 * For users: which weights come by links from outside of a base's folder or the adapters', or undefined. To keep weights
 * on another disk is common; a stranger's link may lead to weights that are nobody else's business.
 *
 * @param files the base's weights
 */
export function describeLinkedWeights(
  base: string,
  files: readonly string[],
  adapterFolders: readonly string[],
): string | undefined {
  const linked = [
    ...files.flatMap((file) => describe(base, file)),
    ...adapterFolders.flatMap((folder) => {
      // A run's adapter may be a link itself.
      const root = path.basename(folder) === 'adapter' ? path.dirname(folder) : folder;
      const weights = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
      return weights.flatMap((name) => describe(root, path.join(folder, name)));
    }),
  ];
  if (linked.length === 0) return undefined;
  const more = linked.length > 3 ? ` and ${linked.length - 3} more` : '';
  return `weights are links to files outside of their folder, whose content goes into what is written: ${linked.slice(0, 3).join(', ')}${more}`;
}

function describe(root: string, file: string): string[] {
  const target = linkOut(root, path.relative(root, file));
  return target === undefined ? [] : [`${file} -> ${target}`];
}
