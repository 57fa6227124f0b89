import {
  bytesPerElement,
  checkView,
  FilesError,
  formatShape,
  nf4Formats,
  plainBytes,
  plainFormats,
  q8_0,
  sizeOf,
  type ByteSource,
  type StorageFormat,
  type WeightSource,
} from '@glulam/files';
import { TensorsError } from '@glulam/tensors';

/** How the engine gets at a weight. */
type WeightAccess =
  /** Its elements lie in a file one after the other: they are read there. */
  | { readonly kind: 'mapped'; readonly file: FilePart }
  /** Its parts lie in files, in a format that kernels decode as they read. */
  | {
      readonly kind: 'encoded';
      readonly files: readonly FilePart[];
      readonly rows: number;
      readonly columns: number;
    }
  /** Anything else: decoded once, and held as its dtype in memory. */
  | { readonly kind: 'copied'; readonly dtype: 'float32' | 'bfloat16'; readonly bytes: number };

/** A stretch of a file. */
export interface FilePart {
  readonly path: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** The formats of native/formats/formats.h. */
const decoded: ReadonlySet<StorageFormat> = new Set([
  ...[plainFormats.float32, plainFormats.bfloat16, plainFormats.float16, q8_0],
  ...Object.values(nf4Formats),
]);

/** @throws TensorsError DTYPE_MISMATCH for integers */
export function accessOf(source: WeightSource): WeightAccess {
  const { name, shape, dtype, format, parts, rowOrder } = checkView(source);
  if (dtype === 'int32') {
    throw new TensorsError(
      'DTYPE_MISMATCH',
      `openWeight: ${name} holds integers; expected float32, bfloat16 or float16`,
    );
  }
  const stored = plainBytes(source);
  if (stored !== undefined) return { kind: 'mapped', file: stored };
  const files = parts.flatMap(filePart);
  if (decoded.has(format) && files.length === parts.length && sizeOf(shape) > 0) {
    const rows = shape.length > 1 || rowOrder !== undefined ? (shape[0] ?? 1) : 1;
    return { kind: 'encoded', files, rows, columns: sizeOf(shape) / rows };
  }
  const kept = dtype === 'bfloat16' ? 'bfloat16' : 'float32';
  return { kind: 'copied', dtype: kept, bytes: sizeOf(shape) * bytesPerElement[kept] };
}

const filePart = ({ file, byteLength }: ByteSource): readonly FilePart[] =>
  file === undefined ? [] : [{ ...file, byteLength }];

/** What a weight's file must have; throws FILE_UNREADABLE where it has not. */
export function checkFilePart(source: WeightSource, part: FilePart, fileBytes: number): void {
  const { path, byteOffset, byteLength } = part;
  if (byteOffset >= 0 && byteOffset + byteLength <= fileBytes) return;
  throw new FilesError(
    'FILE_UNREADABLE',
    `${source.name}, ${formatShape(source.shape)} of ${source.format.kind}, should be at bytes ${byteOffset} to ${byteOffset + byteLength} of ${path}, ` +
      `which has ${fileBytes}: the file is cut short or is another one; get it again`,
  );
}

/** What a copied weight is reported as: its format, and where it lies if that is the reason. */
export const copiedAs = ({ format }: WeightSource): string =>
  decoded.has(format) ? `${format.kind}, not in a file` : format.kind;
