/** Where a text is no JSON, or an object has a key twice. */
interface JsonFault {
  readonly offset: number;
  readonly message: string;
}

/** A literal, a number or a string, at the position. */
const scalar =
  /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const space = /[ \t\r\n]*/y;

interface Level {
  readonly close: '}' | ']';
  readonly keys: Map<string, number>;
}

/**
 * The first fault of a JSON text with its position, which `JSON.parse` mostly keeps to itself. Keys that an object has
 * twice are faults: which of the values counts differs between readers. Does not recurse.
 */
export function findJsonFault(text: string): JsonFault | undefined {
  let at = 0;
  const levels: Level[] = [];
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const fault = (expected: string): JsonFault => ({ offset: at, message: `${expected}, got ${describeAt(text, at)}` });
  /** `{` and `[` begin with a value or their end, a comma stands before a value. */
  let state: 'value' | 'first' | 'next' = 'value';
  for (;;) {
    match(space);
    const level = levels.at(-1);
    if (state === 'next') {
      if (level === undefined) return at === text.length ? undefined : fault('expected the end of the file');
      if (text[at] === level.close) {
        at += 1;
        levels.pop();
        continue;
      }
      if (text[at] !== ',') return fault(`expected a comma or ${level.close}`);
      at += 1;
      match(space);
      if (text[at] === level.close) return { offset: at, message: `expected no comma before ${level.close}` };
    } else if (state === 'first' && level !== undefined && text[at] === level.close) {
      at += 1;
      levels.pop();
      state = 'next';
      continue;
    }
    if (level?.close === '}') {
      const start = at;
      if (text[at] !== '"') return fault('expected a key in double quotes');
      const key = match(scalar);
      if (key === undefined) return fault('expected a key in double quotes that end in the same line');
      const name = JSON.parse(key) as string;
      const first = level.keys.get(name);
      if (first !== undefined) return { offset: start, message: `the key ${key} is here twice; keep one of them` };
      level.keys.set(name, start);
      match(space);
      if (text[at] !== ':') return fault(`expected a colon after ${key}`);
      at += 1;
      match(space);
    }
    const open = text[at];
    if (open === '{' || open === '[') {
      levels.push({ close: open === '{' ? '}' : ']', keys: new Map() });
      at += 1;
      state = 'first';
      continue;
    }
    if (match(scalar) === undefined)
      return fault(
        open === '"' ? 'expected a text that ends in the same line, with valid escapes' : 'expected a value',
      );
    state = 'next';
  }
}

function describeAt(text: string, at: number): string {
  const rest = text.slice(at, at + 200);
  if (rest === '') return 'the end of the file';
  if (rest.startsWith('//') || rest.startsWith('/*') || rest.startsWith('#'))
    return 'a comment; JSON has none: remove it, or write the config as YAML';
  if (rest.startsWith("'")) return 'a single quote; JSON has double quotes only';
  const word = /^[\w.+-]+/.exec(rest)?.[0] ?? String.fromCodePoint(rest.codePointAt(0)!);
  return JSON.stringify(word.length > 40 ? `${word.slice(0, 40)}…` : word);
}
