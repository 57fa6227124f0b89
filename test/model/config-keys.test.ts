import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  attentionOf,
  describeCheckpoint,
  followConfig,
  inverseFrequencies,
  ModelError,
  parameterCount,
  type CheckpointConfig,
  type ModelSpec,
  type RopeSpec,
  type FollowedConfig,
} from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { families, freshFolder, root } from '../support/expanded.js';

// What transformers makes of published configs and of changed ones; see fixtures/config-keys/make_cases.py.
type Fields = Readonly<Record<string, unknown>>;
interface Sweep {
  readonly name: string;
  readonly fields: Fields;
  readonly parameters: number;
  readonly frequencies: readonly number[];
  readonly cases: readonly [
    patch: Fields,
    effect: 'same' | 'changed' | 'trains' | 'generates' | 'fails',
    values?: { readonly parameters?: number; readonly frequencies?: readonly number[] },
  ][];
}
const read = (name: string): unknown =>
  JSON.parse(readFileSync(path.join(root, 'fixtures/config-keys', name), 'utf8')) as unknown;
const sweeps = read('cases.json') as readonly Sweep[];
const configs = read('configs.json') as Readonly<Record<string, Fields>>;
const expectedParameters = read('parameters.json') as Readonly<Record<string, number | string>>;

const configOf = (fields: Fields): CheckpointConfig => ({
  file: 'config.json',
  modelType: fields['model_type'] as string,
  fields,
});
function follow(fields: Fields): FollowedConfig {
  return followConfig(
    families.find(({ kind }) => kind === fields['model_type'])!,
    configOf(fields),
  );
}
const patched = (fields: Fields, patch: Fields): Fields =>
  Object.fromEntries(Object.entries({ ...fields, ...patch }).filter(([, value]) => value !== '$absent'));

/** undefined: refused. Any other error is a fault. */
function attempt(fields: Fields): FollowedConfig | undefined {
  try {
    return follow(fields);
  } catch (error) {
    if (error instanceof ModelError && error.code === 'CONFIG_INVALID') return undefined;
    throw error;
  }
}
const tokensOfSweep = 24;
/** What the numbers of a text of so many tokens follow from. */
// A padding row counts in training alone.
const arithmetic = ({ maxPositions: _, gguf: __, embedding: ___, layers, ...rest }: ModelSpec): object => ({
  ...rest,
  layers: layers.map(({ blocks }) =>
    blocks.map((block) =>
      'window' in block
        ? { ...block, rope: atSweep(block.rope), window: (block.window as number) > tokensOfSweep ? 0 : block.window }
        : block,
    ),
  ),
});

/** A dynamic rotary embedding is a plain one until a text is longer than the model's positions. */
function atSweep(rope: RopeSpec | undefined): RopeSpec | undefined {
  if (rope?.settings.type !== 'dynamic' || tokensOfSweep > rope.settings.maxPositions) return rope;
  return { ...rope, settings: { type: 'default', theta: rope.settings.theta } };
}

function expectValues({ spec }: FollowedConfig, parameters: number, frequencies: readonly number[]): void {
  expect(parameterCount(spec)).toBe(parameters);
  const { settings, dimensions } = attentionOf(spec.layers[0]!)!.rope!;
  const computed = inverseFrequencies(settings, dimensions);
  expect(computed).toHaveLength(frequencies.length);
  computed.forEach((value, i) => expect(Math.abs(value / frequencies[i]! - 1)).toBeLessThan(2e-7));
}

// Refused though the tiny model of the sweep shows no difference, or only its cache does.
const refusedAnyhow = (patch: Fields): boolean =>
  // Layers of two kinds differ in the cache; settings by kinds of layers mean nothing to a model without kinds.
  /"full_attention"|"sliding_attention"/.test(JSON.stringify(patch));

describe('each key of published configs, changed, does what it does in transformers', () => {
  test('of 30 configs', () => expect(sweeps.length).toBeGreaterThanOrEqual(30));

  test.each(sweeps)('$name', ({ fields, parameters, frequencies, cases }) => {
    const before = follow(fields);
    expectValues(before, parameters, frequencies);
    for (const [patch, effect, values] of cases) {
      const after = attempt(patched(fields, patch));
      const what = JSON.stringify([patch, effect]);
      if (effect === 'fails') continue;
      if (after === undefined) {
        if (effect !== 'changed') expect(refusedAnyhow(patch), what).toBe(true);
        continue;
      }
      if (effect === 'changed') {
        expect(arithmetic(after.spec), what).not.toEqual(arithmetic(before.spec));
        expectValues(after, values?.parameters ?? parameters, values?.frequencies ?? frequencies);
        continue;
      }
      expect(arithmetic(after.spec), what).toEqual(arithmetic(before.spec));
      if (effect === 'trains' || effect === 'generates')
        expect(after.warnings.join(), what).toContain(Object.keys(patch)[0]);
    }
  });

  const added = (name: string, verdict: (after: FollowedConfig | undefined, key: string) => boolean): string[] => {
    const { fields, cases } = sweeps.find((each) => each.name === name)!;
    const keys = cases.flatMap(([patch]) => {
      const [key, ...others] = Object.keys(patch);
      if (others.length > 0 || key! in fields || /^rope_[sp]/.test(key!)) return [];
      return verdict(attempt(patched(fields, patch)), key!) ? [key!] : [];
    });
    return [...new Set(keys)].sort();
  };
  test('what is refused, reported and passed over among keys that these configs lack', () => {
    const reported = [
      ...['add_cross_attention', 'attention_chunk_size', 'attention_dropout', 'attention_multiplier', 'auto_map'],
      ...[
        'attn_logit_softcapping',
        'base_model_tp_plan',
        'clip_qkv',
        'embedding_multiplier',
        'final_logit_softcapping',
      ],
      ...[
        'hidden_activation',
        'hidden_dropout',
        'layer_norm_eps',
        'logit_scale',
        'logits_scaling',
        'loss_type',
        'mlp_layer_types',
      ],
      ...['max_sequence_length', 'max_window_layers', 'mup', 'norm_eps', 'num_local_experts', 'partial_rotary_factor'],
      ...['query_pre_attn_scalar', 'residual_multiplier', 'rope_interleaved', 'router_aux_loss_coef', 'unheard_of'],
      ...['use_qk_norm', 'use_sliding_window', 'vision_config'],
    ];
    const says = (after: FollowedConfig | undefined, key: string): boolean =>
      after !== undefined && after.warnings.some((warning) => new RegExp(`\\b${key}\\b`).test(warning));
    expect(added('llama2-7b', says)).toEqual([...reported, 'sliding_window'].sort());
    // Of a mistral's, the window is followed, and biases are never read.
    expect(added('mistral-v01', says)).toEqual([...reported, 'attention_bias', 'mlp_bias'].sort());

    const refused = [
      ...['attribute_map', 'decoder', 'generator', 'is_causal', 'is_encoder_decoder', 'layer_types'],
      ...['num_kv_shared_layers', 'per_layer_config', 'text_config'],
    ];
    expect(added('llama2-7b', (after) => after === undefined)).toEqual(refused);
    expect(added('mistral-v01', (after) => after === undefined)).toEqual(refused);
  });
});

test('names of what every object has are keys like any other', () => {
  const { fields } = sweeps[0]!;
  const odd = JSON.parse('{"__proto__": 1, "constructor": 2, "toString": 3}') as Fields;
  expect(follow({ ...fields, ...Object.fromEntries(Object.entries(odd)) }).warnings.join()).toMatch(
    /__proto__, constructor, toString: no effect/,
  );
  for (const rope_type of ['constructor', '__proto__', 5])
    expect(() => follow({ ...fields, rope_scaling: { rope_type } })).toThrow(/rope type .* is not known/);
});

test('a plan shows the parameters of a published config, or why it cannot be followed', async () => {
  const folder = freshFolder();
  const refusals: Record<string, RegExp> = {
    awq: /quantization_config/,
    bnb4: /quantization_config/,
    mistral3: /model_type "mistral3"/,
    'yi-old': /model_type "Yi"/,
    'swa-off-flag': /sliding_window is 0; expected a positive integer/,
    // transformers fails as well.
    'rope-scaling-none-type': /rope type null is not known/,
  };
  for (const [name, fields] of Object.entries(configs)) {
    const base = path.join(folder, name);
    mkdirSync(base);
    writeFileSync(path.join(base, 'config.json'), JSON.stringify(fields));
    const describeIt = async () => (await describeCheckpoint(base, families)).checkpoint;
    const refusal = refusals[name];
    if (refusal !== undefined) await expect(describeIt, name).rejects.toThrow(refusal);
    // transformers does not read the dtype's name; otherwise the config is that of tinyllama.
    else
      expect(parameterCount((await describeIt()).spec), name).toBe(
        expectedParameters[name === 'torchdtype-prefixed' ? 'tinyllama' : name],
      );
  }
  expect(Object.keys(configs)).toHaveLength(42);
  expect(follow(configs['seqcls']!).warnings.join()).toMatch(/LlamaForSequenceClassification, which is no causal/);
});
