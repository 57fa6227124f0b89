import { TrainerError } from '../../errors.js';
import { checkRowLength, parseRow, type DataRow } from './data-row.js';
import { readChunks } from './read-chunks.js';

const [tab, newline, carriageReturn, space] = [9, 10, 13, 32];
const [quote, comma, backslash] = [0x22, 0x2c, 0x5c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Rows of a JSON file, however long: the elements of one array, or objects one after another (JSON lines, as `datasets`
 * writes them into files named .json). Only the ends of the rows are looked for here (brackets, braces and quotes are
 * counted); each is then parsed by itself.
 */
export async function* readJsonValues(file: string, signal?: AbortSignal): AsyncGenerator<DataRow> {
  let state: 'before' | 'first' | 'value' | 'next' | 'after' = 'before';
  let inArray = true;
  let number = 1;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let held: Buffer[] = []; // the beginning of an element whose end was not read yet
  let heldBytes = 0;
  const place = (): string => `${file}, row ${number}`;
  const broken = (got: string, expected: string): TrainerError =>
    new TrainerError('DATA_INVALID', `${place()}: got ${got}, expected ${expected}`);

  for await (const chunk of readChunks(file, signal)) {
    let start = 0; // of the element's part in this chunk
    let reading = depth > 0 || inString || heldBytes > 0;
    const take = (end: number): DataRow => {
      const bytes = Buffer.concat([...held, chunk.subarray(start, end)]);
      held = [];
      heldBytes = 0;
      reading = false;
      return { number, value: parseRow(bytes, place()) };
    };
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (reading) {
        if (inString) {
          if (escaped) escaped = false;
          else if (byte === backslash) escaped = true;
          else if (byte === quote) inString = false;
          continue;
        }
        if (byte === quote) inString = true;
        else if (byte === openBracket || byte === openBrace) depth += 1;
        else if (depth > 0 && (byte === closeBracket || byte === closeBrace)) {
          depth -= 1;
          if (inArray || depth > 0) continue;
          yield take(i + 1);
          number += 1;
          state = 'after';
        } else if (depth === 0 && (byte === comma || byte === closeBracket)) {
          yield take(i);
          number += 1;
          state = byte === comma ? 'value' : 'after';
        }
        continue;
      }
      if (byte === space || byte === newline || byte === tab || byte === carriageReturn) continue;
      if (state === 'before' && byte === openBracket) state = 'first';
      else if (byte === openBrace && (state === 'before' || (state === 'after' && !inArray))) {
        inArray = false;
        reading = true;
        start = i;
        depth = 1;
        state = 'next';
      } else if (state === 'before') throw notRows(file, byte);
      else if (state === 'after' && inArray) throw broken(shown(byte), 'nothing after the end of the array');
      else if (state === 'after') throw broken(shown(byte), 'another row, without anything between them');
      else if (byte === closeBracket && state === 'first') state = 'after';
      else if (byte === comma || byte === closeBracket) throw broken(shown(byte), 'a row');
      else {
        reading = true;
        start = i;
        inString = byte === quote;
        depth = byte === openBracket || byte === openBrace ? 1 : 0;
        state = 'next';
      }
    }
    if (reading) {
      held.push(chunk.subarray(start));
      heldBytes += chunk.length - start;
      checkRowLength(heldBytes, place());
    }
  }
  if (state === 'before') throw broken('an empty file', 'an array of rows: [{...}, {...}]');
  if (state !== 'after')
    throw broken('the end of the file', `the end of the ${inArray ? 'array' : 'row'}: it may have been cut short`);
}

function notRows(file: string, byte: number): TrainerError {
  return new TrainerError(
    'DATA_INVALID',
    `${file} begins with ${shown(byte)}; expected one array of rows, [{...}, {...}], or a row a line`,
  );
}

const shown = (byte: number): string =>
  byte > 32 && byte < 127 ? `"${String.fromCharCode(byte)}"` : `the byte 0x${byte.toString(16).padStart(2, '0')}`;
