import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { escapeHtml } from '../values/html.js';
import { dumps, indentOf, separatorsOf } from '../values/json.js';
import { filter, type Filter } from './parameters.js';
import { isIterable } from '../values/operators.js';
import { percentFormat } from './percent-format.js';
import { currentDialect, spendText } from '../rendering.js';
import { toText } from '../values/repr.js';
import { sliceText } from '../values/sequences.js';
import { padText, replaceText, splitLines, stripText } from './string-methods.js';
import { capitalize, spaces, strip, whiteSpace, wordCharacters } from '../values/unicode.js';
import {
  indexOf,
  isText,
  iterable,
  Markup,
  noKwargs,
  PyDict,
  PyFloat,
  PyTuple,
  sizeOf,
  textOf,
  truth,
  typeName,
  Undefined,
  type Value,
} from '../values/values.js';
import { wrapText } from './wrap-text.js';

/** A filter on the text of any value; text that is safe for HTML stays so. */
const onText = (names: readonly string[], run: (text: string, ...args: Value[]) => string): Filter =>
  filter(names, (value, ...args) => {
    const text = run(toText(value), ...args);
    return value instanceof Markup ? new Markup(text) : text;
  });

const wordStart = new RegExp(`([-${whiteSpace}({\\[<]+)`);
const word = new RegExp(`[${wordCharacters}]+`, 'gu');

function titleWords(text: string): string {
  return text
    .split(wordStart)
    .map((part) => {
      const first = part === '' ? '' : String.fromCodePoint(part.codePointAt(0)!);
      return first.toUpperCase() + part.slice(first.length).toLowerCase();
    })
    .join('');
}

function indent(value: Value, width: Value = 4, first: Value = false, blank: Value = false): Value {
  if (value instanceof Undefined) throw value.fail();
  if (!isText(value)) throw typeError(`unsupported operand type(s) for +=: '${typeName(value)}' and 'str'`);
  const by = isText(width) ? textOf(width) : ' '.repeat(boundedCount(width));
  const lines = splitLines(`${textOf(value)}\n`);
  spendText(textOf(value).length + by.length * lines.length);
  const text = lines.map((line, index) => (index > 0 && (truth(blank) || line !== '') ? by + line : line)).join('\n');
  const all = truth(first) ? by + text : text;
  return value instanceof Markup ? new Markup(all) : all;
}

function boundedCount(width: Value): number {
  const count = Math.max(0, indexOf(width));
  spendText(count);
  return count;
}

function truncate(
  value: Value,
  length: Value = 255,
  kill: Value = false,
  end: Value = '...',
  leeway: Value = null,
): Value {
  const most = indexOf(length);
  const slack = leeway === null ? 5 : indexOf(leeway);
  const markSize = sizeOf(end);
  if (markSize === undefined) throw typeError(`object of type '${typeName(end)}' has no len()`);
  const size = sizeOf(value);
  if (most < markSize) throw new PythonError('AssertionError', `expected length >= ${markSize}, got ${most}`);
  if (slack < 0) throw new PythonError('AssertionError', `expected leeway >= 0, got ${slack}`);
  if (size === undefined) throw typeError(`object of type '${typeName(value)}' has no len()`);
  if (size <= most + slack) return value;
  if (!isText(value)) throw new LimitError(`the filter truncate on a ${typeName(value)}`);
  if (!isText(end)) throw typeError(`can only concatenate str (not "${typeName(end)}") to str`);
  const mark = toText(end);
  const cut = sliceText(textOf(value), 0, most - markSize, null);
  const space = truth(kill) ? -1 : cut.lastIndexOf(' ');
  const text = (space === -1 ? cut : cut.slice(0, space)) + mark;
  return value instanceof Markup ? new Markup(text) : text;
}

const unreserved = /[A-Za-z0-9_.~-]/;

function quoteUrl(value: Value, inQuery: boolean): string {
  const text = toText(value);
  if (/[\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '')))
    throw new PythonError('UnicodeEncodeError', "'utf-8' codec can't encode character: surrogates not allowed");
  spendText(text.length * 3);
  let result = '';
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    if (unreserved.test(character) || (!inQuery && character === '/')) result += character;
    else if (inQuery && character === ' ') result += '+';
    else result += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return result;
}

function urlEncode(value: Value): string {
  if (isText(value) || !isIterable(value)) return quoteUrl(value, false);
  const pairs = value instanceof PyDict ? value.entries() : Array.from(iterable(value), (pair) => [...iterable(pair)]);
  const parts: string[] = [];
  for (const pair of pairs) {
    if (pair.length !== 2) throw valueError('not enough values to unpack (expected 2)');
    parts.push(`${quoteUrl(pair[0], true)}=${quoteUrl(pair[1], true)}`);
  }
  return parts.join('&');
}

function stripTags(text: string): string {
  let rest = text;
  for (const [open, close] of [
    ['<!--', '-->'],
    ['<', '>'],
  ] as const) {
    for (;;) {
      spendText(rest.length);
      const start = rest.indexOf(open);
      const end = start === -1 ? -1 : rest.indexOf(close, start);
      if (end === -1) break;
      rest = rest.slice(0, start) + rest.slice(end + close.length);
    }
  }
  const plain = strip(rest).replace(spaces, ' ');
  const known: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#34': '"' };
  return plain.replace(/&(#?\w+);?/g, (entity, name: string) => {
    if (!entity.endsWith(';') || known[name] === undefined) throw new LimitError(`the filter striptags on ${entity}`);
    return known[name];
  });
}

function xmlAttributes(value: Value, autospace: Value = true): string {
  if (value instanceof Undefined) throw value.fail();
  if (!(value instanceof PyDict))
    throw new PythonError('AttributeError', `'${typeName(value)}' object has no attribute 'items'`);
  const parts: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    if (!isText(key)) throw typeError(`expected string or bytes-like object, got '${typeName(key)}'`);
    if (/[ \t\n\r\f\v/>=]/.test(textOf(key))) throw valueError(`Invalid character in attribute name: '${textOf(key)}'`);
    parts.push(`${textOf(escape(key))}="${textOf(escape(item))}"`);
  }
  return (truth(autospace) && parts.length > 0 ? ' ' : '') + parts.join(' ');
}

const escape = (value: Value): Markup => (value instanceof Markup ? value : new Markup(escapeHtml(toText(value))));

const sizeUnits = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

export function fileSize(bytes: number, binary: boolean): string {
  const base = binary ? 1024 : 1000;
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const at = sizeUnits.findIndex((_, index) => bytes < base ** (index + 2));
  const index = at === -1 ? sizeUnits.length - 1 : at;
  const name = binary ? `${sizeUnits[index]!.toUpperCase()}iB` : `${sizeUnits[index]}B`;
  return `${percentFormat('%.1f', new PyFloat((base * bytes) / base ** (index + 2)))} ${name}`;
}

/** transformers' `tojson`: plain JSON, in the order of the keys. lm-eval keeps Jinja's, for HTML. */
const toJson: Filter = (value, args, kwargs) => {
  if (!currentDialect().sandboxed)
    return filter(['indent?'], (each, indentation = null) => {
      const indent = isText(each) ? undefined : indentOf(indentation);
      const json = dumps(each, { ensureAscii: true, indent, separators: separatorsOf(null, indent), sortKeys: true });
      return new Markup(json.replace(/[<>&']/g, (unit) => `\\u00${unit.charCodeAt(0).toString(16)}`));
    })(value, args, kwargs);
  return filter(
    ['ensure_ascii?', 'indent?', 'separators?', 'sort_keys?'],
    (each, ensureAscii = false, indentation = null, separators = null, sortKeys = false) => {
      const indent = isText(each) ? undefined : indentOf(indentation);
      return dumps(each, {
        ensureAscii: truth(ensureAscii),
        indent,
        separators: separatorsOf(separators, indent),
        sortKeys: truth(sortKeys),
      });
    },
  )(value, args, kwargs);
};

const formatFilter: Filter = (value, args, kwargs) => {
  if (args.length > 0 && kwargs.size > 0)
    throw new PythonError('FilterArgumentError', "can't handle positional and keyword arguments at the same time");
  return percentFormat(isText(value) ? value : toText(value), kwargs.size > 0 ? PyDict.of(kwargs) : new PyTuple(args));
};

export const textFilters: Readonly<Record<string, Filter>> = {
  capitalize: onText([], capitalize),
  center: onText(['width?'], (text, width = 80) => padText(text, width, undefined, 'both')),
  e: filter([], escape),
  escape: filter([], escape),
  forceescape: filter([], (value) => new Markup(escapeHtml(toText(value)))),
  format: formatFilter,
  indent: filter(['width?', 'first?', 'blank?'], indent),
  lower: onText([], (text) => text.toLowerCase()),
  pprint: filter([], () => {
    throw new LimitError('the filter pprint');
  }),
  replace: filter(['old', 'new', 'count?'], (value, old, by, count = null) =>
    replaceText(toText(value), toText(old), toText(by), count === null ? -1 : indexOf(count)),
  ),
  safe: filter([], (value) => new Markup(toText(value))),
  string: filter([], (value) => (isText(value) ? value : toText(value))),
  striptags: filter([], (value) => stripTags(toText(value))),
  title: onText([], titleWords),
  tojson: toJson,
  trim: onText(['chars?'], (text, characters = null) => {
    if (characters === null) return strip(text);
    return stripText(text, [characters], noKwargs) as string;
  }),
  truncate: filter(['length?', 'killwords?', 'end?', 'leeway?'], truncate),
  upper: onText([], (text) => text.toUpperCase()),
  urlencode: filter([], urlEncode),
  urlize: filter(['trim_url_limit?', 'nofollow?', 'target?', 'rel?', 'extra_schemes?'], () => {
    throw new LimitError('the filter urlize');
  }),
  wordcount: filter([], (value) => Array.from(toText(value).matchAll(word)).length),
  wordwrap: filter(
    ['width?', 'break_long_words?', 'wrapstring?', 'break_on_hyphens?'],
    (value, width = 79, breakLong = true, join = null, breakHyphens = true) => {
      if (value instanceof Undefined) throw value.fail();
      if (!isText(value))
        throw new PythonError('AttributeError', `'${typeName(value)}' object has no attribute 'splitlines'`);
      const options = { breakLongWords: truth(breakLong), breakOnHyphens: truth(breakHyphens) };
      const by = join === null ? '\n' : toText(join);
      const text = splitLines(textOf(value)).map((line) =>
        wrapText(line, { ...options, width: indexOf(width) }).join(by),
      );
      return text.join(by);
    },
  ),
  xmlattr: filter(['autospace?'], xmlAttributes),
};
