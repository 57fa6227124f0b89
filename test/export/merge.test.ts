import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { mergeCheckpoint, readPeftAdapter, type MergeSource } from '@glulam/export';
import { openCheckpointFiles, plainBytes, readFloats, toBfloat16Bits, toFloat16Bits } from '@glulam/files';
import {
  llamaLinears,
  openCheckpoint,
  openTokenizer,
  type Adapter,
  type AdapterContribution,
  type VirtualLayer,
} from '@glulam/model';
import { scope } from '@glulam/tensors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  answersOfCheckpoint,
  answersOfExpanded,
  biasedBase,
  difference,
  families,
  freshFolder,
  ia3,
  randomValues,
  root,
  tiny,
} from '../support/expanded.js';
import { adaptedFamilyCases, plainFamilyCases } from '../support/families.js';

type Chosen = Pick<NonNullable<MergeSource['saved']>, 'adapter' | 'choice'>;
const lora = (options: object = {}): Chosen => {
  const parsed = loraContribution.schema.parse({ r: 3, lora_alpha: 5, ...options });
  return { adapter: loraContribution.create(parsed), choice: { kind: 'lora', options: parsed } };
};
const map = (...intervals: [number, number][]): VirtualLayer[] =>
  intervals.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => ({ physical: start + i })));

async function sourceOf(
  base: string,
  layers: readonly VirtualLayer[],
  { adapter, choice } = lora(),
): Promise<MergeSource> {
  const checkpoint = await openCheckpoint(base, families);
  return { checkpoint, layers, saved: { adapter, choice, values: randomValues(checkpoint, layers, adapter) } };
}

const gated: VirtualLayer[] = [
  ...map([0, 3]),
  { physical: 1, gate: 'learned' },
  { physical: 2, gate: 'learned', residualScale: 0.7 },
  { physical: 3, residualScale: -0.5 },
];

const adapters = [loraContribution, doraContribution] as readonly AdapterContribution[];

/** Low rank, a bias, and a factor that follows from the frozen weight's rows. */
const magnitude: Adapter = {
  kind: 'magnitude',
  at: ({ inFeatures, outFeatures }) => ({
    parameters: [
      { name: 'A', shape: [2, inFeatures], initial: () => new Float32Array(2 * inFeatures) },
      { name: 'B', shape: [outFeatures, 2], initial: () => new Float32Array(2 * outFeatures) },
      { name: 'magnitude', shape: [outFeatures], initial: () => new Float32Array(outFeatures) },
      { name: 'bias', shape: [outFeatures], initial: () => new Float32Array(outFeatures) },
    ],
    form: ({ A, B, magnitude: m, bias }, { ops, frozen }) => ({
      lowRank: { A: A!, B: B!, scale: 1.5 },
      outScale: ops.div(
        m!,
        scope(() => ops.engine.unary('sqrt', frozen.squares())),
      ),
      bias,
    }),
  }),
  peftConfig: () => ({}),
};

describe('merged logits and greedy tokens are the expanded model’s', () => {
  const check = async (source: MergeSource, options: { shardBytes?: number } = {}): Promise<string> => {
    const out = path.join(freshFolder(), 'merged');
    const { layers } = await mergeCheckpoint(source, { out, dtype: 'float32', ...options });
    expect(layers).toBe(source.layers.length);
    const [expected, got] = [await answersOfExpanded(source), await answersOfCheckpoint(out)];
    expect(difference(got.logits, expected.logits)).toBeLessThan(1e-4);
    expect(got.tokens).toEqual(expected.tokens);
    return out;
  };

  test.each([
    ...['mistral-expanded-lora', 'llama-expanded-lora', 'mistral-expanded-patterns', 'mistral-expanded-dora'],
    ...adaptedFamilyCases,
  ])('golden case %s', async (name) => {
    const folder = path.join(root, 'fixtures/golden', name);
    const checkpoint = await openCheckpoint(path.join(folder, 'base'), families);
    const { layers, ...saved } = readPeftAdapter(path.join(folder, 'adapter'), adapters, checkpoint.spec);
    await check({ checkpoint, layers: layers!, saved });
  });

  test('LoRA with gates and residual scales, on a base in bfloat16', async () => {
    await check(await sourceOf(tiny, gated));
  });

  test.each([...adaptedFamilyCases, ...plainFamilyCases])(
    'gates and residual scales on the base of %s',
    async (name) => {
      const base = path.join(root, 'fixtures/golden', name, 'base');
      const { length } = (await openCheckpoint(base, families)).spec.layers;
      const layers: VirtualLayer[] = [
        ...map([0, length]),
        { physical: 1, gate: 'learned', residualScale: 0.7 },
        { physical: length - 1, residualScale: -0.5 },
        { physical: 0, gate: 'learned' },
      ];
      await check(await sourceOf(base, layers, lora({ target_modules: 'all-linear' })));
    },
  );

  test('with a bias in every linear layer and a tied head, in shards', async () => {
    const out = await check(await sourceOf(await biasedBase(), gated), { shardBytes: 100_000 });
    expect(readdirSync(out).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(3);
  });

  test('adapters that other people wrote: IA3, and one whose form follows from the frozen weight', async () => {
    const choice = { kind: 'other', options: {} };
    await check(await sourceOf(tiny, gated, { adapter: ia3.create({}), choice }));
    await check(await sourceOf(await biasedBase(), gated, { adapter: ia3.create({}), choice }));
    await check(await sourceOf(await biasedBase(), gated, { adapter: magnitude, choice }));
  });

  test('without an adapter the layers are what they begin as', async () => {
    const checkpoint = await openCheckpoint(tiny, families);
    const out = path.join(freshFolder(), 'merged');
    await mergeCheckpoint({ checkpoint, layers: map([0, 6], [4, 8]) }, { out });
    const expected = await answersOfExpanded({ checkpoint, layers: map([0, 6], [4, 8]) });
    expect((await answersOfCheckpoint(out)).logits).toEqual(expected.logits);
    // A gate begins at 0, so these are the base's six first layers and no more.
    const closed = path.join(freshFolder(), 'merged');
    await mergeCheckpoint({ checkpoint, layers: [...map([0, 6]), { physical: 3, gate: 'learned' }] }, { out: closed });
    const bare = await answersOfExpanded({ checkpoint, layers: map([0, 6]) });
    expect((await answersOfCheckpoint(closed)).logits).toEqual(bare.logits);
  });

  test('any map, any gates and scales', async () => {
    const base = path.join(root, 'fixtures/golden/mistral-base/base');
    const physicalLayers = (await openCheckpoint(base, families)).spec.layers.length;
    const layer = fc.record(
      {
        physical: fc.nat(physicalLayers - 1),
        gate: fc.constant('learned' as const),
        residualScale: fc.double({ min: -2, max: 2, noNaN: true }),
      },
      { requiredKeys: ['physical'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 6 }), async (layers) => {
        await check(await sourceOf(base, layers, lora({ target_modules: ['q_proj', 'o_proj', 'down_proj'] })));
      }),
      { numRuns: 12, seed: 4 },
    );
  });
});

describe('the files', () => {
  const layers = map([0, 4], [2, 6], [4, 8]);

  test('are a plain checkpoint with the base’s tokenizer, template, generation config and own fields', async () => {
    const out = path.join(freshFolder(), 'a/merged');
    await mergeCheckpoint(await sourceOf(tiny, layers), { out, chatTemplate: '{{ messages }}' });
    expect(readdirSync(out).sort()).toEqual([
      'LICENSE.gsm8k',
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(readdirSync(path.dirname(out))).toEqual(['merged']);
    const [before, after] = [tiny, out].map(
      (folder) => JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as Record<string, unknown>,
    );
    expect(after).toEqual({ ...before, num_hidden_layers: 12 });
    expect(openTokenizer(out).chatTemplate!.source).toBe('{{ messages }}');
    const files = openCheckpointFiles(out);
    expect(files.entry('model.layers.11.mlp.down_proj.weight').dtype).toBe('BF16');
  });

  test('layer_types are those of the virtual layers, and another dtype is said as the base says it', async () => {
    const base = path.join(freshFolder(), 'base');
    cpSync(tiny, base, { recursive: true });
    const { dtype, ...config } = JSON.parse(readFileSync(path.join(base, 'config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const layerTypes = Array.from({ length: 8 }, () => 'sliding_attention');
    const write = (changes: object) =>
      writeFileSync(path.join(base, 'config.json'), JSON.stringify({ ...config, torch_dtype: dtype, ...changes }));
    write({ layer_types: layerTypes });
    const out = path.join(freshFolder(), 'merged');
    await mergeCheckpoint(await sourceOf(base, layers), { out, dtype: 'float16' });
    expect(JSON.parse(readFileSync(path.join(out, 'config.json'), 'utf8'))).toMatchObject({
      torch_dtype: 'float16',
      layer_types: layers.map(() => 'sliding_attention'),
    });
    expect(openCheckpointFiles(out).entry('model.norm.weight').dtype).toBe('F16');
    write({ layer_types: ['one'] });
    await expect(() => sourceOf(base, layers)).rejects.toThrow(
      /layer_types has 1 entries; expected one of "full_attention" and "sliding_attention" for each of 8 layers/,
    );
  });

  test('values are rounded once, from the float32 ones, to nearest even; what is not changed is copied', async () => {
    const source = await sourceOf(tiny, gated, lora({ target_modules: ['q_proj'] }));
    const at = Object.fromEntries(
      ['float32', 'bfloat16', 'float16'].map((dtype) => [dtype, path.join(freshFolder(), dtype)]),
    );
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const)
      await mergeCheckpoint(source, { out: at[dtype]!, dtype });
    const [wide, bfloat16, float16] = Object.values(at).map((folder) => openCheckpointFiles(folder));
    for (const name of [
      'model.layers.4.self_attn.q_proj.weight',
      'model.layers.4.mlp.down_proj.weight',
      'model.layers.4.mlp.up_proj.weight',
    ]) {
      const exact = readFloats(wide!.source(name));
      const bytes = (files: typeof wide) => {
        const { path: file, byteOffset, byteLength } = plainBytes(files!.source(name))!;
        return readFileSync(file).subarray(byteOffset, byteOffset + byteLength);
      };
      const rounded = (round: (value: number) => number) => Buffer.from(Uint16Array.from(exact, round).buffer);
      expect(bytes(bfloat16).equals(rounded(toBfloat16Bits)), name).toBe(true);
      expect(bytes(float16).equals(rounded(toFloat16Bits)), name).toBe(true);
    }
  });
});

describe('what cannot be', () => {
  const refused = (source: MergeSource, changes: object, code: string, message: RegExp) => {
    const out = path.join(freshFolder(), 'merged');
    return mergeCheckpoint(source, { out, ...changes }).then(
      () => expect.unreachable('it was merged'),
      (error: Error) => {
        expect(error).toMatchObject({ code });
        expect(error.message).toMatch(message);
        expect(readdirSync(path.dirname(out))).toEqual([]);
      },
    );
  };
  const plain = map([0, 2]);

  test('is refused with the reason, and nothing is left', async () => {
    const nan = await sourceOf(tiny, plain);
    nan.saved!.values.get('model.layers.1.mlp.up_proj.lora_B.weight')!.values[5] = NaN;
    await refused(nan, {}, 'MERGE_IMPOSSIBLE', /layers.1.mlp.up_proj.weight would hold NaN when merged/);
    const huge = await sourceOf(tiny, [{ physical: 0, residualScale: 1e6 }]);
    await refused(huge, { dtype: 'float16' }, 'MERGE_IMPOSSIBLE', /which float16 cannot: its largest number is 65504/);
    const bias = await sourceOf(tiny, plain, { adapter: magnitude, choice: { kind: 'magnitude', options: {} } });
    await refused(
      bias,
      {},
      'MERGE_IMPOSSIBLE',
      /adds a bias to model.layers.0.mlp.down_proj, and checkpoints of .* have none/,
    );
    await refused(
      { checkpoint: await openCheckpoint(tiny, families), layers: [{ physical: 8 }] },
      {},
      'EXPANSION_INVALID',
      /physical layer 8; the base has layers 0 to 7/,
    );
    const other = { ...(await sourceOf(tiny, plain)), layers: map([0, 3]) };
    await refused(other, {}, 'ADAPTER_INVALID', /model.layers.2.self_attn.q_proj.lora_A.weight is missing/);
  });

  test('a form of the wrong shape', async () => {
    const scaled = ia3.create({});
    const wrong: Adapter = {
      ...scaled,
      at: (site) => {
        const right = scaled.at(site);
        return right && { ...right, form: (_, { ops }) => ({ outScale: ops.reshape(ops.engine.full([3], 1), [3]) }) };
      },
    };
    const source = await sourceOf(tiny, plain, { adapter: wrong, choice: { kind: 'wrong', options: {} } });
    await refused(source, {}, 'ADAPTER_INVALID', /_proj has outScale of shape \[3\]; expected \d+ values/);
  });

  test('a disk without the room', async () => {
    // A sparse file: it says that it holds more than any disk of a test machine has.
    const base = path.join(freshFolder(), 'base');
    const rows = 4e9;
    mkdirSync(base);
    const names = ['model.embed_tokens.weight', 'lm_head.weight', 'model.norm.weight'];
    const shapes = [[rows, 192], [rows, 192], [192]];
    const small = openCheckpointFiles(tiny);
    for (const linear of llamaLinears) names.push(`model.layers.0.${linear}.weight`);
    names.push('model.layers.0.input_layernorm.weight', 'model.layers.0.post_attention_layernorm.weight');
    let offset = 0;
    const header = Object.fromEntries(
      names.map((name, i) => {
        const shape = shapes[i] ?? small.entry(name).shape;
        const begin = offset;
        offset += 2 * shape.reduce((size, length) => size * length, 1);
        return [name, { dtype: 'BF16', shape, data_offsets: [begin, offset] }];
      }),
    );
    const text = Buffer.from(JSON.stringify(header));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(text.length));
    const file = path.join(base, 'model.safetensors');
    writeFileSync(file, Buffer.concat([prefix, text]));
    truncateSync(file, 8 + text.length + offset);
    const config = JSON.parse(readFileSync(path.join(tiny, 'config.json'), 'utf8')) as object;
    writeFileSync(
      path.join(base, 'config.json'),
      JSON.stringify({ ...config, vocab_size: rows, num_hidden_layers: 1 }),
    );
    const source = { checkpoint: await openCheckpoint(base, families), layers: map([0, 1]) };
    await refused(source, {}, 'OUTPUT_UNUSABLE', /has room for [\d.]+ GB, 3072\.\d\d GB are to be written; make room/);
  });
});

describe('going on', () => {
  const layers = map([0, 8], [0, 8]);
  const shardBytes = 2e6;
  const kept = async (source: MergeSource, out: string, dtype: 'float32' | 'bfloat16' = 'float32') => {
    const files: string[] = [];
    await mergeCheckpoint(source, { out, dtype, shardBytes, onShard: ({ file, kept }) => kept && files.push(file) });
    return files.length;
  };
  /** Every file by its checksum. */
  const contents = (folder: string) =>
    Object.fromEntries(
      readdirSync(folder)
        .sort()
        .map((name) => [
          name,
          createHash('sha256')
            .update(readFileSync(path.join(folder, name)))
            .digest('hex'),
        ]),
    );

  async function stopped(source: MergeSource, out: string, after: number): Promise<string> {
    const controller = new AbortController();
    let shards = 0;
    const onShard = () => ++shards === after && controller.abort(new Error('enough'));
    const merge = mergeCheckpoint(source, { out, dtype: 'float32', shardBytes, signal: controller.signal, onShard });
    await expect(merge).rejects.toThrow('enough');
    expect(existsSync(out)).toBe(false);
    return path.join(path.dirname(out), `.${path.basename(out)}.merging`);
  }

  test('a merge that was stopped goes on from its finished files, damaged ones excepted', async () => {
    const source = await sourceOf(tiny, layers);
    const [once, out] = [path.join(freshFolder(), 'once'), path.join(freshFolder(), 'merged')];
    expect(await kept(source, once)).toBe(0);
    const work = await stopped(source, out, 4);
    const [first, second] = readdirSync(path.join(work, 'content')).sort();
    truncateSync(path.join(work, 'content', first!), 1000);
    const bytes = readFileSync(path.join(work, 'content', second!));
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(path.join(work, 'content', second!), bytes);
    expect(await kept(source, out)).toBe(2);
    expect(contents(out)).toEqual(contents(once));
    expect(existsSync(work)).toBe(false);
  });

  test('another merge of that name begins anew', async () => {
    const out = path.join(freshFolder(), 'merged');
    await stopped(await sourceOf(tiny, layers), out, 4);
    // Only alpha differs: not one tensor does.
    expect(await kept(await sourceOf(tiny, layers, lora({ lora_alpha: 6 })), out)).toBe(0);
    const again = path.join(freshFolder(), 'merged');
    await stopped(await sourceOf(tiny, layers), again, 4);
    expect(await kept(await sourceOf(tiny, layers), again, 'bfloat16')).toBe(0);
  });

  test('an existing folder is refused, a second merge at the same time too', async () => {
    const source = await sourceOf(tiny, layers);
    const out = path.join(freshFolder(), 'merged');
    mkdirSync(out);
    await expect(mergeCheckpoint(source, { out })).rejects.toThrow(/exists already; name another place, or remove it/);
    const both = await Promise.allSettled([1, 2].map(async () => mergeCheckpoint(source, { out: `${out}-2` })));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(String((both.find(({ status }) => status === 'rejected') as PromiseRejectedResult).reason)).toMatch(
      new RegExp(`process ${process.pid} is writing`),
    );
  });
});
