// A model of what a training step costs: seconds that are a sum of terms, each a quantity of work at a rate of its own.

/**
 * The rates by which the terms explain measured times best: least squares of the relative errors, with no rate below zero,
 * nor beyond what is possible. A term that explains nothing is left out.
 *
 * @param {Record<string, number>[]} work of each measurement, by term
 * @param {number[]} seconds
 * @param {Record<string, number>} [least] seconds that a unit of a term takes at least
 * @returns {{ perUnit: Record<string, number>, predict: (work: Record<string, number>) => number, worst: number }}
 *   seconds a unit of each term, and the largest relative error
 */
export function fitCost(work, seconds, least = {}) {
  const names = Object.keys(work[0]);
  const subsets = Array.from({ length: 2 ** names.length - 1 }, (_, mask) => names.filter((__, i) => (mask + 1) & (1 << i)));
  const fits = subsets.flatMap((terms) => {
    const rows = work.map((each, i) => terms.map((name) => each[name] / seconds[i]));
    const found = leastSquares(rows);
    if (found === undefined || found.some((value, i) => value < (least[terms[i]] ?? 0))) return [];
    const perUnit = Object.fromEntries(terms.map((name, i) => [name, found[i]]));
    const predict = (each) => terms.reduce((sum, name) => sum + each[name] * perUnit[name], 0);
    const errors = work.map((each, i) => predict(each) / seconds[i] - 1);
    return [{ perUnit, predict, worst: Math.max(...errors.map(Math.abs)), squares: errors.reduce((sum, error) => sum + error ** 2, 0) }];
  });
  if (fits.length === 0) throw new Error('no cost model fits: every term would have a rate that no machine has');
  const { perUnit, predict, worst } = fits.reduce((best, fit) => (fit.squares < best.squares ? fit : best));
  return { perUnit, predict, worst };
} // prettier-ignore

/** x for which rows x is nearest to 1, by the normal equations; undefined where rows do not tell the terms apart. */
function leastSquares(rows) {
  const n = rows[0].length;
  // Columns are brought to the same size first: their units differ by many powers of ten.
  const sizes = Array.from({ length: n }, (_, j) => Math.hypot(...rows.map((row) => row[j])));
  const scaled = rows.map((row) => row.map((value, j) => value / sizes[j]));
  const matrix = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (__, j) => scaled.reduce((sum, row) => sum + row[i] * row[j], 0)),
    scaled.reduce((sum, row) => sum + row[i], 0),
  ]);
  for (let i = 0; i < n; i++) {
    const pivot = matrix.slice(i).reduce((best, row, at) => (Math.abs(row[i]) > Math.abs(matrix[best][i]) ? at + i : best), i);
    [matrix[i], matrix[pivot]] = [matrix[pivot], matrix[i]];
    if (Math.abs(matrix[i][i]) < 1e-9) return undefined;
    for (let row = 0; row < n; row++) {
      if (row === i) continue;
      const factor = matrix[row][i] / matrix[i][i];
      for (let column = i; column <= n; column++) matrix[row][column] -= factor * matrix[i][column];
    }
  }
  return matrix.map((row, i) => row[n] / row[i] / sizes[i]);
} // prettier-ignore
