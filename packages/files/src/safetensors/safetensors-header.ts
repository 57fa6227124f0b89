import { closeSync } from 'node:fs';
import { formatShape } from '../numbers/shape.js';
import { FilesError } from '../errors.js';
import { duplicateKey } from './duplicate-key.js';
import { stampOf, type FileStamp } from '../reading/file-stamp.js';
import { readFully } from '../reading/read-fully.js';
import { openRegularFile } from '../reading/regular-file.js';

/** Bits of an element by the format's names of its types (safetensors 0.8), in the order in which the reference writes. */
export const fileDtypes = {
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
  F32: 32,
  U32: 32,
  I32: 32,
  BF16: 16,
  F16: 16,
  U16: 16,
  I16: 16,
  F8_E5M2FNUZ: 8,
  F8_E4M3FNUZ: 8,
  F8_E8M0: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  I8: 8,
  U8: 8,
  F6_E3M2: 6,
  F6_E2M3: 6,
  F4: 4,
  BOOL: 8,
} as const;

/** A type as safetensors files name it. */
export type FileDtype = keyof typeof fileDtypes;

/** One tensor of a safetensors file, as its header says and the file's size confirms. */
export interface SafetensorsEntry {
  /** The tensor's name. */
  readonly name: string;
  /** Its type as the file names it; engines read F32, BF16, F16 and I32. */
  readonly dtype: FileDtype;
  /** Length of each axis; [] for a scalar. */
  readonly shape: readonly number[];
  /** Path of the file. */
  readonly file: string;
  /** From the start of the file. */
  readonly byteOffset: number;
  /** Bytes of all elements. */
  readonly byteLength: number;
}

/** What the header of one safetensors file says, checked against the file's size. */
export interface SafetensorsHeader {
  /** Path of the file. */
  readonly file: string;
  /** In bytes, header included. */
  readonly fileSize: number;
  /** The file as it was when the header was read. */
  readonly stamp: FileStamp;
  /** Where the data begins. */
  readonly dataOffset: number;
  /** The tensors by name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The strings of `__metadata__`; empty where the header has none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A header is parsed at once, so its length bounds time and memory: this much takes a few seconds and half a gigabyte. It
 * holds 200,000 tensors, more than known models have in all their files together; the format allows 100 MB.
 */
export const maxHeaderBytes = 25_000_000;

type Fault = (message: string, cause?: unknown) => FilesError;

/**
 * Read and check the header of a safetensors file (8 bytes of little-endian header length, that many bytes of JSON,
 * then data: https://github.com/huggingface/safetensors#format). Every range is checked before anything is read from
 * it: inside the file, of the length that dtype and shape make, without overlaps, and, as the reference wants it too,
 * without bytes that belong to no tensor.
 *
 * Throws FILE_UNREADABLE or SAFETENSORS_INVALID.
 */
export function readSafetensorsHeader(file: string): SafetensorsHeader {
  const { text, fileSize, stamp, dataOffset } = readHeaderText(file);
  const invalid: Fault = (message, cause) =>
    new FilesError('SAFETENSORS_INVALID', `${file}: ${message}; download or write the file again`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`its header is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isRecord(json)) throw invalid('its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw invalid(`its header has the key ${show(twice)} twice in one object`);
  const { __metadata__: metadata = {}, ...described } = json;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw invalid(`__metadata__ is ${show(metadata)}, expected an object whose values are strings`);
  }
  const entries = Object.entries(described).map(([name, entry]) => readEntry(file, dataOffset, name, entry, invalid));
  checkRanges(entries, dataOffset, fileSize, invalid);
  return {
    file,
    fileSize,
    stamp,
    dataOffset,
    metadata: metadata as Record<string, string>,
    tensors: new Map(entries.map((entry) => [entry.name, entry])),
  };
}

function readEntry(file: string, dataOffset: number, name: string, entry: unknown, invalid: Fault): SafetensorsEntry {
  const fault = (message: string): FilesError => invalid(`${showTensor(name)} ${message}`);
  if (!isRecord(entry)) throw fault(`is described by ${show(entry)}, expected an object`);
  const { dtype, shape, data_offsets: range } = entry;
  if (!isFileDtype(dtype)) {
    throw fault(`has dtype ${show(dtype)}, expected one of ${Object.keys(fileDtypes).join(', ')}`);
  }
  if (!isCounts(shape)) throw fault(`has shape ${show(shape)}, expected an array of whole numbers from 0`);
  if (!isCounts(range) || range.length !== 2 || range[0]! > range[1]!) {
    throw fault(`has data_offsets ${show(range)}, expected [begin, end] in bytes with begin <= end`);
  }
  if (!Number.isSafeInteger(dataOffset + range[1]!)) throw fault(`has data_offsets ${show(range)}, beyond any file`);
  const begin = range[0]!;
  const byteLength = range[1]! - begin;
  const bits = shape.reduce<number>(multiply, fileDtypes[dtype]);
  if (Number.isNaN(bits)) throw fault(`has shape ${show(shape)}, which needs more bytes than a file can hold`);
  if (byteLength !== bits / 8) {
    throw fault(`takes ${byteLength} bytes, but ${dtype} ${formatShape(shape)} needs ${bits / 8}`);
  }
  return { name, dtype, shape, file, byteOffset: dataOffset + begin, byteLength };
}

function checkRanges(entries: readonly SafetensorsEntry[], dataOffset: number, fileSize: number, invalid: Fault): void {
  const ordered = [...entries].sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  const endOf = ({ byteOffset, byteLength }: SafetensorsEntry): number => byteOffset + byteLength;
  const needed = ordered.reduce((size, entry) => Math.max(size, endOf(entry)), dataOffset);
  if (needed > fileSize) {
    const beyond = ordered.find((entry) => endOf(entry) > fileSize)!;
    throw invalid(
      `${showTensor(beyond.name)} ends at byte ${endOf(beyond) - dataOffset} of the data, but the file has only ${fileSize - dataOffset}; ` +
        `the header promises a file of ${needed} bytes, this one has ${fileSize}: it was cut short or its header is wrong`,
    );
  }
  const shown = (entry: SafetensorsEntry | undefined): string =>
    entry === undefined ? 'the header' : showTensor(entry.name);
  let position = dataOffset;
  let before: SafetensorsEntry | undefined;
  for (const entry of ordered) {
    if (entry.byteOffset < position)
      throw invalid(`${shown(entry)} overlaps ${shown(before)} by ${position - entry.byteOffset} bytes`);
    if (entry.byteOffset > position) {
      throw invalid(
        `${entry.byteOffset - position} bytes between ${shown(before)} and ${shown(entry)} belong to no tensor`,
      );
    }
    position = endOf(entry);
    before = entry;
  }
  if (position !== fileSize)
    throw invalid(`${fileSize - position} bytes at the end belong to no tensor, after ${shown(before)}`);
}

function readHeaderText(file: string): Pick<SafetensorsHeader, 'fileSize' | 'stamp' | 'dataOffset'> & { text: string } {
  const invalid: Fault = (message, cause) =>
    new FilesError('SAFETENSORS_INVALID', `${file}: ${message}; expected a safetensors file: download it again`, {
      cause,
    });
  let handle: number | undefined;
  try {
    handle = openRegularFile(file);
    const stamp = stampOf(file, handle);
    const fileSize = Number(stamp.bytes);
    if (fileSize < 8) throw invalid(`it has ${fileSize} bytes, too few for a header`);
    const prefix = Buffer.from(readFully(handle, 8, 0).buffer);
    if (prefix.toString('latin1') === 'version ') {
      throw invalid('it begins as a Git LFS pointer does, which stands for the file; run "git lfs pull"');
    }
    const length = prefix.readBigUInt64LE();
    if (length > maxHeaderBytes) {
      throw invalid(
        `its first 8 bytes promise a header of ${length} bytes, more than the ${maxHeaderBytes} that Glulam reads, enough for 200,000 tensors; save the tensors in several files`,
      );
    }
    const dataOffset = 8 + Number(length);
    if (dataOffset > fileSize) {
      throw invalid(
        `its first 8 bytes promise a header of ${length} bytes, the file has ${fileSize}: it was cut short`,
      );
    }
    const bytes = readFully(handle, Number(length), 8);
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      return { text, fileSize, stamp, dataOffset };
    } catch (cause) {
      throw invalid('its header is not UTF-8 text', cause);
    }
  } catch (cause) {
    if (cause instanceof FilesError) throw cause;
    throw new FilesError('FILE_UNREADABLE', `cannot read ${file}: ${(cause as Error).message}`, { cause });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** For messages: what a hostile header holds may be of any length and depth, so only its outermost is shown. */
function show(value: unknown): string {
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map((item) => (typeof item === 'object' && item !== null ? '...' : show(item)));
    return `[${[...shown, ...(value.length > 8 ? [`... ${value.length - 8} more`] : [])].join(',')}]`;
  }
  if (isRecord(value)) return `an object with the keys ${show(Object.keys(value))}`;
  if (typeof value === 'string') return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}...` : value);
  return String(value);
}

/** Without quotes, yet with control characters escaped. */
function showTensor(name: string): string {
  return `tensor ${show(name).slice(1, -1)}`;
}

/** NaN where the product is no exact number. */
function multiply(a: number, b: number): number {
  return Number.isSafeInteger(a * b) ? a * b : NaN;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFileDtype(value: unknown): value is FileDtype {
  return typeof value === 'string' && Object.hasOwn(fileDtypes, value);
}

/** -0 is a number to JSON and no count to the reference. */
function isCounts(value: unknown): value is number[] {
  const isCount = (item: unknown): boolean =>
    Number.isSafeInteger(item) && (item as number) >= 0 && !Object.is(item, -0);
  return Array.isArray(value) && value.every(isCount);
}
