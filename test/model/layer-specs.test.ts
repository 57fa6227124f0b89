import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gguf } from '@huggingface/gguf';
import { createNativeEngine } from '@glulam/engine-native';
import { exportGguf, mergeCheckpoint, readAdapter, writePeftAdapter } from '@glulam/export';
import { writeSafetensors } from '@glulam/files';
import {
  adapters,
  openDecoder,
  describeCheckpoint,
  families,
  generateTokens,
  linearNamesOf,
  linearsOf,
  openCheckpoint,
  packTokens,
  readLlamaSpec,
  type AttentionSpec,
  type Block,
  type BlockSpec,
  type Family,
  type LinearSpec,
  type MlpSpec,
  type ModelSpec,
} from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import { createReferenceEngine, normals } from '@glulam/tensors';
import { planRun, train } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { describe, expect, test } from 'vitest';
import { difference, logitsAt, prompt, tiny } from '../support/expanded.js';
import { geluTanh, softCap } from '../support/named-operations.js';
import { lossesByStep, tinyRun } from '../support/tiny.js';

// Families whose layers core has never seen, each written from the contract alone. Every one trains, is saved, comes back,
// generates, merges and is exported and planned.

const plain = (config: Parameters<Family['describe']>[0]): ModelSpec =>
  readLlamaSpec(config, (fields) => ({
    maxPositions: fields.integer('max_position_embeddings', 512),
    slidingWindow: 0,
    biased: ['self_attn.q_proj', 'mlp.down_proj'],
  }));
const changed = (spec: ModelSpec, change: (block: BlockSpec, layer: number) => BlockSpec[]): ModelSpec => ({
  ...spec,
  layers: spec.layers.map(({ blocks }, layer) => ({ blocks: blocks.flatMap((block) => change(block, layer)) })),
});
const linear = (name: string, role: string, outFeatures: number, inFeatures: number): LinearSpec => ({
  ...{ name, role, outFeatures, inFeatures, bias: false, writesResidual: false },
});
const named = (spec: ModelSpec, names: Readonly<Record<string, string>>): ModelSpec => ({
  ...spec,
  gguf: {
    ...spec.gguf!,
    architecture: 'made-up',
    turnsNeighbours: false,
    tensors: { ...spec.gguf!.tensors, ...names },
  },
});

/** An MLP with a linear layer more, past the others: two of them write the residual stream. */
const pastMlp: Block = (x, _, { ops, linear: run }) => {
  const type = ops.activation;
  const activated = ops.swiglu(run(x, 'gate', type), run(x, 'up', type), { type });
  return ops.add(run(activated, 'down', 'float32'), run(x, 'past', 'float32'));
};
const extra: Family = {
  kind: 'extra',
  blocks: { past_mlp: pastMlp },
  describe: (config) => {
    const spec = plain(config);
    const past = { ...linear('mlp.past_proj', 'past', spec.hiddenSize, spec.hiddenSize), writesResidual: true };
    const wider = changed(spec, (block) => [
      block.kind === 'mlp' ? { ...block, kind: 'past_mlp', linears: [...block.linears, past] } : block,
    ]);
    return named(wider, { 'mlp.past_proj': 'ffn_past' });
  },
};

/** Queries, keys and values in one linear layer, gate and up in another, as Phi-3 has them. */
const fused: Family = {
  kind: 'fused',
  describe: (config) => {
    const spec = plain(config);
    const { hiddenSize } = spec;
    const whole = changed(spec, (block) => {
      const last = { ...block.linears.at(-1)!, bias: false };
      const first = block.linears.slice(0, -1).reduce((rows, { outFeatures }) => rows + outFeatures, 0);
      return block.kind === 'attention'
        ? [{ ...block, linears: [linear('self_attn.qkv_proj', 'queryKeyValue', first, hiddenSize), last] }]
        : [{ ...block, linears: [linear('mlp.gate_up_proj', 'gateUp', first, hiddenSize), last] }];
    });
    return named(whole, { 'self_attn.qkv_proj': 'attn_qkv', 'mlp.gate_up_proj': 'ffn_up' });
  },
};

/** A sub-layer between attention and MLP, with a vector of its own: o(gain * sigmoid(i(x))). */
const mixer: Block = (x, _, { ops, linear: run, vector }) => {
  const inner = ops.mul(ops.sigmoid(run(x, 'in', 'float32')), vector('gain'));
  return run(ops.cast(inner, ops.activation), 'out', 'float32');
};
const own: Family = {
  kind: 'own',
  blocks: { mixer },
  describe: (config) => {
    const spec = plain(config);
    const { hiddenSize } = spec;
    const between: BlockSpec = {
      kind: 'mixer',
      norm: { name: 'mixer_layernorm', epsilon: spec.finalNorm.epsilon },
      linears: [
        linear('mixer.in_proj', 'in', 10, hiddenSize),
        { ...linear('mixer.out_proj', 'out', hiddenSize, 10), writesResidual: true },
      ],
      vectors: [{ name: 'mixer.gain', role: 'gain', size: 10 }],
    };
    const longer = changed(spec, (block) => (block.kind === 'attention' ? [block, between] : [block]));
    return named(longer, {
      ...{ mixer_layernorm: 'mix_norm', 'mixer.in_proj': 'mix_in', 'mixer.out_proj': 'mix_out' },
      'mixer.gain': 'mix_gain',
    });
  },
};

/** Layers that differ: a window, no rotary embedding, another one, fewer heads, no attention at all. */
const differing: Family = {
  kind: 'differing',
  describe: (config) => {
    const spec = plain(config);
    return changed(spec, (block, layer) => {
      if (block.kind !== 'attention') {
        const { linears } = block;
        const width = layer === 1 ? 20 : (block as MlpSpec).intermediateSize;
        return [
          {
            ...block,
            intermediateSize: width,
            linears: linears.map((each) =>
              each.role === 'down' ? { ...each, inFeatures: width } : { ...each, outFeatures: width },
            ),
          } as MlpSpec,
        ];
      }
      const attention = block as AttentionSpec;
      const { headSize } = attention;
      if (layer === 0) return [{ ...attention, window: 5 } as AttentionSpec];
      if (layer === 1) return [{ ...attention, rope: undefined }];
      if (layer === 2) return [];
      const other = { settings: { type: 'linear', theta: 500, factor: 2 } as const, dimensions: headSize };
      const widths: Record<string, Partial<LinearSpec>> = {
        ...{ query: { outFeatures: 2 * headSize }, output: { inFeatures: 2 * headSize } },
        ...{ key: { outFeatures: headSize }, value: { outFeatures: headSize } },
      };
      return [
        {
          ...{ ...attention, heads: 2, keyValueHeads: 1, keyValueWidth: headSize, rope: other },
          linears: attention.linears.map((each) => ({ ...each, ...widths[each.role] })),
        },
      ];
    });
  },
};

/** Operations that core does not know: an MLP with GELU, whose activations are capped. */
const geluMlp: Block = (x, _, { ops, linear: run }) => {
  const type = ops.activation;
  const gate = ops.run(geluTanh, { x: run(x, 'gate', type) }, { type: 'float32' });
  const product = ops.mul(gate, ops.cast(run(x, 'up', type), 'float32'));
  return run(ops.cast(ops.run(softCap, { x: product }, { cap: 3 }), type), 'down', 'float32');
};
const activated: Family = {
  kind: 'activated',
  blocks: { gelu_mlp: geluMlp },
  describe: (config) =>
    named(
      changed(plain(config), (block) => [block.kind === 'mlp' ? { ...block, kind: 'gelu_mlp' } : block]),
      {},
    ),
};

/** A base of random float32 values with the tokenizer of the quickstart's model. */
async function randomBase(family: Family): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-specs-'));
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
    cpSync(path.join(tiny, name), path.join(folder, name));
  const config = {
    ...{ model_type: family.kind, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 4, vocab_size: 1536 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, rms_norm_eps: 1e-5, torch_dtype: 'float32' },
  };
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const { files } = (await describeCheckpoint(folder, [family])).checkpoint;
  const tensors = files.names().map((name, use) => {
    const { shape } = files.source(name);
    const size = shape.reduce((product, length) => product * length, 1);
    const isScale = /norm\.weight$|gain$/.test(name);
    const values = normals(size, [3, 1, 4, use]).map((value) => (isScale ? 1 + 0.1 * value : 0.15 * value));
    return { name, shape, dtype: 'float32' as const, values };
  });
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return folder;
}

// Repeats with a scale and a gate, which merging folds into what writes the residual stream.
const expansion = {
  kind: 'layer_map',
  layer_map: [
    [0, 3],
    [1, 4],
  ],
  residualScale: 0.7,
  gate: 'learned',
};

describe.each([
  [extra, 8],
  [fused, 4],
  [own, 9],
  [differing, 7],
  [activated, 7],
] as const)('$kind', (family, linearCount) => {
  test('trains, is saved, comes back, generates, merges, and is exported and planned', async () => {
    const base = await randomBase(family);
    const { config, out } = tinyRun({
      ...{ base, expansion, precision: 'float32' },
      adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
      data: { train: tinyRun().config.data.train },
      train: { steps: 12, batch: 4, learningRate: 2e-2 },
    });
    const plugin = definePlugin({
      name: `glulam-plugin-family-${family.kind}`,
      contract: 2,
      register: (registry) => registry.contribute(families, { create: () => family }),
    });
    const { composition } = resolveConfig(config, [plugin], '/');
    await train(config, composition);
    const losses = [...lossesByStep(out).values()];
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);

    const checkpoint = await openCheckpoint(base, [family]);
    expect(linearNamesOf(checkpoint.spec)).toHaveLength(linearCount);
    const kinds = composition.all(adapters);
    const folder = path.join(out, 'adapter');
    const { adapter, values, choice, layers = [] } = readAdapter(folder, kinds, checkpoint.spec);
    const linears = layers.flatMap(({ physical }) => linearsOf(checkpoint.spec.layers[physical]!));
    // A and B of every linear layer, and two gates.
    expect(values.size).toBe(2 * linears.length + 2);
    const engine = createReferenceEngine({ precision: 'float32' });
    const decoder = await openDecoder({ engine, checkpoint, layers, adapter, adapterValues: values });
    const ids = prompt(checkpoint.spec.vocabularySize);
    const logits = await logitsAt(decoder, packTokens([ids]));
    const bare = await openDecoder({ engine, checkpoint, layers });
    expect(difference(await logitsAt(bare, packTokens([ids])), logits)).toBeGreaterThan(0.01);

    // With a cache, token by token, as without one.
    const tokens: number[] = [];
    for await (const id of generateTokens(decoder, ids.slice(0, 8), { maxNewTokens: 6 })) tokens.push(id);
    const seen = ids.slice(0, 8);
    for (const token of tokens) {
      const next = await logitsAt(decoder, packTokens([seen]), [seen.length - 1]);
      expect(token).toBe(next.indexOf(Math.max(...next)));
      seen.push(token);
    }

    const native = createNativeEngine({ precision: 'float32' });
    const fast = await openDecoder({ engine: native, checkpoint, layers, adapter, adapterValues: values });
    expect(difference(await logitsAt(fast, packTokens([ids])), logits)).toBeLessThan(1e-4);
    fast.close();
    await native.close();

    const source = { checkpoint, layers, saved: { adapter, choice, values } };
    const merged = path.join(out, 'merged');
    const merging = mergeCheckpoint(source, { out: merged, dtype: 'float32' });
    // This family knows a layer by its place, which a plain checkpoint of more layers does not keep.
    if (family === differing) {
      await expect(merging).rejects.toMatchObject({
        code: 'MERGE_IMPOSSIBLE',
        message: expect.stringMatching(/read back, layer 3 differs from physical layer 1/),
      });
    } else {
      await merging;
      const plainly = await openDecoder({ engine, checkpoint: await openCheckpoint(merged, [family]) });
      expect(difference(await logitsAt(plainly, packTokens([ids])), logits)).toBeLessThan(1e-4);
    }

    const file = path.join(out, 'model.gguf');
    if (family === differing) {
      const refused = { code: 'GGUF_UNSUPPORTED', message: expect.stringMatching(/layers differ in the/) };
      await expect(exportGguf(source, { file, type: 'f32' })).rejects.toMatchObject(refused);
    } else {
      await exportGguf(source, { file, type: 'f32' });
      const { tensorInfos } = await gguf(file, { allowLocalFile: true });
      const wanted = layers.flatMap((_, virtual) =>
        linearNamesOf(checkpoint.spec).map((name) => `blk.${virtual}.${checkpoint.spec.gguf!.tensors[name]}.weight`),
      );
      expect(tensorInfos.map(({ name }) => name)).toEqual(expect.arrayContaining(wanted));
    }

    const planned = await planRun(config, composition);
    const parameters = linears.reduce((sum, { inFeatures, outFeatures }) => sum + 8 * (inFeatures + outFeatures), 2);
    expect(planned.parameters.trainable).toBe(parameters);
    expect(planned.parameters.effective).toBeGreaterThan(planned.parameters.stored);
  });

  test('an adapter without gates is PEFT’s, by the names of its linear layers', async () => {
    const base = await randomBase(family);
    const { composition, config } = tinyRun({ adapter: { kind: 'lora', r: 2, target_modules: 'all-linear' } });
    const checkpoint = await openCheckpoint(base, [family]);
    const layers = [0, 1, 1, 3].map((physical) => ({ physical }));
    const kinds = composition.all(adapters);
    const lora = kinds.find(({ kind }) => kind === config.adapter.kind)!;
    const adapter = lora.create(lora.schema.parse({ r: 2, target_modules: 'all-linear' }));
    const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint, layers, adapter });
    const folder = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-specs-')), 'adapter');
    await writePeftAdapter(decoder, folder, 'base');
    const saved = JSON.parse(readFileSync(path.join(folder, 'adapter_config.json'), 'utf8')) as object;
    expect(saved).toMatchObject({
      peft_type: 'LORA',
      layer_replication: [
        [0, 2],
        [1, 2],
        [3, 4],
      ],
    });
    const again = readAdapter(folder, kinds, checkpoint.spec);
    expect([...again.values.keys()].sort()).toEqual([...decoder.parameters.keys()].sort());
    expect(() => readAdapter(folder, kinds, { ...checkpoint.spec, layers: [] })).toThrow(/EXPANSION|layer/);
  });
});

test('a block that does not fit its spec, and one that nobody runs, are errors that say so', async () => {
  const withBlock = (mixer: Block | undefined): Family => ({
    kind: 'faulty',
    ...(mixer && { blocks: { mixer } }),
    describe: (config) =>
      changed(plain(config), (block) => [block.kind === 'mlp' ? { ...block, kind: 'mixer' } : block]),
  });
  const base = await randomBase(withBlock(mixer));
  const forward = async (block: Block | undefined) => {
    const checkpoint = await openCheckpoint(base, [withBlock(block)]);
    const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint });
    await decoder.forward(packTokens([[1, 2, 3]]));
  };
  await expect(forward((x, _, { linear: run }) => run(x, 'in', 'float32'))).rejects.toThrow(
    'the block mixer asks for the linear layer "in"; its spec has gate, up, down',
  );
  await expect(forward((_, __, { vector }) => vector('gain'))).rejects.toThrow(
    'the block mixer asks for the vector "gain"; its spec has none',
  );
  await expect(forward((x, _, { keysAndValues }) => keysAndValues(x, x).k)).rejects.toThrow(
    /the block mixer keeps keys and values, and its spec has no keyValueWidth/,
  );
  await expect(forward(undefined)).rejects.toThrow(
    /the family faulty describes a block of the kind "mixer", and there is none; known: attention, mlp/,
  );
});
