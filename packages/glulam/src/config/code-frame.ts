/** A place in a text, as editors count it. */
interface TextPlace {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export function placeOf(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - start + 1 };
}

const before = 60;
const after = 40;

/** The line of a text and a mark below the column, as Node prints it; of a long line the part around the column. */
export function codeFrame(text: string, { line, column }: TextPlace): string {
  const lines = text.split(/\r?\n/);
  const whole = lines[line - 1] ?? '';
  // What ends too early ends in a line without anything to see.
  const last = whole.trim() === '' ? lines.slice(0, line - 1).findLast((each) => each.trim() !== '') : undefined;
  const start = Math.max(0, column - 1 - before);
  const shown = whole.slice(start, column + after);
  const [head, tail] = [start > 0 ? '…' : '', start + shown.length < whole.length ? '…' : ''];
  const indent = whole.slice(start, column - 1).replaceAll(/[^\t]/g, ' ');
  return `${last === undefined ? '' : `  ${last.slice(0, before + after)}\n`}  ${head}${shown}${tail}\n  ${head && ' '}${indent}^`;
}
