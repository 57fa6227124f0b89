import path from 'node:path';
import { eventLoopTurns } from '@glulam/files';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';
import { readDelimited } from './read-delimited.js';
import { readJsonLines } from './read-json-lines.js';
import { readJsonValues } from './read-json-values.js';
import { readParquet } from './read-parquet.js';

type Reader = (file: string, signal?: AbortSignal) => AsyncIterable<DataRow>;

const readers: Readonly<Record<string, Reader>> = {
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.json': readJsonValues,
  '.csv': (file, signal) => readDelimited(file, ',', signal),
  '.tsv': (file, signal) => readDelimited(file, '\t', signal),
  '.parquet': readParquet,
};

/** Of compressed text; whether it is compressed is seen in the file. */
const compressedEndings: readonly string[] = ['.gz', '.zst'];

/** The ending that says how a file is read, in lower case: of `rows.jsonl.gz` it is `.jsonl`. */
export function dataEnding(file: string): string {
  const last = path.extname(file).toLowerCase();
  return compressedEndings.includes(last) ? path.extname(file.slice(0, -last.length)).toLowerCase() : last;
}

/** Whether a file's name says that it holds rows. */
export function isDataFile(file: string): boolean {
  return Object.hasOwn(readers, dataEnding(file));
}

/**
 * The rows of a data file, read as they are asked for; its ending says how.
 *
 * @throws TrainerError DATA_UNREADABLE; while it is read DATA_INVALID with the file and the line or row
 */
export function readRows(file: string, signal?: AbortSignal): AsyncIterable<DataRow> {
  const ending = dataEnding(file);
  const read = Object.hasOwn(readers, ending) ? readers[ending] : undefined;
  if (read === undefined) {
    throw new TrainerError(
      'DATA_UNREADABLE',
      `cannot read the data file ${file}: its name ends in ${path.extname(file) === '' ? 'nothing' : path.extname(file)}; expected ` +
        `${Object.keys(readers).join(', ')}, text also with ${compressedEndings.join(' or ')} after it`,
    );
  }
  return inTurns(read(file, signal), signal);
}

/** Whoever reads the rows works on each before the next is asked for. */
async function* inTurns(rows: AsyncIterable<DataRow>, signal: AbortSignal | undefined): AsyncIterable<DataRow> {
  const next = eventLoopTurns(signal);
  for await (const row of rows) {
    yield row;
    await next();
  }
}
