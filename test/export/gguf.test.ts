import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gguf, GGMLQuantizationType } from '@huggingface/gguf';
import { doraContribution } from '@glulam/adapter-dora';
import { fullContribution } from '@glulam/adapter-full';
import { loraContribution } from '@glulam/adapter-lora';
import { exportGguf, mergeCheckpoint, type GgufType, type MergeSource } from '@glulam/export';
import {
  fromBfloat16Bits,
  fromFloat16Bits,
  openCheckpointFiles,
  readFloats,
  toBfloat16Bits,
  toFloat16Bits,
  writeSafetensors,
} from '@glulam/files';
import {
  attentionOf,
  openDecoder,
  inverseFrequencies,
  openCheckpoint,
  openTokenizer,
  type Adapter,
  type AdapterContribution,
  type AdapterValues,
  type Checkpoint,
  type VirtualLayer,
} from '@glulam/model';
import { createPlanningEngine, normals } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { biasedBase, difference, families, freshFolder, randomValues, root, tiny } from '../support/expanded.js';

const layers: VirtualLayer[] = [
  { physical: 0 },
  { physical: 1 },
  { physical: 1, gate: 'learned', residualScale: 0.5 },
  { physical: 0 },
];

const kinds: Record<string, AdapterContribution> = {
  lora: loraContribution,
  dora: doraContribution,
  full: fullContribution,
};

const lora = { kind: 'lora', r: 3 };
async function sourceOf(
  base: string,
  { kind, ...given }: AdapterChosen = lora,
  map: readonly VirtualLayer[] = layers,
): Promise<MergeSource> {
  const checkpoint = await openCheckpoint(base, families);
  const options = kinds[kind]!.schema.parse(given);
  const adapter = kinds[kind]!.create(options);
  const values = new Map([
    ...randomValues(checkpoint, map, adapter),
    ...(await randomCopies(checkpoint, map, adapter)),
  ]);
  return { checkpoint, layers: map, saved: { adapter, choice: { kind, options }, values } };
}
type AdapterChosen = { readonly kind: string; readonly [option: string]: unknown };

/** Values of the tensors of the base's that are trained, which differ from the base's and from one another. */
async function randomCopies(
  checkpoint: Checkpoint,
  map: readonly VirtualLayer[],
  adapter: Adapter,
): Promise<AdapterValues> {
  const { copies } = await openDecoder({
    engine: createPlanningEngine({ precision: 'float32' }),
    checkpoint,
    layers: map,
    adapter,
    adapterValues: 'zeros',
  });
  return new Map(
    copies.map(({ name, shape }, i) => [
      name,
      {
        shape,
        values: normals(
          shape.reduce((size, length) => size * length, 1),
          [5, 5, 5, i],
        ),
      },
    ]),
  );
}

/** A file as another project's reader understands it, with a tensor's values widened to float32. */
async function readBack(file: string) {
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
  const bytes = readFileSync(file);
  const tensor = (name: string): { type: string; shape: number[]; values: Float32Array } => {
    const info = tensorInfos.find((each) => each.name === name)!;
    const shape = info.shape.map(Number).reverse();
    const size = shape.reduce((product, length) => product * length, 1);
    const start = Number(tensorDataOffset) + Number(info.offset);
    expect(start % 32).toBe(0);
    const at = (offset: number) => new DataView(bytes.buffer, bytes.byteOffset + start + offset);
    const type = GGMLQuantizationType[info.dtype];
    const value = (i: number): number => {
      switch (type) {
        case 'F32':
          return at(4 * i).getFloat32(0, true);
        case 'F16':
          return fromFloat16Bits(at(2 * i).getUint16(0, true));
        case 'BF16':
          return fromBfloat16Bits(at(2 * i).getUint16(0, true));
        default: {
          const block = 34 * Math.floor(i / 32);
          return fromFloat16Bits(at(block).getUint16(0, true)) * at(block + 2 + (i % 32)).getInt8(0);
        }
      }
    };
    return { type, shape, values: Float32Array.from({ length: size }, (_, i) => value(i)) };
  };
  return {
    metadata: metadata as unknown as Record<string, unknown>,
    names: tensorInfos.map(({ name }) => name),
    tensor,
    size: bytes.length,
  };
}

/** Of a matrix or vector in transformers' order: convert_hf_to_gguf.py's reshape(heads, 2, size / 2, -1).swapaxes(1, 2). */
function permuted(values: Float32Array, heads: number): Float32Array {
  const half = values.length / heads / 2;
  const [rows, width] = [openHeadSize / 2, half / (openHeadSize / 2)];
  const result = new Float32Array(values.length);
  let to = 0;
  for (let head = 0; head < heads; head++)
    for (let i = 0; i < rows; i++)
      for (const part of [0, 1])
        for (let column = 0; column < width; column++)
          result[to++] = values[((head * 2 + part) * rows + i) * width + column]!;
  return result;
}
let openHeadSize: number;

const names: Record<string, string> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};
function ggufName(name: string): string {
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (match !== null) return `blk.${match[1]}.${names[match[2]!]}.${match[3]}`;
  return {
    'model.embed_tokens.weight': 'token_embd.weight',
    'model.norm.weight': 'output_norm.weight',
    'lm_head.weight': 'output.weight',
  }[name]!;
}

describe('read back with @huggingface/gguf, every tensor is the merged one', () => {
  const own: readonly VirtualLayer[] = [...layers, { physical: 1, weights: 'own', residualScale: 0.5 }];
  test.each<[GgufType, string, AdapterChosen, readonly VirtualLayer[]]>([
    ['f32', tiny, lora, layers],
    ['f16', tiny, lora, layers],
    ['bf16', tiny, lora, layers],
    ['q8_0', tiny, lora, layers],
    ['f32', 'biases', lora, layers],
    ['f32', 'biases', { ...lora, modules_to_save: ['embed_tokens', 'norm', 'v_proj'], bias: 'all' }, own],
    ['q8_0', tiny, { kind: 'dora', modules_to_save: ['lm_head', 'k_proj'] }, own],
    ['bf16', tiny, { ...lora, init_lora_weights: 'pissa' }, own],
    ['f16', tiny, { kind: 'full' }, own],
    ['f32', 'biases', { kind: 'full' }, layers],
  ])('%s, %s, %j', async (type, base, adapter, map) => {
    const source = await sourceOf(base === 'biases' ? await biasedBase() : base, adapter, map);
    const { spec } = source.checkpoint;
    const { heads: queryHeads, keyValueHeads, headSize } = attentionOf(spec.layers[0]!)!;
    openHeadSize = headSize;
    const folder = freshFolder();
    await mergeCheckpoint(source, { out: path.join(folder, 'merged'), dtype: 'float32' });
    const merged = openCheckpointFiles(path.join(folder, 'merged'));
    const file = path.join(folder, 'model.gguf');
    const { bytes } = await exportGguf(source, { file, type });
    const { names, tensor, size } = await readBack(file);
    expect(size).toBe(bytes);
    expect(readdirSync(folder).sort()).toEqual(['merged', 'model.gguf']);
    expect([...names].sort()).toEqual(merged.names().map(ggufName).sort());
    // Of a tied pair one alone was trained: they are two tensors now.
    const untied = JSON.stringify(adapter).includes('embed_tokens');
    expect(names.includes('output.weight')).toBe(base !== 'biases' || untied);
    for (const name of merged.names()) {
      const got = tensor(ggufName(name));
      const wanted = merged.source(name);
      expect(got.shape, name).toEqual(wanted.shape);
      const matrix = wanted.shape.length > 1;
      expect(got.type, name).toBe(matrix ? type.toUpperCase() : 'F32');
      const heads = name.includes('q_proj') ? queryHeads : name.includes('k_proj') ? keyValueHeads : 0;
      const plain = readFloats(wanted);
      const exact = heads > 0 ? permuted(plain, heads) : plain;
      if (matrix && type === 'q8_0') {
        // Half a step of amax / 127, and a float16's rounding of it.
        let worst = 0;
        for (let block = 0; block < exact.length; block += 32) {
          const amax = exact.subarray(block, block + 32).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          // A block of zeros has no scale, and stays zeros.
          for (let i = block; i < block + 32; i++)
            worst = Math.max(worst, Math.abs(got.values[i]! - exact[i]!) / (amax || Number.MIN_VALUE));
        }
        expect(worst, name).toBeLessThan(1 / 254 + 2 ** -11);
        continue;
      }
      const rounded =
        !matrix || type === 'f32'
          ? exact
          : exact.map((value) =>
              type === 'f16' ? fromFloat16Bits(toFloat16Bits(value)) : fromBfloat16Bits(toBfloat16Bits(value)),
            );
      expect(Buffer.from(got.values.buffer).equals(Buffer.from(rounded.buffer)), name).toBe(true);
    }
  });
});

describe('metadata', () => {
  const exported = async (base: string, chatTemplate?: string) => {
    const file = path.join(freshFolder(), 'model.gguf');
    const checkpoint = await openCheckpoint(base, families);
    const source = { checkpoint, layers };
    const { notes } = await exportGguf(source, { file, type: 'q8_0', chatTemplate });
    return { notes, ...(await readBack(file)) };
  };
  const copy = (change: (files: Record<string, Record<string, unknown>>) => void, from = tiny): string => {
    const folder = path.join(freshFolder(), 'base');
    cpSync(from, folder, { recursive: true });
    const files = Object.fromEntries(
      ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'].map((name) => [
        name,
        JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Record<string, unknown>,
      ]),
    );
    change(files);
    for (const [name, value] of Object.entries(files)) writeFileSync(path.join(folder, name), JSON.stringify(value));
    return folder;
  };

  // <unk> stands for a token such as <|im_end|>.
  const turns = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<unk>{% endfor %}";
  test('of a chat template whose turns end at a token of their own', async () => {
    expect((await exported(tiny, turns)).metadata).toMatchObject({
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.eot_token_id': 0,
    });
    const same = await exported(tiny, turns.replace('<unk>', '</s>'));
    expect(same.metadata).not.toHaveProperty(['tokenizer.ggml.eot_token_id']);
  });

  test.each([
    ['generation_config.json', 5, 7, 5],
    ['config.json', undefined, 7, 7],
  ])('of an end token that only %s names', async (_, generation, config, expected) => {
    const base = copy((files) => {
      delete files['tokenizer_config.json']!['eos_token'];
      files['generation_config.json'] = { eos_token_id: generation };
      files['config.json']!['eos_token_id'] = config;
    });
    const { metadata, notes } = await exported(base);
    expect(metadata).toMatchObject({ 'tokenizer.ggml.eos_token_id': expected });
    expect(notes.join()).not.toMatch(/end token/);
  });

  test('names one end token, and a note has the others', async () => {
    const base = copy((files) => (files['generation_config.json'] = { eos_token_id: [2, 5, 0] }));
    const { metadata, notes } = await exported(base, turns);
    expect(metadata).toMatchObject({ 'tokenizer.ggml.eos_token_id': 2, 'tokenizer.ggml.eot_token_id': 0 });
    expect(notes[0]).toMatch(/one end token, 2, and one that ends a turn; .* also ends at 5$/);
  });

  test('of the model, and of a byte-level tokenizer', async () => {
    const { metadata, notes } = await exported(tiny);
    expect(metadata).toMatchObject({
      version: 3,
      'general.architecture': 'llama',
      'general.file_type': 7,
      'llama.block_count': 4,
      'llama.context_length': 2048,
      'llama.embedding_length': 192,
      'llama.feed_forward_length': 512,
      'llama.attention.head_count': 6,
      'llama.attention.head_count_kv': 2,
      'llama.rope.dimension_count': 32,
      'llama.rope.freq_base': 10000,
      'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
      'llama.vocab_size': 1536,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'starcoder',
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.add_bos_token': true,
      'tokenizer.ggml.add_eos_token': false,
      'tokenizer.chat_template': readFileSync(path.join(tiny, 'chat_template.jinja'), 'utf8'),
    });
    const tokens = metadata['tokenizer.ggml.tokens'] as string[];
    const { vocab, merges } = (
      JSON.parse(readFileSync(path.join(tiny, 'tokenizer.json'), 'utf8')) as {
        model: { vocab: Record<string, number>; merges: [string, string][] };
      }
    ).model;
    expect(Object.keys(vocab).every((token) => tokens[vocab[token]!] === token)).toBe(true);
    expect(metadata['tokenizer.ggml.merges']).toEqual(merges.map((each) => each.join(' ')));
    expect((metadata['tokenizer.ggml.token_type'] as number[]).slice(0, 8)).toEqual([2, 3, 3, 3, 3, 3, 1, 1]);
    expect(notes).toEqual([expect.stringMatching(/beyond 512 tokens it attends to more/)]);
    expect((await exported(tiny, 'other')).metadata['tokenizer.chat_template']).toBe('other');
  });

  test('of a tokenizer made from SentencePiece: joining by scores gives the reference’s ids', async () => {
    const mistral = path.join(root, 'fixtures/tokenizers/mistral-7b-v0.1');
    const base = path.join(freshFolder(), 'base');
    cpSync(tiny, base, { recursive: true });
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      cpSync(path.join(mistral, name), path.join(base, name));
    const weights = openCheckpointFiles(tiny);
    const config = JSON.parse(readFileSync(path.join(tiny, 'config.json'), 'utf8')) as object;
    writeFileSync(path.join(base, 'config.json'), JSON.stringify({ ...config, vocab_size: 32016 }));
    await writeSafetensors(
      path.join(base, 'model.safetensors'),
      weights.names().map((name) => {
        const source = weights.source(name);
        const wide = source.shape[0] === 1536;
        return {
          name,
          shape: wide ? [32016, 192] : source.shape,
          dtype: 'bfloat16' as const,
          values: wide ? normals(32016 * 192, [1, 1, 1, 1]) : readFloats(source),
        };
      }),
    );
    const { metadata } = await exported(base);
    expect(metadata).toMatchObject({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.unknown_token_id': 0,
      'tokenizer.ggml.add_bos_token': true,
      'tokenizer.ggml.add_space_prefix': true,
    });
    const [tokens, types, scores] = ['tokens', 'token_type', 'scores'].map(
      (name) => metadata[`tokenizer.ggml.${name}`],
    ) as [string[], number[], number[]];
    expect([tokens.length, types[0], types[1], types[3], types[259], types[32015]]).toEqual([32016, 2, 3, 6, 1, 5]);
    expect(tokens[32015]).toBe('[PAD32015]');
    // llama.cpp's and SentencePiece's way: join the two neighbours whose whole has the best score, the first of equals.
    const ids = new Map(tokens.map((token, id) => [token, id]));
    const encode = (text: string): number[] => {
      const parts = [...`▁${text.replaceAll(' ', '▁')}`];
      for (;;) {
        let best = -1;
        for (let i = 0; i + 1 < parts.length; i++) {
          const id = ids.get(parts[i]! + parts[i + 1]!);
          if (id !== undefined && (best < 0 || scores[id]! > scores[ids.get(parts[best]! + parts[best + 1]!)!]!))
            best = i;
        }
        if (best < 0) break;
        parts.splice(best, 2, parts[best]! + parts[best + 1]!);
      }
      return parts.flatMap(
        (part) =>
          ids.get(part) ??
          [...Buffer.from(part)].map((byte) => ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)!),
      );
    };
    const tokenizer = openTokenizer(base);
    for (const text of [
      'Hello  world ',
      'héllo 🙂 \n\tdef f(x):\n  return x',
      ' leading',
      'antidisestablishmentarianism 12345',
      'Ünïcödé — “quotes”',
    ])
      expect(encode(text)).toEqual(tokenizer.encode(text, { addSpecialTokens: false }));
  });

  test('of rope’s scalings, and without a tokenizer', async () => {
    const { metadata, tensor, notes } = await exported(path.join(root, 'fixtures/golden/llama3-rope/base'));
    const { spec } = await openCheckpoint(path.join(root, 'fixtures/golden/llama3-rope/base'), families);
    const { settings, dimensions } = attentionOf(spec.layers[0]!)!.rope!;
    expect(metadata).toMatchObject({ 'tokenizer.ggml.model': 'none', 'llama.rope.freq_base': settings.theta });
    expect(notes.join()).toMatch(/no tokenizer/);
    const factors = tensor('rope_freqs.weight');
    const plain = inverseFrequencies({ type: 'default', theta: settings.theta }, dimensions);
    expect(
      difference(
        plain.map((value, i) => value / factors.values[i]!),
        inverseFrequencies(settings, dimensions),
      ),
    ).toBeLessThan(1e-6);
    expect(new Set(factors.values).size).toBeGreaterThan(1);
    const linear = copy((files) => {
      files['config.json']!['rope_parameters'] = { rope_theta: 5000, rope_type: 'linear', factor: 4 };
    });
    expect((await exported(linear)).metadata).toMatchObject({
      'llama.rope.freq_base': 5000,
      'llama.rope.scaling.type': 'linear',
      'llama.rope.scaling.factor': 4,
    });
  });

  const edited = (change: (tokenizer: Record<string, never> & { model: Record<string, unknown> }) => void): string =>
    copy((files) => change(files['tokenizer.json'] as never));
  test.each([
    [
      'another pre-tokenizer',
      (t: object) =>
        Object.assign(t, {
          pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
        }),
      /no name for its pre_tokenizer/,
    ],
    ['a normalizer', (t: object) => Object.assign(t, { normalizer: { type: 'NFC' } }), /it normalizes text/],
    [
      'words that skip the merges',
      (t: { model: object }) => Object.assign(t.model, { ignore_merges: true }),
      /ignore_merges true, and llama.cpp's starcoder has not/,
    ],
    [
      'an added token of whole words',
      (t: object) => Object.assign((t as { added_tokens: object[] }).added_tokens.at(-1)!, { single_word: true }),
      /has single_word/,
    ],
    [
      'an added token of normalized text',
      (t: object) =>
        Object.assign(t, {
          normalizer: {
            type: 'Sequence',
            normalizers: [
              { type: 'Prepend', prepend: '▁' },
              { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
            ],
          },
          pre_tokenizer: null,
          added_tokens: (t as { added_tokens: object[] }).added_tokens.map((each) => ({ ...each, normalized: true })),
        }),
      /has normalized: it is found where normalized text has "▁/,
    ],
    [
      'spaces in another way',
      (t: { model: object }) => Object.assign(t.model, { byte_fallback: true }),
      /not SentencePiece's way/,
    ],
  ] as const)('what llama.cpp would split otherwise is refused: %s', async (_, change, message) => {
    const base = edited(change);
    const file = path.join(freshFolder(), 'model.gguf');
    const error = await exportGguf(await sourceOf(base), { file, type: 'f16' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'GGUF_UNSUPPORTED', message: expect.stringMatching(message) });
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  test('added tokens beyond the embedding are left out with a note, tokens of the vocabulary refused', async () => {
    const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    const base = copy((files) => {
      const tokenizer = files['tokenizer.json'] as unknown as { added_tokens: object[] };
      tokenizer.added_tokens.push({ id: 1536, content: '<pad2>', ...special });
      files['tokenizer_config.json']!['pad_token'] = '<pad2>';
    });
    const { metadata, notes } = await exported(base);
    expect(metadata['tokenizer.ggml.tokens']).toHaveLength(1536);
    expect(metadata['tokenizer.ggml.token_type']).toHaveLength(1536);
    expect(metadata).toMatchObject({ 'tokenizer.ggml.eos_token_id': 2 });
    expect(metadata).not.toHaveProperty('tokenizer.ggml.padding_token_id');
    expect(notes).toContainEqual(
      expect.stringMatching(
        /beyond the model's embedding, which has 1536 rows, are left out of the file: "<pad2>" \(id 1536\)/,
      ),
    );
    const made = copy((files) => {
      const tokenizer = files['tokenizer.json'] as unknown as {
        added_tokens: object[];
        model: { vocab: Record<string, number>; merges: unknown[] };
      };
      tokenizer.added_tokens.push({ id: 1536, content: 'qz', ...special });
      tokenizer.model.vocab['qz'] = 1536;
      tokenizer.model.merges.push(['q', 'z']);
    });
    await expect(exported(made)).rejects.toThrow(/its token "qz" \(id 1536\) is beyond/);
    const regular = edited((t) => Object.assign(t.model['vocab'] as object, { odd: 1536 }));
    await expect(exported(regular)).rejects.toThrow(/its token "odd" \(id 1536\) is beyond the model's embedding/);
  });

  test('merges that are not SentencePiece’s are refused', async () => {
    const spaced = (merges: [string, string][]) =>
      edited((t) => {
        const vocab = Object.fromEntries(
          ['<unk>', '<s>', '</s>', 'a', 'b', 'c', 'ab', 'bc', 'abc', '▁'].map((token, id) => [token, id]),
        );
        Object.assign(t, {
          normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          pre_tokenizer: null,
          added_tokens: [],
          post_processor: null,
        });
        Object.assign(t.model, { vocab, merges, byte_fallback: true, unk_token: '<unk>' });
      });
    const attempt = async (merges: [string, string][]) =>
      exportGguf(await sourceOf(spaced(merges)), { file: path.join(freshFolder(), 'f.gguf'), type: 'f16' });
    await expect(
      attempt([
        ['a', 'b'],
        ['b', 'c'],
        ['ab', 'c'],
      ]),
    ).rejects.toThrow(/merges lack \["a","bc"\]/);
    await expect(
      attempt([
        ['a', 'b'],
        ['ab', 'c'],
        ['b', 'c'],
        ['a', 'bc'],
      ]),
    ).rejects.toThrow(/give "abc" in two places/);
    await attempt([
      ['a', 'b'],
      ['b', 'c'],
      ['ab', 'c'],
      ['a', 'bc'],
    ]);
  });
});
