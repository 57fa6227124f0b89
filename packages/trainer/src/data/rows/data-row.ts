import { TrainerError } from '../../errors.js';
import { parseJson } from './parse-json.js';

/** A row of a data file as it stands there. */
export interface DataRow {
  /** From 1; in JSONL the line. */
  readonly number: number;
  /** As `parseJson` gives it. */
  readonly value: unknown;
}

// Several million tokens: far above any conversation or book. Tokenizing takes about a hundred times as many bytes of memory.
// What is longer is not a row but, say, a JSON array in one line of a .jsonl file, or has a quote that is not closed.
export const longestRow = 2 ** 24;

export function checkRowLength(bytes: number, place: string): void {
  if (bytes <= longestRow) return;
  throw new TrainerError(
    'DATA_INVALID',
    `${place} is longer than ${longestRow / 2 ** 20} MiB; expected one example a row. Divide a longer text into several rows; a quote may not be closed, or the file's ending be wrong`,
  );
}

/**
 * The value that bytes of a file say in JSON.
 *
 * @param place for the message: file and line or row
 * @throws TrainerError DATA_INVALID
 */
export function parseRow(bytes: Uint8Array, place: string): unknown {
  checkRowLength(bytes.length, place);
  let text: string;
  try {
    // Not `toString`: it would put U+FFFD in the place of what it cannot read, and the model would learn that.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TrainerError('DATA_INVALID', `${place} is not UTF-8 text; save the file as UTF-8`, { cause });
  }
  try {
    const value = parseJson(text);
    // Columns are looked up by their names, in whatever order they come.
    return value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value;
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new TrainerError('DATA_INVALID', `${place} cannot be read: ${cause.message}`, { cause });
    throw new TrainerError('DATA_INVALID', `${place} is not JSON: ${whyNotJson(text) ?? (cause as Error).message}`, {
      cause,
    });
  }
}

/** Characters; a regular expression on a longer text takes too much of the stack. */
const longestLooked = 2 ** 16;

/** What is wrong with a text that other programs take or write for JSON, where it is one of the usual things. */
function whyNotJson(text: string): string | undefined {
  if (text.includes('\u0000'))
    return 'it holds NUL bytes: it may be UTF-16 without a byte order mark; save the file as UTF-8';
  if (text.length > longestLooked) return undefined;
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/gs, '""');
  const word = /(?<![\w.])(?:NaN|-?Infinity)(?!\w)/.exec(bare)?.[0];
  if (word !== undefined) return `it holds ${word}, which JSON does not have; write null`;
  if (/\}\s*,\s*$/.test(bare)) return 'it ends with a comma; in JSON lines nothing stands between rows';
  if (/,\s*[}\]]/.test(bare)) return 'it has a comma before a closing bracket; remove it';
  if (/\}\r\s*\{/.test(bare)) return 'its lines end with CR alone; save the file with LF or CRLF';
  if (/[{[,:]\s*$/.test(bare)) return 'it does not end on its line; JSON lines have one value a line';
  if (/^\s*\{\s*'/.test(text)) return "it is a Python dict with quotes ('); write it with json.dumps";
  return undefined;
}
