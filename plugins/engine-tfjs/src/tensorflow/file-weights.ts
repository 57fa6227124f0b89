import { plainBytes, type WeightSource } from '@glulam/files';
import type { Host } from '../host.js';
import { tfTypes, type TfTensor } from './binding.js';
import { attribute, type TfOperations } from './operations.js';

/** Base weights as TensorFlow's tensors, bfloat16 as bfloat16: one copy, or none. */
interface FileWeights {
  load(source: WeightSource): TfTensor;
  close(): void;
}

/**
 * On a CPU TensorFlow maps the file and a weight that begins on 64 bytes is used where it lies; another is copied once.
 * For a GPU the bytes are read here and sent there.
 */
export function createFileWeights(ops: TfOperations, host: Host): FileWeights {
  const { binding } = ops;
  const mapped = new Map<string, TfTensor>();

  const map = (file: string): TfTensor => {
    const known = mapped.get(file);
    if (known !== undefined) return known;
    const attributes = [
      attribute('dtype', 'type', tfTypes.uint8),
      attribute('shape', 'shape', [host.sizeOfFile(file)]),
      attribute('memory_region_name', 'string', file),
    ];
    const [whole] = binding.executeOp('ImmutableConst', attributes, [], 1);
    mapped.set(file, whole!);
    return whole!;
  };
  /** int64 in two halves, as the addon wants it. */
  const long = (value: number): TfTensor => {
    const id = binding.createTensor(
      [1],
      tfTypes.int64,
      Int32Array.of((value % 2 ** 32) | 0, Math.floor(value / 2 ** 32)),
    );
    return { id, shape: [1], dtype: tfTypes.int64 };
  };

  return {
    load(source) {
      const { shape, dtype } = source;
      const stored = plainBytes(source);
      if (dtype === 'float16' || dtype === 'int32' || stored === undefined)
        return ops.floats(host.readFloats(source), shape);
      const { path, byteOffset, byteLength } = stored;
      const [start, size] = [long(byteOffset), long(byteLength)];
      try {
        const bytes = ops.run('Slice', [map(path), start, size]);
        const width = dtype === 'bfloat16' ? 2 : 4;
        const grouped = ops.reshape(bytes, [...shape, width]);
        return ops.run('Bitcast', [grouped], attribute('type', 'type', tfTypes[dtype]));
      } finally {
        ops.free(start);
        ops.free(size);
      }
    },
    close() {
      for (const whole of mapped.values()) ops.free(whole);
      mapped.clear();
    },
  };
}
