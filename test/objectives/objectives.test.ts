import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { openSafetensors, readFloats } from '@glulam/files';
import { openDecoder, openCheckpoint, type Decoder, type VirtualLayer } from '@glulam/model';
import { createReferenceEngine, type Engine, type Operations, type Tensor } from '@glulam/tensors';
import { frobenius, openGolden } from '@glulam/testing';
import {
  createOptimizer,
  labelBatch,
  nextToken,
  trainStep,
  type Example,
  type LabelledBatch,
  type Objective,
  type Optimizer,
} from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { families, root } from '../support/expanded.js';

// Objectives over pairs, written from the contract alone, against what TRL computed (fixtures/preference).

const fixtures = path.join(root, 'fixtures/preference');
interface Pair {
  readonly prompt: number[];
  readonly chosen: number[];
  readonly rejected: number[];
}
interface Expected {
  readonly losses: Readonly<Record<string, { readonly loss: number }>>;
  readonly training: { readonly steps: readonly { readonly loss: number; readonly grad_norm: number }[] };
}
const read = (name: string): unknown => JSON.parse(readFileSync(path.join(fixtures, name), 'utf8'));
const { pairs } = read('batch.json') as { pairs: readonly Pair[] };
const expected = read('expected.json') as Expected;

/** Chosen, rejected, chosen, ...: of each the completion is learnt. */
const examplesOf = (some: readonly Pair[]): Example[] =>
  some.flatMap(({ prompt, chosen, rejected }) =>
    [chosen, rejected].map((completion) => ({
      ids: Int32Array.from([...prompt, ...completion]),
      trained: Uint8Array.from([...prompt.map(() => 0), ...completion.map(() => 1)]),
    })),
  );

const beta = 0.1;
const countPairs = ({ segments }: LabelledBatch): number => segments.length / 2;
const countChosen = ({ segments, labels }: LabelledBatch): number =>
  segments.reduce((sum, { queryStart, queryLength }, i) => {
    const own = labels.subarray(queryStart, queryStart + queryLength);
    return i % 2 === 0 ? sum + own.filter((label) => label >= 0).length : sum;
  }, 0);

/** A constant with a row for each pair: `chosen` at the rows of its chosen sequence, `rejected` at those of the other. */
function perPair(ops: Operations, { segments, ids }: LabelledBatch, chosen: number, rejected: number): Tensor {
  const values = new Float32Array((segments.length / 2) * ids.length);
  for (const [i, { queryStart, queryLength }] of segments.entries()) {
    const start = (i >> 1) * ids.length + queryStart;
    values.fill(i % 2 === 0 ? chosen : rejected, start, start + queryLength);
  }
  return ops.engine.upload(values, [segments.length / 2, ids.length]);
}
/** -log s(beta D) summed over pairs; log probabilities are negative losses. */
function sigmoidLoss(ops: Operations, batch: LabelledBatch, losses: Tensor): Tensor {
  const column = ops.reshape(losses, [losses.size, 1]);
  const margins = ops.matmul(perPair(ops, batch, -beta, beta), column);
  return ops.affine(ops.sumAll(ops.log(ops.sigmoid(margins))), -1, 0);
}

const dpo: Objective = {
  kind: 'dpo',
  groupSize: 2,
  needsReference: true,
  counts: (batch) => ({ pairs: countPairs(batch) }),
  loss: ({ ops, batch, losses, reference, totals }) =>
    ops.affine(sigmoidLoss(ops, batch, ops.sub(losses, reference!)), 1 / totals['pairs']!, 0),
};
/** A mean over pairs and one over tokens: each has a total of its own. */
const cpo: Objective = {
  kind: 'cpo',
  groupSize: 2,
  counts: (batch) => ({ pairs: countPairs(batch), tokens: countChosen(batch) }),
  loss({ ops, batch, losses, totals }) {
    const chosen = ops.matmul(perPair(ops, batch, 1, 0), ops.reshape(losses, [losses.size, 1]));
    return ops.add(
      ops.affine(sigmoidLoss(ops, batch, losses), 1 / totals['pairs']!, 0),
      ops.affine(ops.sumAll(chosen), 1 / totals['tokens']!, 0),
    );
  },
};
/** Two totals and a reference. */
const both: Objective = {
  ...cpo,
  kind: 'both',
  needsReference: true,
  loss: (context) => context.ops.add(cpo.loss(context), dpo.loss(context)),
};

const golden = openGolden(path.join(root, 'fixtures/golden/mistral-expanded-lora'));
const openGoldenDecoder = (engine: Engine): Promise<Decoder> => golden.open(engine, families, [loraContribution]);

/** One step without an update: its loss and gradients. */
async function gradientsOf(
  decoder: Decoder,
  objective: Objective,
  batches: readonly LabelledBatch[],
  recompute = false,
) {
  const gradients = new Map<string, Promise<Float32Array>>();
  const keep: Optimizer = {
    steps: 0,
    averages: new Map(),
    step(all) {
      for (const [name, tensor] of all) gradients.set(name, decoder.engine.read(tensor) as Promise<Float32Array>);
    },
    close: () => {},
  };
  const settings = { step: 0, seed: 0, learningRate: 1, maxGradientNorm: 0, recompute, objective };
  const { loss, totals } = await trainStep(decoder, keep, batches, settings);
  const values = new Map<string, Float32Array>();
  for (const [name, value] of gradients) values.set(name, await value);
  return { loss, totals, gradients: values };
}

const engines: readonly (readonly [string, () => Engine])[] = [
  ['reference', () => createReferenceEngine({ precision: 'float32' })],
  ['native', () => createNativeEngine({ precision: 'float32' })],
];

describe.each(engines)('objectives on the engine %s', (_, create) => {
  test.each([dpo, cpo])('$kind: loss and gradients are TRL’s', async (objective) => {
    const engine = create();
    const decoder = await openGoldenDecoder(engine);
    const before = engine.memory();
    for (const recompute of [false, true]) {
      const batch = labelBatch(examplesOf(pairs));
      const { loss, gradients } = await gradientsOf(decoder, objective, [batch], recompute);
      expect(Math.abs(loss - expected.losses[objective.kind]!.loss)).toBeLessThan(1e-5 * Math.max(1, loss));
      const theirs = openSafetensors(path.join(fixtures, `${objective.kind}.safetensors`));
      expect([...gradients.keys()].map((name) => `grad.base_model.model.${name}`).sort()).toEqual(
        [...theirs.names()].sort(),
      );
      for (const [name, gradient] of gradients) {
        const source = theirs.source(`grad.base_model.model.${name}`);
        const { distance, norm } = frobenius(gradient, readFloats(source));
        expect(distance, name).toBeLessThan(Math.max(1e-3 * norm, 1e-6));
      }
    }
    expect(engine.memory()).toEqual(before);
    decoder.close();
    await engine.close();
  });

  test('ten DPO steps are TRL’s, and the reference stays what it was', async () => {
    const engine = create();
    const decoder = await openGoldenDecoder(engine);
    const settings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
    const optimizer = createOptimizer(decoder.ops, decoder.parameters, settings);
    const batch = labelBatch(examplesOf(pairs));
    const referenceHidden = async () => {
      const hidden = await decoder.forward(batch, { reference: true });
      const values = await engine.read(hidden);
      hidden.release();
      return values;
    };
    const first = await referenceHidden();
    for (const [step, { loss: theirs, grad_norm: norm }] of expected.training.steps.entries()) {
      const rest = { seed: 0, learningRate: 0.002, maxGradientNorm: 1, recompute: step % 2 === 1, objective: dpo };
      const { loss, gradientNorm } = await trainStep(decoder, optimizer, [batch], { step, ...rest });
      expect(Math.abs(loss - theirs), `step ${step}`).toBeLessThan(2e-3);
      expect(Math.abs(gradientNorm / norm - 1), `step ${step}`).toBeLessThan(1e-2);
    }
    expect(await referenceHidden()).toEqual(first);
    const bare = await openDecoder({ engine, checkpoint: decoder.checkpoint, layers: decoder.layers });
    const hidden = await bare.forward(batch);
    expect(await engine.read(hidden)).toEqual(first);
    optimizer.close();
    await engine.close();
  });

  test('four batches of a pair are one batch of four, by every total', async () => {
    const engine = create();
    const decoder = await openGoldenDecoder(engine);
    const whole = await gradientsOf(decoder, both, [labelBatch(examplesOf(pairs))]);
    const parts = await gradientsOf(
      decoder,
      both,
      pairs.map((pair) => labelBatch(examplesOf([pair]))),
    );
    expect(whole.totals).toEqual({ pairs: 4, tokens: 43 });
    expect(parts.totals).toEqual(whole.totals);
    expect(Math.abs(parts.loss - whole.loss)).toBeLessThan(1e-5 * whole.loss);
    for (const [name, gradient] of whole.gradients) {
      const { distance, norm } = frobenius(parts.gradients.get(name)!, gradient);
      expect(distance, name).toBeLessThan(Math.max(1e-5 * norm, 1e-7));
    }
    await engine.close();
  });
});

describe('what cannot be is refused', async () => {
  const engine = createReferenceEngine({ precision: 'float32' });
  const checkpoint = await openCheckpoint(path.join(root, 'fixtures/golden/mistral-expanded-lora/base'), families);
  const open = async (layers: readonly VirtualLayer[]): Promise<Decoder> =>
    await openDecoder({ engine, checkpoint, layers });

  test('half a pair', async () => {
    const batch = labelBatch(examplesOf(pairs).slice(0, 3));
    await expect(gradientsOf(await openGoldenDecoder(engine), dpo, [batch])).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: 'a batch has 3 sequences; the objective dpo takes groups of 2, whole in each batch',
    });
  });

  test('a step without anything to learn', async () => {
    const masked = labelBatch([{ ids: Int32Array.of(1, 2, 3), trained: new Uint8Array(3) }]);
    await expect(gradientsOf(await openGoldenDecoder(engine), nextToken, [masked])).rejects.toMatchObject({
      code: 'DATA_EMPTY',
    });
  });

  test('a reference of a model that trains copies of the base', async () => {
    const batch = labelBatch(examplesOf(pairs));
    await expect(
      gradientsOf(await open([{ physical: 0 }, { physical: 0, weights: 'own' }]), dpo, [batch]),
    ).rejects.toThrow(/trains model\.layers\.1\..* itself, so it has no reference in memory/);
  });

  test('but a learned gate is 0 for the reference, as it begins', async () => {
    const decoder = await open([{ physical: 0 }, { physical: 0, gate: 'learned' }]);
    const batch = labelBatch(examplesOf(pairs));
    const values = async (some: Decoder, reference: boolean) => {
      const hidden = await some.forward(batch, { reference });
      return engine.read(hidden);
    };
    const gate = decoder.parameters.get('model.layers.1.gate')!;
    engine.write(gate, engine.upload(Float32Array.of(0.5), [1]), [0]);
    expect(await values(decoder, false)).not.toEqual(await values(await open([{ physical: 0 }]), false));
    expect(await values(decoder, true)).toEqual(await values(await open([{ physical: 0 }]), false));
  });
});
