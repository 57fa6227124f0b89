import type { Tensor } from '@tensorflow/tfjs-core';
import type { Backend } from '../backend.js';
import { createKernelBackend, type Core } from '../kernel-backend.js';
import { loadPackage } from '../load-package.js';

const install = 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu';

/** Plain JavaScript on one thread: for tests, and where nothing else runs. */
export async function openCpu(): Promise<Backend<Tensor>> {
  const core = loadPackage<Core>('@tensorflow/tfjs-core', install);
  const { MathBackendCPU } = loadPackage<{ MathBackendCPU: new () => ReturnType<Core['backend']> }>(
    '@tensorflow/tfjs-backend-cpu',
    install,
  );
  return createKernelBackend({
    core,
    name: 'cpu',
    backend: new MathBackendCPU(),
    description: `tfjs ${core.version_core}, cpu: plain JavaScript, one thread`,
  });
}
