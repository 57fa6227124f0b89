import { LimitError } from '../failures.js';
import { PyDict, PyFloat, PyTuple, toInt, type Value } from './values.js';

/** A float that is a whole number, such as JSON's 1.0, which `JSON.parse` cannot tell from 1. */
export class Float {
  /** The number, which is whole. */
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/**
 * A value of JavaScript as Python has it after `json.loads`: whole numbers are ints, others floats; bigints, Maps (dicts
 * with their keys in order), `Float` and `Number` objects (floats, which keep through a structured clone) say what JSON in
 * JavaScript cannot.
 *
 * @returns undefined for undefined, which stands for a name or a key that is not there
 */
export function toValue(value: unknown): Value {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return value;
    case 'number':
      return ofNumber(value);
    case 'bigint':
      return toInt(value);
    case 'object':
      break;
    default:
      throw new LimitError(`a ${typeof value} as a value`);
  }
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((item) => toValue(item) ?? null);
  if (value instanceof Float) return new PyFloat(value.value);
  if (value instanceof Number) return new PyFloat(value.valueOf());
  if (value instanceof PyDict || value instanceof PyTuple) return value;
  const dict = new PyDict();
  for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
    const converted = toValue(item);
    if (converted !== undefined) dict.set(key, converted);
  }
  return dict;
}

function ofNumber(value: number): Value {
  if (Number.isSafeInteger(value)) return value + 0;
  if (Number.isInteger(value))
    throw new LimitError(`the number ${value}: a whole number beyond 2^53 may have lost digits; write it as a text`);
  return new PyFloat(value);
}
