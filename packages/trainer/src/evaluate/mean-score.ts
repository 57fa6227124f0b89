/**
 * The mean of one value a sample, as `name`, and its standard error, as `name_stderr`: the sample deviation over sqrt(n),
 * as lm-evaluation-harness reports it; 0 for a single sample.
 */
export function meanScore(name: string, values: readonly number[]): Record<string, number> {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1) / values.length);
  return { [name]: mean, [`${name}_stderr`]: error };
}
