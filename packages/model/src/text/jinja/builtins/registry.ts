import { PythonError, typeError } from '../failures.js';
import type { Filter } from './parameters.js';
import { spendText } from '../rendering.js';
import { isText, textOf, typeName, type Kwargs, type Value } from '../values/values.js';

/** The filters and tests by name. They are filled in by built-ins.ts: `map` and `select` call others by name. */
export const filters = new Map<string, Filter>();
export const tests = new Map<string, Filter>();

function named(of: ReadonlyMap<string, Filter>, kind: string, name: Value): Filter {
  const found = isText(name) ? of.get(textOf(name)) : undefined;
  if (found === undefined)
    throw isText(name)
      ? new PythonError('TemplateRuntimeError', `No ${kind} named '${textOf(name)}'.`)
      : typeError(`a ${kind} must be named by a text, not by a ${typeName(name)}`);
  return found;
}

export function callFilter(name: Value, value: Value, args: readonly Value[], kwargs: Kwargs): Value {
  if (typeof value === 'string') spendText(value.length);
  return named(filters, 'filter', name)(value, args, kwargs);
}

export function callTest(name: Value, value: Value, args: readonly Value[], kwargs: Kwargs): Value {
  if (typeof value === 'string') spendText(value.length);
  return named(tests, 'test', name)(value, args, kwargs);
}
