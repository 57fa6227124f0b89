import { createTape, scope } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { naiveHidden, naiveLosses, type NaivePass } from '../../test/naive-decoder.js';
import { tinyAdapter } from '../../test/tiny-adapter.js';
import { drawn } from '../../test/tiny-base.js';
import {
  base,
  end,
  expanded,
  expectClose,
  hiddenOf,
  openExpanded,
  readAndRelease,
  rounding,
  sequences,
  type Opened,
} from '../../test/tiny-decoder.js';
import { describeTrained } from '../adapters/trained-tensors.js';
import { packTokens } from './batch.js';
import type { PassOptions } from './decoder.js';
import { openDecoder } from './open-decoder.js';

const labels = [1, -1, 10, 0, -1, 7, 2, 2, -1, 3];

/** Loss and gradients of one training pass; everything is released. */
async function gradientsOf({ engine, decoder }: Opened, pass: PassOptions) {
  const before = engine.memory();
  const tape = createTape(engine);
  const hidden = await decoder.forward(packTokens(sequences), { ...pass, tape });
  const losses = scope(() => decoder.losses(hidden, Int32Array.from(labels), tape));
  const total = decoder.ops.recording(tape, () => scope(() => decoder.ops.sumAll(losses)));
  const found = await tape.backward(total);
  const gradients = new Map<string, number[]>();
  for (const [name, tensor] of decoder.parameters) {
    const gradient = found.get(tensor);
    if (gradient !== undefined) gradients.set(name, await readAndRelease(engine, gradient));
  }
  const [loss] = await readAndRelease(engine, total);
  hidden.release();
  losses.release();
  expect(engine.memory()).toEqual(before);
  return { loss: loss!, gradients };
}

describe('training', () => {
  const training = { seed: 7, step: 3 };
  const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

  test('every gradient is that of the naive decoder, dropout included', async () => {
    const opened = await openExpanded();
    const { naive } = opened;
    const lossAt = (name: string, moved: readonly number[]): number => {
      const model = { ...naive, trained: new Map([...naive.trained, [name, moved]]) };
      const pass: NaivePass = { sequences, training };
      return sumOf(naiveLosses(model, naiveHidden(model, pass), labels));
    };
    const { loss, gradients } = await gradientsOf(opened, { training });
    const [anyName, anyValues] = [...naive.trained][0]!;
    expectClose([loss], [lossAt(anyName, anyValues)], rounding.value);
    expect([...gradients.keys()]).toEqual([...opened.decoder.parameters.keys()]);
    // Along random directions, each through all elements of a tensor: a wrong element shows in every one of them.
    const step = 1e-5;
    for (const [name, values] of naive.trained)
      for (const use of [1, 2, 3]) {
        const direction = [...drawn(values.length, use)];
        const [above, below] = [step, -step].map((by) =>
          lossAt(
            name,
            values.map((value, i) => value + by * direction[i]!),
          ),
        );
        const gradient = gradients.get(name)!;
        const along = sumOf(gradient.map((value, i) => value * direction[i]!));
        const size = Math.max(Math.hypot(...gradient) * Math.hypot(...direction), 0.1);
        expect(Math.abs(along - (above! - below!) / (2 * step)), name).toBeLessThan(rounding.gradient * size);
      }
    await end(opened);
  });

  test('recomputation gives the same loss and gradients, bit for bit', async () => {
    const opened = await openExpanded();
    const kept = await gradientsOf(opened, { training });
    expect(await gradientsOf(opened, { training, recompute: true })).toEqual(kept);
    await end(opened);
  });

  test('dropout follows from seed and step alone', async () => {
    const opened = await openExpanded();
    const lossOf = async (of: PassOptions['training']) =>
      (await gradientsOf(opened, of === undefined ? {} : { training: of })).loss;
    const all = [await lossOf(training), await lossOf({ seed: 8, step: 3 }), await lossOf({ seed: 7, step: 4 })];
    expect(new Set([...all, await lossOf(undefined)]).size).toBe(4);
    expect(await lossOf(training)).toBe(all[0]);
    await end(opened);
  });

  test('a pass whose backward is given up leaves nothing', async () => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const before = engine.memory();
    const tape = createTape(engine);
    const hidden = await decoder.forward(packTokens(sequences), { tape, training, recompute: true });
    hidden.release();
    tape.discard();
    expect(engine.memory()).toEqual(before);
    await end(opened);
  });
});

describe('what is trained', () => {
  test('begins with values of its own kind: adapters from their draws, gates at 0, copies as the base', async () => {
    const opened = await openExpanded({ adapterValues: undefined, seed: 5 });
    const { engine, decoder } = opened;
    const valuesOf = async (name: string) => [...(await engine.read(decoder.parameters.get(name)!))];
    expect(await valuesOf('model.layers.2.gate')).toEqual([0]);
    expect(await valuesOf('model.layers.3.self_attn.v_proj.weight')).toEqual(
      base.values.get('model.layers.1.self_attn.v_proj.weight'),
    );
    // A copy begins as the scaled layer that it stands for.
    expect(await valuesOf('model.layers.3.mlp.up_proj.weight')).toEqual(
      base.values.get('model.layers.1.mlp.up_proj.weight')!.map((value) => 2 * value),
    );
    const A = 'model.layers.0.self_attn.q_proj.A';
    const other = await openExpanded({ adapterValues: undefined, seed: 6 });
    expect(await valuesOf(A)).not.toEqual([...(await other.engine.read(other.decoder.parameters.get(A)!))]);
    expect(await valuesOf(A)).not.toEqual(await valuesOf(A.replace('.0.', '.2.')));
    expect([...decoder.parameters.keys()].sort()).toEqual(
      [...describeTrained(decoder.spec, expanded, tinyAdapter).shapes.keys()].sort(),
    );
    await end(other);
    await end(opened);
  });

  test('zeros draw nothing', async () => {
    const opened = await openExpanded({ adapterValues: 'zeros' });
    for (const tensor of opened.decoder.parameters.values())
      expect(new Set(await opened.engine.read(tensor))).toEqual(new Set([0]));
    await end(opened);
  });

  test('may be tensors that are there already, which stay the caller’s', async () => {
    const first = await openExpanded();
    const { engine } = first;
    const second = await openDecoder({
      ...{ engine, checkpoint: base.checkpoint, layers: expanded, adapter: tinyAdapter },
      adapterTensors: first.decoder.parameters,
    });
    expect([...second.parameters.values()]).toEqual([...first.decoder.parameters.values()]);
    const expected = await hiddenOf(first, sequences);
    expect(await hiddenOf({ ...first, decoder: second }, sequences)).toEqual(expected);
    second.close();
    expect(await hiddenOf(first, sequences)).toEqual(expected);
    await end(first);
  });
});

describe('a model in parts', () => {
  test.each([false, true])(
    'two decoders that each run some layers have loss and gradients of the whole, bit for bit; recomputation: %s',
    async (recompute) => {
      const whole = await openExpanded();
      const pass = { training: { seed: 7, step: 3 }, recompute };
      const expected = await gradientsOf(whole, pass);
      await end(whole);
      const [front, back] = [await openExpanded(), await openExpanded()];
      const batch = packTokens(sequences);
      const tapes = [createTape(front.engine), createTape(back.engine)] as const;

      const passed = await front.decoder.forwardPart(batch, { start: 0, end: 2 }, { ...pass, tape: tapes[0] });
      // Through the machine's memory, as it would go to another one.
      const values = (await front.engine.read(passed)) as Float32Array;
      const arrived = back.engine.upload(values, passed.shape);
      tapes[1].watch(arrived);
      const part = { start: 2, end: expanded.length, hidden: arrived };
      const hidden = await back.decoder.forwardPart(batch, part, { ...pass, tape: tapes[1] });
      expect(arrived.disposed).toBe(false);
      const losses = scope(() => back.decoder.losses(hidden, Int32Array.from(labels), tapes[1]));
      const total = back.decoder.ops.recording(tapes[1], () => scope(() => back.decoder.ops.sumAll(losses)));
      const behind = await tapes[1].backward(total);
      const outside = (await back.engine.read(behind.get(arrived)!)) as Float32Array;
      const seed = front.engine.upload(outside, passed.shape);
      const ahead = await tapes[0].backward(passed, seed);

      expect([...(await back.engine.read(total))]).toEqual([expected.loss]);
      const found = new Map<string, number[]>();
      for (const [{ engine, decoder }, gradients] of [
        [front, ahead],
        [back, behind],
      ] as const)
        for (const [name, tensor] of decoder.parameters) {
          const gradient = gradients.get(tensor);
          if (gradient === undefined) continue;
          expect(found.has(name), name).toBe(false);
          found.set(name, [...(await engine.read(gradient))]);
        }
      expect(new Map([...found].sort())).toEqual(new Map([...expected.gradients].sort()));
      for (const tensor of [passed, arrived, hidden, losses, total, seed, ...behind.values(), ...ahead.values()])
        tensor.release();
      await end(front);
      await end(back);
    },
  );

  test('parts of no layers, and what does not fit', async () => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const batch = packTokens(sequences);
    const embedded = await decoder.forwardPart(batch, { start: 0, end: 0 });
    const after = await decoder.forwardPart(batch, { start: 0, end: expanded.length, hidden: embedded });
    expect(await readAndRelease(engine, after)).toEqual(await hiddenOf(opened, sequences));
    for (const part of [
      { start: 1, end: 2 },
      { start: 2, end: 1, hidden: embedded },
      { start: 0, end: expanded.length + 1 },
      { start: 0.5, end: 1, hidden: embedded },
    ])
      await expect(decoder.forwardPart(batch, part)).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    await expect(decoder.forwardPart(packTokens([[1]]), { start: 1, end: 2, hidden: embedded })).rejects.toThrow(
      /and hidden states \[10, 8\] for 1 tokens; expected a range of steps, and hidden states \[1, 8\]/,
    );
    embedded.release();
    await end(opened);
  });
});
