import { lowRankSchema as loraSchema, type LinearSite } from '@glulam/model';
import { testAdapter } from '@glulam/testing';
import { describe, expect, test } from 'vitest';
import { createLora, loraContribution } from './index.js';

testAdapter(loraContribution, {
  options: [
    {},
    { r: 4, lora_alpha: 16, lora_dropout: 0.1, target_modules: ['q_proj', 'down_proj'], use_rslora: true },
    {
      init_lora_weights: 'gaussian',
      rank_pattern: { 'layers.5.self_attn.q_proj': 2, down_proj: 6 },
      alpha_pattern: { v_proj: 3 },
    },
    { target_modules: '.*mlp.*', r: 3 },
    { init_lora_weights: 'pissa', r: 3, lora_alpha: 5, lora_dropout: 0.2 },
    {
      init_lora_weights: 'pissa_niter_4',
      use_rslora: true,
      rank_pattern: { down_proj: 6 },
      alpha_pattern: { v_proj: 3 },
    },
    { init_lora_weights: 'pissa', r: { first: 2, repeats: 5 }, exclude_modules: ['q_proj', 'layers.5.mlp.up_proj'] },
    { target_modules: ['v_proj'], layers_to_transform: [5, 7] },
    { modules_to_save: ['embed_tokens', 'norm', 'layers.5.self_attn'], bias: 'all' },
    { lora_bias: true, lora_alpha: 24, lora_dropout: 0.1, bias: 'lora_only', target_modules: ['k_proj', 'up_proj'] },
    { target_modules: ['up_proj'], bias: 'lora_only', modules_to_save: ['lm_head'], ensure_weight_tying: true },
  ],
  foreign: [{ peft_type: 'IA3' }, { peft_type: 'LORA', use_dora: true }],
  refused: [
    { config: { peft_type: 'LORA', bias: 'boft_only' }, message: /bias:/ },
    { config: { peft_type: 'LORA', target_parameters: ['lm_head'] }, message: /target_parameters/ },
    {
      config: { peft_type: 'LORA', lora_bias: true, init_lora_weights: 'eva' },
      message: /lora_bias needs init_lora_weights/,
    },
    { config: { peft_type: 'LORA', r: 0 }, message: /r:/ },
  ],
});

const site = (virtual: number, linear: LinearSite['linear']): LinearSite => {
  return {
    virtual,
    physical: 0,
    use: 0,
    linear,
    path: `model.layers.${virtual}.${linear}`,
    inFeatures: 8,
    outFeatures: 8,
    ...{ index: 0, hasBias: false, writesResidual: false },
  };
};
const scaleAt = (options: object, at: LinearSite) => {
  const form = createLora(loraSchema.parse(options))
    .at(at)!
    .form({}, { training: false } as never);
  return form.lowRank!.scale;
};

describe('PEFT’s rules', () => {
  test('a rank of a pattern changes the scaling too, each looked up by itself', () => {
    const options = {
      r: 4,
      lora_alpha: 8,
      rank_pattern: { 'layers.0.self_attn.q_proj': 2 },
      alpha_pattern: { v_proj: 3 },
    };
    expect(scaleAt(options, site(0, 'self_attn.q_proj'))).toBe(4);
    expect(scaleAt(options, site(10, 'self_attn.q_proj'))).toBe(2);
    expect(scaleAt(options, site(0, 'self_attn.v_proj'))).toBe(0.75);
    expect(scaleAt({ ...options, use_rslora: true }, site(1, 'mlp.up_proj'))).toBe(4);
  });
  test('LoRA+: B learns faster by the ratio, of which PEFT’s files say nothing', () => {
    const lora = createLora(loraSchema.parse({ loraplus_lr_ratio: 16 }));
    const factors = lora
      .at(site(0, 'mlp.up_proj'))!
      .parameters.map(({ name, learningRateFactor = 1 }) => [name, learningRateFactor]);
    expect(factors).toEqual([
      ['lora_A.weight', 1],
      ['lora_B.weight', 16],
    ]);
    expect(lora.peftConfig([])).not.toHaveProperty('loraplus_lr_ratio');
  });
  test('layers_to_transform are virtual indices', () => {
    const lora = createLora(loraSchema.parse({ target_modules: ['q_proj'], layers_to_transform: 3 }));
    expect([2, 3, 4].map((virtual) => lora.at(site(virtual, 'self_attn.q_proj')) !== undefined)).toEqual([
      false,
      true,
      false,
    ]);
  });
  test('options that contradict each other are refused together', () => {
    const options = loraSchema.parse({ target_modules: ['q_proj'], layers_pattern: 'h', rank_pattern: { '(': 2 } });
    expect(() => createLora(options)).toThrow(
      /rank_pattern has "\(": .*one of Python's regular expressions[\s\S]*layers_pattern works with layers_to_transform only/,
    );
    expect(() => createLora(loraSchema.parse({ target_modules: '.*q_proj', layers_to_transform: [1] }))).toThrow(
      /layers_to_transform/,
    );
  });
});
