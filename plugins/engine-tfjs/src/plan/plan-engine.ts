import type { PlanningEngine, Precision } from '@glulam/tensors';
import { wasmLimit } from '../backends/wasm.js';
import { createTfjsEngine } from '../engine.js';
import { embedding } from '../embedding.js';
import { defaultProgramRows, type BackendName } from '../open-engine.js';
import { createTfBackend } from '../tensorflow/tf-backend.js';
import { createTfFused } from '../tensorflow/fused.js';
import { createCounter } from './counter.js';
import { createPlanningBinding } from './planning-binding.js';
import { createPlanningBackend, planningHost } from './planning-backend.js';

/** The engine on one of its backends, without the backend: what it stores, copies of weights included. */
export function planTfjsEngine(backend: BackendName, precision: Precision): PlanningEngine {
  const tensors = createCounter();
  const weights = createCounter();
  let mapped = 0;
  const description = `tfjs, ${backend}`;
  const onTensorflow = backend === 'node' || backend === 'node-gpu';
  const engine = onTensorflow ? planTensorflow() : planKernels();

  function planTensorflow() {
    const binding = createPlanningBinding(tensors, weights, (bytes) => (mapped += bytes));
    const planned = createTfBackend(binding, description, { host: planningHost, leastProgramRows: defaultProgramRows });
    return createTfjsEngine(planned, precision, (shell, on) => createTfFused(planned, shell, on));
  }
  function planKernels() {
    const planned = createPlanningBackend(description, tensors, weights, { packs: backend === 'wasm' });
    return createTfjsEngine(planned, 'float32', (shell) => ({ embedding: embedding(shell) }));
  }

  return Object.defineProperties(engine as PlanningEngine, {
    mappedBytes: { get: () => mapped },
    peakBytes: { get: () => tensors.peak },
    reservedPeakBytes: { get: () => tensors.peak + weights.live },
    copiedBytes: { get: () => weights.live },
    limitBytes: { value: backend === 'wasm' ? wasmLimit : undefined },
    resetPeak: { value: () => tensors.resetPeak() },
  });
}
