/** A mean over seeds. */
interface Estimate {
  readonly mean: number;
  /** Sample deviation; undefined for a single value. */
  readonly deviation: number | undefined;
  /** Of the mean: deviation over sqrt(count). */
  readonly error: number | undefined;
  readonly count: number;
}

/** undefined for no values. */
export function estimate(values: readonly number[]): Estimate | undefined {
  const count = values.length;
  if (count === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, deviation: undefined, error: undefined, count };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1));
  return { mean, deviation, error: deviation / Math.sqrt(count), count };
}

/** How two variants differ, by pairs of runs with one seed. */
export interface Difference extends Estimate {
  /** The mean difference in standard errors; undefined for one pair, or where all pairs differ alike. */
  readonly inErrors: number | undefined;
  /** So many standard errors are exceeded by chance in one of 20 such comparisons. */
  readonly chance: number | undefined;
}

/** `a - b` for the seeds that both have. */
export function pairedDifference(
  a: ReadonlyMap<number, number>,
  b: ReadonlyMap<number, number>,
): Difference | undefined {
  const differences = [...a].flatMap(([seed, value]) => {
    const other = b.get(seed);
    return other === undefined ? [] : [value - other];
  });
  const whole = estimate(differences);
  if (whole === undefined) return undefined;
  const { mean, error } = whole;
  const inErrors = error === undefined || error === 0 ? undefined : Math.abs(mean) / error;
  return { ...whole, inErrors, chance: whole.count < 2 ? undefined : chanceOf(whole.count - 1) };
}

/** 0.975 quantiles of Student's t for 1, 2, ... degrees of freedom, from any table of it. */
const quantiles = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/** Beyond the table its last entry, which is on the safe side: the quantile falls on to 1.96. */
const chanceOf = (degrees: number): number => quantiles[Math.min(degrees, quantiles.length) - 1]!;
