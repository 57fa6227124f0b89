import { pipeline } from 'node:stream/promises';
import { CsvError, parse } from 'csv-parse';
import { TrainerError } from '../../errors.js';
import { checkRowLength, longestRow, type DataRow } from './data-row.js';
import { readChunks } from './read-chunks.js';

/**
 * Rows of a CSV or TSV file (RFC 4180: quotes around fields with separators, quotes or line ends in them). The first
 * line names the columns. Every value is a text, as it stands there; blank lines are passed over.
 */
export async function* readDelimited(file: string, delimiter: string, signal?: AbortSignal): AsyncGenerator<DataRow> {
  const parser = parse({
    delimiter,
    // Not what the first line ends with: another line may end otherwise.
    record_delimiter: ['\r\n', '\n', '\r'],
    columns: (header: string[]) => checkHeader(header, delimiter, file),
    skip_empty_lines: true,
    max_record_size: longestRow,
  });
  const fed = pipeline(checkUtf8(readChunks(file, signal), file), parser);
  // The parser fails with it too, and there it is looked at.
  fed.catch(() => {});
  try {
    let number = 0;
    for await (const value of parser as AsyncIterable<Record<string, string>>) yield { number: ++number, value };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    if (error.code === 'CSV_MAX_RECORD_SIZE')
      checkRowLength(longestRow + 1, `${file}, the row that begins before line ${String(error['lines'])}`);
    throw new TrainerError(
      'DATA_INVALID',
      `${file} is not ${delimiter === ',' ? 'CSV' : 'TSV'}: ${error.message}; expected as many fields in each row as in the ` +
        'first line, and quotes around fields that hold separators, quotes or line ends',
      { cause: error },
    );
  } finally {
    parser.destroy();
  }
}

function checkHeader(header: string[], delimiter: string, file: string): string[] {
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined)
    throw new TrainerError('DATA_INVALID', `${file} has two columns named "${twice}"; rename one in its first line`);
  const other = [',', ';', '\t'].find((each) => each !== delimiter && header.length === 1 && header[0]!.includes(each));
  if (other !== undefined) {
    const expected = delimiter === ',' ? 'commas in .csv (tabs are for .tsv)' : 'tabs in .tsv (commas are for .csv)';
    throw new TrainerError(
      'DATA_INVALID',
      `${file} separates its columns with ${other === '\t' ? 'tabs' : `"${other}"`}; expected ${expected}`,
    );
  }
  return header;
}

/** The same bytes. The parser would put U+FFFD in the place of what is not UTF-8. */
async function* checkUtf8(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const check = (bytes?: Buffer): void => {
    try {
      decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new TrainerError('DATA_INVALID', `${file} is not UTF-8 text; save the file as UTF-8`, { cause });
    }
  };
  for await (const chunk of chunks) {
    check(chunk);
    yield chunk;
  }
  check();
}
