import { testEngine } from '@glulam/testing';
import type { Precision } from '@glulam/tensors';
import { it } from 'vitest';
import { openTfjsEngine, type BackendName } from './open-engine.js';

/** cpu and wasm are development dependencies; GLULAM_TFJS_BACKENDS names others that this machine has, as `node,webgpu`. */
const others = (process.env['GLULAM_TFJS_BACKENDS'] ?? '').split(',').filter((name) => name !== '') as BackendName[];

for (const backend of ['cpu', 'wasm', ...others] as const) {
  const precisions = backend.startsWith('node') ? (['float32', 'bfloat16'] as const) : (['float32'] as const);
  testEngine(`tfjs on ${backend}`, (precision) => openTfjsEngine({ backend, precision }), { precisions });
  if (!backend.startsWith('node')) continue;
  const open = (precision: Precision) => openTfjsEngine({ backend, precision, leastProgramRows: 1 });
  testEngine(`tfjs on ${backend}, all by programs`, open, { precisions });
}
if (others.length === 0) {
  it('engine tfjs on node, node-gpu, webgpu', ({ skip }) => skip('GLULAM_TFJS_BACKENDS names none of them'));
}
