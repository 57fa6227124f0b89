import { nested, spendText } from '../rendering.js';
import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { floatDigits, intDigits } from '../values/number-format.js';
import { floatOf } from '../values/numbers.js';
import { asciiRepr, repr, toText } from '../values/repr.js';
import {
  codePoints,
  intOf,
  isText,
  MISSING,
  PyDict,
  PyFloat,
  textOf,
  typeName,
  type Kwargs,
  type Value,
} from '../values/values.js';

/** How templates look up attributes and items. */
export interface Lookup {
  attribute(value: Value, name: string): Value;
  item(value: Value, key: Value): Value;
}

/** `text.format(...)`, its fields looked up as templates look up attributes and items. */
export function formatText(text: string, args: readonly Value[], kwargs: Kwargs | PyDict, lookup: Lookup): string {
  let automatic = 0;
  let manual = false;
  const valueOf = (field: string): Value => {
    const [, first, rest] = /^([^.[]*)(.*)$/s.exec(field) as unknown as [string, string, string];
    let value = argument(first);
    for (const match of rest.matchAll(/\.([^.[]*)|\[([^\]]*)\]|(.)/gs)) {
      if (match[3] !== undefined) throw valueError("Only '.' or '[' may follow ']' in format field specifier");
      if (match[1] === '' || match[2] === '') throw valueError('Empty attribute in format string');
      value =
        match[1] !== undefined
          ? lookup.attribute(value, match[1])
          : lookup.item(value, /^\d+$/.test(match[2]!) ? Number(match[2]) : match[2]);
    }
    return value;
  };
  const argument = (name: string): Value => {
    if (name === '') {
      if (manual) throw valueError('cannot switch from manual field specification to automatic field numbering');
      name = String(automatic++);
    } else if (/^\d+$/.test(name)) {
      if (automatic > 0) throw valueError('cannot switch from manual field specification to automatic field numbering');
      manual = true;
    }
    if (/^\d+$/.test(name)) {
      if (Number(name) >= args.length)
        throw new PythonError('IndexError', `Replacement index ${name} out of range for positional args tuple`);
      return args[Number(name)];
    }
    const value = kwargs instanceof PyDict ? kwargs.get(name) : kwargs.has(name) ? kwargs.get(name) : MISSING;
    if (value === MISSING) throw new PythonError('KeyError', `'${name}'`);
    return value;
  };
  const fill = (template: string, depth: number): string => {
    if (depth > 1) throw valueError('Max string recursion exceeded');
    let result = '';
    for (let at = 0; at < template.length;) {
      const character = template[at]!;
      if (character !== '{' && character !== '}') {
        const next = template.slice(at).search(/[{}]/);
        const end = next === -1 ? template.length : at + next;
        result += template.slice(at, end);
        at = end;
        continue;
      }
      if (template[at + 1] === character && depth === 0) {
        result += character;
        at += 2;
        continue;
      }
      if (character === '}') throw valueError("Single '}' encountered in format string");
      const end = fieldEnd(template, at);
      result += field(template.slice(at + 1, end), depth);
      spendText(result.length);
      at = end + 1;
    }
    return result;
  };
  const field = (body: string, depth: number): string => {
    const [, name, conversion, spec] = /^((?:\[[^\]]*\]|[^!:[])*)(?:!([^:]*))?(?::(.*))?$/s.exec(body) ?? [];
    if (name === undefined) throw valueError("expected ':' after conversion specifier");
    let value = valueOf(name);
    if (conversion !== undefined) {
      const convert = { s: toText, r: repr, a: asciiRepr }[conversion];
      if (convert === undefined) throw valueError(`Unknown conversion specifier ${conversion}`);
      value = convert(value);
    }
    return formatValue(value, spec === undefined || !/[{}]/.test(spec) ? (spec ?? '') : fill(spec, depth + 1));
  };
  return nested(() => fill(text, 0));
}

function fieldEnd(template: string, start: number): number {
  let depth = 0;
  let bracket = false;
  for (let at = start; at < template.length; at++) {
    const character = template[at];
    if (bracket) bracket = character !== ']';
    else if (character === '[' && depth === 1) bracket = true;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return at;
  }
  throw valueError(
    start === template.length - 1 ? "Single '{' encountered in format string" : "expected '}' before end of string",
  );
}

const specPattern = /^(?:([\s\S])?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([\s\S])?$/u;

/** `format(value, spec)`. */
function formatValue(value: Value, spec: string): string {
  if (spec === '') return toText(value);
  if (isText(value)) return formatString(textOf(value), parseSpec(spec));
  if (value instanceof PyFloat) return formatNumber(value, parseSpec(spec));
  const int = intOf(value);
  if (int !== undefined) return formatNumber(int, parseSpec(spec));
  throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`);
}

interface Spec {
  readonly fill: string | undefined;
  readonly align: string | undefined;
  readonly sign: string | undefined;
  readonly alternate: boolean;
  readonly zero: boolean;
  readonly width: number;
  readonly grouping: string | undefined;
  readonly precision: number | undefined;
  readonly type: string | undefined;
}

function parseSpec(spec: string): Spec {
  const match = specPattern.exec(spec);
  if (match === null) throw valueError('Invalid format specifier');
  const [, fill, align, sign, negativeZero, alternate, zero, width, grouping, precision, type] = match;
  if (negativeZero !== undefined) throw new LimitError('the format option z');
  for (const count of [width, precision])
    if (count !== undefined && count.length > 15) throw valueError('Too many decimal digits in format string');
  return {
    fill,
    align,
    sign,
    alternate: alternate !== undefined,
    zero: zero !== undefined,
    width: Number(width ?? 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type,
  };
}

function formatString(text: string, spec: Spec): string {
  if (spec.type !== undefined && spec.type !== 's')
    throw valueError(`Unknown format code '${spec.type}' for object of type 'str'`);
  if (spec.sign !== undefined) throw valueError('Sign not allowed in string format specifier');
  if (spec.alternate) throw valueError('Alternate form (#) not allowed in string format specifier');
  if (spec.align === '=') throw valueError("'=' alignment not allowed in string format specifier");
  if (spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 's'.`);
  const cut = spec.precision === undefined ? text : Array.from(text).slice(0, spec.precision).join('');
  return align(cut, spec, '<');
}

function align(text: string, spec: Spec, otherwise: string): string {
  const missing = spec.width - codePoints(text);
  if (missing <= 0) return text;
  spendText(spec.width);
  const fill = spec.fill ?? (spec.zero ? '0' : ' ');
  const side = spec.align ?? otherwise;
  if (side === '<') return text + fill.repeat(missing);
  const left = side === '^' ? Math.floor(missing / 2) : missing;
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

const floatTypes = ['e', 'E', 'f', 'F', 'g', 'G', '%'];

function formatNumber(value: number | bigint | PyFloat, spec: Spec): string {
  const type = spec.type;
  const isFloat = value instanceof PyFloat || (type !== undefined && floatTypes.includes(type));
  if (type === 'n') throw new LimitError('the format type n');
  const allowed = isFloat ? [undefined, ...floatTypes] : [undefined, 'b', 'c', 'd', 'o', 'x', 'X'];
  if (!allowed.includes(type))
    throw valueError(`Unknown format code '${type}' for object of type '${typeName(value)}'`);
  let digits: string;
  let prefix = '';
  let negative: boolean;
  if (isFloat) {
    const float = floatOf(value)!;
    negative = float < 0 || Object.is(float, -0);
    digits = floatDigits(float, { ...spec, type: type?.toLowerCase() ?? 'r' });
    if (type === 'E' || type === 'F' || type === 'G') digits = digits.toUpperCase();
  } else {
    const int = value;
    if (spec.precision !== undefined) throw valueError('Precision not allowed in integer format specifier');
    if (type === 'c') {
      if (spec.sign !== undefined) throw valueError("Sign not allowed with integer format specifier 'c'");
      if (spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 'c'.`);
      if (int < 0 || int > 0x10ffff) throw new PythonError('OverflowError', '%c arg not in range(0x110000)');
      return align(String.fromCodePoint(Number(int)), spec, '>');
    }
    if (spec.grouping === ',' && type !== undefined && type !== 'd')
      throw valueError(`Cannot specify ',' with '${type}'.`);
    negative = int < 0;
    ({ digits, prefix } = intDigits(int, type ?? 'd'));
    if (!spec.alternate) prefix = '';
  }
  const sign = negative ? '-' : spec.sign === '+' || spec.sign === ' ' ? spec.sign : '';
  const [, whole, rest] = /^(\d*|[0-9a-fA-F]+(?=$))(.*)$/s.exec(digits)! as unknown as [string, string, string];
  const size = type === 'b' || type === 'o' || type === 'x' || type === 'X' ? 4 : 3;
  const head = sign + prefix;
  const inside = spec.align === '=' || (spec.align === undefined && spec.zero);
  const fill = spec.fill ?? (spec.zero ? '0' : ' ');
  if (spec.grouping !== undefined && whole !== '') {
    const least = inside && fill === '0' ? spec.width - head.length - rest.length : 0;
    digits = grouped(whole, size, spec.grouping, least) + rest;
  }
  if (!inside) return align(head + digits, spec, '>');
  const missing = spec.width - head.length - digits.length;
  spendText(spec.width);
  return head + (missing > 0 ? fill.repeat(missing) : '') + digits;
}

/** Digits in groups; zeros in front that fill a width are grouped too, and never begin with a separator. */
function grouped(whole: string, size: number, separator: string, least: number): string {
  const group = (digits: string): string => {
    const parts: string[] = [];
    for (let end = digits.length; end > 0; end -= size) parts.unshift(digits.slice(Math.max(0, end - size), end));
    return parts.join(separator);
  };
  spendText(Math.max(0, least));
  let digits = whole;
  const count = Math.max(0, least - Math.floor(Math.max(0, least - 1) / (size + 1)));
  if (digits.length < count) digits = digits.padStart(count, '0');
  return group(digits);
}
