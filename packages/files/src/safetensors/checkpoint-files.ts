import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { distance } from 'fastest-levenshtein';
import type { DType } from '../numbers/dtype.js';
import { duplicateKey } from './duplicate-key.js';
import { checkStamps } from '../reading/file-stamp.js';
import { readTextFile } from '../reading/regular-file.js';
import {
  maxHeaderBytes,
  readSafetensorsHeader,
  type FileDtype,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors-header.js';
import { plainSource, type WeightSource } from '../storage/weight-source.js';

/** All tensors of a checkpoint folder by name, wherever they lie; only headers have been read. */
export interface CheckpointFiles {
  /** The folder of the files. */
  readonly folder: string;
  /** Paths of the safetensors files that were opened. */
  readonly files: readonly string[];
  /** Of the tensors, headers apart. */
  readonly totalBytes: number;
  /** Of all files together; the first file has the last word. */
  readonly metadata: Readonly<Record<string, string>>;
  /** For users: faults of the index that concern no tensor that is needed. */
  readonly warnings: readonly string[];
  /** Names of all tensors, file after file. */
  names(): readonly string[];
  /** Whether there is a tensor of that name. */
  has(name: string): boolean;
  /** A tensor of whatever type, as its file describes it. Throws SAFETENSORS_MISSING_TENSOR with names that come close. */
  entry(name: string): SafetensorsEntry;
  /** A tensor to open as a weight: like `entry`, and throws DTYPE_MISMATCH for a type that no engine reads. */
  source(name: string): WeightSource;
  /**
   * Throws FILE_CHANGED where a file is no longer as it was when it was opened. Whoever keeps or shows something that
   * was computed from tensors calls this first; see `whileUnchanged`.
   */
  checkUnchanged(): void;
}

const weightDtypes: Readonly<Partial<Record<FileDtype, DType>>> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
  I32: 'int32',
};

const singleName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

/**
 * Open `model.safetensors`, or else the shards that `model.safetensors.index.json` names (transformers' order too). Faults
 * of the index that concern only tensors for which `isNeeded` is false become warnings; by default all are needed.
 *
 * Throws FILE_UNREADABLE where there is neither, with a reason and a remedy for other layouts; SAFETENSORS_INVALID.
 */
export function openCheckpointFiles(folder: string, isNeeded: (name: string) => boolean = () => true): CheckpointFiles {
  const single = path.join(folder, singleName);
  const index = path.join(folder, indexName);
  if (existsSync(single)) return gather(folder, [readSafetensorsHeader(single)]);
  if (existsSync(index)) return openShards(folder, index, isNeeded);
  throw noWeights(folder);
}

/** Whether `openCheckpointFiles` has something to open; a link to a file that is missing counts, so that it is reported. */
export function hasCheckpointFiles(folder: string): boolean {
  return [singleName, indexName].some((name) => {
    const file = path.join(folder, name);
    return existsSync(file) || brokenLink(file) !== undefined;
  });
}

/** The target of a link that leads nowhere; undefined for anything else. */
export function brokenLink(file: string): string | undefined {
  if (existsSync(file)) return undefined;
  try {
    return readlinkSync(file);
  } catch {
    return undefined; // there is nothing, or something else
  }
}

/** Open one safetensors file, such as an adapter's. */
export function openSafetensors(file: string): CheckpointFiles {
  return gather(path.dirname(file), [readSafetensorsHeader(file)]);
}

function openShards(folder: string, index: string, isNeeded: (name: string) => boolean): CheckpointFiles {
  const invalid = (message: string, cause?: unknown): FilesError =>
    new FilesError('SAFETENSORS_INVALID', `${index}: ${message}; download it again`, { cause });
  const shardOf = readWeightMap(index, invalid);
  const neededShards = new Set([...shardOf].flatMap(([name, shard]) => (isNeeded(name) ? [shard] : [])));
  const missing: string[] = [];
  const headers = new Map<string, SafetensorsHeader>();
  for (const shard of new Set(shardOf.values())) {
    const file = path.join(folder, shard);
    if (existsSync(file)) headers.set(shard, readSafetensorsHeader(file));
    else if (!neededShards.has(shard)) missing.push(shard);
    else {
      const target = brokenLink(file);
      const found = target === undefined ? 'not' : `a link to ${target}, which does not exist,`;
      throw invalid(`it names the shard ${shard}, which is ${found} in ${folder}`);
    }
  }
  const foundIn = new Map<string, string>();
  const stale: string[] = [];
  for (const [shard, { tensors }] of headers) {
    for (const name of tensors.keys()) {
      const other = foundIn.get(name);
      if (other !== undefined && isNeeded(name))
        throw invalid(`tensor ${name} is in two shards, ${other} and ${shard}`);
      foundIn.set(name, shard);
    }
  }
  for (const [name, shard] of shardOf) {
    const found = foundIn.get(name);
    if (found === shard) continue;
    if (isNeeded(name))
      throw invalid(`it says that tensor ${name} is in ${shard}; it is not, it is in ${found ?? 'none of the shards'}`);
    if (found === undefined && headers.has(shard)) stale.push(name);
  }
  const warnings = [
    ...(missing.length === 0 ? [] : [`the shards ${shorten(missing)} are missing`]),
    ...(stale.length === 0 ? [] : [`the tensors ${shorten(stale)} are in no shard`]),
  ].map((fault) => `${index} is out of date: ${fault}; nothing needs them`);
  return gather(folder, [...headers.values()], warnings);
}

const shorten = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');

/** The shard of each tensor. */
function readWeightMap(index: string, invalid: (message: string, cause?: unknown) => FilesError): Map<string, string> {
  let text: string;
  try {
    text = readTextFile(index, maxHeaderBytes);
  } catch (cause) {
    throw new FilesError('FILE_UNREADABLE', `cannot read ${index}: ${(cause as Error).message}`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`it is not JSON (${(cause as Error).message})`, cause);
  }
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw invalid('it has no weight_map, an object with the file of each tensor');
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw invalid(`it has ${JSON.stringify(twice)} twice in one object`);
  const entries = Object.entries(map as Record<string, unknown>);
  if (entries.length === 0) throw invalid('its weight_map is empty');
  for (const [name, shard] of entries) {
    // A path could lead out of the folder; a colon names a drive or a stream on Windows.
    if (typeof shard === 'string' && /^[^\\/:\0]+$/.test(shard) && shard !== '.' && shard !== '..') continue;
    const shown = typeof shard === 'string' ? JSON.stringify(shard) : `a value of type ${typeof shard}`;
    throw invalid(`its weight_map puts tensor ${name} into ${shown}, expected the name of a file in the same folder`);
  }
  return new Map(entries as [string, string][]);
}

function gather(
  folder: string,
  headers: readonly SafetensorsHeader[],
  warnings: readonly string[] = [],
): CheckpointFiles {
  const tensors = new Map(headers.flatMap((header) => [...header.tensors]));
  const files = headers.map(({ file }) => file);
  const stamps = headers.map(({ stamp }) => stamp);
  const where = files.length === 1 ? files[0]! : folder;
  const entry = (name: string): SafetensorsEntry => {
    const found = tensors.get(name);
    if (found !== undefined) return found;
    const close = [...tensors.keys()]
      .map((other) => ({ other, distance: distance(other, name) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 3);
    throw new FilesError(
      'SAFETENSORS_MISSING_TENSOR',
      `${where} has no tensor ${name}; ` +
        (close.length === 0
          ? 'it has none at all'
          : `the closest names are ${close.map(({ other }) => other).join(', ')}`),
    );
  };
  return {
    folder,
    files,
    totalBytes: [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    metadata: Object.assign({}, ...headers.map(({ metadata }) => metadata).reverse()) as Record<string, string>,
    warnings,
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    checkUnchanged: () => checkStamps(stamps),
    entry,
    source(name) {
      const { dtype, shape, file, byteOffset } = entry(name);
      const weightDtype = weightDtypes[dtype];
      if (weightDtype !== undefined) return plainSource({ name, shape, dtype: weightDtype, file, byteOffset });
      throw new FilesError(
        'DTYPE_MISMATCH',
        `tensor ${name} of ${file} is stored as ${dtype}, expected one of ${Object.keys(weightDtypes).join(', ')}: ` +
          'convert the checkpoint, for example to BF16 with transformers',
      );
    },
  };
}

function noWeights(folder: string): FilesError {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    return new FilesError('FILE_UNREADABLE', `cannot read the folder ${folder}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const fault = (message: string): FilesError => new FilesError('FILE_UNREADABLE', `${folder} ${message}`);
  const expected = `${singleName} or ${indexName}`;
  for (const name of [singleName, indexName]) {
    const target = brokenLink(path.join(folder, name));
    if (target !== undefined)
      return fault(`has ${name} as a link to ${target}, which does not exist: download the file again`);
  }
  const safe = names.filter((name) => name.endsWith('.safetensors')).sort();
  if (safe.some((name) => name.startsWith('consolidated'))) {
    return fault(
      `has only ${safe.join(', ')}, which is another layout, Mistral's own; expected ${expected}: ` +
        'download these files of the same model, or convert with convert_mistral_weights_to_hf.py of transformers',
    );
  }
  if (safe.length > 0) return fault(`has ${safe.join(', ')}, but no ${expected}: download the missing file`);
  const pickle = names.filter((name) => /\.(bin|pth|pt|ckpt)$/.test(name)).sort();
  if (pickle.length > 0) {
    return fault(
      `has its weights in ${pickle.join(', ')}: a pickle file can run any code when it is loaded, so Glulam does not read ` +
        'it. Convert it where you trust it, with transformers: ' +
        `AutoModelForCausalLM.from_pretrained("${path.basename(folder)}").save_pretrained("converted", safe_serialization=True)`,
    );
  }
  return fault(`has no weights; expected a Hugging Face checkpoint with ${expected}`);
}
