// Measures Glulam on one checkpoint, in a process of its own; prints one JSON line with the fields of peft_bench.py.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { openTfjsEngine } from '@glulam/engine-tfjs';
import { mistralFamily } from '@glulam/family-mistral';
import { createDecoder, generateTokens, openCheckpoint } from '@glulam/model';
import { uniforms } from '@glulam/tensors';
import { createOptimizer, labelBatch, trainStep } from '@glulam/trainer';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** `native`, or a backend of engine-tfjs. */
    engine: { type: 'string', default: 'native' },
    dtype: { type: 'string', default: 'bfloat16' },
    seq: { type: 'string', default: '512' },
    steps: { type: 'string', default: '5' },
    decode: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
    checkpointing: { type: 'boolean', default: false },
  },
});
const [seq, steps, decode, threads] = [values.seq, values.steps, values.decode, values.threads].map(Number);
const seconds = (from) => (performance.now() - from) / 1000;

const begun = performance.now();
const engine =
  values.engine === 'native'
    ? createNativeEngine({ precision: values.dtype, threads, isa: 'auto' })
    : await openTfjsEngine({ backend: values.engine, precision: values.dtype });
const checkpoint = openCheckpoint(positionals[0], [mistralFamily]);
const L = checkpoint.shape.physicalLayers;
const intervals = [[0, L / 2], [L / 4, (3 * L) / 4], [L / 2, L]]; // prettier-ignore
const layers = intervals.flatMap(([start, end]) =>
  Array.from({ length: end - start }, (_, i) => ({ physical: start + i })),
);
const adapter = loraContribution.create(loraContribution.schema.parse({ r: 8, lora_alpha: 16 }));
const decoder = createDecoder({ engine, checkpoint, layers, adapter });
await engine.drain();
const load = seconds(begun);

const ids = Int32Array.from(uniforms(seq, [0, 0, 0, 1]), (u) => Math.floor(u * checkpoint.shape.vocabularySize));
const batch = labelBatch([{ ids, trained: new Uint8Array(seq).fill(1) }]);
const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
});
// The engine's own product, a weight of the MLP as it is multiplied forward and as plain tensors: measured in turn with
// the steps, so that whatever else the machine does slows both.
const projection = engine.openWeight(checkpoint.files.source('model.layers.0.mlp.gate_proj.weight'));
const [outputs, inputs] = projection.shape;
const operand = engine.cast(engine.random([seq, inputs], [0, 0, 0, 2]), engine.precision);
const plain = [engine.random([seq, inputs], [0, 0, 0, 3]), engine.random([inputs, outputs], [0, 0, 0, 4])];
const products = [
  { rates: [], run: () => decoder.ops.frozenLinear(operand, projection, {}, engine.precision) },
  { rates: [], run: () => engine.matmul(...plain) },
];
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
const medianOf = (figures) => [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)];

const times = [];
const losses = [];
for (let step = 0; step < steps; step++) {
  await measureProducts();
  const start = performance.now();
  const settings = { step, seed: 0, learningRate: 1e-4, maxGradientNorm: 0, recompute: values.checkpointing };
  const { loss } = await trainStep(decoder, optimizer, [batch], settings);
  times.push(seconds(start));
  losses.push(Number(loss.toFixed(5)));
}
await measureProducts();
const median = medianOf(times);
const { hidden, intermediate, vocabulary, keyValues } = {
  hidden: inputs,
  intermediate: outputs,
  vocabulary: checkpoint.shape.vocabularySize,
  keyValues: checkpoint.shape.keyValueHeads * checkpoint.shape.headSize,
};
const heads = checkpoint.shape.heads * checkpoint.shape.headSize;
const perLayer = hidden * (2 * heads + 2 * keyValues + 3 * intermediate);
// The products that a step needs, two operations a multiplication: each frozen weight forward and backward (to its
// input), 4 * seq * weights, but the first layer's q, k and v, whose input wants no gradient; each adapter forward, to its
// own gradients and to its input, 6 * seq * trainable; attention, where a query sees half of the keys on average, forward
// Q K^T and P V, backward dP = dO V^T, dV, dQ and dK: 6 products of 2 * seq * seq / 2 * heads * headSize. What an engine
// computes twice to save memory is not counted.
const trainable = [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
const frozen = layers.length * perLayer + vocabulary * hidden - (hidden * (heads + 2 * keyValues)) / 2;
const stepGigaflops = (4 * seq * frozen + 6 * seq * trainable + 6 * seq * seq * heads * layers.length) / 1e9;

const count = async (most) => {
  let done = 0;
  for await (const _ of generateTokens(decoder, [...ids.subarray(0, 32)], { maxNewTokens: most })) done += 1;
  return done;
};
await count(2);
const start = performance.now();
const decoded = await count(decode);
const decodePerSecond = decoded / seconds(start);

const status = readFileSync('/proc/self/status', 'utf8');
const gigabytes = (name) => (Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? NaN) * 1024) / 1e9;
console.log(
  JSON.stringify({
    peer: 'glulam',
    engine: engine.description,
    dtype: values.dtype,
    seq,
    load_s: load,
    trainable,
    effective_layers: layers.length,
    step_s: median,
    tokens_per_s: seq / median,
    losses,
    product_gflops: Math.max(...products.map(({ rates }) => medianOf(rates))),
    step_gflops: stepGigaflops / median,
    decode_per_s: decodePerSecond,
    peak_rss_gb: (process.resourceUsage().maxRSS * 1024) / 1e9,
    rss_file_gb: gigabytes('RssFile'),
  }),
);
optimizer.close();
decoder.close();
await engine.close();
