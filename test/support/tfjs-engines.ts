import { openTfjsEngine, type BackendName, type TfjsEngineOptions } from '@glulam/engine-tfjs';
import type { Engine, Precision } from '@glulam/tensors';
import { test } from 'vitest';

/** Backends that the variable GLULAM_TFJS_BACKENDS names (`node,webgpu`): their packages are not dependencies. */
export const namedBackends = (process.env['GLULAM_TFJS_BACKENDS'] ?? '')
  .split(',')
  .filter((name) => name !== '') as BackendName[];

/**
 * engine-tfjs on the backends that are development dependencies, and on the named ones: their packages are found from the
 * repository's node_modules or the folder the tests start in.
 */
export function tfjsEngines(): [name: string, open: (precision: Precision) => Promise<Engine>][] {
  if (namedBackends.length === 0)
    test('engine tfjs on node, node-gpu, webgpu', ({ skip }) => skip('GLULAM_TFJS_BACKENDS names none of them'));
  return (['cpu', 'wasm', ...namedBackends] as const).flatMap((backend) => {
    const of = (name: string, options: TfjsEngineOptions): ReturnType<typeof tfjsEngines>[number] => [
      `tfjs ${backend}${name}`,
      (precision) => openTfjsEngine({ backend, precision, ...options }),
    ];
    // On TensorFlow cases this short are computed by its operations, unless all is left to programs.
    return [of('', {}), ...(backend.startsWith('node') ? [of(', all by programs', { leastProgramRows: 1 })] : [])];
  });
}
