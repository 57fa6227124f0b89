import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createNativeEngine } from '@glulam/engine-native';
import { exportGguf, mergeCheckpoint, readAdapter } from '@glulam/export';
import {
  createWeightSource,
  encodeFloats,
  fileBytes,
  findStamp,
  folderDocuments,
  ggmlEncode,
  nf4Formats,
  openCheckpointFiles,
  orderRows,
  plainFormats,
  q8_0,
  readFloats,
  sizeOf,
  sliceStack,
  writeSafetensors,
  type StorageFormat,
  type WeightSource,
} from '@glulam/files';
import {
  adapters,
  checkpointReaders,
  families,
  knownDocuments,
  openCheckpoint,
  openDecoder,
  packTokens,
  type CheckpointReader,
} from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import { createReferenceEngine, normals } from '@glulam/tensors';
import { openData, openRunTokenizer, planRun, train } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { beforeAll, describe, expect, test } from 'vitest';
import { offsetBytes, scaledBytes } from '../../packages/testing/src/engines/unknown-formats.js';
import { difference, logitsAt, prompt, tiny } from '../support/expanded.js';
import { eventsOf, lossesByStep, tinyRun } from '../support/tiny.js';

// A checkpoint of a layout that core does not know: one file with all documents and tensors, which a plugin reads. Its weights are
// in five formats, of which no engine knows two, and some are views: rows in another order, one matrix of a stack, blocks that
// run on from row to row. All that is done with it is compared with the same values in a plain folder.

const sizes = { hidden: 32, inner: 96, layers: 4, vocabulary: 1536 };
const documents: Readonly<Record<string, string>> = {
  'config.json': JSON.stringify({
    ...{ model_type: 'mistral', hidden_size: sizes.hidden, intermediate_size: sizes.inner, head_dim: 8 },
    ...{ num_hidden_layers: sizes.layers, vocab_size: sizes.vocabulary, num_attention_heads: 4 },
    ...{ num_key_value_heads: 2, rms_norm_eps: 1e-5, max_position_embeddings: 512, sliding_window: null },
    ...{ tie_word_embeddings: false, torch_dtype: 'float32' },
  }),
  ...Object.fromEntries(
    ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'].map((name) => [
      name,
      readFileSync(path.join(tiny, name), 'utf8'),
    ]),
  ),
};

const formats = new Map<string, StorageFormat>(
  [...Object.values(plainFormats), ...Object.values(nf4Formats), q8_0, scaledBytes, offsetBytes].map((format) => [
    format.kind,
    format,
  ]),
);

/** Bytes of each part, for values that the format holds about so. */
function encode(format: StorageFormat, values: Float32Array): Uint8Array[] {
  const blocks = (size: number): Float32Array[] =>
    Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.subarray(i * size, (i + 1) * size));
  const largest = (block: Float32Array): number => block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (format === q8_0) return [ggmlEncode(values, 'Q8_0')];
  if (format === scaledBytes) {
    const scales = Float32Array.from(blocks(32), (block) => largest(block) / 127);
    const bytes = Int8Array.from(values, (value, i) => Math.round(value / scales[i >> 5]!));
    return [encodeFloats(scales, 'float32'), new Uint8Array(bytes.buffer)];
  }
  if (format === offsetBytes) {
    const bytes = Int8Array.from(values, (value) => 2 * Math.round(64 * Math.max(-0.9, Math.min(0.9, value))));
    return [encodeFloats(new Float32Array(Math.ceil(values.length / 20)), 'bfloat16'), new Uint8Array(bytes.buffer)];
  }
  if (format.parts.length === 1) return [encodeFloats(values, format.dtype as 'float32')];
  const scales = Float32Array.from(blocks(64), largest);
  const nibbles = Array.from(values, (value, i) => Math.round(7.5 + 7.5 * (value / scales[i >> 6]!)));
  const packed = Uint8Array.from(
    { length: nibbles.length / 2 },
    (_, i) => (nibbles[2 * i]! << 4) | nibbles[2 * i + 1]!,
  );
  return [packed, encodeFloats(scales, 'float32')];
}

interface BoxedTensor {
  readonly format: string;
  readonly shape: readonly number[];
  /** Offset and length of each part. */
  readonly parts: readonly (readonly [number, number])[];
}
interface BoxedFile {
  readonly documents: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, BoxedTensor>>;
}

const headBytes = 2 ** 20;
const evenRowsFirst = (rows: number): number[] =>
  Array.from({ length: rows }, (_, row) => (row % 2 === 0 ? row / 2 : (rows + row - 1) / 2));

/** The file: gates of all layers as one stack, q and k with their rows in the order that `evenRowsFirst` undoes. */
function writeBoxed(file: string): void {
  const { hidden, inner, layers, vocabulary } = sizes;
  const tensors: Record<string, BoxedTensor> = {};
  const chunks: Uint8Array[] = [];
  let at = headBytes;
  let use = 0;
  const put = (name: string, format: StorageFormat, shape: readonly number[], scale = 0.15, center = 0): void => {
    const values = normals(sizeOf(shape), [5, 3, 1, use++]).map((value) => center + scale * value);
    const bytes = encode(format, values);
    tensors[name] = {
      format: format.kind,
      shape,
      parts: bytes.map((part) => [(at += part.length) - part.length, part.length]),
    };
    chunks.push(...bytes);
  };
  put('model.embed_tokens.weight', q8_0, [vocabulary, hidden]);
  put('gates', scaledBytes, [layers, inner, hidden]);
  for (let layer = 0; layer < layers; layer++) {
    const below = `model.layers.${layer}`;
    put(`${below}.self_attn.q_proj.weight`, scaledBytes, [hidden, hidden]);
    put(`${below}.self_attn.k_proj.weight`, q8_0, [16, hidden]);
    put(`${below}.self_attn.v_proj.weight`, nf4Formats.bfloat16, [16, hidden]);
    put(`${below}.self_attn.o_proj.weight`, offsetBytes, [hidden, hidden]);
    put(`${below}.mlp.up_proj.weight`, nf4Formats.float32, [inner, hidden]);
    put(`${below}.mlp.down_proj.weight`, nf4Formats.float16, [hidden, inner]);
    for (const norm of ['input_layernorm', 'post_attention_layernorm'])
      put(`${below}.${norm}.weight`, plainFormats.float32, [hidden], 0.1, 1);
  }
  put('model.norm.weight', plainFormats.float32, [hidden], 0.1, 1);
  put('lm_head.weight', plainFormats.bfloat16, [vocabulary, hidden]);
  const head = Buffer.alloc(headBytes, ' ');
  const boxed: BoxedFile = { documents, tensors };
  expect(head.write(JSON.stringify(boxed))).toBeLessThan(headBytes);
  writeFileSync(file, Buffer.concat([head, ...chunks]));
}

const boxedReader: CheckpointReader = {
  kind: 'boxed',
  claims: (file) => file.endsWith('.boxed'),
  open(file) {
    const head = Buffer.alloc(headBytes);
    const handle = openSync(file, 'r');
    readSync(handle, head);
    closeSync(handle);
    const boxed = JSON.parse(head.toString()) as BoxedFile;
    const stored = (name: string): WeightSource => {
      const { format, shape, parts } = boxed.tensors[name]!;
      return createWeightSource({
        ...{ name, shape, format: formats.get(format)!, origin: file },
        parts: parts.map(([offset, length]) => fileBytes(file, offset, length)),
      });
    };
    const source = (name: string): WeightSource => {
      const gate = /layers\.(\d+)\.mlp\.gate_proj/.exec(name);
      if (gate !== null) return { ...sliceStack(stored('gates'), Number(gate[1])), name };
      const whole = stored(name);
      return /[qk]_proj/.test(name) ? orderRows(whole, evenRowsFirst(whole.shape[0]!)) : whole;
    };
    const names = [
      ...Object.keys(boxed.tensors).filter((name) => name !== 'gates'),
      ...Array.from({ length: sizes.layers }, (_, layer) => `model.layers.${layer}.mlp.gate_proj.weight`),
    ];
    const stamp = findStamp(file)!;
    return Promise.resolve({
      documents: knownDocuments(file, boxed.documents, [stamp]),
      hasWeights: true,
      openTensors: () =>
        Promise.resolve({
          ...{ folder: file, files: [file], totalBytes: Number(stamp.bytes) - headBytes, warnings: [], source },
          names: () => names,
          has: (name) => names.includes(name),
          entry: (name) => ({ shape: source(name).shape, dtype: source(name).format.kind }),
          checkUnchanged: () => undefined,
          ...(identity === undefined ? {} : { identity: () => identity! }),
        }),
    });
  },
};
/** What the reader says of the weights. */
let identity: string | undefined;
const plugin = definePlugin({
  name: 'glulam-plugin-boxed',
  contract: 2,
  register: (registry) => registry.contribute(checkpointReaders, { create: () => boxedReader }),
});

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-boxed-'));
const boxed = path.join(folder, 'model.boxed');
const plain = path.join(folder, 'model-plain');
const expansion = { kind: 'layer_map', layer_map: [[0, 3], [1, 4]] }; // prettier-ignore

const settings = (base: string, engine: 'native' | 'reference') => {
  const { config, out } = tinyRun({
    ...{ base, expansion, precision: 'float32', engine: { kind: engine } },
    adapter: { kind: 'dora', r: 4, lora_alpha: 8 },
    data: { ...tinyRun().config.data, maxTokens: 96 },
    train: { steps: 3, batch: 1, learningRate: 2e-2 },
  });
  return { config, out, composition: resolveConfig(config, [plugin], '/').composition };
};
const { composition } = settings(boxed, 'native');
const open = (base: string) => openCheckpoint(base, composition.all(families), composition.all(checkpointReaders));

beforeAll(async () => {
  writeBoxed(boxed);
  const { files } = await open(boxed);
  mkdirSync(plain);
  for (const [name, text] of Object.entries(documents)) writeFileSync(path.join(plain, name), text);
  await writeSafetensors(
    path.join(plain, 'model.safetensors'),
    files.names().map((name) => {
      const source = files.source(name);
      return { name, shape: source.shape, dtype: 'float32' as const, values: readFloats(source) };
    }),
  );
});

/** A trained adapter, from a run on the boxed base. */
const trained = new Map<string, string>();

test('a run is not resumed on weights of another identity than its reader gave', async () => {
  const run = settings(boxed, 'native');
  identity = 'first';
  try {
    await train(run.config, run.composition);
    await train(run.config, run.composition, { resume: true });
    identity = 'second';
    await expect(train(run.config, run.composition, { resume: true })).rejects.toMatchObject({ code: 'RUN_CHANGED' });
  } finally {
    identity = undefined;
  }
});

describe.each(['native', 'reference'] as const)('on the engine %s', (kind) => {
  test('it trains as the plain base does, and says what the engine holds in copies', async () => {
    const losses: number[][] = [];
    for (const base of [boxed, plain]) {
      const run = settings(base, kind);
      await train(run.config, run.composition);
      losses.push([...lossesByStep(run.out).values()]);
      const warnings = eventsOf(run.out).flatMap((event) => (event.type === 'warning' ? [event.message] : []));
      const copies = warnings.filter((line) => /it holds them decoded/.test(line));
      expect(copies.map((line) => /stored as ([\w-]+) where/.exec(line)![1]).sort()).toEqual(
        base === boxed && kind === 'native' ? ['offset-bytes', 'scaled-bytes'] : [],
      );
      if (base === boxed) trained.set(kind, path.join(run.out, 'adapter'));
    }
    expect(losses[0]).toHaveLength(3);
    // The reference engine computes with the same values in the same order.
    if (kind === 'reference') expect(losses[0]).toEqual(losses[1]);
    losses[0]!.forEach((loss, step) => expect(Math.abs(loss / losses[1]![step]! - 1)).toBeLessThan(1e-5));
  });

  test('its logits are those of the plain base', async () => {
    const ids = packTokens([prompt(sizes.vocabulary)]);
    const create = kind === 'native' ? createNativeEngine : createReferenceEngine;
    for (const precision of ['float32', 'bfloat16'] as const) {
      const [got, expected] = await Promise.all(
        [boxed, plain].map(async (base) => {
          const engine = create({ precision });
          const decoder = await openDecoder({ engine, checkpoint: await open(base) });
          const logits = await logitsAt(decoder, ids);
          decoder.close();
          await engine.close();
          return logits;
        }),
      );
      expect(difference(got!, expected!)).toBeLessThan(precision === 'float32' ? 1e-5 : 1e-2);
    }
  });
});

test('merged, its weights are those of the plain base with the same adapter', async () => {
  const merged: string[] = [];
  for (const base of [boxed, plain]) {
    const checkpoint = await open(base);
    const adapter = readAdapter(trained.get('native')!, composition.all(adapters), checkpoint.spec);
    const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-boxed-')), 'merged');
    const source = { checkpoint, layers: adapter.layers!, saved: adapter };
    await mergeCheckpoint(source, { out, dtype: 'float32' });
    merged.push(out);
  }
  const [got, expected] = merged.map((each) => openCheckpointFiles(each));
  expect(got!.names()).toEqual(expected!.names());
  for (const name of got!.names()) expect(readFloats(got!.source(name))).toEqual(readFloats(expected!.source(name)));
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
    expect(readFileSync(path.join(merged[0]!, name), 'utf8')).toBe(readFileSync(path.join(merged[1]!, name), 'utf8'));
});

test('exported, it is the GGUF file of the plain base', async () => {
  const files: string[] = [];
  for (const base of [boxed, plain]) {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-boxed-')), 'model.gguf');
    const layers = [0, 1, 2, 1, 3].map((physical) => ({ physical }));
    await exportGguf({ checkpoint: await open(base), layers }, { file, type: 'f32' });
    // The file has the base's name, which is as long in both.
    files.push(readFileSync(file, 'latin1').replace(path.basename(base), 'the base'));
  }
  expect(files[0] === files[1]).toBe(true);
});

test('planned, its bytes are those of the file, and copies are counted', async () => {
  const run = settings(boxed, 'native');
  const planned = await planRun(run.config, run.composition);
  const { hidden, inner, layers } = sizes;
  const copies = layers * (4 * hidden * hidden + 4 * inner * hidden + 2 * hidden * hidden);
  expect(planned.bytes.weightCopies).toBe(copies);
  const { files } = await open(boxed);
  const mapped = files
    .names()
    .filter((name) => !/q_proj|o_proj|gate_proj/.test(name))
    .flatMap((name) => files.source(name).parts);
  expect(planned.bytes.weights).toBe(mapped.reduce((sum, { byteLength }) => sum + byteLength, 0));
  expect(planned.warnings.filter((line) => /it holds them decoded/.test(line))).toHaveLength(2);
});

test('its rows become the same tokens in workers, which open the tokenizer by themselves', async () => {
  const { documents: own } = await open(boxed);
  // Documents that a reader changes on their way are the changed ones in workers too.
  const files = folderDocuments(plain);
  const lowercase = JSON.stringify({
    ...(JSON.parse(documents['tokenizer.json']!) as object),
    normalizer: { type: 'Lowercase' },
  });
  const changed = {
    ...files,
    read: (name: string, most?: number) => (name === 'tokenizer.json' ? lowercase : files.read(name, most)),
  };
  const sums: string[] = [];
  for (const [base, workers] of [
    [own, 0],
    [own, 1],
    [plain, 1],
    [changed, 0],
    [changed, 1],
  ] as const) {
    const { config } = settings(boxed, 'native');
    const fresh = { ...config, data: { ...config.data, cache: mkdtempSync(path.join(tmpdir(), 'glulam-boxed-')) } };
    const data = await openData(fresh, composition, openRunTokenizer(fresh, base), { workers });
    sums.push(data.sha256);
    data.close();
  }
  expect(sums).toEqual([sums[0], sums[0], sums[0], sums[3], sums[3]]);
  expect(sums[3]).not.toBe(sums[0]);
});

test('what a reader rejects with is the error', async () => {
  writeFileSync(path.join(folder, 'broken.boxed'), 'nothing');
  await expect(open(path.join(folder, 'broken.boxed'))).rejects.toThrow(/not valid JSON/);
});
