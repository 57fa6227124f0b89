/** A difference with its sign, which for negative ones is a minus and no hyphen. */
export const signed = (value: number, digits = 4): string =>
  `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
