// What a worker thread runs: it answers each request with the rows of the next row group. See read-parquet.ts for why.
import { open, type FileHandle } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

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
    let rowStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(group.num_rows);
      place = `row group ${index + 1} (rows ${rowStart + 1} to ${rowEnd})`;
      const rows = await parquetReadObjects({ file: source, metadata, rowStart, rowEnd, compressors });
      if (rows.length !== rowEnd - rowStart) throw new Error(`it has ${rows.length} rows`);
      yield { rows: rows.map((row) => jsonOf(row)) };
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

// `parentPort` is null where this is not a worker: nothing else starts it.
const port = parentPort!;
const all = answers(workerData as string);
port.on('message', () => {
  void all.next().then(({ value }) => port.postMessage(value));
});
