import path from 'node:path';
import { ggufValue, shortList, type GgufValue } from '@glulam/files';
import {
  attentionOf,
  linearNamesOf,
  mlpOf,
  normsOf,
  type GgufNames,
  type LayerSpec,
  type ModelSpec,
  type RopeSpec,
} from '@glulam/model';
import { ExportError } from '../errors.js';
import type { MergedModel } from '../merge/merged-model.js';
import type { GgufType } from './gguf-tensors.js';

const { float32, string, uint32 } = ggufValue;

/** llama.cpp's numbers for what most of a file's tensors are (`llama_ftype`). */
const fileTypes: Readonly<Record<GgufType, number>> = { f32: 0, f16: 1, q8_0: 7, bf16: 32 };

/** What a GGUF file says once, for all layers. */
export interface GgufModel {
  readonly names: GgufNames;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly scale: number;
  /** undefined: the layers have an MLP of the family's own. */
  readonly intermediateSize: number | undefined;
  readonly epsilon: number;
  readonly rope: RopeSpec;
}

/**
 * A base as llama.cpp's metadata have it, which say most of it once for all layers.
 *
 * @throws ExportError GGUF_UNSUPPORTED if its family has no names for GGUF, or its layers are not alike
 */
export function ggufModelOf(spec: ModelSpec, kind: string): GgufModel {
  const unsupported = (why: string): ExportError =>
    new ExportError('GGUF_UNSUPPORTED', `models of type "${kind}" cannot be exported to GGUF: ${why}`);
  const { gguf: names, layers, finalNorm } = spec;
  if (names === undefined) throw unsupported('their family gives no GGUF names');
  const shared = <T>(what: string, valueOf: (layer: LayerSpec) => T | undefined): T => {
    const values = new Map(layers.map((layer) => [JSON.stringify(valueOf(layer)), valueOf(layer)]));
    const [first] = values.values();
    if (values.size === 1 && first !== undefined) return first;
    throw unsupported(
      first === undefined && values.size === 1
        ? `their layers have no ${what}`
        : `their layers differ in the ${what}, which a GGUF file of the architecture "${names.architecture}" says once`,
    );
  };
  const repeated = ['attention', 'mlp'].find((kind) =>
    layers.some(({ blocks }) => blocks.filter((block) => block.kind === kind).length > 1),
  );
  if (repeated !== undefined) throw unsupported(`a layer has more than one block of the kind ${repeated}`);
  const turnedInPart = layers.map(attentionOf).find((block) => block?.rope && block.rope.dimensions !== block.headSize);
  if (turnedInPart !== undefined) throw unsupported('their rotary embedding turns a part of each head');
  const unnamed = [
    ...[spec.embedding.name, finalNorm.name, spec.head.name],
    ...linearNamesOf(spec),
    ...layers.flatMap((layer) => normsOf(layer, spec.hiddenSize).map(({ norm }) => norm.name)),
    ...layers.flatMap(({ blocks }) => blocks.flatMap(({ vectors = [] }) => vectors.map(({ name }) => name))),
  ].filter((name) => !Object.hasOwn(names.tensors, name));
  if (unnamed.length > 0) throw unsupported(`their family gives no GGUF name for ${shortList([...new Set(unnamed)])}`);
  const epsilons = (layer: LayerSpec): number[] => normsOf(layer, spec.hiddenSize).map(({ norm }) => norm.epsilon);
  if (layers.some((layer) => epsilons(layer).some((epsilon) => epsilon !== finalNorm.epsilon)))
    throw unsupported('their norms differ in the epsilon, which a GGUF file says once');
  return {
    names,
    heads: shared('number of heads', (layer) => attentionOf(layer)?.heads),
    keyValueHeads: shared('number of key and value heads', (layer) => attentionOf(layer)?.keyValueHeads),
    headSize: shared('size of a head', (layer) => attentionOf(layer)?.headSize),
    scale: shared('scale of attention', (layer) => attentionOf(layer)?.scale),
    intermediateSize: layers.every((layer) => mlpOf(layer) === undefined)
      ? undefined
      : shared("MLP's width", (layer) => mlpOf(layer)?.intermediateSize),
    rope: shared('rotary embedding', (layer) => attentionOf(layer)?.rope),
    epsilon: finalNorm.epsilon,
  };
}

/** What a GGUF file says of the model, the tokenizer apart. */
export function modelMetadata({ base, layers }: MergedModel, model: GgufModel, type: GgufType): Map<string, GgufValue> {
  const { spec, folder } = base;
  const { settings, dimensions } = model.rope;
  const { architecture } = model.names;
  const own = (entries: Readonly<Record<string, GgufValue>>): [string, GgufValue][] =>
    Object.entries(entries).map(([key, value]) => [`${architecture}.${key}`, value]);
  return new Map<string, GgufValue>([
    ['general.architecture', string(architecture)],
    ['general.name', string(path.basename(path.resolve(folder)))],
    ['general.file_type', uint32(fileTypes[type])],
    ['general.quantization_version', uint32(2)],
    ...own({
      block_count: uint32(layers.length),
      context_length: uint32(spec.maxPositions),
      embedding_length: uint32(spec.hiddenSize),
      ...(model.intermediateSize === undefined ? {} : { feed_forward_length: uint32(model.intermediateSize) }),
      'attention.head_count': uint32(model.heads),
      'attention.head_count_kv': uint32(model.keyValueHeads),
      'attention.key_length': uint32(model.headSize),
      'attention.value_length': uint32(model.headSize),
      ...(model.scale === 1 / Math.sqrt(model.headSize) ? {} : { 'attention.scale': float32(model.scale) }),
      'attention.layer_norm_rms_epsilon': float32(model.epsilon),
      'rope.dimension_count': uint32(dimensions),
      'rope.freq_base': float32(settings.theta),
      ...(settings.type === 'linear'
        ? { 'rope.scaling.type': string('linear'), 'rope.scaling.factor': float32(settings.factor) }
        : {}),
      vocab_size: uint32(spec.vocabularySize),
    }),
  ]);
}
