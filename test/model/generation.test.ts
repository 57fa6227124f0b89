import { createLora, loraContribution } from '@glulam/adapter-lora';
import {
  cacheOf,
  openDecoder,
  createTokenSession,
  generateMany,
  generateText,
  generateTokens,
  openCheckpoint,
  openTokenizer,
  packTokens,
  runSequences,
  type SequenceResult,
  type Decoder,
  type BlockSpec,
  type LayerSpec,
  type Generated,
  type TokenBatch,
} from '@glulam/model';
import { createReferenceEngine, type Engine } from '@glulam/tensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { difference, families, randomValues, tiny } from '../support/expanded.js';
import { nativeEngines } from '../support/native-engines.js';

// The tiny model as 12 virtual layers with an adapter that counts.
const layers = [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7].map((physical) => ({ physical }));
const tokenizer = openTokenizer(tiny);
const adapter = createLora(loraContribution.schema.parse({ r: 2, lora_alpha: 1 }));

async function open(
  engine: Engine,
  { windows = [], maxPositions }: { windows?: readonly number[]; maxPositions?: number } = {},
): Promise<Decoder> {
  const checkpoint = await openCheckpoint(tiny, families);
  const blocksOf = ({ blocks }: LayerSpec, window: number): BlockSpec[] =>
    blocks.map((block) => (block.kind === 'attention' ? { ...block, window } : block));
  const spec = {
    ...checkpoint.spec,
    maxPositions: maxPositions ?? checkpoint.spec.maxPositions,
    // One window for all layers, or one for each.
    layers: checkpoint.spec.layers.map((layer, i) =>
      windows.length === 0 ? layer : { blocks: blocksOf(layer, windows[i % windows.length]!) },
    ),
  };
  return openDecoder({
    engine,
    checkpoint: { ...checkpoint, spec },
    layers,
    adapter,
    adapterValues: randomValues(checkpoint, layers, adapter),
  });
}

const story = tokenizer.encode(
  Array.from({ length: 90 }, (_, i) => `Tom has ${i * 7 + 3} apples and gives ${i + 1} of them to Ann.`).join(' '),
);
const prompts = [
  ...['Question: What is 2 + 2?\nAnswer:', 'A', 'Question: Ann has 3 cats, Tom has 4. How many do they have?\nAnswer:'],
  ...['The', 'Question: A pen costs 3 dollars. How much do five pens cost?\nAnswer:', 'Once upon a time', '7 * 8 ='],
].map((text) => tokenizer.encode(text));

/** How many tokens each pass of a decoder takes. */
function watched(decoder: Decoder): { decoder: Decoder; passes: number[] } {
  const passes: number[] = [];
  const forward: Decoder['forward'] = (batch, options) => {
    passes.push(batch.ids.length);
    return decoder.forward(batch, options);
  };
  return { decoder: { ...decoder, forward }, passes };
}

async function all(results: AsyncIterable<Generated>): Promise<Generated[]> {
  const list: Generated[] = [];
  for await (const each of results) list.push(each);
  return list.sort((a, b) => a.index - b.index);
}

async function alone(decoder: Decoder, prompt: readonly number[], options: object): Promise<string> {
  let text = '';
  for await (const piece of generateText(decoder, tokenizer, prompt, { maxNewTokens: 24, ...options })) text += piece;
  return text;
}

describe.each([
  ['reference', (precision) => Promise.resolve(createReferenceEngine({ precision }))] as ReturnType<
    typeof nativeEngines
  >[number],
  ...nativeEngines(),
])('%s', (name, openEngine) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine('float32');
  });
  afterAll(() => engine.close());

  test('a batch gives each prompt the text that it gets alone, and every request its turn', async () => {
    const { decoder, passes } = watched(await open(engine));
    // One longer than a pass, and each with a limit of its own.
    const [some, long] = name === 'reference' ? [prompts.slice(0, 5), []] : [prompts, [story.slice(0, 700)]];
    const requests = [...some, ...long].map((prompt, i) => ({ prompt, maxNewTokens: 4 + 2 * i }));
    const results = await all(generateMany(decoder, tokenizer, requests, { maxNewTokens: 24, slots: 3 }));
    expect(results.map(({ index }) => index)).toEqual(requests.map((_, i) => i));
    expect(Math.max(...passes)).toBeLessThanOrEqual(512);
    // Short prompts and last tokens of others go through together.
    const tokens = results.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(passes.length).toBeLessThan(tokens / 2);
    for (const [i, { text, ids, ended }] of results.entries()) {
      const { prompt, maxNewTokens } = requests[i]!;
      expect(text).toBe(await alone(decoder, prompt, { maxNewTokens }));
      expect(ended).toBe(ids.length === maxNewTokens ? 'length' : 'end');
    }
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test.each(name === 'reference' ? [[20]] : [[0], [20]])(
    'what sequences begin with alike is there once and gives the states of whole ones, window %j',
    async (window) => {
      const decoder = await open(engine, { windows: [window] });
      const read = async (batch: TokenBatch) => {
        const hidden = await decoder.forward(batch);
        const values = (await engine.read(hidden)) as Float32Array;
        hidden.release();
        return values;
      };
      const [question, answer, other] = [story.slice(0, 50), story.slice(60, 75), story.slice(80, 86)] as [
        number[],
        number[],
        number[],
      ];
      // The third begins as the second does, and that as the first.
      const sequences = [
        [...question, ...answer],
        [...question, ...other],
        [...question, ...other.slice(0, 2), ...answer],
      ];
      const shared = [0, 50, 52];
      const whole = await read(packTokens(sequences));
      const parts = await read(packTokens(sequences, shared));
      const { hiddenSize } = decoder.spec;
      let start = 0;
      const kept = sequences.map(({ length }, i) => {
        const own = whole.subarray((start + shared[i]!) * hiddenSize, (start += length) * hiddenSize);
        return [...own];
      });
      expect(parts.length).toBe((65 + 6 + 15) * hiddenSize);
      expect(difference(parts, Float32Array.from(kept.flat()))).toBeLessThan(1e-5);

      const cache = cacheOf(decoder);
      const pass = cache.pass(sequences.map(() => cache.add(0)));
      await expect(decoder.forward(packTokens(sequences, shared), { cache: pass })).rejects.toMatchObject({
        code: 'BAD_ARGUMENT',
        message: expect.stringMatching(/shares tokens between segments \(keyRows\).*fork the cache/) as string,
      });
      cache.close();
      decoder.close();
      expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    },
  );

  test('draws and stop strings are each sequence’s own', async () => {
    const decoder = await open(engine);
    const options = { temperature: 1.2, topP: 0.9, stop: [' the', '\n'], maxNewTokens: 12 };
    // Those that the reference engine has the time for end in a stop string, and otherwise.
    const [some, slotsTried] = name === 'reference' ? [prompts.slice(0, 4), [3]] : [prompts, [1, 5]];
    for (const slots of slotsTried) {
      const requests = some.map((prompt, i) => (i === 2 ? { prompt, seed: 99 } : { prompt }));
      const results = await all(generateMany(decoder, tokenizer, requests, { ...options, seed: 7, slots }));
      expect(results.some(({ ended }) => ended === 'stop')).toBe(true);
      for (const [i, { text }] of results.entries())
        expect(text).toBe(await alone(decoder, prompts[i]!, { ...options, seed: i === 2 ? 99 : 7 + i }));
    }
    decoder.close();
  });

  test('who stops reading leaves nothing behind', async () => {
    const decoder = await open(engine);
    const before = engine.memory();
    for await (const _ of generateMany(
      decoder,
      tokenizer,
      prompts.map((prompt) => ({ prompt })),
      { maxNewTokens: 4 },
    ))
      break;
    const controller = new AbortController();
    const forward: Decoder['forward'] = async (batch, options) => {
      if (batch.ids.length === 1) controller.abort(new Error('enough'));
      return decoder.forward(batch, options);
    };
    const { signal } = controller;
    const stopped = generateMany({ ...decoder, forward }, tokenizer, [{ prompt: prompts[0]! }], {
      maxNewTokens: 9,
      signal,
    });
    await expect(all(stopped)).rejects.toThrow('enough');
    expect(engine.memory()).toEqual(before);
    decoder.close();
  });

  test.for<[number[]]>([[[0]], [[40]], [[700]], [[0, 40, 700, 0, 90, 0, 3, 600]]])(
    'a prompt of many passes, window %j: the logits of one pass',
    async ([windows], { skip }) => {
      skip(name === 'reference', 'it would take the reference engine minutes');
      const { decoder, passes } = watched(await open(engine, { windows }));
      const prompt = story.slice(0, 1300);
      const hidden = await decoder.forward(packTokens([prompt]));
      const logits = decoder.logits(hidden, [prompt.length - 1]);
      const whole = (await engine.read(logits)) as Float32Array;
      const cache = cacheOf(decoder);
      const sequence = cache.add(prompt.length);
      let last: Float32Array | undefined;
      for (let start = 0; start < prompt.length; start += 512)
        [{ logits: last }] = (await runSequences(decoder, { cache }, [
          { sequence, ids: prompt.slice(start, start + 512), wanted: true },
        ])) as [SequenceResult];
      expect(difference(last!, whole)).toBeLessThan(1e-5);
      cache.close();
      hidden.release();
      logits.release();
      passes.length = 0;
      const got: number[] = [];
      for await (const id of generateTokens(decoder, prompt, { maxNewTokens: 3 })) got.push(id);
      expect(passes).toEqual([512, 512, 276, 1, 1]);
      decoder.close();
    },
  );

  test('a session processes what is new, and answers as a fresh one', async () => {
    const { decoder, passes } = watched(await open(engine));
    const session = createTokenSession(decoder);
    const take = async (prompt: readonly number[], from = session) => {
      const ids: number[] = [];
      for await (const id of from.generate(prompt, { maxNewTokens: 5 })) ids.push(id);
      return ids;
    };
    const first = prompts[0]!;
    const answer = await take(first);
    // The last token of an answer was chosen, and never processed.
    expect(session.kept).toBe(first.length + answer.length - 1);
    const second = [...first, ...answer, ...prompts[3]!.slice(1)];
    for (const [prompt, isNew] of [
      [second, second.length - session.kept],
      [second, 1],
      [first, 1],
      [prompts[4]!, prompts[4]!.findIndex((id, i) => id !== first[i])],
    ] as const) {
      passes.length = 0;
      const got = await take(prompt);
      expect(passes[0]).toBe(prompt === prompts[4] ? prompt.length - isNew : isNew);
      const other = createTokenSession(decoder);
      expect(got).toEqual(await take(prompt, other));
      other.close();
    }
    session.close();
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('a text ends at the model’s last position, and what leaves none is refused', async () => {
    const decoder = await open(engine, { maxPositions: 12 });
    const results = await all(generateMany(decoder, tokenizer, [{ prompt: story.slice(0, 9) }], { maxNewTokens: 50 }));
    expect(results[0]).toMatchObject({ ended: 'length', ids: expect.objectContaining({ length: 3 }) });
    const long = generateTokens(decoder, story.slice(0, 12), { maxNewTokens: 1 });
    await expect(long.next()).rejects.toThrow(/has 12 tokens; the model has 12 positions/);
    await expect(all(generateMany(decoder, tokenizer, [], { maxNewTokens: 1, slots: 0 }))).rejects.toMatchObject({
      code: 'GENERATION_INVALID',
    });
    decoder.close();
  });
});
