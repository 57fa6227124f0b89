/**
 * Eigenvalues of a symmetric matrix, the largest first, and its eigenvectors as rows, by cyclic Jacobi rotations
 * (Golub & Van Loan, Matrix Computations, 8.5). For some hundreds of rows at most.
 *
 * @param matrix n x n, row-major; not changed
 */
export function symmetricEigen(
  matrix: ArrayLike<number>,
  n: number,
): { readonly values: Float64Array; readonly vectors: readonly Float64Array[] } {
  const rows = Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (_, j) => matrix[i * n + j]!));
  const vectors = rows.map((_, i) => Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  const total = rows.reduce((sum, row) => sum + row.reduce((squares, value) => squares + value * value, 0), 0);
  const offDiagonal = (): number =>
    rows.reduce(
      (sum, row, i) => sum + row.reduce((squares, value, j) => (i === j ? squares : squares + value * value), 0),
      0,
    );
  // Quadratic convergence: a dozen sweeps would be a surprise.
  for (let sweep = 0; sweep < 60 && offDiagonal() > 1e-28 * total; sweep++)
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(rows, vectors, p, q);
  const order = rows.map((row, i) => [row[i]!, i] as const).sort(([a], [b]) => b - a);
  return {
    values: Float64Array.from(order, ([value]) => value),
    vectors: order.map(([, i]) => vectors[i]!),
  };
}

/** Make element (p, q) zero by a rotation in the plane of both axes. */
function rotate(rows: readonly Float64Array[], vectors: readonly Float64Array[], p: number, q: number): void {
  const [rowP, rowQ] = [rows[p]!, rows[q]!];
  const apq = rowP[q]!;
  if (apq === 0) return;
  const theta = (rowQ[q]! - rowP[p]!) / (2 * apq);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (a: Float64Array, b: Float64Array): void => {
    for (let k = 0; k < a.length; k++) {
      const [x, y] = [a[k]!, b[k]!];
      a[k] = c * x - s * y;
      b[k] = s * x + c * y;
    }
  };
  for (const row of rows) {
    const [x, y] = [row[p]!, row[q]!];
    row[p] = c * x - s * y;
    row[q] = s * x + c * y;
  }
  turn(rowP, rowQ);
  turn(vectors[p]!, vectors[q]!);
}
