import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { callFilter, callTest } from './registry.js';
import { getAttribute, getItem, undefinedOf } from '../values/lookup.js';
import { arithmetic, floatOf, parseFloatText, parseIntText, roundFloat, roundInt } from '../values/numbers.js';
import { binary, compare, equal, isIterable, sorted } from '../values/operators.js';
import { filter, type Filter } from './parameters.js';
import { budgets, spend, spendItems, spendText } from '../rendering.js';
import { toText } from '../values/repr.js';
import { sliceText } from '../values/sequences.js';
import { fileSize } from './text-filters.js';
import { strip } from '../values/unicode.js';
import {
  DictView,
  GroupTuple,
  indexOf,
  intOf,
  isText,
  iterable,
  iterate,
  Markup,
  PyDict,
  PyFloat,
  PyIterator,
  PyRange,
  PyTuple,
  sizeOf,
  textOf,
  toInt,
  truth,
  typeName,
  Undefined,
  type Kwargs,
  type Value,
} from '../values/values.js';

function toList(value: Value): Value[] {
  const items: Value[] = [];
  for (const item of iterable(value)) {
    spend(1);
    items.push(item);
    if (items.length > budgets.items) spendItems(items.length);
  }
  return items;
}

const ignoreCase = (value: Value): Value => (isText(value) ? textOf(value).toLowerCase() : value);

function attributeParts(attribute: Value): Value[] {
  if (attribute === null) return [];
  if (!isText(attribute)) return [attribute];
  return textOf(attribute)
    .split('.')
    .map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}

/** What finds an attribute of an item by a path such as `address.city` or `0.name`. */
function attributeGetter(attribute: Value, caseSensitive: boolean, fallback: Value = null): (item: Value) => Value {
  const parts = attributeParts(attribute);
  return (item) => {
    let value = item;
    for (const part of parts) {
      value = getItem(value, part);
      if (fallback !== null && value instanceof Undefined) value = fallback;
    }
    return caseSensitive ? value : ignoreCase(value);
  };
}

function sort(value: Value, reverse: Value = false, caseSensitive: Value = false, attribute: Value = null): Value {
  const names: Value[] = isText(attribute) ? textOf(attribute).split(',') : [attribute];
  const getters = names.map((name) => attributeGetter(name, truth(caseSensitive)));
  return sorted(toList(value), (item) => getters.map((get) => get(item)), indexOf(reverse) !== 0);
}

function dictSort(value: Value, caseSensitive: Value = false, by: Value = 'key', reverse: Value = false): Value {
  if (by !== 'key' && by !== 'value')
    throw new PythonError('FilterArgumentError', 'You can only sort by either "key" or "value"');
  if (value instanceof Undefined) throw value.fail();
  if (!(value instanceof PyDict))
    throw new PythonError('AttributeError', `'${typeName(value)}' object has no attribute 'items'`);
  const items = Array.from(value.entries(), (entry) => new PyTuple(entry));
  const key = (item: Value): Value => (item as PyTuple).items[by === 'key' ? 0 : 1];
  return sorted(items, (item) => (truth(caseSensitive) ? key(item) : ignoreCase(key(item))), indexOf(reverse) !== 0);
}

function groupBy(value: Value, attribute: Value, fallback: Value = null, caseSensitive: Value = false): Value {
  const exact = truth(caseSensitive);
  const key = attributeGetter(attribute, exact, fallback);
  const shown = attributeGetter(attribute, true, fallback);
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(toList(value), key)) {
    const itemKey = key(item);
    const last = groups.at(-1);
    if (last !== undefined && equal(last.key, itemKey)) last.items.push(item);
    else groups.push({ key: itemKey, items: [item] });
  }
  return groups.map((group) => new GroupTuple([exact ? group.key : shown(group.items[0]), group.items]));
}

const extreme = (operator: '<' | '>'): Filter =>
  filter(['case_sensitive?', 'attribute?'], (value, caseSensitive = false, attribute = null) => {
    const key = attributeGetter(attribute, truth(caseSensitive));
    let best: { item: Value; key: Value } | undefined;
    for (const item of iterable(value)) {
      spend(1);
      const itemKey = key(item);
      if (best === undefined || compare(operator, itemKey, best.key)) best = { item, key: itemKey };
    }
    return best === undefined ? undefinedOf({ hint: 'No aggregated item, sequence was empty.' }) : best.item;
  });

function unique(value: Value, caseSensitive: Value = false, attribute: Value = null): Value {
  const key = attributeGetter(attribute, truth(caseSensitive));
  return generator(function* () {
    const seen = new PyDict();
    for (const item of iterable(value)) {
      spend(1);
      const itemKey = key(item);
      if (seen.has(itemKey)) continue;
      seen.set(itemKey, null);
      yield item;
    }
  });
}

const generator = (run: () => Iterator<Value>): PyIterator => new PyIterator('generator', run());

function sum(value: Value, attribute: Value = null, start: Value = 0): Value {
  if (isText(start)) throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
  const key = attributeGetter(attribute, true);
  let total = start;
  for (const item of iterable(value)) {
    spend(1);
    total = binary('+', total, key(item));
  }
  return total;
}

function join(value: Value, separator: Value = '', attribute: Value = null): string {
  const key = attributeGetter(attribute, true);
  const by = toText(separator);
  let text = '';
  let first = true;
  for (const item of iterable(value)) {
    spend(1);
    const part = toText(attribute === null ? item : key(item));
    text += first ? part : by + part;
    first = false;
    spendText(text.length);
  }
  return text;
}

function first(value: Value): Value {
  const next = iterate(value).next();
  return next.done === true ? undefinedOf({ hint: 'No first item, sequence was empty.' }) : next.value;
}

function last(value: Value): Value {
  const items = reversed(value)?.next();
  if (items === undefined) throw typeError(`'${typeName(value)}' object is not reversible`);
  return items.done === true ? undefinedOf({ hint: 'No last item, sequence was empty.' }) : items.value;
}

/** `reversed(value)`, undefined for what cannot be. */
function reversed(value: Value): PyIterator | undefined {
  if (Array.isArray(value)) return backwards('list_reverseiterator', value as Value[]);
  if (value instanceof PyTuple) return backwards('reversed', value.items);
  if (isText(value)) return backwards('reversed', [...iterable(value)]);
  if (value instanceof PyRange) return backwards('range_iterator', [...iterable(value)]);
  if (value instanceof PyDict) return backwards('dict_reversekeyiterator', [...value.keys()]);
  if (value instanceof DictView) return backwards(`dict_reverse${value.kind.replace(/s$/, '')}iterator`, [...value]);
  if (value instanceof Undefined) {
    if (value.strict) throw value.fail();
    return backwards('reversed', []);
  }
  return undefined;
}

function backwards(type: string, items: readonly Value[]): PyIterator {
  spendItems(items.length);
  return new PyIterator(type, items.toReversed().values());
}

function reverse(value: Value): Value {
  if (isText(value)) {
    const text = sliceText(textOf(value), null, null, -1);
    return value instanceof Markup ? new Markup(text) : text;
  }
  const items = reversed(value);
  if (items !== undefined) return items;
  if (!isIterable(value)) throw new PythonError('FilterArgumentError', 'argument must be iterable');
  return toList(value).reverse();
}

function batch(value: Value, count: Value, fill: Value = null): Value {
  return generator(function* () {
    let group: Value[] = [];
    for (const item of iterable(value)) {
      spend(1);
      if (equal(group.length, count)) {
        yield group;
        group = [];
      }
      group.push(item);
    }
    if (group.length === 0) return;
    if (fill !== null && compare('<', group.length, count)) {
      const size = indexOf(count);
      spendItems(size);
      while (group.length < size) group.push(fill);
    }
    yield group;
  });
}

function slices(value: Value, count: Value, fill: Value = null): Value {
  return generator(function* () {
    const items = toList(value);
    const parts = indexOf(count);
    const size = arithmetic('//', items.length, parts) as number;
    const extra = arithmetic('%', items.length, parts) as number;
    let offset = 0;
    for (let index = 0; index < parts; index++) {
      spend(1);
      const start = offset + index * size;
      if (index < extra) offset++;
      const part = items.slice(start, offset + (index + 1) * size);
      if (fill !== null && index >= extra) part.push(fill);
      yield part;
    }
  });
}

const map: Filter = (value, args, kwargs) =>
  generator(function* () {
    if (!truth(value)) return;
    const run = mapper(args, kwargs);
    for (const item of iterable(value)) {
      spend(1);
      yield run(item);
    }
  });

function mapper(args: readonly Value[], kwargs: Kwargs): (item: Value) => Value {
  if (args.length === 0 && kwargs.has('attribute')) {
    for (const name of kwargs.keys())
      if (name !== 'attribute' && name !== 'default')
        throw new PythonError('FilterArgumentError', `Unexpected keyword argument '${name}'`);
    return attributeGetter(kwargs.get('attribute'), true, kwargs.get('default') ?? null);
  }
  if (args.length === 0) throw new PythonError('FilterArgumentError', 'map requires a filter argument');
  const [name, ...rest] = args;
  return (item) => callFilter(name, item, rest, kwargs);
}

/** `select`, `reject` and their forms for an attribute. */
const selecting = (keep: boolean, byAttribute: boolean): Filter => {
  return (value, args, kwargs) =>
    generator(function* () {
      if (!truth(value)) return;
      if (byAttribute && args.length === 0)
        throw new PythonError('FilterArgumentError', 'Missing parameter for attribute name');
      const get = byAttribute ? attributeGetter(args[0], true) : (item: Value): Value => item;
      const [name, ...rest] = byAttribute ? args.slice(1) : args;
      for (const item of iterable(value)) {
        spend(1);
        const found = get(item);
        if (truth(name === undefined ? found : callTest(name, found, rest, kwargs)) === keep) yield item;
      }
    });
};

function items(value: Value): Value {
  return generator(function* () {
    if (value instanceof Undefined) return;
    if (!(value instanceof PyDict)) throw typeError('Can only get item pairs from a mapping.');
    yield* new DictView('items', value);
  });
}

function attr(value: Value, name: Value): Value {
  if (!isText(name)) throw typeError(`attribute name must be string, not '${typeName(name)}'`);
  // The items of a dict and of a namespace's kin are no attributes.
  const found = getAttribute(value instanceof PyDict ? new PyDict() : value, textOf(name));
  return found instanceof Undefined && value instanceof PyDict && found.hint === undefined
    ? undefinedOf({ owner: value, key: name })
    : found;
}

/** Decimal digits of other scripts, which Python reads as numbers. */
function asciiNumber(text: string): string {
  if (/(?![0-9])\p{Nd}/u.test(text)) throw new LimitError('numbers in digits other than 0 to 9');
  return strip(text);
}

function toIntFilter(value: Value, fallback: Value = 0, base: Value = 10): Value {
  if (value instanceof Undefined) throw value.fail();
  const int = intOf(value);
  if (int !== undefined) return int;
  if (isText(value)) {
    const text = asciiNumber(textOf(value));
    const radix = intOf(base);
    const isBase = typeof radix === 'number' && (radix === 0 || (radix >= 2 && radix <= 36));
    const parsed = isBase ? parseIntText(text, radix) : undefined;
    if (parsed !== undefined) return parsed;
    const float = parseFloatText(text);
    return float === undefined || !Number.isFinite(float) ? fallback : toInt(BigInt(Math.trunc(float)));
  }
  if (!(value instanceof PyFloat) || Number.isNaN(value.value)) return fallback;
  if (!Number.isFinite(value.value)) throw new PythonError('OverflowError', 'cannot convert float infinity to integer');
  return toInt(BigInt(Math.trunc(value.value)));
}

function toFloatFilter(value: Value, fallback: Value = new PyFloat(0)): Value {
  if (value instanceof Undefined) throw value.fail();
  const number = isText(value) ? parseFloatText(asciiNumber(textOf(value))) : floatOf(value);
  return number === undefined ? fallback : new PyFloat(number);
}

function round(value: Value, precision: Value = 0, method: Value = 'common'): Value {
  if (method !== 'common' && method !== 'ceil' && method !== 'floor')
    throw new PythonError('FilterArgumentError', 'method must be common, ceil or floor');
  if (value instanceof Undefined)
    throw method === 'common' ? typeError("type Undefined doesn't define __round__ method") : value.fail();
  if (method === 'common') {
    const int = intOf(value);
    if (int === undefined && !(value instanceof PyFloat))
      throw typeError(`type ${typeName(value)} doesn't define __round__ method`);
    if (precision === null) throw new LimitError('round(none)');
    return int === undefined
      ? new PyFloat(roundFloat((value as PyFloat).value, indexOf(precision)))
      : roundInt(int, indexOf(precision));
  }
  const unit = binary('**', 10, precision);
  const scaled = binary('*', value, unit);
  return binary('/', wholeOf(scaled, method), unit);
}

function wholeOf(value: Value, method: 'ceil' | 'floor'): Value {
  if (!(value instanceof PyFloat)) {
    if (intOf(value) === undefined) throw typeError(`must be real number, not ${typeName(value)}`);
    return value;
  }
  if (!Number.isFinite(value.value)) throw valueError('cannot convert float infinity or NaN to integer');
  return toInt(BigInt(Math[method](value.value)));
}

function absolute(value: Value): Value {
  if (value instanceof PyFloat) return new PyFloat(Math.abs(value.value));
  const int = intOf(value);
  if (int === undefined) throw typeError(`bad operand type for abs(): '${typeName(value)}'`);
  return int < 0 ? -int : int;
}

function length(value: Value): Value {
  const size = sizeOf(value);
  if (size === undefined) throw typeError(`object of type '${typeName(value)}' has no len()`);
  return size;
}

function defaulted(value: Value, fallback: Value = '', boolean: Value = false): Value {
  return value instanceof Undefined || (truth(boolean) && !truth(value)) ? fallback : value;
}

const fallbackFilter = filter(['default_value?', 'boolean?'], defaulted);
const lengthFilter = filter([], length);

export const listFilters: Readonly<Record<string, Filter>> = {
  abs: filter([], absolute),
  attr: filter(['name'], attr),
  batch: filter(['linecount', 'fill_with?'], batch),
  count: lengthFilter,
  d: fallbackFilter,
  default: fallbackFilter,
  dictsort: filter(['case_sensitive?', 'by?', 'reverse?'], dictSort),
  filesizeformat: filter(['binary?'], (value, binaryUnits = false) => {
    if (value instanceof Undefined) throw value.fail();
    const bytes = isText(value) ? parseFloatText(asciiNumber(textOf(value))) : floatOf(value);
    if (bytes === undefined)
      throw isText(value)
        ? valueError('could not convert string to float')
        : typeError('float() argument must be a string or a real number');
    return fileSize(bytes, truth(binaryUnits));
  }),
  first: filter([], first),
  float: filter(['default?'], toFloatFilter),
  groupby: filter(['attribute', 'default?', 'case_sensitive?'], groupBy),
  int: filter(['default?', 'base?'], toIntFilter),
  items: filter([], items),
  join: filter(['d?', 'attribute?'], join),
  last: filter([], last),
  length: lengthFilter,
  list: filter([], toList),
  map,
  max: extreme('>'),
  min: extreme('<'),
  random: filter([], () => {
    throw new LimitError('the filter random, whose text is different every time');
  }),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  reverse: filter([], reverse),
  round: filter(['precision?', 'method?'], round),
  select: selecting(true, false),
  selectattr: selecting(true, true),
  slice: filter(['slices', 'fill_with?'], slices),
  sort: filter(['reverse?', 'case_sensitive?', 'attribute?'], sort),
  sum: filter(['attribute?', 'start?'], sum),
  unique: filter(['case_sensitive?', 'attribute?'], unique),
};
