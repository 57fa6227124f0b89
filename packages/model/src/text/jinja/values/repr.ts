import { spend, spendText } from '../rendering.js';
import { LimitError, valueError } from '../failures.js';
import { floatText } from './numbers.js';
import {
  DictView,
  Markup,
  Namespace,
  PyDict,
  PyFloat,
  PyObject,
  PyRange,
  PyTuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** `str(value)`: what `{{ value }}` writes. */
export function toText(value: Value): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return String(value);
    case 'boolean':
      return value ? 'True' : 'False';
    default:
  }
  if (value instanceof Undefined) {
    if (value.strict) throw value.fail();
    return '';
  }
  if (value instanceof Markup) return value.text;
  return repr(value);
}

export function repr(value: Value): string {
  spend(1);
  switch (typeof value) {
    case 'string':
      return reprText(value);
    case 'number':
      return String(value);
    case 'bigint':
      return bigText(value);
    case 'boolean':
      return value ? 'True' : 'False';
    default:
  }
  if (value === null) return 'None';
  if (value instanceof PyFloat) return floatText(value.value);
  if (Array.isArray(value)) return `[${list(value as Value[])}]`;
  if (value instanceof PyTuple)
    return value.items.length === 1 ? `(${repr(value.items[0])},)` : `(${list(value.items)})`;
  if (value instanceof PyDict) return reprDict(value);
  if (value instanceof DictView) return `dict_${value.kind}([${list(value)}])`;
  if (value instanceof PyRange)
    return `range(${value.start}, ${value.stop}${value.step === 1 ? '' : `, ${value.step}`})`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Markup) return `Markup(${reprText(value.text)})`;
  if (value instanceof Namespace) return `<Namespace ${reprDict(PyDict.of(value.attributes))}>`;
  const own = value instanceof PyObject ? value.object.repr?.() : undefined;
  if (own !== undefined) return own;
  throw new LimitError(`the text of a ${typeName(value)}, in which Python writes a memory address`);
}

/** Python refuses to write whole numbers of more than 4,300 digits, which takes quadratic time. */
export function bigText(value: bigint): string {
  const text = value.toString();
  spend(text.length);
  if (text.length - (value < 0n ? 1 : 0) > 4300)
    throw valueError('Exceeds the limit (4300 digits) for integer string conversion');
  return text;
}

function list(items: Iterable<Value>): string {
  let text = '';
  let first = true;
  for (const item of items) {
    text += first ? repr(item) : `, ${repr(item)}`;
    first = false;
    spendText(text.length);
  }
  return text;
}

function reprDict(dict: PyDict): string {
  let text = '';
  for (const [key, value] of dict.entries()) {
    text += `${text === '' ? '' : ', '}${repr(key)}: ${repr(value)}`;
    spendText(text.length);
  }
  return `{${text}}`;
}

const escaped = /[\\\n\r\t]|(?! )[\p{C}\p{Z}]/gu;

function reprText(text: string): string {
  spendText(text.length);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(escaped, escapeCharacter);
  return quote + (quote === "'" ? body.replaceAll("'", "\\'") : body) + quote;
}

function escapeCharacter(character: string): string {
  const named = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  return named ?? escapeCode(character);
}

/** `\xe9`, `\u20ac`, `\U0001f600`. */
export function escapeCode(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `ascii(value)`. */
export const asciiRepr = (value: Value): string => repr(value).replace(/[^\0-\x7f]/gu, escapeCode);
