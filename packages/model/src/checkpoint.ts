import { existsSync } from 'node:fs';
import path from 'node:path';
import { bytesPerElement, openCheckpointFiles, sizeOf, type CheckpointFiles, type DType } from '@glulam/tensors';
import { readCheckpointConfig, type CheckpointConfig } from './checkpoint-config.js';
import { ModelError } from './errors.js';
import { quoteValue } from './quote-value.js';
import { baseTensors } from './base-tensors.js';
import type { DecoderShape, Family } from './family.js';
import { followConfig } from './follow-config.js';
import { unexpandedLayers, type VirtualLayer } from './virtual-layer.js';

/** A base checkpoint whose files were looked through and found whole; nothing is loaded yet. */
export interface Checkpoint {
  readonly folder: string;
  readonly config: CheckpointConfig;
  readonly family: Family;
  readonly shape: DecoderShape;
  /** The keys of `config.json` that the family follows. */
  readonly followed: ReadonlySet<string>;
  readonly files: CheckpointFiles;
  /** For users: what the files say that has no effect here. */
  readonly warnings: readonly string[];
}

export function openCheckpoint(folder: string, families: readonly Family[]): Checkpoint {
  const described = readConfig(folder, families);
  const files = openCheckpointFiles(folder);
  checkTensors(files, described.shape);
  return { ...described, files };
}

/**
 * A base checkpoint for plans: where its weights are not there, as `config.json` alone describes them, in the dtype that
 * it names. Nothing can be read from such a one.
 */
export function describeCheckpoint(
  folder: string,
  families: readonly Family[],
): { readonly checkpoint: Checkpoint; readonly hasWeights: boolean } {
  const hasWeights = ['model.safetensors', 'model.safetensors.index.json'].some((name) =>
    existsSync(path.join(folder, name)),
  );
  if (hasWeights) return { checkpoint: openCheckpoint(folder, families), hasWeights };
  const described = readConfig(folder, families);
  return { checkpoint: { ...described, files: describedFiles(folder, described) }, hasWeights };
}

function readConfig(folder: string, families: readonly Family[]): Omit<Checkpoint, 'files'> {
  const config = readCheckpointConfig(folder);
  const family = families.find(({ kind }) => kind === config.modelType);
  if (family === undefined) {
    const known = families.map(({ kind }) => kind).sort();
    throw new ModelError(
      'MODEL_TYPE_UNKNOWN',
      `${config.file} says model_type "${config.modelType}"; installed families: ${known.join(', ') || 'none'}. ` +
        'Install a plugin for this family and list it in the config.',
    );
  }
  return { folder, config, family, ...followConfig(family, config) };
}

function describedFiles(folder: string, { config, shape }: Omit<Checkpoint, 'files'>): CheckpointFiles {
  const { dtype: today, torch_dtype: published } = config.fields;
  const named = today ?? published ?? 'float32';
  const dtypes: readonly DType[] = ['float32', 'bfloat16', 'float16'];
  const dtype = dtypes.find((each) => each === named);
  if (dtype === undefined) {
    throw new ModelError(
      'CONFIG_INVALID',
      `${config.file} says dtype ${quoteValue(named)}; expected one of ${dtypes.join(', ')}`,
    );
  }
  const shapes = expectedTensors(shape);
  const notThere = (): never => {
    throw new ModelError('CHECKPOINT_INVALID', `${folder} has no weights; only its config.json was read`);
  };
  return {
    folder,
    files: [],
    totalBytes: parameterCount(shape) * bytesPerElement[dtype],
    metadata: {},
    names: () => [...shapes.keys()],
    has: (name) => shapes.has(name),
    entry: notThere,
    source(name) {
      const size = shapes.get(name) ?? notThere();
      return { name, shape: size, dtype, file: '', byteOffset: 0, byteLength: sizeOf(size) * bytesPerElement[dtype] };
    },
  };
}

/** Parameters of a base, or of what these virtual layers make of it if each had weights of its own. */
export function parameterCount(shape: DecoderShape, layers?: readonly VirtualLayer[]): number {
  let inLayers = 0;
  let total = 0;
  for (const [name, size] of expectedTensors(shape)) {
    if (name.startsWith(`${shape.names.layer(0)}.`)) inLayers += sizeOf(size);
    total += sizeOf(size);
  }
  return total + inLayers * ((layers?.length ?? shape.physicalLayers) - shape.physicalLayers);
}

/** Every tensor that the decoder will read, with the shape that `config.json` gives it. */
function expectedTensors(shape: DecoderShape): Map<string, readonly number[]> {
  const places = baseTensors(shape, unexpandedLayers(shape.physicalLayers));
  return new Map(places.map(({ source, shape: size }) => [source, size]));
}

function checkTensors(files: CheckpointFiles, shape: DecoderShape): void {
  const faults: string[] = [];
  for (const [name, expected] of expectedTensors(shape)) {
    if (!files.has(name)) {
      faults.push(`${name} is missing`);
      continue;
    }
    const source = files.source(name);
    if (source.shape.join() !== expected.join()) {
      faults.push(`${name} has shape [${source.shape.join(', ')}]; config.json makes it [${expected.join(', ')}]`);
    }
    if (source.dtype === 'int32') faults.push(`${name} is stored as integers; expected F32, F16 or BF16`);
  }
  if (faults.length === 0) return;
  const shown = faults.slice(0, 8).join('\n  ');
  const more = faults.length > 8 ? `\n  and ${faults.length - 8} more` : '';
  throw new ModelError(
    'CHECKPOINT_INVALID',
    `the weights in ${files.folder} do not fit its config.json:\n  ${shown}${more}\nDownload the checkpoint again, whole.`,
  );
}
