// A model of what a training step costs: seconds that are a sum of terms, each a quantity of work at a rate of its own.

/**
 * The rates by which the terms explain measured times best: least squares of the relative errors, with no rate below zero,
 * nor beyond what is possible. A term that explains nothing is left out; one that has a least time takes that.
 *
 * @param {Record<string, number>[]} work of each measurement, by term
 * @param {number[]} seconds
 * @param {Record<string, number>} [least] seconds that a unit of a term takes at least
 * @returns {{ perUnit: Record<string, number>, predict: (work: Record<string, number>) => number, worst: number }}
 *   seconds a unit of each term, and the largest relative error
 */
export function fitCost(work, seconds, least = {}) {
  const names = Object.keys(work[0]);
  const bound = (name) => least[name] ?? 0;
  // The best is one of these: some terms free, and the others at their bounds.
  const subsets = Array.from({ length: 2 ** names.length }, (_, mask) => names.filter((__, i) => mask & (1 << i)));
  const fits = subsets.flatMap((free) => {
    const atBound = names.filter((name) => !free.includes(name) && bound(name) > 0);
    const rows = work.map((each, i) => free.map((name) => each[name] / seconds[i]));
    const targets = work.map(
      (each, i) => 1 - atBound.reduce((sum, name) => sum + bound(name) * each[name], 0) / seconds[i],
    );
    const found = free.length === 0 ? [] : leastSquares(rows, targets);
    if (found === undefined || found.some((value, i) => value < bound(free[i]))) return [];
    const perUnit = Object.fromEntries(
      names.flatMap((name) => {
        if (free.includes(name)) return [[name, found[free.indexOf(name)]]];
        return atBound.includes(name) ? [[name, bound(name)]] : [];
      }),
    );
    const predict = (each) => Object.entries(perUnit).reduce((sum, [name, time]) => sum + each[name] * time, 0);
    const errors = work.map((each, i) => predict(each) / seconds[i] - 1);
    return [
      {
        perUnit,
        predict,
        worst: Math.max(...errors.map(Math.abs)),
        squares: errors.reduce((sum, error) => sum + error ** 2, 0),
      },
    ];
  });
  const { perUnit, predict, worst } = fits.reduce((best, fit) => (fit.squares < best.squares ? fit : best));
  if (Object.keys(perUnit).length === 0) throw new Error('no cost model fits: every term would have a rate below zero');
  return { perUnit, predict, worst };
}

/** x for which rows x is nearest to the targets, by the normal equations; undefined where rows do not tell the terms apart. */
function leastSquares(rows, targets) {
  const n = rows[0].length;
  // Columns are brought to the same size first: their units differ by many powers of ten.
  const sizes = Array.from({ length: n }, (_, j) => Math.hypot(...rows.map((row) => row[j])));
  const scaled = rows.map((row) => row.map((value, j) => value / sizes[j]));
  const matrix = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (__, j) => scaled.reduce((sum, row) => sum + row[i] * row[j], 0)),
    scaled.reduce((sum, row, at) => sum + row[i] * targets[at], 0),
  ]);
  for (let i = 0; i < n; i++) {
    const pivot = matrix
      .slice(i)
      .reduce((best, row, at) => (Math.abs(row[i]) > Math.abs(matrix[best][i]) ? at + i : best), i);
    [matrix[i], matrix[pivot]] = [matrix[pivot], matrix[i]];
    if (Math.abs(matrix[i][i]) < 1e-9) return undefined;
    for (let row = 0; row < n; row++) {
      if (row === i) continue;
      const factor = matrix[row][i] / matrix[i][i];
      for (let column = i; column <= n; column++) matrix[row][column] -= factor * matrix[i][column];
    }
  }
  return matrix.map((row, i) => row[n] / row[i] / sizes[i]);
}
