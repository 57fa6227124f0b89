// A program: one product, in float32 and in bfloat16, by the addon whose file is named; it prints what computed it, and
// whether there is XLA.
import { loadAddon, tfTypes } from '../tensorflow/binding.js';
import { createTfOperations } from '../tensorflow/operations.js';
import { createXla } from '../tensorflow/xla/xla.js';

const binding = loadAddon(process.argv[2]!);
const ops = createTfOperations(binding);
// [[1, 2], [3, 4]] [[5, 6], [7, 8]], all of it exact in bfloat16.
const expected = '19,22,43,50';
for (const type of ['float32', 'bfloat16'] as const) {
  const product = ops.matmul(
    ops.cast(ops.floats(Float32Array.of(1, 2, 3, 4), [2, 2]), tfTypes[type]),
    ops.cast(ops.floats(Float32Array.of(5, 6, 7, 8), [2, 2]), tfTypes[type]),
  );
  const got = binding.tensorDataSync(ops.cast(product, tfTypes.float32).id).join();
  if (got !== expected) throw new Error(`a ${type} product came out as ${got}, expected ${expected}`);
}
const place = binding.isUsingGpuDevice() ? 'GPU' : 'CPU';
console.log(`TensorFlow ${binding.TF_Version} multiplies on the ${place}, in float32 and bfloat16`);
console.log(
  createXla(ops, 1) === undefined
    ? 'Its XLA does not run programs of StableHLO: a step takes a third longer than on a newer TensorFlow'
    : 'Its XLA runs programs of StableHLO',
);
