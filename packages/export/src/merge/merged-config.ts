import { isDeepStrictEqual } from 'node:util';
import { attentionOf, layerTypes, type ModelSpec, type RopeSettings } from '@glulam/model';
import { ExportError } from '../errors.js';
import type { MergedModel } from './merged-model.js';

/** Types in which merged weights can be stored; undefined, where one is asked for: each tensor's own in the base. */
export type MergedDtype = 'float32' | 'bfloat16' | 'float16';

type Fields = Readonly<Record<string, unknown>>;

/**
 * The fields of the merged model's `config.json`: the base's with as many layers as there are virtual ones, and without
 * what had no effect here but would have elsewhere. Other programs then compute what was computed here:
 *
 * - the rotary embedding is written once, as it was followed (where it is simple: see `ropeOf`);
 * - a list with an entry a layer gets one a virtual layer, and `layer_types` is made where only some layers have a window:
 *   fields that say which (`max_window_layers`) count the base's layers;
 * - `architectures` names a language model, and `auto_map` is gone with the code that it names.
 */
export function mergedConfig(
  { base, layers, tiedHead }: Pick<MergedModel, 'base' | 'layers' | 'tiedHead'>,
  dtype: MergedDtype | undefined,
): Record<string, unknown> {
  const { config, spec, followed } = base;
  const perLayer = (values: readonly unknown[]): unknown[] => layers.map(({ physical }) => values[physical]);
  const isPerLayer = (key: string, value: unknown): value is unknown[] =>
    (followed.has(key) || layerLists.includes(key)) && Array.isArray(value) && value.length === spec.layers.length;
  const types = layerTypes(spec);
  const countsLayers = followed.has('max_window_layers') && config.fields['use_sliding_window'] !== false;
  const mixed = new Set(types).size > 1 || countsLayers;
  const rope = ropeOf(spec);
  const left = new Set([
    ...(rope === 'as it is' ? [] : ropeKeys),
    'auto_map',
    // A null makes transformers take a mistral config as Ministral's, and a list of the wrong length is refused there.
    ...layerLists.filter((key) => !isPerLayer(key, config.fields[key])),
    ...(mixed ? ['max_window_layers'] : []),
  ]);
  const kept = Object.entries(config.fields).filter(([key]) => !left.has(key));
  // Today's files say dtype, published ones torch_dtype, and some both.
  const dtypeFields = ['dtype', 'torch_dtype'].filter((field) => config.fields[field] !== undefined);
  const stored = (dtypeFields.length === 0 ? ['dtype'] : dtypeFields).map((field) => [field, dtype]);
  return {
    ...Object.fromEntries(kept.map(([key, value]) => [key, isPerLayer(key, value) ? perLayer(value) : value])),
    ...(rope === 'as it is' ? {} : mergedRope(config.fields, rope)),
    ...(mixed && left.has('layer_types') ? { layer_types: perLayer(types) } : {}),
    ...architectures(config.fields['architectures']),
    num_hidden_layers: layers.length,
    tie_word_embeddings: tiedHead,
    ...(dtype === undefined ? {} : (Object.fromEntries(stored) as Record<string, unknown>)),
  };
}

/**
 * Read a merged config by its family. One that knows a layer by its place (every fourth has no rotary embedding, say)
 * would take some of the virtual layers for others.
 *
 * @throws ExportError MERGE_IMPOSSIBLE
 */
export function checkReadsBack(
  { base, layers, tiedHead }: Pick<MergedModel, 'base' | 'layers' | 'tiedHead'>,
  fields: Fields,
): void {
  const { family, config, spec } = base;
  const read = family.describe({ ...config, fields });
  const expected: ModelSpec = {
    ...spec,
    layers: layers.map(({ physical }) => spec.layers[physical]!),
    head: { ...spec.head, tied: tiedHead },
  };
  if (isDeepStrictEqual(read, expected)) return;
  const virtual = expected.layers.findIndex((layer, index) => !isDeepStrictEqual(layer, read.layers[index]));
  throw new ExportError(
    'MERGE_IMPOSSIBLE',
    `a config.json of type "${family.kind}" cannot describe these layers: ` +
      (virtual < 0
        ? 'read back, it describes another model'
        : `read back, layer ${virtual} differs from physical layer ${layers[virtual]!.physical}, which it repeats`) +
      '. Keep the adapter and the base apart, or choose a layer map whose layers stay in their places',
  );
}

/** Lists that transformers reads of every model type: their length must be the number of layers. */
const layerLists: readonly string[] = ['layer_types', 'mlp_layer_types'];

const ropeKeys: readonly string[] = [
  ...['rope_parameters', 'rope_scaling', 'rope_theta'],
  ...['original_max_position_embeddings', 'partial_rotary_factor'],
];

/** The types whose settings can be written in either style. */
const written = ['default', 'linear', 'llama3'] as const;
type WrittenRope = Extract<RopeSettings, { type: (typeof written)[number] }>;

/**
 * What layers with a rotary embedding turn by. `as it is`: the config's own fields stay, since layers differ in it, it turns a part
 * of each head, or is of a type with more fields.
 */
function ropeOf({ layers }: ModelSpec): WrittenRope | 'as it is' | undefined {
  const attentions = layers.flatMap((layer) => attentionOf(layer) ?? []).filter(({ rope }) => rope !== undefined);
  const [first] = attentions;
  if (first === undefined) return undefined;
  const settings = first.rope!.settings;
  const isAlike = attentions.every(
    ({ rope, headSize }) => isDeepStrictEqual(rope, first.rope) && rope?.dimensions === headSize,
  );
  const isWritten = (each: RopeSettings): each is WrittenRope => written.some((type) => type === each.type);
  return isAlike && isWritten(settings) ? settings : 'as it is';
}

/** In the style that was followed; nothing for a config that says nothing of it. */
function mergedRope(fields: Fields, rope: WrittenRope | undefined): Fields {
  if (rope === undefined || ropeKeys.every((key) => (fields[key] ?? undefined) === undefined)) return {};
  const { type, theta, ...settings } = rope;
  const scaling = {
    rope_type: type,
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [ropeNames[name as RopeSetting], value])),
  };
  const hasContent = (key: string): boolean => Object.keys(fields[key] ?? {}).length > 0;
  if (hasContent('rope_parameters') && !hasContent('rope_scaling'))
    return { rope_parameters: { ...scaling, rope_theta: theta } };
  return {
    rope_theta: theta,
    ...(type !== 'default' ? { rope_scaling: scaling } : 'rope_scaling' in fields ? { rope_scaling: null } : {}),
  };
}

type RopeSetting = Exclude<keyof Extract<RopeSettings, { type: 'llama3' }>, 'type' | 'theta'>;
const ropeNames: Readonly<Record<RopeSetting, string>> = {
  factor: 'factor',
  lowFrequencyFactor: 'low_freq_factor',
  highFrequencyFactor: 'high_freq_factor',
  originalMaxPositions: 'original_max_position_embeddings',
};

/** A classifier's or a bare model's name becomes that of its language model: this is what the merged weights are. */
function architectures(names: unknown): Fields {
  if (!Array.isArray(names)) return {};
  const causal = names
    .filter((name): name is string => typeof name === 'string')
    .map((name) =>
      /(ForCausalLM|LMHeadModel)$/.test(name) ? name : name.replace(/(For[A-Z]\w*|Model)?$/, 'ForCausalLM'),
    );
  return { architectures: [...new Set(causal)] };
}
