import type { DType } from '@glulam/files';
import type { FrozenWeight } from '../contract/engine.js';
import type { Tensor } from '../contract/tensor.js';
import { TensorsError } from '../errors.js';
import type { LinearForm, Operations } from './operations.js';

/** Some rows that follow on those of the segment before, and the form that they go through. */
export interface FormSegment {
  /** How many, at least 1. */
  readonly rows: number;
  /** Without anything in it: the frozen weight alone. */
  readonly form: LinearForm;
}

/** Some rows that follow on those of the segment before, and what multiplies them. */
export interface ScaleSegment {
  /** How many, at least 1. */
  readonly rows: number;
  /** A constant. */
  readonly factor: number;
  /** [1]; a learned gate. */
  readonly gate?: Tensor | undefined;
}

/**
 * A frozen linear layer whose rows belong to different adapters: one product with the frozen weight over all rows, in
 * float32, and each segment's low rank, scales and bias on its own rows. x [rows, in], result [rows, out].
 */
export function segmentedLinear(
  ops: Operations,
  x: Tensor,
  weight: FrozenWeight,
  segments: readonly FormSegment[],
  type: DType,
): Tensor {
  checkSegments('frozenLinear', segments, x.shape[0]!);
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  const inputs = split(ops, x, segments, inFeatures);
  const scales = segments.some(({ form }) => form.inScale !== undefined);
  const scaled = inputs.map((own, i) => {
    const { inScale } = segments[i]!.form;
    return inScale === undefined ? ops.cast(own, 'float32') : ops.mul(ops.cast(own, 'float32'), inScale);
  });
  const product = ops.frozenLinear(scales ? ops.concatenate(scaled, 0) : x, weight, {}, 'float32');
  const outputs = split(ops, product, segments, outFeatures).map((own, i) => {
    const { lowRank, outScale, bias } = segments[i]!.form;
    let y = own;
    if (lowRank !== undefined) {
      const { A, B, scale, dropout } = lowRank;
      const seen = dropout === undefined ? ops.cast(inputs[i]!, 'float32') : ops.dropout(inputs[i]!, dropout);
      const low = ops.matmul(ops.matmul(seen, A, { transposeB: true }), B, { transposeB: true });
      y = ops.add(y, ops.affine(low, scale, 0));
    }
    if (outScale !== undefined) y = ops.mul(y, outScale);
    if (bias !== undefined) y = ops.add(y, bias);
    return ops.cast(y, type);
  });
  return ops.concatenate(outputs, 0);
}

/** x [rows, columns] with each segment's rows times its factor and gate, as float32. */
export function segmentedScale(ops: Operations, x: Tensor, segments: readonly ScaleSegment[]): Tensor {
  checkSegments('scaleRows', segments, x.shape[0]!);
  const parts = split(ops, ops.cast(x, 'float32'), segments, x.shape[1]!).map((own, i) => {
    const { factor, gate } = segments[i]!;
    const scaled = factor === 1 ? own : ops.affine(own, factor, 0);
    return gate === undefined ? scaled : ops.mul(scaled, gate);
  });
  return parts.length === 1 ? parts[0]! : ops.concatenate(parts, 0);
}

/** Each segment's rows of x. */
function split(ops: Operations, x: Tensor, segments: readonly { readonly rows: number }[], columns: number): Tensor[] {
  let start = 0;
  return segments.map(({ rows }) => {
    const from = start;
    start += rows;
    return rows === x.shape[0] ? x : ops.slice(x, [from, 0], [rows, columns]);
  });
}

function checkSegments(operation: string, segments: readonly { readonly rows: number }[], rows: number): void {
  const covered = segments.reduce((sum, segment) => sum + segment.rows, 0);
  if (covered === rows && segments.every((segment) => Number.isInteger(segment.rows) && segment.rows > 0)) return;
  throw new TensorsError(
    'SHAPE_MISMATCH',
    `${operation}: got segments of ${segments.map((segment) => segment.rows).join(', ') || 'no'} rows for ${rows} rows; expected at least one row each, and all rows together`,
  );
}
