import { sizeOf } from '@glulam/files';
import { TensorsError } from '@glulam/tensors';
import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { Backend } from '../backend.js';
import { createKernelBackend, type Core } from '../kernel-backend.js';
import { loadPackage } from '../load-package.js';

const install = 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-webgpu webgpu';

/** What the package `webgpu` (Dawn) exports. */
interface Dawn {
  create(options: readonly string[]): { requestAdapter(): Promise<Adapter | null> };
  readonly globals: Readonly<Record<string, unknown>>;
}
interface Adapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string };
}
/** What the backend has beside a backend's methods, in its published build. */
interface WebgpuBackend extends KernelBackend {
  readonly device: EventTarget & { readonly queue: { onSubmittedWorkDone(): Promise<void> } };
  readonly commandEncoder: object | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
  runWebGPUProgram(program: object, inputs: readonly TensorInfo[], dtype: string): TensorInfo;
}

/** Any GPU with a Vulkan, Metal or D3D12 driver, by Dawn; one device a process, that all engines on it share. */
export async function openWebgpu(): Promise<Backend<Tensor>> {
  const core = loadPackage<Core>('@tensorflow/tfjs-core', install);
  const adapter = await provideGpu();
  // It registers itself where it finds navigator.gpu, so it is loaded after that is there.
  loadPackage('@tensorflow/tfjs-backend-webgpu', install);
  if (core.engine().registry['webgpu'] === undefined && !(await core.setBackend('webgpu')))
    throw new TensorsError('ENGINE_UNAVAILABLE', 'tfjs-backend-webgpu does not start; see its warnings above');
  const backend = core.engine().registry['webgpu'] as WebgpuBackend;
  let fault: string | undefined;
  backend.device.addEventListener('uncapturederror', (event) => {
    fault ??= (event as Event & { readonly error: { readonly message: string } }).error.message;
  });
  return createKernelBackend({
    core,
    name: 'webgpu',
    backend,
    description: `tfjs ${core.version_core}, webgpu: ${adapter.info.description || adapter.info.vendor}`,
    behind: {
      async settle() {
        // Without commands since the last time the library has nothing to submit, and does not look.
        if (backend.commandEncoder != null) {
          backend.endComputePassEncoder();
          backend.submitQueue();
        }
        await backend.device.queue.onSubmittedWorkDone();
        if (fault !== undefined) throw new Error(fault);
      },
      toBfloat16: (x) => backend.runWebGPUProgram(roundingProgram(x.shape), [x], 'float32'),
    },
  });
}

/** `navigator.gpu`, as browsers have it. */
async function provideGpu(): Promise<Adapter> {
  const scope = globalThis as { navigator?: { gpu?: ReturnType<Dawn['create']> } };
  if (scope.navigator?.gpu === undefined) {
    const { create, globals } = loadPackage<Dawn>('webgpu', install);
    Object.assign(globalThis, globals);
    const gpu = create([]);
    if (scope.navigator === undefined)
      Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
    else Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
  }
  const adapter = await scope.navigator!.gpu!.requestAdapter();
  if (adapter === null) {
    throw new TensorsError(
      'ENGINE_UNAVAILABLE',
      'WebGPU finds no adapter: it takes a GPU with a Vulkan 1.1, Metal or D3D12 driver (Mesa 22.3 is too old, 25 works)',
    );
  }
  return adapter;
}

const threads = 128;

/** Each value rounded to bfloat16, to nearest and ties to even, as a program of the backend's. */
function roundingProgram(shape: readonly number[]): object {
  const groups = Math.ceil(sizeOf(shape) / threads);
  const wide = Math.min(groups, 65535);
  return {
    variableNames: ['A'],
    outputShape: shape,
    shaderKey: 'glulam-bfloat16',
    dispatchLayout: { x: shape.map((_, axis) => axis) },
    dispatch: [wide, Math.ceil(groups / wide), 1],
    workgroupSize: [threads, 1, 1],
    size: true,
    getUserCode: () => `
      fn rounded(value : f32) -> f32 {
        let word = bitcast<u32>(value);
        if ((word & 0x7f800000u) == 0x7f800000u) { return value; }
        return bitcast<f32>((word + 0x7fffu + ((word >> 16u) & 1u)) & 0xffff0000u);
      }
      fn main(index : i32) {
        if (index < uniforms.size) {
          setOutputAtIndex(index, rounded(getAByOutputIndex(index)));
        }
      }`,
  };
}
