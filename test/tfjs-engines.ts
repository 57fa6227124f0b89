import { openTfjsEngine } from '@glulam/engine-tfjs';
import type { Engine, Precision } from '@glulam/tensors';

export function tfjsEngines(): [name: string, open: (precision: Precision) => Promise<Engine>][] {
  return (process.env['GT'] ? (['node'] as const) : (['cpu', 'wasm'] as const)).map((backend) => [
    `tfjs ${backend}`,
    (precision) => openTfjsEngine({ backend, precision }),
  ]);
}
