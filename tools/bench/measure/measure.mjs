// Measures Glulam on one checkpoint, in a process of its own; prints one JSON line with the fields of peft_bench.py.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { mistralFamily } from '@glulam/family-mistral';
import { attentionOf, generateTokens, openCheckpoint, openDecoder } from '@glulam/model';
import { uniforms } from '@glulam/tensors';
import { createOptimizer, labelBatch, trainStep } from '@glulam/trainer';
import { median } from './median.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** `native`, or a backend of engine-tfjs. */
    engine: { type: 'string', default: 'native' },
    dtype: { type: 'string', default: 'bfloat16' },
    seq: { type: 'string', default: '512' },
    steps: { type: 'string', default: '5' },
    decode: { type: 'string', default: '0' },
    prefill: { type: 'string', default: '0' },
    threads: { type: 'string', default: '2' },
    dora: { type: 'boolean', default: false },
    checkpointing: { type: 'boolean', default: false },
    /** Time the engine's own products between the steps, which then begin later. */
    products: { type: 'boolean', default: false },
  },
});
const [seq, steps, decode, prefill, threads] = [
  values.seq,
  values.steps,
  values.decode,
  values.prefill,
  values.threads,
].map(Number);
const seconds = (from) => (performance.now() - from) / 1000;
const gigabytesOf = (name) => {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return (Number(line?.[1]) * 1024) / 1e9;
};

const begun = performance.now();
const precision = /** @type {import('@glulam/tensors').Precision} */ (values.dtype);
const engine =
  values.engine === 'native'
    ? createNativeEngine({ precision, threads, isa: 'auto' })
    : await (
        await import('@glulam/engine-tfjs')
      ).openTfjsEngine({ backend: /** @type {any} */ (values.engine), precision });
// What is mapped from here on is the base's.
const mappedBefore = gigabytesOf('RssFile');
const checkpoint = await openCheckpoint(positionals[0], [mistralFamily]);
const attention = /** @type {import('@glulam/model').AttentionSpec} */ (attentionOf(checkpoint.spec.layers[0]));
const L = checkpoint.spec.layers.length;
const intervals = [
  [0, L / 2],
  [L / 4, (3 * L) / 4],
  [L / 2, L],
];
const layers = intervals.flatMap(([start, end]) =>
  Array.from({ length: end - start }, (_, i) => ({ physical: start + i })),
);
const contribution = values.dora ? doraContribution : loraContribution;
const adapter = contribution.create(contribution.schema.parse({ r: 8, lora_alpha: 16 }));
const decoder = await openDecoder({ engine, checkpoint, layers, adapter });
await engine.drain();
const load = seconds(begun);

const randomIds = (count) =>
  Int32Array.from(uniforms(count, [0, 0, 0, 1]), (u) => Math.floor(u * checkpoint.spec.vocabularySize));
const ids = randomIds(seq);
const batch = labelBatch([{ ids, trained: new Uint8Array(seq).fill(1) }]);
const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
});
// The engine's own product, a weight of the MLP as it is multiplied forward, its result rounded or not, and as plain tensors:
// measured in turn with the steps, so that whatever else the machine does slows both.
const projection = await engine.openWeight(checkpoint.files.source('model.layers.0.mlp.gate_proj.weight'));
const [outputs, inputs] = projection.shape;
/** @returns {{ rates: number[], run: () => { release(): void } }[]} */
const ownProducts = () => {
  const operand = engine.cast(engine.random([seq, inputs], [0, 0, 0, 2]), engine.precision);
  const [left, right] = [engine.random([seq, inputs], [0, 0, 0, 3]), engine.random([inputs, outputs], [0, 0, 0, 4])];
  return [
    { rates: [], run: () => decoder.ops.frozenLinear(operand, projection, {}, engine.precision) },
    { rates: [], run: () => decoder.ops.frozenLinear(operand, projection, {}, 'float32') },
    { rates: [], run: () => engine.matmul(left, right) },
  ];
};
/** TensorFlow's own product of bfloat16 values, by the addon that the engine has loaded. */
const tensorflowProduct = () => {
  const addon = createRequire(import.meta.url)(`@tensorflow/tfjs-${values.engine}/lib/napi-v8/tfjs_binding.node`);
  const [float32, bfloat16, flag, type] = [1, 14, 3, 4];
  const operand = (shape) => {
    const wide = addon.createTensor(shape, float32, uniforms(shape[0] * shape[1], [0, 0, 0, 5]));
    return addon.executeOp('Cast', [{ name: 'DstT', type, value: bfloat16 }], [wide], 1)[0].id;
  };
  const operands = [operand([seq, inputs]), operand([outputs, inputs])];
  const attributes = [{ name: 'transpose_b', type: flag, value: true }];
  const run = () => {
    const [{ id }] = addon.executeOp('MatMul', attributes, operands, 1);
    return { release: () => addon.deleteTensor(id) };
  };
  return { rates: /** @type {number[]} */ ([]), run };
};
const isTensorflow = values.engine.startsWith('node') && values.dtype === 'bfloat16';
const products = values.products ? [...ownProducts(), ...(isTensorflow ? [tensorflowProduct()] : [])] : [];
const measureProducts = async () => {
  for (let round = 0; round < 5; round++) {
    for (const { rates, run } of products) {
      await engine.drain();
      const start = performance.now();
      run().release();
      await engine.drain();
      rates.push((2 * seq * inputs * outputs) / seconds(start) / 1e9);
    }
  }
};

const times = [];
const losses = [];
let firstStepAt;
for (let step = 0; step < steps; step++) {
  await measureProducts();
  const start = performance.now();
  const settings = { step, seed: 0, learningRate: 1e-4, maxGradientNorm: 0, recompute: values.checkpointing };
  const { loss } = await trainStep(decoder, optimizer, [batch], settings);
  times.push(seconds(start));
  losses.push(Number(loss.toFixed(5)));
  firstStepAt ??= Date.now() / 1000;
}
await measureProducts();
const stepSeconds = median(times);
const { hidden, intermediate, vocabulary, keyValues } = {
  hidden: inputs,
  intermediate: outputs,
  vocabulary: checkpoint.spec.vocabularySize,
  keyValues: attention.keyValueHeads * attention.headSize,
};
const heads = attention.heads * attention.headSize;
const perLayer = hidden * (2 * heads + 2 * keyValues + 3 * intermediate);
// The products that a step needs, two operations a multiplication: each frozen weight forward and backward (to its
// input), 4 * seq * weights, but the first layer's q, k and v, whose input wants no gradient; each adapter forward, to its
// own gradients and to its input, 6 * seq * trainable; attention, where a query sees half of the keys on average, forward
// Q K^T and P V, backward dP = dO V^T, dV, dQ and dK: 6 products of 2 * seq * seq / 2 * heads * headSize. What an engine
// computes twice to save memory is not counted.
const trainable = [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
const frozen = layers.length * perLayer + vocabulary * hidden - (hidden * (heads + 2 * keyValues)) / 2;
const stepGigaflops = (4 * seq * frozen + 6 * seq * trainable + 6 * seq * seq * heads * layers.length) / 1e9;

/** When each token came, of so many behind a prompt. */
const generate = async (prompt, maxNewTokens) => {
  const came = [];
  for await (const _ of generateTokens(decoder, [...prompt], { maxNewTokens })) came.push(performance.now());
  return came;
};
let decodePerSecond;
if (decode > 0) {
  const prompt = randomIds(32);
  await generate(prompt, 2);
  const came = await generate(prompt, decode);
  decodePerSecond = (came.length - 1) / ((came[came.length - 1] - came[0]) / 1000);
}
const prefillTimes = [];
for (let round = 0; round < (prefill > 0 ? 3 : 0); round++) {
  const start = performance.now();
  await generate(randomIds(prefill), 1);
  prefillTimes.push(seconds(start));
}

console.log(
  JSON.stringify({
    peer: 'glulam',
    engine: engine.description,
    dtype: values.dtype,
    seq,
    load_s: load,
    trainable,
    effective_layers: layers.length,
    step_times: times,
    first_step_at: firstStepAt,
    tokens_per_s: seq / stepSeconds,
    losses,
    product_gflops: products.length > 0 ? Math.max(...products.map(({ rates }) => median(rates))) : undefined,
    step_gflops: stepGigaflops / stepSeconds,
    decode_per_s: decodePerSecond,
    prefill_times: prefillTimes,
    peak_rss_gb: (process.resourceUsage().maxRSS * 1024) / 1e9,
    weights_gb: gigabytesOf('RssFile') - mappedBefore,
  }),
);
optimizer.close();
decoder.close();
await engine.close();
