import { budgets, spend, spendItems, spendText } from '../rendering.js';
import { LimitError, typeError, valueError } from '../failures.js';
import { formatText, type Lookup } from './format.js';
import { escapeHtml } from '../values/html.js';
import { find, sliceText } from '../values/sequences.js';
import {
  capitalize,
  caseFold,
  isKind,
  spaces,
  strip,
  stripEnd,
  stripStart,
  swapCase,
  titleCase,
} from '../values/unicode.js';
import {
  codePoints,
  indexOf,
  isText,
  iterable,
  Markup,
  PyDict,
  PyTuple,
  textOf,
  typeName,
  type Kwargs,
  type Value,
} from '../values/values.js';

type Method = (text: string, args: readonly Value[], kwargs: Kwargs) => Value;

/** A method with positional parameters, of which so many must be given. */
function method(least: number, most: number, run: (text: string, ...args: Value[]) => Value): Method {
  return (text, args, kwargs) => {
    if (kwargs.size > 0) throw typeError('str method takes no keyword arguments');
    if (args.length < least || args.length > most)
      throw typeError(`expected ${least === most ? least : `${least} to ${most}`} arguments, got ${args.length}`);
    return run(text, ...args);
  };
}

/** A method whose parameters may be given by name. */
function named(names: readonly string[], run: (text: string, ...args: Value[]) => Value): Method {
  return (text, args, kwargs) => {
    if (args.length > names.length) throw typeError(`expected at most ${names.length} arguments, got ${args.length}`);
    const all = [...args];
    for (const [name, value] of kwargs) {
      const at = names.indexOf(name);
      if (at === -1 || at < args.length) throw typeError(`'${name}' is an invalid keyword argument`);
      all[at] = value;
    }
    return run(text, ...all);
  };
}

function textArgument(value: Value): string {
  if (!isText(value)) throw typeError(`must be str, not ${typeName(value)}`);
  return textOf(value);
}

function stripping(start: boolean, end: boolean): Method {
  const whole = start && end ? strip : start ? stripStart : stripEnd;
  return method(0, 1, (text, characters = null) => {
    if (characters === null) return whole(text);
    const set = new Set(isText(characters) ? textOf(characters) : noText('strip arg must be None or str'));
    const units = Array.from(text);
    let from = 0;
    let to = units.length;
    if (start) while (from < to && set.has(units[from]!)) from++;
    if (end) while (to > from && set.has(units[to - 1]!)) to--;
    return units.slice(from, to).join('');
  });
}

function noText(message: string): never {
  throw typeError(message);
}

function splitting(fromEnd: boolean): Method {
  return named(['sep', 'maxsplit'], (text, separator = null, limit = -1) => {
    const most = indexOf(limit);
    spendText(text.length);
    const parts =
      separator === null ? splitSpaces(text, most, fromEnd) : splitBy(text, textArgument(separator), most, fromEnd);
    spendItems(parts.length);
    return parts;
  });
}

function splitBy(text: string, separator: string, most: number, fromEnd: boolean): string[] {
  if (separator === '') throw valueError('empty separator');
  if (most < 0) return text.split(separator, budgets.items + 1);
  const parts: string[] = [];
  let rest = text;
  while (parts.length < most) {
    const at = fromEnd ? rest.lastIndexOf(separator) : rest.indexOf(separator);
    if (at === -1) break;
    spend(1);
    parts.push(fromEnd ? rest.slice(at + separator.length) : rest.slice(0, at));
    rest = fromEnd ? rest.slice(0, at) : rest.slice(at + separator.length);
  }
  parts.push(rest);
  return fromEnd ? parts.reverse() : parts;
}

function splitSpaces(text: string, most: number, fromEnd: boolean): string[] {
  if (most < 0) return strip(text) === '' ? [] : strip(text).split(spaces, budgets.items + 1);
  const parts: string[] = [];
  let rest = fromEnd ? stripEnd(text) : stripStart(text);
  const gaps = [];
  for (const gap of rest.matchAll(spaces)) {
    gaps.push(gap);
    if (gaps.length > budgets.items) spendItems(gaps.length);
  }
  if (fromEnd) {
    while (parts.length < most && gaps.length > 0) {
      const gap = gaps.pop()!;
      if (gap.index === 0) break;
      parts.push(rest.slice(gap.index + gap[0].length));
      rest = rest.slice(0, gap.index);
    }
    rest = parts.length === most ? rest : stripStart(rest);
    if (rest !== '') parts.push(rest);
    return parts.reverse();
  }
  let at = 0;
  for (const gap of gaps) {
    if (parts.length === most) break;
    if (gap.index + gap[0].length === rest.length) break;
    parts.push(rest.slice(at, gap.index));
    at = gap.index + gap[0].length;
  }
  rest = parts.length === most ? rest.slice(at) : stripEnd(rest.slice(at));
  if (rest !== '') parts.push(rest);
  return parts;
}

const lineEnd = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

export function splitLines(text: string, keepEnds = false): string[] {
  spendText(text.length);
  const lines: string[] = [];
  let at = 0;
  for (const match of text.matchAll(lineEnd)) {
    lines.push(text.slice(at, keepEnds ? match.index + match[0].length : match.index));
    at = match.index + match[0].length;
    if (lines.length > budgets.items) spendItems(lines.length);
  }
  if (at < text.length) lines.push(text.slice(at));
  spendItems(lines.length);
  return lines;
}

export function replaceText(text: string, old: string, by: string, count: number): string {
  spendText(text.length);
  if (count === 0) return text;
  if (old === '') {
    const units = Array.from(text);
    const most = count < 0 ? units.length + 1 : Math.min(count, units.length + 1);
    spendText(text.length + most * by.length);
    return units.map((unit, index) => (index < most ? by + unit : unit)).join('') + (most > units.length ? by : '');
  }
  const parts = splitBy(text, old, count, false);
  spend(parts.length);
  spendText(text.length + parts.length * by.length);
  return parts.join(by);
}

export function padText(text: string, width: Value, fill: Value, side: 'left' | 'right' | 'both'): string {
  const character = fill === undefined ? ' ' : textArgument(fill);
  if (codePoints(character) !== 1) throw typeError('The fill character must be exactly one character long');
  const size = indexOf(width);
  const missing = size - codePoints(text);
  if (missing <= 0) return text;
  spendText(size * character.length);
  if (side === 'left') return character.repeat(missing) + text;
  if (side === 'right') return text + character.repeat(missing);
  const left = Math.floor(missing / 2) + (missing & size & 1);
  return character.repeat(left) + text + character.repeat(missing - left);
}

const padding = (side: 'left' | 'right' | 'both'): Method =>
  method(1, 2, (text, width, fill) => padText(text, width, fill, side));

const searching = (last: boolean, orFail: boolean): Method =>
  method(1, 3, (text, part, start, stop) => {
    const at = find(text, textArgument(part), start, stop, last);
    if (at === -1 && orFail) throw valueError('substring not found');
    return at;
  });

function affix(test: (text: string, part: string) => boolean): Method {
  return method(1, 3, (text, parts, start = null, stop = null) => {
    const all = parts instanceof PyTuple ? parts.items : [parts];
    for (const part of all)
      if (!isText(part)) throw typeError(`first arg must be str or a tuple of str, not ${typeName(part)}`);
    if (start === null && stop === null) return all.some((part) => test(text, textOf(part as string)));
    return all.some((part) => {
      const inner = sliceText(text, start, stop, null);
      if (find(text, '', start, stop, false) === -1) return false;
      return test(inner, textOf(part as string));
    });
  });
}

const partition = (last: boolean): Method =>
  method(1, 1, (text, separator) => {
    const by = textArgument(separator);
    if (by === '') throw valueError('empty separator');
    const at = last ? text.lastIndexOf(by) : text.indexOf(by);
    if (at === -1) return new PyTuple(last ? ['', '', text] : [text, '', '']);
    return new PyTuple([text.slice(0, at), by, text.slice(at + by.length)]);
  });

function countParts(text: string, part: string, start: Value, stop: Value): number {
  if (find(text, '', start, stop, false) === -1) return 0;
  const inner = sliceText(text, start ?? null, stop ?? null, null);
  return part === '' ? codePoints(inner) + 1 : inner.split(part).length - 1;
}

/** `separator.join(items)`. */
function join(separator: string, items: Value): string {
  let text = '';
  let index = 0;
  for (const item of iterable(items)) {
    if (!isText(item)) throw typeError(`sequence item ${index}: expected str instance, ${typeName(item)} found`);
    text += index === 0 ? textOf(item) : separator + textOf(item);
    index++;
    spend(1);
    spendText(text.length);
  }
  return text;
}

function expandTabs(text: string, size: number): string {
  let column = 0;
  let result = '';
  for (const character of text) {
    if (character === '\t') {
      const width = size > 0 ? size - (column % size) : 0;
      spendText(result.length + width);
      result += ' '.repeat(width);
      column += width;
    } else {
      result += character;
      column = character === '\n' || character === '\r' ? 0 : column + 1;
    }
  }
  return result;
}

function zeroFill(text: string, width: Value): string {
  const missing = indexOf(width) - codePoints(text);
  if (missing <= 0) return text;
  spendText(text.length + missing);
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  return sign + '0'.repeat(missing) + text.slice(sign.length);
}

const plain = (run: (text: string) => Value): Method => method(0, 0, (text) => (spendText(text.length), run(text)));

const missing =
  (name: string): Method =>
  () => {
    throw new LimitError(`the method ${name} of a text`);
  };

/** `text.strip(characters)`. */
export const stripText = stripping(true, true);

const methods: Readonly<Record<string, Method>> = {
  capitalize: plain(capitalize),
  casefold: plain(caseFold),
  center: padding('both'),
  count: method(1, 3, (text, part, start, stop) => countParts(text, textArgument(part), start, stop)),
  encode: missing('encode'),
  endswith: affix((text, part) => text.endsWith(part)),
  expandtabs: named(['tabsize'], (text, size = 8) => expandTabs(text, indexOf(size))),
  find: searching(false, false),
  index: searching(false, true),
  join: method(1, 1, join),
  ljust: padding('right'),
  lower: plain((text) => text.toLowerCase()),
  lstrip: stripping(true, false),
  maketrans: missing('maketrans'),
  partition: partition(false),
  removeprefix: method(1, 1, (text, part) => {
    const prefix = textArgument(part);
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  }),
  removesuffix: method(1, 1, (text, part) => {
    const suffix = textArgument(part);
    return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  }),
  replace: method(2, 3, (text, old, by, count = -1) =>
    replaceText(text, textArgument(old), textArgument(by), indexOf(count)),
  ),
  rfind: searching(true, false),
  rindex: searching(true, true),
  rjust: padding('left'),
  rpartition: partition(true),
  rsplit: splitting(true),
  rstrip: stripping(false, true),
  split: splitting(false),
  splitlines: named(['keepends'], (text, keepEnds = false) => splitLines(text, indexOf(keepEnds) !== 0)),
  startswith: affix((text, part) => text.startsWith(part)),
  strip: stripText,
  swapcase: plain(swapCase),
  title: plain(titleCase),
  translate: missing('translate'),
  upper: plain((text) => text.toUpperCase()),
  zfill: method(1, 1, zeroFill),
  ...Object.fromEntries(
    [
      'alnum',
      'alpha',
      'ascii',
      'decimal',
      'digit',
      'identifier',
      'lower',
      'numeric',
      'printable',
      'space',
      'title',
      'upper',
    ].map((kind) => [`is${kind}`, plain((text) => isKind(text, `is${kind}`))]),
  ),
};

/** The methods of a text by name. */
export function createStringMethods(lookup: Lookup): ReadonlyMap<string, Method> {
  const formatting: Readonly<Record<string, Method>> = {
    format: (text, args, kwargs) => formatText(text, args, kwargs, lookup),
    format_map: method(1, 1, (text, mapping) => {
      if (!(mapping instanceof PyDict)) throw new LimitError('format_map of anything but a dict');
      return formatText(text, [], mapping, lookup);
    }),
  };
  return new Map(Object.entries({ ...methods, ...formatting }));
}

/** A method for text that is safe for HTML: what it puts into the text is escaped, what it returns is safe again. */
export function markupMethod(name: string, run: Method): Method {
  return (text, args, kwargs) => {
    if (name.startsWith('format')) throw new LimitError('format of a text that is safe for HTML');
    let all = args;
    const escapeArgument = (value: Value): Value => (typeof value === 'string' ? escapeHtml(value) : value);
    if (name === 'join') all = args.map((items) => Array.from(iterable(items), escapeArgument));
    if (name === 'replace') all = args.map((value, index) => (index === 1 ? escapeArgument(value) : value));
    return safe(run(text, all, kwargs));
  };
}

function safe(value: Value): Value {
  if (typeof value === 'string') return new Markup(value);
  if (Array.isArray(value)) return (value as Value[]).map(safe);
  return value instanceof PyTuple ? new PyTuple(value.items.map(safe)) : value;
}
