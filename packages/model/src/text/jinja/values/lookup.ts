import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { equal } from './operators.js';
import { currentDialect, spend, spendText } from '../rendering.js';
import { characterAt, sliceBounds } from './sequences.js';
import { createStringMethods, markupMethod } from '../builtins/string-methods.js';
import {
  Callable,
  DictView,
  GroupTuple,
  hashKey,
  intOf,
  isText,
  Markup,
  MISSING,
  Namespace,
  PyDict,
  PyFloat,
  PyObject,
  PyRange,
  PyTuple,
  textOf,
  typeName,
  Undefined,
  type Kwargs,
  type Value,
} from './values.js';

const stringMethods = createStringMethods({ attribute: getAttribute, item: getItem });

export function undefinedOf(options: { hint?: string; owner?: Value; key?: Value; error?: string }): Undefined {
  return new Undefined({ ...options, strict: currentDialect().strictUndefined });
}

/** `environment.getattr`: an attribute, else an item. */
export function getAttribute(value: Value, name: string): Value {
  if (value instanceof PyDict) {
    const method = dictAttribute(value, name);
    if (method !== MISSING) return method;
    const item = value.getText(name);
    if (item !== MISSING) return item;
  } else {
    const found = attribute(value, name);
    if (found !== MISSING) return found;
    const item = value instanceof PyObject ? value.object.item?.(name) : undefined;
    if (item !== undefined && item !== MISSING) return item;
  }
  if (name.startsWith('__') && name.endsWith('__')) return unsafe(value, name);
  return undefinedOf({ owner: value, key: name });
}

/** `environment.getitem`: an item, else an attribute. */
export function getItem(value: Value, key: Value): Value {
  const item = itemOf(value, key);
  if (item !== MISSING) return item;
  if (isText(key)) {
    const name = textOf(key);
    const found = value instanceof PyDict ? dictAttribute(value, name) : attribute(value, name);
    if (found !== MISSING) return found;
    if (name.startsWith('__') && name.endsWith('__')) return unsafe(value, name);
  }
  return undefinedOf({ owner: value, key });
}

function itemOf(value: Value, key: Value): Value {
  if (value instanceof PyDict)
    return typeof key === 'string' ? value.getText(key) : isHashable(key) ? value.get(key) : MISSING;
  if (value instanceof Undefined) throw value.fail();
  if (value instanceof PyObject) return value.object.item?.(key) ?? MISSING;
  const int = intOf(key);
  if (int === undefined || typeof int === 'bigint') return MISSING;
  if (Array.isArray(value)) return at(value as Value[], int);
  if (value instanceof PyTuple) return at(value.items, int);
  if (isText(value)) {
    const character = characterAt(textOf(value), int);
    if (character === undefined) return MISSING;
    return value instanceof Markup ? new Markup(character) : character;
  }
  if (value instanceof PyRange) {
    const index = int < 0 ? int + value.length : int;
    return index >= 0 && index < value.length ? value.at(index) : MISSING;
  }
  return MISSING;
}

function at(items: readonly Value[], index: number): Value {
  const item = items.at(index);
  return item === undefined ? MISSING : item;
}

function isHashable(key: Value): boolean {
  try {
    hashKey(key);
    return true;
  } catch (error) {
    if (error instanceof PythonError && error.type === 'TypeError') return false;
    throw error;
  }
}

function unsafe(value: Value, name: string): Value {
  if (!currentDialect().sandboxed) throw new LimitError(`the attribute ${name} of a ${typeName(value)}`);
  const hint = `access to attribute '${name}' of '${typeName(value)}' object is unsafe.`;
  return undefinedOf({ hint, owner: value, key: name, error: 'SecurityError' });
}

const dictMethods: Readonly<Record<string, (dict: PyDict, args: readonly Value[]) => Value>> = {
  get(dict, args) {
    arity('get', args, 1, 2);
    const value = dict.get(args[0]);
    return value === MISSING ? (args.length > 1 ? args[1] : null) : value;
  },
  items: (dict, args) => (arity('items', args, 0, 0), new DictView('items', dict)),
  keys: (dict, args) => (arity('keys', args, 0, 0), new DictView('keys', dict)),
  values: (dict, args) => (arity('values', args, 0, 0), new DictView('values', dict)),
  copy: (dict, args) => (arity('copy', args, 0, 0), PyDict.of(dict.entries())),
};

const dictNames = new Map(Object.entries(dictMethods));
const changing = {
  dict: new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']),
  list: new Set(['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove']),
};

function dictAttribute(dict: PyDict, name: string): Value {
  const method = dictNames.get(name);
  if (method !== undefined) return bound(name, (args) => method(dict, args));
  if (changing.dict.has(name)) return unsafe(dict, name);
  if (name === 'fromkeys') throw new LimitError('the method fromkeys of a dict');
  return MISSING;
}

/** A method that takes no arguments by name. */
const bound = (name: string, run: (args: readonly Value[]) => Value): Callable =>
  new Callable(name, (args, kwargs) => {
    if (kwargs.size > 0) throw typeError(`${name}() takes no keyword arguments`);
    return run(args);
  });

function arity(name: string, args: readonly Value[], least: number, most: number): void {
  if (args.length < least || args.length > most)
    throw typeError(`${name} expected ${least === most ? least : `${least} to ${most}`} arguments, got ${args.length}`);
}

/** An attribute of what is no dict, or MISSING. */
function attribute(value: Value, name: string): Value {
  if (typeof value === 'string') {
    const method = stringMethods.get(name);
    if (method === undefined) return MISSING;
    return new Callable(name, (args, kwargs) => {
      spendText(value.length);
      return method(value, args, kwargs);
    });
  }
  if (value instanceof Undefined) {
    if (name.startsWith('__') && name.endsWith('__')) return MISSING;
    throw value.fail();
  }
  if (value instanceof PyObject) {
    const found = value.object.attribute(name);
    return found !== MISSING && name.startsWith('_') ? unsafe(value, name) : found;
  }
  if (value instanceof Namespace) {
    const found = value.attributes.get(name);
    if (found === undefined) return MISSING;
    return name.startsWith('_') ? unsafe(value, name) : found;
  }
  if (Array.isArray(value)) return listAttribute(value as Value[], name);
  if (value instanceof PyTuple) return tupleAttribute(value, name);
  if (value instanceof PyDict) return dictAttribute(value, name);
  if (value instanceof Markup) return markupAttribute(value, name);
  if (value instanceof PyRange) return rangeAttribute(value, name);
  if (value instanceof DictView && (name === 'mapping' || name === 'isdisjoint'))
    throw new LimitError(`the attribute ${name} of ${typeName(value)}`);
  return numberAttribute(value, name);
}

function listAttribute(list: readonly Value[], name: string): Value {
  if (name === 'copy') return bound('copy', (args) => (arity('copy', args, 0, 0), [...list]));
  if (changing.list.has(name)) return unsafe(list, name);
  return sequenceAttribute(list, name);
}

function sequenceAttribute(items: readonly Value[], name: string): Value {
  if (name === 'count')
    return bound('count', (args) => {
      arity('count', args, 1, 1);
      spend(items.length);
      return items.filter((item) => item === args[0] || equal(item, args[0])).length;
    });
  if (name === 'index')
    return bound('index', (args) => {
      arity('index', args, 1, 3);
      spend(items.length);
      const { start, count } = sliceBounds(items.length, args[1] ?? 0, args[2] ?? null, null);
      const found = items.findIndex(
        (item, index) => index >= start && index < start + count && (item === args[0] || equal(item, args[0])),
      );
      if (found === -1) throw valueError('the value is not in the list');
      return found;
    });
  return MISSING;
}

function tupleAttribute(tuple: PyTuple, name: string): Value {
  if (tuple instanceof GroupTuple && (name === 'grouper' || name === 'list'))
    return tuple.items[name === 'list' ? 1 : 0];
  return sequenceAttribute(tuple.items, name);
}

function markupAttribute(value: Markup, name: string): Value {
  if (['unescape', 'striptags', 'escape'].includes(name)) throw new LimitError(`the method ${name} of a Markup`);
  const run = stringMethods.get(name);
  if (run === undefined) return MISSING;
  const method = markupMethod(name, run);
  return new Callable(name, (args, kwargs) => method(value.text, args, kwargs));
}

function rangeAttribute(range: PyRange, name: string): Value {
  if (name === 'start' || name === 'stop' || name === 'step') return range[name];
  if (name === 'count' || name === 'index') throw new LimitError(`the method ${name} of a range`);
  return MISSING;
}

function numberAttribute(value: Value, name: string): Value {
  const int = intOf(value);
  if (int === undefined && !(value instanceof PyFloat)) return MISSING;
  const nullary = (result: () => Value): Value => bound(name, (args) => (arity(name, args, 0, 0), result()));
  const plain = int ?? value;
  switch (name) {
    case 'real':
      return plain;
    case 'imag':
      return int === undefined ? new PyFloat(0) : 0;
    case 'conjugate':
      return nullary(() => plain);
    case 'is_integer':
      return value instanceof PyFloat ? nullary(() => Number.isInteger(value.value)) : MISSING;
    case 'as_integer_ratio':
    case 'hex':
    case 'fromhex':
    case 'to_bytes':
    case 'from_bytes':
      throw new LimitError(`the method ${name} of a number`);
    default:
  }
  if (int === undefined) return MISSING;
  const binary = (): string => (int < 0 ? -BigInt(int) : BigInt(int)).toString(2);
  switch (name) {
    case 'numerator':
      return int;
    case 'denominator':
      return 1;
    case 'bit_length':
      return nullary(() => (int === 0 ? 0 : binary().length));
    case 'bit_count':
      return nullary(() => binary().replaceAll('0', '').length);
    default:
      return MISSING;
  }
}

export function call(value: Value, args: readonly Value[], kwargs: Kwargs): Value {
  if (value instanceof Callable) return value.call(args, kwargs);
  if (value instanceof PyObject && value.object.call !== undefined) return value.object.call(args, kwargs);
  if (value instanceof Undefined) throw value.fail();
  throw typeError(`'${typeName(value)}' object is not callable`);
}

/** `value.name(...)`, without making the bound method of a text or a dict first. */
export function callMethod(value: Value, name: string, args: readonly Value[], kwargs: Kwargs): Value {
  if (typeof value === 'string') {
    const method = stringMethods.get(name);
    if (method !== undefined) {
      spendText(value.length);
      return method(value, args, kwargs);
    }
  } else if (value instanceof PyDict && kwargs.size === 0) {
    const method = dictNames.get(name);
    if (method !== undefined) return method(value, args);
  }
  return call(getAttribute(value, name), args, kwargs);
}
