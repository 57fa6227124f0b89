import { LimitError, PythonError, typeError } from '../failures.js';
import { spend } from '../rendering.js';
import { intOf, PyFloat, toInt, typeName, type Value } from './values.js';

/** `repr(float)`: the shortest digits that read back as the same number, as in JavaScript, in Python's notation. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const { sign, digits, exponent } = shortest(value);
  if (exponent < -4 || exponent >= 16) {
    const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}.0`;
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function shortest(value: number): { sign: string; digits: string; exponent: number } {
  const [mantissa, exponent] = Math.abs(value).toExponential().split('e') as [string, string];
  return { sign: value < 0 ? '-' : '', digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

/** A finite float times 10^places as a whole number, ties to even: what correct rounding of decimals starts from. */
function scaled(value: number, places: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  let numerator = biased === 0 ? fraction : fraction | (1n << 52n);
  let denominator = 1n;
  const power = (biased === 0 ? 1 : biased) - 1075;
  if (power > 0) numerator <<= BigInt(power);
  else denominator <<= BigInt(-power);
  if (places > 0) numerator *= 10n ** BigInt(places);
  else denominator *= 10n ** BigInt(-places);
  let whole = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  if (twice > denominator || (twice === denominator && whole % 2n === 1n)) whole += 1n;
  return whole;
}

/** `'%.{places}f' % abs(value)` of a finite float. */
export function fixed(value: number, places: number): string {
  const digits = scaled(value, places)
    .toString()
    .padStart(places + 1, '0');
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** The digits and the exponent of a finite float with so many digits behind the first, correctly rounded. */
export function rounded(value: number, places: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: '0'.repeat(places + 1), exponent: 0 };
  let { exponent } = shortest(value);
  let digits = scaled(value, places - exponent).toString();
  if (digits.length > places + 1) {
    exponent += 1;
    digits = scaled(value, places - exponent).toString();
  } else if (digits.length < places + 1) {
    exponent -= 1;
    digits = scaled(value, places - exponent).toString();
  }
  return { digits, exponent };
}

/** `round(float, places)`. */
export function roundFloat(value: number, places: number): number {
  if (!Number.isFinite(value) || value === 0 || places > 330) return value;
  if (places < -310) return value * 0;
  const whole = scaled(value, places);
  return Number(`${value < 0 ? '-' : ''}${whole}e${-places}`);
}

/** `round(int, places)` for places below 0: to tens, ties to even. */
export function roundInt(value: number | bigint, places: number): number | bigint {
  if (places >= 0) return value;
  if (places < -400) return 0;
  const unit = 10n ** BigInt(-places);
  const big = BigInt(value);
  const floor = floorDivide(big, unit);
  const twice = (big - floor * unit) * 2n;
  return toInt((twice > unit || (twice === unit && floor % 2n !== 0n) ? floor + 1n : floor) * unit);
}

const floorDivide = (a: bigint, b: bigint): bigint => {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
};

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

export const unsupported = (operator: string, left: Value, right: Value): PythonError =>
  typeError(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);

/** A number's value as a float, undefined for what is no number. */
export function floatOf(value: Value): number | undefined {
  if (value instanceof PyFloat) return value.value;
  const int = intOf(value);
  if (int === undefined) return undefined;
  const float = Number(int);
  if (!Number.isFinite(float)) throw new PythonError('OverflowError', 'int too large to convert to float');
  return float;
}

const zeroDivision = (message: string): PythonError => new PythonError('ZeroDivisionError', message);

/** An operator on two numbers; undefined if one is none. */
export function arithmetic(operator: Operator, left: Value, right: Value): Value {
  const a = intOf(left);
  const b = intOf(right);
  if (a !== undefined && b !== undefined) return ofInts(operator, a, b);
  const x = floatOf(left);
  const y = floatOf(right);
  if (x === undefined || y === undefined) return undefined;
  return ofFloats(operator, x, y);
}

function ofInts(operator: Operator, a: number | bigint, b: number | bigint): Value {
  switch (operator) {
    case '+':
      return small(a, b, (x, y) => x + y) ?? toInt(BigInt(a) + BigInt(b));
    case '-':
      return small(a, b, (x, y) => x - y) ?? toInt(BigInt(a) - BigInt(b));
    case '*':
      return small(a, b, (x, y) => x * y + 0) ?? toInt(limited(a, b));
    case '/':
      if (b === 0) throw zeroDivision('division by zero');
      return new PyFloat(typeof a === 'number' && typeof b === 'number' ? a / b : quotient(BigInt(a), BigInt(b)));
    case '//':
      if (b === 0) throw zeroDivision('integer division or modulo by zero');
      return small(a, b, (x, y) => Math.floor(x / y) + 0) ?? toInt(floorDivide(BigInt(a), BigInt(b)));
    case '%': {
      if (b === 0) throw zeroDivision('integer modulo by zero');
      if (typeof a === 'number' && typeof b === 'number') {
        const rest = a % b;
        return (rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest) + 0;
      }
      return toInt(BigInt(a) - floorDivide(BigInt(a), BigInt(b)) * BigInt(b));
    }
    case '**':
      if (b < 0) return ofFloats('**', Number(a), Number(b));
      if (a !== 0 && a !== 1 && a !== -1 && bits(a) * Number(b) > 100_000)
        throw new LimitError('a whole number of more than 100,000 bits');
      spend(a === 0 || a === 1 || a === -1 ? 0 : Math.ceil((bits(a) * Number(b)) / 4));
      return toInt(BigInt(a) ** BigInt(b));
  }
}

/** What numbers give if it is exact. Adding 0 makes -0, which no int is, 0. */
function small(a: number | bigint, b: number | bigint, compute: (x: number, y: number) => number): number | undefined {
  if (typeof a !== 'number' || typeof b !== 'number') return undefined;
  const result = compute(a, b);
  return Number.isSafeInteger(result) ? result : undefined;
}

const bits = (value: number | bigint): number => BigInt(value).toString(16).length * 4;

function limited(a: number | bigint, b: number | bigint): bigint {
  if (bits(a) + bits(b) > 100_000) throw new LimitError('a whole number of more than 100,000 bits');
  spend((bits(a) + bits(b)) >>> 3);
  return BigInt(a) * BigInt(b);
}

function ofFloats(operator: Operator, x: number, y: number): PyFloat {
  switch (operator) {
    case '+':
      return new PyFloat(x + y);
    case '-':
      return new PyFloat(x - y);
    case '*':
      return new PyFloat(x * y);
    case '/':
      if (y === 0) throw zeroDivision('float division by zero');
      return new PyFloat(x / y);
    case '//':
      if (y === 0) throw zeroDivision('float floor division by zero');
      return new PyFloat(floorFloat(x, y));
    case '%':
      if (y === 0) throw zeroDivision('float modulo');
      return new PyFloat(moduloFloat(x, y));
    case '**': {
      if (x === 0 && y < 0) throw zeroDivision('0.0 cannot be raised to a negative power');
      if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y))
        throw new LimitError('complex numbers');
      const power = powerOf(x, y);
      if (!Number.isFinite(power) && Number.isFinite(x) && Number.isFinite(y))
        throw new PythonError('OverflowError', 'Numerical result out of range');
      return new PyFloat(power);
    }
  }
}

/** A quotient of whole numbers, rounded once. */
function quotient(numerator: bigint, denominator: bigint): number {
  const negative = numerator < 0n !== denominator < 0n;
  const n = numerator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  // 64 bits or more of the quotient, the last of which says whether anything was cut off.
  const shift = Math.max(0, 64 + d.toString(2).length - n.toString(2).length);
  const shifted = n << BigInt(shift);
  const digits = (shifted / d) * 2n + (shifted % d === 0n ? 0n : 1n);
  if (shift > 1000) throw new LimitError('quotients and powers near 0');
  const value = Number(digits) / 2 ** (shift + 1);
  if (!Number.isFinite(value)) throw new PythonError('OverflowError', 'integer division result too large for a float');
  return negative ? -value : value;
}

/** JavaScript's power is off by a digit at times: it is exact here for whole exponents and for roots. */
function powerOf(x: number, y: number): number {
  if (x === 1 || y === 0 || (x === -1 && !Number.isFinite(y))) return 1;
  if (x === 0 || !Number.isFinite(x) || !Number.isFinite(y)) return x ** y;
  if (y === 0.5) return Math.sqrt(x);
  if (!Number.isInteger(y) || Math.abs(y) > 64) throw new LimitError('powers of floats beyond roots and 64');
  const { numerator, denominator } = fraction(x);
  const [over, under] = y > 0 ? [numerator, denominator] : [denominator, numerator];
  const exponent = BigInt(Math.abs(y));
  return quotient(over ** exponent, under ** exponent);
}

/** A finite float as the fraction that it is. */
function fraction(value: number): { numerator: bigint; denominator: bigint } {
  let denominator = 1n;
  let whole = value;
  while (!Number.isInteger(whole)) {
    whole *= 2;
    denominator *= 2n;
  }
  return { numerator: BigInt(whole), denominator };
}

function moduloFloat(x: number, y: number): number {
  const rest = x % y;
  if (rest !== 0) return rest < 0 !== y < 0 ? rest + y : rest;
  return y < 0 ? -0 : 0;
}

function floorFloat(x: number, y: number): number {
  const division = (x - moduloFloat(x, y)) / y;
  if (division === 0) return x / y < 0 || Object.is(x / y, -0) ? -0 : 0;
  const floor = Math.floor(division);
  return division - floor > 0.5 ? floor + 1 : floor;
}

/** `float(text)`, undefined if it is no number. */
export function parseFloatText(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase();
  if (/^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/.test(trimmed))
    return Number(trimmed.replaceAll('_', ''));
  const named = /^([+-]?)(inf|infinity|nan)$/.exec(trimmed);
  if (named === null) return undefined;
  return named[2] === 'nan' ? NaN : named[1] === '-' ? -Infinity : Infinity;
}

/** `int(text, base)`, undefined if it is no whole number. */
export function parseIntText(text: string, base: number): number | bigint | undefined {
  const match = /^([+-]?)(0[xob])?_?([0-9a-z]+(?:_[0-9a-z]+)*)$/.exec(text.trim().toLowerCase());
  if (match === null) return undefined;
  const [, sign, prefix, rest] = match as unknown as [string, string, string | undefined, string];
  const prefixBase = { '0x': 16, '0o': 8, '0b': 2 }[prefix ?? ''];
  let digits = rest.replaceAll('_', '');
  if (digits.length > 4300) return undefined; // as Python, for bases that are no power of 2
  let radix = base;
  if (prefix !== undefined && (base === 0 || base === prefixBase)) radix = prefixBase!;
  else if (prefix !== undefined) digits = prefix + digits;
  else if (text.trim().replace(/^[+-]/, '').startsWith('_')) return undefined;
  if (base === 0 && prefix === undefined) {
    if (/^0+[1-9]/.test(digits)) return undefined;
    radix = 10;
  }
  let value = 0n;
  for (const digit of digits) {
    const number = Number.parseInt(digit, 36);
    if (!(number < radix)) return undefined;
    value = value * BigInt(radix) + BigInt(number);
  }
  return toInt(sign === '-' ? -value : value);
}
