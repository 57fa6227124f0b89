import type { Engine, Precision } from '@glulam/tensors';

/** The native engine on each instruction set that this machine has. */
export function nativeEngines(): [name: string, open: (precision: Precision) => Promise<Engine>][] {
  return [];
}
