import { normals } from '@glulam/tensors';
import { symmetricEigen } from './symmetric-eigen.js';

/** The first singular values of W [out, in], the largest first, and what belongs to them: W is about left * values * right. */
export interface PrincipalParts {
  /** [rank, out], row-major: a left singular vector a row */
  readonly left: Float32Array;
  /** [rank] */
  readonly values: Float32Array;
  /** [rank, in], row-major: a right singular vector a row */
  readonly right: Float32Array;
}

/** Products of some rows with W, in float32. */
export interface Products {
  /** x W^T, x [rows, in] */
  times(x: Float32Array, rows: number): Promise<Float32Array>;
  /** y W, y [rows, out] */
  timesTransposed(y: Float32Array, rows: number): Promise<Float32Array>;
}

type Vector = Float64Array | Float32Array;

/** |W^T u - sigma v| of every kept triple is at most this part of the largest sigma, if no number of iterations is given. */
const principalTolerance = 1e-5;
/** For spectra so flat that the tolerance is not reached. */
const mostIterations = 200;
/** More directions than are asked for: the last ones converge slowly. */
const oversampling = 8;
/** Below this part of a direction's length what is left of it is rounding. */
const negligible = 1e-5;

/**
 * The first `rank` singular triples of W, which is only asked for products, by randomized block Krylov iteration (Musco &
 * Musco 2015): the directions of Halko, Martinsson & Tropp 2011, and the best combinations of all their iterations instead
 * of the last one's. It begins again with the best ones when it holds some blocks of them. One iteration is a product
 * with W and one with its transpose; draws follow from the shape alone.
 */
export async function principalParts(
  products: Products,
  [outFeatures, inFeatures]: readonly [number, number],
  rank: number,
  iterations?: number,
): Promise<PrincipalParts> {
  const times = async (x: readonly Vector[]): Promise<Vector[]> =>
    split(await products.times(joined(x, inFeatures), x.length), outFeatures);
  const timesTransposed = async (y: readonly Vector[]): Promise<Vector[]> =>
    split(await products.timesTransposed(joined(y, outFeatures), y.length), inFeatures);
  const most = Math.min(outFeatures, inFeatures);
  const width = Math.min(most, rank + oversampling);
  const blocks = Math.min(width > 48 ? 2 : 4, Math.max(1, Math.floor(most / width)));
  const limit = iterations ?? mostIterations;

  let next = await timesTransposed(split(normals(width * outFeatures, [width, outFeatures, 0, 0]), outFeatures));
  for (let done = 0; ; done++) {
    const basis = orthonormal(next, []);
    let fresh = await times(basis);
    const images = [...fresh];
    for (let block = 1; block < blocks && done < limit && fresh.length > 0; block++, done++) {
      const directions = orthonormal(await timesTransposed(fresh), basis);
      fresh = directions.length === 0 ? [] : await times(directions);
      basis.push(...directions);
      images.push(...fresh);
    }
    const best = bestCombinations(basis, images, width);
    const result = { left: best.images, right: best.directions, values: best.values };
    if (done >= limit || best.values.length === 0) return finish(result, [outFeatures, inFeatures], rank);
    next = await timesTransposed(best.images);
    if (iterations === undefined && residual(best, next, rank) <= principalTolerance)
      return finish(result, [outFeatures, inFeatures], rank);
  }
}

interface Combinations {
  /** Orthonormal. */
  readonly directions: readonly Vector[];
  /** W times these: orthogonal, of the lengths `values`. */
  readonly images: readonly Vector[];
  readonly values: readonly number[];
}

/** Rayleigh and Ritz: the orthonormal combinations of a basis whose images are orthogonal, the longest first. */
function bestCombinations(basis: readonly Vector[], images: readonly Vector[], count: number): Combinations {
  const n = images.length;
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) gram[i * n + j] = gram[j * n + i] = dot(images[i]!, images[j]!);
  const { values, vectors } = symmetricEigen(gram, n);
  const kept = vectors.slice(0, count).filter((_, i) => values[i]! > 0);
  return {
    directions: kept.map((factors) => combine(factors, basis)),
    images: kept.map((factors) => combine(factors, images)),
    values: kept.map((_, i) => Math.sqrt(values[i]!)),
  };
}

/** The largest |W^T u - sigma v| of the first triples as a part of the largest sigma; `pushed` are W^T sigma u. */
function residual({ directions, values }: Combinations, pushed: readonly Vector[], rank: number): number {
  const each = values.slice(0, rank).map((value, i) => {
    const rest = combine([1, -value * value], [pushed[i]!, directions[i]!]);
    return Math.sqrt(dot(rest, rest)) / (value * values[0]!);
  });
  return Math.max(...each);
}

/** Vectors of length 1, at right angles to `before` and each other, that reach as far; fewer where these depend. */
function orthonormal(vectors: readonly Vector[], before: readonly Vector[]): Vector[] {
  const made: Vector[] = [];
  for (const vector of vectors) {
    let rest = Float64Array.from(vector);
    const length = Math.sqrt(dot(rest, rest));
    // Twice is enough (Giraud, Langou & Rozloznik 2005).
    for (let pass = 0; pass < 2; pass++)
      for (const other of [...before, ...made]) addTo(rest, -dot(rest, other), other);
    const left = Math.sqrt(dot(rest, rest));
    if (!(left > negligible * length)) continue;
    rest = rest.map((value) => value / left);
    made.push(rest);
  }
  return made;
}

/** A matrix of a lower rank has zeros for the rest. */
function finish(
  { left, right, values }: { left: readonly Vector[]; right: readonly Vector[]; values: readonly number[] },
  [outFeatures, inFeatures]: readonly [number, number],
  rank: number,
): PrincipalParts {
  const parts = {
    left: new Float32Array(rank * outFeatures),
    values: new Float32Array(rank),
    right: new Float32Array(rank * inFeatures),
  };
  values.slice(0, rank).forEach((value, i) => {
    parts.values[i] = value;
    parts.left.set(
      left[i]!.map((each) => each / value),
      i * outFeatures,
    );
    parts.right.set(right[i]!, i * inFeatures);
  });
  return parts;
}

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addTo(target: Vector, factor: number, vector: Vector): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * vector[i]!;
}

function combine(factors: ArrayLike<number>, vectors: readonly Vector[]): Float64Array {
  const sum = new Float64Array(vectors[0]!.length);
  vectors.forEach((vector, i) => addTo(sum, factors[i]!, vector));
  return sum;
}

function joined(vectors: readonly Vector[], width: number): Float32Array {
  const rows = new Float32Array(vectors.length * width);
  vectors.forEach((vector, i) => rows.set(vector, i * width));
  return rows;
}

function split(rows: Float32Array, width: number): Vector[] {
  return Array.from({ length: rows.length / width }, (_, i) => rows.subarray(i * width, (i + 1) * width));
}
