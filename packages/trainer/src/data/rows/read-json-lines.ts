import { checkRowLength, parseRow, type DataRow } from './data-row.js';
import { readChunks } from './read-chunks.js';

const newline = 10;

/** Rows of a JSONL file, a JSON value a line; blank lines are passed over. */
export async function* readJsonLines(file: string, signal?: AbortSignal): AsyncGenerator<DataRow> {
  let line = 1;
  let held: Buffer[] = []; // the beginning of a line whose end was not read yet
  let heldBytes = 0;
  const place = (): string => `${file}:${line}`;
  const take = (end: Buffer): Buffer => {
    const bytes = held.length === 0 ? end : Buffer.concat([...held, end]);
    held = [];
    heldBytes = 0;
    return bytes;
  };
  for await (const chunk of readChunks(file, signal)) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const bytes = take(chunk.subarray(start, end));
      start = end + 1;
      if (!isBlank(bytes)) yield { number: line, value: parseRow(bytes, place()) };
      line += 1;
    }
    if (start < chunk.length) held.push(chunk.subarray(start));
    heldBytes += chunk.length - start;
    checkRowLength(heldBytes, place());
  }
  const last = take(Buffer.alloc(0));
  if (!isBlank(last)) yield { number: line, value: parseRow(last, place()) };
}

/** Nothing but JSON's white space; `\r` of Windows is part of it. */
function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 32 || byte === 9 || byte === 13);
}
