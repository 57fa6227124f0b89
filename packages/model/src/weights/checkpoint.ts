import {
  checkStamps,
  createWeightSource,
  fileBytes,
  isAdapterFolder,
  plainFormats,
  quoteValue,
  sizeOf,
  storedBytes,
  type CheckpointDocuments,
  type DType,
} from '@glulam/files';
import type { CheckpointTensors } from './checkpoint-tensors.js';
import { readCheckpointConfig, type CheckpointConfig } from '../families/checkpoint-config.js';
import { ModelError } from '../errors.js';
import { readCheckpoint, type CheckpointReader, type StoredCheckpoint } from '../checkpoints/checkpoint-reader.js';
import { expectedTensors } from './expected-tensors.js';
import { settleTensors } from './settle-tensors.js';
import type { Family } from '../families/family.js';
import type { ModelSpec } from '../families/model-spec.js';
import { followConfig } from '../families/follow-config.js';
import { unexpandedLayers, type VirtualLayer } from '../expansion/virtual-layer.js';
import { baseTensors } from './base-tensors.js';

/** A base checkpoint whose files were looked through and found whole; nothing is loaded yet. */
export interface Checkpoint {
  /** Its path: a folder, or the file that holds it all. */
  readonly folder: string;
  /** What it says besides its weights. */
  readonly documents: CheckpointDocuments;
  /** Its `config.json`. */
  readonly config: CheckpointConfig;
  /** The family that read the config. */
  readonly family: Family;
  /** What the model is made of. */
  readonly spec: ModelSpec;
  /** The keys of `config.json` that the family follows. */
  readonly followed: ReadonlySet<string>;
  /** Its tensors. */
  readonly files: CheckpointTensors;
  /** For users: what the files say that has no effect here. */
  readonly warnings: readonly string[];
}

/**
 * Open a base checkpoint: read its config by the family that its `model_type` names, and the headers of its tensors,
 * and check that every tensor that the model needs is there in its shape.
 *
 * @param readers of checkpoints that are no Hugging Face folders
 * @throws ModelError CHECKPOINT_INVALID, CONFIG_INVALID, MODEL_TYPE_UNKNOWN, QUANTIZED_UNSUPPORTED; TensorsError
 *   FILE_UNREADABLE, SAFETENSORS_INVALID
 */
export async function openCheckpoint(
  folder: string,
  families: readonly Family[],
  readers?: readonly CheckpointReader[],
): Promise<Checkpoint> {
  return openStored(await readCheckpoint(folder, readers), families);
}

async function openStored(stored: StoredCheckpoint, families: readonly Family[]): Promise<Checkpoint> {
  const { documents } = stored;
  const stamps = documents.stamps();
  const described = readConfig(documents, families);
  const { warnings, files: weights, ...settled } = await settleTensors(stored, described.config, described.spec);
  const files: CheckpointTensors = {
    ...weights,
    checkUnchanged() {
      weights.checkUnchanged();
      checkStamps(stamps);
    },
  };
  const beside = adapterBeside(documents.folder);
  return { ...described, ...settled, files, warnings: [...described.warnings, ...warnings, ...beside] };
}

function adapterBeside(folder: string): readonly string[] {
  if (!isAdapterFolder(folder)) return [];
  return [
    `${folder} holds an adapter beside the weights, which from_pretrained of transformers adds to them. As a base the folder stands for its weights alone`,
  ];
}

/**
 * A base checkpoint for plans: where its weights are not there, as `config.json` alone describes them, in the dtype that
 * it names. Nothing can be read from such a one.
 */
export async function describeCheckpoint(
  folder: string,
  families: readonly Family[],
  readers?: readonly CheckpointReader[],
): Promise<{ readonly checkpoint: Checkpoint; readonly hasWeights: boolean }> {
  const stored = await readCheckpoint(folder, readers);
  const { hasWeights } = stored;
  if (hasWeights) return { checkpoint: await openStored(stored, families), hasWeights };
  const described = readConfig(stored.documents, families);
  return { checkpoint: { ...described, files: describedFiles(folder, described) }, hasWeights };
}

function readConfig(documents: CheckpointDocuments, families: readonly Family[]): Omit<Checkpoint, 'files'> {
  const config = readCheckpointConfig(documents);
  const family = families.find(({ kind }) => kind === config.modelType);
  if (family === undefined) {
    const known = families.map(({ kind }) => kind).sort();
    throw new ModelError(
      'MODEL_TYPE_UNKNOWN',
      `${config.file} says model_type "${config.modelType}"; installed families: ${known.join(', ') || 'none'}. ` +
        'Install a plugin for this family and list it in the config.',
    );
  }
  return { folder: documents.folder, documents, config, family, ...followConfig(family, config) };
}

function describedFiles(folder: string, { config, spec }: Omit<Checkpoint, 'files'>): CheckpointTensors {
  const format = plainFormats[describedDtype(config)];
  const shapes = expectedTensors(spec);
  const notThere = (): never => {
    throw new ModelError('CHECKPOINT_INVALID', `${folder} has no weights; only its config.json was read`);
  };
  return {
    folder,
    files: [],
    totalBytes: storedBytes(format, [parameterCount(spec)]),
    warnings: [],
    names: () => [...shapes.keys()],
    has: (name) => shapes.has(name),
    checkUnchanged: () => {},
    entry: notThere,
    source(name) {
      const size = shapes.get(name) ?? notThere();
      const parts = format.sizes(size).map((bytes) => fileBytes(name, 0, bytes));
      return createWeightSource({ name, shape: size, format, parts, origin: folder });
    },
  };
}

/** PyTorch's names, which configs have with or without their module. */
const dtypeNames: Readonly<Record<string, DType>> = {
  float32: 'float32',
  float: 'float32',
  bfloat16: 'bfloat16',
  float16: 'float16',
  half: 'float16',
};

function describedDtype({ file, fields }: CheckpointConfig): DType {
  const named = fields['dtype'] ?? fields['torch_dtype'] ?? 'float32';
  const plain = typeof named === 'string' ? named.replace(/^torch\./, '') : '';
  if (Object.hasOwn(dtypeNames, plain)) return dtypeNames[plain]!;
  throw new ModelError(
    'CONFIG_INVALID',
    `${file} says dtype ${quoteValue(named)}; expected float32, bfloat16 or float16`,
  );
}

/** Parameters of a base, or of what these virtual layers make of it if each had weights of its own. */
export function parameterCount(
  spec: ModelSpec,
  layers: readonly VirtualLayer[] = unexpandedLayers(spec.layers.length),
): number {
  const tensors = baseTensors(spec, layers).filter(({ role }) => role !== 'head' || !spec.head.tied);
  return tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
