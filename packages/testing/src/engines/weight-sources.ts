import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  createWeightSource,
  encodeFloats,
  fileBytes,
  ggmlEncode,
  memoryBytes,
  nf4Formats,
  orderRows,
  plainFormats,
  q8_0,
  sizeOf,
  sliceStack,
  viewRows,
  type ByteSource,
  type StorageFormat,
  type WeightSource,
} from '@glulam/files';
import { uniforms } from '@glulam/tensors';
import { randomValues } from './engine-check.js';
import { offsetBytes, scaledBytes } from './unknown-formats.js';

const bytesOf = (count: number, use: number): Uint8Array =>
  Uint8Array.from(uniforms(count, [0x62, 0x79, 0x74, use]), (u) => Math.floor(256 * u));

/** Random parts of a tensor of one of these formats. */
function partsOf(format: StorageFormat, shape: readonly number[], use: number): readonly Uint8Array[] {
  const sizes = format.sizes(shape);
  const positive = (bytes: number): Uint8Array => encodeFloats(uniforms(bytes / 4, [1, 2, 3, use]), 'float32');
  if (format === q8_0) return [ggmlEncode(randomValues(shape, use), 'Q8_0')];
  if (format === scaledBytes) return [positive(sizes[0]!), bytesOf(sizes[1]!, use)];
  if (format === offsetBytes) {
    const offsets = uniforms(sizes[0]! / 2, [1, 2, 4, use]).map((u) => Math.floor(3 * u) / 2);
    const values = bytesOf(sizes[1]!, use).map((byte) => (byte << 1) & 0xfe);
    return [encodeFloats(offsets, 'bfloat16'), values];
  }
  if (format.parts.length === 2) return [bytesOf(sizes[0]!, use), positive(sizes[1]!)];
  if (format.dtype === 'int32') throw new Error('integers are no weights');
  return [encodeFloats(randomValues(shape, use), format.dtype)];
}

/** Another order of rows: the second half as it is, then the first one backwards. */
function swapped(source: WeightSource): WeightSource {
  const rows = [...Array(source.shape[0]).keys()];
  const half = rows.length >> 1;
  return orderRows(source, [...rows.slice(half), ...rows.slice(0, half).reverse()]);
}

interface NamedSource {
  readonly about: string;
  readonly source: WeightSource;
}

/**
 * Matrices in storage formats, some of which no engine knows, and views of them: some rows, rows in another order, one
 * matrix of a stack; in files and in memory. The files live while `body` runs.
 */
export async function withEncodedWeights(body: (sources: readonly NamedSource[]) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-test-formats-'));
  let count = 0;
  const inFile = (parts: readonly Uint8Array[]): ByteSource[] => {
    const file = path.join(folder, `${count++}`);
    // At odd bytes: files align nothing.
    const lead = 3;
    writeFileSync(file, Buffer.concat([Buffer.alloc(lead), ...parts]));
    let at = lead;
    return parts.map((part) => fileBytes(file, (at += part.length) - part.length, part.length));
  };
  const stored = (format: StorageFormat, shape: readonly number[], memory = false): WeightSource => {
    const bytes = partsOf(format, shape, sizeOf(shape));
    const parts = memory ? bytes.map(memoryBytes) : inFile(bytes);
    return createWeightSource({ name: format.kind, shape, format, parts, origin: folder });
  };
  const known = [q8_0, ...Object.values(nf4Formats), scaledBytes, offsetBytes];
  const sources: NamedSource[] = [
    ...known.map((format) => ({ about: format.kind, source: stored(format, [67, 160]) })),
    // Long rows, and rows of a single element.
    ...[q8_0, nf4Formats.bfloat16].map((format) => ({
      about: `${format.kind}, long rows`,
      source: stored(format, [40, 2080]),
    })),
    { about: 'nf4-float32, rows of one element', source: stored(nf4Formats.float32, [600, 1]) },
    // A row is no whole number of blocks: 66 rows of 90 elements end within one.
    ...[nf4Formats.bfloat16, offsetBytes].map((format) => ({
      about: `${format.kind}, blocks across rows`,
      source: stored(format, [67, 90]),
    })),
    ...[q8_0, nf4Formats.bfloat16, scaledBytes, offsetBytes].flatMap((format) => {
      const stack = stored(format, [3, 40, 96]);
      const matrix = sliceStack(stack, 1);
      return [
        { about: `${format.kind}, one of a stack`, source: matrix },
        { about: `${format.kind}, some rows in another order`, source: swapped(viewRows(matrix, 5, 39)) },
      ];
    }),
    ...(['float32', 'bfloat16', 'float16'] as const).map((dtype) => ({
      about: `${dtype}, rows in another order`,
      source: swapped(stored(plainFormats[dtype], [40, 70])),
    })),
    { about: 'bfloat16, one of a stack', source: sliceStack(stored(plainFormats.bfloat16, [3, 40, 70]), 2) },
    { about: 'q8_0, in memory', source: stored(q8_0, [40, 64], true) },
    { about: 'bfloat16, in memory', source: stored(plainFormats.bfloat16, [40, 70], true) },
  ];
  try {
    await body(sources);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
