// What a worker thread runs: it answers each request with the rows of the next row group. See read-parquet.ts for why.
import { open, type FileHandle } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import {
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type AsyncBuffer,
  type FileMetaData,
  type SchemaTree,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { parseJson } from './parse-json.js';

/** The next rows, or the end, or what is wrong and where. */
export type ParquetAnswer =
  { readonly rows: readonly unknown[] } | { readonly end: true } | { readonly fault: string; readonly place: string };

// Equal values in a row take next to no room; text to learn from does.
const valuesPerByte = 1024n;

async function* answers(file: string): AsyncGenerator<ParquetAnswer> {
  let place = 'its footer';
  try {
    const source = await rangesOf(await open(file));
    const metadata = await parquetMetadataAsync(source, { geoparquet: false });
    checkMetadata(metadata, source.byteLength);
    const columns = parquetSchema(metadata);
    let rowStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(group.num_rows);
      place = `row group ${index + 1} (rows ${rowStart + 1} to ${rowEnd})`;
      const rows = await parquetReadObjects({ file: source, metadata, rowStart, rowEnd, compressors, parsers });
      if (rows.length !== rowEnd - rowStart) throw new Error(`it has ${rows.length} rows`);
      yield { rows: rows.map((row) => recordOf(row, columns)) };
      rowStart = rowEnd;
    }
    yield { end: true };
  } catch (error) {
    yield { fault: (error as Error).message, place };
  }
}

async function rangesOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start, end = size) {
      if (!(start >= 0 && start <= end && end <= size))
        throw new Error(`it points to bytes ${start} to ${end} of a file of ${size}`);
      const buffer = new ArrayBuffer(end - start);
      const bytes = new Uint8Array(buffer);
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) throw new Error(`it ends at byte ${start + done}`);
        done += bytesRead;
      }
      return buffer;
    },
  };
}

/** What a damaged footer says may be any number; those that become sizes in memory are held against the file. */
function checkMetadata({ num_rows, row_groups }: FileMetaData, size: number): void {
  let rows = 0n;
  for (const { num_rows: count, columns } of row_groups) {
    if (!(count >= 0n)) throw new Error(`a row group has ${count} rows`);
    rows += count;
    const most = BigInt(size) * valuesPerByte;
    for (const { meta_data: column } of columns) {
      if (column === undefined) throw new Error('a column is in another file');
      if (!(count <= most && column.num_values >= 0n && column.num_values <= most))
        throw new Error(`a column has ${column.num_values} values in ${count} rows`);
    }
  }
  if (rows !== num_rows) throw new Error(`it has ${num_rows} rows, its row groups ${rows}`);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Stands for bytes that are no text: a row that is made of it is refused, columns that nobody reads may be binary. */
const noText = '\ud800';

const textOf = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes);
  } catch {
    return noText;
  }
};

// The missing are undefined or null, whatever the types say.
const parsers = {
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && textOf(bytes),
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && parseJson(textOf(bytes)),
};

/** Parquet's values as `parseJson` has JSON's. Of the schema only which columns hold floats is asked. */
function jsonOf(value: unknown, column: SchemaTree | undefined): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'number') return isFloat(column) && Number.isInteger(value) ? Object(value) : value;
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  // JSON's, which are as they should be.
  if (column?.element.converted_type === 'JSON') return value;
  if (ArrayBuffer.isView(value) || Array.isArray(value))
    return Array.from(value as ArrayLike<unknown>, (each) => jsonOf(each, itemOf(column)));
  return recordOf(value, column);
}

function recordOf(record: object, columns: SchemaTree | undefined): object {
  const children = new Map(columns?.children.map((child) => [child.element.name, child]));
  // The values of a map are in the second of its entries' columns.
  const isMap = columns?.element.converted_type === 'MAP' || columns?.element.logical_type?.type === 'MAP';
  const value = isMap ? columns?.children[0]?.children[1] : undefined;
  return Object.fromEntries(
    Object.entries(record).map(([key, each]) => [key, jsonOf(each, value ?? children.get(key))]),
  );
}

/** The items of a list: below two levels in the usual layout, else the repeated column itself. */
const itemOf = (column: SchemaTree | undefined): SchemaTree | undefined =>
  column?.element.converted_type === 'LIST' || column?.element.logical_type?.type === 'LIST'
    ? (column.children[0]?.children[0] ?? column.children[0])
    : column;

const isFloat = (column: SchemaTree | undefined): boolean =>
  column?.element.type === 'FLOAT' ||
  column?.element.type === 'DOUBLE' ||
  column?.element.logical_type?.type === 'FLOAT16';

// `parentPort` is null where this is not a worker: nothing else starts it.
const port = parentPort!;
const all = answers(workerData as string);
port.on('message', () => {
  void all.next().then(({ value }) => port.postMessage(value));
});
