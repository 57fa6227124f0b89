import { keyValueWidthOf, openDecoder, type Checkpoint } from '@glulam/model';
import { createTape, scope, type PlanningEngine } from '@glulam/tensors';
import { labelBatch, type Example } from '../step/batches.js';
import { configError } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import type { ModelDescription } from '../open/describe-model.js';
import { meanLoss } from '../evaluate/mean-loss.js';
import { createOptimizer } from '../step/optimizer.js';
import { trainStep } from '../step/train-step.js';

/** What a run takes of an engine's memory. */
export interface ForeseenBytes {
  /** Of the base, mapped from its files: the system may drop such pages and read them again. */
  readonly weights: number;
  /** Of the base, copied by an engine that cannot use it where it lies; these stay. */
  readonly weightCopies: number;
  /** What is trained. */
  readonly adapters: number;
  /** As many bytes as what is trained. */
  readonly gradients: number;
  /** The two averages of AdamW. */
  readonly optimizer: number;
  /** What a forward pass leaves for its backward. */
  readonly activations: number;
  /** What the loss takes for logits while it is computed. */
  readonly logits: number;
  /** Keys and values of one token in all virtual layers, when text is generated. */
  readonly keyValuesPerToken: number;
  /** Of the largest trained tensor, which this process holds besides while a checkpoint is written. */
  readonly written: number;
  /** The most at once that cannot be evicted. Not all of the above are alive at the same time. */
  readonly peak: number;
}

/** A sequence of so many tokens, all of them learnt: only lengths matter here. */
export const anyExample = (tokens: number): Example => ({
  ids: new Int32Array(tokens),
  trained: new Uint8Array(tokens).fill(1),
});

interface ForeseeOptions {
  readonly examples: readonly Example[];
  /** Tokens of an evaluation; 0: there is none. */
  readonly evaluated: number;
  /** A model that has nothing to train is not refused. */
  readonly untrained: boolean;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Go through one training step with `examples`, where something is trained, and an evaluation of `evaluated` tokens, on an
 * engine that counts.
 */
export async function foreseeMemory(
  { train }: RunConfig,
  checkpoint: Checkpoint,
  { layers, adapter }: Pick<ModelDescription, 'layers' | 'adapter'>,
  engine: PlanningEngine,
  { examples, evaluated, untrained, signal }: ForeseeOptions,
): Promise<ForeseenBytes> {
  const decoder = await openDecoder({ engine, checkpoint, layers, adapter, adapterValues: 'zeros', signal });
  const trains = decoder.parameters.size > 0;
  if (!trains && !untrained)
    throw configError([
      'nothing would be trained: the adapter sits nowhere, and the expansion has neither gates nor layers with weights of their own',
    ]);
  const { beta1, beta2, epsilon, weightDecay, recompute, maxGradientNorm } = train;
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, { beta1, beta2, epsilon, weightDecay });
  const adapters = [...decoder.parameters.values()].reduce((sum, { size }) => sum + 4 * size, 0);
  const written = [...decoder.parameters.values()].reduce((most, { size }) => Math.max(most, 4 * size), 0);
  const training = { seed: 0, step: 0 };
  const batch = labelBatch(examples);

  const before = engine.memory().bytes;
  const tape = createTape(engine);
  const hidden = await decoder.forward(batch, { tape, recompute, training });
  const activations = engine.memory().bytes - before;
  engine.resetPeak();
  const held = engine.peakBytes;
  const losses = scope(() => decoder.losses(hidden, batch.labels, tape));
  const logits = engine.peakBytes - held;
  losses.release();
  hidden.release();
  tape.discard();

  // A step's second batch comes upon the gradients of its first; more add nothing.
  engine.resetPeak();
  const batches = Array.from({ length: Math.min(2, train.accumulate) }, () => batch);
  if (trains)
    await trainStep(decoder, optimizer, batches, { ...training, learningRate: 0, maxGradientNorm, recompute });
  if (evaluated > 0) await meanLoss(decoder, [anyExample(evaluated)]);
  const widths = layers.map(({ physical }) => keyValueWidthOf(checkpoint.spec.layers[physical]!));
  const keyValues = widths.reduce((sum, width) => sum + width, 0) * (engine.precision === 'bfloat16' ? 2 : 4);
  return {
    weights: engine.mappedBytes,
    weightCopies: engine.copiedBytes ?? 0,
    adapters,
    gradients: adapters,
    optimizer: 2 * adapters,
    activations,
    logits,
    keyValuesPerToken: 2 * keyValues,
    written,
    peak: engine.reservedPeakBytes,
  };
}
