import { loadBinding, type TfPackage } from '../tensorflow/binding.js';
import { createTfBackend, type TfBackend } from '../tensorflow/tf-backend.js';

/** tfjs-node or tfjs-node-gpu, on the TensorFlow that its addon was built against. */
export function openTensorflow(name: TfPackage, leastProgramRows: number): TfBackend {
  const binding = loadBinding(name);
  const place = binding.isUsingGpuDevice() ? 'GPU' : 'CPU';
  return createTfBackend(binding, `tfjs-node, TensorFlow ${binding.TF_Version} on ${place}`, { leastProgramRows });
}
