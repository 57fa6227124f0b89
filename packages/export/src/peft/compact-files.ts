import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compactName, peftName, readTextFile, writeFolderAtomic } from '@glulam/files';
import {
  checkAdapterOptions,
  checkVirtualLayers,
  guardAdapter,
  keepPeftFields,
  attentionOf,
  linearSites,
  mlpOf,
  ModelError,
  mostLayers,
  silentLayers,
  unexpandedLayers,
  type AdapterChoice,
  type AdapterContribution,
  type Decoder,
  type ModelSpec,
  type SavedAdapter,
  type VirtualLayer,
} from '@glulam/model';
import { z } from 'zod';
import { ExportError } from '../errors.js';
import {
  notPeft,
  readAdapterTensors,
  readPeftAdapter,
  readPeftConfig,
  writeAdapterTensors,
  writePeftConfig,
} from './peft-files.js';

const dimension = z.int().positive();
const layerSchema = z.strictObject({
  physical: z.int().min(0),
  weights: z.enum(['shared', 'own']).optional(),
  start: z.literal('zero').optional(),
  residualScale: z.number().optional(),
  linearScales: z.record(z.string(), z.number()).optional(),
  gate: z.literal('learned').optional(),
});
const compactSchema = z.strictObject({
  version: z.literal(1),
  /** Folder of the base checkpoint, or its name on the Hub with the commit. */
  base: z.string(),
  /** The base's dimensions: another base is refused. */
  shape: z.strictObject({
    physicalLayers: dimension,
    hiddenSize: dimension,
    intermediateSize: dimension.optional(),
    heads: dimension.optional(),
    keyValueHeads: dimension.optional(),
    vocabularySize: dimension,
  }),
  layers: z.array(layerSchema).min(1),
  adapter: z.strictObject({ kind: z.string(), options: z.unknown() }),
});
type Compact = z.infer<typeof compactSchema>;

/** Of attention and MLP, those of the first layer that has one. */
const dimensionsOf = ({ hiddenSize, vocabularySize, layers }: ModelSpec): Compact['shape'] => {
  const attention = layers.map(attentionOf).find((block) => block !== undefined);
  const mlp = layers.map(mlpOf).find((block) => block !== undefined);
  return {
    physicalLayers: layers.length,
    hiddenSize,
    intermediateSize: mlp?.intermediateSize,
    heads: attention?.heads,
    keyValueHeads: attention?.keyValueHeads,
    vocabularySize,
  };
};

/**
 * Write the compact form: `glulam.json` (the base's name, the virtual layers, the adapter) and the trained tensors, and
 * beside them PEFT's `adapter_config.json` where PEFT can say it all. Replaces a folder that is there whole.
 */
export async function writeAdapter(
  decoder: Decoder,
  folder: string,
  { base, adapter }: { readonly base: string; readonly adapter: AdapterChoice },
): Promise<void> {
  const compact: Compact = {
    version: 1,
    base,
    shape: dimensionsOf(decoder.spec),
    layers: decoder.layers.map((layer) => ({ ...layer })),
    adapter: { kind: adapter.kind, options: adapter.options },
  };
  await writeFolderAtomic(folder, async (temporary) => {
    await writeFile(path.join(temporary, compactName), `${JSON.stringify(compact, null, 2)}\n`);
    if (notPeft(decoder) === undefined) await writePeftConfig(decoder, temporary, base);
    await writeAdapterTensors(decoder, temporary);
  });
}

/**
 * Read an adapter folder: the compact form if it is one, else PEFT's.
 *
 * @param spec the base it is to be put on: an adapter of another one is refused
 * @throws ExportError ADAPTER_INVALID
 */
export function readAdapter(folder: string, kinds: readonly AdapterContribution[], spec: ModelSpec): SavedAdapter {
  const saved = readEither(folder, kinds, spec);
  const { choice, layers = unexpandedLayers(spec.layers.length) } = saved;
  checkLayers(folder, layers, spec);
  const warnings = kinds
    .find(({ kind }) => kind === choice.kind)
    ?.warnings?.(choice.options, linearSites(spec, layers), spec);
  return { ...saved, warnings: [...saved.warnings, ...(warnings ?? []), ...silentLayers(layers)] };
}

/** A file's layers are another's than the config's: what is wrong with them is the adapter's fault. */
function checkLayers(folder: string, layers: readonly VirtualLayer[], spec: ModelSpec): void {
  try {
    checkVirtualLayers(layers, spec);
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    throw new ExportError('ADAPTER_INVALID', `${folder} does not fit the base: ${cause.message}`, { cause });
  }
}

function readEither(folder: string, kinds: readonly AdapterContribution[], spec: ModelSpec): SavedAdapter {
  const file = path.join(folder, compactName);
  if (!existsSync(file)) return readPeftAdapter(folder, kinds, spec);
  const compact = readCompact(file);
  const [got, expected] = [compact.shape, dimensionsOf(spec)];
  const other = Object.keys(expected) as (keyof typeof expected)[];
  const differs = other.filter((name) => got[name] !== expected[name]);
  if (differs.length > 0) {
    throw new ExportError(
      'ADAPTER_INVALID',
      `${folder} is an adapter for another base (${compact.base}): ` +
        differs.map((name) => `${name} is ${got[name]}, here ${expected[name]}`).join(', '),
    );
  }
  const { kind, options } = compact.adapter;
  const contribution = kinds.find((each) => each.kind === kind);
  if (contribution === undefined) {
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} has an adapter of the kind "${kind}"; installed adapters: ${kinds.map((each) => each.kind).join(', ') || 'none'}`,
    );
  }
  const parsed = contribution.schema.safeParse(options);
  if (!parsed.success)
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} has options that ${kind} cannot follow: ${z.prettifyError(parsed.error)}`,
    );
  checkAdapterOptions(contribution, parsed.data, spec);
  const created = guardAdapter(contribution, contribution.create(parsed.data));
  const peft = existsSync(path.join(folder, peftName)) ? readPeftConfig(folder) : {};
  return {
    adapter: keepPeftFields(created, peft).adapter,
    warnings: [],
    choice: { kind, options: parsed.data },
    layers: compact.layers as SavedAdapter['layers'],
    values: readAdapterTensors(folder),
    base: compact.base,
  };
}

/** The name of the base that an adapter folder was trained on, if it says one. */
export function baseOfAdapter(folder: string): string | undefined {
  const file = path.join(folder, compactName);
  if (existsSync(file)) return readCompact(file).base;
  const { base_model_name_or_path: base, revision } = readPeftConfig(folder);
  if (typeof base !== 'string') return undefined;
  return typeof revision === 'string' && !existsSync(base) ? `${base}@${revision}` : base;
}

function readCompact(file: string): Compact {
  const json = readJson(file);
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > 1) {
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} is of version ${version}; this Glulam reads version 1: update Glulam`,
    );
  }
  const { layers } = (json ?? {}) as { layers?: unknown };
  // Before a fault of each of them is made out.
  if (Array.isArray(layers) && layers.length > mostLayers)
    throw new ExportError('ADAPTER_INVALID', `${file} has ${layers.length} layers; expected at most ${mostLayers}`);
  const parsed = compactSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ExportError('ADAPTER_INVALID', `${file} is no compact form: ${z.prettifyError(parsed.error)}`);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readTextFile(file));
  } catch (cause) {
    throw new ExportError('ADAPTER_INVALID', `${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}
