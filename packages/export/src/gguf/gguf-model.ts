import path from 'node:path';
import { ggufValue, shortList, type GgufValue } from '@glulam/files';
import {
  attentionOf,
  linearNamesOf,
  mlpOf,
  normsOf,
  windowOf,
  type GgufNames,
  type LayerSpec,
  type ModelSpec,
  type RopeSettings,
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
  /** That of layers without a window, where these have one of their own. */
  readonly rope: RopeSpec;
  /** Of layers that have one, where a file says it; 0: none has. */
  readonly window: number;
  readonly scoreCap: number | undefined;
}

/**
 * A model as llama.cpp's metadata have it, which say most of it once for all layers.
 *
 * @param spec of the model that is written: its layers are the virtual ones, since llama.cpp takes some kinds from their places
 * @throws ExportError GGUF_UNSUPPORTED if its family has no names for GGUF, or its layers are not alike
 */
export function ggufModelOf(spec: ModelSpec, kind: string): GgufModel {
  const unsupported = (why: string): ExportError =>
    new ExportError('GGUF_UNSUPPORTED', `models of type "${kind}" cannot be exported to GGUF: ${why}`);
  const { gguf: names, layers, finalNorm } = spec;
  if (names === undefined) throw unsupported('their family gives no GGUF names');
  const same = <T>(values: readonly T[], what: string): readonly T[] => {
    const texts = new Set(values.map((value) => JSON.stringify(value)));
    if (texts.size <= 1) return values;
    throw unsupported(
      `their layers differ in the ${what}, which a GGUF file of the architecture "${names.architecture}" says once`,
    );
  };
  const alike = <T>(what: string, valueOf: (layer: LayerSpec) => T | undefined): readonly (T | undefined)[] =>
    same(layers.map(valueOf), what);
  const shared = <T>(what: string, valueOf: (layer: LayerSpec) => T | undefined): T => {
    const [first] = alike(what, valueOf);
    if (first === undefined) throw unsupported(`their layers have no ${what}`);
    return first;
  };
  const repeated = ['attention', 'mlp'].find((kind) =>
    layers.some(({ blocks }) => blocks.filter((block) => block.kind === kind).length > 1),
  );
  if (repeated !== undefined) throw unsupported(`a layer has more than one block of the kind ${repeated}`);
  const turnedInPart = layers.map(attentionOf).find((block) => block?.rope && block.rope.dimensions !== block.headSize);
  if (turnedInPart !== undefined && names.turnsNeighbours)
    throw unsupported('their rotary embedding turns a part of each head');
  const { graph = {} } = names;
  const { keys = [], lastOfPeriod, windowTheta } = graph;
  checkPlaces(layers, names, unsupported);
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
  const heads = shared('number of heads', (layer) => attentionOf(layer)?.heads);
  const scale = shared('scale of attention', (layer) => attentionOf(layer)?.scale);
  const headSize = shared('size of a head', (layer) => attentionOf(layer)?.headSize);
  if (graph.fixesScale === true && scale !== headSize ** -0.5)
    throw unsupported(
      `their scores are multiplied by ${scale}, and llama.cpp's architecture "${names.architecture}" multiplies by ${headSize ** -0.5}, whatever a file says`,
    );
  const [scoreCap] = alike('cap of scores', (layer) => attentionOf(layer)?.softCap);
  const logitCap = spec.head.softCap;
  const hasCaps = scoreCap !== undefined || logitCap !== undefined;
  if (keys.includes('caps') ? scoreCap === undefined || logitCap === undefined : hasCaps)
    throw unsupported(
      `their scores and logits have the caps ${scoreCap ?? 'none'} and ${logitCap ?? 'none'}, and llama.cpp's architecture "${names.architecture}" has ${keys.includes('caps') ? 'both' : 'none'}`,
    );
  const blocks = layers.flatMap((layer) => layer.blocks);
  const [outputScale = 1] = same(
    blocks.map((block) => block.outputScale ?? 1),
    'scale of outputs',
  );
  const { activation = 'silu' } = graph;
  const [own = activation] = same(
    layers.flatMap((layer) => mlpOf(layer) ?? []).map((mlp) => mlp.activation ?? 'silu'),
    'activation',
  );
  if (own !== activation)
    throw unsupported(
      `their activation is ${own}, and llama.cpp's architecture "${names.architecture}" computes ${activation}`,
    );
  const factors = [outputScale, spec.embedding.scale?.factor ?? 1, spec.head.inputScale ?? 1];
  const expected = graph.scalesEmbedding === true ? [1, Math.sqrt(spec.hiddenSize), 1] : [1, 1, 1];
  if (!keys.includes('multipliers') && factors.some((factor, i) => factor !== expected[i]))
    throw unsupported(
      `they multiply outputs, embedding and logits by ${factors.join(', ')}, and llama.cpp's architecture "${names.architecture}" by ${expected.join(', ')}`,
    );
  const hasWindow = (layer: LayerSpec): boolean => windowOf(layer) > 0;
  const [window] = keys.includes('windows') ? same(layers.filter(hasWindow).map(windowOf), 'windows') : [];
  const turning = layers.filter((layer) => attentionOf(layer)?.rope !== undefined);
  const ropes = (of: readonly LayerSpec[]): RopeSpec[] => of.map((layer) => attentionOf(layer)!.rope!);
  const [local] = windowTheta === undefined ? [] : same(ropes(turning.filter(hasWindow)), 'rotary embedding');
  if (local !== undefined && !(local.settings.type === 'default' && local.settings.theta === windowTheta))
    throw unsupported(
      `their layers with a window turn by ${JSON.stringify(local.settings)}, and llama.cpp's architecture "${names.architecture}" turns them by the base ${windowTheta}`,
    );
  const rope =
    windowTheta !== undefined
      ? same(ropes(turning.filter((layer) => !hasWindow(layer))), 'rotary embedding')[0]
      : lastOfPeriod?.lacks === 'rope'
        ? same(ropes(turning), 'rotary embedding')[0]
        : shared('rotary embedding', (layer) => attentionOf(layer)?.rope);
  if (rope === undefined) throw unsupported('no layer has the rotary embedding that a GGUF file names');
  checkRope(rope, unsupported);
  return {
    names,
    heads,
    keyValueHeads: shared('number of key and value heads', (layer) => attentionOf(layer)?.keyValueHeads),
    headSize,
    scale,
    intermediateSize: layers.every((layer) => mlpOf(layer) === undefined)
      ? undefined
      : shared("MLP's width", (layer) => mlpOf(layer)?.intermediateSize),
    rope,
    window: window ?? 0,
    scoreCap,
    epsilon: finalNorm.epsilon,
  };
}

type Unsupported = (why: string) => ExportError;

/** llama.cpp knows some kinds of layers by their places, and an expansion moves layers. */
function checkPlaces(layers: readonly LayerSpec[], names: GgufNames, unsupported: Unsupported): void {
  const { lastOfPeriod } = names.graph ?? {};
  if (lastOfPeriod === undefined) return;
  const { lacks, period } = lastOfPeriod;
  const wrong = layers.findIndex((layer, index) => {
    const has = lacks === 'window' ? windowOf(layer) > 0 : attentionOf(layer)?.rope !== undefined;
    return has === ((index + 1) % period === 0);
  });
  if (wrong < 0) return;
  const what = lacks === 'window' ? 'a window' : 'a rotary embedding';
  throw unsupported(
    `llama.cpp's architecture "${names.architecture}" takes every ${period}th layer for one without ${what} and the others for such with one, and layer ${wrong} here is of the other kind: choose a layer map that keeps the order of kinds`,
  );
}

/** What a file can say of a rotary embedding. */
function checkRope({ settings }: RopeSpec, unsupported: Unsupported): void {
  if (settings.type === 'dynamic')
    throw unsupported('their rotary embedding is of the type dynamic, which llama.cpp does not compute');
  if (settings.type !== 'yarn') return;
  const { betaFast, betaSlow, truncate, attentionFactor, factor } = settings;
  const usual = 0.1 * Math.log(factor) + 1;
  if (betaFast !== 32 || betaSlow !== 1 || !truncate || Math.abs(attentionFactor / usual - 1) > 1e-6)
    throw unsupported(
      `their rotary embedding is of the type yarn with settings of its own (${JSON.stringify(settings)}), and llama.cpp computes the usual ones`,
    );
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
      ...ropeMetadata(settings),
      ...(model.window > 0 ? { 'attention.sliding_window': uint32(model.window) } : {}),
      ...(model.scoreCap === undefined ? {} : { attn_logit_softcapping: float32(model.scoreCap) }),
      ...(spec.head.softCap === undefined ? {} : { final_logit_softcapping: float32(spec.head.softCap) }),
      ...(model.names.graph?.keys?.includes('multipliers') === true
        ? {
            embedding_scale: float32(spec.embedding.scale?.factor ?? 1),
            residual_scale: float32(spec.layers[0]?.blocks[0]?.outputScale ?? 1),
            // Logits are divided by it.
            logit_scale: float32(1 / (spec.head.inputScale ?? 1)),
          }
        : {}),
      vocab_size: uint32(spec.vocabularySize),
    }),
  ]);
}

function ropeMetadata(settings: RopeSettings): Readonly<Record<string, GgufValue>> {
  if (settings.type === 'linear')
    return { 'rope.scaling.type': string('linear'), 'rope.scaling.factor': float32(settings.factor) };
  if (settings.type === 'yarn')
    return {
      'rope.scaling.type': string('yarn'),
      'rope.scaling.factor': float32(settings.factor),
      'rope.scaling.original_context_length': uint32(settings.originalMaxPositions),
    };
  if (settings.type === 'longrope')
    return {
      'rope.scaling.type': string('longrope'),
      'rope.scaling.original_context_length': uint32(settings.originalMaxPositions),
      'rope.scaling.attn_factor': float32(settings.attentionFactor),
    };
  return {};
}
