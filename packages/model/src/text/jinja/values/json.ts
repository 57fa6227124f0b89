import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { sorted } from './operators.js';
import { floatText } from './numbers.js';
import { spend, spendText } from '../rendering.js';
import { bigText } from './repr.js';
import { isText, PyDict, PyFloat, PyTuple, textOf, typeName, type Value } from './values.js';

interface JsonOptions {
  readonly ensureAscii: boolean;
  /** What a level is indented by; undefined: all on one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [string, string];
  readonly sortKeys: boolean;
}

/** `json.dumps`. */
export function dumps(value: Value, options: JsonOptions): string {
  let made = 0;
  const count = (text: string): string => {
    spend(1);
    spendText((made += text.length));
    return text;
  };
  const write = (each: Value, level: number): string => {
    if (level > 900) throw new PythonError('RecursionError', 'maximum recursion depth exceeded');
    if (each === null) return 'null';
    if (typeof each === 'boolean') return each ? 'true' : 'false';
    if (isText(each)) return count(quote(textOf(each), options.ensureAscii));
    if (typeof each === 'number') return count(String(each));
    if (typeof each === 'bigint') return count(bigText(each));
    if (each instanceof PyFloat) return count(jsonFloat(each.value));
    if (Array.isArray(each))
      return block(
        '[',
        ']',
        (each as Value[]).map((item) => write(item, level + 1)),
        level,
      );
    if (each instanceof PyTuple)
      return block(
        '[',
        ']',
        each.items.map((item) => write(item, level + 1)),
        level,
      );
    if (each instanceof PyDict) {
      let entries = [...each.entries()];
      if (options.sortKeys)
        entries = sorted(entries, (entry) => (entry as readonly [Value, Value])[0]) as (readonly [Value, Value])[];
      const members = entries.map(
        ([key, item]) =>
          `${count(quote(keyText(key), options.ensureAscii))}${options.separators[1]}${write(item, level + 1)}`,
      );
      return block('{', '}', members, level);
    }
    throw typeError(`Object of type ${typeName(each)} is not JSON serializable`);
  };
  const block = (open: string, close: string, parts: readonly string[], level: number): string => {
    if (parts.length === 0) return count(open + close);
    if (options.indent === undefined) return count(open + parts.join(options.separators[0]) + close);
    spendText(options.indent.length * (level + 1) * parts.length);
    const line = `\n${options.indent.repeat(level + 1)}`;
    const end = `\n${options.indent.repeat(level)}`;
    return count(open + line + parts.join(options.separators[0] + line) + end + close);
  };
  return write(value, 0);
}

function jsonFloat(value: number): string {
  if (Number.isFinite(value)) return floatText(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

function keyText(key: Value): string {
  if (isText(key)) return textOf(key);
  if (key === null) return 'null';
  if (typeof key === 'boolean') return key ? 'true' : 'false';
  if (typeof key === 'number') return String(key);
  if (typeof key === 'bigint') return bigText(key);
  if (key instanceof PyFloat) return jsonFloat(key.value);
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\f': '\\f',
  '\b': '\\b',
};

const unit = (character: string): string =>
  short[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function quote(text: string, ascii: boolean): string {
  return `"${text.replace(ascii ? /["\\]|[^ -~]/g : /["\\\0-\x1f]/g, unit)}"`;
}

/** `indent` as `json.dumps` takes it: a number of spaces or the text itself. */
export function indentOf(value: Value): string | undefined {
  if (value === null) return undefined;
  if (isText(value)) return textOf(value);
  if (typeof value === 'boolean') return value ? ' ' : '';
  if (typeof value !== 'number') throw typeError(`can't multiply sequence by non-int of type '${typeName(value)}'`);
  spendText(Math.max(0, value));
  return ' '.repeat(Math.max(0, value));
}

/** `separators` as `json.dumps` takes it; without it, `", "` becomes `","` where lines are indented. */
export function separatorsOf(value: Value, indent: string | undefined): [string, string] {
  if (value === null) return [indent === undefined ? ', ' : ',', ': '];
  const items = value instanceof PyTuple ? value.items : Array.isArray(value) ? (value as Value[]) : undefined;
  if (items === undefined) throw new LimitError(`separators of JSON as a ${typeName(value)}`);
  if (items.length !== 2) throw valueError(`expected two separators, got ${items.length}`);
  const [item, key] = items;
  if (!isText(item) || !isText(key)) throw typeError('separators of JSON must be texts');
  return [textOf(item), textOf(key)];
}
