/** What stands for a text in which no answer was found; it equals none. */
const invalid = '[invalid]';

/** `#### 1,234.5`, and after it whatever the model goes on with. */
const marked = /#### (-?[0-9.,]+)/;

/** lm-evaluation-harness's strict-match: the number behind the first `#### `. */
export function strictAnswer(text: string): string {
  return marked.exec(text)?.[1]?.trim() ?? invalid;
}

/** lm-evaluation-harness's flexible-extract: whatever looks most like a number last. */
export function flexibleAnswer(text: string): string {
  const last = [...text.matchAll(/(-?[$0-9.,]{2,})|(-?[0-9]+)/g)].at(-1);
  return (last?.[1] ?? last?.[2])?.trim() ?? invalid;
}

/** The harness's exact_match: without `,` and `$`, what stands before `#### `, a final full stop, and case. */
export function sameAnswer(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) =>
    text
      .replace(/,/g, '')
      .replace(/\$/g, '')
      .replace(/.*#### /gs, '')
      .replace(/\.$/g, '')
      .toLowerCase(),
  );
  return a === b;
}

/** The first leaderboard's: both numbers behind their first `#### `, without commas, equal as texts. */
export function sameFirstAnswer(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => marked.exec(text)?.[1]?.trim().replaceAll(',', ''));
  return a !== undefined && a === b;
}
