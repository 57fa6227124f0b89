import { type Engine, type Precision } from '@glulam/tensors';
import { openCpu } from './backends/cpu.js';
import { openTensorflow } from './backends/tensorflow.js';
import { openWebgpu } from './backends/webgpu.js';
import { openWasm } from './backends/wasm.js';
import type { Device } from './device.js';
import { embedding } from './embedding.js';
import { createEngine } from './engine.js';
import type { TfDevice } from './tensorflow/device.js';
import { createTfFused } from './tensorflow/fused.js';

/** In the order in which `auto` tries them. */
export const backendNames = ['node-gpu', 'node', 'webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

export interface TfjsEngineOptions {
  readonly backend?: BackendName | 'auto' | undefined;
  readonly precision?: Precision | undefined;
}

/**
 * Open TensorFlow.js on a backend; `auto` takes the first that loads.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE with the reason, and the command that mends it.
 */
export async function openTfjsEngine({
  backend = 'auto',
  precision = 'float32',
}: TfjsEngineOptions = {}): Promise<Engine> {
  return await openers[backend === 'auto' ? 'cpu' : backend](precision);
}

const onKernels = <Data>(device: Device<Data>, precision: Precision): Engine =>
  createEngine(device, precision, (workshop) => ({ embedding: embedding(workshop) }));

const onTensorflow = (device: TfDevice, precision: Precision): Engine =>
  createEngine(device, precision, (workshop, engine) => createTfFused(device, workshop, engine));

const openers: Readonly<Record<BackendName, (precision: Precision) => Promise<Engine>>> = {
  'node-gpu': async (precision) => onTensorflow(openTensorflow('@tensorflow/tfjs-node-gpu'), precision),
  node: async (precision) => onTensorflow(openTensorflow('@tensorflow/tfjs-node'), precision),
  webgpu: async (precision) => onKernels(await openWebgpu(), precision),
  wasm: async (precision) => onKernels(await openWasm(), precision),
  cpu: async (precision) => onKernels(await openCpu(), precision),
};
