import { createReferenceEngine, scope } from '@glulam/tensors';
import { expect, test } from 'vitest';
import { tinyAdapter } from '../../test/tiny-adapter.js';
import { base, expanded, trainedValues } from '../../test/tiny-decoder.js';
import { packTokens } from '../decoder/batch.js';
import type { Decoder } from '../decoder/decoder.js';
import { openDecoder } from '../decoder/open-decoder.js';
import { createBaseWeights } from '../weights/base-weights.js';
import type { ContinuationOptions } from './continuation.js';
import { generateTokens } from './generate.js';
import { createScheduler, type KeptSequence, type ScheduledSequence, type Scheduler } from './scheduler.js';

const layers = expanded.map(({ weights: _, gate: __, ...layer }) => layer);
const prompts = [[3, 1, 4], [9], [2, 6, 5, 3, 5], [8, 9]];
const greedy = (maxNewTokens: number): ContinuationOptions => ({ maxNewTokens, temperature: 0 });

/** Two decoders of one base that differ by their adapters. */
async function place() {
  const engine = createReferenceEngine();
  const weights = createBaseWeights(engine);
  const values = trainedValues(base, layers);
  const other = new Map([...values].map(([name, each]) => [name, { ...each, values: each.values.map((x) => -x) }]));
  const decoders: Decoder[] = [];
  for (const adapterValues of [values, other])
    decoders.push(
      await openDecoder({ engine, checkpoint: base.checkpoint, weights, layers, adapter: tinyAdapter, adapterValues }),
    );
  const alone = async (decoder: Decoder, prompt: readonly number[], options: ContinuationOptions) => {
    const ids: number[] = [];
    for await (const id of generateTokens(decoder, prompt, options)) ids.push(id);
    return ids;
  };
  const end = (): void => {
    for (const decoder of decoders) decoder.close();
    weights.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  };
  return { decoders: decoders as [Decoder, Decoder], alone, end };
}

/** Collects what each sequence gets; `at` is called before each pass with its number. */
async function runAll(scheduler: Scheduler, at: (pass: number) => void = () => {}) {
  const got = new Map<ScheduledSequence, number[]>();
  for (let pass = 0; ; pass++) {
    at(pass);
    if (scheduler.size === 0) return got;
    for (const { sequence, id } of await scheduler.pass())
      got.set(sequence, [...(got.get(sequence) ?? []), ...(id === undefined ? [] : [id])]);
  }
}

test('sequences that join at any time, with any adapter, get what they get alone', async () => {
  const { decoders, alone, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const joined: { sequence: ScheduledSequence; expected: Promise<number[]> }[] = [];
  const got = await runAll(scheduler, (pass) => {
    const prompt = prompts[pass];
    if (prompt === undefined) return;
    const [decoder, options] = [decoders[pass % 2]!, greedy(4 + pass)];
    joined.push({
      sequence: scheduler.join(decoder, prompt, options, { expected: pass }),
      expected: alone(decoder, prompt, options),
    });
  });
  expect(joined).toHaveLength(4);
  for (const { sequence, expected } of joined) expect(got.get(sequence)).toEqual(await expected);
  // The adapters do not say the same.
  expect(await alone(decoders[0], prompts[2]!, greedy(6))).not.toEqual(
    await alone(decoders[1], prompts[2]!, greedy(6)),
  );
  scheduler.close();
  end();
});

test('sampling draws of a sequence are its own', async () => {
  const { decoders, alone, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const options = (seed: number): ContinuationOptions => ({ maxNewTokens: 5, temperature: 1.5, seed });
  const sequences = prompts.map((prompt, seed) => scheduler.join(decoders[0], prompt, options(seed)));
  const got = await runAll(scheduler);
  for (const [seed, sequence] of sequences.entries())
    expect(got.get(sequence)).toEqual(await alone(decoders[0], prompts[seed]!, options(seed)));
  scheduler.close();
  end();
});

test('one that leaves takes nothing from the others, and nothing stays of it', async () => {
  const { decoders, alone, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const [gone, stays] = [0, 1].map((i) => scheduler.join(decoders[i]!, prompts[i]!, greedy(6))) as [
    ScheduledSequence,
    ScheduledSequence,
  ];
  const got = await runAll(scheduler, (pass) => {
    if (pass < 2) return;
    gone.leave();
    gone.leave();
  });
  expect(got.get(gone)).toHaveLength(2);
  expect(got.get(stays)).toEqual(await alone(decoders[1], prompts[1]!, greedy(6)));
  stays.leave();
  scheduler.close();
  end();
});

test('many that come and go leave no tensors', async () => {
  const { decoders, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  for (let round = 0; round < 30; round++) {
    scheduler.join(decoders[round % 2]!, prompts[round % 4]!, greedy(1 + (round % 3)));
    await scheduler.pass();
  }
  await runAll(scheduler);
  expect(scheduler.size).toBe(0);
  scheduler.close();
  end();
});

test('where a pass fails for one decoder, its sequences get the error, and the others their tokens', async () => {
  const { decoders, alone, end } = await place();
  let fails = true;
  const failure = new Error('no memory');
  const faulty: Decoder = {
    ...decoders[1],
    forward: (...given) => (fails ? Promise.reject(failure) : decoders[1].forward(...given)),
  };
  const scheduler = createScheduler(decoders[0]);
  const fine = scheduler.join(decoders[0], prompts[0]!, greedy(4));
  const lost = scheduler.join(faulty, prompts[1]!, greedy(4));
  const first = await scheduler.pass();
  expect(first.map(({ sequence, error }) => [sequence, error])).toEqual([
    [fine, undefined],
    [lost, failure],
  ]);
  expect(scheduler.size).toBe(1);
  fails = false;
  const again = scheduler.join(faulty, prompts[1]!, greedy(4));
  const got = await runAll(scheduler);
  expect([first[0]!.id, ...got.get(fine)!]).toEqual(await alone(decoders[0], prompts[0]!, greedy(4)));
  expect(got.get(again)).toEqual(await alone(decoders[1], prompts[1]!, greedy(4)));
  scheduler.close();
  end();
});

test('a pass that is aborted between two decoders gives what the first has computed', async () => {
  const { decoders, alone, end } = await place();
  const controller = new AbortController();
  const aborting: Decoder = {
    ...decoders[1],
    forward(batch, pass) {
      controller.abort(new Error('enough'));
      return decoders[1].forward(batch, pass);
    },
  };
  const scheduler = createScheduler(decoders[0]);
  const sequences = [decoders[0], aborting].map((each, i) => scheduler.join(each, prompts[i]!, greedy(3)));
  const first = await scheduler.pass(controller.signal);
  expect(first.map(({ sequence }) => sequence)).toEqual([sequences[0]]);
  await expect(scheduler.pass(controller.signal)).rejects.toThrow('enough');
  const got = await runAll(scheduler);
  expect([first[0]!.id, ...got.get(sequences[0]!)!]).toEqual(await alone(decoders[0], prompts[0]!, greedy(3)));
  expect(got.get(sequences[1]!)).toEqual(await alone(decoders[1], prompts[1]!, greedy(3)));
  scheduler.close();
  end();
});

test('what is asked for during a pass: leaving is done at its end, all else is refused', async () => {
  const { decoders, alone, end } = await place();
  // Hot enough that a damaged cache shows.
  const options = (seed: number): ContinuationOptions => ({ maxNewTokens: 8, temperature: 2, seed });
  let during: (() => Promise<void>) | undefined;
  const watched = decoders.map((decoder): Decoder => ({
    ...decoder,
    forward: (batch, pass) =>
      decoder.forward(batch, { ...pass, onLayer: async (virtual) => (virtual === 1 ? during?.() : undefined) }),
  })) as [Decoder, Decoder];
  const scheduler = createScheduler(watched[0]);
  const stays = scheduler.join(watched[0], prompts[0]!, options(5));
  const beside = scheduler.join(watched[1], prompts[2]!, options(6));
  const goes = scheduler.join(watched[1], prompts[1]!, options(7));
  during = async () => {
    during = undefined;
    expect(() => scheduler.join(watched[0], prompts[3]!, options(8), { expected: 40 })).toThrow(
      /join was asked for during a pass/,
    );
    expect(() => scheduler.close()).toThrow(/close was asked for during a pass/);
    await expect(scheduler.pass()).rejects.toThrow(/pass was asked for during a pass/);
    goes.leave();
  };
  const first = await scheduler.pass();
  expect(first.map(({ sequence }) => sequence)).toEqual([stays, beside]);
  expect(scheduler.size).toBe(2);
  const got = await runAll(scheduler);
  const whole = (sequence: ScheduledSequence, i: number): unknown[] => [first[i]!.id, ...got.get(sequence)!];
  expect(whole(stays, 0)).toEqual(await alone(decoders[0], prompts[0]!, options(5)));
  expect(whole(beside, 1)).toEqual(await alone(decoders[1], prompts[2]!, options(6)));
  // The last of a decoder leaves while its pass is made.
  const last = scheduler.join(watched[1], prompts[1]!, options(9));
  during = async () => last.leave();
  expect(await scheduler.pass()).toEqual([]);
  scheduler.close();
  end();
});

test('an aborted pass changes nothing', async () => {
  const { decoders, alone, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const sequence = scheduler.join(decoders[0], prompts[2]!, greedy(3));
  await expect(scheduler.pass(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  expect((await runAll(scheduler)).get(sequence)).toEqual(await alone(decoders[0], prompts[2]!, greedy(3)));
  scheduler.close();
  end();
});

test('decoders of other layers, and prompts that cannot be, are refused', async () => {
  const { decoders, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const shorter = await openDecoder({ engine: decoders[0].engine, checkpoint: base.checkpoint });
  expect(() => scheduler.join(shorter, prompts[0]!, greedy(1))).toThrow(
    /another base, engine or list of virtual layers/,
  );
  expect(() => scheduler.join(decoders[0], [], greedy(1))).toThrow(/the prompt has no tokens/);
  expect(scheduler.size).toBe(0);
  shorter.close();
  scheduler.close();
  end();
});

test('tokens are scored beside sequences that generate, from what they have in common', async () => {
  const { decoders, alone, end } = await place();
  const [decoder] = decoders;
  const scheduler = createScheduler(decoder);
  const text = [3, 1, 4, 1];
  const common = scheduler.keep(decoder, text.length);
  const begins = scheduler.score(
    common,
    text,
    text.map(() => -1),
  );
  const generates = scheduler.join(decoder, prompts[2]!, greedy(5));
  const first = await scheduler.pass();
  expect(first.find(({ sequence }) => sequence === begins)).toMatchObject({
    id: undefined,
    ended: undefined,
    score: 0,
  });
  const [left, right] = common.fork(text.length, [6, 6]) as [KeptSequence, KeptSequence];
  const scored = [scheduler.score(left, [5, 9], [9, -1]), scheduler.score(right, [2, 6, 5], [6, 5, 3])];
  const second = await scheduler.pass();
  const scoreOf = (sequence: ScheduledSequence): number => second.find((each) => each.sequence === sequence)!.score!;
  const whole = async (ids: number[], labels: number[]): Promise<number> => {
    const hidden = await decoder.forward(packTokens([ids]));
    const losses = scope(() => decoder.losses(hidden, Int32Array.from(labels)));
    const sum = [...(await decoder.engine.read(losses))].reduce((total, loss) => total - loss, 0);
    hidden.release();
    losses.release();
    return sum;
  };
  expect(scoreOf(scored[0]!)).toBeCloseTo(await whole([...text, 5, 9], [-1, -1, -1, -1, 9, -1]), 5);
  expect(scoreOf(scored[1]!)).toBeCloseTo(await whole([...text, 2, 6, 5], [-1, -1, -1, -1, 6, 5, 3]), 5);
  const rest = (await runAll(scheduler)).get(generates)!;
  const got = [first, second].map((pass) => pass.find(({ sequence }) => sequence === generates)!.id);
  expect([...got, ...rest]).toEqual(await alone(decoder, prompts[2]!, greedy(5)));
  // What was kept may be continued by a text of its own.
  expect(left.length).toBe(6);
  const continued = scheduler.join(decoder, [...text, 5, 9, 2], greedy(3), { within: left });
  expect((await runAll(scheduler)).get(continued)).toEqual(await alone(decoder, [...text, 5, 9, 2], greedy(3)));
  left.release();
  left.release();
  scheduler.close();
  end();
});

test('a text that is scored in several passes has the sum of its parts', async () => {
  const { decoders, end } = await place();
  const [ids, labels] = [
    [3, 1, 4, 1, 5, 9, 2],
    [1, -1, 1, 5, 9, 2, -1],
  ];
  const scores: number[] = [];
  for (const most of [Infinity, 3]) {
    const scheduler = createScheduler(decoders[1], most);
    scheduler.score(scheduler.keep(decoders[1]), ids, labels);
    let passes = 0;
    for (; scheduler.size > 0; passes++) for (const { score } of await scheduler.pass()) scores.push(score!);
    expect(passes).toBe(most === 3 ? 3 : 1);
    scheduler.close();
  }
  expect(scores[1]).toBeCloseTo(scores[0]!, 5);
  end();
});

test('what cannot be scored or continued is refused', async () => {
  const { decoders, end } = await place();
  const scheduler = createScheduler(decoders[0]);
  const kept = scheduler.keep(decoders[0]);
  expect(() => scheduler.score(kept, [], [])).toThrow(/got 0 tokens and 0 labels/);
  expect(() => scheduler.score(kept, [1, 2], [1])).toThrow(/got 2 tokens and 1 labels/);
  const running = scheduler.score(kept, [1, 2], [2, -1]);
  expect(() => scheduler.score(kept, [1], [1])).toThrow(/has something running in it already/);
  await scheduler.pass();
  running.leave();
  expect(() => scheduler.join(decoders[0], [1, 2], greedy(1), { within: kept })).toThrow(
    /the prompt has 2 tokens and continues a kept sequence of 2; expected/,
  );
  expect(() => scheduler.join(decoders[1], [1, 2, 3], greedy(1), { within: kept })).toThrow(/of another decoder/);
  kept.release();
  expect(() => scheduler.score(kept, [1], [1])).toThrow(/was released, or is of another scheduler/);
  scheduler.close();
  end();
});
