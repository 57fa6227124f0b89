import { open, type FileHandle } from 'node:fs/promises';
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';
import { isSystemError, unreadable } from './read-chunks.js';

// Equal values in a row take next to no room; text to learn from does.
const valuesPerByte = 1024n;

/** Rows of a Parquet file, one row group in memory at a time. */
export async function* readParquet(file: string, signal?: AbortSignal): AsyncGenerator<DataRow> {
  const handle = await open(file).catch((cause: Error) => {
    throw unreadable(file, cause);
  });
  try {
    const source = await rangesOf(handle);
    const metadata = await attempt(file, 'its footer', async () => {
      const found = await parquetMetadataAsync(source, { geoparquet: false });
      checkMetadata(found, source.byteLength);
      return found;
    });
    let rowStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      signal?.throwIfAborted();
      const rowEnd = rowStart + Number(group.num_rows);
      const place = `row group ${index + 1} (rows ${rowStart + 1} to ${rowEnd})`;
      const rows = await attempt(file, place, async () => {
        const read = await parquetReadObjects({ file: source, metadata, rowStart, rowEnd, compressors });
        if (read.length !== rowEnd - rowStart) throw new Error(`it has ${read.length} rows`);
        return read.map((row) => jsonOf(row));
      });
      for (const value of rows) yield { number: ++rowStart, value };
    }
  } finally {
    await handle.close();
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
    for (const { meta_data: column } of columns) {
      if (column === undefined) throw new Error('a column is in another file');
      const most = BigInt(size) * valuesPerByte;
      if (!(count <= most && column.num_values >= 0n && column.num_values <= most))
        throw new Error(`a column has ${column.num_values} values in ${count} rows`);
    }
  }
  if (rows !== num_rows) throw new Error(`it has ${num_rows} rows, its row groups ${rows}`);
}

/** Whatever the reader makes of broken bytes, with the file and the place. */
async function attempt<T>(file: string, place: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    if (isSystemError(cause)) throw unreadable(file, cause);
    throw new TrainerError(
      'DATA_INVALID',
      `${file}: ${place} cannot be read as Parquet: ${(cause as Error).message}; it may have been cut short: fetch it again`,
      { cause },
    );
  }
}

/** Parquet's values as JSON has them: whole numbers of 64 bits as numbers where they fit, else as text. */
function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array);
  if (Array.isArray(value)) return value.map(jsonOf);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, jsonOf(each)]));
}
