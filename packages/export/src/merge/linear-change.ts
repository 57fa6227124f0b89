import type { WeightSource } from '@glulam/files';
import { createFrozenRows, type AdaptedSite, type AdapterValues } from '@glulam/model';
import { createOperations, createReferenceEngine, type Tensor } from '@glulam/tensors';
import { ExportError } from '../errors.js';

/** What a virtual layer makes of one frozen linear layer, in plain numbers: its adapter's form, its scales and gate. */
export interface LinearChange {
  /** Of the base's weight and bias; default 1. */
  readonly baseScale?: number | undefined;
  /** [in] */
  readonly inScale?: Float32Array | undefined;
  /** [out] */
  readonly outScale?: Float32Array | undefined;
  /** scale * B A, A [rank, in], B [out, rank] */
  readonly lowRank?: { readonly A: Float32Array; readonly B: Float32Array; readonly scale: number } | undefined;
  /** [out], of the base's bias */
  readonly biasScale?: Float32Array | undefined;
  /** [out] */
  readonly bias?: Float32Array | undefined;
  /** Of the whole output, bias included. */
  readonly factor: number;
}

/**
 * The form that an adapter gives a site, evaluated on the reference engine. Nothing of the weight's size is made, unless
 * the adapter asks for it.
 */
export async function evaluateForm(
  { site, adapter }: AdaptedSite,
  values: AdapterValues,
  source: WeightSource,
): Promise<Omit<LinearChange, 'factor' | 'baseScale'>> {
  if (adapter === undefined) return {};
  const engine = createReferenceEngine({ precision: 'float32' });
  const frozenRows = createFrozenRows(engine, { byBlocks: true });
  try {
    const tensors: Record<string, Tensor> = {};
    for (const { name } of adapter.parameters) {
      const { shape, values: data } = values.get(`${site.path}.${name}`)!;
      tensors[name] = engine.upload(data, shape);
    }
    const form = adapter.form(tensors, {
      ops: createOperations(engine),
      training: false,
      key: [0, 0, site.virtual, site.index],
      frozen: frozenRows.of(await engine.openWeight(source), site.scale),
    });
    const read = async (what: string, tensor: Tensor, size: number): Promise<Float32Array> => {
      const data = (await engine.read(tensor)) as Float32Array;
      if (data.length === size) return data;
      throw new ExportError(
        'ADAPTER_INVALID',
        `the adapter's form of ${site.path} has ${what} of shape [${tensor.shape.join(', ')}]; expected ${size} values`,
      );
    };
    const { inScale, outScale, lowRank, biasScale, bias } = form;
    const rank = lowRank?.A.shape[0] ?? 0;
    return {
      inScale: inScale && (await read('inScale', inScale, site.inFeatures)),
      outScale: outScale && (await read('outScale', outScale, site.outFeatures)),
      lowRank: lowRank && {
        A: await read('A', lowRank.A, rank * site.inFeatures),
        B: await read('B', lowRank.B, site.outFeatures * rank),
        scale: lowRank.scale,
      },
      biasScale: biasScale && (await read('biasScale', biasScale, site.outFeatures)),
      bias: bias && (await read('bias', bias, site.outFeatures)),
    };
  } finally {
    frozenRows.close();
    await engine.close();
  }
}

/**
 * Rows of W, from row `first`, to those of factor * outScale * (baseScale * W * inScale + scale * B A), in place. Sums are float64, so
 * each value is rounded to float32 once.
 */
export function foldRows(rows: Float32Array, first: number, inFeatures: number, change: LinearChange): void {
  const { baseScale = 1, inScale, outScale, lowRank, factor } = change;
  const rank = lowRank === undefined ? 0 : lowRank.A.length / inFeatures;
  const sum = new Float64Array(inFeatures);
  for (let row = 0; row < rows.length / inFeatures; row++) {
    const values = rows.subarray(row * inFeatures, (row + 1) * inFeatures);
    if (inScale === undefined && baseScale === 1) sum.set(values);
    else for (let i = 0; i < inFeatures; i++) sum[i] = baseScale * values[i]! * (inScale?.[i] ?? 1);
    if (lowRank !== undefined) {
      const B = lowRank.B.subarray((first + row) * rank, (first + row + 1) * rank);
      addProduct(sum, B, lowRank.A, lowRank.scale);
    }
    const outer = factor * (outScale?.[first + row] ?? 1);
    for (let i = 0; i < inFeatures; i++) values[i] = outer * sum[i]!;
  }
}

/** sum += scale * b A. Two rows of A at a time: the sum is read and written half as often. */
function addProduct(sum: Float64Array, b: Float32Array, A: Float32Array, scale: number): void {
  const width = sum.length;
  let k = 0;
  for (; k + 1 < b.length; k += 2) {
    const [first, second] = [scale * b[k]!, scale * b[k + 1]!];
    const [at, next] = [k * width, (k + 1) * width];
    for (let i = 0; i < width; i++) sum[i]! += first * A[at + i]! + second * A[next + i]!;
  }
  if (k < b.length) {
    const last = scale * b[k]!;
    for (let i = 0; i < width; i++) sum[i]! += last * A[k * width + i]!;
  }
}

/** factor * (biasScale * baseScale * bias of the base + bias of the form) */
export function foldBias(base: Float32Array, { baseScale = 1, biasScale, bias, factor }: LinearChange): Float32Array {
  return base.map((value, i) => factor * ((biasScale?.[i] ?? 1) * baseScale * value + (bias?.[i] ?? 0)));
}
