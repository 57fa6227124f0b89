// Case folding as regular expressions that ignore case need it: simple folding for single characters, and which
// characters and pairs fold to another length (ß and ss).

let folded: Map<string, string[]> | undefined;
let longFoldings: Set<string> | undefined;

const fold = (character: string): string => character.toUpperCase().toLowerCase();

function tables(): { variants: Map<string, string[]>; long: Set<string> } {
  if (folded !== undefined && longFoldings !== undefined) return { variants: folded, long: longFoldings };
  folded = new Map();
  longFoldings = new Set();
  for (let code = 0; code < 0x1ea00; code++) {
    if (code === 0xd800) code = 0xe000;
    const character = String.fromCodePoint(code);
    const key = fold(character);
    if (key === character && character.toUpperCase() === character) continue;
    if ([...key].length > 1) {
      longFoldings.add(key);
      longFoldings.add(character);
    } else folded.set(key, [...(folded.get(key) ?? [key]), ...(key === character ? [] : [character])]);
  }
  return { variants: folded, long: longFoldings };
}

/** All characters that are equal to one without case, itself among them. */
export function caseVariants(character: string): readonly string[] {
  const all = tables().variants.get(fold(character)) ?? [character];
  // Simple folding is narrower than changing to capitals and back (ı, İ): the engine's own rule decides.
  const code = character.codePointAt(0)!.toString(16);
  const equal = new RegExp(`^\\u{${code}}$`, 'iu');
  return [...new Set([character, ...all])].filter((other) => equal.test(other));
}

/** Whether text without case equals text of another length. */
export function hasLongFolding(text: string): boolean {
  if (text === '') return false;
  const key = fold(text);
  for (const long of tables().long) if (text.includes(long) || key.includes(long)) return true;
  return false;
}
