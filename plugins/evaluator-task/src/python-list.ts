/** A string, a number, or another word of a list as Python prints it, then what separates it from the next. */
const item = /\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[^\s'",[\](){}]+)\s*(,|(?=[\])]))/y;

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' };

/**
 * The texts of a list as Python prints it, `['yes', "it's", 3]`, which lm-evaluation-harness reads with
 * `ast.literal_eval`. Numbers are texts as they are printed. undefined: it is no flat list of texts and numbers.
 */
export function parsePythonList(text: string): string[] | undefined {
  const whole = /^\s*(?:\[(.*\])|\((.*\)))\s*$/s.exec(text);
  const inside = whole?.[1] ?? whole?.[2];
  if (inside === undefined) return undefined;
  const items: string[] = [];
  let at = 0;
  while (inside.slice(at).trim().length > 1) {
    item.lastIndex = at;
    const match = item.exec(inside);
    const value = match === null ? undefined : valueOf(match[1]!);
    if (value === undefined) return undefined;
    items.push(value);
    at = item.lastIndex;
  }
  return items;
}

function valueOf(written: string): string | undefined {
  if (!/^['"]/.test(written)) return Number.isFinite(Number(written)) ? written : undefined;
  let isKnown = true;
  const value = written
    .slice(1, -1)
    .replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gs, (all, x, u, long, other) => {
      const code = [x, u, long].find((digits) => digits !== undefined) as string | undefined;
      if (code !== undefined && parseInt(code, 16) <= 0x10ffff) return String.fromCodePoint(parseInt(code, 16));
      isKnown &&= Object.hasOwn(escapes, String(other));
      return escapes[String(other)] ?? String(all);
    });
  return isKnown ? value : undefined;
}
