import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { layerMap, llamaLinears, ModelError, type VirtualLayer } from '@glulam/model';
import { testStrategy } from '@glulam/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { mergekitStrategy, readMergekitLayers } from './index.js';
import { readMergekitFile } from './mergekit-file.js';

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
const layersOf = (...intervals: [number, number][]): VirtualLayer[] =>
  intervals.flatMap(([start, end]) => range(start, end).map((physical) => ({ physical })));

// Files in the shapes that people publish; fixtures/mergekit/README.md says what is expected of them.
const sample = (name: string): string => path.resolve(import.meta.dirname, '../../../fixtures/mergekit/files', name);
const read = (name: string) => mergekitStrategy.expand(8, { file: sample(name) }, llamaLinears);
const reported = (name: string) =>
  mergekitStrategy.warnings!(8, { file: sample(name) }).map((warning) => warning.slice(sample(name).length + 2));

const file = (content: string): string => {
  const name = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-mergekit-')), 'merge.yaml');
  writeFileSync(name, content);
  return name;
};
const slice = (start: unknown, end: unknown, scale?: unknown, model: unknown = 'm') => ({
  sources: [{ model, layer_range: [start, end], ...(scale === undefined ? {} : { parameters: { scale } }) }],
});
const yaml = (slices: unknown[], more: object = {}) => stringify({ slices, merge_method: 'passthrough', ...more });
const layers = (slices: unknown[], more: object = {}) => readMergekitLayers(yaml(slices, more), 'f', 8, llamaLinears);
const both = (value: unknown) => [{ filter: 'o_proj', value }, { filter: 'down_proj', value }, { value: 1 }];

testStrategy(mergekitStrategy, {
  valid: [
    {
      physicalLayers: 8,
      options: { file: file(yaml([slice(0, 6), slice(2, 8, both(0.7))])) },
      physical: [...range(0, 6), ...range(2, 8)],
    },
  ],
  invalid: [
    {
      physicalLayers: 8,
      options: { file: file(yaml([slice(0, 9)])) },
      message: /physical layer 8; the base has layers 0 to 7/,
    },
    { physicalLayers: 8, options: { file: '/nowhere/merge.yaml' }, message: /cannot be read: .*ENOENT/ },
    { physicalLayers: 8, options: {}, message: /file/ },
  ],
});

describe('published files', () => {
  test.each(['basemodel', 'chattemplate', 'int8mask', 'modules', 'sliceres'])('%s.yml: the plain map', (name) => {
    expect(read(`${name}.yml`)).toEqual(layersOf([0, 6], [2, 8]));
  });

  test('plain.yml', () => {
    expect(read('plain.yml')).toEqual(layersOf([0, 5], [2, 6], [4, 8]));
  });

  const scaled = (residualScale: number, ...intervals: [number, number][]) =>
    layersOf(...intervals).map((layer) => ({ ...layer, residualScale }));
  test.each(['outslice', 'longfilter'])('%s.yml: the second slice is scaled', (name) => {
    expect(read(`${name}.yml`)).toEqual([...layersOf([0, 6]), ...scaled(0.5, [2, 8])]);
  });

  test('global.yml: all layers are scaled', () => {
    expect(read('global.yml')).toEqual(scaled(0.5, [0, 6], [2, 8]));
  });

  test('anchors, merge keys and a helper key that is there twice', () => {
    const value = 0.7071067812;
    expect(read('anchors.yml')).toEqual([...layersOf([0, 2]), ...scaled(value, [2, 6], [2, 6]), ...layersOf([6, 8])]);
    expect(read('anchors1.yml')).toEqual([...layersOf([0, 6]), ...scaled(value, [2, 8])]);
    expect(read('anchors2.yml')).toEqual([...layersOf([0, 6]), ...scaled(0.5, [2, 8], [2, 8])]);
  });

  test('qk.yml: a scale for each linear layer', () => {
    const linearScales = {
      'self_attn.q_proj': 0.7598356857,
      'self_attn.k_proj': 0.7598356857,
      'mlp.down_proj': 0.5773502692,
    };
    expect(read('qk.yml')).toEqual([
      ...layersOf([0, 6]),
      ...layersOf([2, 8]).map((layer) => ({ ...layer, linearScales })),
    ]);
  });

  test('gradient.yml: from 0.5 at the slice’s first layer to 1 at its last', () => {
    const scales = read('gradient.yml').map(({ residualScale }) => residualScale);
    expect(scales.slice(0, 6)).toEqual(Array(6).fill(undefined));
    [0.5, 0.6, 0.7, 0.8, 0.9].forEach((scale, i) => expect(scales[6 + i]).toBeCloseTo(scale, 12));
    expect(scales[11]).toBeUndefined();
  });

  test('blockexp.yml: o_proj and down_proj of the new layers are 0, and no residual scale', () => {
    const linearScales = { 'self_attn.o_proj': 0, 'mlp.down_proj': 0 };
    const copies = read('blockexp.yml').flatMap((layer, i) => (layer.linearScales === undefined ? [] : [[i, layer]]));
    expect(copies).toEqual([
      [4, { physical: 3, linearScales }],
      [9, { physical: 7, linearScales }],
    ]);
  });

  test.each([
    ['linear1', /merge_method is "linear", which mixes weights/],
    ['models', /several YAML documents/],
    ['tail', /slice 1 has the layer_range \[2, 10\], which names physical layer 9; the base has layers 0 to 7/],
    ['null_slice', /slice 0 has 2 sources; a passthrough slice has one/],
    ['lora', /its model is acme\/tiny-8\+acme\/tiny-8-lora, which is a model with a LoRA merged in/],
    ['modelat', /from 2 models \(acme\/tiny-8@dpo-v0, acme\/tiny-8@main\)/],
    ['revision', /slice 0 has revision beside model, where mergekit ignores it/],
  ])('refuses %s.yml', (name, message) => {
    expect(() => read(`${name}.yml`)).toThrow(ModelError);
    expect(() => read(`${name}.yml`)).toThrow(message);
  });

  test('report what has no effect', () => {
    const output = (keys: string) => `no effect here: ${keys} (for the files that mergekit writes)`;
    expect(reported('plain.yml')).toEqual([output('dtype')]);
    expect(reported('chattemplate.yml')).toEqual([output('dtype, chat_template')]);
    expect(reported('basemodel.yml')).toEqual([output('dtype, tokenizer_source')]);
    expect(reported('int8mask.yml')).toEqual([output('dtype'), 'passthrough does not read the parameters int8_mask']);
    expect(reported('anchors.yml')).toEqual([
      output('dtype'),
      'mergekit ignores const_tag, scale-filter-env, and so does Glulam',
    ]);
  });
});

describe('scales', () => {
  const scalesOf = (scale: unknown, more: object = {}) => {
    const { residualScale, linearScales } = layers([slice(0, 1), slice(3, 4, scale), slice(7, 8)], more)[1]!;
    return { ...(residualScale === undefined ? {} : { residualScale }), ...linearScales };
  };

  test('what o_proj and down_proj have in common is the residual scale, and other factors are of linear layers', () => {
    expect(scalesOf(both(0.7))).toEqual({ residualScale: 0.7 });
    expect(scalesOf(both(-0.7))).toEqual({ residualScale: -0.7 });
    expect(scalesOf([{ filter: 'q_proj', value: 0.8 }, ...both(0.7)])).toEqual({
      residualScale: 0.7,
      'self_attn.q_proj': 0.8,
    });
    expect(scalesOf([{ filter: 'o_proj', value: 0.7 }])).toEqual({ 'self_attn.o_proj': 0.7 });
    expect(
      scalesOf([
        { filter: 'o_proj', value: 0 },
        { filter: 'down_proj', value: 0.5 },
      ]),
    ).toEqual({ 'self_attn.o_proj': 0, 'mlp.down_proj': 0.5 });
    expect([scalesOf(1), scalesOf(true), scalesOf([1]), scalesOf(undefined), scalesOf(both(1))]).toEqual(
      Array(5).fill({}),
    );
  });

  test('a filter is a part of a tensor’s name, of the layer that is read, and the first that fits counts', () => {
    const mlp = { 'mlp.gate_proj': 2, 'mlp.up_proj': 2, 'mlp.down_proj': 2 };
    // post_attention_layernorm has no "mlp" in its name.
    expect(scalesOf([{ filter: 'mlp', value: 2 }])).toEqual(mlp);
    expect(
      scalesOf([
        { filter: 'mlp.', value: 2 },
        { filter: 'down_proj', value: 3 },
      ]),
    ).toEqual(mlp);
    expect(
      scalesOf([
        { filter: 'down_proj', value: 3 },
        { filter: 'mlp', value: 2 },
      ]),
    ).toEqual({ ...mlp, 'mlp.down_proj': 3 });
    expect(scalesOf([{ filter: 'layers.3.self_attn.v', value: 2 }])).toEqual({ 'self_attn.v_proj': 2 });
    expect(scalesOf([{ filter: 'layers.1.self_attn.v', value: 2 }])).toEqual({});
    expect(
      scalesOf([
        { filter: '*', value: 1 },
        { filter: 'o_proj', value: 2 },
      ]),
    ).toEqual({});
    expect(scalesOf([{ filter: 'Q_PROJ', value: 2 }])).toEqual({});
    expect(
      scalesOf([
        { filter: 'down_proj', value: 2 },
        { filter: null, value: 1 },
      ]),
    ).toEqual({ 'mlp.down_proj': 2 });
  });

  test('a source has precedence over its slice, a slice over the module, the module over the file', () => {
    const level = (value: number) => ({ parameters: { scale: [{ filter: 'v_proj', value }] } });
    const factorsOf = (source: object, output: object, module: object, all: object) => {
      const slices = [{ sources: [{ model: 'm', layer_range: [0, 1], ...source }], ...output }];
      const text = stringify({ modules: { default: { slices, ...module } }, merge_method: 'passthrough', ...all });
      return readMergekitLayers(text, 'f', 8, llamaLinears)[0]!.linearScales?.['self_attn.v_proj'];
    };
    expect(factorsOf(level(2), level(3), level(4), level(5))).toBe(2);
    expect(factorsOf({}, level(3), level(4), level(5))).toBe(3);
    expect(factorsOf({}, {}, level(4), level(5))).toBe(4);
    expect(factorsOf({}, {}, {}, level(5))).toBe(5);
    // Where no filter fits, the next one is asked.
    expect(factorsOf({ parameters: { scale: [{ filter: 'q_proj', value: 1 }] } }, {}, {}, level(5))).toBe(5);
    expect(factorsOf({ parameters: { scale: 1 } }, {}, {}, level(5))).toBeUndefined();
  });

  test('a gradient has its numbers at equal distances over the slice; a slice of one layer has the last', () => {
    const scale = [{ filter: 'v_proj', value: [1, 2, 4] }];
    const factors = (count: number) =>
      layers([slice(0, count, scale)]).map(({ linearScales }) => linearScales?.['self_attn.v_proj'] ?? 1);
    expect(factors(5)).toEqual([1, 1.5, 2, 3, 4]);
    expect(factors(1)).toEqual([4]);
    expect(factors(2)).toEqual([1, 4]);
    // Of the embeddings it is the first number, of the head the last.
    expect(layers([slice(0, 3, [1, 1])])).toEqual(layersOf([0, 3]));
    expect(() => layers([slice(0, 3, [0.5, 1])])).toThrow(/slice 0 scales model.embed_tokens.weight by 0.5/);
    expect(() => layers([slice(0, 3, [1, 0.5])])).toThrow(/slice 0 scales model.norm.weight by 0.5/);
  });

  test.each([
    [
      'all tensors',
      [slice(0, 4), slice(2, 6, 0.5), slice(6, 8)],
      {},
      /slice 1 scales model.layers.2.input_layernorm.weight by 0.5. Only linear layers/,
    ],
    [
      'norms',
      [slice(0, 4, [{ filter: 'post_attention', value: 2 }])],
      {},
      /slice 0 scales model.layers.0.post_attention_layernorm.weight by 2/,
    ],
    [
      'embeddings',
      [slice(0, 4)],
      { parameters: { scale: [{ filter: 'embed', value: 2 }] } },
      /scales model.embed_tokens.weight by 2/,
    ],
    [
      'the head',
      [slice(0, 4), slice(2, 4, [{ filter: 'lm_head', value: 2 }])],
      {},
      /slice 1 scales lm_head.weight by 2/,
    ],
    [
      'the last norm',
      [slice(0, 4)],
      { parameters: { scale: [{ filter: 'model.norm', value: 2 }] } },
      /scales model.norm.weight by 2/,
    ],
    [
      'a weight without its bias',
      [slice(0, 4, [{ filter: 'q_proj.weight', value: 2 }])],
      {},
      /q_proj.weight by 2 and self_attn.q_proj.bias by 1; .* let the filter be self_attn.q_proj/,
    ],
    ['a text', [slice(0, 4, 'half')], {}, /the scale of the source of slice 0 is "half"; expected a number/],
    ['no value', [slice(0, 4, [{ filter: 'o_proj' }])], {}, /is missing; expected a number/],
    ['a filter that is no text', [slice(0, 4, [{ filter: 3, value: 1 }])], {}, /has the filter 3; expected a text/],
    [
      'numbers among filters',
      [slice(0, 4, [{ filter: 'o_proj', value: 1 }, 0.5])],
      {},
      /a list of filters and numbers/,
    ],
    [
      'one filter without a list',
      [slice(0, 4, { filter: 'o_proj', value: 0.5 })],
      {},
      /is {"filter":"o_proj","value":0.5}; expected/,
    ],
    ['an empty list', [slice(0, 4, [])], {}, /is \[\]; expected/],
    ['null', [slice(0, 4, null)], {}, /is null; expected/],
  ])('refuses one of %s', (_, slices, more, message) => {
    expect(() => layers(slices, more)).toThrow(message);
  });

  test.each([
    ['1e-3', /the text "1e-3" \(in YAML 1.1, which mergekit reads/],
    ['.inf', /is Infinity; expected a number/],
    ['.nan', /is NaN; expected a number/],
    ['"0.5"', /the text "0.5"/],
  ])('refuses the number %s', (value, message) => {
    const text = `merge_method: passthrough\nslices: [{sources: [{model: m, layer_range: [0, 2], parameters: {scale: [{filter: o_proj, value: ${value}}]}}]}]`;
    expect(() => readMergekitLayers(text, 'f', 8, llamaLinears)).toThrow(message);
  });
});

describe('models', () => {
  test('one by any of its forms is one, and its revision is reported', () => {
    const forms = ['a/b@r', { model: 'a/b@r' }, { model: { path: 'a/b', revision: 'r' } }];
    const text = yaml(
      forms.map((model) => slice(0, 2, undefined, model)),
      { base_model: 'a/b@r', tokenizer_source: forms[2] },
    );
    expect(readMergekitLayers(text, 'f', 8, llamaLinears)).toEqual(layersOf([0, 2], [0, 2], [0, 2]));
    expect(readMergekitFile(text, 'f').warnings.at(-1)).toMatch(/the revision r has no effect: .* the config's base/);
  });

  test('one as a whole', () => {
    const text = stringify({ models: [{ model: 'm', parameters: { weight: 1 } }], merge_method: 'passthrough' });
    expect(readMergekitLayers(text, 'f', 3, llamaLinears)).toEqual(layersOf([0, 3]));
    expect(readMergekitFile(text, 'f').warnings).toEqual(['f: passthrough does not read the parameters weight']);
  });

  const of = (...models: unknown[]) => yaml(models.map((model) => slice(0, 2, undefined, model)));
  test.each([
    ['two donors', of('m', 'Euryale'), /from 2 models \(m, Euryale\), as Goliath's do/],
    ['a model and a revision of it', of('m', 'm@r'), /from 2 models \(m, m@r\)/],
    ['a LoRA', of('m+l'), /its model is m\+l, which is a model with a LoRA merged in/],
    ['a LoRA in a mapping', of({ model: 'm', lora: { path: 'l', revision: 'r' } }), /its model is m\+l@r, which/],
    ['a LoRA in one source', of('m', 'm+l'), /from 2 models \(m, m\+l\)/],
    [
      'a LoRA beside the name',
      yaml([{ sources: [{ model: 'm', lora: 'l', layer_range: [0, 2] }] }]),
      /slice 0 has lora beside model/,
    ],
    [
      'a revision beside the name',
      stringify({ models: [{ model: 'm', revision: 'r' }], merge_method: 'passthrough' }),
      /its model has revision beside model/,
    ],
    ['a revision in the mapping', of({ model: 'm', revision: 'r' }), /revision/],
    ['a path as the mapping', of({ path: 'm', revision: 'r' }), /model/],
    ['two LoRAs', of('m+l+k'), /"m\+l\+k" names no model/],
    ['two revisions', of('m@r@s'), /"m@r@s" names no model/],
    [
      'another architecture',
      of({ model: 'm', override_architecture: 'LlamaForCausalLM' }),
      /override_architecture LlamaForCausalLM/,
    ],
    ['another base model', yaml([slice(0, 2)], { base_model: 'o' }), /its base_model is o, and the layers come from m/],
    ['another base model of a slice', yaml([{ ...slice(0, 2), base_model: 'o' }]), /the base_model of slice 0 is o/],
    ['another tokenizer', yaml([slice(0, 2)], { tokenizer_source: 'o' }), /its tokenizer_source is o/],
    [
      'another tokenizer, by the newer key',
      yaml([slice(0, 2)], { tokenizer: { source: 'o' } }),
      /its tokenizer's source is o/,
    ],
    [
      'added tokens',
      yaml([slice(0, 2)], { tokenizer: { source: 'base', tokens: { '<x>': { source: 'm' } } } }),
      /tokenizer has tokens, which changes the embeddings/,
    ],
    [
      'a padded vocabulary',
      yaml([slice(0, 2)], { tokenizer: { source: 'union', pad_to_multiple_of: 64 } }),
      /pad_to_multiple_of/,
    ],
    [
      'two tokenizers',
      yaml([slice(0, 2)], { tokenizer_source: 'base', tokenizer: {} }),
      /both tokenizer_source and tokenizer/,
    ],
    [
      'two models',
      stringify({ models: [{ model: 'm' }, { model: 'n' }], merge_method: 'passthrough' }),
      /it has 2 models; expected one, or slices/,
    ],
    [
      'models beside slices',
      yaml([slice(0, 2)], { models: [{ model: 'm' }] }),
      /exactly one of slices, models and modules/,
    ],
    ['neither', 'merge_method: passthrough', /exactly one of slices, models and modules/],
    [
      'two modules',
      stringify({
        modules: { text: { slices: [slice(0, 2)] }, vision: { models: [{ model: 'm' }] } },
        merge_method: 'passthrough',
      }),
      /the modules text, vision; expected default alone/,
    ],
    [
      'another module',
      stringify({ modules: { text_decoder: { slices: [slice(0, 2)] } }, merge_method: 'passthrough' }),
      /the modules text_decoder/,
    ],
    [
      'an empty module',
      stringify({ modules: { default: {} }, merge_method: 'passthrough' }),
      /either slices or models/,
    ],
  ])('refuses %s', (_, text, message) => {
    const attempt = () => readMergekitLayers(text, 'merge.yaml', 8, llamaLinears);
    expect(attempt).toThrow(ModelError);
    expect(attempt).toThrow(message);
  });
});

describe('files', () => {
  test('what mergekit ignores is ignored and reported, a few of it by name', () => {
    const text = yaml([{ ...slice(0, 2), residual_weight: 0.5, sources: [{ ...slice(0, 2).sources[0], note: 1 }] }], {
      random_seed: 0,
      name: 'n',
      tokenizer: { source: 'base', extra: 1 },
      parameters: { normalize: true, density: [0.5, 1], rescale: false },
    });
    expect(readMergekitLayers(text, 'f', 8, llamaLinears)).toEqual(layersOf([0, 2]));
    expect(readMergekitFile(text, 'f').warnings).toEqual([
      'f: no effect here: tokenizer (for the files that mergekit writes)',
      'f: passthrough does not read the parameters normalize, density, rescale',
      'f: mergekit ignores random_seed, tokenizer.extra, slices.residual_weight, sources.note, and so does Glulam',
    ]);
    const many = readMergekitFile(yaml([slice(0, 2)], Object.fromEntries(range(0, 30).map((i) => [`k${i}`, i]))), 'f');
    expect(many.warnings).toEqual(['f: mergekit ignores k0, k1, k2, k3, k4, k5, k6 and 23 more, and so does Glulam']);
    expect(readMergekitFile(yaml([slice(0, 2)]), 'f').warnings).toEqual([]);
  });

  test.each([
    ['another method', yaml([slice(0, 4)], { merge_method: 'slerp' }), /merge_method is "slerp", which mixes weights/],
    ['no method', stringify({ slices: [slice(0, 4)] }), /merge_method/],
    ['two sources', yaml([{ sources: [slice(0, 4).sources[0], slice(0, 4).sources[0]] }]), /slice 0 has 2 sources/],
    ['an empty range', yaml([slice(4, 4)]), /layer_range \[4, 4\], which is empty/],
    ['a range backwards', yaml([slice(4, 2)]), /layer_range \[4, 2\], which is empty/],
    ['a range below the model', yaml([slice(-2, 2)]), /layer_range \[-2, 2\]; expected layers from 0 on/],
    ['a range beyond it', yaml([slice(2, 9)]), /layer_range \[2, 9\], which names physical layer 8/],
    ['half a layer', yaml([slice(0, 2.5)]), /layer_range/],
    ['a text that is no whole number as a layer', yaml([slice(0, '2.5')]), /layer_range/],
    ['an exponent as a layer', yaml([slice(0, '1e0')]), /layer_range/],
    [
      'a number in quotes as a scale',
      yaml([slice(0, 2)], { parameters: { scale: [{ filter: 'o_proj', value: '0.5' }, { value: 1 }] } }),
      /is the text "0\.5" \(a number has no quotes\)/,
    ],
    ['a range as a text', yaml([{ sources: [{ model: 'm', layer_range: '0-4' }] }]), /layer_range/],
    ['three numbers', yaml([{ sources: [{ model: 'm', layer_range: [0, 4, 1] }] }]), /layer_range/],
    ['no range', yaml([{ sources: [{ model: 'm' }] }]), /layer_range/],
    ['a range without end', yaml([slice(0, 1e9)]), /no model has so many/],
    ['300,000 layers', yaml([slice(0, 300_000)]), /has 300000 layers; no model has so many/],
    ['a number of layers that is none', yaml([slice(0, 1e300)]), /layer_range/],
    ['a dtype that is no text', yaml([slice(0, 4)], { dtype: 16 }), /dtype/],
    ['no YAML', 'slices: [', /it is not YAML/],
    ['nothing', '', /no passthrough file of mergekit/],
    ['a list', '- 1', /no passthrough file of mergekit/],
    [
      'a bomb',
      `a: &a [1,1]\n${range(0, 9)
        .map(
          (i) =>
            `${String.fromCharCode(98 + i)}: &${String.fromCharCode(98 + i)} [${`*${String.fromCharCode(97 + i)},`.repeat(9)}]`,
        )
        .join('\n')}`,
      /not YAML of use/,
    ],
    ['brackets without end', `slices: ${'['.repeat(5000)}`, /nests lists or records deeper than 64/],
    ['lists in lists', `slices: ${'- '.repeat(5000)}1`, /nests lists or records deeper than 64/],
    ['a file of any length', `a: ${'x'.repeat(100_000)}`, /has 100003 characters; expected at most 100000/],
  ])('refuses %s', (_, text, message) => {
    const attempt = () => readMergekitLayers(text, 'merge.yaml', 8, llamaLinears);
    expect(attempt).toThrow(ModelError);
    expect(attempt).toThrow(message);
  });

  test('a layer_range in other forms, as pydantic converts them', () => {
    for (const text of [
      '["0", "4"]',
      '[0.0, 4.0]',
      '["+0", " 4.0 "]',
      '[no, "0_4"]',
      '["-0", "4.00"]',
      '\n      - "0"\n      - 4',
    ])
      expect(
        readMergekitLayers(
          `slices:\n- sources:\n  - model: m\n    layer_range: ${text}\nmerge_method: passthrough`,
          'f',
          8,
          llamaLinears,
        ),
      ).toEqual(layersOf([0, 4]));
  });

  test('any map comes back as it was written', () => {
    const interval = fc
      .tuple(fc.nat(30), fc.integer({ min: 1, max: 8 }))
      .map(([start, size]): [number, number] => [start, start + size]);
    fc.assert(
      fc.property(fc.array(interval, { minLength: 1, maxLength: 8 }), (intervals) => {
        const read = readMergekitLayers(
          yaml(intervals.map(([start, end]) => slice(start, end))),
          'f',
          38,
          llamaLinears,
        );
        expect(read.map(({ physical }) => physical)).toEqual(intervals.flatMap(([start, end]) => range(start, end)));
        expect(layerMap(read).flatMap(([start, end]) => range(start, end))).toEqual(read.map((each) => each.physical));
      }),
      { seed: 6 },
    );
  });

  test('whatever else is there is read or refused with a ModelError', () => {
    const good = readFileSync(sample('anchors.yml'), 'utf8');
    const damaged = fc
      .tuple(fc.nat(good.length), fc.nat(12), fc.string())
      .map(([at, cut, put]) => good.slice(0, at) + put + good.slice(at + cut));
    const json = fc.json().map((text) => `merge_method: passthrough\nslices: ${text}`);
    fc.assert(
      fc.property(fc.oneof(damaged, json, fc.string()), (text) => {
        try {
          expect(readMergekitLayers(text, 'f', 8, llamaLinears).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError);
        }
      }),
      { seed: 7, numRuns: 2000 },
    );
  });
});
