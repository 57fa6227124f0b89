import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { TensorsError } from './errors.js';
import { sizeOf } from './tensor.js';

/** The file's names of its types, with the bytes of an element. */
export const fileDtypes: Readonly<Record<string, number>> = {
  F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1,
}; // prettier-ignore

/** One tensor of a safetensors file, as its header says and the file's size confirms. */
export interface SafetensorsEntry {
  readonly name: string;
  /** The file's name of the type: F32, BF16, I64 ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly file: string;
  readonly fileSize: number;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit on the header's length. */
const maxHeaderBytes = 100_000_000;

/**
 * Read and check the header of a safetensors file (format: 8 bytes of little-endian header length, that many bytes of
 * JSON, then data). Every range is checked against the file before anything is read from it: inside the file, of the
 * length that dtype and shape make, without overlaps and holes.
 */
export function readSafetensorsHeader(file: string): SafetensorsHeader {
  const { text, fileSize, dataOffset } = readHeaderText(file);
  const invalid = (message: string, cause?: unknown): TensorsError =>
    new TensorsError('SAFETENSORS_INVALID', `${file}: ${message}; download or write the file again`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`the header is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isRecord(json)) throw invalid('the header is not a JSON object');
  const { __metadata__: metadata = {}, ...rest } = json;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw invalid('__metadata__ is not a record of strings');
  }

  const dataBytes = fileSize - dataOffset;
  const entries: SafetensorsEntry[] = Object.entries(rest).map(([name, entry]) => {
    if (!isRecord(entry)) throw invalid(`tensor ${name} is described by ${JSON.stringify(entry)}, expected an object`);
    const { dtype, shape, data_offsets: range } = entry;
    const bytes = typeof dtype === 'string' ? fileDtypes[dtype] : undefined;
    if (bytes === undefined || !Object.hasOwn(fileDtypes, dtype as string)) {
      throw invalid(
        `tensor ${name} has dtype ${JSON.stringify(dtype)}, expected one of ${Object.keys(fileDtypes).join(', ')}`,
      );
    }
    if (!Array.isArray(shape) || !shape.every(isCount)) {
      throw invalid(`tensor ${name} has shape ${JSON.stringify(shape)}, expected an array of whole numbers from 0`);
    }
    if (
      !Array.isArray(range) ||
      range.length !== 2 ||
      !range.every(isCount) ||
      (range[0] as number) > (range[1] as number)
    ) {
      throw invalid(`tensor ${name} has data_offsets ${JSON.stringify(range)}, expected [begin, end] in bytes`);
    }
    const [begin, end] = range as [number, number];
    if (end > dataBytes) {
      throw invalid(
        `tensor ${name} ends at byte ${end} of the data, but the file has only ${dataBytes}: it was cut short or its header is wrong`,
      );
    }
    const expected = sizeOf(shape) * bytes;
    if (end - begin !== expected) {
      throw invalid(
        `tensor ${name} takes ${end - begin} bytes, but ${String(dtype)} [${shape.join(', ')}] needs ${expected}`,
      );
    }
    return {
      name,
      dtype: dtype as string,
      shape: shape,
      byteOffset: dataOffset + begin,
      byteLength: end - begin,
    };
  });

  const ordered = [...entries].sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let position = dataOffset;
  let before = 'the header';
  for (const { name, byteOffset, byteLength } of ordered) {
    if (byteOffset < position) throw invalid(`tensor ${name} overlaps ${before}`);
    if (byteOffset > position)
      throw invalid(
        `there are ${byteOffset - position} bytes between ${before} and tensor ${name} that belong to none`,
      );
    position = byteOffset + byteLength;
    before = `tensor ${name}`;
  }
  if (position !== fileSize) throw invalid(`${fileSize - position} bytes at the end belong to no tensor`);
  return {
    file,
    fileSize,
    metadata: metadata as Record<string, string>,
    tensors: new Map(entries.map((entry) => [entry.name, entry])),
  };
}

function readHeaderText(file: string): { text: string; fileSize: number; dataOffset: number } {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (cause) {
    throw new TensorsError('FILE_UNREADABLE', `cannot open ${file}: ${(cause as Error).message}`, { cause });
  }
  const invalid = (message: string): TensorsError =>
    new TensorsError('SAFETENSORS_INVALID', `${file}: ${message}; expected a safetensors file: download it again`);
  try {
    const fileSize = fstatSync(handle).size;
    if (fileSize < 8) throw invalid(`has ${fileSize} bytes, too few for a header`);
    const prefix = Buffer.alloc(8);
    readSync(handle, prefix, 0, 8, 0);
    const length = prefix.readBigUInt64LE();
    if (length > maxHeaderBytes || length > fileSize - 8) {
      throw invalid(
        `its first 8 bytes promise a header of ${length} bytes, the file has ${fileSize} (limit ${maxHeaderBytes})`,
      );
    }
    const bytes = Buffer.alloc(Number(length));
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(handle, bytes, done, bytes.length - done, 8 + done);
      if (count === 0) throw invalid('ended while its header was read');
      done += count;
    }
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw invalid('its header is not UTF-8 text');
    }
    return { text, fileSize, dataOffset: 8 + bytes.length };
  } finally {
    closeSync(handle);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
