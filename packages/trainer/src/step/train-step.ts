import type { Decoder, Route } from '@glulam/model';
import { createTape, scope, whileHeld, type Tensor } from '@glulam/tensors';
import { TrainerError } from '../errors.js';
import { nextToken } from '../objectives/next-token.js';
import type { Objective, Totals } from '../objectives/objective.js';
import type { LabelledBatch } from './batches.js';
import { firstNotFinite } from './first-not-finite.js';
import type { Optimizer } from './optimizer.js';

/** What a step depends on besides its batches. */
export interface StepSettings {
  /** Default: `nextToken`. */
  readonly objective?: Objective | undefined;
  /** Counts optimizer steps from 0. */
  readonly step: number;
  /** The steps of its passes; default: the decoder's route. */
  readonly route?: Route | undefined;
  /** Of dropout. */
  readonly seed: number;
  /** Of this step. */
  readonly learningRate: number;
  /** Gradients of a larger norm (over all parameters) are scaled down to it; 0: never. */
  readonly maxGradientNorm: number;
  /** Keep each virtual layer's input only, and compute the rest again in backward. */
  readonly recompute: boolean;
}

/** What a step came to. */
export interface StepResult {
  /** As the objective defines it: with `nextToken` the mean over all labelled tokens of the step. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** Of all batches. */
  readonly tokens: number;
  /** What the objective counted, such as the labelled `tokens`. */
  readonly totals: Totals;
}

/**
 * One optimizer step over one or more batches (gradient accumulation): forward, loss, backward, clipping, AdamW. Each
 * batch's loss is its share of the whole step's, so that accumulating equals one larger batch.
 *
 * @throws TrainerError DATA_EMPTY, DATA_INVALID, LOSS_NOT_FINITE
 */
export async function trainStep(
  decoder: Decoder,
  optimizer: Optimizer,
  batches: readonly LabelledBatch[],
  settings: StepSettings,
): Promise<StepResult> {
  const { ops, engine, parameters } = decoder;
  const { step, seed, route, learningRate, maxGradientNorm, recompute, objective = nextToken } = settings;
  for (const { segments } of batches) checkGroups(objective, segments.length);
  const totals = sumTotals(batches.map((batch) => objective.counts(batch)));
  if (Object.values(totals).every((total) => total === 0)) {
    throw new TrainerError(
      'DATA_EMPTY',
      `step ${step + 1} has nothing to learn from: the objective ${objective.kind} counts ${JSON.stringify(totals)} in its batches`,
    );
  }
  const gradients = new Map<string, Tensor>();
  try {
    let loss = 0;
    for (const [index, batch] of batches.entries()) {
      const tape = createTape(engine);
      const training = { seed, step: step * batches.length + index };

      try {
        // Forward: token ids to hidden states to this batch's share of the loss, beside the reference's where it is needed.
        const reference = objective.needsReference === true ? await referenceLosses(decoder, batch, route) : undefined;
        const share = await whileHeld(reference, async () => {
          const hidden = await decoder.forward(batch, { tape, route, recompute, training });
          return whileHeld(hidden, () =>
            scope(() => {
              const losses = decoder.losses(hidden, batch.labels, tape);
              return ops.recording(tape, () => objective.loss({ ops, batch, totals, losses, reference, hidden }));
            }),
          );
        });

        // Backward: gradients of this batch, added to those of the batches before it.
        loss += await whileHeld(share, async () => {
          const fresh = await tape.backward(share);
          try {
            for (const [name, parameter] of parameters) {
              const gradient = fresh.get(parameter);
              if (gradient === undefined) continue;
              const before = gradients.get(name);
              gradients.set(name, before === undefined ? gradient.retain() : engine.binary('add', before, gradient));
              before?.release();
              gradient.release();
              fresh.delete(parameter);
            }
          } finally {
            for (const gradient of fresh.values()) gradient.release();
          }
          return (await engine.read(share))[0]!;
        });
      } finally {
        tape.discard();
      }
    }

    // Check before anything is updated: after a NaN the parameters are still those of the last good step.
    const squares = ops.sumOfSquares([...gradients.values()]);
    const [squared] = await whileHeld(squares, () => engine.read(squares));
    const gradientNorm = Math.sqrt(squared!);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      const passes = batches.map((batch, index) => ({
        batch,
        pass: { route, training: { seed, step: step * batches.length + index } },
      }));
      const { where, weight } = await firstNotFinite(decoder, passes, gradients);
      throw new TrainerError(
        'LOSS_NOT_FINITE',
        `step ${step + 1} gave loss ${loss} and gradient norm ${gradientNorm}: ${where}. ` +
          'The adapter was left as it was before the step, and checkpoints as they are. ' +
          (weight === undefined
            ? 'Lower train.learningRate, lengthen train.warmupSteps, or look for broken rows in the data.'
            : `The reason is in the base: ${weight}. Get this file again, or choose another base.`),
      );
    }

    // Update: one pass over all adapters, gradients clipped by their common norm.
    const clipped = maxGradientNorm > 0 ? Math.min(1, maxGradientNorm / (gradientNorm + 1e-6)) : 1;
    optimizer.step(gradients, learningRate, clipped);
    await engine.drain();
    return { loss, gradientNorm, tokens: batches.reduce((sum, { ids }) => sum + ids.length, 0), totals };
  } finally {
    for (const gradient of gradients.values()) gradient.release();
  }
}

/** Losses of each row by the virtual layers alone, [rows], without gradient. */
async function referenceLosses(decoder: Decoder, batch: LabelledBatch, route: Route | undefined): Promise<Tensor> {
  const hidden = await decoder.forward(batch, { reference: true, route });
  return whileHeld(hidden, () => scope(() => decoder.losses(hidden, batch.labels)));
}

function checkGroups({ kind, groupSize }: Objective, sequences: number): void {
  if (sequences % groupSize === 0) return;
  throw new TrainerError(
    'DATA_INVALID',
    `a batch has ${sequences} sequences; the objective ${kind} takes groups of ${groupSize}, whole in each batch`,
  );
}

function sumTotals(all: readonly Totals[]): Totals {
  const sums: Record<string, number> = {};
  for (const totals of all) for (const [name, count] of Object.entries(totals)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
