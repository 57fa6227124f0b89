import { isInstalled } from './load-package.js';
import { backendNames, type BackendName } from './open-engine.js';

const packages: Readonly<Record<BackendName, string>> = {
  'node-gpu': '@tensorflow/tfjs-node-gpu',
  node: '@tensorflow/tfjs-node',
  webgpu: '@tensorflow/tfjs-backend-webgpu',
  wasm: '@tensorflow/tfjs-backend-wasm',
  cpu: '@tensorflow/tfjs-backend-cpu',
};

/** What `auto` will most likely open, found without loading anything. */
export function firstInstalled(): BackendName {
  return backendNames.find((name) => isInstalled(packages[name])) ?? 'cpu';
}
