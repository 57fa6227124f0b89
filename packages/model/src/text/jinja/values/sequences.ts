import { spendItems, spendText } from '../rendering.js';
import { typeError, valueError } from '../failures.js';
import {
  codePoints,
  indexOf,
  isText,
  isWide,
  Markup,
  PyRange,
  PyTuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Where a slice begins and ends in a sequence, and how many items it has. */
interface SliceBounds {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly count: number;
}

export function sliceBounds(length: number, start: Value, stop: Value, step: Value): SliceBounds {
  const by = step === null ? 1 : sliceIndex(step);
  if (by === 0) throw valueError('slice step cannot be zero');
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const clamp = (index: Value, otherwise: number): number => {
    if (index === null) return otherwise;
    const at = sliceIndex(index);
    return at < 0 ? Math.max(at + length, low) : Math.min(at, high);
  };
  const from = clamp(start, by > 0 ? low : high);
  const to = clamp(stop, by > 0 ? high : low);
  return { start: from, stop: to, step: by, count: Math.max(0, Math.ceil((to - from) / by)) };
}

const sliceIndex = (value: Value): number =>
  indexOf(value, 'slice indices must be integers or None or have an __index__ method');

/** `value[start:stop:step]`. */
export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  if (isText(value)) {
    const text = sliceText(textOf(value), start, stop, step);
    return value instanceof Markup ? new Markup(text) : text;
  }
  if (Array.isArray(value)) return sliceItems(value as Value[], start, stop, step);
  if (value instanceof PyTuple) return new PyTuple(sliceItems(value.items, start, stop, step));
  if (value instanceof PyRange) {
    const bounds = sliceBounds(value.length, start, stop, step);
    return new PyRange(value.at(bounds.start), value.at(bounds.stop), value.step * bounds.step);
  }
  if (value instanceof Undefined) throw value.fail();
  throw typeError(`'${typeName(value)}' object is not subscriptable`);
}

function sliceItems(items: readonly Value[], start: Value, stop: Value, step: Value): Value[] {
  const bounds = sliceBounds(items.length, start, stop, step);
  spendItems(bounds.count);
  if (bounds.step === 1) return items.slice(bounds.start, bounds.start + bounds.count);
  return Array.from({ length: bounds.count }, (_, index) => items[bounds.start + index * bounds.step]);
}

export function sliceText(text: string, start: Value, stop: Value, step: Value): string {
  spendText(text.length);
  const units = isWide(text) ? Array.from(text) : text;
  const bounds = sliceBounds(units.length, start, stop, step);
  if (bounds.step === 1) {
    const part = units.slice(bounds.start, bounds.start + bounds.count);
    return typeof part === 'string' ? part : part.join('');
  }
  let result = '';
  for (let index = 0; index < bounds.count; index++) result += units[bounds.start + index * bounds.step];
  return result;
}

/** The character at an index, or undefined. */
export function characterAt(text: string, index: number): string | undefined {
  if (!isWide(text)) return text.at(index);
  spendText(text.length);
  return Array.from(text).at(index);
}

/** Where a text is found in the part of another that `start` and `stop` bound: code points from the beginning, or -1. */
export function find(text: string, part: string, start: Value, stop: Value, last: boolean): number {
  spendText(text.length);
  const length = codePoints(text);
  const { start: from } = sliceBounds(length, start ?? null, null, null);
  if (start !== undefined && start !== null && indexOf(start) > length) return -1;
  const inner = sliceText(text, start ?? null, stop ?? null, null);
  if (part === '' && stop !== undefined && stop !== null && sliceBounds(length, stop, null, null).start < from)
    return -1;
  const at = last ? inner.lastIndexOf(part) : inner.indexOf(part);
  return at === -1 ? -1 : from + codePoints(inner.slice(0, at));
}
