import type { Engine } from '@glulam/tensors';
import { formatBytes } from '../plan/format-bytes.js';

/** For users: which weights an engine holds in copies, since it has no kernels for how they are stored. */
export function describeCopies({ kind, copies = new Map() }: Pick<Engine, 'kind' | 'copies'>): string[] {
  return [...copies].map(
    ([format, bytes]) =>
      `the engine ${kind} has no kernels for weights that are stored as ${format}: it holds them decoded, in ${formatBytes(bytes)} of memory`,
  );
}
