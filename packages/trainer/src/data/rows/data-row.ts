import { TrainerError } from '../../errors.js';

/** A row of a data file as it stands there. */
export interface DataRow {
  /** From 1; in JSONL the line. */
  readonly number: number;
  readonly value: unknown;
}

// Far above any conversation. What is longer is not a row: a JSON array in one line of a .jsonl file, a quote not closed.
const longestRow = 2 ** 28;

export function checkRowLength(bytes: number, place: string): void {
  if (bytes <= longestRow) return;
  throw new TrainerError(
    'DATA_INVALID',
    `${place} is longer than ${longestRow / 2 ** 20} MiB; expected one example a row: a quote may not be closed, or the file's ending be wrong`,
  );
}

/**
 * The value that bytes of a file say in JSON.
 *
 * @param place for the message: file and line or row
 * @throws TrainerError DATA_INVALID
 */
export function parseRow(bytes: Uint8Array, place: string): unknown {
  let text: string;
  try {
    // Not `toString`: it would put U+FFFD in the place of what it cannot read, and the model would learn that.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TrainerError('DATA_INVALID', `${place} is not UTF-8 text; save the file as UTF-8`, { cause });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new TrainerError('DATA_INVALID', `${place} is not JSON: ${(cause as Error).message}`, { cause });
  }
}
