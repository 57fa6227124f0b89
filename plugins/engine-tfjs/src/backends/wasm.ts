import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import path from 'node:path';
import { sizeOf } from '@glulam/files';
import { TensorsError } from '@glulam/tensors';
import type { Backend } from '../backend.js';
import { createKernelBackend, type Core, type Kernels } from '../kernel-backend.js';
import { folderOfPackage, loadPackage } from '../load-package.js';

const name = '@tensorflow/tfjs-backend-wasm';
const installWasm = `npm install @tensorflow/tfjs-core ${name}`;

/** WebAssembly addresses 32 bits. */
export const wasmLimit = 2 ** 32;

/** What the backend keeps under this name, in its published build. */
interface WasmBackend extends KernelBackend {
  readonly wasm: { _malloc(bytes: number): number; _free(address: number): void };
}
const guarded = new WeakSet<object>();

/**
 * WebAssembly with SIMD, one thread in Node. There is one instance a process, with one memory, that all engines on it
 * share: its kernels are bound to the instance that was made last.
 */
export async function openWasm(): Promise<Backend<Tensor>> {
  const core = loadPackage<Core>('@tensorflow/tfjs-core', installWasm);
  const { setWasmPaths } = loadPackage<{ setWasmPaths(folder: string): void }>(name, installWasm);
  let backend = core.engine().registry['wasm'] as WasmBackend | undefined;
  if (backend === undefined) {
    // Its own files: the library would otherwise look beside the main module, or in the network.
    setWasmPaths(path.join(folderOfPackage(name, installWasm), 'dist/'));
    if (!(await core.setBackend('wasm')))
      throw new TensorsError('ENGINE_UNAVAILABLE', `${name} does not start; see its warnings above`);
    backend = core.engine().registry['wasm'] as WasmBackend;
  }
  const { wasm } = backend;
  guardMemory(wasm);
  const simd = (await core.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? ' with SIMD' : '';
  return createKernelBackend({
    core,
    name: 'wasm',
    backend,
    description: `tfjs ${core.version_core}, wasm: WebAssembly${simd}, one thread`,
    matmul: (kernels, a, b, transposeA, transposeB) => matmul(kernels, wasm, a, b, transposeA, transposeB),
  });
}

/** Where memory ends, the library goes on with the address 0 and writes over itself: end here instead. */
export function guardMemory(wasm: WasmBackend['wasm']): void {
  if (guarded.has(wasm)) return;
  guarded.add(wasm);
  const allocate = wasm._malloc.bind(wasm);
  wasm._malloc = (bytes) => {
    const address = allocate(bytes);
    if (address === 0 && bytes > 0) {
      throw new Error(`out of memory: ${bytes} bytes more do not fit into the 4 GiB of WebAssembly`);
    }
    return address;
  };
}

/**
 * Only one kernel is fast: a plain [m, k] x [k, n], without transposition or batches. It packs its right operand and
 * keeps the packed form as long as the operand lives, so a frozen weight comes as a copy that goes right after.
 */
function matmul(
  { run, tidy }: Kernels,
  wasm: WasmBackend['wasm'],
  a: TensorInfo,
  b: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): Tensor {
  const [batch] = a.shape as [number, number, number];
  return tidy((note) => {
    const flip = (x: TensorInfo): Tensor => note(run('Transpose', { x }, { perm: [0, 2, 1] }));
    const plain = (left: TensorInfo, right: TensorInfo): Tensor => {
      // Packing takes memory that the library does not ask for where it could say no.
      wasm._free(wasm._malloc(sizeOf(right.shape) * 4 + 4096));
      const attributes = { transposeA: false, transposeB: false };
      return run('BatchMatMul', { a: left, b: right }, attributes);
    };
    const part = (x: TensorInfo, i: number): Tensor =>
      note(run('Slice', { x }, { begin: [i, 0, 0], size: [1, x.shape[1]!, x.shape[2]!] }));
    if (batch > 1) {
      const [left, right] = [transposeA ? flip(a) : a, transposeB ? flip(b) : b];
      const products = Array.from({ length: batch }, (_, i) => note(plain(part(left, i), part(right, i))));
      return run('Concat', products as unknown as Record<string, TensorInfo>, { axis: 0 });
    }
    // (B A^T)^T moves the small operand and the result where A B^T would move a weight.
    const [m, n] = [a.shape[transposeA ? 2 : 1]!, b.shape[transposeB ? 1 : 2]!];
    if (transposeB && !transposeA && m < n)
      return run('Transpose', { x: note(plain(b, flip(a))) }, { perm: [0, 2, 1] });
    return plain(transposeA ? flip(a) : a, transposeB ? flip(b) : part(b, 0));
  });
}
