import { checkRowLength, parseRow, type DataRow } from './data-row.js';
import { readChunks } from './read-chunks.js';
import { readJsonValues } from './read-json-values.js';

const newline = 10;
const openBracket = 0x5b;

/**
 * Rows of a JSONL file, a JSON value a line; blank lines are passed over. A file that begins with a bracket holds one
 * array, whatever its name says: a row is an object.
 */
export async function* readJsonLines(file: string, signal?: AbortSignal): AsyncGenerator<DataRow> {
  let line = 1;
  let held: Buffer[] = []; // the beginning of a line whose end was not read yet
  let heldBytes = 0;
  let begun = false;
  const place = (): string => `${file}:${line}`;
  const take = (end: Buffer): Buffer => {
    const bytes = held.length === 0 ? end : Buffer.concat([...held, end]);
    held = [];
    heldBytes = 0;
    return bytes;
  };
  for await (const chunk of readChunks(file, signal)) {
    const first = begun ? -1 : chunk.findIndex((byte) => !isSpace(byte) && byte !== newline);
    if (first >= 0) {
      if (chunk[first] === openBracket && !beginsNextLine(chunk, first)) {
        yield* readJsonValues(file, signal);
        return;
      }
      begun = true;
    }
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const bytes = take(chunk.subarray(start, end));
      start = end + 1;
      if (!bytes.every(isSpace)) yield { number: line, value: parseRow(bytes, place()) };
      line += 1;
    }
    if (start < chunk.length) held.push(chunk.subarray(start));
    heldBytes += chunk.length - start;
    checkRowLength(heldBytes, place());
  }
  const last = take(Buffer.alloc(0));
  if (!last.every(isSpace)) yield { number: line, value: parseRow(last, place()) };
}

/** Whether the line after the first begins with a bracket too: each line is a list then, which is told of as a row. */
function beginsNextLine(chunk: Buffer, first: number): boolean {
  const end = chunk.indexOf(newline, first);
  return end >= 0 && chunk[end + 1] === openBracket;
}

/** JSON's white space within a line; `\r` of Windows is part of it. */
const isSpace = (byte: number): boolean => byte === 32 || byte === 9 || byte === 13;
