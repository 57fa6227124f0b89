/** A number whose sign, where it is negative, is a minus and no hyphen. */
export const plain = (value: number, digits = 4): string => value.toFixed(digits).replace('-', '−');

/** A difference with its sign. */
export const signed = (value: number, digits = 4): string => `${value < 0 ? '' : '+'}${plain(value, digits)}`;
