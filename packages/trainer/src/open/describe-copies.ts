import type { Engine } from '@glulam/tensors';
import { formatBytes } from '../plan/format-bytes.js';

/** For users: which weights an engine holds in copies, since it cannot compute with them where they are stored. */
export function describeCopies({ kind, copies = new Map() }: Pick<Engine, 'kind' | 'copies'>): string[] {
  return [...copies].map(
    ([format, bytes]) =>
      `the engine ${kind} cannot compute with weights stored as ${format} where they are: it holds them decoded, in ${formatBytes(bytes)} of memory`,
  );
}
