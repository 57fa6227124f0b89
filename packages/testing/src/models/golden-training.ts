import { readFloats } from '@glulam/files';
import type { Decoder } from '@glulam/model';
import { createTape, scope } from '@glulam/tensors';
import { createOptimizer, trainStep, type LabelledBatch } from '@glulam/trainer';
import { expect } from 'vitest';
import { frobenius, rowsOf, type GoldenCase } from './golden.js';

/** The mean loss of a batch, and its gradients by the parameters' names. */
export async function gradientsOf(
  decoder: Decoder,
  batch: LabelledBatch,
  recompute = false,
): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const { engine, ops } = decoder;
  const tape = createTape(engine);
  const hidden = await decoder.forward(batch, { tape, recompute });
  const count = batch.labels.filter((label) => label >= 0).length;
  const loss = scope(() => {
    const losses = decoder.losses(hidden, batch.labels, tape);
    return ops.recording(tape, () => ops.affine(ops.sumAll(losses), 1 / count, 0));
  });
  hidden.release();
  const gradients = new Map<string, Float32Array>();
  const byTensor = await tape.backward(loss);
  for (const [name, tensor] of decoder.parameters) {
    const gradient = byTensor.get(tensor);
    if (gradient === undefined) continue;
    gradients.set(name, (await engine.read(gradient)) as Float32Array);
    gradient.release();
  }
  const value = (await engine.read(loss))[0]!;
  loss.release();
  return { loss: value, gradients };
}

/** Logits of the case's tokens: within 1e-4 of the largest. */
export async function expectLogits(decoder: Decoder, golden: GoldenCase): Promise<void> {
  const { engine } = decoder;
  const hidden = await decoder.forward(golden.batch);
  const logits = decoder.logits(
    hidden,
    golden.rows.map((_, i) => i),
  );
  const [got, expected] = [await engine.read(logits), rowsOf(golden, 'logits')];
  hidden.release();
  logits.release();
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]!)), 0);
  expect(worst / largest).toBeLessThan(1e-4);
}

/** Loss and every gradient of a case, with and without recomputation; `prefix` stands before our names in its file. */
export async function expectGradients(
  decoder: Decoder,
  golden: GoldenCase,
  batch: LabelledBatch,
  prefix: string,
): Promise<void> {
  const names = golden.tensors.names().filter((tensor) => tensor.startsWith('grad.'));
  for (const recompute of [false, true]) {
    const { loss, gradients } = await gradientsOf(decoder, batch, recompute);
    expect(Math.abs(loss - golden.facts.loss)).toBeLessThan(1e-4);
    // PEFT keeps a magnitude in a module of its own, whose name the adapter's file leaves out.
    const ours = new Map(
      [...gradients].map(([tensor, gradient]) => [
        `grad.${prefix}${tensor.endsWith('_vector') ? `${tensor}.weight` : tensor}`,
        gradient,
      ]),
    );
    expect([...ours.keys()].sort()).toEqual(names.sort());
    for (const [tensor, gradient] of ours) {
      const { distance, norm } = frobenius(gradient, readFloats(golden.tensors.source(tensor)));
      expect(distance, tensor).toBeLessThan(Math.max(1e-3 * norm, 1e-6));
    }
  }
}

/** Compares loss and gradient norm of a case's first `most` training steps, every other one with recomputation. No step leaves a tensor alive. */
export async function expectTraining(
  decoder: Decoder,
  golden: GoldenCase,
  batch: LabelledBatch,
  most = Infinity,
): Promise<void> {
  const { lr: learningRate, max_grad_norm: maxGradientNorm, weight_decay: weightDecay, steps } = golden.facts.training!;
  const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay,
  });
  const live: number[] = [];
  for (const [step, expected] of steps.slice(0, most).entries()) {
    const settings = { step, seed: 0, learningRate, maxGradientNorm, recompute: step % 2 === 1 };
    const { loss, gradientNorm } = await trainStep(decoder, optimizer, [batch], settings);
    expect(Math.abs(loss - expected.loss), `step ${step}`).toBeLessThan(2e-3);
    expect(Math.abs(gradientNorm / expected.grad_norm - 1), `step ${step}`).toBeLessThan(1e-2);
    live.push(decoder.engine.memory().tensors);
  }
  expect(new Set(live).size).toBe(1);
  optimizer.close();
}
