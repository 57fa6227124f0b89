import { LimitError, PythonError, typeError } from '../failures.js';
import { spend } from '../rendering.js';

/**
 * A Python value. None is null, bool a boolean, str a string; an int is a number (a bigint beyond 2^53), a list is an
 * array; all others are the classes below. Lists and dicts never change: the sandbox forbids it.
 */
export type Value = unknown;

/** A variable that has no value, which is not the same as a value that is Undefined. */
export const MISSING = Symbol('missing');

export class PyFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class PyTuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** What `groupby` yields: a tuple whose two items have names. */
export class GroupTuple extends PyTuple {}

/** Text that needs no HTML escaping. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export class PyRange {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly length: number;
  constructor(start: number, stop: number, step: number) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }
  at(index: number): number {
    return this.start + index * this.step;
  }
}

/** A generator or another iterator, which is used up when read once. */
export class PyIterator implements Iterable<Value> {
  readonly type: string;
  readonly #items: Iterator<Value>;
  constructor(type: string, items: Iterator<Value>) {
    this.type = type;
    this.#items = items;
  }
  next(): IteratorResult<Value> {
    return this.#items.next();
  }
  [Symbol.iterator](): Iterator<Value> {
    // Without `return`: a loop that breaks off leaves the rest to the next one.
    return { next: () => this.#items.next() };
  }
}

export class DictView {
  readonly kind: 'keys' | 'values' | 'items';
  readonly dict: PyDict;
  constructor(kind: DictView['kind'], dict: PyDict) {
    this.kind = kind;
    this.dict = dict;
  }
  *[Symbol.iterator](): Iterator<Value> {
    if (this.kind === 'keys') yield* this.dict.keys();
    else if (this.kind === 'values') yield* this.dict.values();
    else for (const [key, value] of this.dict.entries()) yield new PyTuple([key, value]);
  }
}

export class Undefined {
  readonly strict: boolean;
  readonly hint: string | undefined;
  readonly owner: Value;
  readonly key: Value;
  readonly error: string;
  constructor(options: { hint?: string; owner?: Value; key?: Value; error?: string; strict: boolean }) {
    this.hint = options.hint;
    this.owner = 'owner' in options ? options.owner : MISSING;
    this.key = options.key;
    this.error = options.error ?? 'UndefinedError';
    this.strict = options.strict;
  }
  fail(): PythonError {
    return new PythonError(this.error, this.#message());
  }
  #message(): string {
    if (this.hint !== undefined) return this.hint;
    const key = typeof this.key === 'string' ? `'${this.key}'` : shown(this.key);
    if (this.owner === MISSING) return `${key} is undefined`;
    const owner = this.owner === null ? 'None' : `${typeName(this.owner)} object`;
    return typeof this.key === 'string' ? `'${owner}' has no attribute ${key}` : `${owner} has no element ${key}`;
  }
}

const shown = (key: Value): string =>
  typeof key === 'number' || typeof key === 'bigint' ? String(key) : `of type ${typeName(key)}`;

export type Kwargs = ReadonlyMap<string, Value>;
export const noKwargs: Kwargs = new Map();

/** A function of Python: a method bound to its object, a global, a macro. */
export class Callable {
  readonly name: string;
  readonly type: string;
  readonly call: (args: readonly Value[], kwargs: Kwargs) => Value;
  constructor(name: string, call: Callable['call'], type = 'builtin_function_or_method') {
    this.name = name;
    this.call = call;
    this.type = type;
  }
}

/** An object of Jinja's own: `loop`, a namespace, a macro. */
export interface JinjaObject {
  readonly type: string;
  /** An attribute's value, or MISSING. */
  attribute(name: string): Value;
  item?(key: Value): Value;
  call?(args: readonly Value[], kwargs: Kwargs): Value;
  /** The text of `repr`; without it Python prints a memory address. */
  repr?(): string;
  length?(): number;
  iterate?(): Iterator<Value>;
}

export class PyObject {
  readonly object: JinjaObject;
  constructor(object: JinjaObject) {
    this.object = object;
  }
}

export class Namespace {
  readonly attributes: Map<string, Value>;
  constructor(attributes: Map<string, Value>) {
    this.attributes = attributes;
  }
}

type Key = string | number | bigint | object | null;

// Tuples are equal by their items, and a Map knows keys by identity.
const tupleKeys = new WeakMap<object, string>();

/** A dict: in the order in which its keys were first set. */
export class PyDict {
  readonly #map = new Map<Key, Value>();
  /** The keys that are not the same as what they are found by: True is found by 1, a tuple by a text. */
  #written: Map<Key, Value> | undefined;

  static of(entries: Iterable<readonly [Value, Value]>): PyDict {
    const dict = new PyDict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }
  get size(): number {
    return this.#map.size;
  }
  /** Only while it is made. */
  set(key: Value, value: Value): void {
    const by = typeof key === 'string' ? textKey(key) : hashKey(key);
    if (by !== key && !this.#map.has(by)) (this.#written ??= new Map()).set(by, key);
    this.#map.set(by, value);
  }
  /** The value, or MISSING. */
  get(key: Value): Value {
    const by = typeof key === 'string' ? textKey(key) : hashKey(key);
    const value = this.#map.get(by);
    return value === undefined ? MISSING : value;
  }
  getText(key: string): Value {
    const value = this.#map.get(textKey(key));
    return value === undefined ? MISSING : value;
  }
  has(key: Value): boolean {
    return this.#map.has(typeof key === 'string' ? textKey(key) : hashKey(key));
  }
  *keys(): Iterable<Value> {
    for (const by of this.#map.keys()) yield this.#written?.has(by) === true ? this.#written.get(by) : by;
  }
  values(): Iterable<Value> {
    return this.#map.values();
  }
  *entries(): Iterable<readonly [Value, Value]> {
    for (const [by, value] of this.#map) yield [this.#written?.has(by) === true ? this.#written.get(by) : by, value];
  }
}

/** A long text that was put together is gone through when it is first looked for. */
function textKey(key: string): string {
  spend(key.length >>> 5);
  return key;
}

/** What stands for a key in a Map: the same for keys that are equal in Python (1, 1.0 and True). */
export function hashKey(key: Value): Key {
  switch (typeof key) {
    case 'string':
    case 'bigint':
    case 'number':
      return key;
    case 'boolean':
      return key ? 1 : 0;
    default:
  }
  if (key === null) return null;
  if (key instanceof PyFloat) {
    if (Number.isInteger(key.value) && !Number.isSafeInteger(key.value)) return BigInt(key.value);
    return key.value === 0 ? 0 : key.value;
  }
  if (key instanceof Markup) return key.text;
  if (key instanceof PyTuple) return tupleKey(key);
  if (Array.isArray(key) || key instanceof PyDict) throw typeError(`unhashable type: '${typeName(key)}'`);
  if (key instanceof Undefined) {
    if (key.strict) throw key.fail();
    return Undefined;
  }
  if (key instanceof PyRange || key instanceof DictView)
    throw new LimitError(`a ${typeName(key)} as a key or in a set`);
  return key as object;
}

let objects = 0;
function tupleKey(tuple: PyTuple): string {
  const parts = tuple.items.map((item) => {
    const by = hashKey(item);
    if (typeof by !== 'object' && typeof by !== 'function') return `${typeof by}:${JSON.stringify(String(by))}`;
    if (by === null) return 'none';
    let name = tupleKeys.get(by);
    if (name === undefined) tupleKeys.set(by, (name = `object:${objects++}`));
    return name;
  });
  return `\0tuple(${parts.join()})`;
}

const classNames: readonly [abstract new (...args: never[]) => unknown, string][] = [
  [PyFloat, 'float'],
  [GroupTuple, '_GroupTuple'],
  [PyTuple, 'tuple'],
  [PyDict, 'dict'],
  [PyRange, 'range'],
  [Markup, 'Markup'],
  [Namespace, 'Namespace'],
];

export function typeName(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'str';
    case 'number':
    case 'bigint':
      return 'int';
    case 'boolean':
      return 'bool';
    default:
  }
  if (value === null) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  if (value instanceof DictView) return `dict_${value.kind}`;
  if (value instanceof Undefined) return value.strict ? 'StrictUndefined' : 'Undefined';
  if (value instanceof PyIterator || value instanceof Callable) return value.type;
  if (value instanceof PyObject) return value.object.type;
  return classNames.find(([type]) => value instanceof type)?.[1] ?? 'object';
}

export const isText = (value: Value): value is string | Markup => typeof value === 'string' || value instanceof Markup;

export const textOf = (value: string | Markup): string => (typeof value === 'string' ? value : value.text);

/** An int where Python takes one (bool is an int); undefined for anything else. */
export function intOf(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return undefined;
}

/** A whole number that fits where a size, a count or an index is expected. */
export function indexOf(
  value: Value,
  what = `'${typeName(value)}' object cannot be interpreted as an integer`,
): number {
  const int = intOf(value);
  if (value instanceof Undefined) throw value.strict ? value.fail() : typeError(what);
  if (int === undefined) throw typeError(what);
  if (typeof int === 'bigint') return int > 0n ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER;
  return int;
}

const safe = BigInt(Number.MAX_SAFE_INTEGER);

/** A bigint as the int that stands for it. */
export const toInt = (big: bigint): number | bigint => (big <= safe && big >= -safe ? Number(big) : big);

export function truth(value: Value): boolean {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'string':
      return value !== '';
    case 'number':
      return value !== 0;
    case 'bigint':
      return true;
    default:
  }
  if (value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof PyDict) return value.size > 0;
  if (value instanceof Undefined) {
    if (value.strict) throw value.fail();
    return false;
  }
  if (value instanceof PyFloat) return value.value !== 0;
  if (value instanceof Markup) return value.text !== '';
  const size = sizeOf(value);
  return size === undefined || size > 0;
}

/** `len`, undefined for what has none. Strings count code points. */
export function sizeOf(value: Value): number | undefined {
  if (isText(value)) return codePoints(textOf(value));
  if (Array.isArray(value)) return value.length;
  if (value instanceof PyDict) return value.size;
  if (value instanceof PyTuple) return value.items.length;
  if (value instanceof PyRange) return value.length;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof PyObject) return value.object.length?.();
  if (value instanceof Undefined) {
    if (value.strict) throw value.fail();
    return 0;
  }
  return undefined;
}

const surrogates = /[\ud800-\udbff][\udc00-\udfff]/;
/** Whether a string has characters that JavaScript counts as two. */
export const isWide = (text: string): boolean => surrogates.test(text);

export function codePoints(text: string): number {
  if (!isWide(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** An iterator over a value's items. */
export function iterate(value: Value): Iterator<Value> & Iterable<Value> {
  const iterator = iterable(value)[Symbol.iterator]();
  const self = { next: () => iterator.next(), [Symbol.iterator]: () => self };
  return self;
}

/** A value's items. */
export function iterable(value: Value): Iterable<Value> {
  if (Array.isArray(value)) return value as Value[];
  if (typeof value === 'string') return value;
  if (value instanceof PyDict) return value.keys();
  if (value instanceof PyTuple) return value.items;
  if (value instanceof PyIterator || value instanceof DictView) return value;
  if (value instanceof PyRange) return rangeItems(value);
  if (value instanceof Markup) return [...value.text].map((each) => new Markup(each));
  if (value instanceof Undefined) {
    if (value.strict) throw value.fail();
    return [];
  }
  if (value instanceof PyObject && value.object.iterate !== undefined) {
    const { object } = value;
    return { [Symbol.iterator]: () => object.iterate!() };
  }
  throw typeError(`'${typeName(value)}' object is not iterable`);
}

function* rangeItems(range: PyRange): Iterable<Value> {
  for (let index = 0; index < range.length; index++) yield range.at(index);
}
