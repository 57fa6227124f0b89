import type { Engine } from '@glulam/tensors';
import { formatBytes } from '../plan/format-bytes.js';

/**
 * For users: which weights an engine holds in copies because it cannot compute with them where they are stored.
 *
 * @param kind the engine's name; a planning engine goes by the name of the engine it plans for
 */
export function describeCopies(engine: Pick<Engine, 'kind' | 'copies'>, kind: string = engine.kind): string[] {
  return [...(engine.copies ?? [])].map(
    ([format, bytes]) =>
      `the engine ${kind} cannot compute with weights stored as ${format} where they are: it holds them decoded, in ${formatBytes(bytes)} of memory`,
  );
}
