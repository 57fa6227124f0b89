/** `#### 1,234.5`, and after it whatever the model goes on with. */
const marked = /#### (-?[0-9.,]+)/;

/** lm-evaluation-harness's strict-match of gsm8k: the number behind the first `#### `. */
export function strictAnswer(text: string): string | null {
  return marked.exec(text)?.[1]?.trim() ?? null;
}

/** Its strict-match of gsm8k_cot. A full stop behind the number is part of it, unless nothing else ends the sentence. */
export function chainAnswer(text: string): string | null {
  // Python's `.` is anything but a line feed, JavaScript's leaves out other ends of lines as well.
  return /The answer is (-?[0-9.,]+)[^\n]/.exec(text)?.[1]?.trim() ?? null;
}

/** Its flexible-extract: whatever looks most like a number last. */
export function flexibleAnswer(text: string): string | null {
  const last = [...text.matchAll(/(-?[$0-9.,]{2,})|(-?[0-9]+)/g)].at(-1);
  return (last?.[1] ?? last?.[2])?.trim() ?? null;
}

/** Its exact_match: without `,` and `$`, what stands before `#### `, a final full stop, and case. */
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

/** What the first leaderboard compared: the number behind the first `#### `, without commas. */
export function firstAnswer(text: string): string | null {
  return strictAnswer(text)?.replaceAll(',', '') ?? null;
}

/** An answer that `firstAnswer` found, and the same of the expected text, equal as texts. */
export function sameFirstAnswer(given: string, expected: string): boolean {
  return given === firstAnswer(expected);
}
