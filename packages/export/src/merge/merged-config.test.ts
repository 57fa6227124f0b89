import {
  followConfig,
  readLlamaSpec,
  type Checkpoint,
  type CheckpointConfig,
  type Family,
  type FieldReader,
} from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { checkReadsBack, mergedConfig } from './merged-config.js';

type Fields = Readonly<Record<string, unknown>>;

const sizes = { hidden_size: 8, intermediate_size: 8, num_attention_heads: 2, num_hidden_layers: 4, vocab_size: 8 };
const layers = [0, 1, 2, 1, 2, 3].map((physical) => ({ physical }));

/** Windows from a layer on, or as a list says: what a family may have. */
function readWindows(fields: FieldReader): number | readonly number[] {
  const first = fields.raw('max_window_layers') as number | undefined;
  const types = fields.raw('layer_types') as string[] | null | undefined;
  const all = [0, 1, 2, 3];
  if (first !== undefined && types === undefined) return all.map((layer) => (layer < first ? 0 : 16));
  if (Array.isArray(types) && types.includes('sliding_attention'))
    return types.map((type) => (type === 'sliding_attention' ? 16 : 0));
  return 0;
}
const family: Family = {
  kind: 'some',
  describe: (config) =>
    readLlamaSpec(config, (fields) => ({ maxPositions: 64, slidingWindow: readWindows(fields), biased: [] }), {
      ignoresPartialRotary: true,
    }),
};

function merge(fields: Fields): { before: Checkpoint; merged: Fields } {
  const config: CheckpointConfig = { file: 'config.json', modelType: 'some', fields: { ...sizes, ...fields } };
  const before = {
    folder: '',
    config,
    family,
    files: undefined!,
    documents: undefined!,
    ...followConfig(family, config),
  } as Checkpoint;
  return { before, merged: mergedConfig({ base: before, layers, tiedHead: false }, undefined) };
}
const follow = (fields: Fields) => followConfig(family, { file: 'merged.json', modelType: 'some', fields });

const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
const linear = { type: 'linear', factor: 2 };
const windows = ['full_attention', 'sliding_attention', 'full_attention', 'sliding_attention'];

describe('a merged config says what was computed, and nothing else', () => {
  test.each<[string, Fields]>([
    ['nothing of rope', {}],
    ['rope_theta alone', { rope_theta: 50 }],
    ['rope_scaling null', { rope_theta: 50, rope_scaling: null }],
    ['rope_scaling before rope_parameters', { rope_scaling: linear, rope_parameters: { rope_theta: 900 } }],
    ['two thetas', { rope_theta: 50, rope_parameters: { rope_type: 'default', rope_theta: 900 } }],
    ['two types', { rope_scaling: { ...linear, rope_type: 'llama3', ...llama3 }, rope_theta: 9 }],
    [
      'two original lengths',
      {
        rope_scaling: { rope_type: 'llama3', ...llama3, original_max_position_embeddings: 8 },
        original_max_position_embeddings: 16,
      },
    ],
    ['no original length', { rope_scaling: { rope_type: 'llama3', ...llama3 } }],
    ['fields that the type does not read', { rope_scaling: { ...linear, finetuned: true, mscale: 2 } }],
    [
      'a rotary factor without effect',
      { rope_parameters: { rope_type: 'default', rope_theta: 9, partial_rotary_factor: 0.5 } },
    ],
    ['the same outside', { rope_theta: 9, partial_rotary_factor: 0.5 }],
    ['windows from a layer on', { max_window_layers: 2 }],
    ['windows by a list', { layer_types: windows, max_window_layers: 1 }],
    ['no windows, by a list', { layer_types: windows.map(() => 'full_attention') }],
    ['a null list', { layer_types: null }],
  ])('%s', (_, fields) => {
    const { before, merged } = merge(fields);
    const after = follow(merged);
    expect(after.spec).toEqual({ ...before.spec, layers: layers.map(({ physical }) => before.spec.layers[physical]) });
    expect(after.warnings).toEqual([]);
    checkReadsBack({ base: before, layers, tiedHead: false }, merged);
  });

  test('in the style that was followed', () => {
    expect(merge({ rope_scaling: linear, rope_theta: 9 }).merged).toMatchObject({
      rope_theta: 9,
      rope_scaling: { rope_type: 'linear', factor: 2 },
    });
    const { merged } = merge({ rope_theta: 9, rope_parameters: { rope_type: 'linear', factor: 2 } });
    expect(merged).toMatchObject({ rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 9 } });
    expect(Object.keys(merged)).not.toContain('rope_theta');
  });

  test('lists by layer follow the layers, and those of another length are gone', () => {
    expect(merge({ mlp_layer_types: ['a', 'b', 'c', 'd'] }).merged['mlp_layer_types']).toEqual([
      'a',
      'b',
      'c',
      'b',
      'c',
      'd',
    ]);
    expect(merge({ mlp_layer_types: ['a'] }).merged).not.toHaveProperty('mlp_layer_types');
    expect(merge({ max_window_layers: 2 }).merged).not.toHaveProperty('max_window_layers');
  });

  test('architectures name a language model, and code of the base is named no more', () => {
    const names = ['SomeForSequenceClassification', 'SomeModel', 'SomeForCausalLM'];
    const { merged } = merge({ architectures: names, auto_map: { AutoModel: 'x.Y' } });
    expect(merged['architectures']).toEqual(['SomeForCausalLM']);
    expect(merged).not.toHaveProperty('auto_map');
  });
});

test('layers that a family knows by their places are refused where they move', () => {
  // Every second layer has a window, whatever the config says.
  const alternating: Family = {
    kind: 'alternating',
    describe: (config) =>
      readLlamaSpec(config, (fields) => ({
        maxPositions: 64,
        slidingWindow: Array.from({ length: fields.integer('num_hidden_layers') }, (_, layer) => (layer % 2) * 8),
        biased: [],
      })),
  };
  const config: CheckpointConfig = { file: 'config.json', modelType: 'alternating', fields: sizes };
  const base = { folder: '', config, family: alternating, ...followConfig(alternating, config) } as Checkpoint;
  const check = (map: readonly number[]): void => {
    const model = { base, layers: map.map((physical) => ({ physical })), tiedHead: false };
    checkReadsBack(model, mergedConfig(model, undefined));
  };
  expect(() => check([0, 1, 2, 1, 2, 3])).not.toThrow();
  expect(() => check([0, 1, 0, 2, 3])).toThrow(
    /"alternating" cannot describe these layers: read back, layer 3 differs from physical layer 2, which it repeats/,
  );
});
