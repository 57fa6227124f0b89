import type { Tensor } from '@glulam/tensors';
import { wholeShape, type AdapterParameter, type LinearSite } from './adapter.js';
import { ModelError } from '../errors.js';

/** The part of an adapter's tensor that is never trained; see `AdapterParameter.fixed`. */
export interface FixedPart {
  /** The axis along which it follows the trained part: 0 rows, 1 columns. */
  readonly axis: 0 | 1;
  /** Its values, float32; all sites that have the part in common share this tensor. */
  readonly tensor: Tensor;
}

/** Values in a whole shape, apart: the trained part and the fixed one behind it. */
export function splitValues(
  parameter: Pick<AdapterParameter, 'shape' | 'fixed'>,
  values: Float32Array,
): { readonly trained: Float32Array; readonly fixed: Float32Array } {
  const [rows, columns] = wholeShape(parameter) as [number, number];
  const { axis, size } = parameter.fixed!;
  if (axis === 0) {
    const end = (rows - size) * columns;
    return { trained: values.slice(0, end), fixed: values.slice(end) };
  }
  const width = columns - size;
  const trained = new Float32Array(rows * width);
  const fixed = new Float32Array(rows * size);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    trained.set(values.subarray(at, at + width), row * width);
    fixed.set(values.subarray(at + width, at + columns), row * size);
  }
  return { trained, fixed };
}

/** Fixed parts on an engine, once for all the virtual layers of a physical one. */
export function createFixedParts(upload: (values: Float32Array | undefined, shape: readonly number[]) => Tensor): {
  /** Without values: for plans. */
  put(site: LinearSite, parameter: AdapterParameter, values: Float32Array | undefined): FixedPart;
} {
  const known = new Map<
    string,
    { readonly path: string; readonly values: Float32Array | undefined; readonly part: FixedPart }
  >();
  return {
    put(site, { name, shape, fixed }, values) {
      const { axis, size, group } = fixed!;
      const fixedShape = shape.with(axis, size);
      const key = [site.physical, site.linear, name, fixedShape, group].join(' ');
      const before = known.get(key);
      if (before === undefined) {
        const part = { axis, tensor: upload(values, fixedShape) };
        known.set(key, { path: site.path, values, part });
        return part;
      }
      if (values?.every((value, i) => Object.is(value, before.values![i])) ?? true) return before.part;
      throw new ModelError(
        'ADAPTER_INVALID',
        `${site.path}.${name} and ${before.path}.${name} differ in the part that is not trained; they sit on one physical layer and have it in common`,
      );
    },
  };
}
