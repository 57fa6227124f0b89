import { LimitError } from '../failures.js';
import { fixed, floatText, rounded } from './numbers.js';
import { spend, spendText } from '../rendering.js';
import { bigText } from './repr.js';

/** The digits of a number as a format asks for them, without sign and padding. */
interface FloatStyle {
  /** 'e', 'f', 'g', '%', or 'r': as `repr` unless there is a precision. */
  readonly type: string;
  readonly precision: number | undefined;
  readonly alternate: boolean;
}

export function floatDigits(value: number, { type, precision, alternate }: FloatStyle): string {
  if (!Number.isFinite(value)) return (Number.isNaN(value) ? 'nan' : 'inf') + (type === '%' ? '%' : '');
  const size = Math.abs(value);
  const places = precision ?? 6;
  if (places > 10_000) throw new LimitError('more than 10,000 decimal places');
  spend(places);
  switch (type) {
    case 'f':
      return fixed(size, places) + (alternate && places === 0 ? '.' : '');
    case '%':
      return `${fixed(size * 100, places)}%`;
    case 'e':
      return exponential(size, places, alternate);
    case 'g':
      return general(size, places, alternate, false);
    default:
      return precision === undefined ? floatText(size) : general(size, precision, alternate, true);
  }
}

function exponential(size: number, places: number, alternate: boolean): string {
  const { digits, exponent } = rounded(size, places);
  return withExponent(
    digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits + (alternate ? '.' : ''),
    exponent,
  );
}

const withExponent = (mantissa: string, exponent: number): string =>
  `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;

function general(size: number, precision: number, alternate: boolean, likeRepr: boolean): string {
  const significant = precision === 0 ? 1 : precision;
  const { exponent } = rounded(size, significant - 1);
  const trim = (text: string): string => (alternate || !text.includes('.') ? text : text.replace(/\.?0+$/, ''));
  // Without a type the text shows that it is a float, which costs one digit in front of the point.
  if (exponent >= -4 && exponent < significant - (likeRepr ? 1 : 0)) {
    const text = trim(fixed(size, significant - 1 - exponent));
    return likeRepr && !text.includes('.') ? `${text}.0` : text;
  }
  const { digits } = rounded(size, significant - 1);
  return withExponent(trim(digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits), exponent);
}

/** The digits of a whole number in a base, with `#`'s prefix apart. */
export function intDigits(value: number | bigint, type: string): { digits: string; prefix: string } {
  const size = value < 0 ? -BigInt(value) : BigInt(value);
  const base = { b: 2, o: 8, x: 16, X: 16 }[type] ?? 10;
  const digits = base === 10 ? bigText(size) : size.toString(base);
  spendText(digits.length);
  return { digits: type === 'X' ? digits.toUpperCase() : digits, prefix: base === 10 ? '' : `0${type}` };
}
