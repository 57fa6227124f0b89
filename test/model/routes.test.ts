import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { readPeftAdapter, writeAdapter, writePeftAdapter } from '@glulam/export';
import { llamaFamily } from '@glulam/family-llama';
import { openSafetensors, readFloats, readInts } from '@glulam/files';
import {
  cacheOf,
  generateTokens,
  openCheckpoint,
  openDecoder,
  packTokens,
  type Decoder,
  type DecoderOptions,
  type Mix,
  type Route,
  type RouteStep,
} from '@glulam/model';
import { createReferenceEngine, createTape, scope, type Engine, type Precision } from '@glulam/tensors';
import { frobenius } from '@glulam/testing';
import { createOptimizer, trainStep } from '@glulam/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nativeEngines } from '../support/native-engines.js';
import { tfjsEngines } from '../support/tfjs-engines.js';

// Looped depth as routes, against what transformers' layers and PEFT's adapters compute in PyTorch (fixtures/golden/looped). Prelude: the
// virtual layers 0 and 1, core: 2 and 3, coda: 4 and 5.
const folder = path.resolve(import.meta.dirname, '../../fixtures/golden/looped');
const facts = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as {
  readonly variants: Record<
    'shared' | 'repeats' | 'injected',
    Record<string, { readonly loss: number; readonly greedy: { readonly prompt: number[]; readonly tokens: number[] } }>
  >;
  readonly training: {
    readonly lr: number;
    readonly weight_decay: number;
    readonly max_grad_norm: number;
    readonly steps: readonly {
      readonly r: number;
      readonly k: number;
      readonly loss: number;
      readonly grad_norm: number;
    }[];
  };
};
const inputs = openSafetensors(path.join(folder, 'inputs.safetensors'));
const [ids, mask, following] = ['input_ids', 'attention_mask', 'labels'].map((name) => readInts(inputs.entry(name)));
const [count, length] = inputs.entry('input_ids').shape as [number, number];
const rows = Array.from({ length: count }, (_, sequence) =>
  Array.from({ length }, (_, i) => sequence * length + i).filter((row) => mask![row] === 1),
);
const batch = packTokens(rows.map((each) => each.map((row) => ids![row]!)));
const labels = Int32Array.from(
  rows.flatMap((each) => each.map((row) => ((row + 1) % length === 0 ? -1 : Math.max(-1, following![row + 1]!)))),
);
const checkpoint = await openCheckpoint(path.join(folder, 'base'), [llamaFamily]);
const injection = openSafetensors(path.join(folder, 'injection.safetensors'));

const visits = (...layers: number[]): RouteStep[] => layers.map((layer) => ({ kind: 'visit', layer }));

/** The core `repeats` times, with a gradient through the last `through` of them. */
const looped = (repeats: number, through = repeats, begin: readonly RouteStep[] = []): Route => [
  ...visits(0, 1),
  ...Array.from({ length: repeats }, (_, repeat): RouteStep[] => [
    ...(repeat === repeats - through && through < repeats ? [{ kind: 'cut' } as const] : []),
    ...begin,
    ...visits(2, 3),
  ]).flat(),
  ...visits(4, 5),
];

/** The same of layers that are laid out: `layer_replication` with sets of their own. */
const laidOut = (repeats: number, through: number): Route => {
  const plain = visits(...Array.from({ length: 4 + 2 * repeats }, (_, layer) => layer));
  return through === repeats ? plain : plain.toSpliced(2 + 2 * (repeats - through), 0, { kind: 'cut' });
};

const start = readFloats(injection.source('state0'));
const begins: Mix = {
  path: 'start',
  run: (x, { ops }) => {
    const width = x.shape[1]!;
    const values = rows.flat().flatMap((row) => [...start.subarray(row * width, (row + 1) * width)]);
    return ops.engine.upload(Float32Array.from(values), x.shape);
  },
};
const injects: Mix = {
  path: 'injection',
  parameters: [{ name: 'weight', shape: [24, 48], initial: () => readFloats(injection.source('injection.weight')) }],
  reads: ['prelude'],
  run: (x, { ops, parameter, kept }) =>
    ops.linear(ops.concatenate([x, kept('prelude')], 1), parameter('weight'), undefined, 'float32'),
};
const injected = (repeats: number, through: number): Route =>
  looped(repeats, through, [{ kind: 'mix', mix: injects }]).toSpliced(
    2,
    0,
    { kind: 'keep', as: 'prelude' },
    { kind: 'mix', mix: begins },
  );

const routes = { shared: looped, repeats: laidOut, injected };
type Variant = keyof typeof routes;

async function open(engine: Engine, variant: Variant, options: Partial<DecoderOptions> = {}): Promise<Decoder> {
  const saved = path.join(folder, variant === 'repeats' ? 'adapter-repeats-r3' : 'adapter-shared');
  const { adapter, layers, values } = readPeftAdapter(saved, [loraContribution], checkpoint.spec);
  // The model's own values, and those of the mix as it begins.
  const weight = { shape: [24, 48], values: readFloats(injection.source('injection.weight')) };
  const adapterValues = variant === 'injected' ? new Map([...values, ['injection.weight', weight]]) : values;
  return openDecoder({ engine, checkpoint, adapter, layers, adapterValues, route: routes[variant](3, 3), ...options });
}

async function onePass(decoder: Decoder, route: Route, recompute: boolean) {
  const { engine, ops } = decoder;
  const tape = createTape(engine);
  const hidden = await decoder.forward(batch, { tape, recompute, route });
  const logits = decoder.logits(hidden, Array.from(labels.keys()));
  const loss = scope(() => {
    const losses = decoder.losses(hidden, labels, tape);
    const counted = labels.filter((label) => label >= 0).length;
    return ops.recording(tape, () => ops.affine(ops.sumAll(losses), 1 / counted, 0));
  });
  const found = await tape.backward(loss);
  const gradients = new Map<string, Float32Array>();
  for (const [name, tensor] of decoder.parameters) {
    const gradient = found.get(tensor);
    if (gradient !== undefined) gradients.set(name, (await engine.read(gradient)) as Float32Array);
  }
  const result = {
    loss: (await engine.read(loss))[0]!,
    logits: (await engine.read(logits)) as Float32Array,
    gradients,
  };
  for (const tensor of [hidden, logits, loss, ...found.values()]) tensor.release();
  return result;
}

const engines: [name: string, open: (precision: Precision) => Promise<Engine>][] = [
  ['reference', (precision) => Promise.resolve(createReferenceEngine({ precision }))],
  ...nativeEngines(),
  ...tfjsEngines(),
];

describe.each(engines)('%s', (_, openEngine) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine('float32');
  });
  afterAll(() => engine.close());

  test.each(['shared', 'repeats', 'injected'] as const)(
    '%s: loss, logits and gradients of three repeats, whole and through the last ones',
    async (variant) => {
      const expected = openSafetensors(path.join(folder, `${variant}-r3.safetensors`));
      const decoder = await open(engine, variant);
      const before = engine.memory();
      for (const [through, recompute] of [
        [3, false],
        [3, true],
        [2, true],
        [1, false],
      ] as const) {
        const { loss, logits, gradients } = await onePass(decoder, routes[variant](3, through), recompute);
        expect(Math.abs(loss - facts.variants[variant]['r3']!.loss)).toBeLessThan(1e-4 * loss);
        const all = readFloats(expected.source('logits'));
        const width = all.length / (count * length);
        const wanted = rows.flat().flatMap((row) => [...all.subarray(row * width, (row + 1) * width)]);
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expect(wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0)).toBeLessThan(
          1e-4 * largest,
        );
        const cut = through === 3 ? '' : `k${through}.`;
        // What is cut off has zeros here, and is left out of the file.
        expect([...gradients.keys()].sort()).toEqual([...decoder.parameters.keys()].sort());
        const names = new Set(expected.names());
        let zeros = 0;
        for (const [name, gradient] of gradients) {
          const inFile = `grad.${cut}${name.startsWith('injection') ? name : `base_model.model.${name}`}`;
          if (!names.has(inFile)) {
            zeros += 1;
            expect(new Set(gradient), inFile).toEqual(new Set([0]));
            continue;
          }
          const { distance, norm } = frobenius(gradient, readFloats(expected.source(inFile)));
          expect(distance, inFile).toBeLessThan(Math.max(1e-3 * norm, 1e-6));
        }
        // The prelude's 28 tensors, and those of the repeats before the cut; an injection reaches the prelude beside it.
        const cutOff = { shared: 28, repeats: 28 * (1 + 3 - through), injected: 0 }[variant];
        expect(zeros).toBe(through === 3 ? 0 : cutOff);
      }
      expect(engine.memory()).toEqual(before);
      decoder.close();
    },
  );

  test.each([1, 2, 3, 5])('greedy tokens of %i repeats, with keys and values of each visit', async (repeats) => {
    const decoder = await open(engine, 'shared', { route: looped(repeats) });
    const { prompt, tokens } = facts.variants.shared[`r${repeats}`]!.greedy;
    const got: number[] = [];
    for await (const id of generateTokens(decoder, prompt, { maxNewTokens: tokens.length })) got.push(id);
    expect(got).toEqual(tokens);
    decoder.close();
  });

  test('training with another number of repeats at each step', async () => {
    const decoder = await open(engine, 'shared');
    const { lr: learningRate, weight_decay: weightDecay, max_grad_norm: maxGradientNorm, steps } = facts.training;
    const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
      ...{ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay },
    });
    for (const [step, { r, k, loss: expected, grad_norm: norm }] of steps.entries()) {
      const settings = { step, seed: 0, learningRate, maxGradientNorm, recompute: step % 2 === 1, route: looped(r, k) };
      const { loss, gradientNorm } = await trainStep(decoder, optimizer, [{ ...batch, labels }], settings);
      expect(Math.abs(loss - expected), `step ${step}`).toBeLessThan(2e-3);
      expect(Math.abs(gradientNorm / norm - 1), `step ${step}`).toBeLessThan(1e-2);
    }
    optimizer.close();
    decoder.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });
});

test('a route that spells out the layers once each is the decoder without one, bit for bit', async () => {
  const engine = createReferenceEngine();
  const plain = await open(engine, 'repeats', { route: undefined });
  const routed = await open(engine, 'repeats');
  expect(await onePass(routed, routed.route, true)).toEqual(await onePass(plain, plain.route, true));
  for (const decoder of [plain, routed]) decoder.close();
});

test('parts of a route with a kept state give what the whole does, and pass its gradient on', async () => {
  const engine = createReferenceEngine();
  const decoder = await open(engine, 'injected');
  const route = injected(3, 2);
  const whole = await onePass(decoder, route, false);
  const { ops } = decoder;
  // The first part ends with the kept state, which is also the state.
  const first = createTape(engine);
  const prelude = await decoder.forwardPart(batch, { start: 0, end: 3 }, { route, tape: first });
  const second = createTape(engine);
  const arrived = engine.upload(await engine.read(prelude), prelude.shape);
  second.watch(arrived);
  const part = { start: 3, end: route.length, hidden: arrived, kept: new Map([['prelude', arrived]]) };
  const hidden = await decoder.forwardPart(batch, part, { route, tape: second });
  const loss = scope(() => {
    const losses = decoder.losses(hidden, labels, second);
    const counted = labels.filter((label) => label >= 0).length;
    return ops.recording(second, () => ops.affine(ops.sumAll(losses), 1 / counted, 0));
  });
  expect((await engine.read(loss))[0]).toBe(whole.loss);
  const behind = await second.backward(loss);
  const ahead = await first.backward(prelude, behind.get(arrived));
  for (const [name, tensor] of decoder.parameters) {
    const gradient = ahead.get(tensor) ?? behind.get(tensor)!;
    expect(await engine.read(gradient), name).toEqual(whole.gradients.get(name));
  }
  for (const tensor of [prelude, arrived, hidden, loss, ...behind.values(), ...ahead.values()]) tensor.release();
  decoder.close();
  expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
});

test('dropout draws anew at each visit of a layer', async () => {
  const engine = createReferenceEngine();
  const { adapter, values } = readPeftAdapter(path.join(folder, 'adapter-shared'), [loraContribution], checkpoint.spec);
  const keys = new Set<string>();
  const spied = {
    ...adapter,
    at: (...site: Parameters<typeof adapter.at>) => {
      const each = adapter.at(...site);
      return (
        each && {
          ...each,
          form(...[tensors, context]: Parameters<typeof each.form>) {
            keys.add(context.key.join());
            return each.form(tensors, context);
          },
        }
      );
    },
  };
  const decoder = await openDecoder({ engine, checkpoint, adapter: spied, adapterValues: values, route: looped(3) });
  const hidden = await decoder.forward(packTokens([[1, 2, 3]]), { training: { seed: 1, step: 2 } });
  // 10 visits with 7 linear layers each.
  expect(keys.size).toBe(70);
  hidden.release();
  decoder.close();
});

describe('what cannot be run or saved is refused', () => {
  const engine = createReferenceEngine();
  const opened = open(engine, 'injected');

  test.each([
    ['a layer that there is not', visits(0, 6), /step 1 visits virtual layer 6; the model has layers 0 to 5/],
    ['no visit', [{ kind: 'cut' }], /the route visits no layer/],
    ['a state that nothing kept', injected(1, 1).toSpliced(2, 1), /reads the state "prelude"; kept before it: none/],
    [
      'a mix that the model was not opened with',
      [...visits(0), { kind: 'mix', mix: { path: 'damping', run: (x) => x } }],
      /step 1 is the mix damping, which the model was not opened with/,
    ],
    [
      'a mix with other parameters',
      [...visits(0), { kind: 'mix', mix: { ...injects, reads: [], parameters: [] } }],
      /has other parameters than the one of this path/,
    ],
  ] as [string, Route, RegExp][])('%s', async (_, route, message) => {
    await expect((await opened).forward(batch, { route })).rejects.toThrow(message);
  });

  test('a mix that reads what it does not declare', async () => {
    const mix: Mix = { path: 'sly', run: (_, { kept }) => kept('prelude') };
    const route: Route = [...visits(0), { kind: 'keep', as: 'prelude' }, { kind: 'mix', mix }];
    const decoder = await open(engine, 'shared', { route });
    await expect(decoder.forward(batch)).rejects.toThrow(
      'the mix sly asks for the kept state "prelude"; it trains nothing and reads no state',
    );
    decoder.close();
  });

  test('a cache that is laid out for another route', async () => {
    const decoder = await open(engine, 'shared');
    const cache = cacheOf(decoder, looped(2));
    const pass = { cache: cache.pass([cache.add(3)]) };
    await expect(decoder.forward(packTokens([[1, 2, 3]]), pass)).rejects.toThrow(
      'the cache is laid out for the visits 0, 1, 2, 3, 2, 3, 4, 5, and the pass makes the visits 0, 1, 2, 3, 2, 3, 2, 3, 4, 5; expected',
    );
    const hidden = await decoder.forward(packTokens([[1, 2, 3]]), { ...pass, route: looped(2, 1) });
    for (const each of [cache, decoder]) each.close();
    hidden.release();
  });

  test('a reference of a route with mixes', async () => {
    await expect((await opened).forward(batch, { reference: true })).rejects.toThrow(/the route has the mix start/);
  });

  test.each([
    [
      'compact',
      (decoder: Decoder, to: string) =>
        writeAdapter(decoder, to, { base: 'b', adapter: { kind: 'lora', options: {} } }),
    ],
    ['PEFT', (decoder: Decoder, to: string) => writePeftAdapter(decoder, to, 'b')],
  ])('adapter files (%s) of a decoder with a route', async (_, write) => {
    const decoder = await open(engine, 'shared');
    const to = path.join(process.env['GLULAM_CACHE']!, 'routed');
    await expect(write(decoder, to)).rejects.toThrow(
      /was opened with a route of its own, which adapter files do not hold/,
    );
    decoder.close();
  });
});
