import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { readFloats } from '@glulam/files';
import { createScheduler, generateTokens, packTokens, scoreContinuations } from '@glulam/model';
import { createReferenceEngine, createTape, scope, type Engine, type Precision } from '@glulam/tensors';
import { expectTraining, frobenius, type GoldenCase, openGolden, rowsOf } from '@glulam/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adaptedFamilyCases, families, plainFamilyCases } from '../support/families.js';
import { nativeEngines } from '../support/native-engines.js';
import { tfjsEngines } from '../support/tfjs-engines.js';

// Cases that transformers and PEFT computed; tolerances are those of fixtures/golden/README.md.
const root = path.resolve(import.meta.dirname, '../../fixtures/golden');
const adapters = [loraContribution, doraContribution];
const cases = [
  'mistral-base',
  'llama-base-tied',
  'llama3-rope',
  'mistral-lora',
  'mistral-expanded-lora',
  'llama-expanded-lora',
  'mistral-expanded-dora',
  'mistral-expanded-patterns',
  ...adaptedFamilyCases,
  ...plainFamilyCases,
];

const engines: [name: string, open: (precision: Precision) => Promise<Engine>][] = [
  ['reference', (precision) => Promise.resolve(createReferenceEngine({ precision }))],
  ...nativeEngines(),
  ...tfjsEngines(),
];

/** Loss, logits and every adapter gradient of one pass. */
async function onePass(golden: GoldenCase, engine: Engine, config?: string) {
  const decoder = await golden.open(engine, families, adapters, config);
  const trained = decoder.parameters.size > 0;
  const tape = createTape(engine);
  const hidden = await decoder.forward(golden.batch, trained ? { tape } : {});
  const logitsTensor = decoder.logits(
    hidden,
    golden.rows.map((_, i) => i),
  );
  const count = golden.labels.filter((label) => label >= 0).length;
  const loss = scope(() => {
    const losses = decoder.losses(hidden, golden.labels, trained ? tape : undefined);
    const body = () => decoder.ops.affine(decoder.ops.sumAll(losses), 1 / count, 0);
    return trained ? decoder.ops.recording(tape, body) : body();
  });
  const gradients = new Map<string, Float32Array>();
  if (trained) {
    const byTensor = await tape.backward(loss);
    for (const [name, tensor] of decoder.parameters) {
      // PEFT keeps a magnitude in a module of its own, whose name the adapter's file leaves out.
      const inPeft = name.endsWith('lora_magnitude_vector') ? `${name}.weight` : name;
      gradients.set(`base_model.model.${inPeft}`, (await engine.read(byTensor.get(tensor)!)) as Float32Array);
    }
    for (const gradient of byTensor.values()) gradient.release();
  }
  const result = {
    loss: (await engine.read(loss))[0]!,
    logits: (await engine.read(logitsTensor)) as Float32Array,
    gradients,
    layers: decoder.layers.length,
  };
  for (const tensor of [hidden, logitsTensor, loss]) tensor.release();
  decoder.close();
  expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  return result;
}

describe.each(engines)('%s', (engineName, open) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open('float32');
  });
  afterAll(() => engine.close());

  test.each(cases)('%s: loss, logits and gradients in both config styles', async (name) => {
    const golden = openGolden(path.join(root, name));
    for (const config of ['config.json', 'config.published.json']) {
      const { loss, logits, gradients, layers } = await onePass(golden, engine, config);
      expect(layers).toBe(golden.facts.effective_layers);
      expect(Math.abs(loss - golden.facts.loss)).toBeLessThan(1e-4 * golden.facts.loss);
      const expected = rowsOf(golden, 'logits');
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0);
      expect(worst / largest).toBeLessThan(1e-4);
      const names = golden.tensors.names().filter((tensor) => tensor.startsWith('grad.'));
      expect([...gradients.keys()].map((tensor) => `grad.${tensor}`).sort()).toEqual(names.sort());
      for (const [tensor, gradient] of gradients) {
        const { distance, norm } = frobenius(gradient, readFloats(golden.tensors.source(`grad.${tensor}`)));
        expect(distance, tensor).toBeLessThan(Math.max(1e-3 * norm, 1e-6));
      }
    }
  });

  test.each(cases.filter((name) => openGolden(path.join(root, name)).facts.greedy !== undefined))(
    '%s: greedy tokens',
    async (name) => {
      const golden = openGolden(path.join(root, name));
      const decoder = await golden.open(engine, families, adapters);
      const { prompt, tokens } = golden.facts.greedy!;
      const got: number[] = [];
      for await (const id of generateTokens(decoder, prompt, { maxNewTokens: tokens.length })) got.push(id);
      decoder.close();
      expect(got).toEqual(tokens);
    },
  );

  test('families/phi3-longrope: greedy tokens where the sequence outgrows the short factors', async () => {
    const golden = openGolden(path.join(root, 'families/phi3-longrope'));
    const decoder = await golden.open(engine, families, adapters);
    const { prompt, tokens } = golden.facts.greedy_crossing!;
    for (const most of [512, 7]) {
      const scheduler = createScheduler(decoder, most);
      const other = scheduler.join(decoder, prompt.slice(0, 5), { maxNewTokens: tokens.length });
      const sequence = scheduler.join(decoder, prompt, { maxNewTokens: tokens.length });
      const got: number[] = [];
      while (scheduler.size > 0)
        for (const token of await scheduler.pass())
          if (token.sequence === sequence) got.push(token.id!);
          else expect(token.sequence).toBe(other);
      scheduler.close();
      expect(got).toEqual(tokens);
    }
    // A text that begins below the length and ends beyond it has the scores of one pass over the whole.
    const [begun, rest] = [prompt.slice(0, 20), [...prompt.slice(20), ...tokens]];
    const textOf = (ids: readonly number[]): string => String.fromCodePoint(...ids.map((id) => 0x4e00 + id));
    const tokenizer = { encode: (text: string) => [...text].map((character) => character.codePointAt(0)! - 0x4e00) };
    const scores = await scoreContinuations(decoder, tokenizer, textOf(begun), [textOf(rest)]);
    const batch = packTokens([[...begun, ...rest]]);
    const hidden = await decoder.forward(batch);
    const labels = batch.ids.map((_, i) => (i < begun.length - 1 ? -1 : (batch.ids[i + 1] ?? -1)));
    const losses = decoder.losses(hidden, labels);
    const whole = -[...(await engine.read(losses))].reduce((sum, loss) => sum + loss, 0);
    for (const tensor of [hidden, losses]) tensor.release();
    expect(scores[0]).toBeCloseTo(whole, 3);
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  // On the engines in JavaScript they take minutes: golden-training.test.ts.
  if (engineName.startsWith('native'))
    test.each(cases.filter((name) => /-(lora|dora)$/.test(name)))('%s: 20 training steps', async (name) => {
      const golden = openGolden(path.join(root, name));
      const decoder = await golden.open(engine, families, adapters);
      await expectTraining(decoder, golden, { ...golden.batch, labels: golden.labels });
      decoder.close();
    });
});

describe.each(engines)('%s, bfloat16', (_, open) => {
  test.each(['mistral-bf16', 'mistral-expanded-lora-bf16'])(
    '%s: no further from float32 than the reference',
    async (name) => {
      const engine = await open('bfloat16');
      const golden = openGolden(path.join(root, name));
      const { logits, gradients } = await onePass(golden, engine);
      const exact = rowsOf(golden, 'logits32');
      expect(frobenius(logits, exact).distance).toBeLessThan(frobenius(rowsOf(golden, 'logits'), exact).distance);
      for (const [tensor, gradient] of gradients) {
        const wide = readFloats(golden.tensors.source(`grad32.${tensor}`));
        const ours = frobenius(gradient, wide).distance;
        const theirs = frobenius(readFloats(golden.tensors.source(`grad.${tensor}`)), wide).distance;
        expect(ours, tensor).toBeLessThan(theirs);
      }
      await engine.close();
    },
  );
});
