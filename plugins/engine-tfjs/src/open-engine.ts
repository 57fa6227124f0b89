import { TensorsError, type Engine, type EngineProbe, type Precision } from '@glulam/tensors';
import { openCpu } from './backends/cpu.js';
import { openTensorflow } from './backends/tensorflow.js';
import { openWasm } from './backends/wasm.js';
import { openWebgpu } from './backends/webgpu.js';
import type { Backend } from './backend.js';
import { embedding } from './embedding.js';
import { createTfjsEngine } from './engine.js';
import { createTfFused } from './tensorflow/fused.js';
import type { TfBackend } from './tensorflow/tf-backend.js';

/** In the order in which `auto` tries them. */
export const backendNames = ['node-gpu', 'node', 'webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

export const defaultProgramRows = 64;

export interface TfjsEngineOptions {
  readonly backend?: BackendName | 'auto' | undefined;
  /** bfloat16 is TensorFlow's alone: an engine on another backend has the precision float32. */
  readonly precision?: Precision | undefined;
  /**
   * Passes of fewer tokens are left to TensorFlow's own operations; for others XLA compiles programs, anew for each number
   * of tokens in steps of an eighth.
   */
  readonly leastProgramRows?: number | undefined;
}

/**
 * Open TensorFlow.js on a backend. `auto` takes the first that loads; the engine's description says which, and why those
 * before it did not.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE with the reason, and the command that mends it.
 */
export async function openTfjsEngine(options: TfjsEngineOptions = {}): Promise<Engine> {
  const { backend = 'auto', precision = 'float32', leastProgramRows = defaultProgramRows } = options;
  if (backend !== 'auto') return openers[backend](precision, leastProgramRows);
  const reasons: string[] = [];
  for (const name of backendNames) {
    try {
      const engine = await openers[name](precision, leastProgramRows);
      const passed = reasons.map((reason) => reason.split(': ').slice(0, 2).join(': '));
      return Object.assign(engine, { description: [engine.description, ...passed].join('; ') });
    } catch (error) {
      reasons.push(`${name}: ${reasonOf(error)}`);
    }
  }
  throw new TensorsError('ENGINE_UNAVAILABLE', `no backend of TensorFlow.js loads:\n  ${reasons.join('\n  ')}`);
}

/** Each backend, loaded for a moment. */
export async function probeBackends(): Promise<EngineProbe[]> {
  const probes: EngineProbe[] = [];
  for (const name of backendNames) {
    try {
      const engine = await openers[name]('float32', Infinity);
      await engine.close();
      probes.push({ name: `tfjs ${name}`, loads: true, details: engine.description });
    } catch (error) {
      probes.push({ name: `tfjs ${name}`, loads: false, details: reasonOf(error) });
    }
  }
  return probes;
}

/** Only what is known to be missing is passed over. */
function reasonOf(error: unknown): string {
  if (error instanceof TensorsError && error.code === 'ENGINE_UNAVAILABLE') return error.message;
  throw error;
}

/** These have no bfloat16: rounding to it would cost time and exactness, and the values four bytes all the same. */
const onKernels = <Data extends object>(backend: Backend<Data>): Engine =>
  createTfjsEngine(backend, 'float32', (shell) => ({ embedding: embedding(shell) }));
const onTensorflow = (backend: TfBackend, precision: Precision): Engine =>
  createTfjsEngine(backend, precision, (shell, engine) => createTfFused(backend, shell, engine));

const openers: Readonly<Record<BackendName, (precision: Precision, leastProgramRows: number) => Promise<Engine>>> = {
  'node-gpu': async (precision, rows) => onTensorflow(openTensorflow('@tensorflow/tfjs-node-gpu', rows), precision),
  node: async (precision, rows) => onTensorflow(openTensorflow('@tensorflow/tfjs-node', rows), precision),
  webgpu: async () => onKernels(await openWebgpu()),
  wasm: async () => onKernels(await openWasm()),
  cpu: async () => onKernels(await openCpu()),
};
