import { loadBinding, type TfPackage } from '../tensorflow/binding.js';
import { createTfDevice, type TfDevice } from '../tensorflow/device.js';

/** tfjs-node or tfjs-node-gpu, on the TensorFlow that its addon was built against. */
export function openTensorflow(name: TfPackage, leastProgramRows: number): TfDevice {
  const binding = loadBinding(name);
  const place = binding.isUsingGpuDevice() ? 'GPU' : 'CPU';
  return createTfDevice(binding, `tfjs-node, TensorFlow ${binding.TF_Version} on ${place}`, { leastProgramRows });
}
