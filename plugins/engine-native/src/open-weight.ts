import {
  bytesPerElement,
  nf4Formats,
  plainBytes,
  plainFormats,
  q8_0,
  sizeOf,
  type ByteSource,
  type FilePart,
  type StorageFormat,
  type WeightSource,
} from '@glulam/files';
import { checkWeight } from '@glulam/tensors';

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

/** The formats of native/formats/formats.h. */
const decoded: ReadonlySet<StorageFormat> = new Set([
  ...[plainFormats.float32, plainFormats.bfloat16, plainFormats.float16, q8_0],
  ...Object.values(nf4Formats),
]);

/** Throws as `checkWeight` does. */
export function accessOf(source: WeightSource): WeightAccess {
  checkWeight(source);
  const { shape, dtype, format, parts, rowOrder } = source;
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

/** What a copied weight is reported as: its format, and where it lies if that is the reason. */
export const copiedAs = ({ format }: WeightSource): string =>
  decoded.has(format) ? `${format.kind}, not in a file` : format.kind;
