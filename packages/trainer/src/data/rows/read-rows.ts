import path from 'node:path';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';
import { readJsonArray } from './read-json-array.js';
import { readJsonLines } from './read-json-lines.js';
import { readParquet } from './read-parquet.js';

const readers: Readonly<Record<string, (file: string, signal?: AbortSignal) => AsyncIterable<DataRow>>> = {
  '.jsonl': readJsonLines,
  '.json': readJsonArray,
  '.parquet': readParquet,
};

/**
 * The rows of a data file, read as they are asked for; its ending says how.
 *
 * @throws TrainerError DATA_UNREADABLE; while it is read DATA_INVALID with the file and the line or row
 */
export function readRows(file: string, signal?: AbortSignal): AsyncIterable<DataRow> {
  const ending = path.extname(file).toLowerCase();
  const read = Object.hasOwn(readers, ending) ? readers[ending] : undefined;
  if (read === undefined) {
    throw new TrainerError(
      'DATA_UNREADABLE',
      `cannot read the data file ${file}: its name ends in ${ending === '' ? 'nothing' : ending}; expected ${Object.keys(readers).join(', ')}`,
    );
  }
  return read(file, signal);
}
