import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { distance } from 'fastest-levenshtein';
import { fromBfloat16Bits, fromFloat16Bits, type DType } from './dtype.js';
import { TensorsError } from './errors.js';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors-header.js';
import type { WeightSource } from './weight-source.js';

/** All tensors of a checkpoint folder by name, wherever they lie; only headers have been read. */
export interface CheckpointFiles {
  readonly folder: string;
  readonly files: readonly string[];
  readonly totalBytes: number;
  names(): readonly string[];
  has(name: string): boolean;
  /** Throws SAFETENSORS_MISSING_TENSOR with names that come close. */
  source(name: string): WeightSource;
}

const weightDtypes: Readonly<Record<string, DType>> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
  I32: 'int32',
};

/** Open `model.safetensors`, or the shards that `model.safetensors.index.json` names. */
export function openCheckpointFiles(folder: string): CheckpointFiles {
  const index = path.join(folder, 'model.safetensors.index.json');
  const single = path.join(folder, 'model.safetensors');
  if (existsSync(index)) return openShards(folder, index);
  if (existsSync(single)) return openSafetensors(single);
  throw noWeights(folder);
}

/** Open one safetensors file, such as an adapter's. */
export function openSafetensors(file: string): CheckpointFiles {
  return gather(path.dirname(file), [file], readSafetensorsHeader(file).tensors, new Map());
}

function openShards(folder: string, index: string): CheckpointFiles {
  const invalid = (message: string, cause?: unknown): TensorsError =>
    new TensorsError('SAFETENSORS_INVALID', `${index}: ${message}; download it again`, { cause });
  let map: unknown;
  try {
    map = (JSON.parse(readFileSync(index, 'utf8')) as { weight_map?: unknown } | null)?.weight_map;
  } catch (cause) {
    throw invalid(`is not JSON (${(cause as Error).message})`, cause);
  }
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw invalid('has no weight_map from tensors to files');
  const shardOf = Object.entries(map as Record<string, unknown>);
  const shards = [...new Set(shardOf.map(([, shard]) => shard))].map((shard) => {
    if (typeof shard !== 'string' || shard === '' || path.basename(shard) !== shard || shard === '..') {
      throw invalid(`names the shard ${JSON.stringify(shard)}; expected the name of a file in the same folder`);
    }
    const file = path.join(folder, shard);
    if (!existsSync(file)) throw invalid(`names the shard ${shard}, which is not in ${folder}`);
    return { shard, file, header: readSafetensorsHeader(file) };
  });
  const tensors = new Map<string, SafetensorsEntry>();
  const files = new Map<string, string>();
  for (const { shard, file, header } of shards) {
    for (const [name, entry] of header.tensors) {
      if (files.has(name)) throw invalid(`tensor ${name} is in ${path.basename(files.get(name)!)} and in ${shard}`);
      tensors.set(name, entry);
      files.set(name, file);
    }
  }
  for (const [name, shard] of shardOf) {
    if (path.basename(files.get(name) ?? '') !== shard)
      throw invalid(`says that tensor ${name} is in ${String(shard)}; it is not`);
  }
  return gather(
    folder,
    shards.map(({ file }) => file),
    tensors,
    files,
  );
}

function gather(
  folder: string,
  files: readonly string[],
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  fileOf: ReadonlyMap<string, string>,
): CheckpointFiles {
  return {
    folder,
    files,
    totalBytes: [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    source(name) {
      const entry = tensors.get(name);
      if (entry === undefined) {
        const close = [...tensors.keys()].sort((a, b) => distance(a, name) - distance(b, name)).slice(0, 3);
        throw new TensorsError(
          'SAFETENSORS_MISSING_TENSOR',
          `${folder} has no tensor ${name}; the closest names are ${close.join(', ') || 'none: it is empty'}`,
        );
      }
      const dtype = weightDtypes[entry.dtype];
      if (dtype === undefined) {
        throw new TensorsError(
          'DTYPE_MISMATCH',
          `tensor ${name} of ${folder} is stored as ${entry.dtype}; expected ${Object.keys(weightDtypes).join(', ')}: convert the checkpoint to one of these`,
        );
      }
      const { shape, byteOffset, byteLength } = entry;
      return { name, shape, dtype, file: fileOf.get(name) ?? files[0]!, byteOffset, byteLength };
    },
  };
}

function noWeights(folder: string): TensorsError {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    return new TensorsError('FILE_UNREADABLE', `cannot read the folder ${folder}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const pickle = names.find((name) => /\.(bin|pth|pt|ckpt)$/.test(name));
  if (pickle !== undefined) {
    return new TensorsError(
      'FILE_UNREADABLE',
      `${folder} has its weights as ${pickle}: a pickle file can run any code when it is loaded, so Glulam does not read it. ` +
        'Convert it where you trust it: model.save_pretrained(folder, safe_serialization=True) in transformers.',
    );
  }
  const other = names.filter((name) => name.endsWith('.safetensors'));
  return new TensorsError(
    'FILE_UNREADABLE',
    `${folder} has no model.safetensors and no model.safetensors.index.json` +
      (other.length > 0
        ? ` (it has ${other.join(', ')}, which is another layout: use the Hugging Face one)`
        : '; expected a Hugging Face checkpoint'),
  );
}

/** Rows `[start, end)` along the first axis, widened to float32; a scalar is one row. */
export function readFloats(
  { name, shape, dtype, file, byteOffset, byteLength }: WeightSource,
  start = 0,
  end = shape[0] ?? 1,
): Float32Array {
  if (dtype === 'int32')
    throw new TensorsError('DTYPE_MISMATCH', `tensor ${name} holds integers; expected floating point`);
  const rows = shape[0] ?? 1;
  const rowBytes = rows === 0 ? 0 : byteLength / rows;
  const bytes = readBytes(file, byteOffset + start * rowBytes, (end - start) * rowBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'float32')
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
  const widen = dtype === 'bfloat16' ? fromBfloat16Bits : fromFloat16Bits;
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => widen(view.getUint16(i * 2, true)));
}

function readBytes(file: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const handle = openSync(file, 'r');
  try {
    let done = 0;
    while (done < length) {
      const count = readSync(handle, bytes, done, length - done, offset + done);
      if (count === 0)
        throw new TensorsError(
          'FILE_UNREADABLE',
          `${file} ended at byte ${offset + done}; it changed since it was opened`,
        );
      done += count;
    }
    return bytes;
  } finally {
    closeSync(handle);
  }
}
