import { copyFileSync, cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gguf } from '@huggingface/gguf';
import { loraContribution } from '@glulam/adapter-lora';
import { exportGguf, mergeCheckpoint } from '@glulam/export';
import { openCheckpointFiles, readFloats, writeSafetensors, type SafetensorsInput } from '@glulam/files';
import { openDecoder, describeCheckpoint, openCheckpoint, packTokens, type DecoderOptions } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { difference, families, freshFolder, logitsAt, root } from '../support/expanded.js';

const fixtures = path.join(root, 'fixtures/checkpoints');
interface Expected {
  readonly tied: boolean;
  readonly logits: readonly number[];
  readonly expanded?: { readonly layers: readonly number[]; readonly logits: readonly number[] };
}
const { ids, cases } = JSON.parse(readFileSync(path.join(fixtures, 'expected.json'), 'utf8')) as {
  readonly ids: number[];
  readonly cases: Readonly<Record<string, Expected>>;
};
const open = async (name: string) => await openCheckpoint(path.join(fixtures, name), families);

async function logitsOf(options: Omit<DecoderOptions, 'engine'>): Promise<Float32Array> {
  const engine = createReferenceEngine({ precision: 'float32' });
  const decoder = await openDecoder({ engine, ...options });
  const logits = await logitsAt(decoder, packTokens([ids]));
  decoder.close();
  await engine.close();
  return logits;
}

const expectLogits = (got: Float32Array, expected: readonly number[]): void =>
  expect(difference(got, Float32Array.from(expected))).toBeLessThan(1e-5);

const differ = [
  expect.stringMatching(
    /tie_word_embeddings.*lm_head\.weight and model\.embed_tokens\.weight are stored with different/,
  ),
];
const warnings: Readonly<Record<string, readonly unknown[]>> = {
  'tied-differ': differ,
  'tied-close-other-dtype': differ,
  ...Object.fromEntries(
    ['no-prefix-tied', 'no-prefix-only-head', 'no-prefix-own-head'].map((name) => [
      name,
      [
        expect.stringMatching(
          /architectures names LlamaModel, which is no causal language model; it is read as one, by its model_type "llama"$/,
        ),
      ],
    ]),
  ),
  'classifier-tied': [
    expect.stringMatching(/LlamaForSequenceClassification, which is no causal .* any other head is not read$/),
  ],
  'more-than-the-model': [
    expect.stringMatching(
      /hold 2 tensors .* nothing reads them: model\.layers\.0\.self_attn\.q_proj\.bias, model\.layers\.2\.input_layernorm\.weight$/,
    ),
  ],
  'stale-index': [
    expect.stringMatching(/index\.json is out of date: .*rotary_emb\.inv_freq are in no shard; nothing needs them/),
  ],
};

describe.each(Object.entries(cases))('%s', (name, { tied, logits, expanded }) => {
  test('is the model that transformers loads', async () => {
    const checkpoint = await open(name);
    expect(checkpoint.spec.head.tied).toBe(tied);
    expect(checkpoint.warnings).toEqual(warnings[name] ?? []);
    expectLogits(await logitsOf({ checkpoint }), logits);
  });

  test('merged, it is that model again, and says whether its head is tied', async () => {
    const out = path.join(freshFolder(), 'merged');
    const checkpoint = await open(name);
    const physicalLayers = checkpoint.spec.layers.length;
    const map = expanded?.layers ?? Array.from({ length: physicalLayers }, (_, layer) => layer);
    await mergeCheckpoint({ checkpoint, layers: map.map((physical) => ({ physical })) }, { out });
    const merged = await openCheckpoint(out, families);
    expect(merged.config.fields['tie_word_embeddings']).toBe(tied);
    expect(merged.files.has('lm_head.weight')).toBe(!tied);
    expect(merged.warnings).toEqual([]);
    expectLogits(await logitsOf({ checkpoint: merged }), expanded?.logits ?? logits);
  });

  test('is planned as it is opened', async () => {
    const { checkpoint, hasWeights } = await describeCheckpoint(path.join(fixtures, name), families);
    expect([hasWeights, checkpoint.spec.head.tied]).toEqual([true, tied]);
  });
});

describe('a head that is stored apart from the embedding', () => {
  test('is the head of the GGUF file', async () => {
    const source = { checkpoint: await open('tied-differ'), layers: [{ physical: 0 }] };
    const file = path.join(freshFolder(), 'model.gguf');
    await exportGguf(source, { file, type: 'f32' });
    const { tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
    const { offset } = tensorInfos.find((each) => each.name === 'output.weight')!;
    const bytes = readFileSync(file);
    const at = Number(tensorDataOffset) + Number(offset);
    const head = readFloats(openCheckpointFiles(path.join(fixtures, 'tied-differ')).source('lm_head.weight'));
    expect(
      new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + head.byteLength)),
    ).toEqual(head);
  });

  test('is what modules_to_save trains, and the embedding is another tensor', async () => {
    const checkpoint = await open('tied-differ');
    const adapterOf = (module: string) =>
      loraContribution.create(loraContribution.schema.parse({ r: 1, modules_to_save: [module] }));
    for (const module of ['lm_head', 'embed_tokens'])
      expectLogits(await logitsOf({ checkpoint, adapter: adapterOf(module) }), cases['tied-differ']!.logits);
  });

  test('without weights config.json decides', async () => {
    const folder = freshFolder();
    copyFileSync(path.join(fixtures, 'tied-differ/config.json'), path.join(folder, 'config.json'));
    const { checkpoint, hasWeights } = await describeCheckpoint(folder, families);
    expect([hasWeights, checkpoint.spec.head.tied]).toEqual([false, true]);
  });
});

test('an adapter beside the weights is reported', async () => {
  const folder = path.join(freshFolder(), 'both');
  cpSync(path.join(fixtures, 'no-tie-field'), folder, { recursive: true });
  writeFileSync(path.join(folder, 'adapter_config.json'), '{}');
  expect((await openCheckpoint(folder, families)).warnings).toEqual([
    expect.stringMatching(/both holds an adapter beside the weights, which from_pretrained of transformers adds/),
  ]);
});

/** The whole checkpoint of the fixtures with other names, types or fields, in a folder of its own. */
async function changed(
  rename: (name: string) => string | undefined,
  fields: object = {},
  dtypeOf: (name: string) => SafetensorsInput['dtype'] = () => 'float32',
): Promise<string> {
  const folder = freshFolder();
  const from = path.join(fixtures, 'no-tie-field');
  const config = JSON.parse(readFileSync(path.join(from, 'config.json'), 'utf8')) as object;
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, ...fields }));
  const files = openCheckpointFiles(from);
  const tensors = files.names().flatMap((stored): SafetensorsInput[] => {
    const name = rename(stored);
    if (name === undefined) return [];
    const { shape, ...source } = files.source(stored);
    const dtype = dtypeOf(stored);
    if (dtype === 'float32') return [{ name, shape, dtype, values: readFloats({ ...source, shape }) }];
    const size = shape.reduce((product, length) => product * length, 1);
    return [{ name, shape, dtype, data: new Uint8Array(size * (dtype === 'F64' ? 8 : 1)) }];
  });
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return folder;
}

const noHead = (name: string): string | undefined => (name === 'lm_head.weight' ? undefined : name);

describe('what is no whole language model is refused with advice', () => {
  const wrapped: [what: string, rename: (name: string) => string | undefined, message: RegExp, fields?: object][] = [
    [
      'no head',
      noHead,
      /config\.json has no tie_word_embeddings, so the model needs its own lm_head\.weight.*\(architectures: "LlamaForCausalLM"\).*"tie_word_embeddings": true/,
    ],
    [
      'no head, untied',
      noHead,
      /config\.json says tie_word_embeddings: false, so the model needs its own/,
      { tie_word_embeddings: false },
    ],
    [
      'LlamaModel',
      (name) => noHead(name)?.replace(/^model\./, ''),
      /lm_head\.weight is missing\n.*\(architectures: "LlamaModel"\) was saved without one/,
      { architectures: ['LlamaModel'] },
    ],
    [
      'a classifier',
      (name) => (name === 'lm_head.weight' ? 'score.weight' : name),
      /has another head, score\.weight, and no language-model head, so it predicts no tokens/,
    ],
    [
      'a classifier by its architecture',
      noHead,
      /\(architectures: "LlamaForSequenceClassification"\) has another head and no language-model head/,
      { architectures: ['LlamaForSequenceClassification'] },
    ],
    [
      'biases in config.json alone',
      (name) => name,
      /says that there are biases \(attention_bias\), and the files lack 8 of them\. transformers takes the missing ones as zeros: .*write false/,
      { attention_bias: true },
    ],
    [
      'torch.compile',
      (name) => `_orig_mod.${name}`,
      /have "_orig_mod\." in them, from torch\.compile: .* Instead, save model\._orig_mod, or remove "_orig_mod\."/,
    ],
    [
      'compiled layers',
      (name) => name.replace(/(layers\.\d+\.)/, '$1_orig_mod.'),
      /is stored as model\.layers\.\d\._orig_mod\..*torch|from torch\.compile/,
    ],
    ['DDP', (name) => `module.${name}`, /have "module\." in them, from DataParallel, .* save model\.module/],
    ['both', (name) => `module._orig_mod.${name}`, /have "_orig_mod\." and "module\." in them/],
    ['FSDP', (name) => `_fsdp_wrapped_module.${name}`, /from FSDP/],
    [
      'PEFT',
      (name) => `base_model.model.${name.replace(/_proj\./, '_proj.base_layer.')}`,
      /from PEFT: .* Instead, save model\.merge_and_unload\(\)\.$/,
    ],
    [
      'a multi-modal model',
      (name) => name.replace(/^model\./, 'model.language_model.'),
      /have "language_model\." in them, from a multi-modal model/,
    ],
    ['an unknown prefix', (name) => `foo.bar.${name}`, /If all names begin with "foo\.bar\.", remove "foo\.bar\."/],
    [
      'neither of a tied pair',
      (name) => (name.includes('embed') ? undefined : noHead(name)),
      /model\.embed_tokens\.weight is missing\nDownload the checkpoint again, whole/,
      { tie_word_embeddings: true },
    ],
    [
      'other sizes',
      (name) => name,
      /lm_head\.weight has shape \[32, 8\]; config\.json makes it \[33, 8\]\n.*of different models or revisions/,
      { vocab_size: 33, tie_word_embeddings: true },
    ],
  ];
  test.each(wrapped)('%s', async (_, rename, message, fields) => {
    const folder = await changed(rename, fields);
    await expect(() => openCheckpoint(folder, families)).rejects.toThrow(
      expect.objectContaining({
        code: 'CHECKPOINT_INVALID',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  test('config.json that is no JSON', async () => {
    const written = (change: (text: string) => string): string => {
      const folder = freshFolder();
      const text = readFileSync(path.join(fixtures, 'no-tie-field/config.json'), 'utf8');
      writeFileSync(path.join(folder, 'config.json'), change(text));
      return folder;
    };
    const refused = async (change: (text: string) => string, message: RegExp): Promise<void> =>
      await expect(() => openCheckpoint(written(change), families)).rejects.toThrow(message);
    await refused((text) => `\uFEFF${text}`, /begins with a byte order mark, which transformers refuses too/);
    await refused(
      (text) => text.replace('{', '{"a": NaN,'),
      /; NaN is no number of JSON: write null or a finite number/,
    );
    await refused((text) => text.replace('{', '{"a": [1, -Infinity],'), /; -Infinity is no number of JSON/);
    await refused((text) => text.slice(0, 20), /; download it again/);
  });

  test('a tensor under two names', async () => {
    const folder = await changed((name) => (name === 'lm_head.weight' ? 'embed_tokens.weight' : name), {
      tie_word_embeddings: true,
    });
    await expect(() => openCheckpoint(folder, families)).rejects.toThrow(
      /hold model\.embed_tokens\.weight twice, as (model\.)?embed_tokens\.weight and as/,
    );
  });

  test.each([
    [
      'F64',
      'CHECKPOINT_INVALID',
      /stored as F64 \(.* and \d+ more\); expected F32, BF16, F16\. Convert .*dtype="float32"/,
    ],
    ['F8_E4M3', 'QUANTIZED_UNSUPPORTED', /stored as F8_E4M3 .*Use the checkpoint that was quantized/],
    ['I8', 'QUANTIZED_UNSUPPORTED', /stored as I8 /],
  ] as const)('weights of type %s', async (dtype, code, message) => {
    const folder = await changed(
      (name) => name,
      {},
      (name) => (name.includes('proj') ? dtype : 'float32'),
    );
    await expect(() => openCheckpoint(folder, families)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });

  test.each(['model.safetensors', 'config.json'])('%s is a link that leads nowhere', async (name) => {
    const folder = await changed((each) => each);
    rmSync(path.join(folder, name));
    symlinkSync('../../blobs/gone', path.join(folder, name));
    await expect(async () => await describeCheckpoint(folder, families)).rejects.toThrow(
      /a link to \.\.\/\.\.\/blobs\/gone, which does not exist/,
    );
  });
});

describe('the dtype of a config.json without weights', () => {
  const describedWith = async (fields: object) => {
    const folder = freshFolder();
    const config = JSON.parse(readFileSync(path.join(fixtures, 'no-tie-field/config.json'), 'utf8')) as object;
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, torch_dtype: undefined, ...fields }));
    return (await describeCheckpoint(folder, families)).checkpoint.files.source('model.norm.weight').dtype;
  };
  test.each([
    [{}, 'float32'],
    [{ torch_dtype: null }, 'float32'],
    [{ torch_dtype: 'bfloat16' }, 'bfloat16'],
    [{ torch_dtype: 'torch.bfloat16' }, 'bfloat16'],
    [{ torch_dtype: 'half' }, 'float16'],
    [{ torch_dtype: 'torch.float16' }, 'float16'],
    [{ torch_dtype: 'float' }, 'float32'],
    [{ dtype: 'bfloat16', torch_dtype: 'float32' }, 'bfloat16'],
  ])('%j', async (fields, dtype) => expect(await describedWith(fields)).toBe(dtype));

  test.each(['float64', 'toString', 'torch.float8_e4m3fn', 16])(
    '%j is refused',
    async (dtype) =>
      await expect(() => describedWith({ torch_dtype: dtype })).rejects.toThrow(
        /expected float32, bfloat16 or float16/,
      ),
  );

  test('a merged model says its dtype in every field that the base has', async () => {
    const folder = await changed((name) => name, { dtype: 'float32', torch_dtype: 'float32' });
    const out = path.join(freshFolder(), 'merged');
    await mergeCheckpoint(
      { checkpoint: await openCheckpoint(folder, families), layers: [{ physical: 0 }] },
      { out, dtype: 'bfloat16' },
    );
    expect((await openCheckpoint(out, families)).config.fields).toMatchObject({
      dtype: 'bfloat16',
      torch_dtype: 'bfloat16',
    });
  });
});
