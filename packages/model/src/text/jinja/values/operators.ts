import { checkText, spend, spendItems, spendText } from '../rendering.js';
import { LimitError, typeError, type PythonError } from '../failures.js';
import { percentFormat } from '../builtins/percent-format.js';
import { arithmetic, unsupported, type Operator } from './numbers.js';
import { escapeHtml } from './html.js';
import {
  DictView,
  intOf,
  isText,
  isWide,
  iterable,
  Markup,
  PyDict,
  PyFloat,
  PyIterator,
  PyObject,
  PyRange,
  PyTuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

export function binary(operator: Operator, left: Value, right: Value): Value {
  if (operator === '+' && typeof left === 'string' && typeof right === 'string') {
    // JavaScript joins texts without copying them.
    checkText(left.length + right.length);
    return left + right;
  }
  if (operator === '%' && isText(left)) {
    const text = percentFormat(left, right);
    return left instanceof Markup ? new Markup(text) : text;
  }
  if (left instanceof Undefined) throw left.fail();
  if (right instanceof Undefined) throw right.fail();
  const number = arithmetic(operator, left, right);
  if (number !== undefined) return number;
  if (operator === '+') return add(left, right);
  if (operator === '*') return repeat(left, right) ?? repeat(right, left) ?? fail(unsupported('*', left, right));
  if (left instanceof DictView || right instanceof DictView)
    throw new LimitError(`${operator} on a dict's keys or items`);
  throw unsupported(operator === '**' ? '** or pow()' : operator, left, right);
}

const fail = (error: PythonError): never => {
  throw error;
};

function add(left: Value, right: Value): Value {
  if (isText(left) && isText(right)) {
    if (left instanceof Markup || right instanceof Markup) return new Markup(htmlOf(left) + htmlOf(right));
    return left + right;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    spendItems(left.length + right.length);
    return (left as Value[]).concat(right as Value[]);
  }
  if (left instanceof PyTuple && right instanceof PyTuple) {
    spendItems(left.items.length + right.items.length);
    return new PyTuple([...left.items, ...right.items]);
  }
  for (const [type, name] of [
    [isText(left), 'str'],
    [Array.isArray(left), 'list'],
    [left instanceof PyTuple, 'tuple'],
  ] as const)
    if (type) throw typeError(`can only concatenate ${name} (not "${typeName(right)}") to ${name}`);
  throw unsupported('+', left, right);
}

const htmlOf = (value: string | Markup): string => (value instanceof Markup ? value.text : escapeHtml(value));

function repeat(sequence: Value, count: Value): Value {
  if (!isText(sequence) && !Array.isArray(sequence) && !(sequence instanceof PyTuple)) return undefined;
  const int = intOf(count);
  if (int === undefined) throw typeError(`can't multiply sequence by non-int of type '${typeName(count)}'`);
  const times = Math.max(0, Number(int));
  if (isText(sequence)) {
    const text = textOf(sequence);
    spendText(text.length * times);
    const repeated = text === '' ? '' : text.repeat(times);
    return sequence instanceof Markup ? new Markup(repeated) : repeated;
  }
  const items = (sequence instanceof PyTuple ? sequence.items : sequence) as readonly Value[];
  spendItems(items.length * times);
  const repeated: Value[] = [];
  if (items.length > 0) for (let index = 0; index < times; index++) for (const item of items) repeated.push(item);
  return sequence instanceof PyTuple ? new PyTuple(repeated) : repeated;
}

export function equal(left: Value, right: Value): boolean {
  if (typeof left === 'string' && typeof right === 'string') {
    if (left.length === right.length) spend(left.length >>> 5);
    return left === right;
  }
  if (left instanceof Undefined || right instanceof Undefined) {
    for (const side of [left, right]) if (side instanceof Undefined && side.strict) throw side.fail();
    return left instanceof Undefined && right instanceof Undefined;
  }
  if (isText(left) || isText(right)) return isText(left) && isText(right) && equal(textOf(left), textOf(right));
  if (isNumber(left) && isNumber(right)) return equalNumbers(numeric(left), numeric(right));
  if (left === right) return true;
  if (Array.isArray(left)) return Array.isArray(right) && equalItems(left as Value[], right as Value[]);
  if (left instanceof PyTuple) return right instanceof PyTuple && equalItems(left.items, right.items);
  if (left instanceof PyDict) return right instanceof PyDict && equalDicts(left, right);
  if (left instanceof PyRange)
    return (
      right instanceof PyRange &&
      left.length === right.length &&
      (left.length === 0 || (left.start === right.start && (left.length === 1 || left.step === right.step)))
    );
  if (left instanceof DictView && right instanceof DictView) throw new LimitError('the comparison of two dict views');
  return false;
}

const isNumber = (value: Value): value is number | bigint | boolean | PyFloat =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' || value instanceof PyFloat;

const numeric = (value: number | bigint | boolean | PyFloat): number | bigint =>
  value instanceof PyFloat ? value.value : typeof value === 'boolean' ? Number(value) : value;

/** Of numbers and bigints alike; NaN equals nothing. */
const equalNumbers = (left: number | bigint, right: number | bigint): boolean => left <= right && left >= right;

/** Containers take items for equal that are the same object, even NaN. */
const same = (left: Value, right: Value): boolean => left === right || equal(left, right);

function equalItems(left: readonly Value[], right: readonly Value[]): boolean {
  spend(1);
  if (left.length !== right.length) return false;
  return left.every((item, index) => (spend(1), same(item, right[index])));
}

function equalDicts(left: PyDict, right: PyDict): boolean {
  spend(1);
  if (left.size !== right.size) return false;
  for (const [key, value] of left.entries()) {
    spend(1);
    if (!right.has(key) || !same(value, right.get(key))) return false;
  }
  return true;
}

export type Comparison = '<' | '<=' | '>' | '>=';

export function compare(operator: Comparison, left: Value, right: Value): boolean {
  if (left instanceof Undefined) throw left.fail();
  if (right instanceof Undefined) throw right.fail();
  if (isNumber(left) && isNumber(right)) return ordered(operator, numeric(left), numeric(right));
  if (isText(left) && isText(right)) return ordered(operator, compareText(textOf(left), textOf(right)), 0);
  const lists = Array.isArray(left) && Array.isArray(right);
  if (lists || (left instanceof PyTuple && right instanceof PyTuple)) {
    const a = (lists ? left : (left as PyTuple).items) as readonly Value[];
    const b = (lists ? right : (right as PyTuple).items) as readonly Value[];
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      spend(1);
      if (!same(a[index], b[index])) return compare(operator, a[index], b[index]);
    }
    return ordered(operator, a.length, b.length);
  }
  if (left instanceof DictView && right instanceof DictView) throw new LimitError('the comparison of two dict views');
  throw typeError(`'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`);
}

function ordered(operator: Comparison, left: number | bigint, right: number | bigint): boolean {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

/** By code points, where JavaScript compares UTF-16 units. */
function compareText(left: string, right: string): number {
  spendText(Math.max(left.length, right.length));
  if (left === right) return 0;
  if (!isWide(left) && !isWide(right)) return left < right ? -1 : 1;
  const a = Array.from(left, (each) => each.codePointAt(0)!);
  const b = Array.from(right, (each) => each.codePointAt(0)!);
  const at = a.findIndex((code, index) => code !== b[index]);
  return at === -1 ? -1 : a[at]! < (b[at] ?? -1) ? -1 : 1;
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (isText(container)) {
    if (item instanceof Undefined || !isText(item))
      throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    const text = textOf(container);
    spend(text.length >>> 6);
    return text.includes(textOf(item));
  }
  if (container instanceof PyDict) return container.has(item);
  if (container instanceof Undefined && container.strict) throw container.fail();
  if (container instanceof DictView && container.kind === 'keys') return container.dict.has(item);
  if (container instanceof PyRange) {
    const int = intOf(item instanceof PyFloat && Number.isInteger(item.value) ? item.value : item);
    if (typeof int !== 'number') return false;
    const at = (int - container.start) / container.step;
    return Number.isInteger(at) && at >= 0 && at < container.length;
  }
  if (!isIterable(container)) throw typeError(`argument of type '${typeName(container)}' is not iterable`);
  for (const each of iterable(container)) {
    spend(1);
    if (same(each, item)) return true;
  }
  return false;
}

export const isIterable = (value: Value): boolean =>
  isText(value) ||
  Array.isArray(value) ||
  value instanceof PyDict ||
  value instanceof PyTuple ||
  value instanceof PyRange ||
  value instanceof PyIterator ||
  value instanceof DictView ||
  value instanceof Undefined ||
  (value instanceof PyObject && value.object.iterate !== undefined);

export function negate(value: Value): Value {
  if (value instanceof Undefined) throw value.fail();
  if (value instanceof PyFloat) return new PyFloat(-value.value);
  const int = intOf(value);
  if (int === undefined) throw typeError(`bad operand type for unary -: '${typeName(value)}'`);
  return typeof int === 'bigint' ? -int : 0 - int;
}

export function positive(value: Value): Value {
  if (value instanceof Undefined) throw value.fail();
  if (value instanceof PyFloat) return value;
  const int = intOf(value);
  if (int === undefined) throw typeError(`bad operand type for unary +: '${typeName(value)}'`);
  return int;
}

/** Sorts as `sorted` does: stable, by `<`. */
export function sorted(items: readonly Value[], key: (item: Value) => Value, reverse = false): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  spendItems(items.length);
  const sign = reverse ? -1 : 1;
  keyed.sort((a, b) => {
    spend(1);
    return compare('<', a.key, b.key) ? -sign : compare('<', b.key, a.key) ? sign : 0;
  });
  return keyed.map(({ item }) => item);
}
