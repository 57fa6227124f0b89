import { spendText } from '../rendering.js';
import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { floatDigits, intDigits } from '../values/number-format.js';
import { floatOf } from '../values/numbers.js';
import { asciiRepr, repr, toText } from '../values/repr.js';
import {
  codePoints,
  intOf,
  isText,
  Markup,
  MISSING,
  PyDict,
  PyFloat,
  PyRange,
  PyTuple,
  textOf,
  toInt,
  typeName,
  Undefined,
  type Value,
} from '../values/values.js';

const directive = /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([\s\S])?/gu;

/** `template % values`. */
export function percentFormat(template: Value, values: Value): string {
  if (template instanceof Markup) throw new LimitError('% on a text that is safe for HTML');
  const text = template as string;
  const args = values instanceof PyTuple ? values.items : [values];
  const isMapping =
    values instanceof PyDict || values instanceof PyRange || Array.isArray(values) || values instanceof Undefined;
  let next = 0;
  const take = (): Value => {
    if (next >= args.length) throw typeError('not enough arguments for format string');
    return args[next++];
  };
  let result = '';
  let at = 0;
  for (const match of text.matchAll(directive)) {
    result += text.slice(at, match.index);
    at = match.index + match[0].length;
    const [, key, flags, width, precision, type] = match as unknown as string[];
    if (type === undefined) throw valueError('incomplete format');
    if (type === '%' && match[0] === '%%') {
      result += '%';
      continue;
    }
    let value: Value;
    if (key !== undefined) {
      if (!(values instanceof PyDict)) throw typeError('format requires a mapping');
      value = values.get(key);
      if (value === MISSING) throw new PythonError('KeyError', repr(key));
    }
    const size = width === '*' ? starred(take()) : Number(width ?? 0);
    const places =
      precision === undefined ? undefined : precision === '*' ? Math.max(0, starred(take())) : Number(precision);
    if (type === '%') {
      result += '%';
      continue;
    }
    if (key === undefined) value = take();
    const options = size < 0 ? `${flags!}-` : flags!;
    spendText(Math.max(Math.abs(size), places ?? 0));
    result += one(value, type, options, Math.abs(size), places);
    spendText(result.length);
  }
  result += text.slice(at);
  if (next < args.length && !isMapping) throw typeError('not all arguments converted during string formatting');
  return result;
}

function starred(value: Value): number {
  const int = intOf(value);
  if (int === undefined) throw typeError('* wants int');
  return Number(int);
}

function one(value: Value, type: string, flags: string, width: number, places: number | undefined): string {
  switch (type) {
    case 's':
    case 'r':
    case 'a': {
      const text = { s: toText, r: repr, a: asciiRepr }[type](value);
      return pad(
        '',
        places === undefined ? text : Array.from(text).slice(0, places).join(''),
        flags.replace('0', ''),
        width,
      );
    }
    case 'c':
      return pad('', character(value), flags.replaceAll('0', ''), width);
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X': {
      const int = whole(value, type);
      let { digits, prefix } = intDigits(int, type === 'i' || type === 'u' ? 'd' : type);
      if (places !== undefined) digits = digits.padStart(places, '0');
      if (!flags.includes('#')) prefix = '';
      return pad(signOf(int < 0, flags) + prefix, digits, flags, width);
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      const float = value instanceof Undefined ? undefined : floatOf(value);
      if (float === undefined)
        throw value instanceof Undefined ? value.fail() : typeError(`must be real number, not ${typeName(value)}`);
      const style = { type: type.toLowerCase(), precision: places, alternate: flags.includes('#') };
      const digits = floatDigits(float, style);
      return pad(
        signOf(float < 0 || Object.is(float, -0), flags),
        type < 'a' ? digits.toUpperCase() : digits,
        flags,
        width,
      );
    }
    default:
      throw valueError(`unsupported format character '${type}'`);
  }
}

const signOf = (negative: boolean, flags: string): string =>
  negative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';

function pad(head: string, text: string, flags: string, width: number): string {
  const missing = width - head.length - codePoints(text);
  if (missing <= 0) return head + text;
  if (flags.includes('-')) return head + text + ' '.repeat(missing);
  return flags.includes('0') ? head + '0'.repeat(missing) + text : ' '.repeat(missing) + head + text;
}

function whole(value: Value, type: string): number | bigint {
  const int = intOf(value);
  if (int !== undefined) return int;
  if (value instanceof PyFloat && 'diu'.includes(type)) {
    if (!Number.isFinite(value.value))
      throw Number.isNaN(value.value)
        ? valueError('cannot convert float NaN to integer')
        : new PythonError('OverflowError', 'cannot convert float infinity to integer');
    return toInt(BigInt(Math.trunc(value.value)));
  }
  if (value instanceof Undefined && 'diu'.includes(type)) throw value.fail();
  const expected = 'diu'.includes(type) ? 'a real number is required' : 'an integer is required';
  throw typeError(`%${type} format: ${expected}, not ${typeName(value)}`);
}

function character(value: Value): string {
  if (isText(value) && codePoints(textOf(value)) === 1) return textOf(value);
  const int = intOf(value);
  if (int === undefined) throw typeError('%c requires int or char');
  if (int < 0 || int > 0x10ffff) throw new PythonError('OverflowError', '%c arg not in range(0x110000)');
  return String.fromCodePoint(Number(int));
}
