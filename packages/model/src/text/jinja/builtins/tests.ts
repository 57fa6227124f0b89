import { filters, tests as registered } from './registry.js';
import { binary, compare, contains, equal, isIterable, type Comparison } from '../values/operators.js';
import { filter, type Filter } from './parameters.js';
import { toText } from '../values/repr.js';
import { isKind } from '../values/unicode.js';
import {
  Callable,
  hashKey,
  intOf,
  isText,
  Markup,
  PyDict,
  PyFloat,
  PyObject,
  PyRange,
  PyTuple,
  textOf,
  Undefined,
  type Value,
} from '../values/values.js';

const modulo = (value: Value, by: Value, rest: number): boolean => equal(binary('%', value, by), rest);

const comparing = (operator: Comparison): Filter =>
  filter(['other'], (value, other) => compare(operator, value, other));
const equals = filter(['other'], (value, other) => equal(value, other));
const differs = filter(['other'], (value, other) => !equal(value, other));
const least = comparing('>=');
const most = comparing('<=');
const greater = comparing('>');
const less = comparing('<');

const isInt = (value: Value): boolean => intOf(value) !== undefined && typeof value !== 'boolean';

function isSequence(value: Value): boolean {
  if (value instanceof Undefined) return !value.strict;
  return isText(value) || Array.isArray(value) || [PyTuple, PyDict, PyRange].some((type) => value instanceof type);
}

const isCallable = (value: Value): boolean =>
  value instanceof Callable ||
  value instanceof Undefined ||
  (value instanceof PyObject && value.object.call !== undefined);

function isNamed(names: ReadonlyMap<string, unknown>): Filter {
  return filter([], (value) => {
    if (isText(value)) return names.has(textOf(value));
    hashKey(value);
    return false;
  });
}

/** `is`: the same object. Texts and whole numbers that are equal count as the same. */
function same(value: Value, other: Value): boolean {
  if (value instanceof Markup && typeof other === 'string') return false;
  return value === other;
}

export const builtInTests: Readonly<Record<string, Filter>> = {
  odd: filter([], (value) => modulo(value, 2, 1)),
  even: filter([], (value) => modulo(value, 2, 0)),
  divisibleby: filter(['num'], (value, by) => modulo(value, by, 0)),
  defined: filter([], (value) => !(value instanceof Undefined)),
  undefined: filter([], (value) => value instanceof Undefined),
  filter: isNamed(filters),
  test: isNamed(registered),
  none: filter([], (value) => value === null),
  boolean: filter([], (value) => typeof value === 'boolean'),
  false: filter([], (value) => value === false),
  true: filter([], (value) => value === true),
  integer: filter([], isInt),
  float: filter([], (value) => value instanceof PyFloat),
  lower: filter([], (value) => isKind(toText(value), 'islower')),
  upper: filter([], (value) => isKind(toText(value), 'isupper')),
  string: filter([], isText),
  mapping: filter([], (value) => value instanceof PyDict),
  number: filter([], (value) => intOf(value) !== undefined || value instanceof PyFloat),
  sequence: filter([], isSequence),
  iterable: filter([], (value) => {
    if (value instanceof Undefined && value.strict) throw value.fail();
    return isIterable(value);
  }),
  callable: filter([], isCallable),
  sameas: filter(['other'], same),
  escaped: filter([], (value) => value instanceof Markup),
  in: filter(['seq'], (value, container) => contains(container, value)),
  '==': equals,
  eq: equals,
  equalto: equals,
  '!=': differs,
  ne: differs,
  '>': greater,
  gt: greater,
  greaterthan: greater,
  ge: least,
  '>=': least,
  '<': less,
  lt: less,
  lessthan: less,
  '<=': most,
  le: most,
};
