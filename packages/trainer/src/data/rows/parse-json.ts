/** Python's parser stops about there too. */
const deepest = 1000;
/** Python's limit for an int in a text. */
const mostDigits = 4300;

/**
 * A JSON text with what `JSON.parse` loses and a template prints: whole numbers beyond 2^53 are bigints; numbers such as
 * `1.0` and `1e3`, which are whole and no ints, are `Number` objects; objects whose keys JavaScript would put into another
 * order are Maps. All of them keep through a structured clone.
 *
 * @throws SyntaxError as `JSON.parse`; RangeError where it is nested too deep or has a number of too many digits
 */
export function parseJson(text: string): unknown {
  const value = JSON.parse(text) as unknown;
  return mayLose(value, 0) ? readExactly(text) : value;
}

/** The same in JavaScript's own values, for readers that know no others: numbers, and objects in its order. */
export function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Number) return value.valueOf();
  if (Array.isArray(value)) return value.map(toPlain);
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, each]) => [key, toPlain(each)]));
}

/** A number of `parseJson` as Python prints it; undefined: the value is none. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'number' && !(value instanceof Number)) return undefined;
  const float = value.valueOf();
  const size = Math.abs(float);
  if (!Number.isFinite(float)) return Number.isNaN(float) ? 'nan' : float > 0 ? 'inf' : '-inf';
  if (size >= 1e16 || (size > 0 && size < 1e-4)) return float.toExponential().replace(/(?<=e[+-])\d$/, '0$&');
  return Number.isInteger(float) ? `${Object.is(float, -0) ? '-' : ''}${float.toFixed(1)}` : String(float);
}

/** JSON of a value of `parseJson`, for comparing: another text for another value, as Python compares them. */
export function distinctText(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'bigint') return { int: String(each) };
    return each instanceof Map ? { entries: [...(each as Map<string, unknown>)] } : each;
  });
}

function mayLose(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isInteger(value) || !Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return false;
  if (depth > deepest) throw new RangeError(`it is nested deeper than ${deepest} levels`);
  // All of it is visited: how deep it is has to be known.
  let found = false;
  for (const [key, each] of Object.entries(value))
    found = mayLose(each, depth + 1) || (isIndex(key) && !Array.isArray(value)) || found;
  return found;
}

const isIndex = (key: string): boolean => /^(?:0|[1-9]\d*)$/.test(key);

/** `text` was parsed before: it is JSON. */
function readExactly(text: string): unknown {
  let at = 0;
  const next = (): string => {
    while (text.charCodeAt(at) <= 32) at += 1;
    return text[at]!;
  };
  const readString = (): string => {
    const start = at;
    do at = text.indexOf('"', at + 1);
    while (isEscaped(text, at));
    at += 1;
    return JSON.parse(text.slice(start, at)) as string;
  };
  const numberPattern = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
  const readNumber = (): unknown => {
    numberPattern.lastIndex = at;
    const [token, fraction, exponent] = numberPattern.exec(text)!;
    at += token.length;
    const value = Number(token);
    if (fraction !== undefined || exponent !== undefined) return Number.isInteger(value) ? Object(value) : value;
    if (Number.isSafeInteger(value)) return value;
    if (token.length > mostDigits) throw new RangeError(`it has a number of more than ${mostDigits} digits`);
    return BigInt(token);
  };
  const readValue = (): unknown => {
    const first = next();
    if (first === '"') return readString();
    if (first === '{') return readObject();
    if (first === '[') return readArray();
    for (const [word, value] of words) {
      if (!text.startsWith(word, at)) continue;
      at += word.length;
      return value;
    }
    return readNumber();
  };
  const readArray = (): unknown[] => {
    const items: unknown[] = [];
    at += 1;
    while (next() !== ']') {
      if (text[at] === ',') at += 1;
      items.push(readValue());
    }
    at += 1;
    return items;
  };
  const readObject = (): unknown => {
    const entries = new Map<string, unknown>();
    at += 1;
    while (next() !== '}') {
      if (text[at] === ',') at += 1;
      next();
      const key = readString();
      next();
      at += 1; // the colon
      entries.set(key, readValue());
    }
    at += 1;
    const record = Object.fromEntries(entries);
    if (![...entries.keys()].some(isIndex)) return record;
    const keys = Object.keys(record);
    return [...entries.keys()].every((key, i) => key === keys[i]) ? record : entries;
  };
  return readValue();
}

const words: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}
