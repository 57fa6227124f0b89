import { createReferenceEngine, createTape } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { naiveHidden, naiveLogits, naiveLosses } from '../../test/naive-decoder.js';
import { tinyAdapter } from '../../test/tiny-adapter.js';
import { tinyBase } from '../../test/tiny-base.js';
import {
  base,
  end,
  expanded,
  expectClose,
  hiddenOf,
  open,
  openExpanded,
  readAndRelease,
  rounding,
  sequences,
  trainedValues,
  type Opened,
} from '../../test/tiny-decoder.js';
import { createBaseWeights } from '../weights/base-weights.js';
import { packTokens } from './batch.js';
import type { DecoderOptions } from './decoder.js';
import { openDecoder } from './open-decoder.js';
import { createPreparedForms } from './prepared-forms.js';
import { cacheOf, packParts } from './run-sequences.js';

describe('a forward pass', () => {
  test.each([
    ['the base as it is', () => open(base)],
    ['a tied head', async () => open(await tinyBase({ tiedHead: true }))],
    ['an expansion', () => open(base, { layers: expanded.map(({ weights: _, gate: __, ...layer }) => layer) })],
    ['an expansion with an adapter, gates and own weights', () => openExpanded()],
  ])('%s: hidden states, logits and losses of packed sequences', async (_, make) => {
    const opened = await make();
    const { engine, decoder, naive } = opened;
    const expected = naiveHidden(naive, { sequences });
    const hidden = await decoder.forward(packTokens(sequences));
    expect(hidden.shape).toEqual([sequences.flat().length, decoder.spec.hiddenSize]);
    expectClose([...(await engine.read(hidden))], expected.flat(), rounding.value);
    const rows = [9, 0, 4];
    const logits = await readAndRelease(engine, decoder.logits(hidden, rows));
    const expectedLogits = naiveLogits(naive, expected);
    expectClose(
      logits,
      rows.flatMap((row) => expectedLogits[row]!),
      rounding.value,
    );
    const labels = [1, -1, 10, 0, -100, 7, 2, 2, -1, 3];
    const losses = await readAndRelease(engine, decoder.losses(hidden, Int32Array.from(labels)));
    expectClose(losses, naiveLosses(naive, expected, labels), rounding.value);
    hidden.release();
    await end(opened);
  });

  test('a sequence alone has the values that it has beside others', async () => {
    const opened = await openExpanded();
    const packed = await hiddenOf(opened, sequences);
    const alone = [];
    for (const sequence of sequences) alone.push(...(await hiddenOf(opened, [sequence])));
    expect(packed).toEqual(alone);
    await end(opened);
  });

  test('what sequences begin with alike may be there once', async () => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const width = decoder.spec.hiddenSize;
    const [first, second] = [
      [3, 1, 4, 1, 5],
      [3, 1, 4, 9],
    ];
    const shared = await readAndRelease(engine, await decoder.forward(packTokens([first, second], [0, 3])));
    const whole = await hiddenOf(opened, [first, second]);
    expect(shared).toEqual([...whole.slice(0, 5 * width), ...whole.slice(8 * width)]);
    await end(opened);
  });

  test('onLayer sees the output of every layer, and the parts of a pass give the same', async () => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const seen: number[][] = [];
    const hidden = await hiddenOf(opened, sequences, {
      onLayer: async (virtual, output) => {
        expect(virtual).toBe(seen.length);
        seen.push([...(await engine.read(output))]);
      },
    });
    expect(seen).toHaveLength(expanded.length);
    const pass = decoder.layerPass(packTokens(sequences));
    let x = pass.embed();
    for (const virtual of expanded.keys()) {
      const y = await pass.layer(x, virtual);
      x.release();
      x = y;
      expect([...(await engine.read(x))]).toEqual(seen[virtual]);
    }
    const finished = pass.finish(x);
    x.release();
    pass.close();
    expect(await readAndRelease(engine, finished)).toEqual(hidden);
    await end(opened);
  });

  test('decoders that share the weights of a base compute as others do, and close alone', async () => {
    const plain = createReferenceEngine();
    const names: string[] = [];
    const engine: typeof plain = {
      ...plain,
      async openWeight(source) {
        names.push(source.name);
        return plain.openWeight(source);
      },
    };
    const opened = createBaseWeights(engine);
    let closed = 0;
    const weights: typeof opened = { ...opened, close: () => void (closed += 1) };
    const make = async (options: Partial<DecoderOptions>): Promise<Opened> => {
      const decoder = await openDecoder({ engine, checkpoint: base.checkpoint, weights, ...options });
      return { engine, decoder, naive: undefined! };
    };
    const first = await make({});
    const second = await make({ layers: expanded, adapter: tinyAdapter, adapterValues: trainedValues(base, expanded) });
    const expected = await openExpanded();
    first.decoder.close();
    expect(await hiddenOf(second, sequences)).toEqual(await hiddenOf(expected, sequences));
    expect(names).toContain('model.layers.1.mlp.up_proj.weight');
    expect(new Set(names).size).toBe(names.length);
    await end(expected);
    second.decoder.close();
    expect(closed).toBe(0);
    expect(engine.memory().tensors).toBe(0);
  });
});

describe('a pass with a cache', () => {
  /** Parts of `sequences` pass by pass: which tokens of which sequence. */
  const plans = {
    'token by token': [0, 1, 2, 3, 4].map((i) => sequences.map((ids) => ids.slice(i, i + 1))),
    'in pieces of different lengths': [
      [[3, 1], [], [2, 6, 5]],
      [[4, 1, 5], [9], [3]],
    ],
  };

  test.each(Object.entries(plans))('%s gives the values of the whole', async (_, passes) => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const cache = cacheOf(decoder);
    const numbers = sequences.map(() => cache.add(1));
    const got = sequences.map((): number[] => []);
    for (const parts of passes) {
      const given = numbers.flatMap((sequence, i) => (parts[i]!.length === 0 ? [] : [{ sequence, ids: parts[i]! }]));
      const pass = cache.pass(given.map(({ sequence }) => sequence));
      const hidden = await decoder.forward(packParts(cache, given), { cache: pass });
      const values = await readAndRelease(engine, hidden);
      let start = 0;
      for (const { sequence, ids } of given) {
        const count = ids.length * decoder.spec.hiddenSize;
        got[numbers.indexOf(sequence)]!.push(...values.slice(start, start + count));
        start += count;
      }
    }
    expect(got.flat()).toEqual(await hiddenOf(opened, sequences));
    cache.close();
    await end(opened);
  });

  test('decoders of other adapters over the same layers share one, and no pass sees another adapter', async () => {
    const engine = createReferenceEngine();
    const weights = createBaseWeights(engine);
    const layers = expanded.map(({ weights: _, gate: __, ...layer }) => layer);
    const make = (adapterValues: DecoderOptions['adapterValues']) =>
      openDecoder({ engine, checkpoint: base.checkpoint, weights, layers, adapter: tinyAdapter, adapterValues });
    const values = trainedValues(base, layers);
    const negated = new Map(
      [...values].map(([name, each]) => [name, { ...each, values: each.values.map((value) => -value) }]),
    );
    const decoders = [await make(values), await make(negated)];
    const cache = cacheOf(decoders[0]!);
    const forms = decoders.map(() => createPreparedForms());
    const numbers = decoders.map(() => cache.add(1));
    const got = decoders.map((): number[] => []);
    for (const ids of [[3, 1], [4], [1, 5]]) {
      for (const [i, decoder] of decoders.entries()) {
        const batch = packParts(cache, [{ sequence: numbers[i]!, ids }]);
        const hidden = await decoder.forward(batch, { cache: cache.pass([numbers[i]!]), forms: forms[i] });
        got[i]!.push(...(await readAndRelease(engine, hidden)));
      }
    }
    const alone = await Promise.all(
      decoders.map((decoder) => hiddenOf({ engine, decoder, naive: undefined! }, [[3, 1, 4, 1, 5]])),
    );
    expect(got).toEqual(alone);
    expect(got[0]).not.toEqual(got[1]);
    for (const each of [cache, ...forms, ...decoders]) each.close();
    weights.close();
    expect(engine.memory().tensors).toBe(0);
  });

  test('prepared forms are for passes that train nothing', async () => {
    const opened = await openExpanded();
    const forms = createPreparedForms();
    for (const pass of [{ tape: createTape(opened.engine) }, { training: { seed: 0, step: 0 } }])
      await expect(opened.decoder.forward(packTokens(sequences), { ...pass, forms })).rejects.toMatchObject({
        code: 'BAD_ARGUMENT',
        message: expect.stringMatching(/prepared forms are of a model that nothing trains/) as string,
      });
    await end(opened);
  });

  test('does not go with tokens that segments share', async () => {
    const opened = await openExpanded();
    const cache = cacheOf(opened.decoder);
    const batch = packTokens(
      [
        [1, 2],
        [1, 3],
      ],
      [0, 1],
    );
    const pass = cache.pass([cache.add(2), cache.add(2)]);
    await expect(opened.decoder.forward(batch, { cache: pass })).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    cache.close();
    await end(opened);
  });
});

describe('a pass that ends early leaves nothing', () => {
  test.each([false, true])('by its signal, with a tape: %s', async (hasTape) => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const before = engine.memory();
    const controller = new AbortController();
    const reason = new Error('enough');
    const tape = hasTape ? createTape(engine) : undefined;
    const layers: number[] = [];
    const passing = decoder.forward(packTokens(sequences), {
      ...(tape && { tape }),
      signal: controller.signal,
      async onLayer(virtual) {
        layers.push(virtual);
        if (virtual === 1) controller.abort(reason);
      },
    });
    await expect(passing).rejects.toBe(reason);
    expect(layers).toEqual([0, 1]);
    tape?.discard();
    expect(engine.memory()).toEqual(before);
    await end(opened);
  });

  test('by whoever looks at a layer', async () => {
    const opened = await openExpanded();
    const before = opened.engine.memory();
    const onLayer = (): Promise<void> => Promise.reject(new Error('found it'));
    await expect(opened.decoder.forward(packTokens(sequences), { onLayer })).rejects.toThrow('found it');
    expect(opened.engine.memory()).toEqual(before);
    await end(opened);
  });

  test('by a token that the vocabulary does not have', async () => {
    const opened = await openExpanded();
    const { engine, decoder } = opened;
    const before = engine.memory();
    await expect(decoder.forward(packTokens([[1, 11]]))).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('embedding got token 11 at 1; the vocabulary has 11') as string,
    });
    expect(engine.memory()).toEqual(before);
    decoder.close();
    expect(engine.memory().tensors).toBe(0);
  });
});
