// No config, no plugins composed: a decoder, an optimizer and a loop, from the parts that the packages export.
import path from 'node:path';
import { createLora, loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { mistralFamily } from '@glulam/family-mistral';
import { openDecoder, encodeSpans, generateText, openCheckpoint, openTokenizer } from '@glulam/model';
import { createOptimizer, labelBatch, learningRateAt, trainStep } from '@glulam/trainer';

const folder = path.join(import.meta.dirname, '../models/tiny-mistral-gsm8k');
const checkpoint = await openCheckpoint(folder, [mistralFamily]);
const tokenizer = openTokenizer(folder);
const engine = createNativeEngine({ precision: 'bfloat16' });

// Layers 0 to 7, the middle ones twice: the list says all there is to say about an expansion.
const layers = [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7].map((physical) => ({ physical }));
const adapter = createLora(loraContribution.schema.parse({ r: 4, lora_alpha: 8 }));
const decoder = await openDecoder({ engine, checkpoint, layers, adapter, seed: 1 });
const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
});

const rows = [
  ['Question: Ann has 2 hats and buys 3 more. How many hats has she?\nAnswer:', ' 2 + 3 = 5\n#### 5'],
  ['Question: Ben has 9 pens and gives 4 away. How many pens has he?\nAnswer:', ' 9 - 4 = 5\n#### 5'],
] as const;
const examples = rows.map(([question, answer]) => {
  const { ids, trained } = encodeSpans(tokenizer, [
    { text: question, trained: false },
    { text: answer, trained: true },
  ]);
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained, Number) };
});

const steps = 20;
for (let step = 0; step < steps; step++) {
  const learningRate = learningRateAt({ kind: 'cosine', peak: 5e-3, warmupSteps: 2, steps }, step);
  const { loss, gradientNorm } = await trainStep(decoder, optimizer, [labelBatch(examples)], {
    step,
    seed: 1,
    learningRate,
    maxGradientNorm: 1,
    recompute: false,
  });
  console.log(`step ${step + 1}: loss ${loss.toFixed(4)}, gradient norm ${gradientNorm.toFixed(3)}`);
}

for await (const piece of generateText(decoder, tokenizer, tokenizer.encode(rows[0][0]), { maxNewTokens: 12 }))
  process.stdout.write(piece);
process.stdout.write('\n');
optimizer.close();
decoder.close();
await engine.close();
