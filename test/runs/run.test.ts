import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluatorLoss, lossEvaluator } from '@glulam/evaluator-loss';
import { readPeftAdapter, writePeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats } from '@glulam/files';
import { adapters, generateTokens, packTokens } from '@glulam/model';
import { testEvaluator } from '@glulam/testing';
import { events, learningRateAt, meanLoss, openData, openModel, train, type RunEvent } from '@glulam/trainer';
import { EMPTY, map, tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { tinyRun } from '../support/tiny.js';

const allHeldOut = path.resolve(import.meta.dirname, '../../examples/data/word-problems.heldout.jsonl');
const eventsOf = (folder: string) =>
  readFileSync(path.join(folder, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);
const lossesOf = (folder: string) =>
  eventsOf(folder).flatMap((event) => (event.type === 'step.finished' ? [event.loss] : []));

describe('a run', () => {
  test('learns, leaves its folder whole, and its adapter comes back with the same score', async () => {
    const data = { train: tinyRun().config.data.train, heldOut: allHeldOut };
    const { out, config, composition } = tinyRun({ data });
    const result = await train(config, composition);
    expect(readdirSync(out).sort()).toEqual([
      'README.md',
      'adapter',
      'best.json',
      'checkpoints',
      'config.json',
      'events.jsonl',
      'lock.1',
      'loss.svg',
    ]);
    // On a busy machine the reading of the data is long enough to be reported first.
    const told = eventsOf(out).filter(({ type }) => type !== 'data.reading');
    const types = told.map(({ type }) => type);
    expect(types[0]).toBe('run.started');
    expect(types.at(-1)).toBe('run.finished');
    expect(types.filter((type) => type === 'step.finished')).toHaveLength(8);
    expect(told[0]).toMatchObject({ physicalLayers: 8, virtualLayers: 12, trainableParameters: 325_632 });
    const [before, after] = eventsOf(out).flatMap((event) =>
      event.type === 'evaluation.finished' ? [event.scores['loss']!] : [],
    );
    expect(after!).toBeLessThan(before! - 0.05);

    const model = await openModel(config, composition, { adapterFolder: result.adapterFolder });
    const { heldOut } = await openData(config, composition, model.tokenizer, { only: 'heldOut' });
    const { loss } = await meanLoss(model.decoder, heldOut);
    expect(loss).toBe(after);
    await model.close();
  });

  test('the same seed gives the same losses bit for bit, another seed does not; recomputation changes nothing', async () => {
    const runs = [{}, {}, { train: { steps: 4, batch: 4, learningRate: 2e-3, recompute: true } }, { seed: 1 }];
    const losses: number[][] = [];
    for (const changes of runs) {
      const { out, config, composition } = tinyRun({ train: { steps: 4, batch: 4, learningRate: 2e-3 }, ...changes });
      await train(config, composition);
      losses.push(lossesOf(out));
    }
    expect(losses[1]).toEqual(losses[0]);
    expect(losses[2]).toEqual(losses[0]);
    expect(losses[3]).not.toEqual(losses[0]);
  });

  test.each([{ kind: 'lora', r: 8 }, { kind: 'full' }])(
    'accumulating two batches equals one of twice the size: %j',
    async (adapter) => {
      const losses: number[][] = [];
      for (const size of [
        { batch: 4, accumulate: 2 },
        { batch: 8, accumulate: 1 },
      ]) {
        const { out, config, composition } = tinyRun({
          adapter,
          precision: 'float32',
          train: { steps: 4, learningRate: adapter.kind === 'full' ? 2e-4 : 2e-3, ...size },
        });
        await train(config, composition);
        losses.push(lossesOf(out));
      }
      losses[0]!.forEach((loss, step) => expect(Math.abs(loss - losses[1]![step]!)).toBeLessThan(1e-5));
    },
  );

  // One row is fifty times as long as another: a mean over batches would not be that over tokens.
  test('losses are of tokens, however a step is divided into batches', async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-rows-')), 'rows.jsonl');
    const rows = [1, 50, 2, 40, 1, 30, 3, 20].map((count, i) => ({
      question: `Case ${i}?`,
      answer: 'very '.repeat(count),
    }));
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
    const losses: number[][] = [];
    for (const [batch, accumulate] of [
      [4, 1],
      [2, 2],
      [1, 4],
    ]) {
      const { out, config, composition } = tinyRun({
        adapter: { kind: 'lora', r: 4 },
        precision: 'float32',
        data: { train: file, heldOut: file },
        train: { steps: 4, learningRate: 1e-3, batch: batch!, accumulate: accumulate! },
      });
      await train(config, composition);
      const scores = eventsOf(out).flatMap((event) =>
        event.type === 'evaluation.finished' ? [event.scores['loss']!] : [],
      );
      losses.push([...lossesOf(out), ...scores]);
    }
    expect(losses[0]).toHaveLength(6);
    for (const others of losses.slice(1))
      others.forEach((loss, i) => expect(Math.abs(loss - losses[0]![i]!)).toBeLessThan(1e-5));
  });

  test('that would train nothing is refused before anything is written', async () => {
    const { out, config, composition } = tinyRun({ adapter: { kind: 'none' } });
    await expect(train(config, composition)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/nothing would be trained: the adapter sits nowhere/),
    });
    expect(existsSync(out)).toBe(false);
  });

  test('without held-out data it trains all the same, and evaluates nothing', async () => {
    const { data } = tinyRun().config;
    const { config, composition } = tinyRun({ data: { train: data.train }, train: { steps: 2, batch: 2 } });
    expect(await train(config, composition)).toMatchObject({ steps: 2, scores: {} });
  });

  test('stops on request and on abort after the step, with the adapter saved', async () => {
    for (const how of ['request', 'abort']) {
      const { out, config, composition } = tinyRun({ train: { steps: 50, batch: 2 } });
      const stream = composition.get(events);
      const controller = new AbortController();
      const onStep = (event: RunEvent) => {
        if (event.type !== 'step.finished' || event.step !== 3) return;
        if (how === 'abort') controller.abort();
        else stream.request('stop');
      };
      stream.listen('test', (all) => all.pipe(tap(onStep)));
      const result = await train(config, composition, { signal: controller.signal });
      expect(result.steps).toBe(3);
      expect(existsSync(path.join(out, 'adapter/adapter_model.safetensors'))).toBe(true);
    }
  });

  test('a listener that throws is cut off and the run goes on', async () => {
    const { config, composition } = tinyRun({ train: { steps: 3, batch: 2 } });
    const stream = composition.get(events);
    const seen: string[] = [];
    stream.listen('bad listener', (all) =>
      all.pipe(
        map(() => {
          throw new Error('bad listener');
        }),
      ),
    );
    stream.listen('good listener', (all) => all.pipe(tap(({ type }) => seen.push(type))));
    expect(stream.listen('empty', () => EMPTY).closed).toBe(true);
    expect((await train(config, composition)).steps).toBe(3);
    expect(seen.at(-1)).toBe('run.finished');
  });

  test('a loss that is not finite stops the run and says so; an existing run is not written over', async () => {
    const { out, config, composition } = tinyRun({
      train: { steps: 5, batch: 2, learningRate: 1e30, maxGradientNorm: 0 },
    });
    await expect(train(config, composition)).rejects.toThrow(/step 2 gave loss NaN[\s\S]*Lower train.learningRate/);
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'run.failed', code: 'LOSS_NOT_FINITE' });
    await expect(train(config, tinyRun().composition)).rejects.toThrow(/holds a run already/);
  });
});

describe('the decoder', () => {
  test('token by token with a cache equals the whole at once, beyond the window too', async () => {
    const { config, composition } = tinyRun({ precision: 'float32' });
    const model = await openModel(config, composition);
    const { decoder, tokenizer } = model;
    const prompt = tokenizer.encode('Question: Ann has 2 hats and buys 3 more. How many hats does she have?\nAnswer:');
    const greedy: number[] = [];
    for await (const id of generateTokens(decoder, prompt, { maxNewTokens: 24 })) greedy.push(id);
    expect(greedy).toHaveLength(24);
    const whole = [...prompt, ...greedy];
    const hidden = await decoder.forward(packTokens([whole]));
    const rows = greedy.map((_, i) => prompt.length - 1 + i);
    const logits = decoder.logits(hidden, rows);
    const values = await decoder.engine.read(logits);
    const width = values.length / rows.length;
    greedy.forEach((id, i) => {
      const row = values.subarray(i * width, (i + 1) * width);
      expect(row[id]).toBeGreaterThan(Math.max(...row) - 1e-4);
    });
    hidden.release();
    logits.release();
    await model.close();
  });

  test('packed sequences do not see each other', async () => {
    const { config, composition } = tinyRun({ precision: 'float32' });
    const model = await openModel(config, composition);
    const { decoder } = model;
    const [a, b] = [
      Array.from({ length: 37 }, (_, i) => (i * 7) % 900),
      Array.from({ length: 20 }, (_, i) => (i * 13) % 900),
    ];
    const read = async (sequences: number[][]) => {
      const hidden = await decoder.forward(packTokens(sequences));
      const values = (await decoder.engine.read(hidden)) as Float32Array;
      hidden.release();
      return values;
    };
    const [both, first, second] = [await read([a, b]), await read([a]), await read([b])];
    const apart = Float32Array.of(...first, ...second);
    both.forEach((value, i) => expect(Math.abs(value - apart[i]!)).toBeLessThan(1e-4));
    await model.close();
  });
});

describe('PEFT files', () => {
  test('an adapter that was read is written with the same tensors and map', async () => {
    const golden = path.resolve(import.meta.dirname, '../../fixtures/golden/mistral-expanded-lora');
    const { config, composition } = tinyRun();
    const model = await openModel(
      { ...config, expansion: undefined, base: tokenizedCopy(path.join(golden, 'base')) },
      composition,
      { adapterFolder: path.join(golden, 'adapter') },
    );
    const folder = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-peft-')), 'adapter');
    await writePeftAdapter(model.decoder, folder, 'base');
    await model.close();
    const [theirs, ours] = [path.join(golden, 'adapter'), folder].map((each) =>
      openSafetensors(path.join(each, 'adapter_model.safetensors')),
    );
    expect([...ours!.names()].sort()).toEqual([...theirs!.names()].sort());
    for (const name of theirs!.names())
      expect(readFloats(ours!.source(name))).toEqual(readFloats(theirs!.source(name)));
    const [before, after] = [path.join(golden, 'adapter'), folder].map(
      (each) => JSON.parse(readFileSync(path.join(each, 'adapter_config.json'), 'utf8')) as Record<string, unknown>,
    );
    for (const field of ['layer_replication', 'r', 'lora_alpha', 'peft_type', 'use_rslora', 'bias', 'task_type']) {
      expect(after![field], field).toEqual(before![field]);
    }
    expect(
      readPeftAdapter(folder, composition.all(adapters), model.decoder.spec).layers!.map(({ physical }) => physical),
    ).toEqual([0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7]);
  });

  test('an adapter of another model is refused with what does not fit', async () => {
    const adapterFolder = path.resolve(import.meta.dirname, '../../fixtures/golden/mistral-lora/adapter');
    const { config, composition } = tinyRun();
    await expect(openModel({ ...config, expansion: undefined }, composition, { adapterFolder })).rejects.toThrow(
      /not for this base[\s\S]*q_proj.lora_A.weight has shape \[4, 32\]; this model needs \[4, 192\]/,
    );
  });
});

/** Golden bases have no tokenizer; one of a few words makes them folders that every command opens. */
function tokenizedCopy(base: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-base-'));
  for (const name of ['config.json', 'model.safetensors'])
    writeFileSync(path.join(folder, name), readFileSync(path.join(base, name)));
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [] },
  };
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(path.join(folder, 'tokenizer_config.json'), '{}');
  return folder;
}

test('learning rates: warm-up, then cosine, linear or constant', () => {
  const at = (kind: 'cosine' | 'linear' | 'constant', step: number) =>
    learningRateAt({ kind, peak: 1, warmupSteps: 2, steps: 12 }, step);
  expect([0, 1, 2, 7, 12].map((step) => at('cosine', step))).toEqual([
    0.5,
    1,
    1,
    expect.closeTo(0.5),
    expect.closeTo(0),
  ]);
  expect([7, 11].map((step) => at('linear', step))).toEqual([expect.closeTo(0.5), expect.closeTo(0.1)]);
  expect(at('constant', 11)).toBe(1);
});

testEvaluator(lossEvaluator, {
  options: [{}],
  async open() {
    const { config, composition } = tinyRun();
    const model = await openModel(config, composition);
    const { heldOut } = await openData(config, composition, model.tokenizer, { only: 'heldOut' });
    return { ...model, heldOut: heldOut.slice(0, 8), signal: new AbortController().signal };
  },
});

test('the evaluator is a plugin with its name', () => expect(evaluatorLoss().name).toBe('@glulam/evaluator-loss'));
