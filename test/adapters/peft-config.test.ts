import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { readAdapter, readPeftAdapter, writeAdapter, writePeftAdapter } from '@glulam/export';
import { openSafetensors, sizeOf, writeSafetensors } from '@glulam/files';
import { checkAdapterOptions, openDecoder, llamaLinears, linearSites, openCheckpoint } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { families, freshFolder, root } from '../support/expanded.js';

// PEFT's files as they are found in the wild: fields of other versions, other shapes, other models.
const kinds = [loraContribution, doraContribution];
const golden = path.join(root, 'fixtures/golden/mistral-expanded-lora');
const written = JSON.parse(readFileSync(path.join(golden, 'adapter/adapter_config.json'), 'utf8')) as {
  layer_replication: unknown;
};
const checkpoint = await openCheckpoint(path.join(golden, 'base'), families);

/** The golden case's adapter with other fields in its config. */
function withFields(fields: object): string {
  const folder = path.join(freshFolder(), 'adapter');
  cpSync(path.join(golden, 'adapter'), folder, { recursive: true });
  writeFileSync(path.join(folder, 'adapter_config.json'), JSON.stringify({ ...written, ...fields }));
  return folder;
}
const configOf = (folder: string) =>
  JSON.parse(readFileSync(path.join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;

/** Every field of LoraConfig in PEFT 0.21 with what it is where nobody sets it. */
const defaults = {
  task_type: 'CAUSAL_LM',
  peft_type: 'LORA',
  auto_mapping: null,
  peft_version: '0.21.0',
  base_model_name_or_path: null,
  revision: null,
  inference_mode: false,
  r: 8,
  target_modules: ['q_proj'],
  exclude_modules: null,
  lora_alpha: 8,
  lora_dropout: 0,
  fan_in_fan_out: false,
  bias: 'none',
  use_rslora: false,
  modules_to_save: null,
  init_lora_weights: true,
  layers_to_transform: null,
  layers_pattern: null,
  rank_pattern: {},
  alpha_pattern: {},
  megatron_config: null,
  megatron_core: 'megatron.core',
  trainable_token_indices: null,
  loftq_config: {},
  eva_config: null,
  corda_config: null,
  lora_ga_config: null,
  use_dora: false,
  velora_config: null,
  alora_invocation_tokens: null,
  use_qalora: false,
  qalora_group_size: 16,
  monteclora_config: null,
  layer_replication: null,
  runtime_config: { ephemeral_gpu_offload: false },
  lora_bias: false,
  target_parameters: null,
  use_bdlora: null,
  arrow_config: null,
  kasa_config: null,
  ensure_weight_tying: false,
};

describe('fields of adapter_config.json', () => {
  test('the defaults of every field are followed', () => {
    expect(loraContribution.fromPeft(defaults)).toMatchObject({ r: 8, target_modules: ['q_proj'] });
    expect(doraContribution.fromPeft({ ...defaults, use_dora: true })).toMatchObject({ r: 8 });
  });

  test.each([
    ['trainable_token_indices', [1, 2]],
    ['target_parameters', ['mlp.experts.gate_up_proj']],
    ['kasa_config', {}],
    ['velora_config', {}],
    ['monteclora_config', {}],
    ['trainable_token_indices', []],
    ['alora_invocation_tokens', [5]],
    ['use_qalora', true],
    ['use_bdlora', { nblocks: 2 }],
    ['arrow_config', { top_k: 3 }],
    ['kasa_config', { beta: 1 }],
    ['monteclora_config', { buffer: 1 }],
    ['velora_config', { groups: 2 }],
    ['megatron_config', { hidden_size: 4 }],
    ['init_lora_weights', 'pissa'],
    ['init_lora_weights', 'pissa_niter_4'],
    ['init_lora_weights', 'olora'],
    ['init_lora_weights', 'corda'],
    ['init_lora_weights', 'loftq'],
    ['init_lora_weights', 'a new one'],
    ['use_something_of_2027', true],
    ['something_of_2027', { rank: 3 }],
    ['alpha_of_2027', 0],
  ])('%s: %j changes the arithmetic and is refused by name', (field, value) => {
    const folder = withFields({ [field]: value });
    expect(() => readPeftAdapter(folder, kinds, checkpoint.spec)).toThrow(
      expect.objectContaining({
        code: 'ADAPTER_INVALID',
        message: expect.stringContaining(`${field} is ${JSON.stringify(value)}`),
      }),
    );
  });

  test('lora_bias is kept, and refused where PEFT refuses it', () => {
    const lora = loraContribution.fromPeft({ ...defaults, lora_bias: true, init_lora_weights: false })!;
    expect(lora.lora_bias).toBe(true);
    expect(loraContribution.create(lora).peftConfig([])).toMatchObject({ lora_bias: true });
    expect(loraContribution.fromPeft({ ...defaults, lora_bias: null })).toMatchObject({ lora_bias: false });
    expect(() => loraContribution.fromPeft({ ...defaults, lora_bias: true, init_lora_weights: 'gaussian' })).toThrow(
      /lora_bias needs init_lora_weights true or false, as in PEFT; it is "gaussian"/,
    );
    expect(() => loraContribution.create({ ...lora, init_lora_weights: 'pissa' })).toThrow(
      /lora_bias needs init_lora_weights true/,
    );
    expect(() => doraContribution.fromPeft({ ...defaults, lora_bias: true, use_dora: true })).toThrow(
      /lora_bias: expected false: DoRA/,
    );
  });

  test('options that have no effect on this base are reported', () => {
    const { spec } = checkpoint;
    const warned = (fields: object, { biased, tied = false }: { biased?: string; tied?: boolean } = {}) => {
      const sites = linearSites(spec, [{ physical: 0 }]).map((site) => ({ ...site, hasBias: site.linear === biased }));
      const options = loraContribution.schema.parse({ target_modules: ['q_proj'], ...fields });
      return loraContribution.warnings!(options, sites, { ...spec, head: { ...spec.head, tied } });
    };
    expect(warned({ bias: 'all' })).toEqual(['bias "all" has no effect: the base has no biases']);
    expect(warned({ bias: 'lora_only' }, { biased: 'mlp.up_proj' })).toEqual([
      'bias "lora_only" has no effect: no linear layer with an adapter has a bias',
    ]);
    expect(warned({ bias: 'all' }, { biased: 'mlp.up_proj' })).toEqual([]);
    expect(warned({ bias: 'lora_only' }, { biased: 'self_attn.q_proj' })).toEqual([]);
    const tying = { ensure_weight_tying: true, modules_to_save: ['lm_head'] };
    expect(warned(tying, { tied: false })).toEqual([
      expect.stringMatching(/^ensure_weight_tying has no effect: the output head .* is not tied/),
    ]);
    expect(warned(tying, { tied: true })).toEqual([]);
    expect(warned({ ...tying, modules_to_save: null }, { tied: true })).toEqual([
      'ensure_weight_tying has no effect: modules_to_save names neither the embedding nor the output head',
    ]);
  });

  test('of a value of any depth or length the beginning is quoted', () => {
    const folder = withFields({});
    const deep = `${'['.repeat(20_000)}1${']'.repeat(20_000)}`;
    for (const [value, quoted] of [
      [deep, 'kasa_config is [[[["…"]]]]; only null'],
      [`"${'x'.repeat(99_999)}"`, 'x…; only null'],
    ] as const) {
      writeFileSync(
        path.join(folder, 'adapter_config.json'),
        `${JSON.stringify(written).slice(0, -1)},"kasa_config":${value}}`,
      );
      expect(() => readPeftAdapter(folder, kinds, checkpoint.spec)).toThrow(quoted);
    }
  });

  test('how to mend it is said', () => {
    expect(() => readPeftAdapter(withFields({ new_field: 1, use_qalora: true }), kinds, checkpoint.spec)).toThrow(
      /use_qalora is true; only false is supported\n {2}new_field is 1, a field that this version does not know .*; update Glulam, or take the field out/,
    );
    expect(() => readPeftAdapter(withFields({ init_lora_weights: 'pissa' }), kinds, checkpoint.spec)).toThrow(
      /PEFT changes the base: save the adapter with path_initial_model_for_weight_conversion/,
    );
  });

  test.each([
    ['init_lora_weights', false],
    ['init_lora_weights', 'eva'],
    ['init_lora_weights', 'orthogonal'],
    ['null_of_2027', null],
    ['flag_of_2027', false],
    ['list_of_2027', []],
    ['record_of_2027', {}],
    ['megatron_config', {}],
    ['alora_invocation_tokens', []],
    ['target_parameters', []],
    ['layers_to_transform', []],
    ['init_lora_weights', 'Gaussian'],
    ['layer_replication', written.layer_replication],
    ['text_of_2027', ''],
  ])('%s: %j changes nothing and nobody hears of it', (field, value) => {
    expect(readPeftAdapter(withFields({ [field]: value }), kinds, checkpoint.spec).warnings).toEqual([]);
  });

  test('harmless ones are told of and written back, also where the compact form is read in between', async () => {
    const fields = {
      eva_config: { rho: 2 },
      loftq_config: { loftq_bits: 4 },
      runtime_config: { ephemeral_gpu_offload: true },
      peft_version: '0.99.0',
      list_of_2027: [],
    };
    const folder = withFields(fields);
    const read = readPeftAdapter(folder, kinds, checkpoint.spec);
    expect(read.warnings).toEqual([
      'adapter_config.json has fields that change nothing here and are kept as they are: eva_config, loftq_config, runtime_config',
    ]);
    const engine = createReferenceEngine();
    const open = async ({ adapter, layers, values }: typeof read) =>
      await openDecoder({ engine, checkpoint, adapter, layers, adapterValues: values });
    const [peft, compact, again] = ['peft', 'compact', 'again'].map((name) => path.join(freshFolder(), name)) as [
      string,
      string,
      string,
    ];
    await writePeftAdapter(await open(read), peft, 'base');
    expect(configOf(peft)).toMatchObject(fields);
    // Every field that was there is there, and those of PEFT's defaults too.
    expect(Object.keys(configOf(folder)).filter((field) => !(field in configOf(peft)))).toEqual([]);
    await writeAdapter(await open(read), compact, { base: 'base', adapter: read.choice });
    await writeAdapter(await open(readAdapter(compact, kinds, checkpoint.spec)), again, {
      base: 'base',
      adapter: read.choice,
    });
    expect(configOf(again)).toEqual(configOf(compact));
    expect(configOf(again)).toMatchObject(fields);
  });

  test('exclude_modules by PEFT’s rules: suffixes, or one regular expression over the whole path', () => {
    const sites = linearSites(checkpoint.spec, [{ physical: 0 }, { physical: 1 }, { physical: 1 }]);
    const adapted = (exclude_modules: unknown, more: object = {}) => {
      const options = loraContribution.fromPeft({
        ...defaults,
        target_modules: ['q_proj', 'v_proj'],
        exclude_modules,
        ...more,
      })!;
      const { at } = loraContribution.create(options);
      return sites
        .filter((site) => at(site) !== undefined)
        .map(({ path: name }) => name.replace('model.layers.', '').replace('self_attn.', ''));
    };
    const all = ['0.q_proj', '0.v_proj', '1.q_proj', '1.v_proj', '2.q_proj', '2.v_proj'];
    expect(adapted(null)).toEqual(all);
    expect(adapted([])).toEqual(all);
    expect(adapted(['q_proj'])).toEqual(['0.v_proj', '1.v_proj', '2.v_proj']);
    expect(adapted(['layers.1.self_attn.q_proj', 'proj'])).toEqual(all.filter((name) => name !== '1.q_proj'));
    expect(adapted('.*\\.[02]\\..*')).toEqual(['1.q_proj', '1.v_proj']);
    expect(adapted('q_proj')).toEqual(all);
    expect(() => adapted('(')).toThrow(/exclude_modules has "\(": .*one of Python's regular expressions/);
  });
});

describe('files that do not fit', () => {
  const refused = (open: () => unknown, message: RegExp) =>
    expect(async () => await open()).rejects.toThrow(
      expect.objectContaining({ code: 'ADAPTER_INVALID', message: expect.stringMatching(message) }),
    );
  const open = async (folder: string, base = checkpoint, layers?: { physical: number }[]) => {
    const read = readPeftAdapter(folder, kinds, checkpoint.spec);
    return openDecoder({
      engine: createReferenceEngine(),
      checkpoint: base,
      adapter: read.adapter,
      layers: layers ?? read.layers,
      adapterValues: read.values,
    });
  };
  const plain = { layer_replication: null };

  test('wrong shapes, told by tensor with what is needed', async () => {
    await refused(
      () => open(withFields({ r: 5 })),
      /the adapter is not for this base and expansion:\n {2}model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight has shape \[4, 32\]; this model needs \[5, 32\][\s\S]*and \d+ more/,
    );
  });

  test('another map: tensors that are missing, and tensors that belong nowhere', async () => {
    await refused(() => open(withFields(plain)), /model\.layers\.10\.\S+ belongs to no adapted layer of this model/);
    await refused(
      () =>
        open(
          withFields({
            layer_replication: [
              [0, 8],
              [0, 8],
            ],
          }),
        ),
      /model\.layers\.12\.\S+ is missing/,
    );
  });

  test('a map beyond the base', async () => {
    await expect(() =>
      open(
        withFields({
          layer_replication: [
            [0, 4],
            [2, 6],
            [4, 11],
          ],
        }),
      ),
    ).rejects.toThrow(
      expect.objectContaining({
        code: 'EXPANSION_INVALID',
        message: expect.stringMatching(/virtual layer 12 names physical layer 8; the base has layers 0 to 7/),
      }),
    );
    for (const layer_replication of [[[3, 3]], [[-1, 2]], [[0.5, 2]], ['0-4'], 7, [[0]], [[0, 2, 4]]])
      await refused(
        () => open(withFields({ layer_replication })),
        /layer_replication .*; expected a list of \[start, end\] with 0 <= start < end$/,
      );
  });

  test('a map of more layers than any model has, before it is laid out', async () => {
    for (const layer_replication of [[[0, 1e300]], [[0, 1e9]], Array.from({ length: 50_000 }, () => [0, 8])])
      await refused(
        () => open(withFields({ layer_replication })),
        /layer_replication .*, which makes \S+ layers; expected at most 4096$/,
      );
  });

  test('another base', async () => {
    const other = await openCheckpoint(path.join(root, 'fixtures/pissa/lora/base'), families);
    await refused(
      () =>
        open(
          withFields({}),
          other,
          Array.from({ length: 12 }, (_, i) => ({ physical: i % 2 })),
        ),
      /q_proj\.lora_A\.weight has shape \[4, 32\]; this model needs \[4, 24\]/,
    );
  });

  test('no adapter at all, or something else', async () => {
    const folder = path.join(freshFolder(), 'adapter');
    mkdirSync(folder);
    await refused(
      () => readPeftAdapter(folder, kinds, checkpoint.spec),
      /has no adapter_config\.json; expected the folder of a PEFT adapter/,
    );
    const config = path.join(folder, 'adapter_config.json');
    for (const [text, message] of [
      ['{', /cannot be read as JSON/],
      ['null', /holds null; expected an object/],
      ['[1]', /holds \[1\]; expected an object/],
      ['{"peft_type":"LOHA"}', /says peft_type "LOHA"; installed adapters: lora, dora/],
      ['{"peft_type":"LORA"}', /has no adapter_model\.safetensors$/],
    ] as const) {
      writeFileSync(config, text);
      await refused(() => readPeftAdapter(folder, kinds, checkpoint.spec), message);
    }
    writeFileSync(path.join(folder, 'adapter_model.bin'), '');
    await refused(
      () => readPeftAdapter(folder, kinds, checkpoint.spec),
      /its adapter_model\.bin is a pickle file, .*save_pretrained/i,
    );
    await writeSafetensors(path.join(folder, 'adapter_model.safetensors'), [
      { name: 'transformer.h.0.lora_A', shape: [1], dtype: 'float32', values: new Float32Array(1) },
    ]);
    await refused(
      () => readPeftAdapter(folder, kinds, checkpoint.spec),
      /the names of 1 of its 1 tensors do not begin with base_model\.model\. \(transformer\.h\.0\.lora_A\)/,
    );
  });

  /** The plain adapter's file with other tensors: their shapes by name, undefined for none. */
  async function withTensors(
    change: (name: string, shape: readonly number[]) => Readonly<Record<string, readonly number[]>>,
  ) {
    const folder = withFields({});
    const file = path.join(folder, 'adapter_model.safetensors');
    const saved = openSafetensors(file);
    const shapes = Object.entries(
      Object.assign({}, ...saved.names().map((name) => change(name, saved.source(name).shape))) as Record<
        string,
        readonly number[]
      >,
    );
    await writeSafetensors(
      file,
      shapes.map(([name, shape]) => ({ name, shape, dtype: 'float32', values: new Float32Array(sizeOf(shape)) })),
    );
    return folder;
  }

  test('an empty part, another vocabulary, one tensor twice, and tensors of the base', async () => {
    const first = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A';
    const empty = await withTensors((name, shape) => ({ [name]: name.startsWith(first) ? [0, 32] : shape }));
    await refused(
      () => open(empty),
      /shape \[0, 32\]; this model needs \[4, 32\]: an empty part, as DeepSpeed ZeRO-3 saves it/,
    );

    const { vocabularySize, hiddenSize } = checkpoint.spec;
    const more = [vocabularySize + 2, hiddenSize];
    const resized = await withTensors((name, shape) => ({
      [name]: shape,
      'base_model.model.model.embed_tokens.weight': more,
    }));
    await refused(
      () => open(resized),
      new RegExp(`embed_tokens\\.weight has shape \\[${more.join(', ')}\\]; .*trained with ${more[0]} tokens`),
    );

    const twice = await withTensors((name, shape) => ({
      [name]: shape,
      [name.replace('.weight', '.default.weight')]: shape,
    }));
    await refused(() => open(twice), /lora_A\.weight and another tensor that stands for model\.layers\.\S+ too/);

    const norm = 'base_model.model.model.layers.0.input_layernorm.weight';
    const ofBase = await withTensors((name, shape) => ({ [name]: shape, [norm]: [hiddenSize] }));
    await refused(
      () => open(ofBase),
      /tensors of the base itself, which PEFT would load[^]*0\.input_layernorm\.weight belongs to no adapted/,
    );
  });
});

describe('what is of no effect is reported', () => {
  const linears = llamaLinears.map((name) => name.split('.')[1]!);
  test.each([
    [{ rank_pattern: { gate_proj: 4, o_prj: 2 } }, 'rank_pattern has "o_prj", which matches no layer with an adapter'],
    [{ alpha_pattern: { 'layers.1.x': 2 } }, 'alpha_pattern has "layers.1.x", which matches no layer with an adapter'],
    [{ exclude_modules: 'q_proj' }, 'exclude_modules "q_proj" excludes no linear layer'],
    [{ exclude_modules: ['c_attn'] }, 'exclude_modules ["c_attn"] excludes no linear layer'],
    [
      { target_modules: [...linears, 'layers.99.mlp.up_proj'] },
      'target_modules names "layers.99.mlp.up_proj", which no linear layer of the model matches',
    ],
    [
      { target_modules: linears, layers_to_transform: [...Array(12).keys(), 12] },
      'layers_to_transform names 12, where the model has no layer that takes an adapter',
    ],
    [{ exclude_modules: [], rank_pattern: { o_proj: 4 } }, undefined],
  ])('%j', (fields, warning) => {
    const { warnings } = readAdapter(withFields(fields), kinds, checkpoint.spec);
    expect(warnings).toEqual(warning === undefined ? [] : [warning]);
  });
});

describe('targets', () => {
  const sites = linearSites(checkpoint.spec, [{ physical: 0 }, { physical: 1 }]);
  const create = (fields: object) => {
    const options = loraContribution.schema.parse(fields);
    checkAdapterOptions(loraContribution, options, checkpoint.spec);
    return loraContribution.create(options);
  };
  const adapted = (fields: object) => sites.filter((site) => create(fields).at(site) !== undefined).length;

  test('`all-linear` in any case, and a whole path whatever layers_to_transform says', async () => {
    expect(adapted({ target_modules: 'All-Linear' })).toBe(14);
    const listed = { target_modules: ['model.layers.0.mlp.up_proj', 'q_proj'], layers_to_transform: [1] };
    expect(adapted(listed)).toBe(2);
    expect(adapted({ ...listed, layers_to_transform: [] })).toBe(3);
    expect(adapted({ ...listed, layers_pattern: 'h' })).toBe(1);
  });

  test('a regular expression that PEFT would stop at becomes a list in its files', async () => {
    const paths = [0, 1].flatMap((layer) =>
      ['gate', 'up', 'down'].map((name) => `model.layers.${layer}.mlp.${name}_proj`),
    );
    expect(create({ target_modules: '.*mlp.*' }).peftConfig(sites)['target_modules']).toEqual(paths);
    const kept = String.raw`.*mlp\.\w+_proj`;
    expect(create({ target_modules: kept }).peftConfig(sites)['target_modules']).toBe(kept);
  });

  test.each([
    [{ target_modules: ['lm_head'] }, /names "lm_head", which is not a linear layer of the decoder/],
    [{ target_modules: '.*_(head|proj)' }, /target_modules matches lm_head; adapters on the embedding/],
    [{ target_modules: '.*_proj', layers_pattern: 'layers' }, /work with a list of target_modules only/],
    [{ target_modules: ['q_proj'], layers_pattern: 'layers' }, /layers_pattern works with layers_to_transform only/],
    [{ target_modules: ['q_proj'], layers_to_transform: 1, layers_pattern: 'h|layers' }, /layers_pattern has a "\|"/],
    [
      { alpha_pattern: { 'q_proj(?i)': 2 } },
      /alpha_pattern has "q_proj\(\?i\)": what PEFT makes of it, .* not at its start/,
    ],
    [{ modules_to_save: ['norm('] }, /modules_to_save has "norm\("/],
  ])('%j is refused', (fields, message) => expect(() => create(fields)).toThrow(message));

  test('the head may match where it is excluded or saved whole', async () => {
    expect(adapted({ target_modules: '.*_(head|proj)', exclude_modules: ['lm_head'] })).toBe(14);
    expect(adapted({ target_modules: '.*_(head|proj)', modules_to_save: ['lm_head'] })).toBe(14);
  });
});
